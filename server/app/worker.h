/* SPDX-License-Identifier: MIT */
/* A thread with its own event_base, sockets and connections. Other threads use its inbox. */
#ifndef PIPIT_WORKER_H
#define PIPIT_WORKER_H

#include "net/limits.h"
#include "request/dispatch.h"

#include <pthread.h>
#include <stdatomic.h>

struct evhttp;
struct evhttp_bound_socket;
struct pipit_worker;

/* For all workers. Constant while they run, except atomics. */
struct pipit_shared {
	struct pipit_server *server;
	const struct pipit_config *config;
	struct pipit_dispatch_routes routes[2]; /* see dispatch.h */
	const struct pipit_filter *filters;
	enum pipit_evhttp_mode evhttp_mode;
	struct evhttp *evhttp; /* NULL unless PIPIT_EVHTTP_GUARDED */
	bool has_threads;      /* that post to the workers, also when is_quiet */
	bool
	    is_quiet; /* without a connection, the worker has no event in the loop, which may end, and no inbox unless has_threads */
	bool keeps_left;                     /* see evhttp_link.h */
	bool keeps_counters;                 /* pipit_worker_free() does not free them */
	size_t route_count;                  /* with "fallback" and "none" */
	struct pipit_access_log *access_log; /* NULL: off */
	struct pipit_limits *limits;
	struct pipit_trusted_proxies *trusted_proxies; /* NULL: none */
	struct pipit_tls_context *tls;                 /* NULL: none */
	atomic_bool draining;
	/* Called once, on the worker's thread, when a drain or stop has closed all connections. */
	void (*worker_done)(struct pipit_server *server, struct pipit_worker *worker);
	/* See handler_table.h. */
	bool (*evict_elsewhere)(struct pipit_server *server, struct pipit_worker *worker, enum pipit_evictable which);
};

/* base: borrowed; NULL: the worker makes its own. NULL also without descriptors. */
struct pipit_worker *pipit_worker_new(struct pipit_shared *shared, struct event_base *base);

/* As pipit_acceptor_add(). On the worker's thread, or before its loop runs. */
int pipit_worker_listen(struct pipit_worker *worker, int fd, bool is_admin, struct evhttp_bound_socket **bound);

/* As pipit_acceptor_expect_proxies(). */
int pipit_worker_expect_proxies(struct pipit_worker *worker);

/* The socket that was added last speaks TLS. */
void pipit_worker_use_tls(struct pipit_worker *worker);

struct pipit_worker *pipit_worker_of_evhttp(const struct evhttp *http);

/* As pipit_evhttp_link_watch(). */
int pipit_worker_watch_evhttp(struct pipit_worker *worker, void (*on_evhttp_freed)(void *watcher), void *watcher);

const struct pipit_config *pipit_worker_config(const struct pipit_worker *worker);

/* On the calling thread until pipit_worker_break(); then closes the inbox and runs its messages. */
void pipit_worker_run(struct pipit_worker *worker);

/* Any thread. -ENOMEM or -ESHUTDOWN. */
int pipit_worker_drain(struct pipit_worker *worker);
int pipit_worker_stop(struct pipit_worker *worker);
int pipit_worker_break(struct pipit_worker *worker);
int pipit_worker_evict(struct pipit_worker *worker, enum pipit_evictable which);

/* Any thread. */
const struct pipit_counters *pipit_worker_stats(const struct pipit_worker *worker);

struct pipit_net *pipit_worker_net(struct pipit_worker *worker);

struct event_base *pipit_worker_base(struct pipit_worker *worker);

/* Not from a callback of the worker's loop. */
void pipit_worker_free(struct pipit_worker *worker);

#endif
