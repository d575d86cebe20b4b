/* SPDX-License-Identifier: MIT */
/* The Range header (RFC 9110 §14). Pure. */
#ifndef PIPIT_RANGES_H
#define PIPIT_RANGES_H

#include "base/slice.h"

#include <stdint.h>

/* after merging; a header may name three times as many */
#define PIPIT_RANGES_MAX 32

struct pipit_range {
	uint64_t first, length; /* bytes; length is at least 1 */
};

enum pipit_ranges_result {
	PIPIT_RANGES_IGNORED,       /* malformed, or another unit: send everything (§14.2) */
	PIPIT_RANGES_UNSATISFIABLE, /* 416: all begin behind the end, or too many */
	PIPIT_RANGES_FOUND
};

/* Merges ranges that overlap or touch, at the place of the first (§15.3.7.2). size: of the file. */
enum pipit_ranges_result pipit_ranges_parse(
    struct pipit_slice value, uint64_t size, struct pipit_range ranges[PIPIT_RANGES_MAX], size_t *count);

#endif
