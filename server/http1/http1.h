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
#include "net/handler_table.h"
#include "net/limits.h"
#include "pipit.h"

struct evhttp;
struct pipit_connection;
struct pipit_net;

/*
 * config, counters and house are kept and outlive the connection layer. base is borrowed likewise. Listening sockets: see acceptor.h.
 * mode: whose connections evhttp has; none: the hook `head` must not decide for evhttp. http: the program's evhttp, borrowed, when
 * mode is PIPIT_EVHTTP_GUARDED, else NULL.
 * Returns NULL when memory or descriptors are short.
 */
struct pipit_net *pipit_http1_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_handler_table *hooks,
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

/* --- for the request on a connection ------------------------------------------------------------------------------- */

/* The layer above's own pointer, NULL between requests. */
void pipit_connection_set_request(struct pipit_connection *connection, void *request);
void *pipit_connection_request(const struct pipit_connection *connection);

/* What goes into a reply's head: does the connection stay, the request's minor version, is it HEAD. */
bool pipit_connection_keeps_alive(const struct pipit_connection *connection);
uint8_t pipit_connection_minor(const struct pipit_connection *connection);
bool pipit_connection_is_head_request(const struct pipit_connection *connection);

/* The content that was collected for the current request, NUL behind it, now the caller's to free; NULL when it was not
 * collected but lies in flat memory. */
char *pipit_connection_take_body(struct pipit_connection *connection);

/* When the current request's first byte was received (nanoseconds, CLOCK_MONOTONIC), the nanoseconds since, and the bytes of its
 * content. */
uint64_t pipit_connection_started_ns(const struct pipit_connection *connection);
uint64_t pipit_connection_elapsed_ns(const struct pipit_connection *connection);
uint64_t pipit_connection_body_bytes(const struct pipit_connection *connection);

/* Its reply is in the batch, which ends with pipit_counters_end_batch(). */
bool pipit_connection_is_in_batch(const struct pipit_connection *connection);

/* For the log: status and content bytes of the reply that is finished. */
int pipit_connection_status(const struct pipit_connection *connection);
uint64_t pipit_connection_content_bytes(const struct pipit_connection *connection);

/* Numeric address of the client; rendered into `text` (INET6_ADDRSTRLEN bytes). */
const char *pipit_connection_peer(const struct pipit_connection *connection, char *text, size_t size);

/* "Date" of now, rendered once a second. */
const char *pipit_net_date(struct pipit_net *net);
struct pipit_net *pipit_connection_net(const struct pipit_connection *connection);

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

#endif
