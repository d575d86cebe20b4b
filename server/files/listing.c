/* SPDX-License-Identifier: MIT */
#include "files/listing.h"

#include "base/bytes.h"
#include "base/percent.h"
#include "files/file_status.h"
#include "http/date.h"
#include "pipit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* looked at, hidden ones and devices too */
#define ENTRIES_MAX (2 * PIPIT_LISTING_MAX)
/* a link costs as much as ten files */
#define LINKS_MAX (PIPIT_LISTING_MAX / 10)

struct item {
	char *name;
	bool is_directory;
	uint64_t size;
	int64_t modified;
};

struct items {
	struct item *items;
	size_t count, looked_at, links;
	bool has_more;
};

struct place {
	const struct pipit_files *files;
	int directory;
	const char *path;
};

static void clear(struct items *items)
{
	for (size_t i = 0; i < items->count; i++)
		free(items->items[i].name);
	free(items->items);
}

/* The system call only where the mode leaves a doubt. */
static bool may_open(int directory, const char *name, const struct pipit_file_status *status)
{
	bool is_directory = S_ISDIR(status->mode);
	mode_t all = is_directory ? S_IXUSR | S_IXGRP | S_IXOTH : S_IRUSR | S_IRGRP | S_IROTH;
	return (status->mode & all) == all || faccessat(directory, name, is_directory ? X_OK : R_OK, 0) == 0;
}

/* A link is listed as what it leads to. */
static bool follow(const struct place *place, const char *name, struct pipit_file_status *status)
{
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s%s", place->path + 1, name) < (int)sizeof path &&
	       pipit_files_read_status(place->files, path, status);
}

/* False: it would not be served. */
static bool read_item(const struct place *place, const struct dirent *entry, struct items *items, struct item *item)
{
	const char *name = entry->d_name;
	struct pipit_file_status status;

	if (pipit_file_status_at(place->directory, name, AT_SYMLINK_NOFOLLOW, &status) != 0)
		return false;
	if (S_ISLNK(status.mode)) {
		if (items->links++ >= LINKS_MAX) {
			items->has_more = true;
			return false;
		}
		if (!follow(place, name, &status))
			return false;
	}
	if (!S_ISREG(status.mode) && !S_ISDIR(status.mode))
		return false;
	if (!may_open(place->directory, name, &status))
		return false;
	*item = (struct item){
		.is_directory = S_ISDIR(status.mode),
		.size = status.size,
		.modified = status.modified.second,
	};
	return true;
}

static int compare_items(const void *one, const void *other)
{
	const struct item *left = one, *right = other;
	if (left->is_directory != right->is_directory)
		return left->is_directory ? -1 : 1;
	return strcmp(left->name, right->name);
}

static bool read_items(const struct place *place, DIR *directory, struct items *items)
{
	struct dirent *entry;
	items->items = malloc(PIPIT_LISTING_MAX * sizeof *items->items);
	if (!items->items)
		return false;
	while ((entry = readdir(directory))) {
		struct item *item = &items->items[items->count];
		bool is_hidden = entry->d_name[0] == '.';
		if ((!is_hidden && items->count == PIPIT_LISTING_MAX) || items->looked_at++ == ENTRIES_MAX) {
			items->has_more = true;
			break;
		}
		if (is_hidden || !read_item(place, entry, items, item))
			continue;
		item->name = strdup(entry->d_name);
		if (!item->name)
			return false;
		items->count++;
	}
	qsort(items->items, items->count, sizeof *items->items, compare_items);
	return true;
}

static void print_html(FILE *out, const char *text)
{
	for (; *text; text++) {
		const char *escape = pipit_bytes_html_escape(*text);
		if (escape)
			fputs(escape, out);
		else
			fputc(*text, out);
	}
}

/* Only unreserved characters (RFC 3986 §2.3): no name ends the attribute or starts a query. */
static void print_encoded(FILE *out, const char *text)
{
	char encoded[3 * NAME_MAX];
	char *end = pipit_percent_encode(encoded, encoded + sizeof encoded, pipit_slice_of(text), "");
	fwrite(encoded, 1, (size_t)(end - encoded), out);
}

static void print_date(FILE *out, int64_t when)
{
	char date[PIPIT_DATE_ISO_SIZE];
	pipit_date_print_iso(when, date);
	fputs(date, out);
}

static void print_row(FILE *out, const struct item *item)
{
	const char *slash = item->is_directory ? "/" : "";
	fputs("<tr><td><a href=\"./", out);
	print_encoded(out, item->name);
	fprintf(out, "%s\">", slash);
	print_html(out, item->name);
	fprintf(out, "%s</a></td><td>", slash);
	if (!item->is_directory)
		fprintf(out, "%llu", (unsigned long long)item->size);
	fputs("</td><td>", out);
	print_date(out, item->modified);
	fputs("</td></tr>\n", out);
}

static void print_page(FILE *out, const char *path, const struct items *items)
{
	fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
	    out);
	print_html(out, path);
	fputs("</title>\n<h1>", out);
	print_html(out, path);
	fputs("</h1>\n<table>\n<tr><th>Name</th><th>Bytes</th><th>Modified</th></tr>\n", out);
	if (strcmp(path, "/") != 0)
		fputs("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n", out);
	for (size_t i = 0; i < items->count; i++)
		print_row(out, &items->items[i]);
	fputs("</table>\n", out);
	if (items->has_more)
		fprintf(out, "<p>The directory has more entries; %zu are shown.</p>\n", items->count);
	fputs("</html>\n", out);
}

/* Bytes that are not UTF-8 become U+FFFD. */
static void print_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text) {
		unsigned char c = (unsigned char)*text;
		size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (strnlen(text, length) < length || !pipit_is_utf8(text, length)) {
			fputs("\\ufffd", out);
			length = 1;
		} else if (c < 0x20 || c == '"' || c == '\\') {
			fprintf(out, "\\u%04x", c);
		} else {
			fwrite(text, 1, length, out);
		}
		text += length;
	}
	fputc('"', out);
}

static void print_json(FILE *out, const struct items *items)
{
	fputc('[', out);
	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->items[i];
		fputs(i ? ",\n{\"name\":" : "\n{\"name\":", out);
		print_json_text(out, item->name);
		fprintf(out, ",\"type\":\"%s\",\"modified\":\"", item->is_directory ? "directory" : "file");
		print_date(out, item->modified);
		fputc('"', out);
		if (!item->is_directory)
			fprintf(out, ",\"size\":%llu", (unsigned long long)item->size);
		fputc('}', out);
	}
	fputs("\n]\n", out);
}

char *pipit_listing_render(const struct pipit_files *files, int fd, const char *path, bool json, size_t *length)
{
	const struct place place = { files, fd, path };
	struct items items = { 0 };
	DIR *directory = fdopendir(fd);
	char *text = NULL;
	FILE *out = NULL;

	if (!directory) {
		close(fd);
		return NULL;
	}
	if (read_items(&place, directory, &items))
		out = open_memstream(&text, length);
	/* this thread's alone */
	if (out)
		__fsetlocking(out, FSETLOCKING_BYCALLER);
	if (out && json)
		print_json(out, &items);
	else if (out)
		print_page(out, path, &items);
	if (out && fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	clear(&items);
	closedir(directory);
	return text;
}
