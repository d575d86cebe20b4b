/* SPDX-License-Identifier: MIT */
/*
 * A scanner checks the text first: cJSON's parser accepts what RFC 8259 forbids (raw control characters, invalid UTF-8,
 * "1."), cuts strings at \u0000, and reports rough positions.
 */
#ifndef PIPIT_JSON_H
#define PIPIT_JSON_H

#include <stddef.h>

struct cJSON;

struct pipit_json_limits {
	size_t max_depth;  /* 1 to 512; a scalar has depth 0, [] has depth 1 */
	size_t max_values; /* objects, arrays and scalars; 0: no limit */
};

#define PIPIT_JSON_POINTER_SIZE 256

struct pipit_json_error {
	const char *message;
	size_t byte;   /* from 0; the length when the text ends too early */
	size_t line;   /* from 1; lines end with LF, CR or CRLF */
	size_t column; /* from 1, in bytes */
	/* JSON Pointer of the value that began last; cut with "/…". */
	char pointer[PIPIT_JSON_POINTER_SIZE];
};

/*
 * RFC 8259: one value, valid UTF-8, no lone surrogates, no \u0000, numbers in the range of double, no byte order mark.
 * Duplicate names pass. No allocation or recursion.
 */
int pipit_json_check(
    const char *text, size_t length, const struct pipit_json_limits *limits, struct pipit_json_error *error);

/* Also refuses duplicate names; builds as pipit_tree_build() does. */
int pipit_json_parse(const char *text, size_t length, const struct pipit_json_limits *limits, struct cJSON **doc,
    struct pipit_json_error *error);

/* The text of a number that no double holds, unless `valuedouble` has been changed. */
const char *pipit_json_number_text(const struct cJSON *number);

#endif
