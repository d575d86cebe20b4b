/* SPDX-License-Identifier: MIT */
/*
 * Prints the CPU time that parsers take at their limits: the JSON parser, merge patches and JSON Patch, the guard, negotiation, ranges,
 * and listings. In nanoseconds per byte of all texts that a client chose (of a document and its patch, for example); for a listing, per
 * byte of the page. Inputs are the expensive ones of each algorithm.
 */
#include "files/files.h"
#include "files/listing.h"
#include "http/accept_header.h"
#include "http/content_coding.h"
#include "http/guard.h"
#include "http/ranges.h"
#include "json/json.h"
#include "json/patch.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* the daemon's defaults */
#define BODY_BYTES (1024 * 1024)
#define VALUES 100000
#define DEPTH 64
#define OPERATIONS 1000
#define FIELD_BYTES 8192
#define HEAD_BYTES 16384
#define FIELDS 100
#define ROUNDS 5
/* in a round, of what takes microseconds */
#define REPEATS 200
#define NAMES 100000

static const struct pipit_json_limits limits = { DEPTH, VALUES };
/* as the settings have it */
static const struct pipit_patch_limits patch_limits = { DEPTH, BODY_BYTES, OPERATIONS, .is_disposable = true };

struct text {
	char bytes[BODY_BYTES + 256];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	text->length +=
	    (size_t)vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format, arguments);
	va_end(arguments);
}

static void open_text(struct text *text, char bracket)
{
	text->length = 0;
	add(text, "%c", bracket);
}

/* Takes back the last comma. */
static void close_text(struct text *text, char bracket)
{
	text->length--;
	add(text, "%c", bracket);
}

static bool has_room(const struct text *text)
{
	return text->length < BODY_BYTES - 128;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static cJSON *parse(const struct text *text)
{
	struct pipit_json_error error;
	cJSON *doc = NULL;
	if (pipit_json_parse(text->bytes, text->length, &limits, &doc, &error) != 0)
		return NULL;
	return doc;
}

static void report(const char *name, size_t bytes, uint64_t least_ns, int result)
{
	printf("%-52s %9zu bytes %8.2f ms %7.1f ns/byte%s\n", name, bytes, (double)least_ns / 1e6,
	    (double)least_ns / (double)bytes, result == 0 ? "" : "  (refused)");
}

static void measure_parser(const char *name, const struct text *text)
{
	uint64_t least = UINT64_MAX;
	int result = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now_ns();
		cJSON *doc = parse(text);
		result = doc ? 0 : -1;
		cJSON_Delete(doc);
		if (now_ns() - start < least)
			least = now_ns() - start;
	}
	report(name, text->length, least, result);
}

typedef int change_function(cJSON **doc, struct pipit_slice pointer, const cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

static void measure_change(
    const char *name, change_function *function, const struct text *doc_text, const struct text *patch_text)
{
	uint64_t least = UINT64_MAX;
	struct pipit_patch_error error = { .message = "" };
	int result = 0;

	for (int i = 0; i < ROUNDS; i++) {
		cJSON *doc = parse(doc_text), *patch = parse(patch_text);
		uint64_t start = now_ns();
		if (!doc || !patch) {
			fprintf(stderr, "%s: beyond the limits\n", name);
			exit(1);
		}
		result = function(&doc, (struct pipit_slice){ "", 0 }, patch, &patch_limits, &error);
		if (now_ns() - start < least)
			least = now_ns() - start;
		cJSON_Delete(doc);
		cJSON_Delete(patch);
	}
	report(name, doc_text->length + patch_text->length, least, result);
	if (result != 0)
		printf("    %s\n", error.message);
}

/* --- inputs -------------------------------------------------------------------------------------------------------- */

static struct text doc, patch;

static void repeat(struct text *text, char bracket, const char *item, char closing, size_t count)
{
	open_text(text, bracket);
	for (size_t i = 0; i < count && has_room(text); i++)
		add(text, "%s,", item);
	close_text(text, closing);
}

/* Names in the order of `step`, which is prime to their number. */
static void put_names(struct text *text, const char *prefix, size_t count, size_t step)
{
	open_text(text, '{');
	for (size_t i = 0, number = 0; i < count && has_room(text); i++, number = (number + step) % count)
		add(text, "\"%s%zx\":1,", prefix, number);
	close_text(text, '}');
}

static void measure_parsers(void)
{
	static const char prefix[] = "a-name-that-all-of-them-have-in-common-at-its-beginning-and-is-quite-long-";

	repeat(&doc, '[', "1", ']', SIZE_MAX);
	measure_parser("parse [1,1,...] beyond the limit", &doc);
	repeat(&doc, '[', "1", ']', VALUES - 1);
	measure_parser("parse [1,1,...]", &doc);
	repeat(&doc, '[', "[]", ']', VALUES - 1);
	measure_parser("parse [[],[],...]", &doc);
	repeat(&doc, '[', "{\"\":1}", ']', VALUES / 2 - 1);
	measure_parser("parse [{\"\":1},...]", &doc);
	repeat(&doc, '[', "0.1", ']', VALUES - 1);
	measure_parser("parse [0.1,...]", &doc);
	repeat(&doc, '[', "1e-9", ']', VALUES - 1);
	measure_parser("parse [1e-9,...]", &doc);
	repeat(&doc, '[', "9007199254740993", ']', VALUES - 1);
	measure_parser("parse [9007199254740993,...]", &doc);
	repeat(&doc, '[', "123456789.12345678901234567890e-300", ']', VALUES - 1);
	measure_parser("parse long numbers", &doc);
	repeat(&doc, '[', "\"\\u00e9\"", ']', VALUES - 1);
	measure_parser("parse escapes", &doc);
	repeat(&doc, '[', "{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1}", ']', VALUES / 9 - 1);
	measure_parser("parse objects of 8 members", &doc);
	repeat(&doc, '[', "{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1}", ']',
	    VALUES / 10 - 1);
	measure_parser("parse objects of 9 members", &doc);
	put_names(&doc, "", VALUES - 1, 1);
	measure_parser("parse one object, sorted names", &doc);
	put_names(&doc, "", VALUES - 1, 50021);
	measure_parser("parse one object, scattered names", &doc);
	put_names(&doc, prefix, 10000, 7);
	measure_parser("parse one object, long names", &doc);
	open_text(&doc, '"');
	while (has_room(&doc))
		add(&doc, "\\n");
	add(&doc, "\"");
	measure_parser("parse a string of escapes", &doc);
	open_text(&doc, '[');
	while (has_room(&doc))
		add(&doc, "1");
	add(&doc, "]");
	measure_parser("parse a number beyond double", &doc);
	open_text(&doc, '[');
	add(&doc, "0.");
	while (has_room(&doc))
		add(&doc, "1");
	add(&doc, "]");
	measure_parser("parse a number of a million digits", &doc);
}

static void measure_merges(void)
{
	put_names(&doc, "", VALUES - 1, 1);
	put_names(&patch, "", VALUES - 1, 50021);
	measure_change("merge an object into the same, scattered", pipit_patch_merge, &doc, &patch);
	repeat(&doc, '{', "\"a\":1", '}', 1);
	measure_change("merge new members", pipit_patch_merge, &doc, &patch);
	put_names(&doc, "", VALUES - 1, 1);
	repeat(&patch, '{', "\"a\":{}", '}', 1);
	measure_change("merge one member", pipit_patch_merge, &doc, &patch);
	open_text(&patch, '[');
	for (size_t i = 0; i < VALUES / 3 - 1 && has_room(&patch); i++)
		add(&patch, "{\"a\":{}},");
	close_text(&patch, ']');
	repeat(&doc, '{', "\"a\":1", '}', 1);
	measure_change("merge an array of objects", pipit_patch_merge, &doc, &patch);
	open_text(&patch, '{');
	for (size_t i = 0; i < VALUES / 2 - 1 && has_room(&patch); i++)
		add(&patch, "\"%zx\":{\"\":1},", i);
	close_text(&patch, '}');
	measure_change("merge small objects", pipit_patch_merge, &doc, &patch);
}

static void put_operations(const char *format, size_t first, size_t step)
{
	open_text(&patch, '[');
	for (size_t i = 0; i < OPERATIONS; i++)
		add(&patch, format, first + i * step, first + i * step), add(&patch, ",");
	close_text(&patch, ']');
}

static void put_array(void)
{
	open_text(&doc, '{');
	add(&doc, "\"b\":{},\"a\":[");
	for (size_t i = 0; i < VALUES - 10; i++)
		add(&doc, "1,");
	close_text(&doc, ']');
	add(&doc, "}");
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
static void measure_patches(void)
{
	put_array();
	put_operations("{\"op\":\"replace\",\"path\":\"/a/%zu\",\"value\":0}", 98000, 1);
	measure_change("patch: replace at the end of an array", pipit_patch_apply, &doc, &patch);
	put_operations("{\"op\":\"replace\",\"path\":\"/a/%zu\",\"value\":0}", 60, 97);
	measure_change("patch: replace all over an array", pipit_patch_apply, &doc, &patch);
	put_operations("{\"op\":\"add\",\"path\":\"/a/%zu\",\"value\":0}", 50000, 0);
	measure_change("patch: insert at one place", pipit_patch_apply, &doc, &patch);
	put_operations("{\"op\":\"remove\",\"path\":\"/a/%zu\"}", 98000, 0);
	measure_change("patch: remove at one place", pipit_patch_apply, &doc, &patch);
	open_text(&patch, '[');
	for (size_t i = 0; i < OPERATIONS / 2; i++)
		add(&patch, "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b/a\"},{\"op\":\"move\",\"from\":\"/b/"
			    "a\",\"path\":\"/a\"},");
	close_text(&patch, ']');
	measure_change("patch: move a large array deeper and back", pipit_patch_apply, &doc, &patch);
	open_text(&patch, '[');
	for (size_t i = 0; i < OPERATIONS; i++)
		add(&patch, "{\"op\":\"test\",\"path\":\"\",\"value\":{}},");
	close_text(&patch, ']');
	measure_change("patch: test against a small value", pipit_patch_apply, &doc, &patch);
	put_names(&doc, "", VALUES - 1, 1);
	put_operations("{\"op\":\"replace\",\"path\":\"/%zx\",\"value\":0}", 98000, 1);
	measure_change("patch: replace members", pipit_patch_apply, &doc, &patch);
	put_operations("{\"op\":\"remove\",\"path\":\"/%zx\"}", 98000, 1);
	measure_change("patch: remove members", pipit_patch_apply, &doc, &patch);
	put_operations("{\"op\":\"add\",\"path\":\"/x%zx\",\"value\":0}", 1, 1);
	measure_change("patch: add members", pipit_patch_apply, &doc, &patch);
	put_operations(
	    "{\"op\":\"add\",\"path\":\"/~0a-name-that-no-member-of-this-object-has-and-is-escaped%zx\",\"value\":0}",
	    1, 1);
	measure_change("patch: add members with escaped names", pipit_patch_apply, &doc, &patch);
	open_text(&patch, '[');
	add(&patch, "{\"op\":\"test\",\"path\":\"\",\"value\":");
	open_text(&doc, '{');
	for (size_t i = 0; i < VALUES - 10; i++)
		add(&doc, "\"%zx\":1,", i);
	close_text(&doc, '}');
	add(&patch, "{");
	for (size_t i = VALUES - 10; i-- > 0 && has_room(&patch);)
		add(&patch, "\"%zx\":1,", i);
	close_text(&patch, '}');
	add(&patch, "}]");
	measure_change("patch: test of a reversed object", pipit_patch_apply, &doc, &patch);
	repeat(&doc, '[', "1", ']', VALUES - 10);
	open_text(&patch, '[');
	add(&patch, "{\"op\":\"test\",\"path\":\"\",\"value\":");
	memcpy(patch.bytes + patch.length, doc.bytes, doc.length);
	patch.length += doc.length;
	add(&patch, "}]");
	measure_change("patch: test of an array of numbers", pipit_patch_apply, &doc, &patch);
}

/* --- heads --------------------------------------------------------------------------------------------------------- */

static volatile unsigned sink;

static struct pipit_guard_head head;

/* Guard limits of the daemon. False: refused. */
static bool read_head(const struct text *text)
{
	static const struct pipit_guard_limits guard_limits = { .max_target_bytes = 8192,
		.max_head_bytes = HEAD_BYTES,
		.max_field_bytes = FIELD_BYTES,
		.max_fields = FIELDS };
	size_t checked = 0, consumed;
	enum pipit_refusal reason;
	return pipit_guard_head(text->bytes, text->length, &checked, &guard_limits, &head, &consumed, &reason) ==
	       PIPIT_GUARD_PASS;
}

static void judge(const struct text *text)
{
	sink = read_head(text);
}

static void negotiate(const struct text *text)
{
	static const char *const types[] = { "application/json", "text/html", "text/plain" };
	(void)text;
	sink = pipit_accept_header_prefers_html(&head) + (unsigned)pipit_accept_header_choose(&head, types, 3);
}

static void choose_coding(const struct text *text)
{
	struct pipit_content_codings codings = pipit_content_coding_read(&head);
	(void)text;
	sink = pipit_content_coding_choose(&codings, 15);
}

static void read_ranges(const struct text *text)
{
	const struct pipit_guard_field *field = pipit_guard_find(&head, "Range");
	struct pipit_range ranges[PIPIT_RANGES_MAX];
	size_t count;
	(void)text;
	if (field)
		sink = pipit_ranges_parse(
		    pipit_guard_slice(&head, field->value, field->value_length), UINT64_C(1) << 40, ranges, &count);
}

static void measure_head(const char *name, void (*function)(const struct text *text), const struct text *text)
{
	uint64_t least = UINT64_MAX;
	bool passes = read_head(text);

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now_ns();
		for (int j = 0; j < REPEATS; j++)
			function(text);
		if (now_ns() - start < least)
			least = now_ns() - start;
	}
	report(name, text->length, least / REPEATS, passes ? 0 : -1);
}

/* Headers of this name with as many items as fit: one long one if is_single, else as many as there may be. */
static void put_head(const char *field, const char *item, bool is_single)
{
	size_t of_field = is_single ? FIELD_BYTES : HEAD_BYTES / FIELDS;

	doc.length = 0;
	add(&doc, "GET / HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < (is_single ? 1 : FIELDS - 1); i++) {
		size_t start = doc.length;
		if (doc.length + of_field > HEAD_BYTES - 8)
			break;
		add(&doc, "%s: ", field);
		if (strcmp(field, "Range") == 0)
			add(&doc, "bytes=");
		while (doc.length - start + strlen(item) + 4 < of_field)
			add(&doc, "%s", item);
		add(&doc, "\r\n");
	}
	add(&doc, "\r\n");
}

static void measure_heads(void)
{
	static const struct {
		const char *name, *field, *item;
		void (*function)(const struct text *text);
	} heads[] = {
		{ "guard: one header", "A", "x", judge },
		{ "guard: many headers", "A", "x", judge },
		{ "Accept: ,", "Accept", ",", negotiate },
		{ "Accept: , with spaces", "Accept", " ,", negotiate },
		{ "Accept: a/b", "Accept", "a/b,", negotiate },
		{ "Accept: */*;q=0.001", "Accept", "*/*;q=0.001,", negotiate },
		{ "Accept: text/html;a=\"\\a\"", "Accept", "text/html;a=\"\\a\",", negotiate },
		{ "Accept: parameters", "Accept", "*/*;a=b;a=b;a=b;a=b;q=1,", negotiate },
		{ "Accept-Encoding: ,", "Accept-Encoding", ",", choose_coding },
		{ "Accept-Encoding: *", "Accept-Encoding", "*,", choose_coding },
		{ "Accept-Encoding: identity;q=0.1", "Accept-Encoding", "identity;q=0.1,", choose_coding },
	};
	static const char *const ranges[] = { "0-0,", "-1,", "9-,", "5-6, 7-8," };

	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char name[80];
		for (int is_single = 0; is_single < 2; is_single++) {
			snprintf(name, sizeof name, "%s (%s)", heads[i].name, is_single ? "one header" : "99 headers");
			put_head(heads[i].field, heads[i].item, is_single);
			measure_head(name, heads[i].function, &doc);
		}
	}
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		char name[80];
		snprintf(name, sizeof name, "Range: %s", ranges[i]);
		put_head("Range", ranges[i], true);
		measure_head(name, read_ranges, &doc);
	}
	doc.length = 0;
	add(&doc, "GET /");
	while (doc.length < 8192)
		add(&doc, "%%41");
	add(&doc, " HTTP/1.1\r\nHost: x\r\n\r\n");
	measure_head("guard: a target of escapes", judge, &doc);
	doc.length = 0;
	add(&doc, "GET / HTTP/1.1\r\nHost: ");
	while (doc.length < 250)
		add(&doc, "a.");
	add(&doc, "a\r\n");
	while (doc.length < HEAD_BYTES / 2)
		add(&doc,
		    "Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n");
	add(&doc, "\r\n");
	measure_head("guard: Connection: ,", judge, &doc);
	/* ranges that do not touch, in descending order, as many as are kept */
	doc.length = 0;
	add(&doc, "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=");
	for (unsigned i = 3 * PIPIT_RANGES_MAX; i > 0; i--)
		add(&doc, "%u-%u%s", i * 10, i * 10 + 11, i > 1 ? "," : "");
	add(&doc, "\r\n\r\n");
	measure_head("Range: as many as may be, merged", read_ranges, &doc);
}

/* --- listings ------------------------------------------------------------------------------------------------------ */

static void measure_listing(const char *name, const struct pipit_files *files, const char *folder, bool is_json)
{
	uint64_t least = UINT64_MAX;
	size_t length = 0;
	char *page = NULL;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now_ns();
		free(page);
		page = pipit_listing_render(files, open(folder, O_RDONLY | O_DIRECTORY), "/", is_json, &length);
		if (now_ns() - start < least)
			least = now_ns() - start;
	}
	report(name, length, least, page ? 0 : -1);
	free(page);
}

static void measure_listings(void)
{
	char folder[] = "/tmp/pipit-costs-XXXXXX", name[32];
	struct pipit_files *files;
	int fd;

	if (!mkdtemp(folder) || (fd = open(folder, O_RDONLY | O_DIRECTORY)) < 0 ||
	    pipit_files_open_root(folder, &files) != 0) {
		fprintf(stderr, "%s: cannot be used\n", folder);
		exit(1);
	}
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "<&%d", i);
		close(openat(fd, name, O_CREAT | O_WRONLY, 0644));
	}
	measure_listing("listing of 100,000 names, HTML", files, folder, false);
	measure_listing("listing of 100,000 names, JSON", files, folder, true);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "<&%d", i);
		unlinkat(fd, name, 0);
	}
	pipit_files_close_root(files);
	close(fd);
	rmdir(folder);
}

int main(void)
{
	measure_heads();
	measure_listings();
	measure_parsers();
	measure_merges();
	measure_patches();
	return 0;
}
