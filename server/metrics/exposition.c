/* SPDX-License-Identifier: MIT */
#include "metrics/exposition.h"

#include "base/bytes.h"

#include <stdlib.h>

static const struct {
	const char *suffix;
	const char *type;
	const char *openmetrics_type;
} kinds[] = {
	[PIPIT_EXPOSITION_COUNTER] = { "_total", "counter", "counter" },
	[PIPIT_EXPOSITION_GAUGE] = { "", "gauge", "gauge" },
	[PIPIT_EXPOSITION_HISTOGRAM] = { "", "histogram", "histogram" },
	[PIPIT_EXPOSITION_INFO] = { "_info", "gauge", "info" },
};

bool pipit_exposition_grow(struct pipit_exposition *page, size_t more)
{
	size_t capacity = page->capacity * 2 + more + 16384;
	char *data = page->is_out_of_memory ? NULL : realloc(page->data, capacity);
	if (!data) {
		page->is_out_of_memory = true;
		return false;
	}
	page->data = data;
	page->capacity = capacity;
	return true;
}

#define DIGITS_MAX 20
#define FRACTION_DIGITS 9

static void put_digits(struct pipit_exposition *page, uint64_t number)
{
	if (!pipit_exposition_make_room(page, DIGITS_MAX))
		return;
	page->length = (size_t)(pipit_bytes_put_number(page->data + page->length, number) - page->data);
}

static void put_seconds(struct pipit_exposition *page, uint64_t nanoseconds)
{
	uint64_t fraction = nanoseconds % 1000000000;
	char *point;

	if (!pipit_exposition_make_room(page, DIGITS_MAX + 1 + FRACTION_DIGITS))
		return;
	point = pipit_bytes_put_number(page->data + page->length, nanoseconds / 1000000000);
	*point = '.';
	for (int i = FRACTION_DIGITS; i > 0; i--, fraction /= 10)
		point[i] = (char)('0' + fraction % 10);
	page->length = (size_t)(point + 1 + FRACTION_DIGITS - page->data);
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);
	return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static void put_descriptor(struct pipit_exposition *page, const char *keyword, const char *text)
{
	pipit_exposition_put(page, "# ");
	pipit_exposition_put(page, keyword);
	pipit_exposition_put(page, " ");
	pipit_exposition_put(page, page->family);
	/* The text format names the samples, OpenMetrics the family. */
	if (!page->openmetrics)
		pipit_exposition_put(page, kinds[page->kind].suffix);
	pipit_exposition_put(page, " ");
	pipit_exposition_put(page, text);
	pipit_exposition_put(page, "\n");
}

void pipit_exposition_start_family(
    struct pipit_exposition *page, const char *name, enum pipit_exposition_kind kind, const char *help)
{
	page->family = name;
	page->kind = kind;
	put_descriptor(page, "HELP", help);
	put_descriptor(page, "TYPE", page->openmetrics ? kinds[kind].openmetrics_type : kinds[kind].type);
	if (!page->openmetrics)
		return;
	if (ends_with(name, "_seconds"))
		put_descriptor(page, "UNIT", "seconds");
	if (ends_with(name, "_bytes"))
		put_descriptor(page, "UNIT", "bytes");
}

static inline void start_sample_as(struct pipit_exposition *page, const char *suffix)
{
	pipit_exposition_put(page, page->family);
	pipit_exposition_put(page, suffix);
	page->has_labels = false;
}

void pipit_exposition_start_sample(struct pipit_exposition *page)
{
	start_sample_as(page, kinds[page->kind].suffix);
}

void pipit_exposition_number_label(struct pipit_exposition *page, const char *name, uint64_t number)
{
	pipit_exposition_start_label(page, name);
	put_digits(page, number);
	pipit_exposition_put(page, "\"");
}

void pipit_exposition_end_sample(struct pipit_exposition *page, uint64_t value)
{
	pipit_exposition_put(page, page->has_labels ? "} " : " ");
	put_digits(page, value);
	pipit_exposition_put(page, "\n");
}

void pipit_exposition_end_sample_seconds(struct pipit_exposition *page, uint64_t nanoseconds)
{
	pipit_exposition_put(page, page->has_labels ? "} " : " ");
	put_seconds(page, nanoseconds);
	pipit_exposition_put(page, "\n");
}

void pipit_exposition_single(
    struct pipit_exposition *page, const char *name, enum pipit_exposition_kind kind, const char *help, uint64_t value)
{
	pipit_exposition_start_family(page, name, kind, help);
	pipit_exposition_start_sample(page);
	pipit_exposition_end_sample(page, value);
}

static const struct le *name_bucket(const struct pipit_exposition *page, const struct shape *shape, size_t i)
{
	static const struct le infinite = LE("+Inf");
	if (i == shape->bucket_count)
		return &infinite;
	return page->openmetrics ? &shape->buckets[i].canonical_le : &shape->buckets[i].le;
}

#define BLOCK 32

/* `"} `, digits, a line feed; at most a block. */
#define BUCKET_END_MAX 24

/* The next text overwrites the excess. */
static inline char *copy_blocks(char *at, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += BLOCK) {
		char block[BLOCK];
		memcpy(block, bytes + i, BLOCK);
		memcpy(at + i, block, BLOCK);
	}
	return at + length;
}

/*
 * Most of a long page. Lines of a histogram share the text before the value of `le`; the text after it changes only at
 * a bucket that is not empty. start: of the first line, which has only the shared text.
 */
static uint64_t put_buckets(
    struct pipit_exposition *page, const struct shape *shape, const uint64_t *totals, size_t start)
{
	size_t shared_length = page->length - start, end_length = 0;
	size_t line_max = shared_length + sizeof(struct le) + BUCKET_END_MAX;
	char line_end[BLOCK] = { 0 };
	uint64_t cumulative = 0;

	if (!pipit_exposition_make_room(page, (shape->bucket_count + 1) * line_max + BLOCK))
		return 0;
	const char *shared = page->data + start;
	char *at = page->data + page->length;
	for (size_t i = 0; i <= shape->bucket_count; i++) {
		const struct le *le = name_bucket(page, shape, i);
		cumulative += totals[1 + i];
		if (i == 0 || totals[1 + i]) {
			char *end = pipit_bytes_put_number(PIPIT_BYTES_PUT(line_end, "\"} "), cumulative);
			*end++ = '\n';
			end_length = (size_t)(end - line_end);
		}
		if (i > 0)
			at = copy_blocks(at, shared, shared_length);
		memcpy(at, le->text, sizeof(le->text));
		at = copy_blocks(at + le->length, line_end, end_length);
	}
	page->length = (size_t)(at - page->data);
	return cumulative;
}

static void put_labels_again(struct pipit_exposition *page, size_t labels, size_t length)
{
	page->has_labels = length > 0;
	/* Without labels nothing has checked the memory of the page. */
	if (length == 0 || !pipit_exposition_make_room(page, length))
		return;
	memcpy(page->data + page->length, page->data + labels, length);
	page->length += length;
}

/* _count is the last cumulative bucket, so that both are equal while the worker counts. */
void pipit_exposition_histogram(
    struct pipit_exposition *page, const struct shape *shape, const uint64_t *totals, const char *route)
{
	size_t start = page->length, labels, labels_length;
	uint64_t count;

	start_sample_as(page, "_bucket");
	labels = page->length;
	if (route)
		pipit_exposition_label(page, "route", route);
	labels_length = page->length - labels;
	pipit_exposition_start_label(page, "le");
	count = put_buckets(page, shape, totals, start);
	start_sample_as(page, "_sum");
	put_labels_again(page, labels, labels_length);
	if (shape->is_nanoseconds)
		pipit_exposition_end_sample_seconds(page, totals[0]);
	else
		pipit_exposition_end_sample(page, totals[0]);
	start_sample_as(page, "_count");
	put_labels_again(page, labels, labels_length);
	pipit_exposition_end_sample(page, count);
}

void pipit_exposition_end(struct pipit_exposition *page)
{
	if (page->openmetrics)
		pipit_exposition_put(page, "# EOF\n");
}
