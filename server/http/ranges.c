/* SPDX-License-Identifier: MIT */
#include "http/ranges.h"

/* More ranges in one header are an attack. */
#define SPECIFIERS_MAX (3 * PIPIT_RANGES_MAX)

/* Saturates: all positions behind the end are equal. */
static bool take_number(const char **at, const char *end, uint64_t *number)
{
	const char *first = *at;
	*number = 0;
	for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');
		*number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
	}
	return *at > first;
}

/* Of an empty file, these are all of it, though not a range (RFC 9110 §14.1.2); nginx and Go send it with 200. */
static bool is_all_of_empty(struct pipit_slice specifier)
{
	const char *at = specifier.data, *end = at + specifier.length;
	bool is_suffix = *at == '-';
	uint64_t number;

	at += is_suffix;
	return take_number(&at, end, &number) && (is_suffix ? number > 0 : number == 0);
}

/* Length 0: not satisfiable. */
static bool parse_specifier(struct pipit_slice text, uint64_t size, struct pipit_range *range)
{
	const char *at = text.data, *end = at + text.length;
	uint64_t first, last = UINT64_MAX, suffix;
	bool has_first = take_number(&at, end, &first);

	if (at == end || *at++ != '-')
		return false;
	*range = (struct pipit_range){ 0, 0 };
	if (!has_first) {
		if (!take_number(&at, end, &suffix) || at != end)
			return false;
		range->length = suffix < size ? suffix : size;
		range->first = size - range->length;
		return true;
	}
	if (at < end && (!take_number(&at, end, &last) || at != end || last < first))
		return false;
	if (first < size) {
		range->first = first;
		range->length = last < size ? last - first + 1 : size - first;
	}
	return true;
}

static bool meets(const struct pipit_range *one, const struct pipit_range *other)
{
	return one->first <= other->first + other->length && other->first <= one->first + one->length;
}

static void unite(struct pipit_range *with, const struct pipit_range *other)
{
	uint64_t end = with->first + with->length, other_end = other->first + other->length;
	with->first = with->first < other->first ? with->first : other->first;
	with->length = (end > other_end ? end : other_end) - with->first;
}

static void merge(struct pipit_range *ranges, size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		for (size_t j = i + 1; j < *count;) {
			if (!meets(&ranges[i], &ranges[j])) {
				j++;
				continue;
			}
			unite(&ranges[i], &ranges[j]);
			memmove(&ranges[j], &ranges[j + 1], (--*count - j) * sizeof *ranges);
			/* Compare the larger range with all others again. */
			j = i + 1;
		}
	}
}

/* RFC 9110 §14.1 */
static bool take_unit(struct pipit_slice *value)
{
	static const char unit[] = "bytes=";
	if (value->length < sizeof unit - 1 || strncasecmp(value->data, unit, sizeof unit - 1) != 0)
		return false;
	value->data += sizeof unit - 1;
	value->length -= sizeof unit - 1;
	return true;
}

enum pipit_ranges_result pipit_ranges_parse(
    struct pipit_slice value, uint64_t size, struct pipit_range ranges[PIPIT_RANGES_MAX], size_t *count)
{
	struct pipit_range found[SPECIFIERS_MAX];
	size_t named = 0;
	bool is_all = false;

	*count = 0;
	if (!take_unit(&value))
		return PIPIT_RANGES_IGNORED;
	while (value.length) {
		struct pipit_slice specifier = pipit_slice_take_until(&value, ',');
		struct pipit_range range;
		/* empty members are ignored (RFC 9110 §5.6.1.2) */
		if (specifier.length == 0)
			continue;
		if (!parse_specifier(specifier, size, &range))
			return PIPIT_RANGES_IGNORED;
		is_all |= size == 0 && is_all_of_empty(specifier);
		if (named++ == SPECIFIERS_MAX)
			return PIPIT_RANGES_UNSATISFIABLE;
		if (range.length)
			found[(*count)++] = range;
	}
	if (named == 0 || is_all)
		return PIPIT_RANGES_IGNORED;
	merge(found, count);
	if (*count == 0 || *count > PIPIT_RANGES_MAX)
		return PIPIT_RANGES_UNSATISFIABLE;
	memcpy(ranges, found, *count * sizeof *found);
	return PIPIT_RANGES_FOUND;
}
