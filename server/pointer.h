/* SPDX-License-Identifier: MIT */
/* JSON Pointers (RFC 6901): "" is the whole document, "/network/dns/0" a value in it. Pure. */
#ifndef PIPIT_POINTER_H
#define PIPIT_POINTER_H

#include "slice.h"

struct cJSON;

/* Whether it is one: empty, or each token begins with '/', and '~' stands only before 0 or 1. */
bool pipit_pointer_is_valid(struct pipit_slice pointer);

/* From here on pointers are valid. */

/* Take the next token from the front, still escaped; false at the end. */
bool pipit_pointer_next(struct pipit_slice *pointer, struct pipit_slice *token);

/* The token's text ("~1" is '/', "~0" is '~') at `to`, which has token.length bytes; returns its length. No NUL is put behind. */
size_t pipit_pointer_unescape(struct pipit_slice token, char *to);

/* Whether the token, unescaped, is this name. */
bool pipit_pointer_names(struct pipit_slice token, const char *name);

/* Read the number of an array's element: digits, no zero in front of others. False when it is none; "-" is none. */
bool pipit_pointer_index(struct pipit_slice token, size_t *index);

/* Put "/" and the name, escaped, at `at`, not beyond `end`. Returns what follows; NULL when there is no room. */
char *pipit_pointer_put(char *at, const char *end, struct pipit_slice name);

/* The value that it names; NULL when there is none. */
struct cJSON *pipit_pointer_find(const struct cJSON *doc, struct pipit_slice pointer);

/* The value that one token names in an object or array; NULL when there is none, or `container` is neither. */
struct cJSON *pipit_pointer_child(const struct cJSON *container, struct pipit_slice token);

/* Cut the last token off. False when there is none: the pointer is "". */
bool pipit_pointer_split(struct pipit_slice pointer, struct pipit_slice *parent, struct pipit_slice *last);

#endif
