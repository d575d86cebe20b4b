/* SPDX-License-Identifier: MIT */
/*
 * The cells that counters.c counts in, and prometheus.c and dashboard_data.c read. Private to these three.
 */
#ifndef PIPIT_COUNTER_CELLS_H
#define PIPIT_COUNTER_CELLS_H

#include "base/methods.h"
#include "base/refusal.h"
#include "metrics/counters.h"
#include "pipit.h"

#include <stdatomic.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------- cells */

static inline uint64_t read_cell(const _Atomic uint64_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

static inline void write_cell(_Atomic uint64_t *cell, uint64_t value)
{
	atomic_store_explicit(cell, value, memory_order_relaxed);
}

/* A load and a store, not fetch_add: a cell has one writer, so no step can be lost between the two, and the locked
 * instruction of fetch_add would cost more than all the rest of counting. Atomic only so that a reader never meets a half
 * written value. */
static inline void add(_Atomic uint64_t *cell, uint64_t amount)
{
	write_cell(cell, read_cell(cell) + amount);
}

/* ---------------------------------------------------------------- histograms */

/* Labels `le` are what Go's %g prints, as in other exporters; OpenMetrics wants ".0" where that looks like an integer. */
struct le {
	unsigned char length;
	char text[15]; /* prometheus.c copies all of it */
};

struct bucket {
	uint64_t bound; /* the greatest value in it: nanoseconds or bytes */
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

/* A histogram is a row of cells: the sum of all values, one count per bucket (not cumulative), the count above all bounds. */
#define DURATION_CELLS (COUNT_OF(duration_buckets) + 2)
#define SIZE_CELLS (COUNT_OF(size_buckets) + 2)

struct shape {
	const struct bucket *buckets;
	size_t bucket_count; /* without +Inf */
	bool is_nanoseconds; /* and shown as seconds; else bytes */
};

static const struct shape durations = { duration_buckets, COUNT_OF(duration_buckets), true };
static const struct shape sizes = { size_buckets, COUNT_OF(size_buckets), false };

/* From the lowest bound up: most requests are quick and small, and end this loop after a turn or two. */
static inline void observe(_Atomic uint64_t *cells, const struct shape *shape, uint64_t value)
{
	size_t i = 0;
	while (i < shape->bucket_count && value > shape->buckets[i].bound)
		i++;
	add(&cells[0], value);
	add(&cells[1 + i], 1);
}

/* ---------------------------------------------------------------- one worker */

/* A line of http_requests_total. */
struct series {
	_Atomic uint32_t key;   /* 0: free; stored with release, once, by the worker */
	_Atomic uint64_t count; /* 0 until after `key` is there */
};

/* Of a key: route, three bits of method, ten of status. A status is never 0, hence no key is. */
#define ROUTE_SHIFT 13
#define METHOD_SHIFT 10
#define METHOD_MASK 7u
#define STATUS_MASK 1023u
#define ROUTES_MAX ((size_t)1 << (32 - ROUTE_SHIFT))

/* Number 0 is every method that pipit does not serve, then the bits of enum pipit_method in their order. */
_Static_assert(PIPIT_METHODS_COUNT <= METHOD_MASK, "a method's number fits its bits of the key");

/* Places in pipit_counters.loop. */
enum {
	LOOP_EVENTS,         /* added, active, virtual */
	LOOP_EVENTS_MAX = 3, /* the same three */
	LOOP_LAG = 6,
	LOOP_LAG_MAX,
	LOOP_CELLS
};

struct pipit_counters {
	/* const after pipit_counters_new() */
	size_t routes;
	const char *method;
	const char *features;
	_Atomic clockid_t clock; /* set anew by the thread that runs the loop */
	struct series *series;
	size_t series_capacity; /* a power of two */
	size_t series_limit;    /* three quarters of it: short ways to a free place, and always one there */
	unsigned hash_shift;
	_Atomic uint64_t *durations; /* per route DURATION_CELLS */

	/* the worker's alone */
	size_t series_count;
	struct {
		_Atomic uint64_t *durations; /* of the request's route */
		uint64_t started_ns;
	} batch[PIPIT_COUNTERS_BATCH_MAX]; /* requests whose replies have not been sent */
	size_t batch_count;

	/* one writer, many readers */
	_Atomic uint64_t overflow; /* requests whose series found no room */
	_Atomic uint64_t request_sizes[SIZE_CELLS];
	_Atomic uint64_t response_sizes[SIZE_CELLS];
	_Atomic uint64_t rejected[PIPIT_REFUSAL_COUNT];
	_Atomic uint64_t timeouts[PIPIT_PHASE_COUNT];
	_Atomic uint64_t counters[PIPIT_COUNTER_COUNT];
	_Atomic uint64_t connections[PIPIT_STATE_COUNT];
	_Atomic uint64_t loop[LOOP_CELLS];
};

/*
 * Per route index: the lowest index with the same label. A pattern that is registered for GET here and for PUT there is one route to
 * a reader, and Prometheus refuses a page that names a series twice. malloc'd; NULL when memory is short.
 */
uint32_t *pipit_counters_find_first_routes(const char *const *labels, size_t count);

#endif
