/* SPDX-License-Identifier: MIT */
/* Counting, and the metrics page: exact lines, sums over workers, and both formats. */
#include "metrics/counters.h"
#include "metrics/prometheus.h"

#include "pipit.h"
#include "suite.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 2

enum { ROUTE_NONE, ROUTE_HELLO, ROUTE_THINGS_GET, ROUTE_THINGS_PUT, ROUTE_COUNT };

static const char *const routes[] = { "none", "/hello", "/things/{id}", "/things/{id}" };

static struct pipit_counters *workers[WORKERS];

static void set_up(void)
{
	for (size_t i = 0; i < WORKERS; i++) {
		workers[i] = pipit_counters_new(ROUTE_COUNT, "epoll", "et,o1", CLOCK_THREAD_CPUTIME_ID);
		ck_assert_ptr_nonnull(workers[i]);
	}
}

static void tear_down(void)
{
	for (size_t i = 0; i < WORKERS; i++)
		pipit_counters_free(workers[i]);
}

static struct pipit_prometheus page_of_workers(void)
{
	return (struct pipit_prometheus){
		.workers = (const struct pipit_counters *const *)workers,
		.worker_count = WORKERS,
		.routes = routes,
		.route_count = ROUTE_COUNT,
		.version = "1.2.3",
		.libevent_version = "2.1.12-stable",
		.log_dropped = 7,
		.started = 1700000000,
	};
}

/* The page with a NUL; freed by the caller. */
static char *render(const struct pipit_prometheus *input)
{
	size_t length = 0;
	char *bytes = pipit_prometheus_render(input, &length);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_ptr_null(memchr(bytes, '\0', length));
	char *text = strndup(bytes, length);
	free(bytes);
	return text;
}

static char *render_format(bool openmetrics)
{
	struct pipit_prometheus input = page_of_workers();
	input.openmetrics = openmetrics;
	return render(&input);
}

/* The position of a whole line on the page, or NULL. */
static const char *find_line(const char *page, const char *line)
{
	size_t length = strlen(line);
	for (const char *place = page; (place = strstr(place, line)); place++) {
		if ((place == page || place[-1] == '\n') && place[length] == '\n')
			return place;
	}
	return NULL;
}

static void expect_line(const char *page, const char *line)
{
	ck_assert_msg(find_line(page, line), "the page has no line\n%s\nin\n%s", line, page);
}

/* The value of a sample; -1 when the page does not have it. */
static long long value_of(const char *page, const char *series)
{
	size_t length = strlen(series);
	for (const char *place = page; (place = strstr(place, series)); place++) {
		if ((place == page || place[-1] == '\n') && place[length] == ' ')
			return atoll(place + length + 1);
	}
	return -1;
}

static void request(struct pipit_counters *counters, size_t route, unsigned method, int status)
{
	pipit_counters_request(counters, route, method, status, 1000, 80, 200);
}

/* ---------------------------------------------------------------- counting */

START_TEST(has_cache_lines_of_its_own)
{
	ck_assert_uint_eq((uintptr_t)workers[0] % 64, 0);
	ck_assert_uint_eq((uintptr_t)workers[1] % 64, 0);
}
END_TEST

START_TEST(accepts_null_in_free)
{
	pipit_counters_free(NULL);
}
END_TEST

START_TEST(refuses_more_routes_than_it_can_number)
{
	ck_assert_ptr_null(pipit_counters_new(((size_t)1 << 19) + 1, "epoll", "", CLOCK_THREAD_CPUTIME_ID));
}
END_TEST

START_TEST(counts_a_request_under_method_route_and_code)
{
	request(workers[0], ROUTE_HELLO, PIPIT_GET, 200);
	request(workers[0], ROUTE_HELLO, PIPIT_GET, 200);
	request(workers[0], ROUTE_HELLO, PIPIT_HEAD, 200);
	request(workers[0], ROUTE_NONE, 0, 501);
	request(workers[0], ROUTE_NONE, PIPIT_PATCH, 404);
	char *page = render_format(false);
	expect_line(page, "http_requests_total{method=\"GET\",route=\"/hello\",code=\"200\"} 2");
	expect_line(page, "http_requests_total{method=\"HEAD\",route=\"/hello\",code=\"200\"} 1");
	expect_line(page, "http_requests_total{method=\"other\",route=\"none\",code=\"501\"} 1");
	expect_line(page, "http_requests_total{method=\"PATCH\",route=\"none\",code=\"404\"} 1");
	free(page);
}
END_TEST

START_TEST(measures_the_requests_of_a_batch_when_it_ends)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;

	pipit_counters_request_in_batch(workers[0], ROUTE_HELLO, PIPIT_GET, 200, started_ns, 80, 200);
	pipit_counters_request_in_batch(workers[0], ROUTE_HELLO, PIPIT_GET, 200, started_ns - 3600000000000u, 80, 200);
	char *page = render_format(false);
	expect_line(page, "http_requests_total{method=\"GET\",route=\"/hello\",code=\"200\"} 2");
	ck_assert_int_eq(value_of(page, "http_request_duration_seconds_count{route=\"/hello\"}"), -1);
	free(page);

	pipit_counters_end_batch(workers[0]);
	pipit_counters_end_batch(workers[0]);
	page = render_format(false);
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"10\"} 1");
	expect_line(page, "http_request_duration_seconds_count{route=\"/hello\"} 2");
	free(page);
}
END_TEST

START_TEST(labels_every_method)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH" };
	for (size_t i = 0; i < 7; i++)
		request(workers[0], ROUTE_HELLO, 1u << i, 200);
	char *page = render_format(false);
	for (size_t i = 0; i < 7; i++) {
		char line[128];
		snprintf(
		    line, sizeof(line), "http_requests_total{method=\"%s\",route=\"/hello\",code=\"200\"} 1", names[i]);
		expect_line(page, line);
	}
	free(page);
}
END_TEST

START_TEST(sums_over_workers)
{
	request(workers[0], ROUTE_HELLO, PIPIT_GET, 200);
	request(workers[1], ROUTE_HELLO, PIPIT_GET, 200);
	request(workers[1], ROUTE_HELLO, PIPIT_GET, 404);
	pipit_counters_add(workers[0], PIPIT_COUNT_SENT, 1000);
	pipit_counters_add(workers[1], PIPIT_COUNT_SENT, 234);
	pipit_counters_timeout(workers[0], PIPIT_PHASE_BODY);
	pipit_counters_timeout(workers[1], PIPIT_PHASE_BODY);
	pipit_counters_reject(workers[0], PIPIT_REFUSAL_HOST);
	pipit_counters_reject(workers[1], PIPIT_REFUSAL_HOST);
	char *page = render_format(false);
	expect_line(page, "http_requests_total{method=\"GET\",route=\"/hello\",code=\"200\"} 2");
	expect_line(page, "http_requests_total{method=\"GET\",route=\"/hello\",code=\"404\"} 1");
	expect_line(page, "http_request_duration_seconds_count{route=\"/hello\"} 3");
	expect_line(page, "http_request_duration_seconds_sum{route=\"/hello\"} 0.000003000");
	expect_line(page, "http_request_size_bytes_sum 240");
	expect_line(page, "http_response_size_bytes_sum 600");
	expect_line(page, "http_sent_bytes_total 1234");
	expect_line(page, "http_timeouts_total{phase=\"body\"} 2");
	expect_line(page, "http_rejected_total{reason=\"host\"} 2");
	free(page);
}
END_TEST

START_TEST(joins_routes_with_one_label_in_one_series)
{
	request(workers[0], ROUTE_THINGS_GET, PIPIT_GET, 200);
	request(workers[0], ROUTE_THINGS_PUT, PIPIT_PUT, 200);
	request(workers[1], ROUTE_THINGS_GET, PIPIT_GET, 500);
	request(workers[1], ROUTE_THINGS_PUT, PIPIT_GET, 500);
	char *page = render_format(false);
	expect_line(page, "http_requests_total{method=\"GET\",route=\"/things/{id}\",code=\"500\"} 2");
	expect_line(page, "http_requests_total{method=\"PUT\",route=\"/things/{id}\",code=\"200\"} 1");
	expect_line(page, "http_request_duration_seconds_count{route=\"/things/{id}\"} 4");
	free(page);
}
END_TEST

START_TEST(leaves_out_series_without_requests)
{
	request(workers[0], ROUTE_HELLO, PIPIT_GET, 200);
	char *page = render_format(false);
	ck_assert_ptr_null(strstr(page, "none\""));
	ck_assert_ptr_null(strstr(page, "/things"));
	ck_assert_ptr_null(strstr(page, "method=\"other\""));
	free(page);
}
END_TEST

/* One route has room for 768 series (three quarters of 1024); 8 methods with 500 statuses make 4000. */
START_TEST(counts_in_one_reserved_series_when_the_table_is_full)
{
	struct pipit_counters *counters = pipit_counters_new(1, "epoll", "", CLOCK_THREAD_CPUTIME_ID);
	struct pipit_prometheus input = page_of_workers();
	input.workers = (const struct pipit_counters *const *)&counters;
	input.worker_count = 1;
	for (int round = 0; round < 2; round++) {
		for (int status = 100; status <= 599; status++) {
			for (unsigned method = 0; method < 8; method++)
				request(counters, 0, method ? 1u << (method - 1) : 0, status);
		}
	}
	char *page = render(&input);
	expect_line(page, "http_requests_total{method=\"other\",route=\"other\",code=\"0\"} 6464");
	size_t series = 0;
	for (const char *place = page; (place = strstr(place, "http_requests_total{")); place++)
		series++;
	ck_assert_uint_eq(series, 768 + 1);
	expect_line(page, "http_requests_total{method=\"GET\",route=\"none\",code=\"100\"} 2");
	expect_line(page, "http_request_duration_seconds_count{route=\"none\"} 8000");
	free(page);
	pipit_counters_free(counters);
}
END_TEST

/* The table has 16 places for each route. */
START_TEST(has_room_for_a_dozen_series_of_each_of_many_routes)
{
	enum { MANY = 500, STATUSES = 12 };
	static char names[MANY][8];
	static const char *labels[MANY];
	struct pipit_counters *counters = pipit_counters_new(MANY, "epoll", "", CLOCK_THREAD_CPUTIME_ID);
	struct pipit_prometheus input = page_of_workers();
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "/%zu", i);
		labels[i] = names[i];
		for (int status = 0; status < STATUSES; status++)
			request(counters, i, PIPIT_GET, 200 + status);
	}
	input.workers = (const struct pipit_counters *const *)&counters;
	input.worker_count = 1;
	input.routes = labels;
	input.route_count = MANY;
	char *page = render(&input);
	size_t series = 0;
	for (const char *place = page; (place = strstr(place, "http_requests_total{method=\"GET\"")); place++)
		series++;
	ck_assert_uint_eq(series, MANY * STATUSES);
	ck_assert_ptr_null(strstr(page, "route=\"other\""));
	expect_line(page, "http_requests_total{method=\"GET\",route=\"/499\",code=\"211\"} 1");
	free(page);
	pipit_counters_free(counters);
}
END_TEST

/* ---------------------------------------------------------------- histograms */

START_TEST(puts_a_value_equal_to_a_bound_into_its_bucket)
{
	static const uint64_t values[] = { 50000, 50001, 100000, 10000000000, 10000000001 };
	for (size_t i = 0; i < 5; i++)
		pipit_counters_request(workers[i % WORKERS], ROUTE_HELLO, PIPIT_GET, 200, values[i], 0, 0);
	char *page = render_format(false);
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"5e-05\"} 1");
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"0.0001\"} 3");
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"0.00025\"} 3");
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"5\"} 3");
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"10\"} 4");
	expect_line(page, "http_request_duration_seconds_bucket{route=\"/hello\",le=\"+Inf\"} 5");
	expect_line(page, "http_request_duration_seconds_sum{route=\"/hello\"} 20.000200002");
	expect_line(page, "http_request_duration_seconds_count{route=\"/hello\"} 5");
	free(page);
}
END_TEST

START_TEST(writes_bounds_as_each_format_requires)
{
	static const char *const plain[] = { "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
		"0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf" };
	static const char *const canonical[] = { "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005",
		"0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf" };
	request(workers[0], ROUTE_HELLO, PIPIT_GET, 200);
	char *page = render_format(_i);
	for (size_t i = 0; i < 18; i++) {
		char line[128];
		snprintf(line, sizeof(line), "http_request_duration_seconds_bucket{route=\"/hello\",le=\"%s\"} 1",
		    _i ? canonical[i] : plain[i]);
		expect_line(page, line);
	}
	free(page);
}
END_TEST

START_TEST(shows_sizes_without_labels)
{
	pipit_counters_request(workers[0], ROUTE_HELLO, PIPIT_GET, 200, 1, 100, 10000001);
	pipit_counters_request(workers[0], ROUTE_HELLO, PIPIT_GET, 200, 1, 101, 1000000);
	char *page = render_format(true);
	expect_line(page, "http_request_size_bytes_bucket{le=\"100.0\"} 1");
	expect_line(page, "http_request_size_bytes_bucket{le=\"1000.0\"} 2");
	expect_line(page, "http_request_size_bytes_bucket{le=\"1e+07\"} 2");
	expect_line(page, "http_request_size_bytes_sum 201");
	expect_line(page, "http_response_size_bytes_bucket{le=\"100000.0\"} 0");
	expect_line(page, "http_response_size_bytes_bucket{le=\"1e+06\"} 1");
	expect_line(page, "http_response_size_bytes_bucket{le=\"+Inf\"} 2");
	expect_line(page, "http_response_size_bytes_sum 11000001");
	expect_line(page, "http_response_size_bytes_count 2");
	free(page);
}
END_TEST

/* ---------------------------------------------------------------- the other families */

START_TEST(counts_each_single_counter_under_its_name)
{
	static const char *const names[PIPIT_COUNTER_COUNT] = { "http_connections_accepted_total",
		"http_connections_evicted_total", "http_accept_errors_total", "http_requests_aborted_total",
		"http_streams_dropped_total", "http_received_bytes_total", "http_sent_bytes_total",
		"pipit_tls_handshakes_total", "pipit_tls_resumed_handshakes_total",
		"pipit_tls_kernel_handshakes_total" };
	pipit_counters_add(workers[1], (enum pipit_counter)_i, 41);
	pipit_counters_add(workers[1], (enum pipit_counter)_i, 1);
	ck_assert_uint_eq(pipit_counter(workers[1], (enum pipit_counter)_i), 42);
	ck_assert_uint_eq(pipit_counter(workers[0], (enum pipit_counter)_i), 0);
	char *page = render_format(false);
	for (int i = 0; i < PIPIT_COUNTER_COUNT; i++)
		ck_assert_int_eq(value_of(page, names[i]), i == _i ? 42 : 0);
	free(page);
}
END_TEST

START_TEST(shows_each_refusal_reason)
{
	pipit_counters_reject(workers[0], PIPIT_REFUSAL_CHUNK);
	char *page = render_format(false);
	for (int reason = 1; reason < PIPIT_REFUSAL_COUNT; reason++) {
		char series[128];
		snprintf(series, sizeof(series), "http_rejected_total{reason=\"%s\"}",
		    pipit_refusal_entry((enum pipit_refusal)reason)->label);
		ck_assert_int_eq(value_of(page, series), reason == PIPIT_REFUSAL_CHUNK ? 1 : 0);
	}
	ck_assert_ptr_null(strstr(page, "reason=\"none\""));
	free(page);
}
END_TEST

START_TEST(shows_each_timeout_phase)
{
	static const char *const phases[PIPIT_PHASE_COUNT] = { "handshake", "head", "body", "write", "idle", "drain" };
	pipit_counters_timeout(workers[0], (enum pipit_counters_phase)_i);
	char *page = render_format(false);
	for (int i = 0; i < PIPIT_PHASE_COUNT; i++) {
		char series[64];
		snprintf(series, sizeof(series), "http_timeouts_total{phase=\"%s\"}", phases[i]);
		ck_assert_int_eq(value_of(page, series), i == _i ? 1 : 0);
	}
	free(page);
}
END_TEST

START_TEST(follows_connections_from_state_to_state)
{
	for (int i = 0; i < 3; i++)
		pipit_counters_move(workers[i % WORKERS], PIPIT_STATE_COUNT, PIPIT_STATE_READING);
	pipit_counters_move(workers[0], PIPIT_STATE_READING, PIPIT_STATE_HANDLING);
	pipit_counters_move(workers[0], PIPIT_STATE_HANDLING, PIPIT_STATE_WRITING);
	pipit_counters_move(workers[1], PIPIT_STATE_READING, PIPIT_STATE_CLOSING);
	pipit_counters_move(workers[1], PIPIT_STATE_CLOSING, PIPIT_STATE_COUNT);
	char *page = render_format(false);
	expect_line(page, "http_connections{state=\"idle\"} 0");
	expect_line(page, "http_connections{state=\"reading\"} 1");
	expect_line(page, "http_connections{state=\"handling\"} 0");
	expect_line(page, "http_connections{state=\"writing\"} 1");
	expect_line(page, "http_connections{state=\"closing\"} 0");
	ck_assert_uint_eq(pipit_counters_connections(workers[0]), 2);
	ck_assert_uint_eq(pipit_counters_connections(workers[1]), 0);
	free(page);
}
END_TEST

START_TEST(shows_each_loop_by_its_worker)
{
	const struct pipit_counters_loop loop = {
		.events_added = 11,
		.events_active = 2,
		.events_virtual = 3,
		.events_added_max = 40,
		.events_active_max = 50,
		.events_virtual_max = 60,
		.lag_ns = 1500000,
		.lag_max_ns = 2000000001,
	};
	pipit_counters_set_loop(workers[1], &loop);
	char *page = render_format(false);
	expect_line(page, "event_base_events{worker=\"0\",kind=\"added\"} 0");
	expect_line(page, "event_base_events{worker=\"1\",kind=\"added\"} 11");
	expect_line(page, "event_base_events{worker=\"1\",kind=\"active\"} 2");
	expect_line(page, "event_base_events{worker=\"1\",kind=\"virtual\"} 3");
	expect_line(page, "event_base_events_max{worker=\"1\",kind=\"added\"} 40");
	expect_line(page, "event_base_events_max{worker=\"1\",kind=\"active\"} 50");
	expect_line(page, "event_base_events_max{worker=\"1\",kind=\"virtual\"} 60");
	expect_line(page, "event_loop_lag_seconds{worker=\"0\"} 0.000000000");
	expect_line(page, "event_loop_lag_seconds{worker=\"1\"} 0.001500000");
	expect_line(page, "event_loop_lag_max_seconds{worker=\"1\"} 2.000000001");
	expect_line(page, "event_base_info{worker=\"1\",method=\"epoll\",features=\"et,o1\"} 1");
	ck_assert_int_ge(value_of(page, "event_loop_busy_seconds_total{worker=\"0\"}"), 0);
	ck_assert_int_ge(value_of(page, "event_loop_busy_seconds_total{worker=\"1\"}"), 0);
	free(page);
}
END_TEST

START_TEST(leaves_out_the_busy_time_of_an_ended_thread)
{
	const clockid_t no_such_clock = 1000;
	struct pipit_counters *counters = pipit_counters_new(ROUTE_COUNT, "epoll", "", no_such_clock);
	struct pipit_prometheus input = page_of_workers();
	input.workers = (const struct pipit_counters *const *)&counters;
	input.worker_count = 1;
	char *page = render(&input);
	expect_line(page, "# TYPE event_loop_busy_seconds_total counter");
	ck_assert_int_eq(value_of(page, "event_loop_busy_seconds_total{worker=\"0\"}"), -1);
	free(page);
	pipit_counters_free(counters);
}
END_TEST

START_TEST(shows_the_build_and_dropped_log_lines)
{
	char *page = render_format(false);
	expect_line(page, "pipit_build_info{version=\"1.2.3\",libevent=\"2.1.12-stable\"} 1");
	expect_line(page, "pipit_access_log_dropped_lines_total 7");
	free(page);
}
END_TEST

START_TEST(shows_the_process_metrics)
{
	char *page = render_format(false);
	expect_line(page, "process_start_time_seconds 1700000000");
	ck_assert_int_ge(value_of(page, "process_cpu_seconds_total"), 0);
	ck_assert_int_ge(value_of(page, "process_max_fds"), 3);
	if (access("/proc/self/stat", R_OK) == 0) {
		ck_assert_int_ge(value_of(page, "process_open_fds"), 1);
		ck_assert_int_ge(value_of(page, "process_threads"), 1);
		ck_assert_int_ge(value_of(page, "process_resident_memory_bytes"), 100000);
		ck_assert_int_ge(
		    value_of(page, "process_virtual_memory_bytes"), value_of(page, "process_resident_memory_bytes"));
	}
	free(page);
}
END_TEST

static long long count_open_files(void)
{
	long long entries = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (readdir(directory))
		entries++;
	closedir(directory);
	return entries - 3; /* ".", "..", the directory itself */
}

START_TEST(counts_open_descriptors)
{
	if (access("/proc/self/fd", R_OK) != 0) {
		puts("skipped: no /proc here (counts_open_descriptors)");
		return;
	}
	char *before = render_format(false);
	int fd = dup(STDOUT_FILENO);
	char *after = render_format(false);
	ck_assert_int_eq(value_of(after, "process_open_fds"), count_open_files());
	ck_assert_int_eq(value_of(after, "process_open_fds"), value_of(before, "process_open_fds") + 1);
	close(fd);
	free(before);
	free(after);
}
END_TEST

/* In a child process: there is no way back from a root directory without /proc. Exits with 0 on success. */
static int render_without_proc(const char *empty)
{
	size_t length = 0;
	struct pipit_prometheus input = page_of_workers();
	if (chroot(empty) != 0 || chdir("/") != 0)
		return 1;
	char *bytes = pipit_prometheus_render(&input, &length);
	if (!bytes)
		return 2;
	if (memmem(bytes, length, "process_open_fds", 16) || memmem(bytes, length, "process_threads", 15))
		return 3;
	if (memmem(bytes, length, "_memory_bytes", 13))
		return 4;
	return memmem(bytes, length, "\nprocess_start_time_seconds 1700000000\n", 39) ? 0 : 5;
}

START_TEST(leaves_out_metrics_from_proc_when_it_is_not_mounted)
{
	if (geteuid() != 0) {
		puts("skipped: needs chroot (leaves_out_metrics_from_proc_when_it_is_not_mounted)");
		return;
	}
	char empty[] = "/tmp/stats_test.XXXXXX";
	int status = 0;
	ck_assert_ptr_nonnull(mkdtemp(empty));
	pid_t child = fork();
	if (child == 0)
		_exit(render_without_proc(empty));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	rmdir(empty);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(escapes_label_values)
{
	const char *const odd_routes[] = { "a\\b\"c\nd", "\"", "\n\n", "" };
	struct pipit_prometheus input = page_of_workers();
	input.routes = odd_routes;
	input.version = "1\"2";
	for (size_t i = 0; i < 4; i++)
		request(workers[0], i, PIPIT_GET, 200);
	char *page = render(&input);
	expect_line(page, "http_requests_total{method=\"GET\",route=\"a\\\\b\\\"c\\nd\",code=\"200\"} 1");
	expect_line(page, "http_requests_total{method=\"GET\",route=\"\\\"\",code=\"200\"} 1");
	expect_line(page, "http_requests_total{method=\"GET\",route=\"\\n\\n\",code=\"200\"} 1");
	expect_line(page, "http_requests_total{method=\"GET\",route=\"\",code=\"200\"} 1");
	expect_line(page, "pipit_build_info{version=\"1\\\"2\",libevent=\"2.1.12-stable\"} 1");
	free(page);
}
END_TEST

START_TEST(prints_the_largest_numbers_whole)
{
	pipit_counters_add(workers[0], PIPIT_COUNT_SENT, UINT64_MAX);
	pipit_counters_request(workers[0], ROUTE_HELLO, PIPIT_GET, 200, UINT64_MAX, 0, 0);
	char *page = render_format(false);
	expect_line(page, "http_sent_bytes_total 18446744073709551615");
	expect_line(page, "http_request_duration_seconds_sum{route=\"/hello\"} 18446744073.709551615");
	free(page);
}
END_TEST

START_TEST(renders_a_page_without_workers_or_routes)
{
	struct pipit_prometheus input = page_of_workers();
	input.worker_count = 0;
	input.route_count = 0;
	char *page = render(&input);
	expect_line(page, "http_request_size_bytes_count 0");
	expect_line(page, "# TYPE http_requests_total counter");
	free(page);
}
END_TEST

/* ---------------------------------------------------------------- the formats */

/* All families, so that the page has each kind of line. */
static void count_in_all_families(void)
{
	for (size_t i = 0; i < WORKERS; i++) {
		for (size_t route = 0; route < ROUTE_COUNT; route++)
			request(workers[i], route, PIPIT_GET, 200 + (int)route);
		pipit_counters_move(workers[i], PIPIT_STATE_COUNT, PIPIT_STATE_IDLE);
		pipit_counters_reject(workers[i], PIPIT_REFUSAL_TARGET);
		pipit_counters_timeout(workers[i], PIPIT_PHASE_HEAD);
		pipit_counters_add(workers[i], PIPIT_COUNT_ACCEPTED, 1);
	}
}

START_TEST(passes_promtool)
{
	if (system("command -v promtool >/dev/null 2>&1") != 0) {
		puts("skipped: promtool is not installed (passes_promtool)");
		return;
	}
	if (_i)
		count_in_all_families();
	char *page = render_format(false);
	FILE *promtool = popen("promtool check metrics >&2", "w");
	ck_assert_ptr_nonnull(promtool);
	ck_assert_int_ne(fputs(page, promtool), EOF);
	ck_assert_int_eq(pclose(promtool), 0);
	free(page);
}
END_TEST

START_TEST(describes_each_family_as_its_format_requires)
{
	static const char *const plain[] = { "# TYPE http_requests_total counter", "# TYPE event_base_info gauge",
		"# TYPE pipit_build_info gauge", "# TYPE http_request_duration_seconds histogram",
		"# TYPE process_cpu_seconds_total counter", "# TYPE http_connections gauge" };
	static const char *const open[] = { "# TYPE http_requests counter", "# TYPE event_base info",
		"# TYPE pipit_build info", "# UNIT http_request_duration_seconds seconds",
		"# UNIT process_cpu_seconds seconds", "# UNIT http_sent_bytes bytes" };
	char *page = render_format(_i);
	for (size_t i = 0; i < 6; i++)
		expect_line(page, _i ? open[i] : plain[i]);
	ck_assert_int_eq(strstr(page, "# UNIT") != NULL, _i);
	ck_assert_int_eq(strstr(page, "# EOF") != NULL, _i);
	free(page);
}
END_TEST

#define NAME_SIZE 64
#define LINES_MAX 1000

struct reader {
	bool openmetrics;
	char family[NAME_SIZE], type[NAME_SIZE];
	bool is_described;               /* the family has its TYPE */
	char seen[LINES_MAX][NAME_SIZE]; /* families */
	size_t seen_count;
	char series[LINES_MAX][192]; /* samples, up to the value */
	size_t series_count;
};

static void read_help(struct reader *reader, const char *name)
{
	for (size_t i = 0; i < reader->seen_count; i++)
		ck_assert_str_ne(reader->seen[i], name);
	ck_assert_uint_lt(reader->seen_count, LINES_MAX);
	strcpy(reader->seen[reader->seen_count++], name);
	strcpy(reader->family, name);
	reader->is_described = false;
}

static void read_descriptor(struct reader *reader, const char *line)
{
	char keyword[NAME_SIZE], name[NAME_SIZE], text[NAME_SIZE];
	ck_assert_int_eq(sscanf(line, "# %63s %63s %63s", keyword, name, text), 3);
	if (strcmp(keyword, "HELP") == 0) {
		read_help(reader, name);
		return;
	}
	ck_assert_str_eq(name, reader->family);
	if (strcmp(keyword, "TYPE") == 0) {
		ck_assert(!reader->is_described);
		strcpy(reader->type, text);
		reader->is_described = true;
		return;
	}
	ck_assert_str_eq(keyword, "UNIT");
	ck_assert(reader->openmetrics && reader->is_described);
	ck_assert_str_eq(name + strlen(name) - strlen(text), text);
	ck_assert_int_eq(name[strlen(name) - strlen(text) - 1], '_');
}

static bool is_suffix(const struct reader *reader, const char *suffix)
{
	if (strcmp(reader->type, "histogram") == 0)
		return !strcmp(suffix, "_bucket") || !strcmp(suffix, "_sum") || !strcmp(suffix, "_count");
	if (reader->openmetrics && strcmp(reader->type, "counter") == 0)
		return !strcmp(suffix, "_total");
	if (reader->openmetrics && strcmp(reader->type, "info") == 0)
		return !strcmp(suffix, "_info");
	ck_assert(!strcmp(reader->type, "gauge") || !strcmp(reader->type, "counter"));
	return *suffix == '\0';
}

/* Returns the position after the closing brace. */
static const char *skip_labels(const char *place)
{
	do {
		place++;
		size_t name = strspn(place, "abcdefghijklmnopqrstuvwxyz_");
		ck_assert_uint_gt(name, 0);
		place += name;
		ck_assert(place[0] == '=' && place[1] == '"');
		for (place += 2; *place != '"'; place++) {
			ck_assert_int_ne(*place, '\0');
			if (*place == '\\')
				ck_assert_ptr_nonnull(strchr("\\\"n", *++place));
		}
		place++;
	} while (*place == ',');
	ck_assert_int_eq(*place, '}');
	return place + 1;
}

static void read_sample(struct reader *reader, const char *line)
{
	char name[NAME_SIZE];
	size_t length = strcspn(line, "{ ");
	ck_assert_uint_lt(length, NAME_SIZE);
	memcpy(name, line, length);
	name[length] = '\0';
	ck_assert_msg(reader->is_described && !strncmp(name, reader->family, strlen(reader->family)) &&
			  is_suffix(reader, name + strlen(reader->family)),
	    "%s does not belong to the family %s above it", name, reader->family);
	const char *end = line[length] == '{' ? skip_labels(line + length) : line + length;
	ck_assert_int_eq(*end, ' ');
	ck_assert_uint_gt(strlen(end + 1), 0);
	ck_assert_uint_eq(strspn(end + 1, "0123456789."), strlen(end + 1));

	ck_assert_uint_lt(reader->series_count, LINES_MAX);
	snprintf(reader->series[reader->series_count], sizeof(reader->series[0]), "%.*s", (int)(end - line), line);
	for (size_t i = 0; i < reader->series_count; i++)
		ck_assert_str_ne(reader->series[i], reader->series[reader->series_count]);
	reader->series_count++;
}

/* In both formats: no duplicate, each sample under its family, EOF at the end. */
START_TEST(keeps_every_sample_under_its_family)
{
	static struct reader reader;
	reader = (struct reader){ .openmetrics = _i % 2 };
	if (_i / 2)
		count_in_all_families();
	char *page = render_format(reader.openmetrics);
	bool has_ended = false;
	ck_assert_int_eq(page[strlen(page) - 1], '\n');
	for (char *rest = page, *line; (line = strsep(&rest, "\n")) && rest;) {
		ck_assert(!has_ended);
		has_ended = strcmp(line, "# EOF") == 0;
		if (has_ended)
			continue;
		if (*line == '#')
			read_descriptor(&reader, line);
		else
			read_sample(&reader, line);
	}
	ck_assert_int_eq(has_ended, reader.openmetrics);
	ck_assert_uint_ge(reader.seen_count, 24);
	free(page);
}
END_TEST

/* ---------------------------------------------------------------- threads */

#define ROUNDS 20000

static _Atomic bool writer_is_done;

static void *write_rounds(void *counters)
{
	for (int i = 0; i < ROUNDS; i++) {
		request(counters, ROUTE_HELLO, PIPIT_GET, 200 + i % 300);
		pipit_counters_add(counters, PIPIT_COUNT_SENT, 3);
		pipit_counters_move(counters, PIPIT_STATE_COUNT, PIPIT_STATE_IDLE);
		pipit_counters_move(counters, PIPIT_STATE_IDLE, PIPIT_STATE_COUNT);
	}
	writer_is_done = true;
	return NULL;
}

/* A value may be a moment old, but never decreases and never exceeds what was written. */
START_TEST(is_readable_while_the_worker_counts)
{
	static const char *const series[] = { "http_requests_total{method=\"GET\",route=\"/hello\",code=\"200\"}",
		"http_sent_bytes_total", "http_request_duration_seconds_count{route=\"/hello\"}" };
	static const long long expected[] = { (ROUNDS + 299) / 300, 3 * ROUNDS, ROUNDS };
	long long last[] = { 0, 0, 0 };
	pthread_t writer;
	bool is_last = false;
	writer_is_done = false;
	ck_assert_int_eq(pthread_create(&writer, NULL, write_rounds, workers[0]), 0);
	while (!is_last) {
		is_last = writer_is_done;
		char *page = render_format(false);
		for (size_t i = 0; i < 3; i++) {
			long long value = value_of(page, series[i]);
			ck_assert_int_ge(value < 0 ? 0 : value, last[i]);
			ck_assert_int_le(value, expected[i]);
			last[i] = value < 0 ? 0 : value;
		}
		ck_assert_uint_le(pipit_counters_connections(workers[0]), 1);
		free(page);
	}
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(last[i], expected[i]);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("counters");
	TCase *counting = tcase_create("counting");
	TCase *families = tcase_create("families");
	TCase *formats = tcase_create("formats");
	tcase_add_checked_fixture(counting, set_up, tear_down);
	tcase_add_test(counting, has_cache_lines_of_its_own);
	tcase_add_test(counting, accepts_null_in_free);
	tcase_add_test(counting, refuses_more_routes_than_it_can_number);
	tcase_add_test(counting, counts_a_request_under_method_route_and_code);
	tcase_add_test(counting, measures_the_requests_of_a_batch_when_it_ends);
	tcase_add_test(counting, labels_every_method);
	tcase_add_test(counting, sums_over_workers);
	tcase_add_test(counting, joins_routes_with_one_label_in_one_series);
	tcase_add_test(counting, leaves_out_series_without_requests);
	tcase_add_test(counting, counts_in_one_reserved_series_when_the_table_is_full);
	tcase_add_test(counting, has_room_for_a_dozen_series_of_each_of_many_routes);
	tcase_add_test(counting, puts_a_value_equal_to_a_bound_into_its_bucket);
	tcase_add_loop_test(counting, writes_bounds_as_each_format_requires, 0, 2);
	tcase_add_test(counting, shows_sizes_without_labels);
	tcase_add_test(counting, is_readable_while_the_worker_counts);
	suite_add_tcase(suite, counting);

	tcase_add_checked_fixture(families, set_up, tear_down);
	tcase_add_loop_test(families, counts_each_single_counter_under_its_name, 0, PIPIT_COUNTER_COUNT);
	tcase_add_test(families, shows_each_refusal_reason);
	tcase_add_loop_test(families, shows_each_timeout_phase, 0, PIPIT_PHASE_COUNT);
	tcase_add_test(families, follows_connections_from_state_to_state);
	tcase_add_test(families, shows_each_loop_by_its_worker);
	tcase_add_test(families, leaves_out_the_busy_time_of_an_ended_thread);
	tcase_add_test(families, shows_the_build_and_dropped_log_lines);
	tcase_add_test(families, shows_the_process_metrics);
	tcase_add_test(families, counts_open_descriptors);
	tcase_add_test(families, leaves_out_metrics_from_proc_when_it_is_not_mounted);
	suite_add_tcase(suite, families);

	tcase_add_checked_fixture(formats, set_up, tear_down);
	tcase_add_test(formats, escapes_label_values);
	tcase_add_test(formats, prints_the_largest_numbers_whole);
	tcase_add_test(formats, renders_a_page_without_workers_or_routes);
	tcase_add_loop_test(formats, passes_promtool, 0, 2);
	tcase_add_loop_test(formats, describes_each_family_as_its_format_requires, 0, 2);
	tcase_add_loop_test(formats, keeps_every_sample_under_its_family, 0, 4);
	suite_add_tcase(suite, formats);
	return suite;
}

int main(void)
{
	return run_suite(make_suite());
}
