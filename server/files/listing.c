/* SPDX-License-Identifier: MIT */
#include "files/listing.h"

#include "base/bytes.h"
#include "base/percent.h"
#include "pipit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct item {
	char *name;
	bool is_directory;
	bool is_link; /* its target may be outside the root */
	uint64_t size;
	time_t modified;
};

struct items {
	struct item *items;
	size_t count;
	bool has_more;
};

static void clear(struct items *items)
{
	for (size_t i = 0; i < items->count; i++)
		free(items->items[i].name);
	free(items->items);
}

static bool read_item(int directory, const char *name, struct item *item)
{
	struct stat status;
	if (name[0] == '.' || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode))
		return false;
	*item = (struct item){
		.is_directory = S_ISDIR(status.st_mode),
		.is_link = S_ISLNK(status.st_mode),
		.size = (uint64_t)status.st_size,
		.modified = status.st_mtime,
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

static bool read_items(DIR *directory, struct items *items)
{
	struct dirent *entry;
	items->items = malloc(PIPIT_LISTING_MAX * sizeof *items->items);
	if (!items->items)
		return false;
	while ((entry = readdir(directory))) {
		struct item *item = &items->items[items->count];
		if (items->count == PIPIT_LISTING_MAX) {
			items->has_more = true;
			break;
		}
		if (!read_item(dirfd(directory), entry->d_name, item))
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

static void print_date(FILE *out, time_t when)
{
	struct tm tm;
	char text[32] = "";
	if (gmtime_r(&when, &tm))
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	fputs(text, out);
}

static void print_row(FILE *out, const struct item *item)
{
	const char *slash = item->is_directory ? "/" : "";
	fputs("<tr><td><a href=\"./", out);
	print_encoded(out, item->name);
	fprintf(out, "%s\">", slash);
	print_html(out, item->name);
	fprintf(out, "%s</a></td><td>", slash);
	if (!item->is_directory && !item->is_link)
		fprintf(out, "%llu", (unsigned long long)item->size);
	fputs("</td><td>", out);
	if (!item->is_link)
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
		fprintf(out, "<p>The directory has more entries than the %d shown.</p>\n", PIPIT_LISTING_MAX);
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
		fprintf(out, ",\"type\":\"%s\"", item->is_directory ? "directory" : item->is_link ? "link" : "file");
		if (!item->is_link) {
			fputs(",\"modified\":\"", out);
			print_date(out, item->modified);
			fputc('"', out);
		}
		if (!item->is_directory && !item->is_link)
			fprintf(out, ",\"size\":%llu", (unsigned long long)item->size);
		fputc('}', out);
	}
	fputs("\n]\n", out);
}

char *pipit_listing_render(int fd, const char *path, bool json, size_t *length)
{
	struct items items = { 0 };
	DIR *directory = fdopendir(fd);
	char *text = NULL;
	FILE *out = NULL;

	if (!directory) {
		close(fd);
		return NULL;
	}
	if (read_items(directory, &items))
		out = open_memstream(&text, length);
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
