/* SPDX-License-Identifier: MIT */
/*
 * JSON Pointer (RFC 6901): names a value in a document, for example "/list/0". Pure functions. A pointer is bytes, not necessarily UTF-8.
 *
 * Of several members with one name, the first counts.
 */
#ifndef PIPIT_POINTER_H
#define PIPIT_POINTER_H

#include "base/slice.h"

struct cJSON;

/* Whether it is empty, or each token begins with '/', and each '~' is followed by 0 or 1. */
bool pipit_pointer_is_valid(struct pipit_slice pointer);

/* Take the next token, still escaped, from the front of a valid pointer. False at the end. */
bool pipit_pointer_next(struct pipit_slice *pointer, struct pipit_slice *token);

/* Write the unescaped token ("~1" is '/', "~0" is '~') to `to`, which has token.length bytes, without a NUL. Returns its length. */
size_t pipit_pointer_unescape(struct pipit_slice token, char *to);

/* Read an array index: digits without a leading zero, within size_t. False for any other token, also "-". */
bool pipit_pointer_index(struct pipit_slice token, size_t *index);

/* Write "/" and the escaped name at `at`, not beyond `end`. Returns the end of what was written; NULL when it does not fit. */
char *pipit_pointer_put(char *at, const char *end, struct pipit_slice name);

/* The item that a valid pointer names; NULL for none. Names are case-sensitive. doc: may be NULL. */
struct cJSON *pipit_pointer_find(const struct cJSON *doc, struct pipit_slice pointer);

#endif
