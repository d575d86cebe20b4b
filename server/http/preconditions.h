/* SPDX-License-Identifier: MIT */
/* Conditional GET and HEAD (RFC 9110 §13), with the precedence of §13.2.2. Pure. */
#ifndef PIPIT_PRECONDITIONS_H
#define PIPIT_PRECONDITIONS_H

#include "http/guard.h"

#include <stdint.h>

struct pipit_validators {
	struct pipit_slice etag; /* with quotes, and W/ if it is weak; length 0: none */
	int64_t modified;        /* Last-Modified; PIPIT_DATE_NONE: none */
	int64_t now;             /* Date */
};

enum pipit_preconditions_result {
	PIPIT_PRECONDITIONS_GO_ON,
	PIPIT_PRECONDITIONS_NOT_MODIFIED, /* 304 */
	PIPIT_PRECONDITIONS_FAILED        /* 412 */
};

/* range_counts: on GO_ON: no If-Range, or it matches. */
enum pipit_preconditions_result pipit_preconditions_check(
    const struct pipit_guard_head *head, const struct pipit_validators *validators, bool *range_counts);

#endif
