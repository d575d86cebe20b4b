/* SPDX-License-Identifier: MIT */
/* The Range header (RFC 9110 §14). Pure. */
#ifndef PIPIT_RANGES_H
#define PIPIT_RANGES_H

#include "base/slice.h"

#include <stdint.h>

/* Parts of a reply, after ranges that overlap or touch are merged; a header may name three times as many. */
#define PIPIT_RANGES_MAX 32

struct pipit_range {
	uint64_t first, length; /* bytes; length is at least 1 */
};

enum pipit_ranges_result {
	PIPIT_RANGES_IGNORED,       /* malformed, or another unit: send everything (§14.2) */
	PIPIT_RANGES_UNSATISFIABLE, /* 416: no range begins before the end, or too many ranges */
	PIPIT_RANGES_FOUND
};

/*
 * value: of the Range header. size: of all. On FOUND, ranges[0 .. *count - 1] are in the order of the header and
 * neither overlap nor touch: such ranges are merged, at the place of the first (§15.3.7.2).
 */
enum pipit_ranges_result pipit_ranges_parse(
    struct pipit_slice value, uint64_t size, struct pipit_range ranges[PIPIT_RANGES_MAX], size_t *count);

#endif
