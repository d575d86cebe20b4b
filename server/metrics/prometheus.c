/* SPDX-License-Identifier: MIT */
/*
 * The page in the Prometheus text format 0.0.4 or OpenMetrics 1.0. Numbers are printed by hand: no locale may turn a point
 * into a comma, and there is no floating point anywhere, so that a counter never loses a step.
 */
#include "metrics/prometheus.h"

#include "base/bytes.h"
#include "metrics/counter_cells.h"
#include "metrics/process.h"
#include "pipit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- the page's text */

/* What a family is, and what that adds to its name in samples. The text format has no info metrics. */
enum kind { COUNTER, GAUGE, HISTOGRAM, INFO };

static const struct {
	const char *suffix;
	const char *type;
	const char *openmetrics_type;
} kinds[] = {
	[COUNTER] = { "_total", "counter", "counter" },
	[GAUGE] = { "", "gauge", "gauge" },
	[HISTOGRAM] = { "", "histogram", "histogram" },
	[INFO] = { "_info", "gauge", "info" },
};

struct page {
	const struct pipit_prometheus *input;
	uint32_t *first_routes; /* owned: see pipit_counters_find_first_routes() */

	const char *family; /* the one being written, without its kind's suffix */
	enum kind kind;
	bool has_labels; /* of the sample being written */

	char *data;
	size_t length, capacity;
	bool is_cut; /* memory was short; what is put from now on is lost, and the page is not given out */
};

static bool grow(struct page *page, size_t more)
{
	size_t capacity = page->capacity * 2 + more + 16384;
	char *data = page->is_cut ? NULL : realloc(page->data, capacity);
	if (!data) {
		page->is_cut = true;
		return false;
	}
	page->data = data;
	page->capacity = capacity;
	return true;
}

static inline bool make_room(struct page *page, size_t more)
{
	return page->capacity - page->length >= more || grow(page, more);
}

/* Inline, as is what calls it with a constant: of most texts the compiler knows the length. */
static inline void put_bytes(struct page *page, const char *bytes, size_t length)
{
	if (length == 0 || !make_room(page, length))
		return;
	memcpy(page->data + page->length, bytes, length);
	page->length += length;
}

static inline void put(struct page *page, const char *text)
{
	put_bytes(page, text, strlen(text));
}

/* Of a number, of seconds with their fraction. */
#define DIGITS_MAX 20
#define FRACTION_DIGITS 9

static void put_digits(struct page *page, uint64_t number)
{
	if (!make_room(page, DIGITS_MAX))
		return;
	page->length = (size_t)(pipit_bytes_put_number(page->data + page->length, number) - page->data);
}

static void put_seconds(struct page *page, uint64_t nanoseconds)
{
	uint64_t fraction = nanoseconds % 1000000000;
	char *point;

	if (!make_room(page, DIGITS_MAX + 1 + FRACTION_DIGITS))
		return;
	point = pipit_bytes_put_number(page->data + page->length, nanoseconds / 1000000000);
	*point = '.';
	for (int i = FRACTION_DIGITS; i > 0; i--, fraction /= 10)
		point[i] = (char)('0' + fraction % 10);
	page->length = (size_t)(point + 1 + FRACTION_DIGITS - page->data);
}

static inline void put_escaped(struct page *page, const char *value)
{
	for (;;) {
		size_t plain = strcspn(value, "\\\"\n");
		put_bytes(page, value, plain);
		value += plain;
		if (!*value)
			return;
		put(page, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\");
		value++;
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);
	return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static void put_descriptor(struct page *page, const char *keyword, const char *text)
{
	put(page, "# ");
	put(page, keyword);
	put(page, " ");
	put(page, page->family);
	/* The old format knows samples' names only, OpenMetrics the family's. */
	if (!page->input->openmetrics)
		put(page, kinds[page->kind].suffix);
	put(page, " ");
	put(page, text);
	put(page, "\n");
}

static void start_family(struct page *page, const char *name, enum kind kind, const char *help)
{
	page->family = name;
	page->kind = kind;
	put_descriptor(page, "HELP", help);
	put_descriptor(page, "TYPE", page->input->openmetrics ? kinds[kind].openmetrics_type : kinds[kind].type);
	if (!page->input->openmetrics)
		return;
	if (ends_with(name, "_seconds"))
		put_descriptor(page, "UNIT", "seconds");
	if (ends_with(name, "_bytes"))
		put_descriptor(page, "UNIT", "bytes");
}

static inline void start_sample_as(struct page *page, const char *suffix)
{
	put(page, page->family);
	put(page, suffix);
	page->has_labels = false;
}

static void start_sample(struct page *page)
{
	start_sample_as(page, kinds[page->kind].suffix);
}

static inline void start_label(struct page *page, const char *name)
{
	put(page, page->has_labels ? "," : "{");
	put(page, name);
	put(page, "=\"");
	page->has_labels = true;
}

static inline void put_label(struct page *page, const char *name, const char *value)
{
	start_label(page, name);
	put_escaped(page, value);
	put(page, "\"");
}

static inline void put_number_label(struct page *page, const char *name, uint64_t number)
{
	start_label(page, name);
	put_digits(page, number);
	put(page, "\"");
}

static void end_sample(struct page *page, uint64_t value)
{
	put(page, page->has_labels ? "} " : " ");
	put_digits(page, value);
	put(page, "\n");
}

static void end_sample_seconds(struct page *page, uint64_t nanoseconds)
{
	put(page, page->has_labels ? "} " : " ");
	put_seconds(page, nanoseconds);
	put(page, "\n");
}

static void put_single(struct page *page, const char *name, enum kind kind, const char *help, uint64_t value)
{
	start_family(page, name, kind, help);
	start_sample(page);
	end_sample(page, value);
}

/* ---------------------------------------------------------------- requests */

struct total {
	uint32_t key;
	uint64_t count;
};

static int compare_totals(const void *a, const void *b)
{
	const struct total *left = a, *right = b;
	return (left->key > right->key) - (left->key < right->key);
}

static size_t collect_series(const struct page *page, const struct pipit_counters *counters, struct total *totals)
{
	size_t count = 0;
	for (size_t i = 0; i < counters->series_capacity; i++) {
		uint32_t key = atomic_load_explicit(&counters->series[i].key, memory_order_acquire);
		uint64_t requests = key ? read_cell(&counters->series[i].count) : 0;
		if (requests == 0)
			continue;
		uint32_t first = page->first_routes[key >> ROUTE_SHIFT];
		key = first << ROUTE_SHIFT | (key & (METHOD_MASK << METHOD_SHIFT | STATUS_MASK));
		totals[count++] = (struct total){ key, requests };
	}
	return count;
}

static void put_requests(struct page *page, const char *method, const char *route, unsigned status, uint64_t count)
{
	start_sample(page);
	put_label(page, "method", method);
	put_label(page, "route", route);
	put_number_label(page, "code", status);
	end_sample(page, count);
}

static const char *label_method(uint32_t key)
{
	unsigned number = key >> METHOD_SHIFT & METHOD_MASK;
	return number ? pipit_methods_name(1u << (number - 1)) : "other";
}

/* Sorted by key, that is by route, method, status; equal keys come from several workers, or routes with one label. */
static void put_totals(struct page *page, const struct total *totals, size_t count)
{
	for (size_t i = 0; i < count;) {
		uint32_t key = totals[i].key;
		uint64_t requests = 0;
		for (; i < count && totals[i].key == key; i++)
			requests += totals[i].count;
		put_requests(
		    page, label_method(key), page->input->routes[key >> ROUTE_SHIFT], key & STATUS_MASK, requests);
	}
}

static void put_request_counts(struct page *page)
{
	size_t limit = 1, count = 0;
	uint64_t overflow = 0;
	for (size_t i = 0; i < page->input->worker_count; i++)
		limit += page->input->workers[i]->series_limit;
	struct total *totals = malloc(limit * sizeof(*totals));
	if (!totals) {
		page->is_cut = true;
		return;
	}
	for (size_t i = 0; i < page->input->worker_count; i++) {
		count += collect_series(page, page->input->workers[i], totals + count);
		overflow += read_cell(&page->input->workers[i]->overflow);
	}
	qsort(totals, count, sizeof(*totals), compare_totals);
	start_family(page, "http_requests", COUNTER, "Requests that were answered.");
	put_totals(page, totals, count);
	if (overflow)
		put_requests(page, "other", "other", 0, overflow);
	free(totals);
}

static void sum_cells(const _Atomic uint64_t *cells, size_t count, uint64_t *totals)
{
	for (size_t i = 0; i < count; i++)
		totals[i] += read_cell(&cells[i]);
}

static const struct le *name_bucket(const struct page *page, const struct shape *shape, size_t i)
{
	static const struct le infinite = LE("+Inf");
	if (i == shape->bucket_count)
		return &infinite;
	return page->input->openmetrics ? &shape->buckets[i].canonical_le : &shape->buckets[i].le;
}

#define BLOCK 32

/* Behind a bucket's bound: `"} `, digits, a line feed. Not more than a block. */
#define BUCKET_END_MAX 24

/* Copy whole blocks: for a short text some instructions and no call. What is copied too much is overwritten by what comes next. */
static inline char *copy_blocks(char *at, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += BLOCK) {
		char block[BLOCK];
		memcpy(block, bytes + i, BLOCK);
		memcpy(at + i, block, BLOCK);
	}
	return at + length;
}

/*
 * These lines are nearly all of a long page, and differ in little: what stands before the value of `le` is the same in all of
 * them, and what stands behind it changes only where a bucket is not empty. `start` is where the first of them is, which has
 * only what they share. Returns the count of all values.
 */
static uint64_t put_buckets(struct page *page, const struct shape *shape, const uint64_t *totals, size_t start)
{
	size_t shared_length = page->length - start, end_length = 0;
	size_t line_max = shared_length + sizeof(struct le) + BUCKET_END_MAX;
	char line_end[BLOCK] = { 0 };
	uint64_t cumulative = 0;

	if (!make_room(page, (shape->bucket_count + 1) * line_max + BLOCK))
		return 0;
	const char *shared = page->data + start;
	char *at = page->data + page->length;
	for (size_t i = 0; i <= shape->bucket_count; i++) {
		const struct le *le = name_bucket(page, shape, i);
		cumulative += totals[1 + i];
		if (i == 0 || totals[1 + i]) {
			char *end = pipit_bytes_put_number(PIPIT_BYTES_PUT(line_end, "\"} "), cumulative);
			*end++ = '\n';
			end_length = (size_t)(end - line_end);
		}
		if (i > 0)
			at = copy_blocks(at, shared, shared_length);
		memcpy(at, le->text, sizeof(le->text));
		at = copy_blocks(at + le->length, line_end, end_length);
	}
	page->length = (size_t)(at - page->data);
	return cumulative;
}

/* Labels that the page has already. */
static void put_labels_again(struct page *page, size_t labels, size_t length)
{
	page->has_labels = length > 0;
	/* Without a label there may be no page either, when memory is short. */
	if (length == 0 || !make_room(page, length))
		return;
	memcpy(page->data + page->length, page->data + labels, length);
	page->length += length;
}

/* _count is the last of the cumulative buckets, not a cell of its own: the two are equal whatever the worker does now. */
static void put_histogram(struct page *page, const struct shape *shape, const uint64_t *totals, const char *route)
{
	size_t start = page->length, labels, labels_length;
	uint64_t count;

	start_sample_as(page, "_bucket");
	labels = page->length;
	if (route)
		put_label(page, "route", route);
	labels_length = page->length - labels;
	start_label(page, "le");
	count = put_buckets(page, shape, totals, start);
	start_sample_as(page, "_sum");
	put_labels_again(page, labels, labels_length);
	if (shape->is_nanoseconds)
		end_sample_seconds(page, totals[0]);
	else
		end_sample(page, totals[0]);
	start_sample_as(page, "_count");
	put_labels_again(page, labels, labels_length);
	end_sample(page, count);
}

static bool has_moved(const uint64_t *totals)
{
	for (size_t i = 1; i < DURATION_CELLS; i++) {
		if (totals[i])
			return true;
	}
	return false;
}

static void put_durations(struct page *page)
{
	size_t route_count = page->input->route_count;
	uint64_t *totals = calloc(route_count * DURATION_CELLS + 1, sizeof(*totals));
	if (!totals) {
		page->is_cut = true;
		return;
	}
	for (size_t i = 0; i < page->input->worker_count; i++) {
		const struct pipit_counters *counters = page->input->workers[i];
		for (size_t route = 0; route < counters->routes; route++)
			sum_cells(counters->durations + route * DURATION_CELLS, DURATION_CELLS,
			    totals + page->first_routes[route] * DURATION_CELLS);
	}
	start_family(
	    page, "http_request_duration_seconds", HISTOGRAM, "Time from a request to the end of its response.");
	for (size_t route = 0; route < route_count; route++) {
		if (has_moved(totals + route * DURATION_CELLS))
			put_histogram(page, &durations, totals + route * DURATION_CELLS, page->input->routes[route]);
	}
	free(totals);
}

static void put_sizes(struct page *page)
{
	uint64_t requests[SIZE_CELLS] = { 0 }, responses[SIZE_CELLS] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++) {
		sum_cells(page->input->workers[i]->request_sizes, SIZE_CELLS, requests);
		sum_cells(page->input->workers[i]->response_sizes, SIZE_CELLS, responses);
	}
	start_family(page, "http_request_size_bytes", HISTOGRAM, "Size of requests.");
	put_histogram(page, &sizes, requests, NULL);
	start_family(page, "http_response_size_bytes", HISTOGRAM, "Size of responses.");
	put_histogram(page, &sizes, responses, NULL);
}

/* ---------------------------------------------------------------- connections, refusals */

static void put_connections(struct page *page)
{
	uint64_t totals[PIPIT_STATE_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->connections, PIPIT_STATE_COUNT, totals);
	start_family(page, "http_connections", GAUGE, "Open connections by what they are doing.");
	for (size_t i = 0; i < PIPIT_STATE_COUNT; i++) {
		start_sample(page);
		put_label(page, "state", pipit_counters_state_name((enum pipit_counters_state)i));
		end_sample(page, totals[i]);
	}
}

static void put_counters(struct page *page)
{
	static const struct {
		const char *name, *help;
	} families[PIPIT_COUNTER_COUNT] = {
		[PIPIT_COUNT_ACCEPTED] = { "http_connections_accepted", "Connections that were accepted." },
		[PIPIT_COUNT_EVICTED] = { "http_connections_evicted", "Connections closed to make room for others." },
		[PIPIT_COUNT_ACCEPT_ERRORS] = { "http_accept_errors", "Failures to accept a connection." },
		[PIPIT_COUNT_ABORTED] = { "http_requests_aborted", "Requests whose client left before the end." },
		[PIPIT_COUNT_STREAMS_DROPPED] = { "http_streams_dropped",
		    "Clients of a stream that were too far behind." },
		[PIPIT_COUNT_RECEIVED] = { "http_received_bytes", "Bytes received from clients." },
		[PIPIT_COUNT_SENT] = { "http_sent_bytes", "Bytes sent to clients." },
	};
	uint64_t totals[PIPIT_COUNTER_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->counters, PIPIT_COUNTER_COUNT, totals);
	for (size_t i = 0; i < PIPIT_COUNTER_COUNT; i++)
		put_single(page, families[i].name, COUNTER, families[i].help, totals[i]);
}

static void put_rejections(struct page *page)
{
	uint64_t totals[PIPIT_REFUSAL_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->rejected, PIPIT_REFUSAL_COUNT, totals);
	start_family(page, "http_rejected", COUNTER, "Requests and connections that were refused.");
	for (int reason = PIPIT_REFUSAL_NONE + 1; reason < PIPIT_REFUSAL_COUNT; reason++) {
		start_sample(page);
		put_label(page, "reason", pipit_refusal_entry((enum pipit_refusal)reason)->label);
		end_sample(page, totals[reason]);
	}
}

static void put_timeouts(struct page *page)
{
	uint64_t totals[PIPIT_PHASE_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->timeouts, PIPIT_PHASE_COUNT, totals);
	start_family(page, "http_timeouts", COUNTER, "Connections that ran out of time.");
	for (size_t i = 0; i < PIPIT_PHASE_COUNT; i++) {
		start_sample(page);
		put_label(page, "phase", pipit_counters_phase_name((enum pipit_counters_phase)i));
		end_sample(page, totals[i]);
	}
}

/* ---------------------------------------------------------------- event loops, one series per worker */

static bool read_clock(clockid_t clock, uint64_t *nanoseconds)
{
	struct timespec now;
	if (clock_gettime(clock, &now) != 0)
		return false;
	*nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return true;
}

static void put_events(struct page *page, const char *name, size_t first_cell, const char *help)
{
	static const char *const event_kinds[] = { "added", "active", "virtual" };
	start_family(page, name, GAUGE, help);
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		for (size_t i = 0; i < COUNT_OF(event_kinds); i++) {
			start_sample(page);
			put_number_label(page, "worker", worker);
			put_label(page, "kind", event_kinds[i]);
			end_sample(page, read_cell(&page->input->workers[worker]->loop[first_cell + i]));
		}
	}
}

static void put_lags(struct page *page, const char *name, size_t cell, const char *help)
{
	start_family(page, name, GAUGE, help);
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		start_sample(page);
		put_number_label(page, "worker", worker);
		end_sample_seconds(page, read_cell(&page->input->workers[worker]->loop[cell]));
	}
}

static void put_base_info(struct page *page)
{
	start_family(page, "event_base", INFO, "How the worker's event_base waits.");
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		start_sample(page);
		put_number_label(page, "worker", worker);
		put_label(page, "method", page->input->workers[worker]->method);
		put_label(page, "features", page->input->workers[worker]->features);
		end_sample(page, 1);
	}
}

/* A thread that has ended has no clock any more, and no line. */
static void put_busy_times(struct page *page)
{
	start_family(page, "event_loop_busy_seconds", COUNTER, "CPU time of the worker's thread.");
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		uint64_t busy;
		if (!read_clock(
			atomic_load_explicit(&page->input->workers[worker]->clock, memory_order_relaxed), &busy))
			continue;
		start_sample(page);
		put_number_label(page, "worker", worker);
		end_sample_seconds(page, busy);
	}
}

static void put_loops(struct page *page)
{
	put_events(page, "event_base_events", LOOP_EVENTS, "Events that the worker's event_base holds.");
	put_events(page, "event_base_events_max", LOOP_EVENTS_MAX, "The most events that it held at a time.");
	put_base_info(page);
	put_lags(page, "event_loop_lag_seconds", LOOP_LAG, "How late the loop's last timer fired.");
	put_lags(page, "event_loop_lag_max_seconds", LOOP_LAG_MAX, "The worst lag of the last minute or so.");
	put_busy_times(page);
}

/* ---------------------------------------------------------------- the process */

static void put_process(struct page *page)
{
	struct pipit_process process;
	uint64_t value;

	pipit_process_read(&process);
	if (read_clock(CLOCK_PROCESS_CPUTIME_ID, &value)) {
		start_family(page, "process_cpu_seconds", COUNTER, "Total user and system CPU time spent in seconds.");
		start_sample(page);
		end_sample_seconds(page, value);
	}
	if (process.has_descriptors)
		put_single(
		    page, "process_open_fds", GAUGE, "Number of open file descriptors.", process.open_descriptors);
	if (process.has_limit)
		put_single(page, "process_max_fds", GAUGE, "Maximum number of open file descriptors.",
		    process.max_descriptors);
	if (process.has_memory) {
		put_single(page, "process_virtual_memory_bytes", GAUGE, "Virtual memory size in bytes.",
		    process.virtual_bytes);
		put_single(page, "process_resident_memory_bytes", GAUGE, "Resident memory size in bytes.",
		    process.resident_bytes);
		put_single(page, "process_threads", GAUGE, "Number of OS threads in the process.", process.threads);
	}
	put_single(page, "process_start_time_seconds", GAUGE, "Start time of the process since unix epoch in seconds.",
	    (uint64_t)page->input->started);
}

static void put_build(struct page *page)
{
	put_single(page, "pipit_buffered_bytes", GAUGE, "Bytes buffered for all connections, of memory-limit.",
	    page->input->buffered_bytes);
	put_single(page, "pipit_access_log_dropped_lines", COUNTER, "Access log lines that could not be written.",
	    page->input->log_dropped);
	start_family(page, "pipit_build", INFO, "Versions of pipit and of the libevent it runs on.");
	start_sample(page);
	put_label(page, "version", page->input->version);
	put_label(page, "libevent", page->input->libevent_version);
	end_sample(page, 1);
}

static void put_all(struct page *page)
{
	put_request_counts(page);
	put_durations(page);
	put_sizes(page);
	put_connections(page);
	put_counters(page);
	put_rejections(page);
	put_timeouts(page);
	put_loops(page);
	put_process(page);
	put_build(page);
	if (page->input->openmetrics)
		put(page, "# EOF\n");
}

char *pipit_prometheus_render(const struct pipit_prometheus *input, size_t *length)
{
	struct page page = { .input = input };
	for (size_t i = 0; i < input->worker_count; i++)
		assert(input->workers[i]->routes <= input->route_count);
	page.first_routes = pipit_counters_find_first_routes(input->routes, input->route_count);
	if (page.first_routes)
		put_all(&page);
	else
		page.is_cut = true;
	free(page.first_routes);
	if (page.is_cut) {
		free(page.data);
		return NULL;
	}
	*length = page.length;
	return page.data;
}
