/* SPDX-License-Identifier: MIT */
/*
 * A search through eight bytes returns marks, 0 for no match. The first mark is right; later ones may be false.
 *
 * The put functions return the position after the text.
 */
#ifndef PIPIT_BYTES_H
#define PIPIT_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline char *pipit_bytes_put(char *at, const char *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

#define PIPIT_BYTES_PUT(at, literal) pipit_bytes_put(at, literal, sizeof(literal) - 1)

/* At most 20 digits. */
static inline char *pipit_bytes_put_number(char *at, uint64_t number)
{
	size_t length = 1;
	char *end;

	for (uint64_t limit = 10; number >= limit && length < 20; limit *= 10)
		length++;
	end = at += length;
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return end;
}

static inline bool pipit_bytes_is_digit(int byte)
{
	return byte >= '0' && byte <= '9';
}

static inline bool pipit_bytes_is_letter(int byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* 0x9B, above ASCII, begins a control sequence on some terminals. */
static inline bool pipit_bytes_is_printable(unsigned char byte)
{
	return byte >= 0x20 && byte <= 0x7e;
}

/* -1: no hexadecimal digit */
static inline int pipit_bytes_hex_value(int byte)
{
	if (pipit_bytes_is_digit(byte))
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static inline size_t pipit_bytes_hex_digits(uint64_t number)
{
	return number ? (67 - (size_t)__builtin_clzll(number)) / 4 : 1;
}

/* The lowest `digits` digits. */
static inline char *pipit_bytes_put_hex(char *at, uint64_t number, size_t digits)
{
	while (digits-- > 0)
		*at++ = "0123456789abcdef"[number >> 4 * digits & 15];
	return at;
}

/* RFC 3986 §2.1: upper case. */
static inline char *pipit_bytes_put_hex_byte(char *at, unsigned char byte)
{
	*at++ = "0123456789ABCDEF"[byte >> 4];
	*at++ = "0123456789ABCDEF"[byte & 15];
	return at;
}

/* RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF. */
struct pipit_utf8_form {
	int following; /* bytes; 0: invalid first byte */
	int low;       /* bounds of the first; the others are 80 to BF */
	int high;
};

static inline struct pipit_utf8_form pipit_bytes_utf8_form(int first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return (struct pipit_utf8_form){ 1, 0x80, 0xbf };
	if (first == 0xe0)
		return (struct pipit_utf8_form){ 2, 0xa0, 0xbf };
	if (first == 0xed)
		return (struct pipit_utf8_form){ 2, 0x80, 0x9f };
	if (first >= 0xe1 && first <= 0xef)
		return (struct pipit_utf8_form){ 2, 0x80, 0xbf };
	if (first == 0xf0)
		return (struct pipit_utf8_form){ 3, 0x90, 0xbf };
	if (first >= 0xf1 && first <= 0xf3)
		return (struct pipit_utf8_form){ 3, 0x80, 0xbf };
	if (first == 0xf4)
		return (struct pipit_utf8_form){ 3, 0x80, 0x8f };
	return (struct pipit_utf8_form){ 0, 0, 0 };
}

/* Length of the character at `at`, in bytes; 0: it is invalid, or ends beyond `end`. */
static inline size_t pipit_bytes_utf8_length(const char *at, const char *end)
{
	struct pipit_utf8_form form = pipit_bytes_utf8_form((unsigned char)*at);
	if ((unsigned char)*at < 0x80)
		return 1;
	if (form.following == 0 || end - at <= form.following)
		return 0;
	for (int i = 1; i <= form.following; i++) {
		int byte = (unsigned char)at[i];
		if (byte < (i == 1 ? form.low : 0x80) || byte > (i == 1 ? form.high : 0xbf))
			return 0;
	}
	return (size_t)form.following + 1;
}

/* As pipit_bytes_utf8_length(), for what a log may hold as it is; 0 also for ASCII and for C1 controls (U+0080 to U+009F). */
static inline size_t pipit_bytes_plain_utf8(const char *at, const char *end)
{
	size_t length = (unsigned char)*at >= 0x80 ? pipit_bytes_utf8_length(at, end) : 0;
	return length == 2 && (unsigned char)at[0] == 0xc2 && (unsigned char)at[1] < 0xa0 ? 0 : length;
}

/*
 * At most 6 bytes, for a character that JSON or a log cannot hold as it is; `*from` moves behind it. An invalid byte becomes U+FFFD, as
 * in Go and in Caddy's logs: as U+0080 to U+00FF it would look like a character that the client sent.
 */
static inline char *pipit_bytes_put_json_escape(char *at, const char **from, const char *end)
{
	size_t length = pipit_bytes_utf8_length(*from, end);
	char last;

	*from += length ? length : 1;
	last = (*from)[-1];
	if (length == 0)
		return PIPIT_BYTES_PUT(at, "\\uFFFD");
	if (last == '"' || last == '\\') {
		*at++ = '\\';
		*at++ = last;
		return at;
	}
	/* The second byte of a C1 control is its number. */
	return pipit_bytes_put_hex_byte(PIPIT_BYTES_PUT(at, "\\u00"), (unsigned char)last);
}

/* For text, not attributes. NULL: no escape. */
static inline const char *pipit_bytes_html_escape(char byte)
{
	switch (byte) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	default:
		return NULL;
	}
}

#define PIPIT_BYTES_EACH(byte) (0x0101010101010101u * (byte))
#define PIPIT_BYTES_HIGHS PIPIT_BYTES_EACH(0x80u)

/* The first byte becomes the lowest: a carry reaches later bytes only. */
static inline uint64_t pipit_bytes_load(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word);
	return le64toh(word);
}

/* `marks` is not 0. */
static inline size_t pipit_bytes_first(uint64_t marks)
{
	return (size_t)__builtin_ctzll(marks) / 8;
}

/* `limit` is at most 0x80 */
static inline uint64_t pipit_bytes_below(uint64_t word, unsigned char limit)
{
	return (word - PIPIT_BYTES_EACH(limit)) & ~word & PIPIT_BYTES_HIGHS;
}

static inline uint64_t pipit_bytes_equal(uint64_t word, unsigned char byte)
{
	return pipit_bytes_below(word ^ PIPIT_BYTES_EACH(byte), 1);
}

/* `one` and `other` are ASCII. */
static inline uint64_t pipit_bytes_equal_either(uint64_t word, unsigned char one, unsigned char other)
{
	uint64_t below_one = (word ^ PIPIT_BYTES_EACH(one)) - PIPIT_BYTES_EACH(1u);
	uint64_t below_other = (word ^ PIPIT_BYTES_EACH(other)) - PIPIT_BYTES_EACH(1u);
	return (below_one | below_other) & ~word & PIPIT_BYTES_HIGHS;
}

/* RFC 8259 §7. */
static inline uint64_t pipit_bytes_json_special(uint64_t word)
{
	return pipit_bytes_below(word, 0x20) | pipit_bytes_equal_either(word, '"', '\\');
}

/* Every mark is right: no carry crosses a byte. */
static inline uint64_t pipit_bytes_equal_each(uint64_t word, unsigned char byte)
{
	uint64_t differs = word ^ PIPIT_BYTES_EACH(byte), lows = ~PIPIT_BYTES_HIGHS;
	return ~(((differs & lows) + lows) | differs) & PIPIT_BYTES_HIGHS;
}

/* `low` and `high` are ASCII. */
static inline uint64_t pipit_bytes_outside(uint64_t word, unsigned char low, unsigned char high)
{
	return ((word - PIPIT_BYTES_EACH(low)) | (word + PIPIT_BYTES_EACH(0x7f - high))) & PIPIT_BYTES_HIGHS;
}

static inline uint64_t pipit_bytes_above_ascii(uint64_t word)
{
	return word & PIPIT_BYTES_HIGHS;
}

#endif
