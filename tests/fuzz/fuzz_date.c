/* SPDX-License-Identifier: MIT */
/*
 * Dates of HTTP.
 *
 * Checked: a date that was read can be written and read again; every second of the years 0 to 9999 is written as by the C library,
 * if time_t holds it, and read back unchanged.
 */
#include "fuzz.h"

#include "http/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check_text(const char *text)
{
	char *date = malloc(PIPIT_DATE_SIZE);
	int64_t when = pipit_date_parse(text);

	REQUIRE(date);
	REQUIRE(when <= PIPIT_DATE_LAST);
	if (when != PIPIT_DATE_NONE) {
		REQUIRE(when >= PIPIT_DATE_FIRST);
		pipit_date_print(when, date);
		REQUIRE(strlen(date) == PIPIT_DATE_SIZE - 1);
		REQUIRE(pipit_date_parse(date) == when);
	}
	free(date);
}

/* %Y has no leading zeros. */
static void check_with_library(time_t when, const char *date)
{
	char wanted[64], day[16], rest[32];
	struct tm tm;
	REQUIRE(gmtime_r(&when, &tm));
	strftime(day, sizeof day, "%a, %d %b", &tm);
	strftime(rest, sizeof rest, "%H:%M:%S GMT", &tm);
	snprintf(wanted, sizeof wanted, "%s %04d %s", day, tm.tm_year + 1900, rest);
	REQUIRE(strcmp(date, wanted) == 0);
}

static void check_second(int64_t when)
{
	char date[PIPIT_DATE_SIZE];
	pipit_date_print(when, date);
	if ((time_t)when == when)
		check_with_library((time_t)when, date);
	REQUIRE(pipit_date_parse(date) == when);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy_text(data, size);
	uint64_t number = 0;

	check_text(text);
	memcpy(&number, data, size < sizeof number ? size : sizeof number);
	check_second((int64_t)(number % (uint64_t)(PIPIT_DATE_LAST - PIPIT_DATE_FIRST + 1)) + PIPIT_DATE_FIRST);
	free(text);
	return 0;
}
