/* SPDX-License-Identifier: MIT */
/*
 * Lifetime: docs/architecture.md, rule 2. A request points into buffers of the connection; pipit_request_retain()
 * copies the head.
 */
#ifndef PIPIT_REQUEST_H
#define PIPIT_REQUEST_H

#include "base/shared_fd.h"
#include "http/guard.h"
#include "http/router.h"
#include "http1/http1.h"
#include "http1/open_reply.h"
#include "net/connection.h"
#include "pipit.h"
#include "proxy/trusted_proxies.h"
#include "json/json.h"

#include <netinet/in.h>

struct pipit_file_cache;
struct pipit_filter;
struct pipit_gzip_cache;
struct pipit_openapi;

#define PIPIT_ROUTE_TEXTS 8

/* Constant while the server runs. */
struct pipit_route {
	char *pattern; /* owned */
	size_t index;  /* for its counters */
	unsigned methods;
	pipit_handler *handler; /* or `callback` */
	pipit_evhttp_callback *callback;
	void *arg;
	struct pipit_route_options options;   /* its strings are `texts` */
	char *texts[PIPIT_ROUTE_TEXTS];       /* owned */
	struct pipit_openapi *openapi;        /* owned; only for pipit_serve_openapi() */
	struct pipit_openapi *public_openapi; /* the same, without routes that are admin_only; NULL: no admin_listen */
	struct pipit_route *next;
};

struct pipit_request_pool {
	struct pipit_server *server;
	struct pipit_file_cache *file_cache;
	struct pipit_gzip_cache *gzip_cache;
	struct event_base *base;
	struct pipit_counters *counters;
	const struct pipit_config *config;
	struct pipit_limits *limits;
	const struct pipit_trusted_proxies *trusted_proxies; /* NULL: none */
	void *worker;                                        /* for `post` */
	/* To the inbox of the worker. Any thread. -ENOMEM or -ESHUTDOWN. */
	int (*post)(
	    void *worker, struct pipit_request *request, void (*function)(struct pipit_request *, void *), void *arg);
	/* After 0 the function always runs, at the latest in pipit_worker_free(). */
	int (*post_call)(void *worker, void (*function)(void *), void *arg);
	struct pipit_request *free; /* by next_free */
	/* The last host that every route serves. UINT32_MAX: none. */
	uint32_t checked_host_length;
	char checked_host[64];
	uint32_t id_prefix, id_count;
};

struct pipit_request {
	/*
	 * Zero in a new request. At most 80 bytes: above, compilers use "rep stos", which takes as long as 100
	 * instructions.
	 */
	struct pipit_guard_head *retained; /* owned: head and its bytes; NULL while they are in flat memory */
	char *owned_body;                  /* owned, of a kept request */
	struct memory *memory;             /* owned: strings for the handler */
	const char *path, *query;          /* in `memory`; NULL until requested */
	char *fields;                      /* owned: headers of the reply, PIPIT_RESPONSE_HEAD_FIELDS_MAX bytes */
	size_t fields_length;
	void (*on_abort)(struct pipit_request *, void *);
	uint64_t opened_ns; /* from the request's first byte to an open reply's head; 0: not open */
	unsigned keep_count;
	bool in_handler;
	bool replied;
	bool is_out_of_memory; /* in a call of the handler */
	bool has_client;       /* `client` and `scheme` are set */

	/* Set in a new request. */
	struct pipit_request_pool *pool;
	struct pipit_connection *connection; /* NULL after the reply, or when the client closed */
	const struct pipit_route *route;     /* NULL: none */
	const struct pipit_guard_head *head;
	struct pipit_slice body; /* followed by a NUL */
	uint32_t id_number;

	/* Set by a filter that defers. */
	const struct pipit_filter *next_filter;

	/* Set with `retained`: charged to the limits without a connection. */
	uint64_t charged;

	/* Set when requested; until then the texts are empty. */
	void *on_abort_arg;
	struct pipit_request *next_free;
	char id[17];
	char peer[INET6_ADDRSTRLEN];
	union pipit_client_address client;
	enum pipit_forwarded_scheme scheme;
	struct pipit_router_match match; /* points into head->bytes */
};

struct pipit_request *pipit_request_new(
    struct pipit_request_pool *pool, struct pipit_connection *connection, const struct pipit_guard_head *head);

/*
 * The client's address, as pipit_request_peer() has it in text. NULL: a client of a UNIX socket, or an unknown one. Valid as long as the
 * request.
 */
const struct sockaddr *pipit_request_client(struct pipit_request *request);

int pipit_request_retain(struct pipit_request *request);

/* Unless the request is kept. */
void pipit_request_detach(struct pipit_request *request);

/* At most once; calls the abort callback. */
void pipit_request_abandon(struct pipit_request *request);

/* pipit_reply_header() takes it. */
bool pipit_request_may_add_header(const char *name, const char *value);

/* pipit_reply_header() has added one of this name. */
bool pipit_request_has_reply_header(const struct pipit_request *request, const char *name);

struct pipit_request_reply {
	int status;
	const char *content_type; /* NULL: none */
	struct pipit_slice
	    file_fields; /* after those of pipit_reply_header(); at most PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX bytes */
	struct pipit_reply_content content; /* `length` includes `memory` */
};

/* As pipit_reply(). Always takes file and parts of the content. */
int pipit_request_reply(struct pipit_request *request, const struct pipit_request_reply *reply);

/* members: `,"errors":[…]`, left out of HTML. detail: may be NULL. */
int pipit_request_reply_problem_with(
    struct pipit_request *request, int status, const char *detail, struct pipit_slice members);

/* 500 and a log message, for a fault of the program. */
void pipit_request_reply_fault(struct pipit_request *request, const char *what);

/* 503. Returns -ENOMEM, or as pipit_reply(). */
int pipit_request_reply_short(struct pipit_request *request);

/*
 * `open_reply` writes the body later. status: one with a body. fields: after those of pipit_reply_header(), at most 256
 * bytes. content: first bytes, framed. open_reply->connection stays NULL for HEAD, or when the client closed. 0;
 * -EALREADY; -ENOMEM after a 503. Call pipit_http1_continue() afterwards.
 */
int pipit_request_open(struct pipit_request *request, int status, const char *content_type, struct pipit_slice fields,
    struct pipit_slice content, struct pipit_open_reply *open_reply);

/* As pipit_request_json(), but builds no tree, and duplicate names pass. False after a reply. */
bool pipit_request_check_json(struct pipit_request *request);

struct pipit_json_limits pipit_request_json_limits(const struct pipit_request *request);

void pipit_request_pool_clear(struct pipit_request_pool *pool);

struct pipit_slice pipit_request_line(const struct pipit_guard_head *head);

#endif
