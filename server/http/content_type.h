/* SPDX-License-Identifier: MIT */
/* What a Content-Type field says (RFC 9110 §8.3). Pure functions. */
#ifndef PIPIT_CONTENT_TYPE_H
#define PIPIT_CONTENT_TYPE_H

#include "base/slice.h"

#include <stdbool.h>

/* Whether it is this media type; parameters and case do not count. "application/json" is also any type with the suffix "+json". */
bool pipit_content_type_is(struct pipit_slice value, const char *media_type);

/*
 * Whether it has a charset other than utf-8. JSON is UTF-8, and its media type has no parameter that could say otherwise (RFC 8259
 * §8.1 and §11). Some clients say utf-8 nevertheless, which is harmless; any other charset names bytes that would be misread.
 */
bool pipit_content_type_has_other_charset(struct pipit_slice value);

#endif
