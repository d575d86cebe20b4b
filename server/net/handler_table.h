/* SPDX-License-Identifier: MIT */
/*
 * What the connection layer calls in the life of a request, in order. dispatch.c and worker.c have the functions.
 */
#ifndef PIPIT_HANDLER_TABLE_H
#define PIPIT_HANDLER_TABLE_H

#include "base/refusal.h"
#include "base/slice.h"
#include "http/guard.h"

struct evhttp_request;
struct pipit_connection;

/* Where evhttp's connections come from. */
enum pipit_evhttp_mode {
	PIPIT_EVHTTP_NONE,     /* the server has no evhttp callbacks */
	PIPIT_EVHTTP_BORROWED, /* a pool that requests borrow from: no callback asks for its client's address */
	PIPIT_EVHTTP_OWN,      /* one per client: evhttp accepts */
	PIPIT_EVHTTP_GUARDED   /* the same, of the program's evhttp and its callbacks */
};

/* For a request whose head has passed the guard. */
enum pipit_decision {
	PIPIT_DECIDE_NATIVE,   /* read the body, then call `handle` */
	PIPIT_DECIDE_EVHTTP,   /* read the body, then show evhttp the request, which calls `call` */
	PIPIT_DECIDE_ANSWERED, /* the reply is given */
	PIPIT_DECIDE_WAIT,     /* a filter replies later, or calls pipit_http1_resume() */
	PIPIT_DECIDE_NO_MEMORY /* refuse with 503 */
};

/* Which connections another worker is asked to evict: the worker that has most of them. */
enum pipit_evictable {
	PIPIT_EVICTABLE_LINGERING, /* answered, linger */
	PIPIT_EVICTABLE_MANY,      /* any; the worker must have more than twice as many as this one */
	PIPIT_EVICTABLE_ANY
};

/* context: what pipit_http1_new() was given. */
struct pipit_handler_table {
	/*
	 * The head lies in the input until `retain` copies it, or the exchange ends. *body_limit: larger is refused with 413; 0: no limit.
	 */
	enum pipit_decision (*head)(void *context, struct pipit_connection *connection,
	    const struct pipit_guard_head *head, uint64_t *body_limit);
	/* Goes on after PIPIT_DECIDE_WAIT. */
	enum pipit_decision (*resumed)(void *context, struct pipit_connection *connection, uint64_t *body_limit);
	/* Headers that filters add to a reply which is not a handler's, each with CRLF. NULL: there are no filters. */
	struct pipit_slice (*reply_fields)(void *context, struct pipit_connection *connection);
	/* Copy the head out of the input, once. NULL: memory is short. */
	const struct pipit_guard_head *(*retain)(void *context, struct pipit_connection *connection);
	/* Run the native handler. A NUL follows the body. A handler that defers its reply has copied what it needs. */
	void (*handle)(void *context, struct pipit_connection *connection, struct pipit_slice body);
	/* evhttp has called back: run the route's callback. */
	void (*call)(void *context, struct pipit_connection *connection, struct evhttp_request *evhttp_request);
	/*
	 * The whole reply is sent, or in the batch that is sent next. Before it is sent where possible: a client that has its reply finds
	 * it counted.
	 */
	void (*count)(void *context, struct pipit_connection *connection);
	/* The request is over. complete: the socket has the reply, or it is in a batch that others follow; false: aborted. */
	void (*finished)(void *context, struct pipit_connection *connection, bool complete);
	/* A request, or a connection (`line` is empty then), was refused. A request that `head` made is over. */
	void (*refused)(void *context, struct pipit_connection *connection, enum pipit_refusal reason,
	    struct pipit_slice line, size_t content_bytes);
	/* The client has closed its side while the reply is deferred. Once per request. */
	void (*client_closed)(void *context, struct pipit_connection *connection);
	/* At the limit. True: another worker was asked to evict. */
	bool (*evict_elsewhere)(void *context, enum pipit_evictable which);
	/* evhttp accepts a client. */
	void (*accepting)(void *context);
	/* There is no memory for the next connection. */
	void (*pause_accepting)(void *context);
	/* No connection is left. */
	void (*emptied)(void *context);
};

#endif
