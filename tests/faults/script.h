/* SPDX-License-Identifier: MIT */
/*
 * One fixed script of requests over every handler, told to a server that is attached to a loop of this thread. The tests of
 * this directory let something fail while it runs; the script knows what may come of that.
 *
 * Time does not pass while nothing happens: the clock is put forward instead, so that what pipit does a moment later (open
 * its doors again, end a lingering connection) happens at once.
 */
#ifndef PIPIT_TESTS_SCRIPT_H
#define PIPIT_TESTS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For functions that stand in the place of libc's: libevent finds those that can be seen. */
#define SCRIPT_INSTEAD __attribute__((visibility("default")))

enum script_rule {
	SCRIPT_EXACTLY,   /* every answer is the right one */
	SCRIPT_OR_REFUSED /* or 503, or 500, or the connection ends, early enough to be noticed */
};

/* PIPIT_FAULTS_BORROWED is in the environment: evhttp callbacks borrow their evhttp connections. Else each client has its own. */
bool script_borrows(void);

/* Files to be served, a place for the access log; once before and once after everything else. */
void script_set_up(void);
void script_tear_down(void);

/* Every deadline of the servers that are started from now on; an hour before the first call. A client is said to wait in vain
 * after 20 s. */
void script_set_deadline(uint64_t limit_ms);

/* A loop and a server attached to it, its doors open. 0, or negative with nothing left behind. */
int script_start(void);

/* The loop turns until nothing happens any more. */
void script_settle(void);

/* Tell the whole script, then close all connections. NULL, or a sentence about the first thing that went wrong; it lives until
 * the next call. */
const char *script_run(enum script_rule rule);

/* A request on a new connection must be answered with 200 now. As script_run(). */
const char *script_probe(void);

/* Free the server and the loop. */
void script_stop(void);

/* Whole lines of the access log since the last call. As script_run(). */
const char *script_check_log(void);

/* Milliseconds that the clock has been put forward since the process began. */
uint64_t script_skipped_ms(void);

/*
 * How far it is to the next place that fails, when the script has so many. Every one is tried when FAULTS_EVERYWHERE is in the
 * environment, otherwise some 20 of them, which are spread over the whole.
 */
uint64_t script_step(uint64_t places);

/* Open descriptors of this process. */
size_t script_descriptors(void);

#endif
