/* SPDX-License-Identifier: MIT */
/*
 * JSON text of a request.
 *
 * Promised: what is taken is printed and taken again as the same tree, to the last bit of a number; what is refused names a place within the
 * text; checking alone says what parsing says; a smaller depth limit refuses what is deeper, and nothing else.
 */
#include "fuzz.h"

#include "json.h"
#include "printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 64
#define SMALL_DEPTH 4

/* cJSON_Compare() takes the first of several members of one name; here order and repetition count. */
static bool same_tree(const cJSON *a, const cJSON *b)
{
	if ((a->type & 0xff) != (b->type & 0xff) || !a->string != !b->string)
		return false;
	if (a->string && strcmp(a->string, b->string) != 0)
		return false;
	if (cJSON_IsNumber(a) && a->valuedouble != b->valuedouble)
		return false;
	if (cJSON_IsString(a) && strcmp(a->valuestring, b->valuestring) != 0)
		return false;
	for (a = a->child, b = b->child; a && b; a = a->next, b = b->next) {
		if (!same_tree(a, b))
			return false;
	}
	return !a && !b;
}

/* cJSON would end a string there. A backslash stands in strings only, and may be escaped itself. */
static bool has_escaped_nul(const char *text, size_t length)
{
	for (size_t i = 0; i + 6 <= length; i++) {
		if (text[i] != '\\')
			continue;
		if (memcmp(text + i + 1, "u0000", 5) == 0)
			return true;
		i++;
	}
	return false;
}

static size_t depth_of(const cJSON *doc)
{
	size_t depth = 0;
	for (const cJSON *child = doc->child; child; child = child->next) {
		size_t one = depth_of(child);
		depth = one > depth ? one : depth;
	}
	return depth + (cJSON_IsObject(doc) || cJSON_IsArray(doc));
}

static void check_taken(const cJSON *doc)
{
	struct pipit_json_error error;
	struct pipit_printer text = pipit_printer_in(NULL, 0);
	cJSON *again = NULL;

	REQUIRE(depth_of(doc) <= DEPTH);
	REQUIRE(pipit_printer_print(&text, doc) == 0);
	REQUIRE(pipit_json_parse(text.bytes, text.length, DEPTH, &again, &error) == 0);
	REQUIRE(same_tree(doc, again));
	cJSON_Delete(again);
	pipit_printer_clear(&text);
}

static void check_refusal(const char *text, size_t length, const struct pipit_json_error *error)
{
	size_t line = 1, start = 0;

	REQUIRE(error->message && error->message[0]);
	REQUIRE(error->byte <= length);
	for (size_t i = 0; i < error->byte; i++) {
		bool is_first_of_two = text[i] == '\r' && i + 1 < length && text[i + 1] == '\n';
		if ((text[i] != '\n' && text[i] != '\r') || is_first_of_two)
			continue;
		line++;
		start = i + 1;
	}
	REQUIRE(error->line == line);
	REQUIRE(error->column == error->byte - start + 1);
}

static void check_depth(const char *text, size_t length, const cJSON *doc)
{
	struct pipit_json_error error;
	bool is_taken = pipit_json_check(text, length, SMALL_DEPTH, &error) == 0;
	if (doc)
		REQUIRE(is_taken == (depth_of(doc) <= SMALL_DEPTH));
	else
		REQUIRE(!is_taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipit_json_error error = { NULL, 0, 0, 0 }, check_error = { NULL, 0, 0, 0 };
	char *text = fuzz_copy(data, size);
	cJSON *doc = NULL;
	int result = pipit_json_parse(text, size, DEPTH, &doc, &error);

	REQUIRE(result == 0 || result == -EINVAL);
	REQUIRE(pipit_json_check(text, size, DEPTH, &check_error) == result);
	REQUIRE((result == 0) == (doc != NULL));
	if (doc) {
		REQUIRE(!has_escaped_nul(text, size));
		check_taken(doc);
	} else {
		REQUIRE(error.message == check_error.message && error.byte == check_error.byte);
		check_refusal(text, size, &error);
	}
	check_depth(text, size, doc);
	cJSON_Delete(doc);
	free(text);
	return 0;
}
