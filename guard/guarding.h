/* SPDX-License-Identifier: MIT */
/*
 * What libpipit-guard.so, which is preloaded and needs libc only, calls in libpipit-guard-core.so, which it loads when the program binds
 * an evhttp.
 */
#ifndef PIPIT_GUARDING_H
#define PIPIT_GUARDING_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PIPIT_GUARD_LIBRARY "libpipit-guard.so"
#define PIPIT_GUARD_CORE "libpipit-guard-core.so"
#define PIPIT_GUARD_CORE_SYMBOL "pipit_guarding"

/* Set by pipit-guard, or in a unit file. */
#define PIPIT_GUARD_METRICS "PIPIT_GUARD_METRICS"   /* ADDR:PORT of /metrics */
#define PIPIT_GUARD_CHILDREN "PIPIT_GUARD_CHILDREN" /* "on": LD_PRELOAD stays for programs that the program starts */

enum pipit_guarding_result {
	PIPIT_GUARDING_ON,
	PIPIT_GUARDING_ASIDE, /* the log says why */
	PIPIT_GUARDING_WRONG  /* the configuration is wrong, or memory is short; the log has the errors */
};

/* Callable on any thread, unless stated otherwise. */
struct pipit_guarding {
	/* Once, before the others: standard error, see pipit_log_set_errors(), and the PIPIT_ variables when the program started. */
	void (*set_start)(dev_t device, ino_t inode, char *const *environment);
	/* Before the program's first socket for this evhttp is bound. */
	enum pipit_guarding_result (*begin)(struct evhttp *http);
	/* A socket was bound. Before the loop runs, or with evthread's locks. False: memory was short, and the socket is deleted. */
	bool (*bound)(struct evhttp *http, struct evhttp_bound_socket *bound);
	/* The program could not bind this address. Logs an error if the guard itself listens there. */
	void (*bind_failed)(const char *address, uint16_t port);
	/* Before evhttp_free(). */
	void (*end)(struct evhttp *http);
	/* The program sets its bevcb. True: set it. */
	bool (*take_bevcb)(struct evhttp *http, struct bufferevent *(*callback)(struct event_base *, void *));
	/* The program has enabled writing. On the thread of the loop. */
	void (*write_enabled)(struct bufferevent *bev);
	/* Whether it is that of a guarded connection. On the thread of the loop. */
	bool (*has_bufferevent)(struct bufferevent *bev);
	/* Once after a bevcb: the client that evhttp accepts on this thread must be refused, because memory is short. */
	bool (*must_refuse)(void);
	/* This thread is in one of these functions, or attaches a guard: its calls of libevent are not the program's. */
	bool (*is_inside)(void);
};

#endif
