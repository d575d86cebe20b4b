/* SPDX-License-Identifier: MIT */
/*
 * Streams of server-sent events: pipit_stream_…() of pipit.h, and first events that clients share.
 *
 * A stream is a chain of links, one per event, with reference counts: the stream holds the last link, each worker the
 * last link that was announced to it, each client the last link that it has begun to write. Events are not copied, and
 * are freed when all clients have them. The clients of a worker are a branch. A new event is announced to each branch
 * through the inbox of its worker, with one message for all events until that is read.
 */
#ifndef PIPIT_SSE_H
#define PIPIT_SSE_H

#include "pipit.h"
#include "request/sse_event.h"

/* As pipit_stream_join(). first: borrowed; may be NULL. */
int pipit_stream_join_with(struct pipit_stream *stream, struct pipit_request *request, struct pipit_sse_event *first);

/* How many events have been rendered, for tests. Any thread. */
uint64_t pipit_stream_renderings(const struct pipit_stream *stream);

#endif
