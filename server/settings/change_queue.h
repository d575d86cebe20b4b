/* SPDX-License-Identifier: MIT */
/* Runs changes in batches: one write serves all that arrive during the previous batch (group commit). */
#ifndef PIPIT_CHANGE_QUEUE_H
#define PIPIT_CHANGE_QUEUE_H

#include "settings/change.h"

#include <pthread.h>

/* On the writer thread. */
typedef void pipit_change_queue_run(void *arg, struct pipit_change *batch);

struct pipit_change_queue {
	/* constant */
	size_t max_bytes; /* of all content in the queue */
	pipit_change_queue_run *run;
	void *arg;

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex;      /* guards what follows */
	pthread_cond_t work, ended; /* ended: a batch */
	struct pipit_change *first, **last;
	size_t count, bytes;
	struct pipit_change *running;    /* the batch; NULL: it is reported, or there is none */
	struct pipit_change *unreported; /* `done` returned false */
	uint64_t batches;                /* that have ended */
	bool is_running, is_closing;
};

void pipit_change_queue_init(struct pipit_change_queue *queue, pipit_change_queue_run *run, void *arg);

int pipit_change_queue_start(struct pipit_change_queue *queue, size_t max_bytes);

/* Another thread in place of the first one, before changes are added. After a failure there is none. */
int pipit_change_queue_renew_thread(struct pipit_change_queue *queue);

/* Any thread. 0: calls `done` later. -EBUSY: full. */
int pipit_change_queue_add(struct pipit_change_queue *queue, struct pipit_change *change);

bool pipit_change_queue_is_empty(struct pipit_change_queue *queue);

/*
 * Returns the changes of an owner that were not reported: those that wait, which are not applied any more, and those of
 * the running batch, for which it waits; of these at most one is still applied.
 */
struct pipit_change *pipit_change_queue_settle(struct pipit_change_queue *queue, const void *owner);

/* Runs what waits. Once, also when not started. */
void pipit_change_queue_clear(struct pipit_change_queue *queue);

#endif
