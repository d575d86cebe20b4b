/* SPDX-License-Identifier: MIT */
/* Rates, percentiles, the order of routes, and valid JSON. */
#include "metrics/dashboard_data.h"

#include "pipit.h"
#include "suite.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000u
#define WORKERS 2
#define MICROSECOND_NS 1000u
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { ROUTE_HELLO, ROUTE_ODD, ROUTE_THINGS_GET, ROUTE_THINGS_PUT, ROUTE_NONE, ROUTE_COUNT };

static const char *const routes[ROUTE_COUNT] = { "/hello", "/\"odd\\\xe9", "/things/{id}", "/things/{id}", "none" };

static struct pipit_counters *workers[WORKERS];
static struct pipit_dashboard_data *data;
static struct pipit_dashboard_data_input input;
static uint64_t now_ns;
static time_t now;

static void make_data(const char *const *names, size_t count)
{
	for (size_t i = 0; i < WORKERS; i++)
		ck_assert_ptr_nonnull(
		    workers[i] = pipit_counters_new(count, "epoll", "et,o1", CLOCK_PROCESS_CPUTIME_ID));
	now_ns = 77 * (uint64_t)SECOND_NS;
	now = 1764140000;
	input = (struct pipit_dashboard_data_input){
		.page = {
			.workers = (const struct pipit_counters *const *)workers,
			.worker_count = WORKERS,
			.routes = names,
			.route_count = count,
			.version = "1.2.3",
			.started = now,
			.buffered_bytes = 4711,
		},
		.max_connections = 10000,
		.memory_limit = 67108864,
	};
	data = pipit_dashboard_data_new(count, WORKERS);
	ck_assert_ptr_nonnull(data);
	pipit_dashboard_data_sample(data, &input, now_ns, now);
}

static void set_up(void)
{
	make_data(routes, ROUTE_COUNT);
}

static void tear_down(void)
{
	pipit_dashboard_data_free(data);
	for (size_t i = 0; i < WORKERS; i++)
		pipit_counters_free(workers[i]);
}

static void request(size_t worker, size_t route, int status, uint64_t duration_ns)
{
	pipit_counters_request(workers[worker], route, PIPIT_GET, status, duration_ns, 0, 100);
}

static void sample_after(uint64_t nanoseconds)
{
	now_ns += nanoseconds;
	pipit_dashboard_data_sample(data, &input, now_ns, ++now);
}

static void sample(void)
{
	sample_after(SECOND_NS);
}

static cJSON *parse(char *text)
{
	cJSON *doc = cJSON_Parse(text);
	ck_assert_msg(doc != NULL, "no JSON: %s", text);
	ck_assert_ptr_null(strpbrk(text, "\r\n"));
	free(text);
	return doc;
}

static cJSON *data_now(void)
{
	char *text = pipit_dashboard_data_render(data, &input);
	ck_assert_ptr_nonnull(text);
	return parse(text);
}

static cJSON *history_now(void)
{
	char *text = pipit_dashboard_data_render_history(data);
	ck_assert_ptr_nonnull(text);
	return parse(text);
}

/* "a.b.0.c" */
static const cJSON *member(const cJSON *doc, const char *path)
{
	char names[128], *rest = names, *name;
	snprintf(names, sizeof names, "%s", path);
	while (doc && (name = strsep(&rest, ".")))
		doc = cJSON_IsArray(doc) ? cJSON_GetArrayItem(doc, atoi(name))
					 : cJSON_GetObjectItemCaseSensitive(doc, name);
	ck_assert_msg(doc != NULL, "there is no %s", path);
	return doc;
}

static double number(const cJSON *doc, const char *path)
{
	const cJSON *found = member(doc, path);
	ck_assert_msg(cJSON_IsNumber(found), "%s is no number", path);
	return found->valuedouble;
}

static void expect(const cJSON *doc, const char *path, double expected)
{
	double found = number(doc, path);
	ck_assert_msg(fabs(found - expected) <= 1e-7 + expected * 1e-6, "%s: %.9g, not %.9g", path, found, expected);
}

static void expect_null(const cJSON *doc, const char *path)
{
	ck_assert_msg(cJSON_IsNull(member(doc, path)), "%s is not null", path);
}

static void expect_text(const cJSON *doc, const char *path, const char *expected)
{
	ck_assert_str_eq(cJSON_GetStringValue(member(doc, path)), expected);
}

/* ---------------------------------------------------------------- rates */

START_TEST(has_null_percentiles_without_requests)
{
	cJSON *doc;
	sample();
	doc = data_now();
	expect(doc, "t", 1764140001);
	expect(doc, "uptime", 1);
	expect_text(doc, "version", "1.2.3");
	expect(doc, "rps", 0);
	expect_null(doc, "p50");
	expect_null(doc, "p90");
	expect_null(doc, "p99");
	expect(doc, "codes.2xx", 0);
	expect(doc, "max_connections", 10000);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "routes")), 0);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "rejected")), 0);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "timeouts")), 0);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(leaves_out_counts_before_the_first_sample)
{
	cJSON *doc;
	for (int i = 0; i < 7; i++)
		request(0, ROUTE_HELLO, 200, 1000);
	sample();
	request(0, ROUTE_HELLO, 200, 1000);
	request(1, ROUTE_HELLO, 204, 1000);
	request(1, ROUTE_HELLO, 304, 1000);
	request(1, ROUTE_NONE, 404, 1000);
	request(1, ROUTE_NONE, 500, 1000);
	pipit_counters_add(workers[0], PIPIT_COUNT_ACCEPTED, 3);
	pipit_counters_add(workers[1], PIPIT_COUNT_EVICTED, 1);
	pipit_counters_add(workers[1], PIPIT_COUNT_ABORTED, 2);
	pipit_counters_add(workers[1], PIPIT_COUNT_RECEIVED, 1200);
	pipit_counters_add(workers[0], PIPIT_COUNT_SENT, 34000);
	sample();
	doc = data_now();
	expect(doc, "rps", 5);
	expect(doc, "codes.2xx", 2);
	expect(doc, "codes.3xx", 1);
	expect(doc, "codes.4xx", 1);
	expect(doc, "codes.5xx", 1);
	expect(doc, "accepted", 3);
	expect(doc, "evicted", 1);
	expect(doc, "aborted", 2);
	expect(doc, "received", 1200);
	expect(doc, "sent", 34000);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(computes_rates_per_second_for_any_interval)
{
	cJSON *doc;
	for (int i = 0; i < 10; i++)
		request(0, ROUTE_HELLO, 200, 1000);
	sample_after(4 * (uint64_t)SECOND_NS);
	doc = data_now();
	expect(doc, "rps", 2.5);
	expect(doc, "codes.2xx", 2.5);
	expect(doc, "routes.0.rate", 2.5);
	expect(doc, "routes.0.requests", 10);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(shows_the_current_gauges)
{
	struct pipit_counters_loop loop = { 9, 1, 2, 20, 4, 3, 100000, 2000000 };
	cJSON *doc;
	pipit_counters_move(workers[0], PIPIT_STATE_COUNT, PIPIT_STATE_IDLE);
	pipit_counters_move(workers[1], PIPIT_STATE_COUNT, PIPIT_STATE_STREAMING);
	pipit_counters_move(workers[1], PIPIT_STATE_COUNT, PIPIT_STATE_STREAMING);
	pipit_counters_set_loop(workers[1], &loop);
	pipit_counters_reject(workers[0], PIPIT_REFUSAL_HOST);
	pipit_counters_reject(workers[1], PIPIT_REFUSAL_HOST);
	pipit_counters_timeout(workers[1], PIPIT_PHASE_HEAD);
	sample();
	sample();
	doc = data_now();
	expect(doc, "connections.idle", 1);
	expect(doc, "connections.reading", 0);
	expect(doc, "connections.handling", 0);
	expect(doc, "connections.writing", 0);
	expect(doc, "connections.streaming", 2);
	expect(doc, "connections.closing", 0);
	expect(doc, "rejected.host", 2);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "rejected")), 1);
	expect(doc, "timeouts.head", 1);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "timeouts")), 1);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "workers")), WORKERS);
	expect(doc, "workers.1.lag", 0.0001);
	expect(doc, "workers.1.lag_max", 0.002);
	expect_text(doc, "workers.1.method", "epoll");
	expect(doc, "workers.1.events.added", 9);
	expect(doc, "workers.1.events.active", 1);
	expect(doc, "workers.1.events.virtual", 2);
	expect(doc, "workers.1.events_max.added", 20);
	expect(doc, "workers.1.events_max.virtual", 3);
	ck_assert_double_ge(number(doc, "workers.0.busy"), 0);
	ck_assert_double_le(number(doc, "workers.0.busy"), 1);
	ck_assert_double_gt(number(doc, "memory.resident"), 100000);
	expect(doc, "memory.buffered", 4711);
	expect(doc, "memory.limit", 67108864);
	ck_assert_double_ge(number(doc, "descriptors.open"), 3);
	ck_assert_double_gt(number(doc, "descriptors.limit"), number(doc, "descriptors.open"));
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- percentiles */

/* Of 100 requests, the number up to 50 µs, from 50 to 100 µs, from 1 to 2.5 ms, and above 10 s. */
static const struct {
	int counts[4];
	double p50, p90, p99;
} distributions[] = {
	/* all in the first bucket: 50, 90 and 99 % of 50 µs */
	{ { 100, 0, 0, 0 }, 0.000025, 0.000045, 0.0000495 },
	/* half and half: the 50th is the last of the first bucket, the 90th is 40/50 into the next */
	{ { 50, 50, 0, 0 }, 0.00005, 0.00009, 0.000099 },
	/* with empty buckets between: 40/50 of the way from 1 to 2.5 ms */
	{ { 0, 50, 50, 0 }, 0.0001, 0.0022, 0.00247 },
	/* above all bounds: the greatest bound */
	{ { 60, 0, 0, 40 }, 0.00005 * 50 / 60, 10, 10 },
	{ { 0, 0, 0, 100 }, 10, 10, 10 },
};

START_TEST(computes_percentiles_from_the_histogram)
{
	static const uint64_t durations[] = { 1, 80 * MICROSECOND_NS, 2000 * MICROSECOND_NS, 11 * (uint64_t)SECOND_NS };
	cJSON *doc;
	/* Requests before the first sample do not count. */
	for (int i = 0; i < 1000; i++)
		request(0, ROUTE_HELLO, 200, 300 * MICROSECOND_NS);
	sample();
	for (size_t bucket = 0; bucket < 4; bucket++) {
		for (int i = 0; i < distributions[_i].counts[bucket]; i++)
			request((size_t)i % WORKERS, ROUTE_HELLO, 200, durations[bucket]);
	}
	sample();
	doc = data_now();
	expect(doc, "p50", distributions[_i].p50);
	expect(doc, "p90", distributions[_i].p90);
	expect(doc, "p99", distributions[_i].p99);
	expect(doc, "routes.0.p50", distributions[_i].p50);
	expect(doc, "routes.0.p99", distributions[_i].p99);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- routes */

START_TEST(shows_routes_with_most_requests_first)
{
	cJSON *doc;
	request(0, ROUTE_HELLO, 200, 1000);
	request(0, ROUTE_ODD, 200, 1000);
	request(1, ROUTE_ODD, 200, 1000);
	sample();
	request(1, ROUTE_ODD, 404, 1000);
	request(1, ROUTE_ODD, 500, 1000);
	request(1, ROUTE_ODD, 304, 1000);
	sample();
	doc = data_now();
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "routes")), 2);
	expect_text(doc, "routes.0.route", "/\"odd\\\xc3\xa9");
	expect(doc, "routes.0.requests", 5);
	expect(doc, "routes.0.rate", 3);
	expect(doc, "routes.0.errors", 2);
	expect_text(doc, "routes.1.route", "/hello");
	expect(doc, "routes.1.requests", 1);
	expect(doc, "routes.1.rate", 0);
	expect_null(doc, "routes.1.p50");
	expect_null(doc, "routes.1.p99");
	cJSON_Delete(doc);
}
END_TEST

START_TEST(joins_routes_with_one_pattern)
{
	cJSON *doc;
	request(0, ROUTE_THINGS_GET, 200, 1000);
	request(1, ROUTE_THINGS_PUT, 204, 1000);
	sample();
	doc = data_now();
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "routes")), 1);
	expect_text(doc, "routes.0.route", "/things/{id}");
	expect(doc, "routes.0.requests", 2);
	expect(doc, "routes.0.p50", 0.000025);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(shows_at_most_fifty_routes)
{
	static char texts[80][16];
	static const char *names[80];
	cJSON *doc;
	tear_down();
	for (size_t i = 0; i < 80; i++) {
		snprintf(texts[i], sizeof texts[i], "/%zu", i);
		names[i] = texts[i];
	}
	make_data(names, 80);
	for (size_t i = 0; i < 80; i++) {
		for (size_t j = 0; j <= i; j++)
			request(0, i, 200, 1000);
	}
	sample();
	doc = data_now();
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "routes")), 50);
	expect_text(doc, "routes.0.route", "/79");
	expect_text(doc, "routes.49.route", "/30");
	expect(doc, "rps", 80 * 81 / 2);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- history */

static const char *const fields[] = { "t", "rps", "p50", "p90", "p99", "2xx", "3xx", "4xx", "5xx", "connections", "lag",
	"busy", "resident", "received", "sent" };

START_TEST(writes_rows_in_the_order_of_the_fields)
{
	cJSON *doc;
	request(0, ROUTE_HELLO, 200, 1000);
	request(0, ROUTE_HELLO, 302, 1000);
	request(0, ROUTE_HELLO, 404, 1000);
	request(0, ROUTE_HELLO, 404, 1000);
	request(0, ROUTE_HELLO, 503, 1000);
	pipit_counters_move(workers[1], PIPIT_STATE_COUNT, PIPIT_STATE_READING);
	pipit_counters_set_loop(workers[0], &(struct pipit_counters_loop){ .lag_ns = 3000000 });
	pipit_counters_set_loop(workers[1], &(struct pipit_counters_loop){ .lag_ns = 1000000 });
	pipit_counters_add(workers[1], PIPIT_COUNT_RECEIVED, 1200);
	pipit_counters_add(workers[1], PIPIT_COUNT_SENT, 34000);
	sample();
	sample();
	doc = history_now();
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "fields")), COUNT(fields));
	for (int i = 0; i < (int)COUNT(fields); i++)
		ck_assert_str_eq(cJSON_GetArrayItem(member(doc, "fields"), i)->valuestring, fields[i]);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "rows")), 2);
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "rows.0")), COUNT(fields));
	expect(doc, "rows.0.0", 1764140001);
	expect(doc, "rows.0.1", 5);
	expect(doc, "rows.0.2", 0.000025);
	expect(doc, "rows.0.3", 0.000045);
	expect(doc, "rows.0.4", 0.0000495);
	expect(doc, "rows.0.5", 1);
	expect(doc, "rows.0.6", 1);
	expect(doc, "rows.0.7", 2);
	expect(doc, "rows.0.8", 1);
	expect(doc, "rows.0.9", 1);
	expect(doc, "rows.0.10", 0.003);
	ck_assert_double_le(number(doc, "rows.0.11"), 1);
	ck_assert_double_gt(number(doc, "rows.0.12"), 100000);
	expect(doc, "rows.0.13", 1200);
	expect(doc, "rows.0.14", 34000);
	expect(doc, "rows.1.0", 1764140002);
	expect(doc, "rows.1.1", 0);
	expect_null(doc, "rows.1.2");
	expect_null(doc, "rows.1.3");
	expect_null(doc, "rows.1.4");
	cJSON_Delete(doc);
}
END_TEST

START_TEST(has_no_rows_before_the_first_sample)
{
	cJSON *doc = history_now();
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "rows")), 0);
	cJSON_Delete(doc);
	ck_assert_ptr_null(pipit_dashboard_data_render(data, &input));
}
END_TEST

START_TEST(keeps_the_last_ten_minutes)
{
	cJSON *doc;
	for (int i = 0; i < PIPIT_DASHBOARD_DATA_ROWS + 123; i++)
		sample();
	doc = history_now();
	ck_assert_int_eq(cJSON_GetArraySize(member(doc, "rows")), PIPIT_DASHBOARD_DATA_ROWS);
	expect(doc, "rows.0.0", 1764140000 + 124);
	expect(doc, "rows.599.0", 1764140000 + PIPIT_DASHBOARD_DATA_ROWS + 123);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(accepts_null_in_free)
{
	pipit_dashboard_data_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data");
	TCase *tests = tcase_create("data");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, has_null_percentiles_without_requests);
	tcase_add_test(tests, leaves_out_counts_before_the_first_sample);
	tcase_add_test(tests, computes_rates_per_second_for_any_interval);
	tcase_add_test(tests, shows_the_current_gauges);
	tcase_add_loop_test(tests, computes_percentiles_from_the_histogram, 0, (int)COUNT(distributions));
	tcase_add_test(tests, shows_routes_with_most_requests_first);
	tcase_add_test(tests, joins_routes_with_one_pattern);
	tcase_add_test(tests, shows_at_most_fifty_routes);
	tcase_add_test(tests, writes_rows_in_the_order_of_the_fields);
	tcase_add_test(tests, has_no_rows_before_the_first_sample);
	tcase_add_test(tests, keeps_the_last_ten_minutes);
	tcase_add_test(tests, accepts_null_in_free);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
