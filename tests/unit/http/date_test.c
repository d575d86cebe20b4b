/* SPDX-License-Identifier: MIT */
/* Dates of HTTP in their three forms. Input ends directly before an inaccessible page. */
#include "http/date.h"

#include "guarded.h"
#include "suite.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

/* By another program: date -u -d 'DATE' +%s */
static const struct {
	int64_t when;
	const char *text, *iso;
} dates[] = {
	{ PIPIT_DATE_FIRST, "Sat, 01 Jan 0000 00:00:00 GMT", "0000-01-01T00:00:00Z" },
	{ -62162035201, "Tue, 29 Feb 0000 23:59:59 GMT", "0000-02-29T23:59:59Z" },
	{ -11644473600, "Mon, 01 Jan 1601 00:00:00 GMT", "1601-01-01T00:00:00Z" },
	{ -2208988800, "Mon, 01 Jan 1900 00:00:00 GMT", "1900-01-01T00:00:00Z" },
	{ -2203891200, "Thu, 01 Mar 1900 00:00:00 GMT", "1900-03-01T00:00:00Z" },
	{ -2147483649, "Fri, 13 Dec 1901 20:45:51 GMT", "1901-12-13T20:45:51Z" },
	{ -2147483648, "Fri, 13 Dec 1901 20:45:52 GMT", "1901-12-13T20:45:52Z" },
	{ -1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z" },
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z" },
	{ 784111777, DATE, "1994-11-06T08:49:37Z" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z" },
	{ 1709251199, "Thu, 29 Feb 2024 23:59:59 GMT", "2024-02-29T23:59:59Z" },
	{ 1735689599, "Tue, 31 Dec 2024 23:59:59 GMT", "2024-12-31T23:59:59Z" },
	{ 1735689600, "Wed, 01 Jan 2025 00:00:00 GMT", "2025-01-01T00:00:00Z" },
	{ 2147483646, "Tue, 19 Jan 2038 03:14:06 GMT", "2038-01-19T03:14:06Z" },
	{ 2147483647, "Tue, 19 Jan 2038 03:14:07 GMT", "2038-01-19T03:14:07Z" },
	{ 2147483648, "Tue, 19 Jan 2038 03:14:08 GMT", "2038-01-19T03:14:08Z" },
	{ 2366841600, "Sun, 01 Jan 2045 00:00:00 GMT", "2045-01-01T00:00:00Z" },
	{ 4294967295, "Sun, 07 Feb 2106 06:28:15 GMT", "2106-02-07T06:28:15Z" },
	{ 4294967296, "Sun, 07 Feb 2106 06:28:16 GMT", "2106-02-07T06:28:16Z" },
	{ PIPIT_DATE_LAST, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z" },
};

START_TEST(writes_a_date_and_reads_it_again)
{
	char *date = guarded_room(PIPIT_DATE_SIZE);

	pipit_date_print(dates[_i].when, date);
	ck_assert_str_eq(date, dates[_i].text);
	ck_assert_int_eq(pipit_date_parse(date), dates[_i].when);
}
END_TEST

START_TEST(writes_a_date_for_listings)
{
	char *date = guarded_room(PIPIT_DATE_ISO_SIZE);

	pipit_date_print_iso(dates[_i].when, date);
	ck_assert_str_eq(date, dates[_i].iso);
}
END_TEST

START_TEST(writes_the_first_or_last_date_for_what_has_no_four_digits)
{
	char date[PIPIT_DATE_SIZE], iso[PIPIT_DATE_ISO_SIZE];
	static const int64_t before[] = { PIPIT_DATE_FIRST - 1, PIPIT_DATE_NONE };
	static const int64_t after[] = { PIPIT_DATE_LAST + 1, INT64_MAX };

	for (size_t i = 0; i < COUNT(before); i++) {
		pipit_date_print(before[i], date);
		ck_assert_str_eq(date, "Sat, 01 Jan 0000 00:00:00 GMT");
		pipit_date_print_iso(before[i], iso);
		ck_assert_str_eq(iso, "0000-01-01T00:00:00Z");
	}
	for (size_t i = 0; i < COUNT(after); i++) {
		pipit_date_print(after[i], date);
		ck_assert_str_eq(date, "Fri, 31 Dec 9999 23:59:59 GMT");
		pipit_date_print_iso(after[i], iso);
		ck_assert_str_eq(iso, "9999-12-31T23:59:59Z");
	}
}
END_TEST

/* Each is one day after the day before, by counting: no time_t is asked. A cycle of the calendar, with both ends of each century. */
START_TEST(counts_every_day_of_four_hundred_years)
{
	static const char days[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = 1970, month = 0, day = 1;

	for (int64_t number = 0; number < 146097; number++) {
		char date[PIPIT_DATE_SIZE], expected[96];
		bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
		snprintf(expected, sizeof expected, "%s, %02d %s %04d 12:34:56 GMT", days[number % 7], day,
		    months[month], year);
		pipit_date_print(number * 86400 + 45296, date);
		if (strcmp(date, expected) != 0 || pipit_date_parse(date) != number * 86400 + 45296)
			ck_abort_msg("%s instead of %s", date, expected);
		if (++day > lengths[month] + (is_leap && month == 1)) {
			day = 1;
			month = (month + 1) % 12;
			year += month == 0;
		}
	}
	ck_assert_int_eq(year, 2370);
}
END_TEST

static const struct {
	const char *text;
	int64_t when;
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

static int year_of(int64_t when)
{
	char date[PIPIT_DATE_ISO_SIZE];
	pipit_date_print_iso(when, date);
	return atoi(date);
}

/* More than fifty years ahead means the last century with such a year. */
START_TEST(reads_a_two_digit_year_as_at_most_fifty_years_ahead)
{
	int now = year_of(time(NULL));
	char text[64];

	for (int ahead = -48; ahead < 50; ahead++) {
		snprintf(text, sizeof text, "Monday, 01-Jan-%02d 00:00:00 GMT", (now + ahead) % 100);
		ck_assert_msg(year_of(pipit_date_parse(text)) == now + ahead, "%s is taken for %d instead of %d", text,
		    year_of(pipit_date_parse(text)), now + ahead);
	}
}
END_TEST

static const char *const bad_dates[] = { "Fri, 31 Dec 9999 23:59:60 GMT", "Wed,01 Jan 2020 00:00:00 GMT",
	"X, 01 Jan 2020 00:00:00 GMT", "Wed, 1 Jan 2020 00:00:00 GMT", "Wed, 01 Jan 2020 0:0:0 GMT",
	"Wed, 01  Jan 2020 00:00:00 GMT", "Wed, +1 Jan 2020 00:00:00 GMT", "Sun, 31 Feb 2021 00:00:00 GMT",
	"Mon, 29 Feb 2100 00:00:00 GMT", "Wed, 31 Apr 2025 00:00:00 GMT", "Wed, 01 Jan -200 00:00:00 GMT",
	"Wednesday, 01 Jan 2020 00:00:00 GMT", "Wed, 01-Jan-20 00:00:00 GMT", "Wednesday, 1-Jan-20 00:00:00 GMT",
	"Wed Jan 01 00:00:00 2020", "Wed Jan  1 00:00: 0 2020", "", " ", "0", "784111777", "yesterday", "Sun", "Sun,",
	"Sun, ", "Sun, 06", "Sun, 06 Nov", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49", "Sun, 06 Nov 1994 08:49:37",
	"Sun, 06 Nov 1994 08:49:37 ", "Sun, 06 Nov 1994 08:49:37 GM", "Sun, 06 Nov 1994 08:49:37 GMT.",
	"Sun, 06 Nov 1994 08:49:37 GMT GMT", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000",
	"Sun, 06 Nov 1994 08:49:37 gmt", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
	"Sun, 06 No 1994 08:49:37 GMT", "Sun, 06 November 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
	"Sun, 32 Nov 1994 08:49:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
	"Sun, 06 Nov 1994 -1:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:-1:37 GMT",
	"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49:-1 GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
	"Sun, 006 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 11994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
	"06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", "Sunday, 06-Nov-94 08:49:37",
	"Sunday, 06-Nov-94 08:49:37 EST", "Sunday, 06-Foo-94 08:49:37 GMT", "Sunday, 32-Nov-94 08:49:37 GMT",
	"Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov-94 25:49:37 GMT", "Sun Nov  6 08:49:37",
	"Sun Nov  6 08:49:37 1994 GMT", "Sun Nov 32 08:49:37 1994", "Sun Foo  6 08:49:37 1994",
	"Sun Nov  6 08:49:37 1994x", "Sun Nov  6 08:49 1994", "%s%s%s%n" };

START_TEST(refuses_invalid_dates)
{
	int64_t when = pipit_date_parse(guard_string(bad_dates[_i]));

	ck_assert_msg(when == PIPIT_DATE_NONE, "\"%s\" is %lld", bad_dates[_i], (long long)when);
}
END_TEST

static TCase *create_cases(void)
{
	TCase *tests = tcase_create("dates");

	tcase_add_loop_test(tests, writes_a_date_and_reads_it_again, 0, COUNT(dates));
	tcase_add_loop_test(tests, writes_a_date_for_listings, 0, COUNT(dates));
	tcase_add_test(tests, writes_the_first_or_last_date_for_what_has_no_four_digits);
	tcase_add_test(tests, counts_every_day_of_four_hundred_years);
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
