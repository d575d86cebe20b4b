/* SPDX-License-Identifier: MIT */
/*
 * JSON text of a request.
 *
 * Checked: accepted text is printed and parsed again as the same tree, to the last digit of a number, and is equal to itself;
 * an error has a position within the text, and a pointer; checking gives the same result as parsing, except for repeated names;
 * a smaller depth limit refuses deeper text and nothing else.
 */
#include "fuzz.h"

#include "pipit.h"
#include "json/equality.h"
#include "json/json.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 64
#define SMALL_DEPTH 4

static const struct pipit_json_limits usual = { DEPTH, 0 }, small = { SMALL_DEPTH, 0 };

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

/* cJSON would end a string there. A backslash occurs in strings only, and may itself be escaped. */
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
	struct pipit_printer text = pipit_printer_in(NULL, 0), text_again = pipit_printer_in(NULL, 0);
	cJSON *again = NULL;

	REQUIRE(depth_of(doc) <= DEPTH);
	REQUIRE(pipit_printer_print(&text, doc) == 0);
	REQUIRE(pipit_json_parse(text.bytes, text.length, &usual, &again, &error) == 0);
	REQUIRE(same_tree(doc, again));
	REQUIRE(pipit_json_equals(doc, again));
	REQUIRE(pipit_printer_print(&text_again, again) == 0);
	REQUIRE(text_again.length == text.length && memcmp(text_again.bytes, text.bytes, text.length) == 0);
	pipit_printer_clear(&text_again);
	cJSON_Delete(again);
	pipit_printer_clear(&text);
}

static void check_refusal(const char *text, size_t length, const struct pipit_json_error *error)
{
	size_t line = 1, start = 0;

	REQUIRE(error->message && error->message[0]);
	REQUIRE(error->byte <= length);
	REQUIRE(strlen(error->pointer) < sizeof error->pointer);
	REQUIRE(pipit_pointer_is_valid(pipit_slice_of(error->pointer)));
	REQUIRE(pipit_is_utf8(error->pointer, strlen(error->pointer)));
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

static void check_depth(const char *text, size_t length, size_t depth, bool is_syntax_right)
{
	struct pipit_json_error error;
	bool is_taken = pipit_json_check(text, length, &small, &error) == 0;
	REQUIRE(is_taken == (is_syntax_right && depth <= SMALL_DEPTH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipit_json_error error = { .message = NULL }, check_error = { .message = NULL };
	char *text = fuzz_copy(data, size);
	cJSON *doc = NULL;
	int result = pipit_json_parse(text, size, &usual, &doc, &error);
	int checked = pipit_json_check(text, size, &usual, &check_error);

	REQUIRE(result == 0 || result == -EINVAL);
	REQUIRE(checked == result || (checked == 0 && strstr(error.message, "twice")));
	REQUIRE((result == 0) == (doc != NULL));
	if (doc) {
		REQUIRE(!has_escaped_nul(text, size));
		check_taken(doc);
		check_depth(text, size, depth_of(doc), true);
	} else {
		REQUIRE(checked == 0 || (error.message == check_error.message && error.byte == check_error.byte &&
					    strcmp(error.pointer, check_error.pointer) == 0));
		check_refusal(text, size, &error);
	}
	if (checked != 0)
		check_depth(text, size, 0, false);
	cJSON_Delete(doc);
	free(text);
	return 0;
}
