/* SPDX-License-Identifier: MIT */
/* Threads that compute the hashes of passwords, with a bounded queue: a hash that takes 100 ms stalls no loop. */
#ifndef PIPIT_VERIFIER_H
#define PIPIT_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>

enum { PIPIT_VERIFIER_QUEUE_MAX = 128 };

struct pipit_verifier;

struct pipit_verifier_job {
	const char *password; /* borrowed until `done` */
	const char *hash;     /* borrowed */
	bool is_right;        /* set */
	bool is_cancelled;    /* set: not computed */
	/* On a thread of the verifier. */
	void (*done)(struct pipit_verifier_job *job);
	struct pipit_verifier_job *next;
};

/* Threads start when there are jobs: with what the process is allowed by then. NULL when memory is short. */
struct pipit_verifier *pipit_verifier_new(size_t thread_count);

/* Any thread. 0; -EAGAIN: the queue is full; -ENOMEM: no thread can start. */
int pipit_verifier_submit(struct pipit_verifier *verifier, struct pipit_verifier_job *job);

/* Jobs that have not begun are done here, cancelled. The threads have ended when it returns. Harmless twice. */
void pipit_verifier_stop(struct pipit_verifier *verifier);

/* Stopped. */
void pipit_verifier_free(struct pipit_verifier *verifier);

#endif
