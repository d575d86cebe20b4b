/* SPDX-License-Identifier: MIT */
/*
 * The monotonic clock of a server in the test's own process. A test stops it and puts it forward, so that no connection times out
 * because the machine is busy. libevent's timers go on by the real time, and with them the sweeps that look at deadlines.
 */
#ifndef PIPIT_TESTS_STOPPED_CLOCK_H
#define PIPIT_TESTS_STOPPED_CLOCK_H

#include <stdint.h>

/* From now on it stands still. */
void stopped_clock_stop(void);

/* Only while it stands still. */
void stopped_clock_forward(uint64_t ms);

/* It shows the real time again. */
void stopped_clock_run(void);

#endif
