/* SPDX-License-Identifier: MIT */
/* Changes run in batches: one write to the disk serves all that arrive during the previous batch (group commit). */
#ifndef PIPIT_CHANGE_QUEUE_H
#define PIPIT_CHANGE_QUEUE_H

#include "settings/change.h"

#include <pthread.h>

/* On the writer thread. */
typedef void pipit_change_queue_run(void *arg, struct pipit_change *batch);

struct pipit_change_queue {
	/* Constant. */
	size_t max_bytes; /* of all content in the queue */
	pipit_change_queue_run *run;
	void *arg;

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t work, idle;
	struct pipit_change *first, **last;
	size_t count, bytes;
	struct pipit_change *unreported; /* `done` returned false */
	bool is_running, is_closing;
};

void pipit_change_queue_init(struct pipit_change_queue *queue, pipit_change_queue_run *run, void *arg);

/* 0 or a negative errno value. */
int pipit_change_queue_start(struct pipit_change_queue *queue, size_t max_bytes);

/* Any thread. 0: takes the content, and calls `done` later; -EBUSY: full, the content stays the caller's. */
int pipit_change_queue_add(struct pipit_change_queue *queue, struct pipit_change *change);

/* Wait until idle. The unreported changes, linked by `next`. */
struct pipit_change *pipit_change_queue_settle(struct pipit_change_queue *queue);

/* Run what waits. Once, also when not started. */
void pipit_change_queue_clear(struct pipit_change_queue *queue);

#endif
