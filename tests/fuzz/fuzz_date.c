/* SPDX-License-Identifier: MIT */
/*
 * Dates of HTTP.
 *
 * Checked: a date that was read can be written and read again; every second from 1970 to 9999 is written as by the C library,
 * and read back unchanged.
 */
#include "fuzz.h"

#include "http/date.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* 9999-12-31 23:59:59, the last one that IMF-fixdate can write. */
#define LAST_SECOND 253402300799

static void check_text(const char *text)
{
	char *date = malloc(PIPIT_DATE_SIZE);
	time_t when = pipit_date_parse(text);

	REQUIRE(date);
	/* Dates before 1970 can be read, and are older than every file; dates after 9999 cannot. */
	REQUIRE(when <= LAST_SECOND);
	if (when >= 0) {
		pipit_date_print(when, date);
		REQUIRE(strlen(date) == PIPIT_DATE_SIZE - 1);
		REQUIRE(pipit_date_parse(date) == when);
	}
	free(date);
}

static void check_second(time_t when)
{
	char date[PIPIT_DATE_SIZE], wanted[64];
	struct tm tm;
	pipit_date_print(when, date);
	REQUIRE(gmtime_r(&when, &tm));
	strftime(wanted, sizeof wanted, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	REQUIRE(strcmp(date, wanted) == 0);
	REQUIRE(pipit_date_parse(date) == when);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy_text(data, size);
	uint64_t number = 0;

	check_text(text);
	memcpy(&number, data, size < sizeof number ? size : sizeof number);
	check_second((time_t)(number % (LAST_SECOND + 1)));
	free(text);
	return 0;
}
