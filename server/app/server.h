/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_SERVER_H
#define PIPIT_SERVER_H

#include "pipit.h"

const struct pipit_config *pipit_server_config(const struct pipit_server *server);

/* For pipit_server_check(): options may contradict each other. */
struct pipit_server *pipit_server_new_unchecked(const struct pipit_config *config);

/*
 * Reports what pipit_server_listen() would, and closes the sockets again. An address in use is a warning only: the server that
 * uses it may run with this configuration.
 */
int pipit_server_check(struct pipit_server *server);

/* Before pipit_server_listen() does it, which then fails too. Logs the failure. */
int pipit_server_open_log(struct pipit_server *server);

/* After pipit_server_check(): the access log, if opening it has made it. NULL: no effect. */
void pipit_server_remove_new_log(struct pipit_server *server);

struct event_base;
struct evhttp;
struct pipit_worker;

/*
 * For an evhttp that the program binds itself: listens nowhere, and keeps the program's loop only while it has connections. config: NULL:
 * the defaults. is_preloaded: the program is not written for pipit, see `keeps_left` of evhttp_link.h.
 */
struct pipit_server *pipit_server_new_guard(const struct pipit_config *config, bool is_preloaded);

/*
 * Metrics and events of `server` then describe `shown` servers in place of itself. A shown server is started, has one worker, and may be
 * detached, but never freed. From one thread; -ENOSPC.
 */
enum { PIPIT_SERVER_SHOWN_MAX = 16 };
int pipit_server_show(struct pipit_server *server, struct pipit_server *shown);

/* evhttp gets requests without a route; `callback` is never called. Logs failures. */
int pipit_server_guard_fallback(struct pipit_server *server, pipit_evhttp_callback *callback);

/*
 * As pipit_server_attach(). on_evhttp_freed is called after evhttp_free(), in a later turn of the loop or in
 * event_base_free(). It must detach or free the server.
 */
int pipit_server_attach_evhttp(
    struct pipit_server *server, struct event_base *base, struct evhttp *http, void (*on_evhttp_freed)(void *server));

/*
 * A listening socket that the caller has opened, for an attached server without addresses in its configuration. Once, before the loop runs.
 * Takes fd, also when it fails.
 */
int pipit_server_listen_on(struct pipit_server *server, int fd);

/* Of an attached server. */
struct pipit_worker *pipit_server_worker(const struct pipit_server *server);

/* Files of `protect`; NULL after the last. */
const char *pipit_server_user_file(const struct pipit_server *server, size_t index);

/* NULL: of another server. */
struct pipit_worker *pipit_server_worker_of(const struct pipit_server *server, const struct event_base *base);

/* Of an attached server, from another thread: its loop ends. */
void pipit_server_stop_loop(struct pipit_server *server);

/* Before the event_base is freed. Only pipit_server_free() may follow. */
void pipit_server_detach(struct pipit_server *server);

#endif
