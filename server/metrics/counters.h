/* SPDX-License-Identifier: MIT */
/* The counters of a worker, its only writer; any thread may read. A page is no snapshot: values are read one by one. */
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
	PIPIT_PHASE_HANDSHAKE,
	PIPIT_PHASE_HEAD,
	PIPIT_PHASE_BODY,
	PIPIT_PHASE_WRITE,
	PIPIT_PHASE_IDLE,
	PIPIT_PHASE_DRAIN,
	PIPIT_PHASE_COUNT
};

/* Label `reason` of tls_handshake_failures_total. */
enum pipit_counters_tls_failure {
	PIPIT_TLS_FAILURE_NONE,
	PIPIT_TLS_FAILURE_TIMEOUT,
	PIPIT_TLS_FAILURE_CLOSED,      /* the client has closed */
	PIPIT_TLS_FAILURE_PLAIN,       /* HTTP without TLS */
	PIPIT_TLS_FAILURE_VERSION,     /* the client has no version of TLS in common */
	PIPIT_TLS_FAILURE_CIPHER,      /* nor a cipher, group or protocol */
	PIPIT_TLS_FAILURE_CERTIFICATE, /* the client's is missing, or not valid */
	PIPIT_TLS_FAILURE_ALERT,       /* the client refuses, for example because it does not know the authority */
	PIPIT_TLS_FAILURE_PROTOCOL,    /* other bytes than TLS */
	PIPIT_TLS_FAILURE_MEMORY,
	PIPIT_TLS_FAILURE_COUNT
};

/* Label `outcome` of http_authentications_total. */
enum pipit_counters_authentication {
	PIPIT_AUTHENTICATION_PASSED,     /* the password or token is right */
	PIPIT_AUTHENTICATION_REMEMBERED, /* the password was right within the last minute */
	PIPIT_AUTHENTICATION_MISSING,    /* the request has no credentials of a scheme that the rule wants */
	PIPIT_AUTHENTICATION_MALFORMED,
	PIPIT_AUTHENTICATION_FAILED,
	PIPIT_AUTHENTICATION_FORBIDDEN, /* 403 */
	PIPIT_AUTHENTICATION_REFUSED,   /* too many attempts: 429 or 503 */
	PIPIT_AUTHENTICATION_OUTCOMES
};

enum pipit_counter {
	PIPIT_COUNT_ACCEPTED,
	PIPIT_COUNT_EVICTED,
	PIPIT_COUNT_ACCEPT_ERRORS,   /* mostly EMFILE */
	PIPIT_COUNT_ABORTED,         /* by the client, before the reply was complete */
	PIPIT_COUNT_STREAMS_DROPPED, /* clients that read too slowly */
	PIPIT_COUNT_RECEIVED,
	PIPIT_COUNT_SENT,
	PIPIT_COUNT_TLS_HANDSHAKES,
	PIPIT_COUNT_TLS_RESUMED, /* of these */
	PIPIT_COUNT_TLS_KERNEL,  /* of these, whose key the kernel has */
	PIPIT_COUNTER_COUNT
};

/* Four times a second. */
struct pipit_counters_loop {
	int events_added, events_active, events_virtual;
	int events_added_max, events_active_max, events_virtual_max;
	uint64_t lag_ns;
	uint64_t lag_max_ns; /* in about 60 s */
};

struct pipit_counters;

const char *pipit_counters_state_name(enum pipit_counters_state state);
const char *pipit_counters_authentication_name(enum pipit_counters_authentication outcome);
const char *pipit_counters_phase_name(enum pipit_counters_phase phase);
const char *pipit_counters_tls_failure_name(enum pipit_counters_tls_failure failure);

/*
 * routes: with the fallback and "none", at most 2^19. method, features: of the event_base ("epoll",
 * "et,o1,early_close"); static. clock: of the loop's thread.
 */
struct pipit_counters *pipit_counters_new(size_t routes, const char *method, const char *features, clockid_t clock);
void pipit_counters_free(struct pipit_counters *counters);

/* Any thread. */
void pipit_counters_set_clock(struct pipit_counters *counters, clockid_t clock);

/* From here to pipit_counters_set_loop(): the worker only. method: a bit of enum pipit_method; 0: unknown. */
void pipit_counters_request(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t duration_ns, uint64_t request_bytes, uint64_t response_bytes);
/*
 * The duration ends with the batch (at most PIPIT_COUNTERS_BATCH_MAX requests), which reads the clock once. started_ns:
 * CLOCK_MONOTONIC.
 */
#define PIPIT_COUNTERS_BATCH_MAX 32
void pipit_counters_request_in_batch(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t started_ns, uint64_t request_bytes, uint64_t response_bytes);
void pipit_counters_end_batch(struct pipit_counters *counters);
void pipit_counters_reject(struct pipit_counters *counters, enum pipit_refusal reason);
void pipit_counters_timeout(struct pipit_counters *counters, enum pipit_counters_phase phase);
void pipit_counters_tls_failure(struct pipit_counters *counters, enum pipit_counters_tls_failure failure);
void pipit_counters_authentication(struct pipit_counters *counters, enum pipit_counters_authentication outcome);
void pipit_counters_add(struct pipit_counters *counters, enum pipit_counter counter, uint64_t amount);
/* PIPIT_STATE_COUNT: as `from`, accepted; as `to`, closed. */
void pipit_counters_move(struct pipit_counters *counters, enum pipit_counters_state from, enum pipit_counters_state to);
void pipit_counters_set_loop(struct pipit_counters *counters, const struct pipit_counters_loop *loop);

/* Any thread; in all states. */
uint64_t pipit_counters_connections(const struct pipit_counters *counters);
/* Any thread. */
uint64_t pipit_counters_in_state(const struct pipit_counters *counters, enum pipit_counters_state state);
/* Any thread; for tests. */
uint64_t pipit_counter(const struct pipit_counters *counters, enum pipit_counter counter);

#endif
