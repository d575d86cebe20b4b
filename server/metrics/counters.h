/* SPDX-License-Identifier: MIT */
/*
 * What a worker counts.
 *
 * One writer per struct pipit_counters (the worker); any thread may read. Every cell is an atomic written with a relaxed load
 * and a relaxed store by its only writer, so that counting costs no locked instruction and reading is not a race. A page is
 * therefore a set of values that were each true a moment ago, not one snapshot; Prometheus asks no more.
 */
#ifndef PIPIT_COUNTERS_H
#define PIPIT_COUNTERS_H

#include "base/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A connection is in one of these. Label `state` of http_connections. */
enum pipit_counters_state {
	PIPIT_STATE_IDLE,      /* between requests */
	PIPIT_STATE_READING,   /* a head or content is arriving */
	PIPIT_STATE_HANDLING,  /* a handler has the request and has not replied */
	PIPIT_STATE_WRITING,   /* the socket does not take the reply at once */
	PIPIT_STATE_STREAMING, /* the reply is left open, and the socket has taken what there is of it */
	PIPIT_STATE_CLOSING,   /* answered; late bytes are read and thrown away */
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

/* Single counters without labels. */
enum pipit_counter {
	PIPIT_COUNT_ACCEPTED,        /* http_connections_accepted_total */
	PIPIT_COUNT_EVICTED,         /* http_connections_evicted_total: those that left to make room */
	PIPIT_COUNT_ACCEPT_ERRORS,   /* http_accept_errors_total: accept() failed, mostly for want of descriptors */
	PIPIT_COUNT_ABORTED,         /* http_requests_aborted_total: the client left before its reply was complete */
	PIPIT_COUNT_STREAMS_DROPPED, /* http_streams_dropped_total: clients of a stream that were too far behind */
	PIPIT_COUNT_RECEIVED,        /* http_received_bytes_total */
	PIPIT_COUNT_SENT,            /* http_sent_bytes_total */
	PIPIT_COUNTER_COUNT
};

/* A worker's figures about its event_base, refreshed by the worker four times a second. */
struct pipit_counters_loop {
	int events_added, events_active, events_virtual;             /* event_base_get_num_events() */
	int events_added_max, events_active_max, events_virtual_max; /* event_base_get_max_events() */
	uint64_t lag_ns;                                             /* how late the last timer of the loop fired */
	uint64_t lag_max_ns;                                         /* the worst of the last 60 s or so */
};

struct pipit_counters;

/* The labels. Static. */
const char *pipit_counters_state_name(enum pipit_counters_state state);
const char *pipit_counters_phase_name(enum pipit_counters_phase phase);

/*
 * routes: how many route indexes there are (the fallback and "no route" included).
 * method, features: of the event_base, static strings ("epoll", "et,o1,early_close"). clock: of the thread that runs the
 * loop, as from pthread_getcpuclockid(); its CPU time is what event_loop_busy_seconds_total tells. NULL when memory is short,
 * or for more routes than a series can number (2^19).
 */
struct pipit_counters *pipit_counters_new(size_t routes, const char *method, const char *features, clockid_t clock);
void pipit_counters_free(struct pipit_counters *counters);

/* The loop turned out to run on another thread. Any thread. */
void pipit_counters_set_clock(struct pipit_counters *counters, clockid_t clock);

/* Writer only. method is a bit of enum pipit_method (0: unknown, label "other"), status 100..599. */
void pipit_counters_request(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t duration_ns, uint64_t request_bytes, uint64_t response_bytes);
/*
 * The same for a request whose reply is sent with others: its duration ends where the batch does, so that the clock is read once for
 * all of them. started_ns: CLOCK_MONOTONIC. A batch has at most PIPIT_COUNTERS_BATCH_MAX requests.
 */
#define PIPIT_COUNTERS_BATCH_MAX 32
void pipit_counters_request_in_batch(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t started_ns, uint64_t request_bytes, uint64_t response_bytes);
void pipit_counters_end_batch(struct pipit_counters *counters);
void pipit_counters_reject(struct pipit_counters *counters, enum pipit_refusal reason);
void pipit_counters_timeout(struct pipit_counters *counters, enum pipit_counters_phase phase);
void pipit_counters_add(struct pipit_counters *counters, enum pipit_counter counter, uint64_t amount);
/* Move a connection from one state to another; PIPIT_STATE_COUNT stands for "not there" (accepted, closed). */
void pipit_counters_move(struct pipit_counters *counters, enum pipit_counters_state from, enum pipit_counters_state to);
void pipit_counters_set_loop(struct pipit_counters *counters, const struct pipit_counters_loop *loop);

/* Any thread: connections of this worker in all states; for tests and limits. */
uint64_t pipit_counters_connections(const struct pipit_counters *counters);
/* Any thread: those in one state. */
uint64_t pipit_counters_in_state(const struct pipit_counters *counters, enum pipit_counters_state state);
/* Any thread: one cell, for tests. */
uint64_t pipit_counter(const struct pipit_counters *counters, enum pipit_counter counter);

#endif
