/* SPDX-License-Identifier: MIT */
#include "http/date.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
	"Dec" };

void pipit_date_print(time_t when, char date[PIPIT_DATE_SIZE])
{
	struct tm tm = { 0 };
	char text[64];
	gmtime_r(&when, &tm);
	snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[tm.tm_wday], tm.tm_mday,
	    month_names[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(date, text, PIPIT_DATE_SIZE - 1);
	date[PIPIT_DATE_SIZE - 1] = '\0';
}

static int month_of(const char *name)
{
	for (int i = 0; i < 12; i++) {
		if (strcmp(month_names[i], name) == 0)
			return i;
	}
	return -1;
}

/* It need not match the date. */
static bool is_weekday(const char *text, size_t length, const char *const *names)
{
	for (int i = 0; i < 7; i++) {
		if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0)
			return true;
	}
	return false;
}

static bool read_date(const char *weekday, const char *rest, struct tm *tm, bool *is_short_year)
{
	static const char *const brief[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const full[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
		"Saturday" };
	bool is_brief = is_weekday(weekday, (size_t)(rest - weekday), brief);
	bool is_full = is_weekday(weekday, (size_t)(rest - weekday), full);
	char month[4] = "", again[64] = "";
	int *day = &tm->tm_mday, *hour = &tm->tm_hour, *minute = &tm->tm_min, *second = &tm->tm_sec, year;

	if (is_brief && sscanf(rest, ", %2d %3[A-Za-z] %4d %2d:%2d:%2d", day, month, &year, hour, minute, second) == 6)
		snprintf(again, sizeof again, ", %02d %s %04d %02d:%02d:%02d GMT", *day, month, year, *hour, *minute,
		    *second);
	else if (is_full &&
		 sscanf(rest, ", %2d-%3[A-Za-z]-%2d %2d:%2d:%2d", day, month, &year, hour, minute, second) == 6)
		snprintf(again, sizeof again, ", %02d-%s-%02d %02d:%02d:%02d GMT", *day, month, year, *hour, *minute,
		    *second);
	else if (is_brief &&
		 sscanf(rest, " %3[A-Za-z] %2d %2d:%2d:%2d %4d", month, day, hour, minute, second, &year) == 6)
		snprintf(
		    again, sizeof again, " %s %2d %02d:%02d:%02d %04d", month, *day, *hour, *minute, *second, year);
	/* scanf() accepts signs, missing digits and other spaces */
	if (*again == '\0' || strcmp(again, rest) != 0 || year < 0)
		return false;
	*is_short_year = is_full;
	tm->tm_year = year - 1900;
	tm->tm_mon = month_of(month);
	return tm->tm_mon >= 0 && *day >= 1 && *hour <= 23 && *minute <= 59 && *second <= 60 && *hour >= 0 &&
	       *minute >= 0 && *second >= 0;
}

/* Dates more than 50 years ahead are in the past (RFC 9110 §5.6.7). */
static void choose_century(struct tm *tm)
{
	time_t now = time(NULL);
	struct tm limit = { 0 }, date;

	gmtime_r(&now, &limit);
	tm->tm_year += (limit.tm_year + 1900) / 100 * 100;
	limit.tm_year += 50;
	date = *tm;
	if (timegm(&date) > timegm(&limit))
		tm->tm_year -= 100;
}

#define LAST_SECOND 253402300799

time_t pipit_date_parse(const char *text)
{
	struct tm tm = { 0 }, normal;
	bool is_short_year;
	time_t when;

	if (!read_date(text, text + strcspn(text, ", "), &tm, &is_short_year))
		return -1;
	if (is_short_year)
		choose_century(&tm);
	normal = tm;
	when = timegm(&normal);
	/* 31 February; a leap second may end a day, but not the last year */
	if (when > LAST_SECOND || (tm.tm_sec < 60 && normal.tm_mday != tm.tm_mday))
		return -1;
	return when;
}
