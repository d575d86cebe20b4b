/* SPDX-License-Identifier: MIT */
/* Borrowed bytes, not NUL-terminated unless a comment says so. */
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

static inline bool pipit_slice_is_same(struct pipit_slice one, struct pipit_slice other)
{
	return one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
}

/* ASCII only. */
static inline bool pipit_slice_equals_nocase(struct pipit_slice slice, const char *text)
{
	size_t length = strlen(text);
	return slice.length == length && strncasecmp(slice.data, text, length) == 0;
}

/* RFC 9110 §5.6.3. */
static inline bool pipit_slice_is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/* Comma-separated tokens; skips empty members (RFC 9110 §5.6.1.2). False at the end. */
static inline bool pipit_slice_next_member(struct pipit_slice *list, struct pipit_slice *member)
{
	const char *at = list->data, *end = at + list->length;
	while (at < end && (pipit_slice_is_blank(*at) || *at == ','))
		at++;
	member->data = at;
	while (at < end && *at != ',' && !pipit_slice_is_blank(*at))
		at++;
	member->length = (size_t)(at - member->data);
	*list = (struct pipit_slice){ at, (size_t)(end - at) };
	return member->length > 0;
}

static inline struct pipit_slice pipit_slice_trim(struct pipit_slice text)
{
	while (text.length && pipit_slice_is_blank(*text.data)) {
		text.data++;
		text.length--;
	}
	while (text.length && pipit_slice_is_blank(text.data[text.length - 1]))
		text.length--;
	return text;
}

/* The bytes up to the next blank, without those before. Empty at the end. */
static inline struct pipit_slice pipit_slice_take_word(struct pipit_slice *rest)
{
	struct pipit_slice word = pipit_slice_trim(*rest);
	size_t length = 0;
	while (length < word.length && !pipit_slice_is_blank(word.data[length]))
		length++;
	*rest = (struct pipit_slice){ word.data + length, word.length - length };
	word.length = length;
	return word;
}

/* Writes a NUL. Returns the new start. */
static inline char *pipit_slice_trim_in_place(char *text, char *end)
{
	struct pipit_slice trimmed = pipit_slice_trim((struct pipit_slice){ text, (size_t)(end - text) });
	char *start = text + (trimmed.data - text);
	start[trimmed.length] = '\0';
	return start;
}

/* Removes the text up to and including the mark, or all of it. Returns it trimmed, without the mark. */
static inline struct pipit_slice pipit_slice_take_until(struct pipit_slice *text, char mark)
{
	const char *found = text->length ? (const char *)memchr(text->data, mark, text->length) : NULL;
	struct pipit_slice taken = { text->data, found ? (size_t)(found - text->data) : text->length };
	size_t used = taken.length + (found != NULL);
	text->data += used;
	text->length -= used;
	return pipit_slice_trim(taken);
}

#endif
