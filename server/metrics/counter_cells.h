/* SPDX-License-Identifier: MIT */
/* Private to metrics/. */
#ifndef PIPIT_COUNTER_CELLS_H
#define PIPIT_COUNTER_CELLS_H

#include "base/methods.h"
#include "base/refusal.h"
#include "metrics/counters.h"
#include "pipit.h"

#include <stdatomic.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static inline uint64_t read_cell(const _Atomic uint64_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

static inline void write_cell(_Atomic uint64_t *cell, uint64_t value)
{
	atomic_store_explicit(cell, value, memory_order_relaxed);
}

/*
 * A cell has one writer, and no reader sees a torn value. A locked instruction would cost more than the rest of
 * counting.
 */
static inline void add(_Atomic uint64_t *cell, uint64_t amount)
{
	write_cell(cell, read_cell(cell) + amount);
}

/* As Go's %g prints it; OpenMetrics needs ".0" after an integer. */
struct le {
	unsigned char length;
	char text[15]; /* exposition.c copies all of it */
};

struct bucket {
	uint64_t bound; /* inclusive; nanoseconds or bytes */
	struct le le;
	struct le canonical_le;
};

#define LE(text)                       \
	{                              \
		sizeof(text) - 1, text \
	}

static const struct bucket duration_buckets[] = {
	{ 50000, LE("5e-05"), LE("5e-05") },
	{ 100000, LE("0.0001"), LE("0.0001") },
	{ 250000, LE("0.00025"), LE("0.00025") },
	{ 500000, LE("0.0005"), LE("0.0005") },
	{ 1000000, LE("0.001"), LE("0.001") },
	{ 2500000, LE("0.0025"), LE("0.0025") },
	{ 5000000, LE("0.005"), LE("0.005") },
	{ 10000000, LE("0.01"), LE("0.01") },
	{ 25000000, LE("0.025"), LE("0.025") },
	{ 50000000, LE("0.05"), LE("0.05") },
	{ 100000000, LE("0.1"), LE("0.1") },
	{ 250000000, LE("0.25"), LE("0.25") },
	{ 500000000, LE("0.5"), LE("0.5") },
	{ 1000000000, LE("1"), LE("1.0") },
	{ 2500000000, LE("2.5"), LE("2.5") },
	{ 5000000000, LE("5"), LE("5.0") },
	{ 10000000000, LE("10"), LE("10.0") },
};

static const struct bucket size_buckets[] = {
	{ 100, LE("100"), LE("100.0") },
	{ 1000, LE("1000"), LE("1000.0") },
	{ 10000, LE("10000"), LE("10000.0") },
	{ 100000, LE("100000"), LE("100000.0") },
	{ 1000000, LE("1e+06"), LE("1e+06") },
	{ 10000000, LE("1e+07"), LE("1e+07") },
};

/* Sum, count per bucket (not cumulative), count above all bounds. */
#define DURATION_CELLS (COUNT_OF(duration_buckets) + 2)
#define SIZE_CELLS (COUNT_OF(size_buckets) + 2)

struct shape {
	const struct bucket *buckets;
	size_t bucket_count; /* without +Inf */
	bool is_nanoseconds; /* false: bytes */
};

static const struct shape durations = { duration_buckets, COUNT_OF(duration_buckets), true };
static const struct shape sizes = { size_buckets, COUNT_OF(size_buckets), false };

/* Most requests are fast and small: from the lowest bound. */
static inline void observe(_Atomic uint64_t *cells, const struct shape *shape, uint64_t value)
{
	size_t i = 0;
	while (i < shape->bucket_count && value > shape->buckets[i].bound)
		i++;
	add(&cells[0], value);
	add(&cells[1 + i], 1);
}

/* Of http_requests_total. */
struct series {
	_Atomic uint32_t key;   /* 0: free; stored once by the worker, with release */
	_Atomic uint64_t count; /* 0 until `key` is stored */
};

/* Route, three bits of method, ten bits of status (never 0). */
#define ROUTE_SHIFT 13
#define METHOD_SHIFT 10
#define METHOD_MASK 7u
#define STATUS_MASK 1023u
#define ROUTES_MAX ((size_t)1 << (32 - ROUTE_SHIFT))

/* 0: unknown; then in the order of the bits */
_Static_assert(PIPIT_METHODS_COUNT <= METHOD_MASK, "the number of a method fits its bits in the key");

/* Of pipit_counters.loop. */
enum {
	LOOP_EVENTS, /* each: added, active, virtual */
	LOOP_EVENTS_MAX = 3,
	LOOP_LAG = 6,
	LOOP_LAG_MAX,
	LOOP_CELLS
};

struct pipit_counters {
	/* Constant, except `clock`. */
	size_t routes;
	const char *method;
	const char *features;
	_Atomic clockid_t clock; /* see pipit_counters_set_clock() */
	struct series *series;
	size_t series_capacity; /* a power of two */
	size_t series_limit;    /* three quarters: searches are short and end */
	unsigned hash_shift;
	_Atomic uint64_t *durations; /* per route DURATION_CELLS */

	/* The worker only. */
	size_t series_count;
	struct {
		_Atomic uint64_t *durations;
		uint64_t started_ns;
	} batch[PIPIT_COUNTERS_BATCH_MAX];
	size_t batch_count;

	/* Written by the worker, read by any thread. */
	_Atomic uint64_t overflow;
	_Atomic uint64_t request_sizes[SIZE_CELLS];
	_Atomic uint64_t response_sizes[SIZE_CELLS];
	_Atomic uint64_t rejected[PIPIT_REFUSAL_COUNT];
	_Atomic uint64_t timeouts[PIPIT_PHASE_COUNT];
	_Atomic uint64_t tls_failures[PIPIT_TLS_FAILURE_COUNT];
	_Atomic uint64_t authentications[PIPIT_AUTHENTICATION_OUTCOMES];
	_Atomic uint64_t counters[PIPIT_COUNTER_COUNT];
	_Atomic uint64_t connections[PIPIT_STATE_COUNT];
	_Atomic uint64_t loop[LOOP_CELLS];
};

/* Per route index: the lowest with the same label, because Prometheus refuses a page that names a series twice. */
uint32_t *pipit_counters_find_first_routes(const char *const *labels, size_t count);

#endif
