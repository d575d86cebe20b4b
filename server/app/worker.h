/* SPDX-License-Identifier: MIT */
/*
 * One thread, one event_base, one evhttp, one inbox. A worker takes connections from its own listening sockets; the only way
 * to reach it from another thread is its inbox.
 */
#ifndef PIPIT_WORKER_H
#define PIPIT_WORKER_H

#include "net/limits.h"
#include "request/dispatch.h"

#include <pthread.h>
#include <stdatomic.h>

struct evhttp;
struct evhttp_bound_socket;
struct pipit_worker;

/* What all workers of a server share. Const while they run, but for the atomics. */
struct pipit_shared {
	struct pipit_server *server;
	const struct pipit_config *config;
	const struct pipit_router *router;
	const struct pipit_route *fallback;
	enum pipit_evhttp_mode evhttp_mode;
	struct evhttp *evhttp;               /* the program's, in mode PIPIT_EVHTTP_GUARDED; NULL: none */
	size_t route_count;                  /* indexes of counters: the routes, "fallback", "none" */
	struct pipit_access_log *access_log; /* NULL: off */
	struct pipit_limits *limits;
	atomic_bool draining;
	/* The worker has no connection left after a drain or stop; called on its thread, once. */
	void (*worker_done)(struct pipit_server *server, struct pipit_worker *worker);
	/* Another worker than this one is asked to let a connection go that it can spare; see the hook make_room_elsewhere. */
	bool (*make_room)(struct pipit_server *server, struct pipit_worker *worker, enum pipit_room room);
};

/* base: the application's, borrowed; NULL makes one of the worker's own. NULL when memory or descriptors are short. */
struct pipit_worker *pipit_worker_new(struct pipit_shared *shared, struct event_base *base);

/* Accept from a listening socket; takes it. On the worker's thread, or before its loop runs. 0; -ENOMEM; -ENOSPC when there are
 * PIPIT_LISTEN_MAX. *bound receives evhttp's handle where evhttp accepts, else NULL; may be NULL. */
int pipit_worker_listen(struct pipit_worker *worker, int fd, struct evhttp_bound_socket **bound);

/* The worker that guards this evhttp of the program's, on this base; NULL: none does. */
struct pipit_worker *pipit_worker_of_evhttp(struct event_base *base, const struct evhttp *http);

/* Learn when the program frees its evhttp: see pipit_evhttp_link_watch(). */
int pipit_worker_watch_evhttp(struct pipit_worker *worker, void (*on_evhttp_freed)(void *watcher), void *watcher);

const struct pipit_config *pipit_worker_config(const struct pipit_worker *worker);

/* Run the loop until pipit_worker_break(), then close the inbox; what was posted before still runs. On the thread that is to
 * be the worker's. */
void pipit_worker_run(struct pipit_worker *worker);

/* From any thread, through the inbox; return 0, -ENOMEM or -ESHUTDOWN. */
int pipit_worker_drain(struct pipit_worker *worker);
int pipit_worker_stop(struct pipit_worker *worker);
int pipit_worker_break(struct pipit_worker *worker);
int pipit_worker_evict(struct pipit_worker *worker, enum pipit_room room);

/* Counts of this worker; any thread may read them. */
const struct pipit_counters *pipit_worker_stats(const struct pipit_worker *worker);

/* The worker's loop, for events of the server. */
struct event_base *pipit_worker_base(struct pipit_worker *worker);

/* Not while its loop runs another callback of it. NULL is harmless. */
void pipit_worker_free(struct pipit_worker *worker);

#endif
