/* SPDX-License-Identifier: MIT */
/* A locale in which printf() writes "1,5" and strtod() stops at "1.5". The test makes it: most containers have none. */
#ifndef PIPIT_TESTS_COMMA_LOCALE_H
#define PIPIT_TESTS_COMMA_LOCALE_H

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool make_comma_locale(const char *directory)
{
	char command[256];
	int status;

	/* -c: the other categories are those of POSIX, which is a warning and status 1. */
	snprintf(command, sizeof command,
	    "cd %s && printf 'LC_NUMERIC\\ndecimal_point \",\"\\nthousands_sep \".\"\\ngrouping 3;3\\nEND "
	    "LC_NUMERIC\\n' > source && "
	    "localedef -c -i ./source ./comma >/dev/null 2>&1; test -e comma",
	    directory);
	status = system(command);
	return status == 0;
}

/* For the whole process. False, with a line on standard output, where localedef (glibc) is missing. */
static inline bool set_comma_locale(void)
{
	char directory[] = "/tmp/pipit-locale-XXXXXX", command[64], text[8];
	bool is_set = mkdtemp(directory) && make_comma_locale(directory) && setenv("LOCPATH", directory, 1) == 0 &&
		      setlocale(LC_ALL, "comma");

	snprintf(command, sizeof command, "rm -rf %s", directory);
	if (system(command) != 0)
		return false;
	snprintf(text, sizeof text, "%.1f", 1.5);
	if (is_set && strcmp(text, "1,5") == 0)
		return true;
	printf("skipped: localedef makes no locale with a decimal comma here\n");
	return false;
}

#endif
