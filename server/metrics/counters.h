/* SPDX-License-Identifier: MIT */
/*
 * The counters of a worker, its only writer; any thread may read. No locked instruction: each value is true when it is
 * read, and a page is no snapshot.
 */
#ifndef PIPIT_COUNTERS_H
#define PIPIT_COUNTERS_H

#include "base/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Label `state` of http_connections. */
enum pipit_counters_state {
	PIPIT_STATE_IDLE,      /* between requests */
	PIPIT_STATE_READING,   /* head or body */
	PIPIT_STATE_HANDLING,  /* no reply yet */
	PIPIT_STATE_WRITING,   /* the socket is full */
	PIPIT_STATE_STREAMING, /* the reply is open, and all so far is sent */
	PIPIT_STATE_CLOSING,   /* bytes are discarded */
	PIPIT_STATE_COUNT
};

/* Label `phase` of http_timeouts_total. */
enum pipit_counters_phase {
	PIPIT_PHASE_HEAD,
	PIPIT_PHASE_BODY,
	PIPIT_PHASE_WRITE,
	PIPIT_PHASE_IDLE,
	PIPIT_PHASE_DRAIN,
	PIPIT_PHASE_COUNT
};

enum pipit_counter {
	PIPIT_COUNT_ACCEPTED,
	PIPIT_COUNT_EVICTED,         /* so that others could be accepted */
	PIPIT_COUNT_ACCEPT_ERRORS,   /* mostly no descriptor */
	PIPIT_COUNT_ABORTED,         /* the client closed before its reply was complete */
	PIPIT_COUNT_STREAMS_DROPPED, /* clients that read too slowly */
	PIPIT_COUNT_RECEIVED,
	PIPIT_COUNT_SENT,
	PIPIT_COUNTER_COUNT
};

/* Four times a second. */
struct pipit_counters_loop {
	int events_added, events_active, events_virtual;
	int events_added_max, events_active_max, events_virtual_max;
	uint64_t lag_ns;     /* of the last timer */
	uint64_t lag_max_ns; /* in about 60 s */
};

struct pipit_counters;

/* Static. */
const char *pipit_counters_state_name(enum pipit_counters_state state);
const char *pipit_counters_phase_name(enum pipit_counters_phase phase);

/*
 * routes: with those for the fallback and for no route. method, features: of the event_base; static ("epoll",
 * "et,o1,early_close"). clock: CPU clock of the loop's thread. NULL when memory is short, or for more than 2^19 routes.
 */
struct pipit_counters *pipit_counters_new(size_t routes, const char *method, const char *features, clockid_t clock);
void pipit_counters_free(struct pipit_counters *counters);

/* The loop runs on another thread. Any thread. */
void pipit_counters_set_clock(struct pipit_counters *counters, clockid_t clock);

/*
 * The worker only, up to pipit_counters_set_loop(). method: a bit of enum pipit_method; 0: unknown. status: 100 to 599.
 */
void pipit_counters_request(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t duration_ns, uint64_t request_bytes, uint64_t response_bytes);
/*
 * The duration ends with the batch, of at most PIPIT_COUNTERS_BATCH_MAX requests: one look at the clock. started_ns:
 * CLOCK_MONOTONIC.
 */
#define PIPIT_COUNTERS_BATCH_MAX 32
void pipit_counters_request_in_batch(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t started_ns, uint64_t request_bytes, uint64_t response_bytes);
void pipit_counters_end_batch(struct pipit_counters *counters);
void pipit_counters_reject(struct pipit_counters *counters, enum pipit_refusal reason);
void pipit_counters_timeout(struct pipit_counters *counters, enum pipit_counters_phase phase);
void pipit_counters_add(struct pipit_counters *counters, enum pipit_counter counter, uint64_t amount);
/* PIPIT_STATE_COUNT: as `from`, accepted; as `to`, closed. */
void pipit_counters_move(struct pipit_counters *counters, enum pipit_counters_state from, enum pipit_counters_state to);
void pipit_counters_set_loop(struct pipit_counters *counters, const struct pipit_counters_loop *loop);

/* Any thread; all states. */
uint64_t pipit_counters_connections(const struct pipit_counters *counters);
/* Any thread. */
uint64_t pipit_counters_in_state(const struct pipit_counters *counters, enum pipit_counters_state state);
/* Any thread; for tests. */
uint64_t pipit_counter(const struct pipit_counters *counters, enum pipit_counter counter);

#endif
