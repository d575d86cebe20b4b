/* SPDX-License-Identifier: MIT */
/*
 * The dates of HTTP (RFC 9110 §5.6.7), independent of the locale: seconds since 1970 in 64 bits, also where time_t, and with it
 * timegm() and gmtime_r(), ends in 2038. Gregorian calendar, no leap seconds.
 */
#ifndef PIPIT_DATE_H
#define PIPIT_DATE_H

#include <stdint.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */
#define PIPIT_DATE_SIZE 30

/* No date. Compares as earlier than every date. */
#define PIPIT_DATE_NONE INT64_MIN
/* Of the years that have four digits: 0000-01-01 00:00:00, 9999-12-31 23:59:59. */
#define PIPIT_DATE_FIRST INT64_C(-62167219200)
#define PIPIT_DATE_LAST INT64_C(253402300799)

/* IMF-fixdate. An earlier date than FIRST is printed as FIRST, a later one than LAST as LAST. */
void pipit_date_print(int64_t when, char date[PIPIT_DATE_SIZE]);

/* "1994-11-06T08:49:37Z" and NUL (RFC 3339); the same bounds. */
#define PIPIT_DATE_ISO_SIZE 21
void pipit_date_print_iso(int64_t when, char date[PIPIT_DATE_ISO_SIZE]);

/* One of the three forms; PIPIT_DATE_NONE: none. */
int64_t pipit_date_parse(const char *text);

#endif
