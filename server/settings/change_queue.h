/* SPDX-License-Identifier: MIT */
/*
 * The queue of changes, and the writer thread that runs them in batches: changes that arrive while a batch runs form the next
 * batch, so that one write to the disk serves them all (group commit).
 */
#ifndef PIPIT_CHANGE_QUEUE_H
#define PIPIT_CHANGE_QUEUE_H

#include "settings/change.h"

#include <pthread.h>

/* Sets the outcome of each change. Runs on the writer thread. */
typedef void pipit_change_queue_run(void *arg, struct pipit_change *batch);

struct pipit_change_queue {
	/* Constant after pipit_change_queue_init(). */
	size_t max_bytes; /* of the content of all changes in the queue */
	pipit_change_queue_run *run;
	void *arg;

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t work, idle;
	struct pipit_change *first, **last;
	size_t count, bytes;
	struct pipit_change *unreported; /* their `done` returned false */
	bool is_running, is_closing;
};

void pipit_change_queue_init(struct pipit_change_queue *queue, pipit_change_queue_run *run, void *arg);

/* 0 or a negative errno value. */
int pipit_change_queue_start(struct pipit_change_queue *queue, size_t max_bytes);

/* Any thread. 0: takes the content, and `done` will be called; -EBUSY: the queue is full, the content stays the caller's. */
int pipit_change_queue_add(struct pipit_change_queue *queue, struct pipit_change *change);

/* Wait until the queue is idle. Returns the unreported changes, linked by `next`. */
struct pipit_change *pipit_change_queue_settle(struct pipit_change_queue *queue);

/* Run the changes that wait, then end the thread. Call once, also when the queue was not started. */
void pipit_change_queue_clear(struct pipit_change_queue *queue);

#endif
