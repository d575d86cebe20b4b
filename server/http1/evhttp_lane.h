/* SPDX-License-Identifier: MIT */
/*
 * The way of a request to an evhttp callback: evhttp is shown one whole, canonical message, builds its evhttp_request and calls
 * back; the reply is taken from its output buffer, checked and sent. The connections of evhttp are evhttp_link.c's.
 */
#ifndef PIPIT_EVHTTP_LANE_H
#define PIPIT_EVHTTP_LANE_H

#include "base/refusal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evhttp;
struct pipit_connection;
struct pipit_net;

/* Make net->evhttp, as net->evhttp_mode says. http: the program's evhttp, in mode GUARDED, else NULL. 0 or -ENOMEM. */
int pipit_evhttp_open(struct pipit_net *net, struct evhttp *http);

/* Whether this is the evhttp behind it. */
bool pipit_evhttp_guards(const struct pipit_net *net, const struct evhttp *http);

/* Free evhttp, unless it is the program's. Connections have been closed. */
void pipit_evhttp_close(struct pipit_net *net);

/*
 * Show evhttp the current request; its callback (the hook `call`, or the program's) runs before this returns. Else why not: memory or
 * descriptors are short, or evhttp did not take the message. The client can be answered then, unless it is broken.
 */
enum pipit_refusal pipit_evhttp_show(struct pipit_connection *connection, struct pipit_slice body);

/* Move the reply towards the socket. True when it is complete; the link may be gone then, and a borrowed one has gone back. */
bool pipit_evhttp_pump(struct pipit_connection *connection);

/* The callback has not replied yet, or not to the end: have its reply noticed when it comes. */
void pipit_evhttp_defer(struct pipit_connection *connection);

/* The callback has begun its reply, and what there is of it is out. */
bool pipit_evhttp_is_open(const struct pipit_connection *connection);

/* Bytes of the reply that the socket did not take. */
size_t pipit_evhttp_waiting(const struct pipit_connection *connection);

/* The memory of such bytes, those of earlier replies included: what is a file's is none, as far as can be told. */
size_t pipit_evhttp_waiting_memory(const struct pipit_connection *connection);

/*
 * More waits than config->max_output_bytes and the largest piece that was added at once: the callback writes faster than its
 * client reads. True when that has lasted for longer than limit_ms (0: never).
 */
bool pipit_evhttp_is_crowded(struct pipit_connection *connection, uint64_t now_ms, uint64_t limit_ms);

#endif
