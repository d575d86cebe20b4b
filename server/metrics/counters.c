/* SPDX-License-Identifier: MIT */
/* The worker's side of counters.h: counting. What becomes of it is prometheus.c's. */
#include "metrics/counters.h"

#include "metrics/counter_cells.h"
#include "pipit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

/* In cache lines of its own, so that two workers that count never fight over one. */
static void *allocate_lines(size_t size)
{
	size_t rounded = (size / CACHE_LINE + 1) * CACHE_LINE;
	void *memory = aligned_alloc(CACHE_LINE, rounded);
	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

static void size_table(struct pipit_stats *stats)
{
	stats->series_capacity = 1024;
	stats->hash_shift = 32 - 10;
	while (stats->series_capacity < 16 * stats->routes) {
		stats->series_capacity *= 2;
		stats->hash_shift--;
	}
	stats->series_limit = stats->series_capacity / 4 * 3;
}

void pipit_stats_set_clock(struct pipit_stats *stats, clockid_t clock)
{
	atomic_store_explicit(&stats->clock, clock, memory_order_relaxed);
}

struct pipit_stats *pipit_stats_new(size_t routes, const char *method, const char *features, clockid_t clock)
{
	struct pipit_stats *stats = routes <= ROUTES_MAX ? allocate_lines(sizeof(*stats)) : NULL;
	if (!stats)
		return NULL;
	stats->routes = routes;
	stats->method = method;
	stats->features = features;
	pipit_stats_set_clock(stats, clock);
	size_table(stats);
	stats->series = allocate_lines(stats->series_capacity * sizeof(*stats->series));
	stats->durations = allocate_lines(routes * DURATION_CELLS * sizeof(*stats->durations));
	if (!stats->series || !stats->durations) {
		pipit_stats_free(stats);
		return NULL;
	}
	return stats;
}

void pipit_stats_free(struct pipit_stats *stats)
{
	if (!stats)
		return;
	free(stats->durations);
	free(stats->series);
	free(stats);
}

const char *pipit_stats_state_name(enum pipit_stats_state state)
{
	static const char *const names[PIPIT_STATE_COUNT] = { "idle", "reading", "handling", "writing", "streaming",
		"closing" };
	return names[state];
}

const char *pipit_stats_phase_name(enum pipit_stats_phase phase)
{
	static const char *const names[PIPIT_PHASE_COUNT] = { "head", "body", "write", "idle", "drain" };
	return names[phase];
}

static uint32_t pack_key(size_t route, unsigned method, int status)
{
	unsigned number = method ? (unsigned)__builtin_ctz(method) + 1 : 0;
	return (uint32_t)route << ROUTE_SHIFT | number << METHOD_SHIFT | (uint32_t)status;
}

static _Atomic uint64_t *add_series(struct pipit_stats *stats, struct series *series, uint32_t key)
{
	if (stats->series_count == stats->series_limit)
		return &stats->overflow;
	stats->series_count++;
	/* Release: a reader that sees the key sees the count at its zero, whatever was in that memory before. */
	atomic_store_explicit(&series->key, key, memory_order_release);
	return &series->count;
}

/* Multiply-shift: the golden ratio spreads neighbouring keys (one route's statuses) over the table. */
static _Atomic uint64_t *find_series(struct pipit_stats *stats, uint32_t key)
{
	size_t mask = stats->series_capacity - 1;
	for (size_t i = (uint32_t)(key * 0x9E3779B1u) >> stats->hash_shift;; i = (i + 1) & mask) {
		struct series *series = &stats->series[i];
		uint32_t found = atomic_load_explicit(&series->key, memory_order_relaxed);
		if (found == key)
			return &series->count;
		if (found == 0)
			return add_series(stats, series, key);
	}
}

static void count_request(struct pipit_stats *stats, size_t route, unsigned method, int status, uint64_t request_bytes,
    uint64_t response_bytes)
{
	assert(route < stats->routes);
	assert(method <= PIPIT_ANY && (method & (method - 1)) == 0);
	assert(status >= 100 && status <= 599);
	add(find_series(stats, pack_key(route, method, status)), 1);
	observe(stats->request_sizes, &sizes, request_bytes);
	observe(stats->response_sizes, &sizes, response_bytes);
}

void pipit_stats_request(struct pipit_stats *stats, size_t route, unsigned method, int status, uint64_t duration_ns,
    uint64_t request_bytes, uint64_t response_bytes)
{
	count_request(stats, route, method, status, request_bytes, response_bytes);
	observe(stats->durations + route * DURATION_CELLS, &durations, duration_ns);
}

void pipit_stats_request_in_batch(struct pipit_stats *stats, size_t route, unsigned method, int status,
    uint64_t started_ns, uint64_t request_bytes, uint64_t response_bytes)
{
	size_t at = stats->batch_count++;

	assert(at < PIPIT_STATS_BATCH_MAX);
	count_request(stats, route, method, status, request_bytes, response_bytes);
	stats->batch[at].durations = stats->durations + route * DURATION_CELLS;
	stats->batch[at].started_ns = started_ns;
}

void pipit_stats_end_batch(struct pipit_stats *stats)
{
	struct timespec now;
	uint64_t now_ns;

	if (stats->batch_count == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	for (size_t i = 0; i < stats->batch_count; i++)
		observe(stats->batch[i].durations, &durations, now_ns - stats->batch[i].started_ns);
	stats->batch_count = 0;
}

void pipit_stats_reject(struct pipit_stats *stats, enum pipit_refusal reason)
{
	assert(reason > PIPIT_REFUSAL_NONE && reason < PIPIT_REFUSAL_COUNT);
	add(&stats->rejected[reason], 1);
}

void pipit_stats_timeout(struct pipit_stats *stats, enum pipit_stats_phase phase)
{
	assert(phase < PIPIT_PHASE_COUNT);
	add(&stats->timeouts[phase], 1);
}

void pipit_stats_add(struct pipit_stats *stats, enum pipit_stats_counter counter, uint64_t amount)
{
	assert(counter < PIPIT_COUNTER_COUNT);
	add(&stats->counters[counter], amount);
}

void pipit_stats_move(struct pipit_stats *stats, enum pipit_stats_state from, enum pipit_stats_state to)
{
	assert(from <= PIPIT_STATE_COUNT && to <= PIPIT_STATE_COUNT);
	if (to < PIPIT_STATE_COUNT)
		add(&stats->connections[to], 1);
	if (from < PIPIT_STATE_COUNT) {
		assert(read_cell(&stats->connections[from]) > 0);
		add(&stats->connections[from], (uint64_t)-1);
	}
}

void pipit_stats_set_loop(struct pipit_stats *stats, const struct pipit_stats_loop *loop)
{
	const uint64_t values[LOOP_CELLS] = {
		(uint64_t)loop->events_added,
		(uint64_t)loop->events_active,
		(uint64_t)loop->events_virtual,
		(uint64_t)loop->events_added_max,
		(uint64_t)loop->events_active_max,
		(uint64_t)loop->events_virtual_max,
		loop->lag_ns,
		loop->lag_max_ns,
	};
	for (size_t i = 0; i < LOOP_CELLS; i++)
		write_cell(&stats->loop[i], values[i]);
}

uint64_t pipit_stats_connections(const struct pipit_stats *stats)
{
	uint64_t count = 0;
	for (size_t i = 0; i < PIPIT_STATE_COUNT; i++)
		count += read_cell(&stats->connections[i]);
	return count;
}

uint64_t pipit_stats_in_state(const struct pipit_stats *stats, enum pipit_stats_state state)
{
	return read_cell(&stats->connections[state]);
}

uint64_t pipit_stats_counter(const struct pipit_stats *stats, enum pipit_stats_counter counter)
{
	assert(counter < PIPIT_COUNTER_COUNT);
	return read_cell(&stats->counters[counter]);
}
