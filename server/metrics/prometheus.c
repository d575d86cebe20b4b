/* SPDX-License-Identifier: MIT */
#include "metrics/prometheus.h"

#include "metrics/counter_cells.h"
#include "metrics/exposition.h"
#include "metrics/process.h"
#include "pipit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct page {
	const struct pipit_prometheus *input;
	uint32_t *first_routes; /* owned */
	struct pipit_exposition text;
};

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
	pipit_exposition_start_sample(&page->text);
	pipit_exposition_label(&page->text, "method", method);
	pipit_exposition_label(&page->text, "route", route);
	pipit_exposition_number_label(&page->text, "code", status);
	pipit_exposition_end_sample(&page->text, count);
}

static const char *label_method(uint32_t key)
{
	unsigned number = key >> METHOD_SHIFT & METHOD_MASK;
	return number ? pipit_methods_name(1u << (number - 1)) : "other";
}

/* Sorted by key (route, method, status). Workers, and routes with one label, share keys. */
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
		page->text.is_out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < page->input->worker_count; i++) {
		count += collect_series(page, page->input->workers[i], totals + count);
		overflow += read_cell(&page->input->workers[i]->overflow);
	}
	qsort(totals, count, sizeof(*totals), compare_totals);
	pipit_exposition_start_family(&page->text, "http_requests", PIPIT_EXPOSITION_COUNTER, "Answered requests.");
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
		page->text.is_out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < page->input->worker_count; i++) {
		const struct pipit_counters *counters = page->input->workers[i];
		for (size_t route = 0; route < counters->routes; route++)
			sum_cells(counters->durations + route * DURATION_CELLS, DURATION_CELLS,
			    totals + page->first_routes[route] * DURATION_CELLS);
	}
	pipit_exposition_start_family(&page->text, "http_request_duration_seconds", PIPIT_EXPOSITION_HISTOGRAM,
	    "Time from a request to the end of its response.");
	for (size_t route = 0; route < route_count; route++) {
		if (has_moved(totals + route * DURATION_CELLS))
			pipit_exposition_histogram(
			    &page->text, &durations, totals + route * DURATION_CELLS, page->input->routes[route]);
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
	pipit_exposition_start_family(
	    &page->text, "http_request_size_bytes", PIPIT_EXPOSITION_HISTOGRAM, "Size of requests.");
	pipit_exposition_histogram(&page->text, &sizes, requests, NULL);
	pipit_exposition_start_family(
	    &page->text, "http_response_size_bytes", PIPIT_EXPOSITION_HISTOGRAM, "Size of responses.");
	pipit_exposition_histogram(&page->text, &sizes, responses, NULL);
}

static void put_connections(struct page *page)
{
	uint64_t totals[PIPIT_STATE_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->connections, PIPIT_STATE_COUNT, totals);
	pipit_exposition_start_family(
	    &page->text, "http_connections", PIPIT_EXPOSITION_GAUGE, "Open connections by state.");
	for (size_t i = 0; i < PIPIT_STATE_COUNT; i++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_label(&page->text, "state", pipit_counters_state_name((enum pipit_counters_state)i));
		pipit_exposition_end_sample(&page->text, totals[i]);
	}
}

static void put_counters(struct page *page)
{
	static const struct {
		const char *name, *help;
	} families[PIPIT_COUNTER_COUNT] = {
		[PIPIT_COUNT_ACCEPTED] = { "http_connections_accepted", "Accepted connections." },
		[PIPIT_COUNT_EVICTED] = { "http_connections_evicted",
		    "Connections closed so that others could be accepted." },
		[PIPIT_COUNT_ACCEPT_ERRORS] = { "http_accept_errors", "Failures of accept()." },
		[PIPIT_COUNT_ABORTED] = { "http_requests_aborted",
		    "Requests whose connection ended before the reply was complete." },
		[PIPIT_COUNT_STREAMS_DROPPED] = { "http_streams_dropped",
		    "Stream clients that were closed because they read too slowly." },
		[PIPIT_COUNT_RECEIVED] = { "http_received_bytes", "Bytes received from clients." },
		[PIPIT_COUNT_SENT] = { "http_sent_bytes", "Bytes sent to clients." },
		[PIPIT_COUNT_TLS_HANDSHAKES] = { "pipit_tls_handshakes", "Completed TLS handshakes." },
		[PIPIT_COUNT_TLS_RESUMED] = { "pipit_tls_resumed_handshakes",
		    "TLS handshakes that resumed a session." },
		[PIPIT_COUNT_TLS_KERNEL] = { "pipit_tls_kernel_handshakes",
		    "TLS handshakes after which the kernel encrypts what is sent." },
	};
	uint64_t totals[PIPIT_COUNTER_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->counters, PIPIT_COUNTER_COUNT, totals);
	for (size_t i = 0; i < PIPIT_COUNTER_COUNT; i++)
		pipit_exposition_single(
		    &page->text, families[i].name, PIPIT_EXPOSITION_COUNTER, families[i].help, totals[i]);
}

static void put_rejections(struct page *page)
{
	uint64_t totals[PIPIT_REFUSAL_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->rejected, PIPIT_REFUSAL_COUNT, totals);
	pipit_exposition_start_family(
	    &page->text, "http_rejected", PIPIT_EXPOSITION_COUNTER, "Refused requests and connections.");
	for (int reason = PIPIT_REFUSAL_NONE + 1; reason < PIPIT_REFUSAL_COUNT; reason++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_label(&page->text, "reason", pipit_refusal_entry((enum pipit_refusal)reason)->label);
		pipit_exposition_end_sample(&page->text, totals[reason]);
	}
}

static void put_timeouts(struct page *page)
{
	uint64_t totals[PIPIT_PHASE_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->timeouts, PIPIT_PHASE_COUNT, totals);
	pipit_exposition_start_family(
	    &page->text, "http_timeouts", PIPIT_EXPOSITION_COUNTER, "Connections closed at a deadline.");
	for (size_t i = 0; i < PIPIT_PHASE_COUNT; i++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_label(&page->text, "phase", pipit_counters_phase_name((enum pipit_counters_phase)i));
		pipit_exposition_end_sample(&page->text, totals[i]);
	}
}

static void put_tls_failures(struct page *page)
{
	uint64_t totals[PIPIT_TLS_FAILURE_COUNT] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->tls_failures, PIPIT_TLS_FAILURE_COUNT, totals);
	pipit_exposition_start_family(
	    &page->text, "pipit_tls_handshake_failures", PIPIT_EXPOSITION_COUNTER, "TLS handshakes that failed.");
	for (int reason = PIPIT_TLS_FAILURE_NONE + 1; reason < PIPIT_TLS_FAILURE_COUNT; reason++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_label(
		    &page->text, "reason", pipit_counters_tls_failure_name((enum pipit_counters_tls_failure)reason));
		pipit_exposition_end_sample(&page->text, totals[reason]);
	}
}

/* Certificates may have the same name, as an RSA and an ECDSA one have, and a series appears once: the earliest counts. */
static bool is_earliest(const struct page *page, size_t index)
{
	const struct pipit_prometheus_certificate *all = page->input->certificates;
	for (size_t i = 0; i < page->input->certificate_count; i++) {
		if (strcmp(all[i].name, all[index].name) == 0 &&
		    (all[i].expires < all[index].expires || (all[i].expires == all[index].expires && i < index)))
			return false;
	}
	return true;
}

static void put_certificates(struct page *page)
{
	if (page->input->certificate_count == 0)
		return;
	pipit_exposition_start_family(&page->text, "pipit_tls_certificate_expiry_timestamp_seconds",
	    PIPIT_EXPOSITION_GAUGE, "End of the validity of a certificate since unix epoch in seconds.");
	for (size_t i = 0; i < page->input->certificate_count; i++) {
		const struct pipit_prometheus_certificate *certificate = &page->input->certificates[i];
		if (!is_earliest(page, i))
			continue;
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_label(&page->text, "name", certificate->name);
		pipit_exposition_end_sample(&page->text, (uint64_t)certificate->expires);
	}
}

static void put_authentications(struct page *page)
{
	uint64_t totals[PIPIT_AUTHENTICATION_OUTCOMES] = { 0 };
	for (size_t i = 0; i < page->input->worker_count; i++)
		sum_cells(page->input->workers[i]->authentications, PIPIT_AUTHENTICATION_OUTCOMES, totals);
	pipit_exposition_start_family(
	    &page->text, "http_authentications", PIPIT_EXPOSITION_COUNTER, "Requests for protected paths by outcome.");
	for (size_t i = 0; i < PIPIT_AUTHENTICATION_OUTCOMES; i++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_label(
		    &page->text, "outcome", pipit_counters_authentication_name((enum pipit_counters_authentication)i));
		pipit_exposition_end_sample(&page->text, totals[i]);
	}
}

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
	pipit_exposition_start_family(&page->text, name, PIPIT_EXPOSITION_GAUGE, help);
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		for (size_t i = 0; i < COUNT_OF(event_kinds); i++) {
			pipit_exposition_start_sample(&page->text);
			pipit_exposition_number_label(&page->text, "worker", worker);
			pipit_exposition_label(&page->text, "kind", event_kinds[i]);
			pipit_exposition_end_sample(
			    &page->text, read_cell(&page->input->workers[worker]->loop[first_cell + i]));
		}
	}
}

static void put_lags(struct page *page, const char *name, size_t cell, const char *help)
{
	pipit_exposition_start_family(&page->text, name, PIPIT_EXPOSITION_GAUGE, help);
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_number_label(&page->text, "worker", worker);
		pipit_exposition_end_sample_seconds(&page->text, read_cell(&page->input->workers[worker]->loop[cell]));
	}
}

static void put_base_info(struct page *page)
{
	pipit_exposition_start_family(
	    &page->text, "event_base", PIPIT_EXPOSITION_INFO, "Backend of the worker's event_base.");
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_number_label(&page->text, "worker", worker);
		pipit_exposition_label(&page->text, "method", page->input->workers[worker]->method);
		pipit_exposition_label(&page->text, "features", page->input->workers[worker]->features);
		pipit_exposition_end_sample(&page->text, 1);
	}
}

/* An ended thread has no clock, and no sample. */
static void put_busy_times(struct page *page)
{
	pipit_exposition_start_family(
	    &page->text, "event_loop_busy_seconds", PIPIT_EXPOSITION_COUNTER, "CPU time of the worker's thread.");
	for (size_t worker = 0; worker < page->input->worker_count; worker++) {
		uint64_t busy;
		if (!read_clock(
			atomic_load_explicit(&page->input->workers[worker]->clock, memory_order_relaxed), &busy))
			continue;
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_number_label(&page->text, "worker", worker);
		pipit_exposition_end_sample_seconds(&page->text, busy);
	}
}

static void put_loops(struct page *page)
{
	put_events(page, "event_base_events", LOOP_EVENTS, "Events that the worker's event_base holds.");
	put_events(page, "event_base_events_max", LOOP_EVENTS_MAX, "Most events that it held at a time.");
	put_base_info(page);
	put_lags(page, "event_loop_lag_seconds", LOOP_LAG, "Delay of the last timer of the loop.");
	put_lags(page, "event_loop_lag_max_seconds", LOOP_LAG_MAX, "Longest lag in about the last minute.");
	put_busy_times(page);
}

static void put_process(struct page *page)
{
	struct pipit_process process;
	uint64_t value;

	pipit_process_read(&process);
	if (read_clock(CLOCK_PROCESS_CPUTIME_ID, &value)) {
		pipit_exposition_start_family(&page->text, "process_cpu_seconds", PIPIT_EXPOSITION_COUNTER,
		    "Total user and system CPU time spent in seconds.");
		pipit_exposition_start_sample(&page->text);
		pipit_exposition_end_sample_seconds(&page->text, value);
	}
	if (process.has_descriptors)
		pipit_exposition_single(&page->text, "process_open_fds", PIPIT_EXPOSITION_GAUGE,
		    "Number of open file descriptors.", process.open_descriptors);
	if (process.has_limit)
		pipit_exposition_single(&page->text, "process_max_fds", PIPIT_EXPOSITION_GAUGE,
		    "Maximum number of open file descriptors.", process.max_descriptors);
	if (process.has_memory) {
		pipit_exposition_single(&page->text, "process_virtual_memory_bytes", PIPIT_EXPOSITION_GAUGE,
		    "Virtual memory size in bytes.", process.virtual_bytes);
		pipit_exposition_single(&page->text, "process_resident_memory_bytes", PIPIT_EXPOSITION_GAUGE,
		    "Resident memory size in bytes.", process.resident_bytes);
		pipit_exposition_single(&page->text, "process_threads", PIPIT_EXPOSITION_GAUGE,
		    "Number of OS threads in the process.", process.threads);
	}
	pipit_exposition_single(&page->text, "process_start_time_seconds", PIPIT_EXPOSITION_GAUGE,
	    "Start time of the process since unix epoch in seconds.", (uint64_t)page->input->started);
}

static void put_build(struct page *page)
{
	pipit_exposition_single(&page->text, "pipit_buffered_bytes", PIPIT_EXPOSITION_GAUGE,
	    "Bytes buffered for all connections; bounded by memory-limit.", page->input->buffered_bytes);
	pipit_exposition_single(&page->text, "pipit_access_log_dropped_lines", PIPIT_EXPOSITION_COUNTER,
	    "Access log lines that could not be written.", page->input->log_dropped);
	pipit_exposition_single(&page->text, "pipit_log_dropped_messages", PIPIT_EXPOSITION_COUNTER,
	    "Messages that standard error did not take at once.", page->input->messages_dropped);
	pipit_exposition_start_family(
	    &page->text, "pipit_build", PIPIT_EXPOSITION_INFO, "Versions of pipit and libevent.");
	pipit_exposition_start_sample(&page->text);
	pipit_exposition_label(&page->text, "version", page->input->version);
	pipit_exposition_label(&page->text, "libevent", page->input->libevent_version);
	pipit_exposition_end_sample(&page->text, 1);
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
	put_tls_failures(page);
	put_certificates(page);
	put_authentications(page);
	put_loops(page);
	put_process(page);
	put_build(page);
	pipit_exposition_end(&page->text);
}

char *pipit_prometheus_render(const struct pipit_prometheus *input, size_t *length)
{
	struct page page = { .input = input, .text.openmetrics = input->openmetrics };
	for (size_t i = 0; i < input->worker_count; i++)
		assert(input->workers[i]->routes <= input->route_count);
	page.first_routes = pipit_counters_find_first_routes(input->routes, input->route_count);
	if (page.first_routes)
		put_all(&page);
	else
		page.text.is_out_of_memory = true;
	free(page.first_routes);
	if (page.text.is_out_of_memory) {
		free(page.text.data);
		return NULL;
	}
	*length = page.text.length;
	return page.text.data;
}
