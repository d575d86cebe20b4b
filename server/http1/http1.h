/* SPDX-License-Identifier: MIT */
/*
 * A connection: its bytes, and evhttp behind it.
 *
 * evhttp never touches the socket. The connection layer receives into one flat buffer of the worker, lets the guard judge, collects
 * the content, shows evhttp one whole canonical message, and sends all replies of a readiness in one send(). Above it, hooks
 * decide and handle; below it, only libevent.
 *
 * One net per worker; everything here runs on the worker's thread.
 *
 * The life of a connection, in phases (settle() in http1.c decides which is next):
 *
 *     IDLE ─► HEAD ─► BODY ─► HANDLING ─► WRITING ─► IDLE …          a request that needs to wait at every stage
 *                             └──────► STREAMING ─► IDLE …          one whose reply is left open, see open_reply.h
 *     IDLE ─────────────────────────────────────────► IDLE          one that arrives whole and is answered at once
 *      any ─► CLOSING ─► gone                                        answered with "Connection: close", or refused
 */
#ifndef PIPIT_HTTP1_H
#define PIPIT_HTTP1_H

#include "base/shared_fd.h"
#include "metrics/counters.h"
#include "net/connection.h"
#include "net/handler_table.h"
#include "net/limits.h"
#include "pipit.h"

struct evhttp;

/*
 * config, counters and house are kept and outlive the connection layer. base is borrowed likewise. Listening sockets: see acceptor.h.
 * mode: whose connections evhttp has; none: the hook `head` must not decide for evhttp. http: the program's evhttp, borrowed, when
 * mode is PIPIT_EVHTTP_GUARDED, else NULL.
 * Returns NULL when memory or descriptors are short.
 */
struct pipit_net *pipit_http1_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_handler_table *handlers,
    void *context, enum pipit_evhttp_mode mode, struct evhttp *http);

/* From now on every reply says "Connection: close", replies that were left open end, and idle connections leave once they have
 * been quiet for a moment. */
void pipit_http1_drain(struct pipit_net *net);

/* Close every connection. Not from within a handler. Returns how many had a request in flight. */
size_t pipit_http1_close_all(struct pipit_net *net);

/* True when no client is connected. */
bool pipit_http1_is_empty(const struct pipit_net *net);

/*
 * Close all. What evhttp holds is freed by libevent in the next turn of the loop or with the base, and the connection layer's memory goes
 * with the last of it; no hook is called after this returns.
 */
void pipit_http1_free(struct pipit_net *net);

/* Of a reply: bytes in memory, and then perhaps a file's, or a content in parts instead of these (see output.h). */
struct pipit_reply_content {
	struct pipit_slice memory;
	struct pipit_shared_fd *file; /* the caller's hold is taken; NULL when none */
	uint64_t file_offset;
	struct pipit_parts *parts; /* taken; NULL when none */
	uint64_t length;           /* of all of it, in bytes */
};

/*
 * The whole reply of a native request. Copies what the socket does not take at once. Within the handler the bytes wait for the
 * end of the batch. status: for the log.
 */
void pipit_http1_reply(struct pipit_connection *connection, int status, struct pipit_slice head,
    const struct pipit_reply_content *content);

/*
 * More of the current request's reply has been given or written, not for an upcall: let the connection take notice. It may close
 * then. Within the handler it does so when that has returned.
 */
void pipit_http1_continue(struct pipit_connection *connection);

/* --- for timeouts.c ------------------------------------------------------------------------------------------------------ */

/* Decide anew what it waits for, after doing what can be done at once. */
void pipit_http1_settle(struct pipit_connection *connection);

/* Its head or content is late: refuse it. */
void pipit_http1_time_out(struct pipit_connection *connection, enum pipit_refusal reason);

#endif
