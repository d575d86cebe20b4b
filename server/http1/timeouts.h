/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: fields of the connection, checked a few times a second. A libevent timer costs 1.7 µs, more than a quarter of a request.
 */
#ifndef PIPIT_TIMEOUTS_H
#define PIPIT_TIMEOUTS_H

#include <stdint.h>

struct pipit_net;

/* now_ms: CLOCK_MONOTONIC. */
void pipit_timeouts_enforce(struct pipit_net *net, uint64_t now_ms);

#endif
