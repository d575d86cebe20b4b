/* SPDX-License-Identifier: MIT */
/* Percent-encoding (RFC 3986 §2.1). */
#ifndef PIPIT_PERCENT_H
#define PIPIT_PERCENT_H

#include "base/bytes.h"
#include "base/slice.h"

/* §3.3, beside the unreserved ones. */
#define PIPIT_PERCENT_SEGMENT "!$&'()*+,;=:@"
/* §3.5 */
#define PIPIT_PERCENT_FRAGMENT PIPIT_PERCENT_SEGMENT "/?"

static inline bool pipit_percent_is_escape(const char *at, const char *end)
{
	return end - at > 2 && *at == '%' && pipit_bytes_hex_value(at[1]) >= 0 && pipit_bytes_hex_value(at[2]) >= 0;
}

/* An invalid escape yields its "%". [*at, end) is not empty. */
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

/* `decoded` may be `encoded.data`. Writes no NUL. */
size_t pipit_percent_decode(struct pipit_slice encoded, char *decoded);

/* Keeps unreserved bytes (§2.3) and `also`. Stops when three bytes might not fit. */
char *pipit_percent_encode(char *at, const char *end, struct pipit_slice text, const char *also);

#endif
