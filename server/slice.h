/* SPDX-License-Identifier: MIT */
/* Bytes that belong to somebody else: a pointer and a length. Never NUL-terminated unless a comment says so. */
#ifndef PIPIT_SLICE_H
#define PIPIT_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct pipit_slice {
	const char *data; /* may be NULL when length is 0 */
	size_t length;
};

static inline struct pipit_slice pipit_slice_of(const char *text)
{
	return (struct pipit_slice){ text, strlen(text) };
}

static inline bool pipit_slice_equals(struct pipit_slice slice, const char *text)
{
	size_t length = strlen(text);
	return slice.length == length && memcmp(slice.data, text, length) == 0;
}

/* ASCII case does not count: field names, media types, tokens. */
static inline bool pipit_slice_equals_nocase(struct pipit_slice slice, const char *text)
{
	size_t length = strlen(text);
	return slice.length == length && strncasecmp(slice.data, text, length) == 0;
}

#endif
