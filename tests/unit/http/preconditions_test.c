/* SPDX-License-Identifier: MIT */
/* Conditional requests: each header by itself, malformed ones, and their precedence. */
#include "http/preconditions.h"

#include "asked.h"
#include "http/date.h"
#include "suite.h"

#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* For a representation with the tag "a,b" and that time of modification. */
#define THEN "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define MODIFIED 784111777

#define GO PIPIT_PRECONDITIONS_GO_ON
#define SAME PIPIT_PRECONDITIONS_NOT_MODIFIED
#define FAILED PIPIT_PRECONDITIONS_FAILED

static const struct {
	const char *fields;
	enum pipit_preconditions_result result;
	bool ranges; /* count, on GO */
} cases[] = {
	{ "", GO, true },
	{ "Accept: */*\r\nIfx: 1\r\n", GO, true },

	{ "If-Match: \"a,b\"\r\n", GO, true },
	{ "If-Match: *\r\n", GO, true },
	{ "If-Match: \"x\", \"a,b\"\r\n", GO, true },
	{ "If-Match: ,\"x\",,\"a,b\",\r\n", GO, true },
	{ "If-Match: \"x\"\r\nIf-Match: \"a,b\"\r\n", GO, true },
	{ "If-Match: \"x\"\r\n", FAILED, false },
	{ "If-Match: \"a\", \"b\"\r\n", FAILED, false },
	{ "If-Match: W/\"a,b\"\r\n", FAILED, false },
	{ "If-Match: a,b\r\n", FAILED, false },
	{ "If-Match: \"a,b\r\n", FAILED, false },
	{ "If-Match:\r\n", FAILED, false },
	{ "If-Match: w/\"a,b\"\r\n", FAILED, false },
	{ "If-Match: \"x\" *\r\n", FAILED, false },

	{ "If-Unmodified-Since: " THEN "\r\n", GO, true },
	{ "If-Unmodified-Since: " LATER "\r\n", GO, true },
	{ "If-Unmodified-Since: " BEFORE "\r\n", FAILED, false },
	{ "If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT\r\n", FAILED, false },
	{ "If-Unmodified-Since: Sun Nov  6 08:49:36 1994\r\n", FAILED, false },
	{ "If-Unmodified-Since: Mon, 01 Jan 1601 00:00:00 GMT\r\n", FAILED, false },
	{ "If-Unmodified-Since: Wed, 31 Dec 1969 23:59:59 GMT\r\n", FAILED, false },
	{ "If-Unmodified-Since: Tue, 19 Jan 2038 03:14:08 GMT\r\n", GO, true },
	{ "If-Unmodified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n", GO, true },
	{ "If-Unmodified-Since: yesterday\r\n", GO, true },
	{ "If-Unmodified-Since: " BEFORE "\r\nIf-Unmodified-Since: " BEFORE "\r\n", GO, true },
	{ "If-Match: \"a,b\"\r\nIf-Unmodified-Since: " BEFORE "\r\n", GO, true },
	{ "If-Match: \"x\"\r\nIf-Unmodified-Since: " LATER "\r\n", FAILED, false },

	{ "If-None-Match: \"a,b\"\r\n", SAME, false },
	{ "If-None-Match: W/\"a,b\"\r\n", SAME, false },
	{ "If-None-Match: *\r\n", SAME, false },
	{ "If-None-Match: \"x\",W/\"a,b\"\r\n", SAME, false },
	{ "If-None-Match: \"x\"\r\n", GO, true },
	{ "If-None-Match: a,b\r\n", GO, true },
	{ "If-None-Match: \"x\r\n", GO, true },

	{ "If-Modified-Since: " THEN "\r\n", SAME, false },
	{ "If-Modified-Since: " LATER "\r\n", SAME, false },
	{ "If-Modified-Since: " BEFORE "\r\n", GO, true },
	{ "If-Modified-Since: Mon, 01 Jan 1601 00:00:00 GMT\r\n", GO, true },
	{ "If-Modified-Since: Wed, 31 Dec 1969 23:59:59 GMT\r\n", GO, true },
	{ "If-Modified-Since: Tue, 19 Jan 2038 03:14:08 GMT\r\n", SAME, false },
	{ "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n", SAME, false },
	{ "If-Modified-Since: never\r\n", GO, true },
	{ "If-None-Match: \"x\"\r\nIf-Modified-Since: " LATER "\r\n", GO, true },
	{ "If-None-Match: \"a,b\"\r\nIf-Modified-Since: " BEFORE "\r\n", SAME, false },
	{ "If-Match: \"x\"\r\nIf-None-Match: \"a,b\"\r\n", FAILED, false },
	{ "If-Match: \"a,b\"\r\nIf-None-Match: \"a,b\"\r\n", SAME, false },

	{ "If-Range: \"a,b\"\r\n", GO, true },
	{ "If-Range: W/\"a,b\"\r\n", GO, false },
	{ "If-Range: \"x\"\r\n", GO, false },
	{ "If-Range: \"a,b\", \"x\"\r\n", GO, false },
	{ "If-Range: *\r\n", GO, false },
	{ "If-Range: " THEN "\r\n", GO, true },
	{ "If-Range: " LATER "\r\n", GO, false },
	{ "If-Range: " BEFORE "\r\n", GO, false },
	{ "If-Range: \"a,b\"\r\nIf-Range: \"a,b\"\r\n", GO, false },
	{ "If-None-Match: \"x\"\r\nIf-Range: \"x\"\r\n", GO, false },
};

START_TEST(decides_in_the_order_of_precedence)
{
	const struct pipit_validators validators = { pipit_slice_of("\"a,b\""), MODIFIED, MODIFIED + 100 };
	bool ranges = false;
	enum pipit_preconditions_result result =
	    pipit_preconditions_check(asked(cases[_i].fields), &validators, &ranges);
	ck_assert_msg(result == cases[_i].result, "%s gives %d", cases[_i].fields, result);
	if (result == GO)
		ck_assert_msg(ranges == cases[_i].ranges, "%s", cases[_i].fields);
}
END_TEST

/* Ascending, and around the ends of 32 bits. */
static const struct {
	const char *date;
	int64_t seconds;
} moments[] = {
	{ "Sat, 01 Jan 0000 00:00:00 GMT", PIPIT_DATE_FIRST },
	{ "Mon, 01 Jan 1601 00:00:00 GMT", -11644473600 },
	{ "Mon, 01 Jan 1900 00:00:00 GMT", -2208988800 },
	{ "Fri, 13 Dec 1901 20:45:51 GMT", -2147483649 },
	{ "Fri, 13 Dec 1901 20:45:52 GMT", -2147483648 },
	{ "Wed, 31 Dec 1969 23:59:59 GMT", -1 },
	{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
	{ "Tue, 19 Jan 2038 03:14:07 GMT", 2147483647 },
	{ "Tue, 19 Jan 2038 03:14:08 GMT", 2147483648 },
	{ "Sun, 01 Jan 2045 00:00:00 GMT", 2366841600 },
	{ "Sun, 07 Feb 2106 06:28:16 GMT", 4294967296 },
	{ "Fri, 31 Dec 9999 23:59:59 GMT", PIPIT_DATE_LAST },
};

static enum pipit_preconditions_result check_date(const char *name, size_t date, size_t modified, bool *ranges)
{
	const struct pipit_validators validators = { { NULL, 0 }, moments[modified].seconds, INT64_MAX };
	char fields[64];
	snprintf(fields, sizeof fields, "%s: %s\r\n", name, moments[date].date);
	return pipit_preconditions_check(asked(fields), &validators, ranges);
}

START_TEST(compares_dates_of_all_years)
{
	size_t date = (size_t)_i;
	for (size_t modified = 0; modified < COUNT_OF(moments); modified++) {
		bool ranges;
		ck_assert_int_eq(
		    check_date("If-Modified-Since", date, modified, &ranges), modified <= date ? SAME : GO);
		ck_assert_int_eq(
		    check_date("If-Unmodified-Since", date, modified, &ranges), modified <= date ? GO : FAILED);
		ck_assert_int_eq(check_date("If-Range", date, modified, &ranges), GO);
		ck_assert_int_eq(ranges, modified == date);
	}
}
END_TEST

START_TEST(compares_weak_tags_as_weak)
{
	const struct pipit_validators validators = { pipit_slice_of("W/\"a\""), MODIFIED, MODIFIED + 100 };
	bool ranges;
	ck_assert_int_eq(pipit_preconditions_check(asked("If-Match: W/\"a\"\r\n"), &validators, &ranges), FAILED);
	ck_assert_int_eq(pipit_preconditions_check(asked("If-Match: \"a\"\r\n"), &validators, &ranges), FAILED);
	ck_assert_int_eq(pipit_preconditions_check(asked("If-None-Match: \"a\"\r\n"), &validators, &ranges), SAME);
	ck_assert_int_eq(pipit_preconditions_check(asked("If-Range: W/\"a\"\r\n"), &validators, &ranges), GO);
	ck_assert(!ranges);
}
END_TEST

START_TEST(ignores_conditions_on_validators_that_a_representation_lacks)
{
	const struct pipit_validators validators = { { NULL, 0 }, PIPIT_DATE_NONE, MODIFIED };
	bool ranges;
	ck_assert_int_eq(
	    pipit_preconditions_check(asked("If-Unmodified-Since: " BEFORE "\r\n"), &validators, &ranges), GO);
	ck_assert_int_eq(
	    pipit_preconditions_check(asked("If-Modified-Since: " LATER "\r\n"), &validators, &ranges), GO);
	ck_assert_int_eq(pipit_preconditions_check(asked("If-None-Match: \"\"\r\n"), &validators, &ranges), GO);
	ck_assert_int_eq(pipit_preconditions_check(asked("If-Match: \"\"\r\n"), &validators, &ranges), FAILED);
	ck_assert_int_eq(pipit_preconditions_check(asked("If-Range: \"\"\r\n"), &validators, &ranges), GO);
	ck_assert(!ranges);
}
END_TEST

#define EPOCH "Thu, 01 Jan 1970 00:00:00 GMT"
#define AFTER_EPOCH "Thu, 01 Jan 1970 00:00:01 GMT"

/* Files of images that are built reproducibly. */
static const struct {
	const char *fields;
	time_t modified;
	enum pipit_preconditions_result result;
	bool ranges;
} around_the_epoch[] = {
	{ "If-Modified-Since: " EPOCH "\r\n", 0, SAME, false },
	{ "If-Modified-Since: " EPOCH "\r\n", 1, GO, true },
	{ "If-Modified-Since: " AFTER_EPOCH "\r\n", 0, SAME, false },
	{ "If-Unmodified-Since: " EPOCH "\r\n", 0, GO, true },
	{ "If-Unmodified-Since: " EPOCH "\r\n", 1, FAILED, false },
	{ "If-Unmodified-Since: " AFTER_EPOCH "\r\n", 1, GO, true },
	{ "If-Range: " EPOCH "\r\n", 0, GO, true },
	{ "If-Range: " EPOCH "\r\n", 1, GO, false },
};

START_TEST(compares_the_first_second_of_1970)
{
	const struct pipit_validators validators = { { NULL, 0 }, around_the_epoch[_i].modified, MODIFIED };
	bool ranges = false;
	ck_assert_int_eq(pipit_preconditions_check(asked(around_the_epoch[_i].fields), &validators, &ranges),
	    around_the_epoch[_i].result);
	if (around_the_epoch[_i].result == GO)
		ck_assert_int_eq(ranges, around_the_epoch[_i].ranges);
}
END_TEST

/* Two writes in one second have the same date: it is no strong validator until the second is over (RFC 9110 §8.8.2.2). */
START_TEST(does_not_use_a_date_of_the_current_second_for_ranges)
{
	struct pipit_validators validators = { { NULL, 0 }, MODIFIED, MODIFIED };
	bool ranges = true;
	pipit_preconditions_check(asked("If-Range: " THEN "\r\n"), &validators, &ranges);
	ck_assert(!ranges);
	validators.now++;
	pipit_preconditions_check(asked("If-Range: " THEN "\r\n"), &validators, &ranges);
	ck_assert(ranges);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conditions");
	TCase *tests = tcase_create("conditions");
	tcase_add_loop_test(tests, decides_in_the_order_of_precedence, 0, COUNT_OF(cases));
	tcase_add_loop_test(tests, compares_dates_of_all_years, 0, COUNT_OF(moments));
	tcase_add_test(tests, compares_weak_tags_as_weak);
	tcase_add_test(tests, ignores_conditions_on_validators_that_a_representation_lacks);
	tcase_add_loop_test(tests, compares_the_first_second_of_1970, 0, COUNT_OF(around_the_epoch));
	tcase_add_test(tests, does_not_use_a_date_of_the_current_second_for_ranges);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
