/* SPDX-License-Identifier: MIT */
/* What is printed is what cJSON prints, and reads back as what it was. */
#include "printer.h"

#include "suite.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of an own document; the text is freed by the caller. */
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

START_TEST(prints_what_cjson_prints)
{
	cJSON *doc = cJSON_Parse(same[_i]);
	char *theirs = cJSON_PrintUnformatted(doc), *ours = print(doc);

	ck_assert_str_eq(ours, theirs);
	free(ours);
	cJSON_free(theirs);
	cJSON_Delete(doc);
}
END_TEST

/* A string with one byte that is escaped, at every place of every length around eight. */
START_TEST(escapes_at_every_place)
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

START_TEST(the_sign_of_nothing_stays)
{
	cJSON *doc = cJSON_CreateNumber(-0.0);
	char *text = print(doc);
	ck_assert_str_eq(text, "-0");
	free(text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(what_is_no_number_becomes_null)
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

/* Where printf() writes a comma. */
START_TEST(the_locale_does_not_matter)
{
	static const char *const locales[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C" };
	size_t i = 0;
	cJSON *doc = cJSON_CreateNumber(1.5e-9);
	char *text;

	while (!setlocale(LC_NUMERIC, locales[i]))
		i++;
	text = print(doc);
	setlocale(LC_NUMERIC, "C");
	ck_assert_str_eq(text, "1.5e-09");
	free(text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(prints_raw_items_as_they_are)
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

START_TEST(refuses_what_has_no_text)
{
	cJSON without_type = { 0 }, raw = { .type = cJSON_Raw }, ring = { .type = cJSON_Array };
	is_refused(&without_type);
	is_refused(&raw);
	ring.child = &ring;
	is_refused(&ring);
}
END_TEST

START_TEST(a_string_that_is_not_there_is_empty)
{
	cJSON item = { .type = cJSON_String }, object = { .type = cJSON_Object, .child = &item };
	char *text = print(&object);
	ck_assert_str_eq(text, "{\"\":\"\"}");
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("printer");
	TCase *tcase = tcase_create("printer");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, prints_what_cjson_prints, 0, (int)(sizeof same / sizeof *same));
	tcase_add_test(tcase, escapes_at_every_place);
	tcase_add_test(tcase, numbers_read_back_as_the_same_double);
	tcase_add_test(tcase, the_sign_of_nothing_stays);
	tcase_add_test(tcase, what_is_no_number_becomes_null);
	tcase_add_test(tcase, the_locale_does_not_matter);
	tcase_add_test(tcase, prints_raw_items_as_they_are);
	tcase_add_test(tcase, grows_to_any_size);
	tcase_add_test(tcase, refuses_what_has_no_text);
	tcase_add_test(tcase, a_string_that_is_not_there_is_empty);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
