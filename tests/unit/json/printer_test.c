/* SPDX-License-Identifier: MIT */
/* The text is that of cJSON, and is read back as the same document. */
#include "json/printer.h"

#include "comma_locale.h"
#include "suite.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* doc: taken. The text is freed by the caller. */
static char *print(const cJSON *doc)
{
	char small[16], *whole;
	struct pipit_printer text = pipit_printer_in(small, sizeof small);

	ck_assert_ptr_nonnull(doc);
	ck_assert_int_eq(pipit_printer_print(&text, doc), 0);
	whole = strndup(text.bytes, text.length);
	ck_assert_uint_eq(strlen(whole), text.length);
	pipit_printer_clear(&text);
	return whole;
}

static const char *const same[] = {
	"null",
	"true",
	"false",
	"0",
	"-1",
	"2147483647",
	"-2147483648",
	"2147483648",
	"999999999999999",
	"-999999999999999",
	"1e+15",
	"1e+20",
	"0.1",
	"1.5",
	"-0.25",
	"1e-07",
	"123456789.125",
	"\"\"",
	"\"text\"",
	"[]",
	"{}",
	"[1]",
	"[[],{}]",
	"[1,2,3]",
	"{\"a\":1}",
	"{\"a\":{\"b\":[true,null]},\"c\":\"d\"}",
	"\"\\\"\\\\/\\b\\f\\n\\r\\t\"",
	"\"\\u0001\\u001f\"",
	"\"01234567\\n9\"",
	"\"0123456\\n\"",
	"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"",
	"{\"\\n\":\"\\u000b\"}",
	"{\"\":\"\"}",
};

START_TEST(prints_like_cjson)
{
	cJSON *doc = cJSON_Parse(same[_i]);
	char *theirs = cJSON_PrintUnformatted(doc), *ours = print(doc);

	ck_assert_str_eq(ours, theirs);
	free(ours);
	cJSON_free(theirs);
	cJSON_Delete(doc);
}
END_TEST

/* One escaped byte at each place of strings of each length around eight. */
START_TEST(escapes_a_byte_at_each_place)
{
	static const char odd[] = { 1, 0x1f, '"', '\\', '\n', ' ', 0x7f, '\xff', '!', '[', ']', '#' };
	for (size_t length = 1; length <= 20; length++) {
		for (size_t at = 0; at < length; at++) {
			char string[32] = "", *theirs, *ours;
			cJSON *doc;
			memset(string, 'x', length);
			string[at] = odd[(length + at) % sizeof odd];
			doc = cJSON_CreateString(string);
			theirs = cJSON_PrintUnformatted(doc);
			ours = print(doc);
			ck_assert_str_eq(ours, theirs);
			free(ours);
			cJSON_free(theirs);
			cJSON_Delete(doc);
		}
	}
}
END_TEST

static void reads_back(double number)
{
	cJSON *doc = cJSON_CreateNumber(number);
	char *text = print(doc);
	ck_assert_msg(strtod(text, NULL) == number, "%.17g is printed as %s", number, text);
	ck_assert_uint_le(strlen(text), 24);
	free(text);
	cJSON_Delete(doc);
}

START_TEST(numbers_read_back_as_the_same_double)
{
	static const double numbers[] = { DBL_MAX, -DBL_MAX, DBL_MIN, 4.9e-324, 0.1 + 0.2, 1.0 / 3, 9007199254740991.0,
		9007199254740992.0, 9007199254740994.0, 1e15, 1e15 - 1, 1e15 + 1, -1e15, 1e16, 1.7976931348623155e308,
		5e-324, 100, 1e22, 1e23, 123456789012345680.0, 2147483648.0, -2147483649.0 };
	uint64_t dice = 20261126;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		reads_back(numbers[i]);
	for (unsigned i = 0; i < 100000; i++) {
		double number;
		dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(&number, &dice, sizeof number);
		if (isfinite(number))
			reads_back(number);
		reads_back((double)(dice >> (dice & 63)));
	}
}
END_TEST

/* Digits on both sides of the point, with zeros, some with more than 15 digits. */
START_TEST(prints_fractions_like_printf)
{
	uint64_t dice = 20261130;

	for (unsigned i = 0; i < 100000; i++) {
		char wanted[40];
		double number;
		cJSON *doc;
		char *text;
		dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		number = (double)(dice >> (14 + dice % 50)) / pow(10, (double)(dice >> 32 & 15));
		doc = cJSON_CreateNumber(i & 1 ? -number : number);
		text = print(doc);
		snprintf(wanted, sizeof wanted, "%1.15g", doc->valuedouble);
		if (strtod(wanted, NULL) != doc->valuedouble)
			snprintf(wanted, sizeof wanted, "%1.17g", doc->valuedouble);
		if (strcmp(text, wanted) != 0 && number != 0)
			ck_abort_msg("%s became %s", wanted, text);
		free(text);
		cJSON_Delete(doc);
	}
}
END_TEST

START_TEST(keeps_the_sign_of_zero)
{
	cJSON *doc = cJSON_CreateNumber(-0.0);
	char *text = print(doc);
	ck_assert_str_eq(text, "-0");
	free(text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(prints_nan_and_infinity_as_null)
{
	const double numbers[] = { NAN, INFINITY, -INFINITY };
	for (size_t i = 0; i < 3; i++) {
		cJSON *doc = cJSON_CreateNumber(numbers[i]);
		char *text = print(doc);
		ck_assert_str_eq(text, "null");
		free(text);
		cJSON_Delete(doc);
	}
}
END_TEST

/* In a locale where printf() writes a comma. */
START_TEST(the_locale_does_not_matter)
{
	cJSON *doc = cJSON_CreateNumber(1.5e-9);
	char *text;

	set_comma_locale();
	text = print(doc);
	ck_assert_str_eq(text, "1.5e-09");
	free(text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(prints_raw_items_unchanged)
{
	cJSON *doc = cJSON_CreateObject();
	char *text;
	cJSON_AddRawToObject(doc, "big", "9007199254740993");
	text = print(doc);
	ck_assert_str_eq(text, "{\"big\":9007199254740993}");
	free(text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(grows_to_any_size)
{
	cJSON *doc = cJSON_CreateArray();
	char *theirs, *ours;
	for (int i = 0; i < 20000; i++)
		cJSON_AddItemToArray(doc, i % 3 ? cJSON_CreateNumber(i / 8.0) : cJSON_CreateString("a\tb\"c"));
	theirs = cJSON_PrintUnformatted(doc);
	ours = print(doc);
	ck_assert_str_eq(ours, theirs);
	free(ours);
	cJSON_free(theirs);
	cJSON_Delete(doc);
}
END_TEST

static void is_refused(const cJSON *doc)
{
	char small[8];
	struct pipit_printer text = pipit_printer_in(small, sizeof small);
	ck_assert_int_eq(pipit_printer_print(&text, doc), -EINVAL);
	pipit_printer_clear(&text);
}

START_TEST(refuses_items_that_cannot_be_printed)
{
	cJSON without_type = { 0 }, raw = { .type = cJSON_Raw }, ring = { .type = cJSON_Array };
	is_refused(&without_type);
	is_refused(&raw);
	ring.child = &ring;
	is_refused(&ring);
}
END_TEST

START_TEST(prints_a_missing_string_as_empty)
{
	cJSON item = { .type = cJSON_String }, object = { .type = cJSON_Object, .child = &item };
	char *text = print(&object);
	ck_assert_str_eq(text, "{\"\":\"\"}");
	free(text);
}
END_TEST

/* --- printing in pieces ---------------------------------------------------------------------------------------------------------- */

static uint32_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % sides;
}

/* With texts longer than a piece, and all escaped characters. */
static cJSON *random_text(void)
{
	size_t length = roll(20) == 0 ? roll(60000) : roll(30);
	char *text = malloc(length + 1);
	cJSON *item;
	for (size_t i = 0; i < length; i++)
		text[i] = (char)(roll(4) == 0 ? 1 + roll(40) : 'a' + roll(26));
	text[length] = '\0';
	item = roll(9) == 0 ? cJSON_CreateRaw("[1, 2]") : cJSON_CreateString(text);
	free(text);
	return item;
}

static cJSON *random_value(unsigned depth)
{
	unsigned kind = roll(depth < 4 ? 5 : 3);
	cJSON *value;

	if (kind == 0)
		return cJSON_CreateNumber((double)roll(100000) / 16);
	if (kind == 1)
		return random_text();
	if (kind == 2)
		return roll(2) ? cJSON_CreateNull() : cJSON_CreateBool((int)roll(2));
	value = kind == 3 ? cJSON_CreateArray() : cJSON_CreateObject();
	for (unsigned i = roll(40); i > 0; i--) {
		if (kind == 3)
			cJSON_AddItemToArray(value, random_value(depth + 1));
		else
			cJSON_AddItemToObject(value, roll(2) ? "na\"me" : "", random_value(depth + 1));
	}
	return value;
}

START_TEST(prints_the_same_text_in_pieces)
{
	size_t pieces = 0;
	for (uint32_t seed = 1; seed <= 50; seed++) {
		static char room[PIPIT_PRINTER_PIECE_MIN + 5000];
		struct pipit_printing *printing;
		char *text, *at;
		size_t length, piece;
		cJSON *doc;

		dice = seed * 7919;
		doc = random_value(0);
		ck_assert_int_eq(pipit_printer_text(doc, &text, &length), 0);
		ck_assert_int_eq(pipit_printing_new(doc, &printing), 0);
		at = text;
		while ((piece = pipit_printing_next(printing, room, PIPIT_PRINTER_PIECE_MIN + roll(5000))) > 0) {
			ck_assert_uint_le(piece, length - (size_t)(at - text));
			ck_assert_mem_eq(at, room, piece);
			at += piece;
			pieces++;
		}
		ck_assert_ptr_eq(at, text + length);
		ck_assert_uint_eq(pipit_printing_next(printing, room, sizeof room), 0);
		pipit_printing_free(printing);
		free(text);
		cJSON_Delete(doc);
	}
	ck_assert_uint_gt(pieces, 100);
}
END_TEST

START_TEST(stops_at_the_limit)
{
	cJSON *doc = cJSON_CreateArray();
	struct pipit_printer text = pipit_printer_in(NULL, 0);

	for (int i = 0; i < 100; i++)
		cJSON_AddItemToArray(doc, cJSON_CreateString("0123456789"));
	text.limit = 1500;
	ck_assert_int_eq(pipit_printer_print(&text, doc), 0);
	pipit_printer_clear(&text);
	text.limit = 1000;
	ck_assert_int_eq(pipit_printer_print(&text, doc), -E2BIG);
	ck_assert_uint_lt(text.length, 1100);
	pipit_printer_clear(&text);
	cJSON_Delete(doc);
	doc = cJSON_CreateString("a text that is longer than that");
	text.limit = 10;
	ck_assert_int_eq(pipit_printer_print(&text, doc), -E2BIG);
	pipit_printer_clear(&text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(does_not_begin_what_cannot_be_printed)
{
	struct pipit_printing *printing;
	cJSON *doc = cJSON_CreateArray(), *item = cJSON_CreateNull(), *deep = cJSON_CreateArray();

	cJSON_AddItemToArray(doc, item);
	item->type = cJSON_Invalid;
	ck_assert_int_eq(pipit_printing_new(doc, &printing), -EINVAL);
	cJSON_Delete(doc);
	for (int i = 0; i < CJSON_NESTING_LIMIT; i++) {
		cJSON *outer = cJSON_CreateArray();
		cJSON_AddItemToArray(outer, deep);
		deep = outer;
	}
	ck_assert_int_eq(pipit_printing_new(deep, &printing), -EINVAL);
	cJSON_Delete(deep);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("printer");
	TCase *tcase = tcase_create("printer");

	tcase_add_loop_test(tcase, prints_like_cjson, 0, (int)(sizeof same / sizeof *same));
	tcase_add_test(tcase, escapes_a_byte_at_each_place);
	tcase_add_test(tcase, numbers_read_back_as_the_same_double);
	tcase_add_test(tcase, prints_fractions_like_printf);
	tcase_add_test(tcase, keeps_the_sign_of_zero);
	tcase_add_test(tcase, prints_nan_and_infinity_as_null);
	tcase_add_test(tcase, the_locale_does_not_matter);
	tcase_add_test(tcase, prints_raw_items_unchanged);
	tcase_add_test(tcase, grows_to_any_size);
	tcase_add_test(tcase, refuses_items_that_cannot_be_printed);
	tcase_add_test(tcase, prints_a_missing_string_as_empty);
	tcase_add_test(tcase, prints_the_same_text_in_pieces);
	tcase_add_test(tcase, stops_at_the_limit);
	tcase_add_test(tcase, does_not_begin_what_cannot_be_printed);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
