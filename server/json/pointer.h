/* SPDX-License-Identifier: MIT */
/*
 * JSON Pointer (RFC 6901): the name of a value within a document, as "/list/0". Pure; a pointer is bytes, which need not be UTF-8.
 *
 * Of several members of one name, the first counts.
 */
#ifndef PIPIT_POINTER_H
#define PIPIT_POINTER_H

#include "base/slice.h"

struct cJSON;

/* Whether it is one: empty, or each token begins with '/', and '~' stands only before 0 or 1. */
bool pipit_pointer_is_valid(struct pipit_slice pointer);

/* Take the next token from the front of a valid pointer, still escaped; false when it is at its end. */
bool pipit_pointer_next(struct pipit_slice *pointer, struct pipit_slice *token);

/* The token's text ("~1" is '/', "~0" is '~') at `to`, which has token.length bytes; returns its length. No NUL is added. */
size_t pipit_pointer_unescape(struct pipit_slice token, char *to);

/* Read an array index: digits without a leading zero, within size_t; false when it is none ("-" is none). */
bool pipit_pointer_index(struct pipit_slice token, size_t *index);

/* Append "/" and the name, escaped, to what ends at `at`, not beyond `end`; NULL when it does not fit. */
char *pipit_pointer_put(char *at, const char *end, struct pipit_slice name);

/* The item that a valid pointer names; NULL when there is none. Names are compared with case. doc: may be NULL, and has none. */
struct cJSON *pipit_pointer_find(const struct cJSON *doc, struct pipit_slice pointer);

#endif
