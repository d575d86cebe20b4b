/* SPDX-License-Identifier: MIT */
/*
 * Requests for evhttp callbacks: evhttp gets one whole, canonical message and calls back; pipit takes the reply from its output buffer,
 * checks and sends it.
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

/* Make net->evhttp, for net->evhttp_mode. http: the program's evhttp in mode GUARDED, else NULL. 0 or -ENOMEM. */
int pipit_evhttp_lane_open(struct pipit_net *net, struct evhttp *http);

bool pipit_evhttp_lane_guards(const struct pipit_net *net, const struct evhttp *http);

/* Free evhttp, unless it is the program's. Connections have been dropped. */
void pipit_evhttp_lane_close(struct pipit_net *net);

/*
 * Show evhttp the current request; its callback runs before this returns. Else the reason to refuse it: memory or descriptors are short,
 * or evhttp did not take the message. The connection may have to be aborted instead.
 */
enum pipit_refusal pipit_evhttp_lane_show(struct pipit_connection *connection, struct pipit_slice body);

/* Send more of the reply. True: it is complete; a borrowed link is returned, an own one may be released. */
bool pipit_evhttp_lane_pump(struct pipit_connection *connection);

/* Wake the connection when the callback has more of the reply. */
void pipit_evhttp_lane_defer(struct pipit_connection *connection);

/* holder: evhttp's connection. */
struct evhttp_connection;
bool pipit_evhttp_lane_serves(const struct pipit_connection *connection, struct evhttp_connection *holder);

/* The reply has begun, and nothing waits. */
bool pipit_evhttp_lane_is_open(const struct pipit_connection *connection);

/* Bytes of the reply, for the socket. */
size_t pipit_evhttp_lane_waiting(const struct pipit_connection *connection);

/* Their memory, and that of earlier replies; without large files. */
size_t pipit_evhttp_lane_waiting_memory(const struct pipit_connection *connection);

/*
 * The callback writes faster than its client reads: for limit_ms (0: never) more output has waited than config->max_output_bytes and the
 * largest piece that was added at once.
 */
bool pipit_evhttp_lane_is_behind(struct pipit_connection *connection, uint64_t now_ms, uint64_t limit_ms);

#endif
