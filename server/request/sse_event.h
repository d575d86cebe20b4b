/* SPDX-License-Identifier: MIT */
/* An event as text, once for all clients; framed as a chunk, except for HTTP/1.0 clients. */
#ifndef PIPIT_SSE_EVENT_H
#define PIPIT_SSE_EVENT_H

#include "base/slice.h"
#include "pipit.h"

#include <stdatomic.h>

/* of an id before the hyphen */
#define PIPIT_SSE_EVENT_PREFIX_DIGITS 16

/* Const once shared, except `holds`. */
struct pipit_sse_event {
	_Atomic size_t holds;
	size_t chunk_start, chunk_length; /* in `bytes` */
	size_t start, length;             /* without framing */
	uint64_t number;                  /* of its id; 0: none */
	char bytes[];
};

/* Without an id. -EINVAL: line ends in the name. */
int pipit_sse_event_new(const struct pipit_event *event, struct pipit_sse_event **rendered);

/* "retry: 2000" or ":", each with LF; adds an empty line. */
struct pipit_sse_event *pipit_sse_event_lines(const char *lines);

/* "PREFIX-NUMBER". Before the event is shared. */
void pipit_sse_event_set_id(struct pipit_sse_event *rendered, const char *prefix, uint64_t number);

/* Any thread. */
struct pipit_sse_event *pipit_sse_event_hold(struct pipit_sse_event *rendered);
void pipit_sse_event_release(struct pipit_sse_event *rendered);

static inline struct pipit_slice pipit_sse_event_bytes(const struct pipit_sse_event *rendered, bool is_chunked)
{
	return is_chunked ? (struct pipit_slice){ rendered->bytes + rendered->chunk_start, rendered->chunk_length }
			  : (struct pipit_slice){ rendered->bytes + rendered->start, rendered->length };
}

#endif
