/* SPDX-License-Identifier: MIT */
/*
 * What a handler sees: the public functions pipit_request_* and pipit_reply_* are here, over one struct.
 *
 * A request is made when its head has passed the guard, and given back when its reply is complete or its client has gone and
 * nobody keeps it. While it is handled it points into the connection layer's memory; retaining it copies what it points to.
 */
#ifndef PIPIT_REQUEST_H
#define PIPIT_REQUEST_H

#include "base/shared_fd.h"
#include "http/guard.h"
#include "http/router.h"
#include "http1/http1.h"
#include "http1/open_reply.h"
#include "pipit.h"

#include <netinet/in.h>

struct pipit_file_cache;
struct pipit_gzip_cache;
struct pipit_openapi;

/* Of struct pipit_route_options. */
#define PIPIT_ROUTE_TEXTS 8

/* A registered route. Const while the server runs. */
struct pipit_route {
	char *pattern; /* owned */
	size_t index;  /* label of its counters */
	unsigned methods;
	pipit_handler *handler; /* one of these two */
	pipit_evhttp_callback *callback;
	void *arg;
	struct pipit_route_options options; /* its strings: */
	char *texts[PIPIT_ROUTE_TEXTS];     /* owned */
	struct pipit_openapi *openapi;      /* owned: what pipit_serve_openapi() sends; NULL for other handlers */
	struct pipit_route *next;           /* the server's list */
};

/* What all requests of a worker share. */
struct pipit_request_pool {
	struct pipit_server *server;
	struct pipit_file_cache *file_cache;
	struct pipit_gzip_cache *gzip_cache;
	struct event_base *base;
	const struct pipit_config *config;
	void *worker; /* for `post` */
	/* Thread-safe: hand the function to the worker's inbox. 0, -ENOMEM or -ESHUTDOWN. */
	int (*post)(
	    void *worker, struct pipit_request *request, void (*function)(struct pipit_request *, void *), void *arg);
	/* The same for a function that has no request; it runs in every case once 0 was returned, in pipit_worker_free() at last. */
	int (*post_call)(void *worker, void (*function)(void *), void *arg);
	struct pipit_request *free; /* linked by next_free */
	uint32_t id_prefix, id_count;
};

struct pipit_request {
	/* Zero in a new request. Not more than 80 bytes: for more, compilers use "rep stos", which takes as long as 100 instructions. */
	struct pipit_guard_head
	    *retained;            /* owned: head and its bytes in one block; NULL while they lie in flat memory */
	char *owned_body;         /* owned: the body of a kept request */
	struct memory *memory;    /* owned: strings handed out, linked */
	const char *path, *query; /* in `memory` once asked for */
	char *fields;             /* owned: field lines of the coming reply, PIPIT_RESPONSE_HEAD_FIELDS_MAX */
	size_t fields_length;
	void (*on_abort)(struct pipit_request *, void *);
	uint64_t opened_ns; /* from the first byte of its head to that of a reply that was left open; 0: it was not */
	unsigned keeps;     /* pipit_request_keep() minus _release() */
	bool in_handler;
	bool replied;
	bool is_short; /* memory for something that the handler asked for was */

	/* Set in a new request. */
	struct pipit_request_pool *pool;
	struct pipit_connection *connection; /* NULL once the reply is complete or the client gone */
	const struct pipit_route *route;     /* NULL when no route was found */
	const struct pipit_guard_head *head;
	struct pipit_slice body; /* followed by a NUL */
	uint32_t number;         /* second half of the id */

	/* Filled only when asked for; of the texts, the first byte is 0 before. */
	void *on_abort_arg;
	struct pipit_request *next_free;
	char id[17];
	char peer[INET6_ADDRSTRLEN];
	struct pipit_router_match match; /* parameters point into head->bytes */
};

/* A new request for a head in flat memory; NULL when memory is short. */
struct pipit_request *pipit_request_new(
    struct pipit_request_pool *pool, struct pipit_connection *connection, const struct pipit_guard_head *head);

/* Copy the head out of flat memory. 0 or -ENOMEM. */
int pipit_request_retain(struct pipit_request *request);

/* The connection lets the request go: it is freed, or when somebody keeps it, when that ends. */
void pipit_request_detach(struct pipit_request *request);

/* Tell a handler that waits that its client has gone; at most once, and not when it has replied. */
void pipit_request_abandon(struct pipit_request *request);

/* All that a reply may consist of: what is said before its content, and the content in memory and behind it from a file. */
struct pipit_request_reply {
	int status;
	const char *content_type; /* NULL leaves the field out */
	struct pipit_slice
	    file_fields; /* whole field lines, behind those of pipit_reply_header(); PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX */
	struct pipit_reply_content content; /* `length` includes `memory` */
};

/* As pipit_reply(). Takes the file's hold and the parts of its content, in every case. */
int pipit_request_reply(struct pipit_request *request, const struct pipit_request_reply *reply);

/* As pipit_reply_problem(); the document has further members, such as `,"errors":[…]` (a page has not). detail may be NULL. */
int pipit_request_reply_problem_with(
    struct pipit_request *request, int status, const char *detail, struct pipit_slice members);

/* Reply with 500 to a mistake of the program, and say in the log what it is. */
void pipit_request_reply_fault(struct pipit_request *request, const char *what);

/* Reply with 503, for want of memory. -ENOMEM, or as pipit_reply(). */
int pipit_request_reply_short(struct pipit_request *request);

/*
 * Reply with a status that has content, the fields of pipit_reply_header(), fields of one's own (at most 256 bytes) and a head only: the content is
 * written to `streaming` as long as the client stays, from `content` on, which is framed already. A HEAD gets its whole reply:
 * then, and when the client has gone already, open_reply->connection stays NULL.
 * 0; -EALREADY; -ENOMEM, and 503 was replied. After it pipit_http1_continue() is to be called.
 */
int pipit_request_open(struct pipit_request *request, int status, const char *content_type, struct pipit_slice fields,
    struct pipit_slice content, struct pipit_open_reply *open_reply);

/* Free the pool's spare requests. */
void pipit_request_pool_clear(struct pipit_request_pool *pool);

/* The request's first line as it was sent, without its end. */
struct pipit_slice pipit_request_line(const struct pipit_guard_head *head);

#endif
