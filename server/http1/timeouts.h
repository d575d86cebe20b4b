/* SPDX-License-Identifier: MIT */
/*
 * What the clock does to connections. A deadline is a field of the connection and a look a few times a second: a timer of
 * libevent's per request costs more than a quarter of one (1.7 µs).
 */
#ifndef PIPIT_TIMEOUTS_H
#define PIPIT_TIMEOUTS_H

#include "net/connection.h"

/* Look at every connection. now_ms as of CLOCK_MONOTONIC. */
void pipit_timeouts_enforce(struct pipit_net *net, uint64_t now_ms);

/* Its content or reply has moved slower than the minimum rate, on average since that was last measured anew; never true within
 * the grace. */
bool pipit_timeouts_is_too_slow(const struct pipit_connection *connection, uint64_t now_ms, uint64_t grace_ms);

#endif
