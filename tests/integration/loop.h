/* SPDX-License-Identifier: MIT */
/* An event_base of a program: run in a thread of its own, or by the test. */
#ifndef PIPIT_TESTS_LOOP_H
#define PIPIT_TESTS_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct event;
struct event_base;
struct pipit_server;

struct loop {
	struct event_base *base;
	struct event *calls; /* on wakeup[0] */
	int wakeup[2];       /* a call in, one byte back */
	pthread_t thread;
	bool is_running;
};

/* Creates a base; it does not run yet. */
void loop_open(struct loop *loop);

/* Runs it in a thread, until loop_stop(). */
void loop_run(struct loop *loop);

/* Runs a function on the loop's thread, and returns when it has run; on this thread when the loop does not run. */
void loop_call(struct loop *loop, void (*function)(void *arg), void *arg);

/* Stops the thread; no effect when it does not run. */
void loop_stop(struct loop *loop);

/* Runs the events of some turns. Not while the thread runs. */
void loop_turn(struct loop *loop, int turns);

/* Adds an event that breaks the next turn, after the pending events of sockets, once. Not while the thread runs. */
void loop_break_next_turn(struct loop *loop);

/* Stops it, and frees all but the base, which the caller frees. */
void loop_leave(struct loop *loop);

/* Attaches the server to a base of its own, which runs. Returns the port of its first address; 0: it has none. */
unsigned loop_serve(struct loop *loop, struct pipit_server *server);

/* Stops it, and frees server and base. */
void loop_end(struct loop *loop, struct pipit_server *server);

/* Number of open descriptors of this process. */
size_t loop_descriptors(void);

#endif
