/* SPDX-License-Identifier: MIT */
/*
 * One fixed script of requests for every handler, run on a server that is attached to a loop of this thread. The tests of this
 * folder make something fail meanwhile; the script knows the permitted outcomes.
 *
 * The clock does not wait: when nothing happens, it is advanced, so that what pipit does later (accept again, end a lingering
 * connection) happens at once.
 */
#ifndef PIPIT_TESTS_SCRIPT_H
#define PIPIT_TESTS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For functions that replace those of libc: libevent finds them by their visible symbols. */
#define SCRIPT_INSTEAD __attribute__((visibility("default")))

enum script_rule {
	SCRIPT_EXACTLY,   /* every response is correct */
	SCRIPT_OR_REFUSED /* or it is 503 or 500, or the connection ends, early enough to be detected */
};

/* Whether PIPIT_FAULTS_BORROWED is set: evhttp callbacks borrow their evhttp connections. Otherwise each client has its own. */
bool script_borrows(void);

/* Creates and removes the served files and the folder of the access log; before and after everything else. */
void script_set_up(void);
void script_tear_down(void);

/* Every deadline of servers that are started from now on, an hour before the first call. A client waits in vain after 20 s. */
void script_set_deadline(uint64_t limit_ms);

/* A loop and an attached server that accepts connections. 0, or negative with nothing left behind. */
int script_start(void);

/* Runs the loop until nothing happens any more. */
void script_settle(void);

/* Runs the whole script, then closes all connections. NULL, or a sentence about the first error; valid until the next call. */
const char *script_run(enum script_rule rule);

/* Expects 200 for a request on a new connection. As script_run(). */
const char *script_probe(void);

/* Frees the server and the loop. */
void script_stop(void);

/* Complete lines of the access log since the last call. As script_run(). */
const char *script_check_log(void);

/* Milliseconds by which the clock has been advanced since the process started. */
uint64_t script_skipped_ms(void);

/*
 * The distance to the next of so many places that fail: 1 when FAULTS_EVERYWHERE is in the environment, otherwise about a twentieth of
 * them.
 */
uint64_t script_step(uint64_t places);

/* Number of open descriptors of this process. */
size_t script_descriptors(void);

#endif
