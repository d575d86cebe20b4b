/* SPDX-License-Identifier: MIT */
/*
 * JSON for requests: strict syntax, a depth limit and exact error positions, and cJSON's tree of what is right.
 *
 * cJSON's own parser takes what RFC 8259 forbids (raw control characters in strings, invalid UTF-8, numbers like "1." or "-"),
 * cuts strings at \u0000 and tells only roughly where an error is. So the text is scanned first, by a pure function without
 * allocation or recursion; the tree is then built of a text that is known to be valid.
 */
#ifndef PIPIT_JSON_H
#define PIPIT_JSON_H

#include <stddef.h>

struct cJSON;

struct pipit_json_limits {
	size_t
	    max_depth; /* arrays and objects within each other, 1 to 512; a lone scalar has depth 0, [] has depth 1 */
	size_t max_members; /* of all objects together; 0: any number */
};

#define PIPIT_JSON_POINTER_SIZE 256

struct pipit_json_error {
	const char
	    *message;  /* what is wrong and what would be right, static: "expected ',' or ']' after an array element" */
	size_t byte;   /* offset of the offending byte, from 0; the length when the text ends too early */
	size_t line;   /* from 1; lines end with LF, CR or CRLF */
	size_t column; /* from 1, in bytes within the line */
	/* To the value that was begun last (RFC 6901), "" for the whole; one that is too long ends with "/…". */
	char pointer[PIPIT_JSON_POINTER_SIZE];
};

/*
 * Check that `text` is one JSON value with optional white space around it, RFC 8259 strict, valid UTF-8, no lone surrogate
 * escapes, no \u0000, numbers within the range of double (1e999 is refused), within the limits. A leading byte order mark is
 * refused (RFC 8259 §8.1). Names that stand twice in an object are for pipit_json_parse() to find.
 * Returns 0, or -EINVAL and *error.
 */
int pipit_json_check(
    const char *text, size_t length, const struct pipit_json_limits *limits, struct pipit_json_error *error);

/*
 * Check, also that no name stands twice in an object, and build the tree (see tree.h). A number that a double cannot hold has its
 * text, to the letter, as valuestring beside valuedouble.
 * Returns 0 and *doc (the caller's, cJSON_Delete()); -EINVAL and *error; -ENOMEM.
 */
int pipit_json_parse(const char *text, size_t length, const struct pipit_json_limits *limits, struct cJSON **doc,
    struct pipit_json_error *error);

/* The text of a number that a double cannot hold; NULL when the double says it all, or has been set to another value since. */
const char *pipit_json_number_text(const struct cJSON *number);

#endif
