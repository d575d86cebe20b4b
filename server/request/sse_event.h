/* SPDX-License-Identifier: MIT */
/*
 * A server-sent event as the bytes that clients get, rendered once and shared by all of them, with the framing of a chunk around
 * it that a client of HTTP/1.0 is not given. Pure but for its memory.
 */
#ifndef PIPIT_RENDERED_H
#define PIPIT_RENDERED_H

#include "base/slice.h"
#include "pipit.h"

#include <stdatomic.h>

/* Of an id: hex digits before the hyphen. */
#define PIPIT_RENDERED_PREFIX_DIGITS 16

/* Const once it has its id and is shared, but for `holds`. */
struct pipit_rendered {
	_Atomic size_t holds;
	size_t chunk_start, chunk_length; /* in `bytes` */
	size_t start, length;             /* the same without framing */
	uint64_t number;                  /* of its id; 0: none */
	char bytes[];
};

/* Render an event, without an id; *rendered is held once. 0; -EINVAL the name has line ends; -ENOMEM. */
int pipit_rendered_new(const struct pipit_event *event, struct pipit_rendered **rendered);

/* Lines that are no event ("retry: 2000", ":"), each with its LF; an empty line is put behind. NULL when memory is short. */
struct pipit_rendered *pipit_rendered_lines(const char *lines);

/* Put the id "PREFIX-NUMBER" into it; before it is shared. There is room for it: this cannot fail and costs little. */
void pipit_rendered_set_id(struct pipit_rendered *rendered, const char *prefix, uint64_t number);

/* Any thread. */
struct pipit_rendered *pipit_rendered_hold(struct pipit_rendered *rendered);
/* NULL is harmless. */
void pipit_rendered_release(struct pipit_rendered *rendered);

/* For a client of HTTP/1.1, or without framing. */
static inline struct pipit_slice pipit_rendered_bytes(const struct pipit_rendered *rendered, bool is_chunked)
{
	return is_chunked ? (struct pipit_slice){ rendered->bytes + rendered->chunk_start, rendered->chunk_length }
			  : (struct pipit_slice){ rendered->bytes + rendered->start, rendered->length };
}

#endif
