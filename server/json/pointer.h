/* SPDX-License-Identifier: MIT */
/* JSON Pointer (RFC 6901). Pure. Pointers need not be UTF-8. Of members with one name, the first counts. */
#ifndef PIPIT_POINTER_H
#define PIPIT_POINTER_H

#include "base/slice.h"

struct cJSON;

bool pipit_pointer_is_valid(struct pipit_slice pointer);

/* The token is still escaped. */
bool pipit_pointer_next(struct pipit_slice *pointer, struct pipit_slice *token);

/* to: token.length bytes. No NUL. */
size_t pipit_pointer_unescape(struct pipit_slice token, char *to);

/* No leading zero. SIZE_MAX also for what size_t does not hold: it is beyond every array. False also for "-". */
bool pipit_pointer_index(struct pipit_slice token, size_t *index);

/* "/" and the escaped name. NULL: no room. */
char *pipit_pointer_put(char *at, const char *end, struct pipit_slice name);

/* doc: may be NULL. */
struct cJSON *pipit_pointer_find(const struct cJSON *doc, struct pipit_slice pointer);

#endif
