/* SPDX-License-Identifier: MIT */
/*
 * Turns files of a directory into a table of struct pipit_page. ETags are checksums: builds are reproducible.
 *
 *     pipit-embed DIRECTORY OUTPUT.c
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16)
#define NAMES_MAX 4096
#define FILE_MAX (16 * 1024 * 1024)

/* below the directory, with a leading slash */
static char *names[NAMES_MAX];
static size_t name_count;

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "pipit-embed: %s: %s%s%s\n", name, what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

static void *allocate(size_t size)
{
	void *memory = malloc(size ? size : 1);
	if (!memory)
		fail("out of memory", "embed");
	return memory;
}

static char *join(const char *left, const char *right)
{
	char *joined = allocate(strlen(left) + strlen(right) + 1);
	strcpy(joined, left);
	return strcat(joined, right);
}

/* No dotfiles, which a site does not serve, and no editor backups. */
static int is_wanted(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && entry->d_name[length - 1] != '~';
}

/* below: "" or "/folder". */
static void collect(const char *root, const char *below)
{
	char *directory = join(root, below);
	struct dirent **entries;
	int count = scandir(directory, &entries, is_wanted, alphasort);

	if (count < 0)
		fail("cannot be read", directory);
	for (int i = 0; i < count; i++) {
		char *slash = join(below, "/"), *name = join(slash, entries[i]->d_name), *path = join(root, name);
		struct stat status;
		if (stat(path, &status) != 0)
			fail("cannot be read", path);
		if (S_ISDIR(status.st_mode))
			collect(root, name);
		else if (name_count == NAMES_MAX)
			fail("too many files", directory);
		else
			names[name_count++] = name;
		free(slash);
		free(path);
		free(entries[i]);
	}
	free(entries);
	free(directory);
}

static unsigned char *read_file(const char *path, size_t *length)
{
	unsigned char *bytes = allocate(FILE_MAX);
	FILE *file = fopen(path, "rb");

	if (!file)
		fail("cannot be read", path);
	*length = fread(bytes, 1, FILE_MAX, file);
	if (ferror(file) || *length == FILE_MAX)
		fail("cannot be read, or is larger than 16 MiB", path);
	fclose(file);
	return bytes;
}

/* NULL when it saves less than a tenth. */
static unsigned char *compress_gzip(const unsigned char *bytes, size_t length, size_t *compressed_length)
{
	z_stream stream = { 0 };
	unsigned char *compressed;

	if (deflateInit2(&stream, 9, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		fail("out of memory", "embed");
	compressed = allocate(deflateBound(&stream, length));
	stream.next_in = (Bytef *)bytes;
	stream.avail_in = (uInt)length;
	stream.next_out = compressed;
	stream.avail_out = (uInt)deflateBound(&stream, length);
	if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
		fail("cannot compress", "embed");
	*compressed_length = stream.total_out;
	deflateEnd(&stream);
	if (*compressed_length < length - length / 10)
		return compressed;
	free(compressed);
	return NULL;
}

static void print_bytes(FILE *out, const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		fprintf(out, "%s%u,", i % 24 ? "" : "\n\t", bytes[i]);
}

static void print_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			fprintf(out, "\\%03o", (unsigned)(unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

/* The content to `out`, its entry to `row`. */
static void print_page(FILE *out, FILE *row, const char *root, size_t number)
{
	char *path = join(root, names[number]);
	size_t length, compressed_length = 0;
	unsigned char *bytes = read_file(path, &length);
	unsigned char *compressed = length ? compress_gzip(bytes, length, &compressed_length) : NULL;
	size_t stored = compressed ? compressed_length : length;

	fprintf(out, "static const unsigned char content_%zu[] = {", number);
	print_bytes(out, compressed ? compressed : bytes, stored);
	fprintf(out, "%s};\n\n", stored ? "\n" : "0");
	fputs("\t{ .path = ", row);
	print_text(row, names[number]);
	fprintf(row, ",\n\t    .etag = \"\\\"%08lx-%08lx-%zx\\\"\",\n",
	    (unsigned long)crc32(crc32(0, NULL, 0), bytes, (uInt)length),
	    (unsigned long)adler32(adler32(0, NULL, 0), bytes, (uInt)length), length);
	fprintf(row, "\t    .content = content_%zu,\n\t    .length = %zu,\n\t    .plain_length = %zu },\n", number,
	    stored, compressed ? length : 0);
	free(bytes);
	free(compressed);
	free(path);
}

int main(int argc, char **argv)
{
	char *rows = NULL;
	size_t rows_length;
	FILE *out, *row = open_memstream(&rows, &rows_length);

	if (argc != 3 || !row) {
		fputs("usage: pipit-embed DIRECTORY OUTPUT.c\n", stderr);
		return 2;
	}
	errno = 0;
	collect(argv[1], "");
	out = fopen(argv[2], "w");
	if (!out)
		fail("cannot be written", argv[2]);
	fputs("/* Made by pipit-embed. */\n#include <pipit.h>\n\n"
	      "extern const struct pipit_page embedded_pages[];\nextern const size_t embedded_page_count;\n\n",
	    out);
	for (size_t i = 0; i < name_count; i++)
		print_page(out, row, argv[1], i);
	if (fclose(row) != 0)
		fail("out of memory", "embed");
	fprintf(out,
	    "const struct pipit_page embedded_pages[] = {\n%s%s};\n\nconst size_t embedded_page_count = %zu;\n", rows,
	    name_count ? "" : "\t{ .path = \"\" },\n", name_count);
	if (fclose(out) != 0)
		fail("cannot be written", argv[2]);
	while (name_count)
		free(names[--name_count]);
	free(rows);
	return 0;
}
