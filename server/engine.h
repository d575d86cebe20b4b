/* SPDX-License-Identifier: MIT */
/*
 * evhttp, kept away from every socket: how it is held, and the one of native handlers.
 *
 * evhttp is handed a filter bufferevent over a socket bufferevent whose reading and writing stay disabled: nothing is
 * registered with epoll, and evhttp's own enable and disable calls change flags only. It is shown whole messages in the
 * filter's input buffer. Public functions of libevent 2.1 only.
 *
 * All native requests of a worker pass through one connection of evhttp: such a request is evhttp's from its request line
 * until its handler returns, and a handler that replies later needs nothing of evhttp for that. A connection of evhttp per
 * client would cost 3 KiB each, and cache misses with every request. Classic callbacks need it: see classic.h.
 */
#ifndef PIPIT_ENGINE_H
#define PIPIT_ENGINE_H

#include "connection.h"

struct pipit_engine;

/* 0 and transport->engine, or a negative errno value. */
int pipit_engine_open(struct pipit_transport *transport);
void pipit_engine_close(struct pipit_transport *transport);

/*
 * Show evhttp the current request, which is native; its callback (the hook `handle`) runs before this returns. False when
 * memory was short; no handler has run then.
 */
bool pipit_engine_show(struct pipit_connection *connection, struct pipit_slice body);

/* --- for classic.c, too -------------------------------------------------------------------------------------------- */

/*
 * A bufferevent that never touches a socket. on_output: the filter asks it whenever bytes are added to the output of an
 * enabled bufferevent. free_context: called when libevent frees it. NULL when memory is short.
 */
struct bufferevent *pipit_engine_new_sleeper(
    struct event_base *base, bufferevent_filter_cb on_output, void (*free_context)(void *), void *context);

#endif
