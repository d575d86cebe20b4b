/* SPDX-License-Identifier: MIT */
/*
 * Conditional requests (RFC 9110 §13): what a GET or HEAD that asks with If-… fields gets, in the order of precedence of
 * §13.2.2. Pure: it knows the representation by its validators only.
 */
#ifndef PIPIT_PRECONDITIONS_H
#define PIPIT_PRECONDITIONS_H

#include "http/guard.h"

#include <time.h>

/* What is said of the representation that would be sent. */
struct pipit_validators {
	struct pipit_slice etag; /* with its quotes, W/ in front when weak; length 0: none */
	time_t modified;         /* Last-Modified; negative: none */
	time_t now;              /* Date */
};

enum pipit_preconditions_result {
	PIPIT_PRECONDITIONS_GO_ON,        /* the whole representation, or a range of it */
	PIPIT_PRECONDITIONS_NOT_MODIFIED, /* 304 */
	PIPIT_PRECONDITIONS_FAILED        /* 412 */
};

/* *range_counts: on GO_ON, whether a Range field is to be looked at: there is no If-Range, or what it names is what there is. */
enum pipit_preconditions_result pipit_preconditions_check(
    const struct pipit_guard_head *head, const struct pipit_validators *validators, bool *range_counts);

#endif
