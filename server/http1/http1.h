/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 on the connections of a worker: input is received into one buffer of the worker, judged by the guard, routed and handled, and
 * all replies to it are sent at once. evhttp never touches a socket. The states of a connection are in net.h.
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
 * config, counters, limits, handlers and base are borrowed and outlive the net. mode: NONE means that `head` never decides for evhttp.
 * http: the program's evhttp, borrowed, in mode GUARDED, else NULL. NULL when memory or descriptors are short.
 */
struct pipit_net *pipit_http1_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_handler_table *handlers,
    void *context, enum pipit_evhttp_mode mode, struct evhttp *http);

/* From now on replies say "Connection: close", open replies end, and idle connections are closed after a moment. */
void pipit_http1_drain(struct pipit_net *net);

/* Drop all connections, not from within a handler. Returns how many had a request in flight. */
size_t pipit_http1_close_all(struct pipit_net *net);

/* No client is connected. */
bool pipit_http1_is_empty(const struct pipit_net *net);

/*
 * Drop all connections. libevent frees what evhttp holds in the next turn of the loop or with the base, and the net with the last of it. No
 * function of the handler table is called after this returns.
 */
void pipit_http1_free(struct pipit_net *net);

/* Bytes in memory and a file behind them, or parts (see output.h). */
struct pipit_reply_content {
	struct pipit_slice memory;
	struct pipit_shared_fd *file; /* the hold is taken; NULL: none */
	uint64_t file_offset;
	struct pipit_parts *parts; /* taken; NULL: none */
	uint64_t length;           /* of everything, in bytes */
};

/* The whole reply of a native request. Copies what the socket does not take at once; within the handler it joins the batch. */
void pipit_http1_reply(struct pipit_connection *connection, int status, struct pipit_slice head,
    const struct pipit_reply_content *content);

/* More of the current reply was given or written, outside of the handler and of a writer's `write`: go on. The connection may close.
 * Harmless within the handler. */
void pipit_http1_continue(struct pipit_connection *connection);

/* The handler of a deferred request gives up its reply. False: the client has not closed, it waits for one. */
bool pipit_http1_give_up(struct pipit_connection *connection);

/* --- for timeouts.c ------------------------------------------------------------------------------------------------------ */

/* Do what can be done at once, and decide what the connection waits for. */
void pipit_http1_settle(struct pipit_connection *connection);

/* Refuse a late head or content. */
void pipit_http1_time_out(struct pipit_connection *connection, enum pipit_refusal reason);

#endif
