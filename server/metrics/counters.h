/* SPDX-License-Identifier: MIT */
/*
 * The counters of a worker.
 *
 * Each struct pipit_counters has one writer, its worker; any thread may read. The writer changes a cell with a relaxed atomic load and
 * store: counting costs no locked instruction, and reading is not a race. So a page is no snapshot: each value is true at the moment
 * when it is read, which is enough for Prometheus.
 */
#ifndef PIPIT_COUNTERS_H
#define PIPIT_COUNTERS_H

#include "base/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Of a connection. Label `state` of http_connections. */
enum pipit_counters_state {
	PIPIT_STATE_IDLE,      /* between requests */
	PIPIT_STATE_READING,   /* a head or a body is arriving */
	PIPIT_STATE_HANDLING,  /* a handler has not replied yet */
	PIPIT_STATE_WRITING,   /* the socket has no room for the rest of the reply */
	PIPIT_STATE_STREAMING, /* the reply is open, and all of it so far is sent */
	PIPIT_STATE_CLOSING,   /* lingering: bytes are read and discarded */
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

/* Counters without labels. */
enum pipit_counter {
	PIPIT_COUNT_ACCEPTED,      /* http_connections_accepted_total */
	PIPIT_COUNT_EVICTED,       /* http_connections_evicted_total: closed so that others could be accepted */
	PIPIT_COUNT_ACCEPT_ERRORS, /* http_accept_errors_total: accept() failed, mostly because there was no descriptor */
	PIPIT_COUNT_ABORTED,       /* http_requests_aborted_total: the client closed before its reply was complete */
	PIPIT_COUNT_STREAMS_DROPPED, /* http_streams_dropped_total: stream clients that read too slowly */
	PIPIT_COUNT_RECEIVED,        /* http_received_bytes_total */
	PIPIT_COUNT_SENT,            /* http_sent_bytes_total */
	PIPIT_COUNTER_COUNT
};

/* Of the event_base of a worker, which sets them four times a second. */
struct pipit_counters_loop {
	int events_added, events_active, events_virtual;             /* event_base_get_num_events() */
	int events_added_max, events_active_max, events_virtual_max; /* event_base_get_max_events() */
	uint64_t lag_ns;                                             /* delay of the last timer of the loop */
	uint64_t lag_max_ns;                                         /* the longest in about 60 s */
};

struct pipit_counters;

/* The label; a static string. */
const char *pipit_counters_state_name(enum pipit_counters_state state);
const char *pipit_counters_phase_name(enum pipit_counters_phase phase);

/*
 * routes: number of route indexes, with those for the fallback and for no route. method, features: of the event_base; static strings
 * ("epoll", "et,o1,early_close"). clock: CPU clock of the thread that runs the loop (pthread_getcpuclockid()), for
 * event_loop_busy_seconds_total. NULL when memory is short, or for more than 2^19 routes.
 */
struct pipit_counters *pipit_counters_new(size_t routes, const char *method, const char *features, clockid_t clock);
void pipit_counters_free(struct pipit_counters *counters);

/* The loop runs on another thread than was known at first. Any thread. */
void pipit_counters_set_clock(struct pipit_counters *counters, clockid_t clock);

/* The worker only, up to pipit_counters_set_loop(). method: a bit of enum pipit_method; 0: unknown (label "other"). status: 100 to 599. */
void pipit_counters_request(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t duration_ns, uint64_t request_bytes, uint64_t response_bytes);
/*
 * The same for a request whose reply is sent with others: its duration ends with the batch, so that the clock is read once per batch.
 * started_ns: CLOCK_MONOTONIC. A batch has at most PIPIT_COUNTERS_BATCH_MAX requests.
 */
#define PIPIT_COUNTERS_BATCH_MAX 32
void pipit_counters_request_in_batch(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t started_ns, uint64_t request_bytes, uint64_t response_bytes);
void pipit_counters_end_batch(struct pipit_counters *counters);
void pipit_counters_reject(struct pipit_counters *counters, enum pipit_refusal reason);
void pipit_counters_timeout(struct pipit_counters *counters, enum pipit_counters_phase phase);
void pipit_counters_add(struct pipit_counters *counters, enum pipit_counter counter, uint64_t amount);
/* Move a connection to another state. PIPIT_STATE_COUNT: as `from`, it was accepted; as `to`, it is closed. */
void pipit_counters_move(struct pipit_counters *counters, enum pipit_counters_state from, enum pipit_counters_state to);
void pipit_counters_set_loop(struct pipit_counters *counters, const struct pipit_counters_loop *loop);

/* Any thread: the connections of this worker, in all states. */
uint64_t pipit_counters_connections(const struct pipit_counters *counters);
/* Any thread: the connections in one state. */
uint64_t pipit_counters_in_state(const struct pipit_counters *counters, enum pipit_counters_state state);
/* Any thread; for tests. */
uint64_t pipit_counter(const struct pipit_counters *counters, enum pipit_counter counter);

#endif
