/* SPDX-License-Identifier: MIT */
/*
 * The JSON parser: strict syntax, limits, exact error positions, and a cJSON tree.
 *
 * cJSON's parser accepts what RFC 8259 forbids (raw control characters in strings, invalid UTF-8, numbers like "1." or "-"), cuts strings
 * at \u0000, and reports only roughly where an error is. So a scanner checks the text first, without allocation or recursion; then the
 * tree is built.
 */
#ifndef PIPIT_JSON_H
#define PIPIT_JSON_H

#include <stddef.h>

struct cJSON;

struct pipit_json_limits {
	size_t max_depth;   /* nesting of arrays and objects, 1 to 512; a scalar has depth 0, [] has depth 1 */
	size_t max_members; /* of all objects together; 0: no limit */
};

#define PIPIT_JSON_POINTER_SIZE 256

struct pipit_json_error {
	const char *message; /* static: "expected ',' or ']' after an array element" */
	size_t byte;         /* offset of the wrong byte, from 0; the length when the text ends too early */
	size_t line;         /* from 1; lines end with LF, CR or CRLF */
	size_t column;       /* from 1, in bytes within the line */
	/* JSON Pointer of the value that began last; "" for the document; a long one is cut, and ends with "/…". */
	char pointer[PIPIT_JSON_POINTER_SIZE];
};

/*
 * Check that `text` is one JSON value, optionally with white space around it, within the limits: RFC 8259 without extensions, valid
 * UTF-8, no lone surrogates, no \u0000, numbers in the range of double, no byte order mark (§8.1). Duplicate names are found by
 * pipit_json_parse() only. Returns 0, or -EINVAL and *error.
 */
int pipit_json_check(
    const char *text, size_t length, const struct pipit_json_limits *limits, struct pipit_json_error *error);

/*
 * Check the text, also for duplicate names in an object, and build the tree as pipit_tree_build() does. Returns 0 and *doc, freed by
 * the caller with cJSON_Delete(); -EINVAL and *error; -ENOMEM.
 */
int pipit_json_parse(const char *text, size_t length, const struct pipit_json_limits *limits, struct cJSON **doc,
    struct pipit_json_error *error);

/* The text of a number that a double cannot hold; NULL when a double can, or when `valuedouble` has been changed since. */
const char *pipit_json_number_text(const struct cJSON *number);

#endif
