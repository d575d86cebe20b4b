/* SPDX-License-Identifier: MIT */
#include "base/percent.h"

size_t pipit_percent_decode(struct pipit_slice encoded, char *decoded)
{
	const char *at = encoded.data, *end = at + encoded.length;
	char *out = decoded;
	while (at < end)
		*out++ = (char)pipit_percent_take(&at, end);
	return (size_t)(out - decoded);
}

static bool is_plain(char byte, const char *also)
{
	if (pipit_bytes_is_letter(byte) || pipit_bytes_is_digit(byte))
		return true;
	return byte && (strchr("-._~", byte) || strchr(also, byte));
}

char *pipit_percent_encode(char *at, const char *end, struct pipit_slice text, const char *also)
{
	for (size_t i = 0; i < text.length && end - at >= 3; i++) {
		if (is_plain(text.data[i], also)) {
			*at++ = text.data[i];
			continue;
		}
		*at++ = '%';
		at = pipit_bytes_put_hex_byte(at, (unsigned char)text.data[i]);
	}
	return at;
}
