/* SPDX-License-Identifier: MIT */
/*
 * A request for an evhttp callback: evhttp is shown one whole, canonical message, builds its evhttp_request and calls back; the reply
 * is taken from its output buffer, checked and sent.
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
int pipit_evhttp_lane_open(struct pipit_net *net, struct evhttp *http);

/* This is the evhttp behind the net. */
bool pipit_evhttp_lane_guards(const struct pipit_net *net, const struct evhttp *http);

/* Free evhttp, unless it is the program's. Connections have been dropped. */
void pipit_evhttp_lane_close(struct pipit_net *net);

/*
 * Show evhttp the current request; its callback (handler_table's `call`, or the program's) runs before this returns. Else the reason:
 * memory or descriptors are short, or evhttp did not take the message. The request is to be refused then, unless the connection is
 * to be aborted.
 */
enum pipit_refusal pipit_evhttp_lane_show(struct pipit_connection *connection, struct pipit_slice body);

/* Send more of the reply. True when it is complete; a borrowed link is returned then, and evhttp may have released the own one. */
bool pipit_evhttp_lane_pump(struct pipit_connection *connection);

/* The callback has returned without a whole reply: wake the connection when more comes. */
void pipit_evhttp_lane_defer(struct pipit_connection *connection);

/* The reply has begun, and none of it waits for the socket. */
bool pipit_evhttp_lane_is_open(const struct pipit_connection *connection);

/* Bytes of the reply that wait for the socket. */
size_t pipit_evhttp_lane_waiting(const struct pipit_connection *connection);

/* Their memory, and that of earlier replies; without files, as far as libevent tells. */
size_t pipit_evhttp_lane_waiting_memory(const struct pipit_connection *connection);

/*
 * For longer than limit_ms (0: never) more output has waited than config->max_output_bytes and the largest piece that was added at
 * once: the callback writes faster than its client reads.
 */
bool pipit_evhttp_lane_is_behind(struct pipit_connection *connection, uint64_t now_ms, uint64_t limit_ms);

#endif
