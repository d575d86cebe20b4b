/* SPDX-License-Identifier: MIT */
/* Dates of HTTP in their three forms. Input ends directly before an inaccessible page. */
#include "http/date.h"

#include "guarded.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

/* The functions stop at the NUL. */
static const char *guard_string(const char *text)
{
	size_t size = strlen(text) + 1;
	return guarded_copy(text, size);
}

static const struct {
	time_t when;
	const char *text;
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
	{ 784111777, DATE },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
	{ 1709251199, "Thu, 29 Feb 2024 23:59:59 GMT" },
	{ 1735689599, "Tue, 31 Dec 2024 23:59:59 GMT" },
	{ 1735689600, "Wed, 01 Jan 2025 00:00:00 GMT" },
	{ 2147483647, "Tue, 19 Jan 2038 03:14:07 GMT" },
	{ 2147483648, "Tue, 19 Jan 2038 03:14:08 GMT" },
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
};

START_TEST(writes_a_date_and_reads_it_again)
{
	char *date = guarded_room(PIPIT_DATE_SIZE);

	pipit_date_print(dates[_i].when, date);
	ck_assert_str_eq(date, dates[_i].text);
	ck_assert_int_eq(pipit_date_parse(date), dates[_i].when);
}
END_TEST

START_TEST(writes_and_reads_every_month_and_weekday)
{
	for (time_t when = 1700000000; when < 1700000000 + 366 * 86400; when += 86400) {
		char date[PIPIT_DATE_SIZE], expected[64];
		struct tm tm;
		gmtime_r(&when, &tm);
		strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		pipit_date_print(when, date);
		ck_assert_str_eq(date, expected);
		ck_assert_int_eq(pipit_date_parse(date), when);
	}
}
END_TEST

static const struct {
	const char *text;
	time_t when;
} read_dates[] = {
	{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 }, { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
	{ "Sun Nov  6 08:49:37 1994", 784111777 }, { "Wednesday, 30-Jun-04 00:00:00 GMT", 1088553600 },
	{ "Wed Jun 30 00:00:00 2004", 1088553600 }, { "Fri, 30 Jun 1972 23:59:60 GMT", 78796800 }, /* a leap second */
};

START_TEST(reads_a_date_in_all_three_formats)
{
	ck_assert_int_eq(pipit_date_parse(guard_string(read_dates[_i].text)), read_dates[_i].when);
}
END_TEST

static int year_of(time_t when)
{
	struct tm tm;
	return gmtime_r(&when, &tm)->tm_year + 1900;
}

/* More than fifty years ahead means the last century with such a year. */
START_TEST(reads_a_two_digit_year_as_at_most_fifty_years_ahead)
{
	int now = year_of(time(NULL));
	char text[64];

	for (int ahead = -48; ahead < 50; ahead++) {
		snprintf(text, sizeof text, "Monday, 01-Jan-%02d 00:00:00 GMT", (now + ahead) % 100);
		ck_assert_msg(year_of(pipit_date_parse(text)) == now + ahead,
		    "%s is taken for %d instead of %d", text, year_of(pipit_date_parse(text)),
		    now + ahead);
	}
}
END_TEST

static const char *const bad_dates[] = { "Fri, 31 Dec 9999 23:59:60 GMT", "Wed,01 Jan 2020 00:00:00 GMT",
	"X, 01 Jan 2020 00:00:00 GMT", "Wed, 1 Jan 2020 00:00:00 GMT", "Wed, 01 Jan 2020 0:0:0 GMT",
	"Wed, 01  Jan 2020 00:00:00 GMT", "Wed, +1 Jan 2020 00:00:00 GMT", "Sun, 31 Feb 2021 00:00:00 GMT",
	"Wed, 01 Jan -200 00:00:00 GMT", "Wednesday, 01 Jan 2020 00:00:00 GMT", "Wed, 01-Jan-20 00:00:00 GMT",
	"Wednesday, 1-Jan-20 00:00:00 GMT", "Wed Jan 01 00:00:00 2020", "Wed Jan  1 00:00: 0 2020", "", " ", "0",
	"784111777", "yesterday", "Sun", "Sun,", "Sun, ", "Sun, 06", "Sun, 06 Nov", "Sun, 06 Nov 1994",
	"Sun, 06 Nov 1994 08:49", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 ",
	"Sun, 06 Nov 1994 08:49:37 GM", "Sun, 06 Nov 1994 08:49:37 GMT.", "Sun, 06 Nov 1994 08:49:37 GMT GMT",
	"Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 gmt",
	"Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 No 1994 08:49:37 GMT",
	"Sun, 06 November 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT",
	"Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 -1:49:37 GMT",
	"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:-1:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
	"Sun, 06 Nov 1994 08:49:-1 GMT", "Sun, 06 Nov 1994 08.49.37 GMT", "Sun, 006 Nov 1994 08:49:37 GMT",
	"Sun, 06 Nov 11994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
	"1994-11-06T08:49:37Z", "Sunday, 06-Nov-94 08:49:37", "Sunday, 06-Nov-94 08:49:37 EST",
	"Sunday, 06-Foo-94 08:49:37 GMT", "Sunday, 32-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
	"Sunday, 06-Nov-94 25:49:37 GMT", "Sun Nov  6 08:49:37", "Sun Nov  6 08:49:37 1994 GMT",
	"Sun Nov 32 08:49:37 1994", "Sun Foo  6 08:49:37 1994", "Sun Nov  6 08:49:37 1994x", "Sun Nov  6 08:49 1994",
	"%s%s%s%n" };

START_TEST(refuses_invalid_dates)
{
	time_t when = pipit_date_parse(guard_string(bad_dates[_i]));

	ck_assert_msg(when == -1, "\"%s\" is %lld", bad_dates[_i], (long long)when);
}
END_TEST

static TCase *create_cases(void)
{
	TCase *tests = tcase_create("dates");

	tcase_add_loop_test(tests, writes_a_date_and_reads_it_again, 0, COUNT(dates));
	tcase_add_test(tests, writes_and_reads_every_month_and_weekday);
	tcase_add_loop_test(tests, reads_a_date_in_all_three_formats, 0, COUNT(read_dates));
	tcase_add_test(tests, reads_a_two_digit_year_as_at_most_fifty_years_ahead);
	tcase_add_loop_test(tests, refuses_invalid_dates, 0, COUNT(bad_dates));
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("date");
	TCase *cases = create_cases();

	tcase_add_checked_fixture(cases, guarded_set_up, guarded_tear_down);
	suite_add_tcase(suite, cases);
	return run_suite(suite);
}
