/* SPDX-License-Identifier: MIT */
/* The Content-Type header (RFC 9110 §8.3). Pure. */
#ifndef PIPIT_CONTENT_TYPE_H
#define PIPIT_CONTENT_TYPE_H

#include "base/slice.h"

#include <stdbool.h>

/* Ignores parameters and case. "application/json" also matches types that end in "+json". */
bool pipit_content_type_is(struct pipit_slice value, const char *media_type);

/*
 * NULL: JSON; else a sentence for a 415. Refuses charsets other than utf-8 (RFC 8259 §8.1, §11), because the body would
 * be misread.
 */
const char *pipit_content_type_refuse_json(struct pipit_slice value);

#endif
