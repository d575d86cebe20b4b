/* SPDX-License-Identifier: MIT */
#include "metrics/dashboard_data.h"

#include "metrics/counter_cells.h"
#include "metrics/process.h"
#include "pipit.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_SHOWN 50 /* with the most requests */
#define CLASSES 4       /* 2xx to 5xx */
#define ERROR_CLASS 2
#define BUCKETS (DURATION_CELLS - 1) /* the last is above all bounds */

enum { P50, P90, P99, PERCENTILES };
static const double quantiles[PERCENTILES] = { 0.5, 0.9, 0.99 };

struct route_totals {
	uint64_t errors;
	uint64_t buckets[BUCKETS];
};

struct worker_totals {
	uint64_t busy_ns;
};

struct totals {
	uint64_t at_ns;
	uint64_t classes[CLASSES];
	uint64_t counters[PIPIT_COUNTER_COUNT];
	struct route_totals *routes;
	struct worker_totals *workers;
};

/* NAN: not measured */
struct row {
	time_t at;
	float rps, percentiles[PERCENTILES], classes[CLASSES], connections, lag, busy, resident, received, sent;
};

struct pipit_dashboard_data {
	size_t route_count, worker_count;
	uint32_t *first_routes; /* owned; NULL before the first sample */
	struct totals before, now;
	double seconds; /* from `before` to `now`; 0: fewer than two samples */
	size_t samples;
	struct row rows[PIPIT_DASHBOARD_DATA_ROWS]; /* n is at n modulo its size */
};

/* --- taking a sample ------------------------------------------------------------------------------------------------- */

static bool make_totals(struct totals *totals, size_t route_count, size_t worker_count)
{
	totals->routes = calloc(route_count + 1, sizeof *totals->routes);
	totals->workers = calloc(worker_count + 1, sizeof *totals->workers);
	return totals->routes && totals->workers;
}

struct pipit_dashboard_data *pipit_dashboard_data_new(size_t route_count, size_t worker_count)
{
	struct pipit_dashboard_data *data = calloc(1, sizeof *data);
	if (!data)
		return NULL;
	data->route_count = route_count;
	data->worker_count = worker_count;
	if (make_totals(&data->before, route_count, worker_count) && make_totals(&data->now, route_count, worker_count))
		return data;
	pipit_dashboard_data_free(data);
	return NULL;
}

void pipit_dashboard_data_free(struct pipit_dashboard_data *data)
{
	if (!data)
		return;
	free(data->first_routes);
	free(data->before.routes);
	free(data->before.workers);
	free(data->now.routes);
	free(data->now.workers);
	free(data);
}

static void add_series(struct pipit_dashboard_data *data, const struct pipit_counters *counters)
{
	struct totals *totals = &data->now;
	for (size_t i = 0; i < counters->series_capacity; i++) {
		uint32_t key = atomic_load_explicit(&counters->series[i].key, memory_order_acquire);
		unsigned class = (key & STATUS_MASK) / 100;
		uint64_t count;
		if (!key || class < 2 || class > 5)
			continue;
		count = read_cell(&counters->series[i].count);
		totals->classes[class - 2] += count;
		if (class - 2 >= ERROR_CLASS)
			totals->routes[data->first_routes[key >> ROUTE_SHIFT]].errors += count;
	}
}

static void add_worker(struct pipit_dashboard_data *data, size_t number, const struct pipit_counters *counters)
{
	struct totals *totals = &data->now;
	struct timespec busy = { 0 };

	add_series(data, counters);
	for (size_t i = 0; i < data->route_count; i++) {
		uint64_t *buckets = totals->routes[data->first_routes[i]].buckets;
		for (size_t j = 0; j < BUCKETS; j++)
			buckets[j] += read_cell(&counters->durations[i * DURATION_CELLS + 1 + j]);
	}
	for (size_t i = 0; i < PIPIT_COUNTER_COUNT; i++)
		totals->counters[i] += read_cell(&counters->counters[i]);
	clock_gettime(atomic_load_explicit(&counters->clock, memory_order_relaxed), &busy);
	totals->workers[number].busy_ns = (uint64_t)busy.tv_sec * 1000000000u + (uint64_t)busy.tv_nsec;
}

static void clear_totals(const struct pipit_dashboard_data *data, struct totals *totals)
{
	struct totals kept = { .routes = totals->routes, .workers = totals->workers };
	memset(kept.routes, 0, data->route_count * sizeof *kept.routes);
	memset(kept.workers, 0, data->worker_count * sizeof *kept.workers);
	*totals = kept;
}

/* --- rates of the last second ---------------------------------------------------------------------------------------- */

static double rate(const struct pipit_dashboard_data *data, uint64_t now, uint64_t before)
{
	/* Cells are read one by one: a sum may decrease. */
	return data->seconds > 0 && now > before ? (double)(now - before) / data->seconds : 0;
}

static double counter_rate(const struct pipit_dashboard_data *data, enum pipit_counter counter)
{
	return rate(data, data->now.counters[counter], data->before.counters[counter]);
}

/* In the last second. route: SIZE_MAX: all. */
static uint64_t count_buckets(const struct pipit_dashboard_data *data, size_t route, uint64_t buckets[BUCKETS])
{
	size_t first = route == SIZE_MAX ? 0 : route, end = route == SIZE_MAX ? data->route_count : route + 1;
	uint64_t count = 0;

	memset(buckets, 0, BUCKETS * sizeof *buckets);
	for (size_t i = first; i < end; i++) {
		for (size_t j = 0; j < BUCKETS; j++)
			buckets[j] += data->now.routes[i].buckets[j] - data->before.routes[i].buckets[j];
	}
	for (size_t j = 0; j < BUCKETS; j++)
		count += buckets[j];
	return count;
}

/* Like Prometheus' histogram_quantile(). NAN: no requests. */
static double percentile(const uint64_t buckets[BUCKETS], uint64_t count, double quantile)
{
	double wanted = quantile * (double)count, below = 0;

	if (count == 0)
		return NAN;
	for (size_t i = 0; i < BUCKETS - 1; i++) {
		double lower = i ? (double)duration_buckets[i - 1].bound : 0, upper = (double)duration_buckets[i].bound;
		if (buckets[i] && below + (double)buckets[i] >= wanted)
			return (lower + (upper - lower) * (wanted - below) / (double)buckets[i]) / 1e9;
		below += (double)buckets[i];
	}
	return (double)duration_buckets[BUCKETS - 2].bound / 1e9;
}

static double busy_share(const struct pipit_dashboard_data *data, size_t worker)
{
	return rate(data, data->now.workers[worker].busy_ns, data->before.workers[worker].busy_ns) / 1e9;
}

static uint64_t count_connections(const struct pipit_dashboard_data_input *input, size_t state)
{
	uint64_t count = 0;
	for (size_t i = 0; i < input->page.worker_count; i++)
		count += read_cell(&input->page.workers[i]->connections[state]);
	return count;
}

static struct row make_row(
    const struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input, time_t now)
{
	struct row row = { .at = now };
	struct pipit_process process;
	uint64_t buckets[BUCKETS], count = count_buckets(data, SIZE_MAX, buckets);

	pipit_process_read(&process);
	row.rps = (float)rate(data, count, 0);
	for (int i = 0; i < PERCENTILES; i++)
		row.percentiles[i] = (float)percentile(buckets, count, quantiles[i]);
	for (int i = 0; i < CLASSES; i++)
		row.classes[i] = (float)rate(data, data->now.classes[i], data->before.classes[i]);
	for (size_t i = 0; i < PIPIT_STATE_COUNT; i++)
		row.connections += (float)count_connections(input, i);
	for (size_t i = 0; i < data->worker_count; i++) {
		float lag = (float)read_cell(&input->page.workers[i]->loop[LOOP_LAG]) / 1e9f;
		row.lag = lag > row.lag ? lag : row.lag;
		row.busy += (float)busy_share(data, i) / (float)data->worker_count;
	}
	row.resident = process.has_memory ? (float)process.resident_bytes : NAN;
	row.received = (float)counter_rate(data, PIPIT_COUNT_RECEIVED);
	row.sent = (float)counter_rate(data, PIPIT_COUNT_SENT);
	return row;
}

void pipit_dashboard_data_sample(
    struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input, uint64_t now_ns, time_t now)
{
	struct totals before = data->before;

	if (!data->first_routes)
		data->first_routes = pipit_counters_find_first_routes(input->page.routes, data->route_count);
	if (!data->first_routes)
		return;
	data->before = data->now;
	data->now = before;
	clear_totals(data, &data->now);
	data->now.at_ns = now_ns;
	for (size_t i = 0; i < data->worker_count; i++)
		add_worker(data, i, input->page.workers[i]);
	data->seconds = data->samples ? (double)(now_ns - data->before.at_ns) / 1e9 : 0;
	if (data->samples++ > 0)
		data->rows[(data->samples - 2) % PIPIT_DASHBOARD_DATA_ROWS] = make_row(data, input, now);
}

/* --- as JSON --------------------------------------------------------------------------------------------------------- */

struct output {
	cJSON *document;
	bool is_out_of_memory;
};

static cJSON *put(struct output *output, cJSON *parent, const char *name, cJSON *item)
{
	if (!item || !parent ||
	    !(name ? cJSON_AddItemToObject(parent, name, item) : cJSON_AddItemToArray(parent, item))) {
		output->is_out_of_memory = true;
		cJSON_Delete(item);
		return NULL;
	}
	return item;
}

/* To four digits: a chart shows fewer. */
static double shorten(double value)
{
	double scale = 1;
	while (value > 0 && value * scale < 1000 && scale < 1e12)
		scale *= 10;
	return (double)(uint64_t)(value * scale + 0.5) / scale;
}

static void put_number(struct output *output, cJSON *parent, const char *name, double value)
{
	put(output, parent, name, isnan(value) ? cJSON_CreateNull() : cJSON_CreateNumber(shorten(value)));
}

static void put_text(struct output *output, cJSON *parent, const char *name, const char *text)
{
	put(output, parent, name, cJSON_CreateString(text));
}

/* Patterns may have any bytes: Latin-1 when not UTF-8. */
static void put_route_name(struct output *output, cJSON *route, const char *text)
{
	size_t length = strlen(text);
	char *converted, *at;

	if (pipit_is_utf8(text, length)) {
		put_text(output, route, "route", text);
		return;
	}
	converted = at = malloc(2 * length + 1);
	if (!converted) {
		output->is_out_of_memory = true;
		return;
	}
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte >= 0x80)
			*at++ = (char)(0xc0 | byte >> 6);
		*at++ = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
	}
	*at = '\0';
	put_text(output, route, "route", converted);
	free(converted);
}

static char *finish(struct output *output)
{
	struct pipit_printer text = pipit_printer_in(NULL, 0);
	char *copy = NULL;

	if (!output->is_out_of_memory && pipit_printer_print(&text, output->document) == 0)
		copy = strndup(text.bytes, text.length);
	pipit_printer_clear(&text);
	cJSON_Delete(output->document);
	return copy;
}

static void put_connections(struct output *output, const struct pipit_dashboard_data_input *input)
{
	cJSON *connections = put(output, output->document, "connections", cJSON_CreateObject());
	for (size_t i = 0; i < PIPIT_STATE_COUNT; i++)
		put_number(output, connections, pipit_counters_state_name((enum pipit_counters_state)i),
		    (double)count_connections(input, i));
}

static void put_refusals(struct output *output, const struct pipit_dashboard_data_input *input)
{
	cJSON *rejected = put(output, output->document, "rejected", cJSON_CreateObject());
	cJSON *timeouts = put(output, output->document, "timeouts", cJSON_CreateObject());

	for (int reason = PIPIT_REFUSAL_NONE + 1; reason < PIPIT_REFUSAL_COUNT; reason++) {
		uint64_t count = 0;
		for (size_t i = 0; i < input->page.worker_count; i++)
			count += read_cell(&input->page.workers[i]->rejected[reason]);
		if (count)
			put_number(
			    output, rejected, pipit_refusal_entry((enum pipit_refusal)reason)->label, (double)count);
	}
	for (size_t phase = 0; phase < PIPIT_PHASE_COUNT; phase++) {
		uint64_t count = 0;
		for (size_t i = 0; i < input->page.worker_count; i++)
			count += read_cell(&input->page.workers[i]->timeouts[phase]);
		if (count)
			put_number(output, timeouts, pipit_counters_phase_name((enum pipit_counters_phase)phase),
			    (double)count);
	}
}

static void put_events(struct output *output, cJSON *worker, const char *name, const _Atomic uint64_t *cells)
{
	static const char *const kinds[] = { "added", "active", "virtual" };
	cJSON *events = put(output, worker, name, cJSON_CreateObject());
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		put_number(output, events, kinds[i], (double)read_cell(&cells[i]));
}

static void put_workers(
    struct output *output, const struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input)
{
	cJSON *workers = put(output, output->document, "workers", cJSON_CreateArray());
	for (size_t i = 0; i < data->worker_count; i++) {
		const struct pipit_counters *counters = input->page.workers[i];
		cJSON *worker = put(output, workers, NULL, cJSON_CreateObject());
		put_number(output, worker, "lag", (double)read_cell(&counters->loop[LOOP_LAG]) / 1e9);
		put_number(output, worker, "lag_max", (double)read_cell(&counters->loop[LOOP_LAG_MAX]) / 1e9);
		put_number(output, worker, "busy", busy_share(data, i));
		put_text(output, worker, "method", counters->method);
		put_events(output, worker, "events", &counters->loop[LOOP_EVENTS]);
		put_events(output, worker, "events_max", &counters->loop[LOOP_EVENTS_MAX]);
	}
}

static void put_process(struct output *output, const struct pipit_dashboard_data_input *input)
{
	cJSON *memory = put(output, output->document, "memory", cJSON_CreateObject());
	cJSON *descriptors = put(output, output->document, "descriptors", cJSON_CreateObject());
	struct pipit_process process;

	pipit_process_read(&process);
	put_number(output, memory, "resident", process.has_memory ? (double)process.resident_bytes : NAN);
	put_number(output, memory, "buffered", (double)input->page.buffered_bytes);
	put_number(output, memory, "limit", (double)input->memory_limit);
	put_number(output, descriptors, "open", process.has_descriptors ? (double)process.open_descriptors : NAN);
	put_number(output, descriptors, "limit", process.has_limit ? (double)process.max_descriptors : NAN);
}

/* --- the table of routes --------------------------------------------------------------------------------------------- */

struct shown {
	size_t route;
	uint64_t requests;
};

static uint64_t count_requests(const struct route_totals *totals)
{
	uint64_t count = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		count += totals->buckets[i];
	return count;
}

static int compare_shown(const void *one, const void *other)
{
	uint64_t left = ((const struct shown *)one)->requests, right = ((const struct shown *)other)->requests;
	return left < right ? 1 : left > right ? -1 : 0;
}

static void put_route(struct output *output, cJSON *routes, const struct pipit_dashboard_data *data,
    const struct pipit_dashboard_data_input *input, const struct shown *shown)
{
	cJSON *route = put(output, routes, NULL, cJSON_CreateObject());
	uint64_t buckets[BUCKETS], count = count_buckets(data, shown->route, buckets);

	put_route_name(output, route, input->page.routes[shown->route]);
	put_number(output, route, "requests", (double)shown->requests);
	put_number(output, route, "rate", rate(data, count, 0));
	put_number(output, route, "errors",
	    rate(data, data->now.routes[shown->route].errors, data->before.routes[shown->route].errors));
	put_number(output, route, "p50", percentile(buckets, count, quantiles[P50]));
	put_number(output, route, "p99", percentile(buckets, count, quantiles[P99]));
}

static void put_routes(
    struct output *output, const struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input)
{
	cJSON *routes = put(output, output->document, "routes", cJSON_CreateArray());
	struct shown *shown = malloc((data->route_count + 1) * sizeof *shown);
	size_t count = 0;

	if (!shown) {
		output->is_out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < data->route_count; i++) {
		uint64_t requests = count_requests(&data->now.routes[i]);
		if (requests)
			shown[count++] = (struct shown){ i, requests };
	}
	qsort(shown, count, sizeof *shown, compare_shown);
	for (size_t i = 0; i < count && i < ROUTES_SHOWN; i++)
		put_route(output, routes, data, input, &shown[i]);
	free(shown);
}

static const char *const class_names[CLASSES] = { "2xx", "3xx", "4xx", "5xx" };

char *pipit_dashboard_data_render(
    const struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input)
{
	struct output output = { cJSON_CreateObject(), false };
	cJSON *document = output.document, *codes;
	const struct row *row = &data->rows[(data->samples - 2) % PIPIT_DASHBOARD_DATA_ROWS];

	if (data->samples < 2) {
		cJSON_Delete(document);
		return NULL;
	}
	put_number(&output, document, "t", (double)row->at);
	put_text(&output, document, "version", input->page.version);
	put_number(&output, document, "uptime", (double)(row->at - input->page.started));
	put_number(&output, document, "rps", row->rps);
	put_number(&output, document, "p50", row->percentiles[P50]);
	put_number(&output, document, "p90", row->percentiles[P90]);
	put_number(&output, document, "p99", row->percentiles[P99]);
	codes = put(&output, document, "codes", cJSON_CreateObject());
	for (int i = 0; i < CLASSES; i++)
		put_number(&output, codes, class_names[i], row->classes[i]);
	put_connections(&output, input);
	put_number(&output, document, "max_connections", (double)input->max_connections);
	put_number(&output, document, "accepted", counter_rate(data, PIPIT_COUNT_ACCEPTED));
	put_number(&output, document, "evicted", counter_rate(data, PIPIT_COUNT_EVICTED));
	put_number(&output, document, "aborted", counter_rate(data, PIPIT_COUNT_ABORTED));
	put_refusals(&output, input);
	put_workers(&output, data, input);
	put_process(&output, input);
	put_number(&output, document, "received", row->received);
	put_number(&output, document, "sent", row->sent);
	put_routes(&output, data, input);
	return finish(&output);
}

/* --- the history ----------------------------------------------------------------------------------------------------- */

static void put_row(struct output *output, cJSON *rows, const struct row *row)
{
	cJSON *cells = put(output, rows, NULL, cJSON_CreateArray());

	put_number(output, cells, NULL, (double)row->at);
	put_number(output, cells, NULL, row->rps);
	for (int i = 0; i < PERCENTILES; i++)
		put_number(output, cells, NULL, row->percentiles[i]);
	for (int i = 0; i < CLASSES; i++)
		put_number(output, cells, NULL, row->classes[i]);
	put_number(output, cells, NULL, row->connections);
	put_number(output, cells, NULL, row->lag);
	put_number(output, cells, NULL, row->busy);
	put_number(output, cells, NULL, row->resident);
	put_number(output, cells, NULL, row->received);
	put_number(output, cells, NULL, row->sent);
}

char *pipit_dashboard_data_render_history(const struct pipit_dashboard_data *data)
{
	static const char *const names[] = { "t", "rps", "p50", "p90", "p99", "2xx", "3xx", "4xx", "5xx", "connections",
		"lag", "busy", "resident", "received", "sent" };
	struct output output = { cJSON_CreateObject(), false };
	cJSON *fields = put(&output, output.document, "fields", cJSON_CreateStringArray(names, COUNT_OF(names)));
	cJSON *rows = fields ? put(&output, output.document, "rows", cJSON_CreateArray()) : NULL;
	size_t count = data->samples ? data->samples - 1 : 0;
	size_t first = count > PIPIT_DASHBOARD_DATA_ROWS ? count - PIPIT_DASHBOARD_DATA_ROWS : 0;

	for (size_t i = first; i < count && !output.is_out_of_memory; i++)
		put_row(&output, rows, &data->rows[i % PIPIT_DASHBOARD_DATA_ROWS]);
	return finish(&output);
}
