/* SPDX-License-Identifier: MIT */
/* One line for each wrong option: place, name, value, and what would be right. */
#ifndef PIPIT_OPTION_ERROR_H
#define PIPIT_OPTION_ERROR_H

#include "config/option.h"

#include <stddef.h>

struct pipit_option_error {
	char *data;
	size_t size, length;
};

/* data: may be NULL. */
struct pipit_option_error pipit_option_error_begin(char *data, size_t size);

/* Ends the line before, if any. The functions that report do this themselves. */
void pipit_option_error_start_line(struct pipit_option_error *error);

void pipit_option_error_append(struct pipit_option_error *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Cut, with control characters escaped. */
void pipit_option_error_append_shown(struct pipit_option_error *line, const char *text, size_t length);

/* "FILE:LINE: ", "environment: " or nothing. */
void pipit_option_error_append_place(struct pipit_option_error *line, const struct pipit_option_place *place);

/* "PIPIT_MAX_FIELDS" */
void pipit_option_error_append_variable(struct pipit_option_error *line, const char *name);

/* In the notation of the place; `value` may be "". */
void pipit_option_error_append_setting(
    struct pipit_option_error *line, const struct pipit_option_place *place, const char *name, const char *value);

/* "1 to 256", "combined or json" */
void pipit_option_error_append_wanted(struct pipit_option_error *line, const struct pipit_option *option);

int pipit_option_error_report(const struct pipit_option_place *place, const struct pipit_option *option,
    const char *value, enum pipit_fault fault, struct pipit_option_error *error);

/* Suggests a similar name. shown: as given; name: the part to compare. what: "key", "option" or "variable". */
void pipit_option_error_report_unknown(const struct pipit_option_place *place, const char *shown, const char *name,
    size_t length, const char *what, struct pipit_option_error *error);

#endif
