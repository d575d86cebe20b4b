/* SPDX-License-Identifier: MIT */
/*
 * A stream is a chain of links, one per event, with reference counts. The stream holds the last link, each branch (the
 * clients of one worker) the last that was announced to it, each client the last that it has begun to write. The inbox
 * of a worker has at most one announcement per stream.
 */
#ifndef PIPIT_SSE_H
#define PIPIT_SSE_H

#include "pipit.h"
#include "request/sse_event.h"

/* first: borrowed; may be NULL. */
int pipit_stream_join_with(struct pipit_stream *stream, struct pipit_request *request, struct pipit_sse_event *first);

/* For tests. */
uint64_t pipit_stream_renderings(const struct pipit_stream *stream);

#endif
