/* SPDX-License-Identifier: MIT */
/*
 * The functions of the layer above, which knows routes and handlers, that the connection layer calls in the life of a request, in
 * order. dispatch.c and worker.c have them.
 */
#ifndef PIPIT_HANDLER_TABLE_H
#define PIPIT_HANDLER_TABLE_H

#include "base/refusal.h"
#include "base/slice.h"
#include "http/guard.h"

struct evhttp_request;
struct pipit_connection;

/* Which connections evhttp has. */
enum pipit_evhttp_mode {
	PIPIT_EVHTTP_NONE,     /* none: the server has no evhttp callbacks */
	PIPIT_EVHTTP_BORROWED, /* a pool that requests borrow from: no callback asks for its client's address */
	PIPIT_EVHTTP_OWN,      /* one for each client: evhttp accepts the clients */
	PIPIT_EVHTTP_GUARDED   /* the same, of the program's evhttp with the program's callbacks */
};

/* For a request whose head has passed the guard. */
enum pipit_decision {
	PIPIT_DECIDE_NATIVE,   /* read the content, then call `handle` */
	PIPIT_DECIDE_EVHTTP,   /* read the content, then show evhttp the request, which calls `call` */
	PIPIT_DECIDE_ANSWERED, /* the reply is given */
	PIPIT_DECIDE_NO_MEMORY /* refuse with 503 */
};

/* Which worker evicts, and what: the one that has most of it. */
enum pipit_room {
	PIPIT_ROOM_LINGERING, /* connections that are answered and linger, no others */
	PIPIT_ROOM_MANY,      /* any that can be evicted, of which it has at least twice as many as this worker */
	PIPIT_ROOM_ANY
};

/* context: what pipit_http1_new() was given. */
struct pipit_handler_table {
	/*
	 * A head has passed. It lies in the input until `retain` copies it, or the exchange ends. *body_limit: larger content is
	 * refused with 413; 0: no limit.
	 */
	enum pipit_decision (*head)(void *context, struct pipit_connection *connection,
	    const struct pipit_guard_head *head, uint64_t *body_limit);
	/* Copy the head out of the input, once. Its new place, or NULL (503, or the connection is dropped). */
	const struct pipit_guard_head *(*retain)(void *context, struct pipit_connection *connection);
	/*
	 * The content is whole, a NUL behind it: run the native handler. It replies now or later; for a later reply it has copied
	 * what it needs.
	 */
	void (*handle)(void *context, struct pipit_connection *connection, struct pipit_slice body);
	/* evhttp has called back: run the route's evhttp callback, which replies now or later. */
	void (*call)(void *context, struct pipit_connection *connection, struct evhttp_request *evhttp_request);
	/*
	 * The whole reply is in the batch that is sent next, or sent: count the request. Before it is sent where possible, so that a
	 * client that has its reply finds it counted.
	 */
	void (*count)(void *context, struct pipit_connection *connection);
	/*
	 * The request is over. complete: the socket has taken the whole reply, or it is in a batch with others that follow; otherwise
	 * the connection was lost before.
	 */
	void (*finished)(void *context, struct pipit_connection *connection, bool complete);
	/* The connection layer has refused a request, or a connection (`line` is empty then). A request that `head` made is over. */
	void (*refused)(void *context, struct pipit_connection *connection, enum pipit_refusal reason,
	    struct pipit_slice line, size_t content_bytes);
	/* The client has closed its side while the handler defers its reply. Once per request. */
	void (*abandoned)(void *context, struct pipit_connection *connection);
	/* The limit is reached. True when another worker has been asked to evict. */
	bool (*make_room_elsewhere)(void *context, enum pipit_room room);
	/* Without memory for the next connection. */
	void (*pause_accepting)(void *context);
	/* No connection is left. */
	void (*emptied)(void *context);
};

#endif
