/* SPDX-License-Identifier: MIT */
/*
 * Prints the CPU time that the parser, merge patches and JSON Patch take at their limits: nanoseconds per byte of
 * all texts that a client chose, the document and the patch. Inputs are the expensive ones of each algorithm.
 */
#include "json/json.h"
#include "json/patch.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* the daemon's defaults */
#define BODY_BYTES (1024 * 1024)
#define VALUES 100000
#define DEPTH 64
#define OPERATIONS 1000
#define ROUNDS 5

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

int main(void)
{
	measure_parsers();
	measure_merges();
	measure_patches();
	return 0;
}
