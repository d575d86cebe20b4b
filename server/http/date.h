/* SPDX-License-Identifier: MIT */
/* The dates of HTTP (RFC 9110 §5.6.7), independent of the locale. */
#ifndef PIPIT_DATE_H
#define PIPIT_DATE_H

#include <time.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */
#define PIPIT_DATE_SIZE 30

/* IMF-fixdate. */
void pipit_date_print(time_t when, char date[PIPIT_DATE_SIZE]);

/* One of the three forms; -1: none. */
time_t pipit_date_parse(const char *text);

#endif
