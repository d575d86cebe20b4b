/* SPDX-License-Identifier: MIT */
#include "access/path_prefix.h"

#include "base/percent.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_PATH 512

size_t pipit_path_prefix_length(struct pipit_slice prefix)
{
	while (prefix.length > 0 && prefix.data[prefix.length - 1] == '/')
		prefix.length--;
	return prefix.length;
}

const char *pipit_path_prefix_fault(struct pipit_slice prefix)
{
	const char *at = prefix.data, *end = at + pipit_path_prefix_length(prefix);

	if (prefix.length == 0 || *at != '/')
		return "the prefix does not begin with a slash";
	if (memchr(at, '?', prefix.length) || memchr(at, '%', prefix.length))
		return "the prefix has a query or percent-encoding";
	while (at < end) {
		const char *start = at + 1;
		struct pipit_slice segment = { start, 0 };
		at = memchr(start, '/', (size_t)(end - start));
		if (!at)
			at = end;
		segment.length = (size_t)(at - start);
		if (pipit_slice_equals(segment, "*"))
			return "the prefix is a pattern; a prefix covers all below it, without *";
		if (segment.length == 0 || pipit_slice_equals(segment, ".") || pipit_slice_equals(segment, ".."))
			return "the prefix has empty or dot segments";
	}
	return NULL;
}

/* In place. */
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

size_t pipit_path_prefix_read(struct pipit_slice path, bool resolves, char *out)
{
	/* "*" */
	if (path.length == 0 || path.data[0] != '/')
		return 0;
	return join_segments(out, pipit_percent_decode(path, out), resolves);
}

bool pipit_path_readings_read(struct pipit_path_readings *readings, struct pipit_slice path)
{
	char *out = readings->small;

	readings->large = NULL;
	if (2 * path.length > sizeof readings->small)
		out = readings->large = malloc(2 * path.length);
	if (!out)
		return false;
	for (int resolves = 0; resolves < 2; resolves++) {
		readings->paths[resolves].data = out;
		readings->paths[resolves].length = pipit_path_prefix_read(path, resolves, out);
		out += path.length;
	}
	return true;
}

void pipit_path_readings_free(struct pipit_path_readings *readings)
{
	free(readings->large);
}

bool pipit_path_prefix_covers(const char *prefix, struct pipit_slice read)
{
	size_t length = pipit_path_prefix_length(pipit_slice_of(prefix));

	return read.length >= length && (length == 0 || memcmp(read.data, prefix, length) == 0) &&
	       (read.length == length || read.data[length] == '/');
}

static bool matches(const char *prefix, struct pipit_slice path, char *decoded)
{
	for (int resolves = 0; resolves < 2; resolves++) {
		size_t length = pipit_path_prefix_read(path, resolves, decoded);
		if (pipit_path_prefix_covers(prefix, (struct pipit_slice){ decoded, length }))
			return true;
	}
	return false;
}

bool pipit_path_prefix_matches(const char *prefix, struct pipit_slice path)
{
	char small[SMALL_PATH], *large = NULL;
	bool is_match;

	if (path.length > sizeof small) {
		large = malloc(path.length);
		if (!large)
			return true;
	}
	is_match = matches(prefix, path, large ? large : small);
	free(large);
	return is_match;
}
