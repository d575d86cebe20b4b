/* SPDX-License-Identifier: MIT */
/* Slow clients, idle clients and too many clients: each is closed in time, and nothing of it is kept. */
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (int)(sizeof(array) / sizeof *(array))

/* Pause between two bytes of a slow client, far below any deadline here. */
#define PACE_MS 20

#define POST "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"

static void stop(struct daemon *daemon)
{
	ck_assert_int_eq(daemon_stop(daemon), 0);
}

static void assert_served_on(int fd)
{
	struct wire_response response = wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	ck_assert(!response.closes);
	wire_free(&response);
}

static void assert_served(unsigned port)
{
	int fd = wire_connect(port);
	assert_served_on(fd);
	close(fd);
}

/* The next response is a 408 of this type, the last one on its connection. */
static void assert_timed_out_in(int fd, const char *content_type)
{
	struct wire_response response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 408);
	ck_assert_str_eq(wire_field(&response, "Content-Type"), content_type);
	ck_assert(response.is_complete && response.closes);
	ck_assert_uint_gt(response.length, 0);
	ck_assert(wire_is_closed(fd));
	wire_free(&response);
}

static void assert_timed_out(int fd)
{
	assert_timed_out_in(fd, "application/problem+json");
}

struct expectation {
	const struct daemon *daemon;
	const char *sample;
	double value;
};

static bool has_value(void *arg)
{
	const struct expectation *expectation = arg;
	return daemon_metric(expectation->daemon, expectation->sample) == expectation->value;
}

static void wait_for_metric(const struct daemon *daemon, const char *sample, double value)
{
	struct expectation expectation = { daemon, sample, value };
	ck_assert_msg(
	    wire_wait(has_value, &expectation), "%s is %g, not %g", sample, daemon_metric(daemon, sample), value);
}

/* The connection that asks for the metrics is the only one. */
static void wait_until_alone(const struct daemon *daemon)
{
	wait_for_metric(daemon, "http_connections{state=\"reading\"}", 0);
	wait_for_metric(daemon, "http_connections{state=\"writing\"}", 0);
	wait_for_metric(daemon, "http_connections{state=\"closing\"}", 0);
	wait_for_metric(daemon, "http_connections{state=\"idle\"}", 1);
}

struct descriptors {
	const struct daemon *daemon;
	long count;
};

static bool are_few(void *arg)
{
	const struct descriptors *descriptors = arg;
	return daemon_descriptors(descriptors->daemon) <= descriptors->count;
}

/* --- after the last reply ------------------------------------------------------------------------------------------ */

#define REFUSED_BYTES (5 * 1024 * 1024)

static bool has_closed_all(void *daemon)
{
	return daemon_metric(daemon, "http_connections{state=\"closing\"}") == 0;
}

/* The head of a refused upload. */
static int begin_refused_upload(const struct daemon *daemon)
{
	int fd = wire_connect(daemon->port);
	ck_assert(wire_print(fd, POST "Content-Length: %d\r\n\r\n", REFUSED_BYTES));
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	return fd;
}

/* Clients that send the whole body before they read the reply, as most do. */
START_TEST(a_client_that_sends_a_refused_body_to_its_end_gets_the_reply)
{
	struct daemon daemon = daemon_start((const char *const[]){ NULL });
	char *body = calloc(1, REFUSED_BYTES);
	int fd = begin_refused_upload(&daemon);

	ck_assert_ptr_nonnull(body);
	ck_assert(wire_send(fd, body, REFUSED_BYTES));
	free(body);
	wire_expect(wire_read(fd, false), 413, NULL);
	ck_assert(wire_is_closed(fd));
	close(fd);
	ck_assert(wire_wait(has_closed_all, &daemon));
	stop(&daemon);
}
END_TEST

/* Also one that never stops. */
START_TEST(discards_the_rest_of_a_refused_body_for_the_lingering_time)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--lingering-time", "300ms", NULL });
	int fd = begin_refused_upload(&daemon);
	long long end = wire_now_ms() + PATIENCE_MS;

	while (wire_send(fd, "a", 1) && wire_now_ms() < end)
		nanosleep(&(struct timespec){ 0, PACE_MS * 1000 * 1000 }, NULL);
	ck_assert(wire_now_ms() < end);
	close(fd);
	ck_assert(wire_wait(has_closed_all, &daemon));
	stop(&daemon);
}
END_TEST

START_TEST(closes_a_refused_client_that_sends_no_byte_for_the_lingering_timeout)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--lingering-time", "24h", "--lingering-timeout", "100ms", NULL });
	int fd = begin_refused_upload(&daemon);

	ck_assert(wire_wait(has_closed_all, &daemon));
	close(fd);
	stop(&daemon);
}
END_TEST

/* --- heads -------------------------------------------------------------------------------------------------------- */

/* Single bytes do not extend the deadline, which is that of the whole head. */
START_TEST(answers_408_when_a_head_trickles)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--head-timeout", "300ms", NULL });
	int fd = wire_connect(daemon.port);
	long long end = wire_now_ms() + PATIENCE_MS;
	wire_print(fd, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
	while (!wire_is_readable(fd, PACE_MS) && wire_now_ms() < end)
		ck_assert(wire_print(fd, "a"));
	assert_timed_out(fd);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_rejected_total{reason=\"head_timeout\"}"), 1);
	ck_assert_double_eq(daemon_metric(&daemon, "http_timeouts_total{phase=\"head\"}"), 1);
	stop(&daemon);
}
END_TEST

static const char *const half_heads[] = { "G", "\r", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r" };

START_TEST(answers_408_when_a_head_stops)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--head-timeout", "100ms", NULL });
	int fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, "%s", half_heads[_i]));
	assert_timed_out(fd);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(answers_408_without_a_body_to_an_incomplete_head_request)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--head-timeout", "100ms", NULL });
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, "HEAD /healthz HTTP/1.1\r\n");
	ck_assert_int_eq(response.status, 408);
	wire_free(&response);
	ck_assert(wire_is_closed(fd));
	close(fd);
	stop(&daemon);
}
END_TEST

/* The previous request was HEAD; the method of this one is not known yet. */
START_TEST(answers_408_with_a_body_after_a_head_request)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--head-timeout", "100ms", NULL });
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	wire_print(fd, "GE");
	assert_timed_out(fd);
	close(fd);
	stop(&daemon);
}
END_TEST

/* --- bodies ------------------------------------------------------------------------------------------------------- */

static const char *const half_contents[] = {
	POST "Content-Length: 10\r\n\r\n",
	POST "Content-Length: 10\r\n\r\nhello",
	POST "Transfer-Encoding: chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
};

START_TEST(answers_408_in_the_format_that_the_client_prefers)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--read-timeout", "200ms", NULL });
	int fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, POST "Accept: text/html\r\nContent-Length: 10\r\n\r\nhello"));
	assert_timed_out_in(fd, "text/html; charset=utf-8");
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(answers_408_when_a_body_stops)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--read-timeout", "200ms", NULL });
	int fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, "%s", half_contents[_i]));
	assert_timed_out(fd);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_rejected_total{reason=\"body_timeout\"}"), 1);
	ck_assert_double_eq(daemon_metric(&daemon, "http_timeouts_total{phase=\"body\"}"), 1);
	stop(&daemon);
}
END_TEST

START_TEST(answers_408_when_a_body_trickles)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--rate-grace", "200ms", "--min-rate-bytes", "1m", NULL });
	int fd = wire_connect(daemon.port);
	long long end = wire_now_ms() + PATIENCE_MS;
	wire_print(fd, POST "Content-Length: 100000\r\n\r\n");
	while (!wire_is_readable(fd, PACE_MS) && wire_now_ms() < end)
		ck_assert(wire_print(fd, "a"));
	assert_timed_out(fd);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_timeouts_total{phase=\"body\"}"), 1);
	stop(&daemon);
}
END_TEST

/* --- a stopped process -------------------------------------------------------------------------------------------- */

static const char *const halves[][2] = {
	{ "GET /hello/get HTTP/1.1\r\nHost", ": x\r\n\r\n" },
	{ POST "Content-Length: 3\r\n\r\nA", "da" },
};

/* What arrives while it is stopped, or suspended, arrived in time. */
START_TEST(serves_what_the_kernel_received_while_the_process_was_stopped)
{
	struct daemon daemon = daemon_start((const char *const[]){
	    "--head-timeout", "3s", "--read-timeout", "3s", "--idle-timeout", "3s", "--rate-grace", "1s", NULL });
	int fds[3];

	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = wire_connect(daemon.port);
		ck_assert(wire_print(fds[i], "%s", halves[_i][0]));
	}
	/* The server has read the halves before it answers on a later connection. */
	for (int i = 0; i < 2; i++) {
		int later = wire_connect(daemon.port);
		assert_served_on(later);
		close(later);
	}
	daemon_pause(&daemon);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		ck_assert(wire_print(fds[i], "%s", halves[_i][1]));
	/* The time that must pass; a longer one changes nothing. */
	nanosleep(&(struct timespec){ 3, 500 * 1000 * 1000 }, NULL);
	daemon_resume(&daemon);
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		wire_expect(wire_read(fds[i], false), 200, NULL);
		close(fds[i]);
	}
	stop(&daemon);
}
END_TEST

/* --- idle connections --------------------------------------------------------------------------------------------- */

START_TEST(closes_an_idle_connection_without_a_response)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--idle-timeout", "300ms", NULL });
	int fresh, used;
	struct wire_response response;
	daemon_pause(&daemon);
	fresh = wire_connect(daemon.port);
	used = wire_connect(daemon.port);
	ck_assert(wire_print(used, "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"));
	daemon_resume(&daemon);
	response = wire_read(used, false);
	ck_assert_int_eq(response.status, 200);
	ck_assert(!response.closes);
	wire_free(&response);
	ck_assert(wire_is_closed(fresh));
	ck_assert(wire_is_closed(used));
	close(fresh);
	close(used);
	ck_assert_double_eq(daemon_metric(&daemon, "http_timeouts_total{phase=\"idle\"}"), 2);
	stop(&daemon);
}
END_TEST

/* --- limits that are off: each connection outlives the deadline of the other -------------------------------------- */

START_TEST(waits_for_a_head_without_limit_when_its_timeout_is_off)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--head-timeout", "0", "--idle-timeout", "300ms", NULL });
	int head, idle;
	struct wire_response response;
	daemon_pause(&daemon);
	head = wire_connect(daemon.port);
	ck_assert(wire_print(head, "GET /hello/get HTTP/1.1\r\n"));
	daemon_resume(&daemon);
	for (int i = 0; i < 2; i++) {
		idle = wire_connect(daemon.port);
		ck_assert(wire_is_closed(idle));
		close(idle);
	}
	response = wire_ask(head, "Host: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(head);
	stop(&daemon);
}
END_TEST

START_TEST(waits_for_a_request_without_limit_when_its_timeout_is_off)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--idle-timeout", "0", "--head-timeout", "300ms", NULL });
	int idle = wire_connect(daemon.port), head;
	assert_served_on(idle);
	for (int i = 0; i < 2; i++) {
		head = wire_connect(daemon.port);
		wire_print(head, "GET");
		assert_timed_out(head);
		close(head);
	}
	assert_served_on(idle);
	close(idle);
	stop(&daemon);
}
END_TEST

START_TEST(waits_for_a_body_without_limit_when_its_timeouts_are_off)
{
	struct daemon daemon = daemon_start((const char *const[]){
	    "--read-timeout", "0", "--min-rate-bytes", "0", "--rate-grace", "0", "--head-timeout", "300ms", NULL });
	int content = wire_connect(daemon.port), head;
	struct wire_response response;
	wire_print(content, POST "Content-Length: 3\r\n\r\nA");
	for (int i = 0; i < 2; i++) {
		head = wire_connect(daemon.port);
		wire_print(head, "GET");
		assert_timed_out(head);
		close(head);
	}
	response = wire_ask(content, "da");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(content);
	stop(&daemon);
}
END_TEST

/* --- clients that do not read ------------------------------------------------------------------------------------- */

#define BIG_FILE_BYTES (64 * 1024 * 1024)

struct site {
	char root[64];
	char big[80];
};

static struct site make_site(void)
{
	struct site site = { .root = "/tmp/pipit-test-slow-XXXXXX" };
	FILE *file;
	ck_assert_ptr_nonnull(mkdtemp(site.root));
	snprintf(site.big, sizeof site.big, "%s/big.bin", site.root);
	file = fopen(site.big, "w");
	ck_assert_ptr_nonnull(file);
	fclose(file);
	/* A sparse file. */
	ck_assert_int_eq(truncate(site.big, BIG_FILE_BYTES), 0);
	return site;
}

static void remove_site(const struct site *site)
{
	remove(site->big);
	ck_assert_int_eq(rmdir(site->root), 0);
}

START_TEST(closes_a_connection_that_does_not_read_a_file)
{
	struct site site = make_site();
	struct daemon daemon = daemon_start(
	    (const char *const[]){ "--root", site.root, "--workers", "1", "--write-timeout", "300ms", NULL });
	struct wire_response response;
	struct descriptors before;
	int fd = wire_connect(daemon.port);
	/* The worker caches the file with one descriptor for a while. */
	response = wire_ask(fd, "HEAD /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
	wait_until_alone(&daemon);
	before = (struct descriptors){ &daemon, daemon_descriptors(&daemon) };
	fd = wire_connect(daemon.port);
	wire_print(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for_metric(&daemon, "http_timeouts_total{phase=\"write\"}", 1);
	ck_assert_double_eq(daemon_metric(&daemon, "http_requests_aborted_total"), 1);
	wait_until_alone(&daemon);
	/* The reply has no descriptor of its own, or has closed it. */
	ck_assert(wire_wait(are_few, &before));
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* Sends as many requests as the buffers of both sockets hold, until the daemon closes; the replies would take about 250 MiB. */
static void send_until_closed(int fd, const char *request, size_t length)
{
	for (int i = 0; i < 256; i++) {
		if (!wire_send(fd, request, length))
			return;
	}
	ck_abort_msg("a client that reads nothing may send everything");
}

/* An echo of nearly a megabyte, malloc'd. */
static char *print_echo(void)
{
	enum { CONTENT_BYTES = 1000000 };
	char *text = malloc(CONTENT_BYTES + 256), *at = text;
	ck_assert_ptr_nonnull(text);
	at += sprintf(at,
	    "POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
	    CONTENT_BYTES);
	memset(at, 'a', CONTENT_BYTES);
	at[0] = at[CONTENT_BYTES - 1] = '"';
	at[CONTENT_BYTES] = '\0';
	return text;
}

/* One reply is queued, not all of them. */
START_TEST(closes_a_connection_that_does_not_read_its_responses)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--write-timeout", "1s", NULL });
	char *request = print_echo();
	int fd;
	long before_kib;
	assert_served(daemon.port);
	before_kib = daemon_peak_kib(&daemon);
	fd = wire_connect(daemon.port);
	send_until_closed(fd, request, strlen(request));
	ck_assert_int_lt(daemon_peak_kib(&daemon) - before_kib, 100 * 1024);
	wait_for_metric(&daemon, "http_timeouts_total{phase=\"write\"}", 1);
	wait_until_alone(&daemon);
	free(request);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(closes_a_connection_that_reads_below_the_minimum_rate)
{
	struct site site = make_site();
	struct daemon daemon = daemon_start(
	    (const char *const[]){ "--root", site.root, "--rate-grace", "200ms", "--min-rate-bytes", "1g", NULL });
	int fd = wire_connect(daemon.port);
	char bytes[4096];
	long long end = wire_now_ms() + PATIENCE_MS;
	wire_print(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
	/* It reads, but slower than the minimum rate. */
	while (daemon_metric(&daemon, "http_timeouts_total{phase=\"write\"}") == 0 && wire_now_ms() < end)
		ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
	ck_assert_double_eq(daemon_metric(&daemon, "http_timeouts_total{phase=\"write\"}"), 1);
	wait_until_alone(&daemon);
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* --- the limit on connections ------------------------------------------------------------------------------------- */

enum { CONNECTIONS_MAX = 5 };

static struct daemon start_small(const char *workers)
{
	return daemon_start((const char *const[]){ "--max-connections", "5", "--workers", workers, NULL });
}

/* Sends a request at least a millisecond, the unit of the server's clock, after the previous one. */
static void assert_served_later(int fd)
{
	ck_assert(!wire_is_readable(fd, PACE_MS));
	assert_served_on(fd);
}

START_TEST(evicts_the_longest_idle_connection)
{
	struct daemon daemon = start_small("1");
	int fds[CONNECTIONS_MAX], newest;
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		fds[i] = wire_connect(daemon.port);
		assert_served_later(fds[i]);
	}
	/* Connected first, but has the most recent request: now the second connection is idle for longest. */
	assert_served_later(fds[0]);
	newest = wire_connect(daemon.port);
	assert_served_on(newest);
	ck_assert(wire_is_closed(fds[1]));
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		if (i != 1)
			assert_served_on(fds[i]);
		close(fds[i]);
	}
	close(newest);
	wait_for_metric(&daemon, "http_connections_evicted_total", 1);
	stop(&daemon);
}
END_TEST

/* The limit is that of the process: the idle connection may be on another worker than the new one. */
START_TEST(evicts_connections_of_any_worker)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-connections", "1", "--workers", "2", NULL });
	int fd = wire_connect(daemon.port);
	assert_served_on(fd);
	for (int i = 0; i < 20; i++) {
		int newest = wire_connect(daemon.port);
		assert_served_on(newest);
		close(fd);
		fd = newest;
	}
	close(fd);
	stop(&daemon);
}
END_TEST

static double metric_on(int fd, const char *sample)
{
	struct wire_response response = wire_get(fd, "/metrics");
	double value = wire_metric(response.content, sample);
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	return value;
}

struct idle {
	int fd;
	double evicted;
};

static bool has_lingering(void *arg)
{
	return metric_on(((const struct idle *)arg)->fd, "http_connections{state=\"closing\"}") == 1;
}

static bool has_evicted(void *arg)
{
	const struct idle *idle = arg;
	return metric_on(idle->fd, "http_connections_evicted_total") == idle->evicted && !has_lingering(arg);
}

/* Its worker, or the other one: at random. */
START_TEST(evicts_a_lingering_connection_of_any_worker_and_no_idle_one)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-connections", "2", "--workers", "2",
	    "--lingering-time", "24h", "--lingering-timeout", "24h", NULL });
	/* A new connection for the metrics would evict, too. */
	struct idle idle = { .fd = wire_connect(daemon.port) };
	int newest;

	assert_served_on(idle.fd);
	newest = wire_connect(daemon.port);
	for (int i = 0; i < 20; i++) {
		int lingering = newest;
		ck_assert(wire_print(lingering, POST "Content-Length: %d\r\n\r\n", REFUSED_BYTES));
		wire_expect(wire_read(lingering, false), 413, NULL);
		ck_assert(wire_wait(has_lingering, &idle));
		newest = wire_connect(daemon.port);
		assert_served_on(newest);
		idle.evicted++;
		ck_assert(wire_wait(has_evicted, &idle));
		close(lingering);
	}
	close(newest);
	close(idle.fd);
	stop(&daemon);
}
END_TEST

/* A request whose body is expected: from the 100 on, its connection is not idle. */
static int begin_request(unsigned port)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	char bytes[sizeof interim] = "";
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
	ck_assert_int_eq(recv(fd, bytes, sizeof interim - 1, MSG_WAITALL), sizeof interim - 1);
	ck_assert_str_eq(bytes, interim);
	return fd;
}

static void end_request(int fd)
{
	struct wire_response response = wire_ask(fd, "Ada");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
}

/* One worker: with several, the state of another worker's connections may be out of date, and a new connection accepted. */
START_TEST(refuses_a_new_connection_when_no_connection_is_idle)
{
	struct daemon daemon = start_small("1");
	int fds[CONNECTIONS_MAX], newest;
	struct wire_response response;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = begin_request(daemon.port);
	newest = wire_connect(daemon.port);
	response = wire_read(newest, false);
	ck_assert_int_eq(response.status, 503);
	ck_assert(response.is_complete && response.closes);
	ck_assert_str_eq(wire_field(&response, "Retry-After"), "1");
	ck_assert(wire_is_closed(newest));
	wire_free(&response);
	close(newest);
	/* The others still work. */
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		end_request(fds[i]);
	wait_for_metric(&daemon, "http_rejected_total{reason=\"too_many_connections\"}", 1);
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	stop(&daemon);
}
END_TEST

/* --- no descriptor is left -------------------------------------------------------------------------------------------- */

enum { FEW_DESCRIPTORS = 32, CONNECTION_COUNT = 60 };

/* CPU time used during a wait of a second or more, in thousandths of that time. */
static long long measure_waiting(const struct daemon *daemon)
{
	long before = daemon_cpu_ms(daemon);
	long long begin = wire_now_ms(), now;
	/* No byte arrives on this pipe. */
	do {
		wire_is_readable(daemon->out, 1000);
		now = wire_now_ms();
	} while (now < begin + 1000);
	return (daemon_cpu_ms(daemon) - before) * 1000 / (now - begin);
}

static bool has_used_up(void *arg)
{
	const struct descriptors *descriptors = arg;
	return daemon_descriptors(descriptors->daemon) >= descriptors->count;
}

START_TEST(pauses_accepting_while_descriptors_are_exhausted)
{
	struct daemon_surroundings surroundings = { .descriptors = FEW_DESCRIPTORS };
	struct daemon daemon =
	    daemon_start_in(&surroundings, (const char *const[]){ "--min-rate-bytes", "0", "--workers", "1", NULL });
	int fds[CONNECTION_COUNT];
	/* Each connection is sending its body at the minimum rate or faster: none can be evicted. */
	for (int i = 0; i < CONNECTION_COUNT; i++) {
		fds[i] = wire_connect(daemon.port);
		ck_assert(wire_print(fds[i], "POST /hello/post HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
					     "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nA"));
	}
	ck_assert(wire_wait(has_used_up, &(struct descriptors){ &daemon, FEW_DESCRIPTORS }));
	/* Without a pause it would be all of that time. */
	ck_assert_int_lt(measure_waiting(&daemon), 300);
	/* Pending connections are accepted as others close. */
	for (int i = 0; i < CONNECTION_COUNT; i++)
		ck_assert(wire_print(fds[i], "da"));
	for (int i = 0; i < CONNECTION_COUNT; i++) {
		struct wire_response response = wire_read(fds[i], false);
		ck_assert_int_eq(response.status, 200);
		wire_free(&response);
		close(fds[i]);
	}
	ck_assert_double_ge(daemon_metric(&daemon, "http_accept_errors_total"), 1);
	assert_served(daemon.port);
	stop(&daemon);
}
END_TEST

/* Idle connections are evicted for their descriptors. */
START_TEST(evicts_idle_connections_when_descriptors_are_exhausted)
{
	struct daemon_surroundings surroundings = { .descriptors = FEW_DESCRIPTORS };
	struct daemon daemon = daemon_start_in(&surroundings, (const char *const[]){ "--workers", "1", NULL });
	int fds[CONNECTION_COUNT];
	for (int i = 0; i < CONNECTION_COUNT; i++) {
		fds[i] = wire_connect(daemon.port);
		assert_served_on(fds[i]);
	}
	for (int i = 0; i < CONNECTION_COUNT; i++)
		close(fds[i]);
	ck_assert_double_gt(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	stop(&daemon);
}
END_TEST

/* --- many --------------------------------------------------------------------------------------------------------- */

enum { MANY = 2000 };

/* Number of connections that this process can hold, at most MANY. */
static int raise_own_limit(void)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < MANY + 100) {
		limit.rlim_cur = limit.rlim_max < MANY + 100 ? limit.rlim_max : MANY + 100;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	return limit.rlim_cur < MANY + 100 ? (int)limit.rlim_cur - 100 : MANY;
}

/* The kernel holds a connection until its first byte (TCP_DEFER_ACCEPT): silent clients do not count towards the limit. */
START_TEST(accepts_a_connection_only_after_its_first_byte)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--defer-accept", "30s", "--max-connections", "2", NULL });
	int silent[8], i;

	for (i = 0; i < COUNT_OF(silent); i++)
		silent[i] = wire_connect(daemon.port);
	for (i = 0; i < 3; i++)
		assert_served(daemon.port);
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	/* The connection that asks for the metrics is counted; the silent ones are not. */
	wait_for_metric(&daemon, "http_connections{state=\"idle\"}", 1);
	for (i = 0; i < COUNT_OF(silent); i++) {
		assert_served_on(silent[i]);
		close(silent[i]);
	}
	stop(&daemon);
}
END_TEST

START_TEST(holds_two_thousand_idle_connections_and_frees_them)
{
	int count = raise_own_limit();
	int *fds = calloc((size_t)count, sizeof *fds);
	struct daemon daemon = daemon_start((const char *const[]){ "--log-level", "error", NULL });
	struct descriptors before;
	ck_assert_ptr_nonnull(fds);
	assert_served(daemon.port);
	wait_until_alone(&daemon);
	before = (struct descriptors){ &daemon, daemon_descriptors(&daemon) };
	for (int i = 0; i < count; i++)
		fds[i] = wire_connect(daemon.port);
	wait_for_metric(&daemon, "http_connections{state=\"idle\"}", count + 1);
	ck_assert_int_ge(daemon_descriptors(&daemon), count);
	assert_served_on(fds[0]);
	assert_served_on(fds[count - 1]);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	wait_until_alone(&daemon);
	ck_assert(wire_wait(are_few, &before));
	free(fds);
	stop(&daemon);
}
END_TEST

static TCase *last_reply_tests(void)
{
	TCase *tests = tcase_create("last reply");
	tcase_add_test(tests, a_client_that_sends_a_refused_body_to_its_end_gets_the_reply);
	tcase_add_test(tests, discards_the_rest_of_a_refused_body_for_the_lingering_time);
	tcase_add_test(tests, closes_a_refused_client_that_sends_no_byte_for_the_lingering_timeout);
	return tests;
}

static TCase *reading_tests(void)
{
	TCase *tests = tcase_create("reading");
	tcase_add_test(tests, answers_408_when_a_head_trickles);
	tcase_add_loop_test(tests, serves_what_the_kernel_received_while_the_process_was_stopped, 0, COUNT_OF(halves));
	tcase_add_loop_test(tests, answers_408_when_a_head_stops, 0, COUNT_OF(half_heads));
	tcase_add_test(tests, answers_408_without_a_body_to_an_incomplete_head_request);
	tcase_add_test(tests, answers_408_with_a_body_after_a_head_request);
	tcase_add_test(tests, answers_408_in_the_format_that_the_client_prefers);
	tcase_add_loop_test(tests, answers_408_when_a_body_stops, 0, COUNT_OF(half_contents));
	tcase_add_test(tests, answers_408_when_a_body_trickles);
	tcase_add_test(tests, closes_an_idle_connection_without_a_response);
	tcase_add_test(tests, waits_for_a_head_without_limit_when_its_timeout_is_off);
	tcase_add_test(tests, waits_for_a_request_without_limit_when_its_timeout_is_off);
	tcase_add_test(tests, waits_for_a_body_without_limit_when_its_timeouts_are_off);
	return tests;
}

static TCase *writing_tests(void)
{
	TCase *tests = tcase_create("writing");
	tcase_add_test(tests, closes_a_connection_that_does_not_read_a_file);
	tcase_add_test(tests, closes_a_connection_that_does_not_read_its_responses);
	tcase_add_test(tests, closes_a_connection_that_reads_below_the_minimum_rate);
	return tests;
}

static TCase *connection_limit_tests(void)
{
	TCase *tests = tcase_create("connection limit");
	tcase_add_test(tests, evicts_the_longest_idle_connection);
	tcase_add_test(tests, evicts_connections_of_any_worker);
	tcase_add_test(tests, evicts_a_lingering_connection_of_any_worker_and_no_idle_one);
	tcase_add_test(tests, refuses_a_new_connection_when_no_connection_is_idle);
	tcase_add_test(tests, pauses_accepting_while_descriptors_are_exhausted);
	tcase_add_test(tests, evicts_idle_connections_when_descriptors_are_exhausted);
	tcase_add_test(tests, accepts_a_connection_only_after_its_first_byte);
	tcase_add_test(tests, holds_two_thousand_idle_connections_and_frees_them);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("deadlines");
	suite_add_tcase(suite, reading_tests());
	suite_add_tcase(suite, writing_tests());
	suite_add_tcase(suite, last_reply_tests());
	suite_add_tcase(suite, connection_limit_tests());
	return run_suite(suite);
}
