/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 on the connections of a worker. docs/architecture.md has the way of a request, net.h the states of a connection.
 */
#ifndef PIPIT_HTTP1_H
#define PIPIT_HTTP1_H

#include "net/handler_table.h"

struct event_base;
struct evhttp;
struct pipit_config;
struct pipit_connection;
struct pipit_counters;
struct pipit_limits;
struct pipit_net;
struct pipit_parts;
struct pipit_shared_fd;
struct pipit_trusted_proxies;
struct pipit_tls_context;

/*
 * The arguments outlive the net. mode: with NONE, `head` never decides for evhttp. http: the program's evhttp in mode GUARDED, else NULL.
 * NULL when memory or descriptors are short.
 */
struct pipit_net *pipit_http1_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_handler_table *handlers,
    void *context, enum pipit_evhttp_mode mode, struct evhttp *http);

/* The loop runs on a thread of the program, which may not ignore SIGPIPE. */
void pipit_http1_mask_sigpipe(struct pipit_net *net);

/* NULL: none. Before the first connection. */
void pipit_http1_trust(struct pipit_net *net, const struct pipit_trusted_proxies *proxies);

/* Before sockets speak TLS. context outlives the net. False: memory is short. */
bool pipit_http1_use_tls(struct pipit_net *net, struct pipit_tls_context *context);

/* From now on replies say "Connection: close", open replies end, and quiet connections are closed. */
void pipit_http1_drain(struct pipit_net *net);

/* Not within a handler. Returns how many connections had a request in flight. */
size_t pipit_http1_close_all(struct pipit_net *net);

bool pipit_http1_is_empty(const struct pipit_net *net);

/*
 * Drops all connections; then no function of the handler table is called. libevent frees what evhttp holds in the next turn or with the
 * base, and the net with the last of it.
 */
void pipit_http1_free(struct pipit_net *net);

/* Bytes in memory and a file behind them, or parts (see output.h). */
struct pipit_reply_content {
	struct pipit_slice memory;
	struct pipit_shared_fd *file; /* the hold is taken; NULL: none */
	uint64_t file_offset;
	struct pipit_parts *parts; /* taken; NULL: none */
	uint64_t length;           /* of all, in bytes */
};

/* The whole reply of a native request. Within the handler it joins the batch; what the socket does not take is copied. */
void pipit_http1_reply(struct pipit_connection *connection, int status, struct pipit_slice head,
    const struct pipit_reply_content *content);

/* After PIPIT_DECIDE_WAIT. The handler table's `resumed` is called later in this turn of the loop. */
void pipit_http1_resume(struct pipit_connection *connection);

/* More of the reply was given or written. Not within a writer's `write`; harmless within the handler. The connection may close. */
void pipit_http1_continue(struct pipit_connection *connection);

/* The handler of a deferred request gives up its reply. False: the client has not closed, it waits for one. */
bool pipit_http1_give_up(struct pipit_connection *connection);

/* --- for timeouts.c ------------------------------------------------------------------------------------------------------ */

/* Do what can be done at once, and decide what the connection waits for. */
void pipit_http1_settle(struct pipit_connection *connection);

/* Refuse a late head or body. */
void pipit_http1_time_out(struct pipit_connection *connection, enum pipit_refusal reason);

#endif
