/* SPDX-License-Identifier: MIT */
#include "files/media_types.h"

#include "config/start_file.h"
#include "http/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct media_type {
	const char *extension;
	const char *type;
};

#define TEXT "; charset=utf-8"
#define BINARY "application/octet-stream"
#define EXTENSION_SIZE 16

/*
 * Sorted by extension. All of nginx's, and what else is common in Apache's, which Caddy reads; registered types before
 * others. JSON and XML need no charset (RFC 8259 §8.1, RFC 7303 §3).
 */
static const struct media_type media_types[] = {
	{ "3g2", "video/3gpp2" },
	{ "3gp", "video/3gpp" },
	{ "3gpp", "video/3gpp" },
	{ "7z", "application/x-7z-compressed" },
	{ "aac", "audio/aac" },
	{ "ai", "application/postscript" },
	{ "aif", "audio/x-aiff" },
	{ "aiff", "audio/x-aiff" },
	{ "amr", "audio/AMR" },
	{ "apk", "application/vnd.android.package-archive" },
	{ "apng", "image/apng" },
	{ "asf", "video/x-ms-asf" },
	{ "asx", "video/x-ms-asf" },
	{ "atom", "application/atom+xml" },
	{ "au", "audio/basic" },
	{ "avi", "video/x-msvideo" },
	{ "avif", "image/avif" },
	{ "bin", BINARY },
	{ "bmp", "image/bmp" },
	{ "bz2", "application/x-bzip2" },
	{ "c", "text/x-csrc" TEXT },
	{ "cab", "application/vnd.ms-cab-compressed" },
	{ "cbz", "application/vnd.comicbook+zip" },
	{ "cco", "application/x-cocoa" },
	{ "cer", "application/pkix-cert" },
	{ "cjs", "text/javascript" TEXT },
	{ "conf", "text/plain" TEXT },
	{ "cpp", "text/x-c++src" TEXT },
	{ "crl", "application/pkix-crl" },
	{ "crt", "application/x-x509-ca-cert" },
	{ "css", "text/css" TEXT },
	{ "csv", "text/csv" TEXT },
	{ "deb", "application/vnd.debian.binary-package" },
	{ "der", "application/x-x509-ca-cert" },
	{ "diff", "text/x-diff" TEXT },
	{ "dll", BINARY },
	{ "dmg", BINARY },
	{ "doc", "application/msword" },
	{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ "dtd", "application/xml-dtd" },
	{ "ear", "application/java-archive" },
	{ "eot", "application/vnd.ms-fontobject" },
	{ "eps", "application/postscript" },
	{ "epub", "application/epub+zip" },
	{ "exe", BINARY },
	{ "flac", "audio/flac" },
	{ "flv", "video/x-flv" },
	{ "geojson", "application/geo+json" },
	{ "gif", "image/gif" },
	{ "glb", "model/gltf-binary" },
	{ "gltf", "model/gltf+json" },
	{ "gpx", "application/gpx+xml" },
	{ "gz", "application/gzip" },
	{ "h", "text/x-chdr" TEXT },
	{ "heic", "image/heic" },
	{ "heif", "image/heif" },
	{ "hqx", "application/mac-binhex40" },
	{ "htc", "text/x-component" TEXT },
	{ "htm", "text/html" TEXT },
	{ "html", "text/html" TEXT },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "ics", "text/calendar" TEXT },
	{ "img", BINARY },
	{ "ini", "text/plain" TEXT },
	{ "iso", BINARY },
	{ "jad", "text/vnd.sun.j2me.app-descriptor" TEXT },
	{ "jar", "application/java-archive" },
	{ "jardiff", "application/x-java-archive-diff" },
	{ "jng", "image/x-jng" },
	{ "jnlp", "application/x-java-jnlp-file" },
	{ "jp2", "image/jp2" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript" TEXT },
	{ "json", "application/json" },
	{ "jsonl", "application/x-ndjson" },
	{ "jsonld", "application/ld+json" },
	{ "jxl", "image/jxl" },
	{ "kar", "audio/midi" },
	{ "kml", "application/vnd.google-earth.kml+xml" },
	{ "kmz", "application/vnd.google-earth.kmz" },
	{ "log", "text/plain" TEXT },
	{ "m2ts", "video/mp2t" },
	{ "m3u", "audio/mpegurl" },
	{ "m3u8", "application/vnd.apple.mpegurl" },
	{ "m4a", "audio/mp4" },
	{ "m4s", "video/iso.segment" },
	{ "m4v", "video/mp4" },
	{ "map", "application/json" },
	{ "md", "text/markdown" TEXT },
	{ "mid", "audio/midi" },
	{ "midi", "audio/midi" },
	{ "mjs", "text/javascript" TEXT },
	{ "mka", "audio/x-matroska" },
	{ "mkv", "video/x-matroska" },
	{ "mml", "text/mathml" TEXT },
	{ "mng", "video/x-mng" },
	{ "mov", "video/quicktime" },
	{ "mp2", "audio/mpeg" },
	{ "mp3", "audio/mpeg" },
	{ "mp4", "video/mp4" },
	{ "mpd", "application/dash+xml" },
	{ "mpeg", "video/mpeg" },
	{ "mpg", "video/mpeg" },
	{ "mpga", "audio/mpeg" },
	{ "msi", BINARY },
	{ "msm", BINARY },
	{ "msp", BINARY },
	{ "mts", "video/mp2t" },
	{ "ndjson", "application/x-ndjson" },
	{ "odg", "application/vnd.oasis.opendocument.graphics" },
	{ "odp", "application/vnd.oasis.opendocument.presentation" },
	{ "ods", "application/vnd.oasis.opendocument.spreadsheet" },
	{ "odt", "application/vnd.oasis.opendocument.text" },
	{ "oga", "audio/ogg" },
	{ "ogg", "audio/ogg" },
	{ "ogv", "video/ogg" },
	{ "opus", "audio/ogg" },
	{ "otf", "font/otf" },
	{ "p12", "application/pkcs12" },
	{ "patch", "text/x-diff" TEXT },
	{ "pdb", "application/x-pilot" },
	{ "pdf", "application/pdf" },
	{ "pem", "application/x-x509-ca-cert" },
	{ "pfx", "application/pkcs12" },
	{ "pl", "application/x-perl" },
	{ "pm", "application/x-perl" },
	{ "png", "image/png" },
	{ "ppt", "application/vnd.ms-powerpoint" },
	{ "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
	{ "prc", "application/x-pilot" },
	{ "ps", "application/postscript" },
	{ "psd", "image/vnd.adobe.photoshop" },
	{ "py", "text/x-python" TEXT },
	{ "ra", "audio/x-realaudio" },
	{ "rar", "application/vnd.rar" },
	{ "rdf", "application/rdf+xml" },
	{ "rpm", "application/x-redhat-package-manager" },
	{ "rss", "application/rss+xml" },
	{ "rtf", "application/rtf" },
	{ "run", "application/x-makeself" },
	{ "sea", "application/x-sea" },
	{ "sh", "text/x-sh" TEXT },
	{ "shtml", "text/html" TEXT },
	{ "sit", "application/x-stuffit" },
	{ "sql", "application/sql" },
	{ "sqlite", "application/vnd.sqlite3" },
	{ "srt", "text/plain" TEXT },
	{ "svg", "image/svg+xml" },
	{ "svgz", "image/svg+xml" },
	{ "swf", "application/x-shockwave-flash" },
	{ "tar", "application/x-tar" },
	{ "tcl", "application/x-tcl" },
	{ "tgz", "application/gzip" },
	{ "tif", "image/tiff" },
	{ "tiff", "image/tiff" },
	{ "tk", "application/x-tcl" },
	{ "toml", "application/toml" },
	{ "torrent", "application/x-bittorrent" },
	{ "ts", "video/mp2t" },
	{ "ttc", "font/collection" },
	{ "ttf", "font/ttf" },
	{ "ttl", "text/turtle" TEXT },
	{ "txt", "text/plain" TEXT },
	{ "vcf", "text/vcard" TEXT },
	{ "vtt", "text/vtt" TEXT },
	{ "war", "application/java-archive" },
	{ "wasm", "application/wasm" },
	{ "wav", "audio/wav" },
	{ "wbmp", "image/vnd.wap.wbmp" },
	{ "weba", "audio/webm" },
	{ "webm", "video/webm" },
	{ "webmanifest", "application/manifest+json" },
	{ "webp", "image/webp" },
	{ "wma", "audio/x-ms-wma" },
	{ "wml", "text/vnd.wap.wml" TEXT },
	{ "wmlc", "application/vnd.wap.wmlc" },
	{ "wmv", "video/x-ms-wmv" },
	{ "woff", "font/woff" },
	{ "woff2", "font/woff2" },
	{ "xhtml", "application/xhtml+xml" },
	{ "xls", "application/vnd.ms-excel" },
	{ "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
	{ "xml", "application/xml" },
	{ "xpi", "application/x-xpinstall" },
	{ "xsd", "application/xml" },
	{ "xsl", "application/xslt+xml" },
	{ "xslt", "application/xslt+xml" },
	{ "xspf", "application/xspf+xml" },
	{ "xz", "application/x-xz" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "zip", "application/zip" },
	{ "zst", "application/zstd" },
};

static int compare_extension(const void *extension, const void *entry)
{
	return strcmp(extension, ((const struct media_type *)entry)->extension);
}

/* Not tolower() or strcasecmp(): in a Turkish locale "GIF" is not "gif". */
static bool lower_extension(const char *name, char extension[EXTENSION_SIZE])
{
	const char *dot = strrchr(name, '.');
	if (!dot || strchr(dot, '/') || strlen(dot + 1) >= EXTENSION_SIZE)
		return false;
	size_t i = 0;
	for (const char *c = dot + 1; *c; c++)
		extension[i++] = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	extension[i] = '\0';
	return true;
}

static const char *find(const struct media_type *types, size_t count, const char *extension)
{
	const struct media_type *entry =
	    count ? bsearch(extension, types, count, sizeof *types, compare_extension) : NULL;
	return entry ? entry->type : NULL;
}

struct pipit_media_types {
	char *text;               /* owned; extensions point into it */
	struct media_type *types; /* owned, as each type; sorted by extension */
	size_t count, capacity;
};

struct reader {
	const char *name;
	size_t line;
	char *error;
	size_t size;
};

static int report(const struct reader *reader, int result, const char *shown, const char *what)
{
	snprintf(reader->error, reader->size, "%s:%zu: \"%.80s\" %s", reader->name, reader->line, shown, what);
	return result;
}

void pipit_media_types_free(struct pipit_media_types *media)
{
	if (!media)
		return;
	for (size_t i = 0; i < media->count; i++)
		free((char *)media->types[i].type);
	free(media->types);
	free(media->text);
	free(media);
}

static bool is_media_type(const char *text)
{
	size_t type = strcspn(text, "/"), subtype;
	if (text[type] != '/' || !pipit_guard_is_token((struct pipit_slice){ text, type }))
		return false;
	text += type + 1;
	subtype = strcspn(text, ";");
	if (!pipit_guard_is_token((struct pipit_slice){ text, subtype }))
		return false;
	for (text += subtype; *text; text++) {
		if (*text < '!' || *text > '~')
			return false;
	}
	return true;
}

static char *copy_type(const char *type)
{
	bool needs_charset = strncmp(type, "text/", 5) == 0 && !strchr(type, ';');
	size_t length = strlen(type);
	char *copy = malloc(length + sizeof TEXT);
	if (!copy)
		return NULL;
	memcpy(copy, type, length + 1);
	if (needs_charset)
		memcpy(copy + length, TEXT, sizeof TEXT);
	return copy;
}

/* The last line wins. */
static int add(struct pipit_media_types *media, const char *extension, const char *type)
{
	struct media_type *types = media->types;
	char *copy = copy_type(type);

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < media->count; i++) {
		if (strcmp(types[i].extension, extension) != 0)
			continue;
		free((char *)types[i].type);
		types[i].type = copy;
		return 0;
	}
	if (media->count == media->capacity) {
		size_t capacity = media->capacity ? 2 * media->capacity : 64;
		types = realloc(types, capacity * sizeof *types);
		if (!types) {
			free(copy);
			return -ENOMEM;
		}
		media->types = types;
		media->capacity = capacity;
	}
	types[media->count++] = (struct media_type){ extension, copy };
	return 0;
}

static int take_extension(
    struct pipit_media_types *media, const struct reader *reader, char *extension, const char *type)
{
	size_t length = strlen(extension);

	if (*extension == '.' || !pipit_guard_is_token((struct pipit_slice){ extension, length }))
		return report(reader, -EINVAL, extension,
		    "is not an extension; use letters and digits, without a dot before them");
	/* "cwl.json" in Debian's table: never looked up */
	if (length >= EXTENSION_SIZE || strchr(extension, '.'))
		return 0;
	for (char *c = extension; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	return add(media, extension, type) == 0 ? 0
						: report(reader, -ENOMEM, extension, "was not added: out of memory");
}

static int take_line(struct pipit_media_types *media, const struct reader *reader, char *line)
{
	static const char blanks[] = " \t\r";
	char *type, *extension;
	int result = 0;

	line[strcspn(line, "#")] = '\0';
	type = strtok_r(line, blanks, &line);
	if (!type)
		return 0;
	if (!is_media_type(type))
		return report(reader, -EINVAL, type, "is not a media type; use lines such as: text/html html htm");
	while (result == 0 && (extension = strtok_r(NULL, blanks, &line)))
		result = take_extension(media, reader, extension, type);
	return result;
}

static int compare_types(const void *one, const void *other)
{
	return strcmp(((const struct media_type *)one)->extension, ((const struct media_type *)other)->extension);
}

/* NULL, or why not. */
static const char *read_text(const char *name, char **text, size_t *length, int *result)
{
	const char *reason = NULL;
	FILE *file = pipit_start_file_open(name, &reason);
	size_t room = 0;
	ssize_t count;

	*result = -errno;
	if (!file)
		return reason;
	errno = 0;
	count = getdelim(text, &room, '\0', file);
	*result = ferror(file) ? -errno : count > 0 && !feof(file) ? -EILSEQ : 0;
	*length = count > 0 ? (size_t)count : 0;
	fclose(file);
	if (*result == 0)
		return NULL;
	return *result == -EILSEQ ? "it holds NUL bytes" : strerror(-*result);
}

int pipit_media_types_read(const char *name, struct pipit_media_types **media, char *error, size_t size)
{
	struct pipit_media_types *read = calloc(1, sizeof *read);
	struct reader reader = { name, 0, error, size };
	size_t length = 0;
	char *next, *line;
	int result = -ENOMEM;
	const char *reason = read ? read_text(name, &read->text, &length, &result) : strerror(ENOMEM);

	if (reason) {
		snprintf(error, size, "%s: cannot be read: %s; use a file of lines such as: text/html html htm", name,
		    reason);
		pipit_media_types_free(read);
		return result;
	}
	next = length ? read->text : NULL;
	while (result == 0 && (line = strsep(&next, "\n"))) {
		reader.line++;
		result = take_line(read, &reader, line);
	}
	if (result != 0) {
		pipit_media_types_free(read);
		return result;
	}
	if (read->count)
		qsort(read->types, read->count, sizeof *read->types, compare_types);
	*media = read;
	return 0;
}

/* NULL: unknown. */
static const char *find_type(const struct pipit_media_types *media, const char *name)
{
	char extension[EXTENSION_SIZE];
	const char *type = NULL;

	if (!lower_extension(name, extension))
		return NULL;
	if (media)
		type = find(media->types, media->count, extension);
	return type ? type : find(media_types, sizeof media_types / sizeof *media_types, extension);
}

const char *pipit_media_types_types_find(const struct pipit_media_types *media, const char *name)
{
	const char *type = find_type(media, name);
	return type ? type : BINARY;
}

bool pipit_media_types_has(const struct pipit_media_types *media, const char *name)
{
	return find_type(media, name) != NULL;
}

bool pipit_media_types_is_gzip(const char *name)
{
	char extension[EXTENSION_SIZE];
	return lower_extension(name, extension) && strcmp(extension, "svgz") == 0;
}

bool pipit_media_types_is_compressible(const char *type)
{
	static const char *const wholes[] = { "application/javascript", "application/json", "application/postscript",
		"application/rtf", "application/sql", "application/toml", "application/vnd.apple.mpegurl",
		"application/vnd.ms-fontobject", "application/wasm", "application/x-javascript", "application/x-ndjson",
		"application/xml", "application/yaml", "font/otf", "font/ttf", "image/bmp",
		"image/vnd.microsoft.icon" };
	size_t length = strcspn(type, "; ");

	if (strncmp(type, "text/", 5) == 0)
		return true;
	/* suffixes of RFC 6839 */
	if (length > 5 && memcmp(type + length - 5, "+json", 5) == 0)
		return true;
	if (length > 4 && memcmp(type + length - 4, "+xml", 4) == 0)
		return true;
	for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
		if (strlen(wholes[i]) == length && memcmp(wholes[i], type, length) == 0)
			return true;
	}
	return false;
}
