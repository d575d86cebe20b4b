/* SPDX-License-Identifier: MIT */
/*
 * What the connection layer asks of the layer above it, which knows routes and handlers: every question of a request's life, in
 * order. dispatch.c answers them.
 */
#ifndef PIPIT_HANDLER_TABLE_H
#define PIPIT_HANDLER_TABLE_H

#include "base/refusal.h"
#include "base/slice.h"
#include "http/guard.h"

struct evhttp_request;
struct pipit_connection;

/* Whose connections evhttp has. */
enum pipit_evhttp_mode {
	PIPIT_EVHTTP_NONE,     /* the server has no evhttp callbacks */
	PIPIT_EVHTTP_BORROWED, /* requests borrow them: no callback asks who its client is */
	PIPIT_EVHTTP_OWN,      /* each client has its own: evhttp accepts the clients */
	PIPIT_EVHTTP_GUARDED   /* the same, and evhttp is the program's, with its callbacks */
};

/* What the hook wants done with a request whose head has passed the guard. */
enum pipit_decision {
	PIPIT_DECIDE_NATIVE, /* collect the content, then call the hook `handle` */
	PIPIT_DECIDE_EVHTTP, /* collect the content, then show evhttp the request: it calls back, and its reply counts */
	PIPIT_DECIDE_ANSWERED, /* the hook has replied */
	PIPIT_DECIDE_NO_MEMORY /* refuse with 503 */
};

/* Which worker is asked to make room, and with what: the one that has most of it. */
enum pipit_room {
	PIPIT_ROOM_LINGERING, /* connections that are answered and only linger, no others */
	PIPIT_ROOM_MANY,      /* any that it can spare, of which it has at least twice as many as this worker */
	PIPIT_ROOM_ANY
};

/* How the connection layer speaks to the layer that knows routes. `context` is what pipit_http1_new() was given. */
struct pipit_handler_table {
	/*
	 * A head has passed. It lies in the connection layer's memory until the hook `retain` moves it, or the reply is complete.
	 * *body_limit: content of more bytes is refused with 413; 0 is no limit.
	 */
	enum pipit_decision (*head)(void *context, struct pipit_connection *connection,
	    const struct pipit_guard_head *head, uint64_t *body_limit);
	/* The bytes of the head are about to go: copy them. Returns the head's new place, or NULL (refused with 503). */
	const struct pipit_guard_head *(*retain)(void *context, struct pipit_connection *connection);
	/*
	 * The content is complete: run the native handler. body is followed by a NUL. The handler may reply with
	 * pipit_http1_reply() now or later; when it does not now, the hook must have copied what it still needs.
	 */
	void (*handle)(void *context, struct pipit_connection *connection, struct pipit_slice body);
	/* evhttp has called back: run the route's evhttp callback, which replies to evhttp_request now or later. */
	void (*call)(void *context, struct pipit_connection *connection, struct evhttp_request *evhttp_request);
	/*
	 * The whole reply is in the batch that is sent next, or sent: count it. Before it is sent where possible, so that a client which
	 * has its reply finds it counted.
	 */
	void (*count)(void *context, struct pipit_connection *connection);
	/*
	 * The request is over. complete: the socket has taken the whole reply, or it is in a batch with others that follow; otherwise the
	 * client was lost before.
	 */
	void (*finished)(void *context, struct pipit_connection *connection, bool complete);
	/* The connection layer has refused; `line` is what arrived, at most its first line. A request that `head` made is over. */
	void (*refused)(void *context, struct pipit_connection *connection, enum pipit_refusal reason,
	    struct pipit_slice line, size_t content_bytes);
	/* The client of a request that waits for its handler has closed its side. Called once per request. */
	void (*abandoned)(void *context, struct pipit_connection *connection);
	/* All connections are in use. True when another worker is asked to let one go. */
	bool (*make_room_elsewhere)(void *context, enum pipit_room room);
	/* Memory for the next connection is short: stop accepting for a moment. */
	void (*pause_accepting)(void *context);
	/* The last connection has gone. */
	void (*emptied)(void *context);
};

#endif
