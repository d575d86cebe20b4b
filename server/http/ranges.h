/* SPDX-License-Identifier: MIT */
/* Which bytes a Range field asks for (RFC 9110 §14). Pure. */
#ifndef PIPIT_RANGES_H
#define PIPIT_RANGES_H

#include "base/slice.h"

#include <stdint.h>

/* A reply has at most so many parts; a field may name twice as many again, of which those that overlap or touch are merged. */
#define PIPIT_RANGES_MAX 32

struct pipit_range {
	uint64_t first, length; /* bytes; length is at least 1 */
};

enum pipit_ranges_result {
	PIPIT_RANGES_IGNORED,       /* malformed, or of another unit: the whole representation is meant (§14.2) */
	PIPIT_RANGES_UNSATISFIABLE, /* 416: none begins within the representation, or too many are asked for */
	PIPIT_RANGES_FOUND
};

/*
 * value: of the Range field. size: of the representation. On FOUND, ranges[0 .. *count - 1] are in the order in which they were
 * asked for and do not overlap: those that would, or would touch, are one, in the place of the first of them (§15.3.7.2).
 */
enum pipit_ranges_result pipit_ranges_parse(
    struct pipit_slice value, uint64_t size, struct pipit_range ranges[PIPIT_RANGES_MAX], size_t *count);

#endif
