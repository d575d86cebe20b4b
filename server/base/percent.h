/* SPDX-License-Identifier: MIT */
/* Percent-encoding (RFC 3986 §2.1), both ways. */
#ifndef PIPIT_PERCENT_H
#define PIPIT_PERCENT_H

#include "base/bytes.h"
#include "base/slice.h"

/* What stands for itself besides the unreserved characters, for pipit_percent_encode(): in a segment of a path (§3.3), ... */
#define PIPIT_PERCENT_SEGMENT "!$&'()*+,;=:@"
/* ... and in a fragment (§3.5). */
#define PIPIT_PERCENT_FRAGMENT PIPIT_PERCENT_SEGMENT "/?"

/* Whether "%XX" stands in front of [at, end). */
static inline bool pipit_percent_is_escape(const char *at, const char *end)
{
	return end - at > 2 && *at == '%' && pipit_bytes_hex_value(at[1]) >= 0 && pipit_bytes_hex_value(at[2]) >= 0;
}

/* Take one byte, decoded, from the front of [*at, end), which is not empty. A '%' without two hexadecimal digits is taken as it is. */
static inline unsigned char pipit_percent_take(const char **at, const char *end)
{
	const char *byte = *at;
	if (!pipit_percent_is_escape(byte, end)) {
		*at += 1;
		return (unsigned char)*byte;
	}
	*at += 3;
	return (unsigned char)(pipit_bytes_hex_value(byte[1]) << 4 | pipit_bytes_hex_value(byte[2]));
}

/* `decoded` has room for as many bytes as are encoded, and may be the same memory. Returns how many there are; without a NUL. */
size_t pipit_percent_decode(struct pipit_slice encoded, char *decoded);

/*
 * Encode all bytes but the unreserved characters (§2.3) and those in `also` to `at`; cut before a byte that might not fit in front
 * of `end`. Returns the place behind. Three times the text's length is always enough.
 */
char *pipit_percent_encode(char *at, const char *end, struct pipit_slice text, const char *also);

#endif
