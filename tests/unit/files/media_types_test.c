/* SPDX-License-Identifier: MIT */
/* Media types by file extension, from the built-in table and from a file. */
#include "files/media_types.h"

#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name, *type;
} types[] = {
	{ "x.7z", "application/x-7z-compressed" },
	{ "x.aac", "audio/aac" },
	{ "x.apng", "image/apng" },
	{ "x.atom", "application/atom+xml" },
	{ "x.avif", "image/avif" },
	{ "x.bin", "application/octet-stream" },
	{ "x.bmp", "image/bmp" },
	{ "x.bz2", "application/x-bzip2" },
	{ "x.conf", "text/plain; charset=utf-8" },
	{ "x.css", "text/css; charset=utf-8" },
	{ "x.csv", "text/csv; charset=utf-8" },
	{ "x.epub", "application/epub+zip" },
	{ "x.flac", "audio/flac" },
	{ "x.gif", "image/gif" },
	{ "x.gz", "application/gzip" },
	{ "x.htm", "text/html; charset=utf-8" },
	{ "x.html", "text/html; charset=utf-8" },
	{ "x.ico", "image/vnd.microsoft.icon" },
	{ "x.ics", "text/calendar; charset=utf-8" },
	{ "x.img", "application/octet-stream" },
	{ "x.ini", "text/plain; charset=utf-8" },
	{ "x.iso", "application/octet-stream" },
	{ "x.jpeg", "image/jpeg" },
	{ "x.jpg", "image/jpeg" },
	{ "x.js", "text/javascript; charset=utf-8" },
	{ "x.json", "application/json" },
	{ "x.jsonld", "application/ld+json" },
	{ "x.log", "text/plain; charset=utf-8" },
	{ "x.m3u8", "application/vnd.apple.mpegurl" },
	{ "x.m4a", "audio/mp4" },
	{ "x.js.map", "application/json" },
	{ "x.md", "text/markdown; charset=utf-8" },
	{ "x.mjs", "text/javascript; charset=utf-8" },
	{ "x.mp3", "audio/mpeg" },
	{ "x.mp4", "video/mp4" },
	{ "x.mpd", "application/dash+xml" },
	{ "x.oga", "audio/ogg" },
	{ "x.ogg", "audio/ogg" },
	{ "x.ogv", "video/ogg" },
	{ "x.opus", "audio/ogg" },
	{ "x.otf", "font/otf" },
	{ "x.pdf", "application/pdf" },
	{ "x.png", "image/png" },
	{ "x.rss", "application/rss+xml" },
	{ "x.svg", "image/svg+xml" },
	{ "x.tar", "application/x-tar" },
	{ "x.tif", "image/tiff" },
	{ "x.tiff", "image/tiff" },
	{ "x.toml", "application/toml" },
	{ "x.ttf", "font/ttf" },
	{ "x.txt", "text/plain; charset=utf-8" },
	{ "x.vtt", "text/vtt; charset=utf-8" },
	{ "x.wasm", "application/wasm" },
	{ "x.wav", "audio/wav" },
	{ "x.webm", "video/webm" },
	{ "x.webmanifest", "application/manifest+json" },
	{ "x.webp", "image/webp" },
	{ "x.woff", "font/woff" },
	{ "x.woff2", "font/woff2" },
	{ "x.xhtml", "application/xhtml+xml" },
	{ "x.xml", "application/xml" },
	{ "x.xz", "application/x-xz" },
	{ "x.yaml", "application/yaml" },
	{ "x.yml", "application/yaml" },
	{ "x.zip", "application/zip" },
	{ "x.zst", "application/zstd" },
	{ "x.3g2", "video/3gpp2" },
	{ "x.avi", "video/x-msvideo" },
	{ "x.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ "x.jsonl", "application/x-ndjson" },
	{ "x.m4s", "video/iso.segment" },
	{ "x.m4v", "video/mp4" },
	{ "x.mkv", "video/x-matroska" },
	{ "x.mov", "video/quicktime" },
	{ "x.svgz", "image/svg+xml" },
	{ "x.ts", "video/mp2t" },
	{ "x.vcf", "text/vcard; charset=utf-8" },
	{ "x.xspf", "application/xspf+xml" },
	{ "x.HTML", "text/html; charset=utf-8" },
	{ "X.GiF", "image/gif" },
	{ "docs/v1.2/x.tar.gz", "application/gzip" },
	{ "", "application/octet-stream" },
	{ ".", "application/octet-stream" },
	{ "x", "application/octet-stream" },
	{ "x.", "application/octet-stream" },
	{ "html", "application/octet-stream" },
	{ "x.htmlx", "application/octet-stream" },
	{ "x.ht", "application/octet-stream" },
	{ "x.html/y", "application/octet-stream" },
	{ "x.webmanifestwebmanifest", "application/octet-stream" },
	{ "x.html ", "application/octet-stream" },
};

START_TEST(finds_media_types_by_file_extension)
{
	ck_assert_str_eq(pipit_media_types_types_find(NULL, types[_i].name), types[_i].type);
}
END_TEST

static char error[256];
static char name[] = "/tmp/pipit-media-XXXXXX";

static int read_types(const char *text, size_t length, struct pipit_media_types **media)
{
	int fd, result;
	strcpy(name + sizeof name - 7, "XXXXXX");
	fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
	close(fd);
	error[0] = '\0';
	result = pipit_media_types_read(name, media, error, sizeof error);
	unlink(name);
	return result;
}

START_TEST(reads_types_from_a_file_and_prefers_them)
{
	static const char text[] = "# ours\n\n  text/x-recipe  cake Pie # sweet\r\n"
				   "application/x-html cwl.json abcdefghijklmnopqrstuvwxyz "
				   "html\ntext/css;charset=ascii css\napplication/x-later cake";
	struct pipit_media_types *media;
	ck_assert_int_eq(read_types(text, sizeof text - 1, &media), 0);
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.pie"), "text/x-recipe; charset=utf-8");
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.html"), "application/x-html");
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.css"), "text/css;charset=ascii");
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.CAKE"), "application/x-later");
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.png"), "image/png");
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.none"), "application/octet-stream");
	pipit_media_types_free(media);
}
END_TEST

START_TEST(reads_extensions_of_up_to_15_characters)
{
	static const char text[] = "x/a abcdefghijklmn\nx/b abcdefghijklmno\nx/c abcdefghijklmnop\nx/d;a=!~ d\n";
	struct pipit_media_types *media;
	ck_assert_int_eq(read_types(text, sizeof text - 1, &media), 0);
	ck_assert_str_eq(pipit_media_types_types_find(media, "x.abcdefghijklmn"), "x/a");
	ck_assert_str_eq(pipit_media_types_types_find(media, "x.abcdefghijklmno"), "x/b");
	ck_assert_str_eq(pipit_media_types_types_find(media, "x.abcdefghijklmnop"), "application/octet-stream");
	ck_assert_str_eq(pipit_media_types_types_find(media, "x.d"), "x/d;a=!~");
	pipit_media_types_free(media);
}
END_TEST

START_TEST(reads_hundreds_of_types)
{
	char text[32000], ending[16], wanted[32];
	size_t length = 0;
	struct pipit_media_types *media;
	for (int i = 0; i < 700; i++)
		length += (size_t)sprintf(text + length, "x/t%d e%d\n", i, i);
	ck_assert_int_eq(read_types(text, length, &media), 0);
	for (int i = 0; i < 700; i++) {
		sprintf(ending, "x.e%d", i);
		sprintf(wanted, "x/t%d", i);
		ck_assert_str_eq(pipit_media_types_types_find(media, ending), wanted);
	}
	pipit_media_types_free(media);
}
END_TEST

START_TEST(reads_a_file_without_types)
{
	struct pipit_media_types *media;
	ck_assert_int_eq(read_types("", 0, &media), 0);
	ck_assert_str_eq(pipit_media_types_types_find(media, "a.html"), "text/html; charset=utf-8");
	pipit_media_types_free(media);
	ck_assert_int_eq(read_types("# x\ntext/plain", 14, &media), 0);
	pipit_media_types_free(media);
}
END_TEST

#define WRONG(text, line, shown)                   \
	{                                          \
		text, sizeof text - 1, line, shown \
	}

static const struct {
	const char *text;
	size_t length;
	const char *line, *shown;
} wrong[] = {
	WRONG("text/html html\nhtml htm\n", ":2: ", "html"),
	WRONG("/html html", ":1: ", "/html"),
	WRONG("text/ html", ":1: ", "text/"),
	WRONG("te(xt/html html", ":1: ", "te(xt/html"),
	WRONG("text/html;a=\x01 html", ":1: ", "text/html;a="),
	WRONG("\n\ntext/html .html", ":3: ", ".html"),
	WRONG("text/html a/b", ":1: ", "a/b"),
	WRONG("text/html h\0tml", "cannot be read", "NUL"),
};

START_TEST(reports_the_line_of_an_error_in_a_file_of_types)
{
	struct pipit_media_types *media = NULL;
	ck_assert_int_lt(read_types(wrong[_i].text, wrong[_i].length, &media), 0);
	ck_assert_ptr_null(media);
	ck_assert_msg(
	    strstr(error, name) && strstr(error, wrong[_i].line) && strstr(error, wrong[_i].shown), "%s", error);
	ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

START_TEST(reports_a_file_of_types_that_cannot_be_read)
{
	struct pipit_media_types *media = NULL;
	ck_assert_int_eq(pipit_media_types_read("/nonexistent/types", &media, error, sizeof error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, "No such file"));
	ck_assert_int_eq(pipit_media_types_read("/", &media, error, sizeof error), -EISDIR);
	ck_assert_ptr_nonnull(strstr(error, "cannot be read: Is a directory; use a file of lines"));
	ck_assert_ptr_null(media);
}
END_TEST

START_TEST(knows_which_types_are_worth_compressing)
{
	static const char *const pays[] = { "text/html; charset=utf-8", "text/csv", "application/json", "image/svg+xml",
		"application/manifest+json; a=b", "application/wasm", "text/javascript; charset=utf-8", "font/ttf" };
	static const char *const does_not[] = { "image/png", "application/octet-stream", "application/gzip",
		"video/mp4", "font/woff2", "+json", "application/pdf", "", "json" };
	for (size_t i = 0; i < COUNT_OF(pays); i++)
		ck_assert_msg(pipit_media_types_is_compressible(pays[i]), "%s", pays[i]);
	for (size_t i = 0; i < COUNT_OF(does_not); i++)
		ck_assert_msg(!pipit_media_types_is_compressible(does_not[i]), "%s", does_not[i]);
}
END_TEST

START_TEST(tells_unknown_types_from_binary_ones)
{
	ck_assert(pipit_media_types_has(NULL, "x.bin"));
	ck_assert(pipit_media_types_has(NULL, "x.JS"));
	ck_assert(!pipit_media_types_has(NULL, "john.doe"));
	ck_assert(!pipit_media_types_has(NULL, "x."));
	ck_assert(!pipit_media_types_has(NULL, "x"));
}
END_TEST

START_TEST(knows_files_that_are_compressed_in_themselves)
{
	ck_assert(pipit_media_types_is_gzip("x.svgz"));
	ck_assert(pipit_media_types_is_gzip("docs/x.SVGZ"));
	ck_assert(!pipit_media_types_is_gzip("x.svg"));
	ck_assert(!pipit_media_types_is_gzip("x.gz"));
	ck_assert(!pipit_media_types_is_gzip("svgz"));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("media");
	TCase *types_case = tcase_create("types");
	tcase_add_loop_test(types_case, finds_media_types_by_file_extension, 0, COUNT_OF(types));
	tcase_add_test(types_case, reads_types_from_a_file_and_prefers_them);
	tcase_add_test(types_case, reads_extensions_of_up_to_15_characters);
	tcase_add_test(types_case, reads_hundreds_of_types);
	tcase_add_test(types_case, reads_a_file_without_types);
	tcase_add_loop_test(types_case, reports_the_line_of_an_error_in_a_file_of_types, 0, COUNT_OF(wrong));
	tcase_add_test(types_case, reports_a_file_of_types_that_cannot_be_read);
	tcase_add_test(types_case, knows_which_types_are_worth_compressing);
	tcase_add_test(types_case, tells_unknown_types_from_binary_ones);
	tcase_add_test(types_case, knows_files_that_are_compressed_in_themselves);
	suite_add_tcase(suite, types_case);
	return suite;
}

int main(void)
{
	return run_suite(make_suite());
}
