/* SPDX-License-Identifier: MIT */
/*
 * A server-sent event as the bytes that clients get, rendered once and shared by all of them, with the framing of a chunk around
 * it that a client of HTTP/1.0 is not given. Pure but for its memory.
 */
#ifndef PIPIT_SSE_EVENT_H
#define PIPIT_SSE_EVENT_H

#include "base/slice.h"
#include "pipit.h"

#include <stdatomic.h>

/* Of an id: hex digits before the hyphen. */
#define PIPIT_SSE_EVENT_PREFIX_DIGITS 16

/* Const once it has its id and is shared, but for `holds`. */
struct pipit_sse_event {
	_Atomic size_t holds;
	size_t chunk_start, chunk_length; /* in `bytes` */
	size_t start, length;             /* the same without framing */
	uint64_t number;                  /* of its id; 0: none */
	char bytes[];
};

/* Render an event, without an id; *rendered is held once. 0; -EINVAL the name has line ends; -ENOMEM. */
int pipit_sse_event_new(const struct pipit_event *event, struct pipit_sse_event **rendered);

/* Lines that are no event ("retry: 2000", ":"), each with its LF; an empty line is put behind. NULL when memory is short. */
struct pipit_sse_event *pipit_sse_event_lines(const char *lines);

/* Put the id "PREFIX-NUMBER" into it; before it is shared. There is room for it: this cannot fail and costs little. */
void pipit_sse_event_set_id(struct pipit_sse_event *rendered, const char *prefix, uint64_t number);

/* Any thread. */
struct pipit_sse_event *pipit_sse_event_hold(struct pipit_sse_event *rendered);
/* NULL is harmless. */
void pipit_sse_event_release(struct pipit_sse_event *rendered);

/* For a client of HTTP/1.1, or without framing. */
static inline struct pipit_slice pipit_sse_event_bytes(const struct pipit_sse_event *rendered, bool is_chunked)
{
	return is_chunked ? (struct pipit_slice){ rendered->bytes + rendered->chunk_start, rendered->chunk_length }
			  : (struct pipit_slice){ rendered->bytes + rendered->start, rendered->length };
}

#endif
