/* SPDX-License-Identifier: MIT */
#include "metrics/counters.h"

#include "metrics/counter_cells.h"
#include "pipit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

/* Two workers never write to one cache line. */
static void *allocate_lines(size_t size)
{
	size_t rounded = (size / CACHE_LINE + 1) * CACHE_LINE;
	void *memory = aligned_alloc(CACHE_LINE, rounded);
	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

static void size_table(struct pipit_counters *counters)
{
	counters->series_capacity = 1024;
	counters->hash_shift = 32 - 10;
	while (counters->series_capacity < 16 * counters->routes) {
		counters->series_capacity *= 2;
		counters->hash_shift--;
	}
	counters->series_limit = counters->series_capacity / 4 * 3;
}

void pipit_counters_set_clock(struct pipit_counters *counters, clockid_t clock)
{
	atomic_store_explicit(&counters->clock, clock, memory_order_relaxed);
}

struct pipit_counters *pipit_counters_new(size_t routes, const char *method, const char *features, clockid_t clock)
{
	struct pipit_counters *counters = routes <= ROUTES_MAX ? allocate_lines(sizeof(*counters)) : NULL;
	if (!counters)
		return NULL;
	counters->routes = routes;
	counters->method = method;
	counters->features = features;
	pipit_counters_set_clock(counters, clock);
	size_table(counters);
	counters->series = allocate_lines(counters->series_capacity * sizeof(*counters->series));
	counters->durations = allocate_lines(routes * DURATION_CELLS * sizeof(*counters->durations));
	if (!counters->series || !counters->durations) {
		pipit_counters_free(counters);
		return NULL;
	}
	return counters;
}

void pipit_counters_free(struct pipit_counters *counters)
{
	if (!counters)
		return;
	free(counters->durations);
	free(counters->series);
	free(counters);
}

const char *pipit_counters_state_name(enum pipit_counters_state state)
{
	static const char *const names[PIPIT_STATE_COUNT] = { "idle", "reading", "handling", "writing", "streaming",
		"closing" };
	return names[state];
}

const char *pipit_counters_phase_name(enum pipit_counters_phase phase)
{
	static const char *const names[PIPIT_PHASE_COUNT] = { "handshake", "head", "body", "write", "idle", "drain" };
	return names[phase];
}

const char *pipit_counters_tls_failure_name(enum pipit_counters_tls_failure failure)
{
	static const char *const names[PIPIT_TLS_FAILURE_COUNT] = { "none", "timeout", "closed", "plain_http",
		"version", "cipher", "certificate", "alert", "protocol", "memory" };
	return names[failure];
}

const char *pipit_counters_authentication_name(enum pipit_counters_authentication outcome)
{
	static const char *const names[PIPIT_AUTHENTICATION_OUTCOMES] = { "passed", "remembered", "missing",
		"malformed", "failed", "forbidden", "refused" };
	return names[outcome];
}

static uint32_t pack_key(size_t route, unsigned method, int status)
{
	unsigned number = method ? (unsigned)__builtin_ctz(method) + 1 : 0;
	return (uint32_t)route << ROUTE_SHIFT | number << METHOD_SHIFT | (uint32_t)status;
}

static _Atomic uint64_t *add_series(struct pipit_counters *counters, struct series *series, uint32_t key)
{
	if (counters->series_count == counters->series_limit)
		return &counters->overflow;
	counters->series_count++;
	/* a reader that sees the key also sees the count */
	atomic_store_explicit(&series->key, key, memory_order_release);
	return &series->count;
}

/* The golden ratio spreads similar keys. */
static _Atomic uint64_t *find_series(struct pipit_counters *counters, uint32_t key)
{
	size_t mask = counters->series_capacity - 1;
	for (size_t i = (uint32_t)(key * 0x9E3779B1u) >> counters->hash_shift;; i = (i + 1) & mask) {
		struct series *series = &counters->series[i];
		uint32_t found = atomic_load_explicit(&series->key, memory_order_relaxed);
		if (found == key)
			return &series->count;
		if (found == 0)
			return add_series(counters, series, key);
	}
}

static void count_request(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t request_bytes, uint64_t response_bytes)
{
	assert(route < counters->routes);
	assert(method <= PIPIT_ANY && (method & (method - 1)) == 0);
	assert(status >= 100 && status <= 599);
	add(find_series(counters, pack_key(route, method, status)), 1);
	observe(counters->request_sizes, &sizes, request_bytes);
	observe(counters->response_sizes, &sizes, response_bytes);
}

void pipit_counters_request(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t duration_ns, uint64_t request_bytes, uint64_t response_bytes)
{
	count_request(counters, route, method, status, request_bytes, response_bytes);
	observe(counters->durations + route * DURATION_CELLS, &durations, duration_ns);
}

void pipit_counters_request_in_batch(struct pipit_counters *counters, size_t route, unsigned method, int status,
    uint64_t started_ns, uint64_t request_bytes, uint64_t response_bytes)
{
	size_t at;

	if (counters->batch_count == PIPIT_COUNTERS_BATCH_MAX)
		pipit_counters_end_batch(counters);
	at = counters->batch_count++;
	count_request(counters, route, method, status, request_bytes, response_bytes);
	counters->batch[at].durations = counters->durations + route * DURATION_CELLS;
	counters->batch[at].started_ns = started_ns;
}

void pipit_counters_end_batch(struct pipit_counters *counters)
{
	struct timespec now;
	uint64_t now_ns;

	if (counters->batch_count == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	for (size_t i = 0; i < counters->batch_count; i++)
		observe(counters->batch[i].durations, &durations, now_ns - counters->batch[i].started_ns);
	counters->batch_count = 0;
}

void pipit_counters_reject(struct pipit_counters *counters, enum pipit_refusal reason)
{
	assert(reason > PIPIT_REFUSAL_NONE && reason < PIPIT_REFUSAL_COUNT);
	add(&counters->rejected[reason], 1);
}

void pipit_counters_timeout(struct pipit_counters *counters, enum pipit_counters_phase phase)
{
	assert(phase < PIPIT_PHASE_COUNT);
	add(&counters->timeouts[phase], 1);
}

void pipit_counters_tls_failure(struct pipit_counters *counters, enum pipit_counters_tls_failure failure)
{
	assert(failure > PIPIT_TLS_FAILURE_NONE && failure < PIPIT_TLS_FAILURE_COUNT);
	add(&counters->tls_failures[failure], 1);
}

void pipit_counters_authentication(struct pipit_counters *counters, enum pipit_counters_authentication outcome)
{
	assert(outcome < PIPIT_AUTHENTICATION_OUTCOMES);
	add(&counters->authentications[outcome], 1);
}

void pipit_counters_add(struct pipit_counters *counters, enum pipit_counter counter, uint64_t amount)
{
	assert(counter < PIPIT_COUNTER_COUNT);
	add(&counters->counters[counter], amount);
}

void pipit_counters_move(struct pipit_counters *counters, enum pipit_counters_state from, enum pipit_counters_state to)
{
	assert(from <= PIPIT_STATE_COUNT && to <= PIPIT_STATE_COUNT);
	if (to < PIPIT_STATE_COUNT)
		add(&counters->connections[to], 1);
	if (from < PIPIT_STATE_COUNT) {
		assert(read_cell(&counters->connections[from]) > 0);
		add(&counters->connections[from], (uint64_t)-1);
	}
}

void pipit_counters_set_loop(struct pipit_counters *counters, const struct pipit_counters_loop *loop)
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
		write_cell(&counters->loop[i], values[i]);
}

uint64_t pipit_counters_connections(const struct pipit_counters *counters)
{
	uint64_t count = 0;
	for (size_t i = 0; i < PIPIT_STATE_COUNT; i++)
		count += read_cell(&counters->connections[i]);
	return count;
}

uint64_t pipit_counters_in_state(const struct pipit_counters *counters, enum pipit_counters_state state)
{
	return read_cell(&counters->connections[state]);
}

uint64_t pipit_counter(const struct pipit_counters *counters, enum pipit_counter counter)
{
	assert(counter < PIPIT_COUNTER_COUNT);
	return read_cell(&counters->counters[counter]);
}

/* FNV-1a. */
static size_t hash_of(const char *text)
{
	uint32_t hash = 2166136261u;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

uint32_t *pipit_counters_find_first_routes(const char *const *labels, size_t count)
{
	uint32_t *first = malloc((count + 1) * sizeof *first);
	uint32_t *table; /* the first index of a label, from 1; 0: free */
	size_t capacity = 16;

	while (capacity < 2 * count)
		capacity *= 2;
	table = calloc(capacity, sizeof *table);
	if (!first || !table) {
		free(first);
		free(table);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		size_t at = hash_of(labels[i]) & (capacity - 1);
		while (table[at] && strcmp(labels[table[at] - 1], labels[i]) != 0)
			at = (at + 1) & (capacity - 1);
		if (!table[at])
			table[at] = (uint32_t)i + 1;
		first[i] = table[at] - 1;
	}
	free(table);
	return first;
}
