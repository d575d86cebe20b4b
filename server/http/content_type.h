/* SPDX-License-Identifier: MIT */
/* What a Content-Type field says (RFC 9110 §8.3). Pure functions. */
#ifndef PIPIT_CONTENT_TYPE_H
#define PIPIT_CONTENT_TYPE_H

#include "base/slice.h"

#include <stdbool.h>

/* Whether it is this media type; parameters and case do not count. "application/json" is also any type with the suffix "+json". */
bool pipit_content_type_is(struct pipit_slice value, const char *media_type);

/*
 * Why content of this type is not taken as JSON, a sentence for a 415; NULL: it is. A charset must be utf-8: JSON has no other, nor
 * a parameter for one (RFC 8259 §8.1 and §11). Static.
 */
const char *pipit_content_type_refuse_json(struct pipit_slice value);

#endif
