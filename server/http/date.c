/* SPDX-License-Identifier: MIT */
#include "http/date.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400
/* The calendar repeats itself. */
#define CYCLE_YEARS 400
#define CYCLE_DAYS 146097
/* From 1 March of the year 0 to 1970. Years begin in March here: the day that leap years add is the last one. */
#define MARCH_TO_1970 719468

struct moment {
	int year, month, day; /* month, day: from 1 */
	int hour, minute, second;
};

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
	"Dec" };

/* Before the month, since March. */
static int days_before(int months)
{
	return (153 * months + 2) / 5;
}

/* Since 1970. Takes 31 February as 3 March. */
static int64_t days_of(const struct moment *moment)
{
	bool is_before_march = moment->month < 3;
	/* one cycle later, so that no number is negative */
	int year = moment->year + CYCLE_YEARS - is_before_march;
	int day = days_before(moment->month + (is_before_march ? 9 : -3)) + moment->day - 1;

	return (int64_t)year * 365 + year / 4 - year / 100 + year / 400 + day - CYCLE_DAYS - MARCH_TO_1970;
}

static int64_t seconds_of(const struct moment *moment)
{
	return days_of(moment) * DAY + moment->hour * 3600 + moment->minute * 60 + moment->second;
}

/* The time of day stays. */
static void set_day(struct moment *moment, int64_t days)
{
	int day = (int)(days + MARCH_TO_1970 + CYCLE_DAYS), cycles = day / CYCLE_DAYS, years, months;

	day %= CYCLE_DAYS;
	years = (day - day / 1460 + day / 36524 - day / (CYCLE_DAYS - 1)) / 365;
	day -= years * 365 + years / 4 - years / 100;
	months = (5 * day + 2) / 153;
	moment->day = day - days_before(months) + 1;
	moment->month = months < 10 ? months + 3 : months - 9;
	moment->year = (cycles - 1) * CYCLE_YEARS + years + (months >= 10);
}

/* Returns the day of the week; 0: Sunday. */
static int set_moment(struct moment *moment, int64_t when)
{
	int64_t since_first;
	int second;

	when = when < PIPIT_DATE_FIRST ? PIPIT_DATE_FIRST : when > PIPIT_DATE_LAST ? PIPIT_DATE_LAST : when;
	since_first = when - PIPIT_DATE_FIRST;
	second = (int)(since_first % DAY);
	*moment = (struct moment){ .hour = second / 3600, .minute = second / 60 % 60, .second = second % 60 };
	set_day(moment, since_first / DAY + PIPIT_DATE_FIRST / DAY);
	return (int)((since_first / DAY + 6) % 7); /* the first day was a Saturday */
}

void pipit_date_print(int64_t when, char date[PIPIT_DATE_SIZE])
{
	struct moment moment;
	const char *day_name = day_names[set_moment(&moment, when)];
	char text[96];
	snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_name, moment.day,
	    month_names[moment.month - 1], moment.year, moment.hour, moment.minute, moment.second);
	memcpy(date, text, PIPIT_DATE_SIZE - 1);
	date[PIPIT_DATE_SIZE - 1] = '\0';
}

void pipit_date_print_iso(int64_t when, char date[PIPIT_DATE_ISO_SIZE])
{
	struct moment moment;
	char text[96];
	set_moment(&moment, when);
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", moment.year, moment.month, moment.day,
	    moment.hour, moment.minute, moment.second);
	memcpy(date, text, PIPIT_DATE_ISO_SIZE - 1);
	date[PIPIT_DATE_ISO_SIZE - 1] = '\0';
}

/* 0: no month. */
static int month_of(const char *name)
{
	for (int i = 0; i < 12; i++) {
		if (strcmp(month_names[i], name) == 0)
			return i + 1;
	}
	return 0;
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

static bool read_moment(const char *weekday, const char *rest, struct moment *moment, bool *is_short_year)
{
	static const char *const brief[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const full[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
		"Saturday" };
	bool is_brief = is_weekday(weekday, (size_t)(rest - weekday), brief);
	bool is_full = is_weekday(weekday, (size_t)(rest - weekday), full);
	char month[4] = "", again[64] = "";
	int *day = &moment->day, *hour = &moment->hour, *minute = &moment->minute, *second = &moment->second, year = -1;

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
	moment->year = year;
	moment->month = month_of(month);
	return moment->month > 0 && *day >= 1 && *hour <= 23 && *minute <= 59 && *second <= 60 && *hour >= 0 &&
	       *minute >= 0 && *second >= 0;
}

/* Dates more than 50 years ahead are in the past (RFC 9110 §5.6.7). */
static void choose_century(struct moment *moment)
{
	struct moment limit;

	set_moment(&limit, time(NULL));
	moment->year += limit.year / 100 * 100;
	limit.year += 50;
	if (seconds_of(moment) > seconds_of(&limit))
		moment->year -= 100;
}

static bool is_in_calendar(const struct moment *moment)
{
	struct moment normal;
	set_day(&normal, days_of(moment));
	return normal.day == moment->day;
}

int64_t pipit_date_parse(const char *text)
{
	struct moment moment = { 0 };
	bool is_short_year;
	int64_t when;

	if (!read_moment(text, text + strcspn(text, ", "), &moment, &is_short_year))
		return PIPIT_DATE_NONE;
	if (is_short_year)
		choose_century(&moment);
	if (!is_in_calendar(&moment))
		return PIPIT_DATE_NONE;
	when = seconds_of(&moment);
	/* a leap second may end a day, but not the last year */
	return when <= PIPIT_DATE_LAST ? when : PIPIT_DATE_NONE;
}
