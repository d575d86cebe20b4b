/* SPDX-License-Identifier: MIT */
/*
 * JSON for requests: strict syntax, a depth limit and exact error positions in front of cJSON.
 *
 * cJSON alone takes what RFC 8259 forbids (raw control characters in strings, invalid UTF-8, numbers like "1." or "-"),
 * cuts strings at \u0000 and tells only roughly where an error is. So the text is scanned first, by a pure function without
 * allocation or recursion; cJSON then builds the tree of a text that is known to be valid.
 */
#ifndef PIPIT_JSON_H
#define PIPIT_JSON_H

#include <stddef.h>

struct cJSON;

struct pipit_json_error {
	const char
	    *message;  /* what is wrong and what would be right, static: "expected ',' or ']' after an array element" */
	size_t byte;   /* offset of the offending byte, from 0; the length when the text ends too early */
	size_t line;   /* from 1; lines end with LF, CR or CRLF */
	size_t column; /* from 1, in bytes within the line */
};

/*
 * Check that `text` is one JSON value with optional white space around it, RFC 8259 strict, valid UTF-8, no lone surrogate
 * escapes, no \u0000, numbers within the range of double (1e999 is refused), nesting at most `max_depth` (1..512; a lone
 * scalar has depth 0, [] has depth 1). A leading byte order mark is refused (RFC 8259 §8.1).
 * Returns 0, or -EINVAL and *error.
 */
int pipit_json_check(const char *text, size_t length, size_t max_depth, struct pipit_json_error *error);

/*
 * Check, then parse with cJSON. Returns 0 and *doc (the caller's, cJSON_Delete()); -EINVAL and *error; -ENOMEM.
 */
int pipit_json_parse(
    const char *text, size_t length, size_t max_depth, struct cJSON **doc, struct pipit_json_error *error);

#endif
