/* SPDX-License-Identifier: MIT */
/* Slow clients, idle clients, too many clients: each is sent away in time, and leaves nothing behind. */
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_OF(array) (int)(sizeof(array) / sizeof *(array))

/* A pause between two bytes of a slow client, far below any deadline here. */
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

/* The next answer is a 408 of this type, the last on its connection. */
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

/* The one who asks is the only one there. */
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

/* --- heads --------------------------------------------------------------------------------------------------------- */

/* A byte now and then does not help: the head as a whole has a deadline. */
START_TEST(gives_up_on_a_head_that_trickles)
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

START_TEST(gives_up_on_a_head_that_stops)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--head-timeout", "100ms", NULL });
	int fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, "%s", half_heads[_i]));
	assert_timed_out(fd);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(gives_up_on_half_of_a_head_request_without_content)
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

/* The request before it was HEAD; this one is not known to be. */
START_TEST(gives_up_with_content_behind_a_head_request)
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

/* --- content ------------------------------------------------------------------------------------------------------- */

static const char *const half_contents[] = {
	POST "Content-Length: 10\r\n\r\n",
	POST "Content-Length: 10\r\n\r\nhello",
	POST "Transfer-Encoding: chunked\r\n\r\n",
	POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
};

START_TEST(gives_up_on_content_in_the_form_that_the_client_prefers)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--read-timeout", "200ms", NULL });
	int fd = wire_connect(daemon.port);
	ck_assert(wire_print(fd, POST "Accept: text/html\r\nContent-Length: 10\r\n\r\nhello"));
	assert_timed_out_in(fd, "text/html; charset=utf-8");
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(gives_up_on_content_that_stops)
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

START_TEST(gives_up_on_content_that_trickles)
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

/* --- idle connections ---------------------------------------------------------------------------------------------- */

START_TEST(closes_an_idle_connection_without_a_word)
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

/* --- limits that are off: what one deadline would have ended outlives what the other ends -------------------------- */

START_TEST(waits_for_a_head_without_end_when_its_deadline_is_off)
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

START_TEST(waits_for_a_request_without_end_when_its_deadline_is_off)
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

START_TEST(waits_for_content_without_end_when_its_deadlines_are_off)
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

/* --- readers that do not read -------------------------------------------------------------------------------------- */

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
	/* Sparse. */
	ck_assert_int_eq(truncate(site.big, BIG_FILE_BYTES), 0);
	return site;
}

static void remove_site(const struct site *site)
{
	remove(site->big);
	ck_assert_int_eq(rmdir(site->root), 0);
}

START_TEST(drops_a_reader_that_does_not_read_a_file)
{
	struct site site = make_site();
	struct daemon daemon = daemon_start(
	    (const char *const[]){ "--root", site.root, "--workers", "1", "--write-timeout", "300ms", NULL });
	struct wire_response response;
	struct descriptors before;
	int fd = wire_connect(daemon.port);
	/* The worker remembers the file for a while, with one descriptor. */
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
	/* The reply has no descriptor of its own, or it is closed. */
	ck_assert(wire_wait(are_few, &before));
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* As many requests as the two sockets' buffers take, until the daemon closes; their answers would be some 250 MiB. */
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

/* One answer waits in memory, not all that were asked for. */
START_TEST(drops_a_reader_that_does_not_read_its_answers)
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

START_TEST(drops_a_reader_that_is_slower_than_the_minimum)
{
	struct site site = make_site();
	struct daemon daemon = daemon_start(
	    (const char *const[]){ "--root", site.root, "--rate-grace", "200ms", "--min-rate-bytes", "1g", NULL });
	int fd = wire_connect(daemon.port);
	char bytes[4096];
	long long end = wire_now_ms() + PATIENCE_MS;
	wire_print(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
	/* It reads, but does not come far. */
	while (daemon_metric(&daemon, "http_timeouts_total{phase=\"write\"}") == 0 && wire_now_ms() < end)
		ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
	ck_assert_double_eq(daemon_metric(&daemon, "http_timeouts_total{phase=\"write\"}"), 1);
	wait_until_alone(&daemon);
	close(fd);
	stop(&daemon);
	remove_site(&site);
}
END_TEST

/* --- a full house -------------------------------------------------------------------------------------------------- */

enum { HOUSE = 5 };

static struct daemon start_small(const char *workers)
{
	return daemon_start((const char *const[]){ "--max-connections", "5", "--workers", workers, NULL });
}

/* A request after the server's clock, which counts milliseconds, has gone on. */
static void assert_served_later(int fd)
{
	ck_assert(!wire_is_readable(fd, PACE_MS));
	assert_served_on(fd);
}

START_TEST(lets_the_longest_idle_connection_make_room)
{
	struct daemon daemon = start_small("1");
	int fds[HOUSE], newcomer;
	for (int i = 0; i < HOUSE; i++) {
		fds[i] = wire_connect(daemon.port);
		assert_served_later(fds[i]);
	}
	/* Connected first, but heard of last: now the second one is idle the longest. */
	assert_served_later(fds[0]);
	newcomer = wire_connect(daemon.port);
	assert_served_on(newcomer);
	ck_assert(wire_is_closed(fds[1]));
	for (int i = 0; i < HOUSE; i++) {
		if (i != 1)
			assert_served_on(fds[i]);
		close(fds[i]);
	}
	close(newcomer);
	wait_for_metric(&daemon, "http_connections_evicted_total", 1);
	stop(&daemon);
}
END_TEST

/* The house is the process: the idle one may be at another worker than the newcomer. */
START_TEST(makes_room_among_all_workers)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--max-connections", "1", "--workers", "2", NULL });
	int fd = wire_connect(daemon.port);
	assert_served_on(fd);
	for (int i = 0; i < 20; i++) {
		int newcomer = wire_connect(daemon.port);
		assert_served_on(newcomer);
		close(fd);
		fd = newcomer;
	}
	close(fd);
	stop(&daemon);
}
END_TEST

/* A request whose content is awaited: from the 100 on, its connection is not idle. */
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

/* One worker: what is known of another one's connections may be a moment old, and a newcomer then be let in. */
START_TEST(refuses_a_newcomer_when_nobody_is_idle)
{
	struct daemon daemon = start_small("1");
	int fds[HOUSE], newcomer;
	struct wire_response response;
	for (int i = 0; i < HOUSE; i++)
		fds[i] = begin_request(daemon.port);
	newcomer = wire_connect(daemon.port);
	response = wire_read(newcomer, false);
	ck_assert_int_eq(response.status, 503);
	ck_assert(response.is_complete && response.closes);
	ck_assert_str_eq(wire_field(&response, "Retry-After"), "1");
	ck_assert(wire_is_closed(newcomer));
	wire_free(&response);
	close(newcomer);
	/* They were not disturbed. */
	for (int i = 0; i < HOUSE; i++)
		end_request(fds[i]);
	wait_for_metric(&daemon, "http_rejected_total{reason=\"too_many_connections\"}", 1);
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	stop(&daemon);
}
END_TEST

/* --- a house without doors: no descriptor is left ------------------------------------------------------------------ */

enum { FEW_DESCRIPTORS = 32, CROWD = 60 };

/* CPU time that a second or more of waiting costs, in parts of a thousand of that time. */
static long long measure_waiting(const struct daemon *daemon)
{
	long before = daemon_cpu_ms(daemon);
	long long begin = wire_now_ms(), now;
	/* Nothing comes on this pipe. */
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

START_TEST(rests_while_it_has_no_descriptors)
{
	struct daemon_surroundings surroundings = { NULL, FEW_DESCRIPTORS };
	struct daemon daemon =
	    daemon_start_in(&surroundings, (const char *const[]){ "--min-rate-bytes", "0", "--workers", "1", NULL });
	int fds[CROWD];
	/* Each is sending its content, as fast as is asked: nobody can be sent away. */
	for (int i = 0; i < CROWD; i++) {
		fds[i] = wire_connect(daemon.port);
		ck_assert(wire_print(fds[i], "POST /hello/post HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
					     "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nA"));
	}
	ck_assert(wire_wait(has_used_up, &(struct descriptors){ &daemon, FEW_DESCRIPTORS }));
	/* Without a rest it is all the time that there is for it. */
	ck_assert_int_lt(measure_waiting(&daemon), 300);
	/* Those who wait outside are let in as others leave. */
	for (int i = 0; i < CROWD; i++)
		ck_assert(wire_print(fds[i], "da"));
	for (int i = 0; i < CROWD; i++) {
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

/* Idle connections give their descriptors back. */
START_TEST(sends_idle_connections_away_for_their_descriptors)
{
	struct daemon_surroundings surroundings = { NULL, FEW_DESCRIPTORS };
	struct daemon daemon = daemon_start_in(&surroundings, (const char *const[]){ "--workers", "1", NULL });
	int fds[CROWD];
	for (int i = 0; i < CROWD; i++) {
		fds[i] = wire_connect(daemon.port);
		assert_served_on(fds[i]);
	}
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	ck_assert_double_gt(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	stop(&daemon);
}
END_TEST

/* --- many ---------------------------------------------------------------------------------------------------------- */

enum { MANY = 2000 };

/* How many connections this process can hold, MANY if possible. */
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

/* Until it speaks, a client is the kernel's: all silent ones together are nobody to the limit. */
START_TEST(leaves_silent_newcomers_to_the_kernel)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--defer-accept", "30s", "--max-connections", "2", NULL });
	int silent[8], i;

	for (i = 0; i < COUNT_OF(silent); i++)
		silent[i] = wire_connect(daemon.port);
	for (i = 0; i < 3; i++)
		assert_served(daemon.port);
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	/* The one who asks is counted; the silent ones are not. */
	wait_for_metric(&daemon, "http_connections{state=\"idle\"}", 1);
	for (i = 0; i < COUNT_OF(silent); i++) {
		assert_served_on(silent[i]);
		close(silent[i]);
	}
	stop(&daemon);
}
END_TEST

START_TEST(holds_two_thousand_idle_connections_and_forgets_them)
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

static TCase *reading_tests(void)
{
	TCase *tests = tcase_create("reading");
	tcase_add_test(tests, gives_up_on_a_head_that_trickles);
	tcase_add_loop_test(tests, gives_up_on_a_head_that_stops, 0, COUNT_OF(half_heads));
	tcase_add_test(tests, gives_up_on_half_of_a_head_request_without_content);
	tcase_add_test(tests, gives_up_with_content_behind_a_head_request);
	tcase_add_test(tests, gives_up_on_content_in_the_form_that_the_client_prefers);
	tcase_add_loop_test(tests, gives_up_on_content_that_stops, 0, COUNT_OF(half_contents));
	tcase_add_test(tests, gives_up_on_content_that_trickles);
	tcase_add_test(tests, closes_an_idle_connection_without_a_word);
	tcase_add_test(tests, waits_for_a_head_without_end_when_its_deadline_is_off);
	tcase_add_test(tests, waits_for_a_request_without_end_when_its_deadline_is_off);
	tcase_add_test(tests, waits_for_content_without_end_when_its_deadlines_are_off);
	return tests;
}

static TCase *writing_tests(void)
{
	TCase *tests = tcase_create("writing");
	tcase_add_test(tests, drops_a_reader_that_does_not_read_a_file);
	tcase_add_test(tests, drops_a_reader_that_does_not_read_its_answers);
	tcase_add_test(tests, drops_a_reader_that_is_slower_than_the_minimum);
	return tests;
}

static TCase *crowd_tests(void)
{
	TCase *tests = tcase_create("crowd");
	tcase_add_test(tests, lets_the_longest_idle_connection_make_room);
	tcase_add_test(tests, makes_room_among_all_workers);
	tcase_add_test(tests, refuses_a_newcomer_when_nobody_is_idle);
	tcase_add_test(tests, rests_while_it_has_no_descriptors);
	tcase_add_test(tests, sends_idle_connections_away_for_their_descriptors);
	tcase_add_test(tests, leaves_silent_newcomers_to_the_kernel);
	tcase_add_test(tests, holds_two_thousand_idle_connections_and_forgets_them);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("deadlines");
	suite_add_tcase(suite, reading_tests());
	suite_add_tcase(suite, writing_tests());
	suite_add_tcase(suite, crowd_tests());
	return run_suite(suite);
}
