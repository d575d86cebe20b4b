/* SPDX-License-Identifier: MIT */
/*
 * Prometheus text format 0.0.4 or OpenMetrics 1.0. No printf() and no floating point: the locale has no influence, and
 * counters stay exact.
 */
#ifndef PIPIT_EXPOSITION_H
#define PIPIT_EXPOSITION_H

#include "metrics/counter_cells.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The text format prints info metrics as gauges. */
enum pipit_exposition_kind {
	PIPIT_EXPOSITION_COUNTER,
	PIPIT_EXPOSITION_GAUGE,
	PIPIT_EXPOSITION_HISTOGRAM,
	PIPIT_EXPOSITION_INFO
};

/* Set `openmetrics`, zero the rest, free `data`. */
struct pipit_exposition {
	bool openmetrics;

	const char *family; /* without the suffix of its kind */
	enum pipit_exposition_kind kind;
	bool has_labels; /* of the current sample */

	char *data; /* from malloc(); may be NULL */
	size_t length, capacity;
	bool is_out_of_memory; /* the page is incomplete */
};

bool pipit_exposition_grow(struct pipit_exposition *page, size_t more);

static inline bool pipit_exposition_make_room(struct pipit_exposition *page, size_t more)
{
	return page->capacity - page->length >= more || pipit_exposition_grow(page, more);
}

/* Inline: the compiler knows most lengths. */
static inline void pipit_exposition_put_bytes(struct pipit_exposition *page, const char *bytes, size_t length)
{
	if (length == 0 || !pipit_exposition_make_room(page, length))
		return;
	memcpy(page->data + page->length, bytes, length);
	page->length += length;
}

static inline void pipit_exposition_put(struct pipit_exposition *page, const char *text)
{
	pipit_exposition_put_bytes(page, text, strlen(text));
}

/* name, also below: with its unit, without "_total" or "_info"; borrowed until the next family. */
void pipit_exposition_start_family(
    struct pipit_exposition *page, const char *name, enum pipit_exposition_kind kind, const char *help);

void pipit_exposition_start_sample(struct pipit_exposition *page);
void pipit_exposition_end_sample(struct pipit_exposition *page, uint64_t value);
void pipit_exposition_end_sample_seconds(struct pipit_exposition *page, uint64_t nanoseconds);

static inline void pipit_exposition_start_label(struct pipit_exposition *page, const char *name)
{
	pipit_exposition_put(page, page->has_labels ? "," : "{");
	pipit_exposition_put(page, name);
	pipit_exposition_put(page, "=\"");
	page->has_labels = true;
}

static inline void pipit_exposition_label(struct pipit_exposition *page, const char *name, const char *value)
{
	pipit_exposition_start_label(page, name);
	for (;;) {
		size_t plain = strcspn(value, "\\\"\n");
		pipit_exposition_put_bytes(page, value, plain);
		value += plain;
		if (!*value)
			break;
		pipit_exposition_put(page, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\");
		value++;
	}
	pipit_exposition_put(page, "\"");
}

void pipit_exposition_number_label(struct pipit_exposition *page, const char *name, uint64_t number);

/* Without labels. */
void pipit_exposition_single(
    struct pipit_exposition *page, const char *name, enum pipit_exposition_kind kind, const char *help, uint64_t value);

/* totals: cells of counter_cells.h. route: a label; NULL: none. */
void pipit_exposition_histogram(
    struct pipit_exposition *page, const struct shape *shape, const uint64_t *totals, const char *route);

void pipit_exposition_end(struct pipit_exposition *page);

#endif
