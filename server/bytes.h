/* SPDX-License-Identifier: MIT */
/*
 * Eight bytes looked at together, in the memory's order. Each function tells whether any of them is what is asked for: not 0
 * when one is. Most texts have none, so callers look closer only then.
 */
#ifndef PIPIT_BYTES_H
#define PIPIT_BYTES_H

#include <stdint.h>
#include <string.h>

#define PIPIT_BYTES_EACH(byte) (0x0101010101010101u * (byte))
#define PIPIT_BYTES_HIGHS PIPIT_BYTES_EACH(0x80u)

static inline uint64_t pipit_bytes_load(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word);
	return word;
}

/* limit: at most 0x80. */
static inline uint64_t pipit_bytes_below(uint64_t word, unsigned char limit)
{
	return (word - PIPIT_BYTES_EACH(limit)) & ~word & PIPIT_BYTES_HIGHS;
}

static inline uint64_t pipit_bytes_equal(uint64_t word, unsigned char byte)
{
	return pipit_bytes_below(word ^ PIPIT_BYTES_EACH(byte), 1);
}

static inline uint64_t pipit_bytes_above_ascii(uint64_t word)
{
	return word & PIPIT_BYTES_HIGHS;
}

#endif
