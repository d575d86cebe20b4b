/* SPDX-License-Identifier: MIT */
/*
 * pipit_request_…() and pipit_reply_…() of pipit.h, and the struct behind them.
 *
 * A request lives from the end of its head until its reply is complete or its client has gone, and longer if the
 * handler keeps it. It points into buffers of the connection layer; pipit_request_retain() copies the head.
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

/* Strings in struct pipit_route_options. */
#define PIPIT_ROUTE_TEXTS 8

/* A registered route. Const while the server runs. */
struct pipit_route {
	char *pattern; /* owned */
	size_t index;  /* of its counters */
	unsigned methods;
	pipit_handler *handler; /* one of these two */
	pipit_evhttp_callback *callback;
	void *arg;
	struct pipit_route_options options; /* the strings are `texts` */
	char *texts[PIPIT_ROUTE_TEXTS];     /* owned */
	struct pipit_openapi *openapi;      /* owned: the reply of pipit_serve_openapi(); NULL for other handlers */
	struct pipit_route *next;
};

struct pipit_request_pool {
	struct pipit_server *server;
	struct pipit_file_cache *file_cache;
	struct pipit_gzip_cache *gzip_cache;
	struct event_base *base;
	const struct pipit_config *config;
	void *worker; /* for `post` */
	/* Thread-safe: post the function to the inbox of the worker. 0, -ENOMEM or -ESHUTDOWN. */
	int (*post)(
	    void *worker, struct pipit_request *request, void (*function)(struct pipit_request *, void *), void *arg);
	/* The same without a request. After 0 the function always runs, at the latest in pipit_worker_free(). */
	int (*post_call)(void *worker, void (*function)(void *), void *arg);
	struct pipit_request *free; /* linked by next_free */
	uint32_t id_prefix, id_count;
};

struct pipit_request {
	/* Zero in a new request. At most 80 bytes: above, compilers use "rep stos", which takes as long as 100
	 * instructions. */
	struct pipit_guard_head
	    *retained;            /* owned: head and its bytes in one block; NULL while they are in flat memory */
	char *owned_body;         /* owned: the body of a kept request */
	struct memory *memory;    /* owned: strings that the handler got */
	const char *path, *query; /* in `memory`; NULL until requested */
	char *fields;             /* owned: headers of the coming reply, PIPIT_RESPONSE_HEAD_FIELDS_MAX bytes */
	size_t fields_length;
	void (*on_abort)(struct pipit_request *, void *);
	uint64_t opened_ns; /* from the first byte of the request to the head of its open reply; 0: not open */
	unsigned keeps;     /* pipit_request_keep() minus _release() */
	bool in_handler;
	bool replied;
	bool is_short; /* the handler did not get something for want of memory */

	/* Set in a new request. */
	struct pipit_request_pool *pool;
	struct pipit_connection *connection; /* NULL after the reply is complete, or the client has gone */
	const struct pipit_route *route;     /* NULL: no route matches */
	const struct pipit_guard_head *head;
	struct pipit_slice body; /* followed by a NUL */
	uint32_t number;         /* the second half of the id */

	/* Set when requested; until then the texts begin with NUL. */
	void *on_abort_arg;
	struct pipit_request *next_free;
	char id[17];
	char peer[INET6_ADDRSTRLEN];
	struct pipit_router_match match; /* parameters point into head->bytes */
};

/* For a head in flat memory. NULL when memory is short. */
struct pipit_request *pipit_request_new(
    struct pipit_request_pool *pool, struct pipit_connection *connection, const struct pipit_guard_head *head);

/* Copy the head out of flat memory. 0 or -ENOMEM. */
int pipit_request_retain(struct pipit_request *request);

/* The connection is done with the request: frees it, unless it is kept. */
void pipit_request_detach(struct pipit_request *request);

/* Call the abort callback of a deferred handler, at most once. */
void pipit_request_abandon(struct pipit_request *request);

struct pipit_request_reply {
	int status;
	const char *content_type; /* NULL: no header */
	struct pipit_slice
	    file_fields; /* headers, after those of pipit_reply_header(); at most PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX bytes */
	struct pipit_reply_content content; /* `length` includes `memory` */
};

/* As pipit_reply(). Always takes the file and the parts of the content. */
int pipit_request_reply(struct pipit_request *request, const struct pipit_request_reply *reply);

/* As pipit_reply_problem(), with further members such as `,"errors":[…]`, left out of HTML. detail may be NULL. */
int pipit_request_reply_problem_with(
    struct pipit_request *request, int status, const char *detail, struct pipit_slice members);

/* Reply with 500, and log what is wrong in the program. */
void pipit_request_reply_fault(struct pipit_request *request, const char *what);

/* Reply with 503: memory is short. Returns -ENOMEM, or as pipit_reply(). */
int pipit_request_reply_short(struct pipit_request *request);

/*
 * Begin a reply whose body is written to `open_reply` later. status: one with a body. fields: headers after those of
 * pipit_reply_header(), at most 256 bytes. content: the first bytes of the body, framed. For HEAD, and when the client
 * has gone, open_reply->connection stays NULL. 0; -EALREADY; -ENOMEM after a 503. Call pipit_http1_continue() then.
 */
int pipit_request_open(struct pipit_request *request, int status, const char *content_type, struct pipit_slice fields,
    struct pipit_slice content, struct pipit_open_reply *open_reply);

void pipit_request_pool_clear(struct pipit_request_pool *pool);

/* Without its line end. */
struct pipit_slice pipit_request_line(const struct pipit_guard_head *head);

#endif
