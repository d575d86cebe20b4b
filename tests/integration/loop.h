/* SPDX-License-Identifier: MIT */
/* An event_base as a program has it: in a thread of its own, or turned by the test. */
#ifndef PIPIT_TESTS_LOOP_H
#define PIPIT_TESTS_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct event;
struct event_base;

struct loop {
	struct event_base *base;
	struct event *calls; /* on door[0] */
	int door[2];         /* a call in, one byte back */
	pthread_t thread;
	bool is_running;
};

/* Make a base; it does not run yet. */
void loop_open(struct loop *loop);

/* Run it in a thread, until loop_stop(). */
void loop_run(struct loop *loop);

/* Run a function on the loop's thread, and return when it has run; here when the loop does not run. */
void loop_call(struct loop *loop, void (*function)(void *arg), void *arg);

/* Stop the thread; harmless when it does not run. */
void loop_stop(struct loop *loop);

/* Let the events of some turns happen. Not while it runs. */
void loop_turn(struct loop *loop, int turns);

/* Have an event break the next turn, behind what has happened on sockets before. Not while it runs; once. */
void loop_break_next_turn(struct loop *loop);

/* Stop it, and free all but the base, which is the caller's to free. */
void loop_leave(struct loop *loop);

/* Descriptors that this process has open. */
size_t loop_descriptors(void);

#endif
