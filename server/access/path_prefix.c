/* SPDX-License-Identifier: MIT */
#include "access/path_prefix.h"

#include "base/percent.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_PATH 512

/* Lengths with one slash before each segment and none at the end: "" is the root. In place. */
static size_t join_segments(char *path, size_t length, bool resolves)
{
	const char *at = path, *end = path + length;
	char *to = path;

	while (at < end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t segment = (size_t)((slash ? slash : end) - at);
		if (resolves && segment == 2 && at[0] == '.' && at[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (segment > 0 && !(resolves && segment == 1 && at[0] == '.')) {
			*to++ = '/';
			memmove(to, at, segment);
			to += segment;
		}
		at += segment + 1;
	}
	return (size_t)(to - path);
}

static bool lies_under(const char *prefix, size_t prefix_length, const char *path, size_t length)
{
	return length >= prefix_length && memcmp(path, prefix, prefix_length) == 0 &&
	       (length == prefix_length || path[prefix_length] == '/');
}

static bool matches(const char *prefix, struct pipit_slice path, char *decoded)
{
	size_t prefix_length = strlen(prefix), length = pipit_percent_decode(path, decoded);

	while (prefix_length > 0 && prefix[prefix_length - 1] == '/')
		prefix_length--;
	length = join_segments(decoded, length, false);
	if (lies_under(prefix, prefix_length, decoded, length))
		return true;
	length = join_segments(decoded, length, true);
	return lies_under(prefix, prefix_length, decoded, length);
}

bool pipit_path_prefix_matches(const char *prefix, struct pipit_slice path)
{
	char small[SMALL_PATH], *large = NULL;
	bool is_match;

	/* "*" */
	if (path.length == 0 || path.data[0] != '/')
		return strcmp(prefix, "/") == 0;
	if (path.length > sizeof small) {
		large = malloc(path.length);
		if (!large)
			return true;
	}
	is_match = matches(prefix, path, large ? large : small);
	free(large);
	return is_match;
}
