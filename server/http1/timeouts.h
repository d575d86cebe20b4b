/* SPDX-License-Identifier: MIT */
/*
 * What the clock does to connections. A deadline is a field of the connection and a look a few times a second: a timer of
 * libevent's per request costs more than a quarter of one (1.7 µs).
 */
#ifndef PIPIT_TIMEOUTS_H
#define PIPIT_TIMEOUTS_H

#include <stdint.h>

struct pipit_net;

/* Look at every connection. now_ms as of CLOCK_MONOTONIC. */
void pipit_timeouts_enforce(struct pipit_net *net, uint64_t now_ms);

#endif
