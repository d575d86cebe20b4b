/* SPDX-License-Identifier: MIT */
/*
 * The monotonic clock of a server in the test's own process. A test stops and advances it, so that no connection times out
 * because the machine is busy. libevent's timers, and with them the sweeps that check deadlines, use the real time.
 */
#ifndef PIPIT_TESTS_STOPPED_CLOCK_H
#define PIPIT_TESTS_STOPPED_CLOCK_H

#include <stdint.h>

/* Stops the clock. */
void stopped_clock_stop(void);

/* Only while the clock is stopped. */
void stopped_clock_forward(uint64_t ms);

/* The clock shows the real time again. */
void stopped_clock_run(void);

#endif
