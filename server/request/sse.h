/* SPDX-License-Identifier: MIT */
/*
 * Streams of events, in more detail than pipit.h needs: with first events that several clients share.
 *
 * A stream is a chain of links, one per event, that is held by whoever still has to write from it: the stream its end, each
 * worker the link up to which it has been told, each client the last link that it has begun. So a client that waits costs nothing
 * but time, and what nobody waits for is freed. A worker's clients are a branch of the stream; a new event is announced to
 * each branch through its worker's inbox, once for all events that come before it looks.
 */
#ifndef PIPIT_SSE_H
#define PIPIT_SSE_H

#include "pipit.h"
#include "request/sse_event.h"

/* As pipit_stream_join(); first may be NULL, and is borrowed. */
int pipit_stream_join_with(struct pipit_stream *stream, struct pipit_request *request, struct pipit_sse_event *first);

/* Events that have been rendered, for tests. Any thread. */
uint64_t pipit_stream_renderings(const struct pipit_stream *stream);

#endif
