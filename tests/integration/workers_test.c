/* SPDX-License-Identifier: MIT */
/* Several workers, and several clients of one worker: connections are spread over all workers, and every client is served. */
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELLO "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
#define MESSAGE "{\"message\":\"Hello, World!\"}"

/*
 * Connections that send the next request as soon as the last one is answered, and the number of responses that each must get.
 */
#define BUSY_CONNECTIONS 8
#define BUSY_REQUESTS 400
/*
 * Bounds the difference between connections. It is large: the kernel's scheduling decides which worker runs, and for how long.
 */
#define ADVANTAGE_MAX 50

#define CONNECTION_COUNT 200
/* Minimum share of each worker: a coin that is thrown 200 times shows fewer heads once in 10^12 times. */
#define SHARE_MIN 50

#define GREEDY_REQUESTS 400
#define MODEST_CONNECTIONS 8
/* Other clients are answered before a pipelining client has got this number of responses. */
#define GREEDY_LEAD_MAX 64

static void stop(struct daemon *daemon)
{
	ck_assert_int_eq(daemon_stop(daemon), 0);
}

/* --- every client is served --------------------------------------------------------------------------------------- */

struct busy {
	int fd;
	unsigned answers;
	size_t received; /* bytes of the current response */
	char answer[512];
};

/* Length of every response. */
static size_t ask_first(int fd)
{
	struct wire_response response = wire_ask(fd, HELLO);
	size_t length = strlen(response.head) + 2 + response.length;
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, MESSAGE);
	wire_free(&response);
	return length;
}

static void ask_again(const struct busy *busy)
{
	ck_assert(wire_send(busy->fd, HELLO, sizeof HELLO - 1));
}

/* True when a response is complete. */
static bool take(struct busy *busy, size_t answer_length)
{
	ssize_t received = recv(busy->fd, busy->answer + busy->received, answer_length - busy->received, 0);
	ck_assert_int_gt(received, 0);
	busy->received += (size_t)received;
	if (busy->received < answer_length)
		return false;
	ck_assert(memcmp(busy->answer, "HTTP/1.1 200 ", 13) == 0);
	ck_assert(memcmp(busy->answer + answer_length - strlen(MESSAGE), MESSAGE, strlen(MESSAGE)) == 0);
	busy->received = 0;
	busy->answers++;
	return true;
}

static unsigned least_answers(const struct busy *busy)
{
	unsigned least = busy[0].answers;
	for (size_t i = 1; i < BUSY_CONNECTIONS; i++)
		least = busy[i].answers < least ? busy[i].answers : least;
	return least;
}

/* Every client sends requests until all of them have their responses, so that all get them under load. */
static void ask_until_all_are_served(struct busy *busy, size_t answer_length)
{
	struct pollfd ready[BUSY_CONNECTIONS];
	for (size_t i = 0; i < BUSY_CONNECTIONS; i++) {
		ready[i] = (struct pollfd){ .fd = busy[i].fd, .events = POLLIN };
		ask_again(&busy[i]);
	}
	while (least_answers(busy) < BUSY_REQUESTS) {
		int count = poll(ready, BUSY_CONNECTIONS, PATIENCE_MS);
		ck_assert_msg(count > 0, "no connection is answered: %s", count == 0 ? "silence" : strerror(errno));
		for (size_t i = 0; i < BUSY_CONNECTIONS; i++) {
			if (!ready[i].revents || !take(&busy[i], answer_length))
				continue;
			ck_assert_msg(busy[i].answers <= ADVANTAGE_MAX * BUSY_REQUESTS,
			    "one connection has %u answers, another %u", busy[i].answers, least_answers(busy));
			ask_again(&busy[i]);
		}
	}
}

START_TEST(serves_every_busy_connection)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", "2", NULL });
	struct busy busy[BUSY_CONNECTIONS] = { 0 };
	size_t answer_length = 0;
	for (size_t i = 0; i < BUSY_CONNECTIONS; i++) {
		busy[i].fd = wire_connect(daemon.port);
		answer_length = ask_first(busy[i].fd);
	}
	ck_assert_uint_lt(answer_length, sizeof busy[0].answer);
	ask_until_all_are_served(busy, answer_length);
	for (size_t i = 0; i < BUSY_CONNECTIONS; i++) {
		while (!take(&busy[i], answer_length))
			continue;
		close(busy[i].fd);
	}
	stop(&daemon);
}
END_TEST

/* --- a turn is for all ---------------------------------------------------------------------------------------------- */

static void expect_answers(int fd, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct wire_response response = wire_read(fd, false);
		ck_assert_msg(response.status == 200 && response.is_complete, "answer %zu: %d", i, response.status);
		wire_free(&response);
	}
}

/* Number of requests of the pipelining client in the log before the last one of the others; -1: a request is missing. */
static int greedy_lead(const char *path)
{
	char line[1024];
	int greedy = 0, modest = 0, lead = 0;
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file)) {
		greedy += strstr(line, "?name=greedy ") != NULL;
		if (strstr(line, "?name=modest ")) {
			modest++;
			lead = greedy;
		}
	}
	fclose(file);
	return modest == MODEST_CONNECTIONS && greedy == GREEDY_REQUESTS ? lead : -1;
}

static bool is_logged(void *arg)
{
	return greedy_lead(arg) >= 0;
}

/* The access log is in the order in which one worker served them. */
START_TEST(serves_other_clients_between_the_requests_of_a_pipeline)
{
	static const char greedy_request[] = "GET /hello/get?name=greedy HTTP/1.1\r\nHost: x\r\n\r\n";
	static char greed[GREEDY_REQUESTS * (sizeof greedy_request - 1)];
	char log[] = "/tmp/pipit-test-workers-XXXXXX";
	int log_fd = mkstemp(log), greedy, modest[MODEST_CONNECTIONS];
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", "1", "--access-log", log, NULL });

	ck_assert_int_ge(log_fd, 0);
	for (size_t i = 0; i < GREEDY_REQUESTS; i++)
		memcpy(greed + i * (sizeof greedy_request - 1), greedy_request, sizeof greedy_request - 1);
	greedy = wire_connect(daemon.port);
	ask_first(greedy);
	for (size_t i = 0; i < MODEST_CONNECTIONS; i++) {
		modest[i] = wire_connect(daemon.port);
		ask_first(modest[i]);
	}
	daemon_pause(&daemon);
	ck_assert(wire_send(greedy, greed, sizeof greed));
	for (size_t i = 0; i < MODEST_CONNECTIONS; i++)
		ck_assert(wire_print(modest[i], "GET /hello/get?name=modest HTTP/1.1\r\nHost: x\r\n\r\n"));
	daemon_resume(&daemon);
	for (size_t i = 0; i < MODEST_CONNECTIONS; i++) {
		expect_answers(modest[i], 1);
		close(modest[i]);
	}
	expect_answers(greedy, GREEDY_REQUESTS);
	close(greedy);
	ck_assert(wire_wait(is_logged, log));
	ck_assert_int_lt(greedy_lead(log), GREEDY_LEAD_MAX);
	stop(&daemon);
	close(log_fd);
	unlink(log);
}
END_TEST

/* --- all workers accept clients ----------------------------------------------------------------------------------- */

struct spread {
	const struct daemon *daemon;
	double before[2], now[2]; /* events of each worker */
};

static void read_events(const struct daemon *daemon, double events[2])
{
	events[0] = daemon_metric(daemon, "event_base_events{worker=\"0\",kind=\"added\"}");
	events[1] = daemon_metric(daemon, "event_base_events{worker=\"1\",kind=\"added\"}");
}

/* The figures are refreshed a few times a second, the first time shortly after the start. */
static bool has_figures(void *arg)
{
	struct spread *spread = arg;
	read_events(spread->daemon, spread->before);
	return spread->before[0] > 0 && spread->before[1] > 0;
}

static bool has_all(void *arg)
{
	struct spread *spread = arg;
	read_events(spread->daemon, spread->now);
	return spread->now[0] + spread->now[1] >= spread->before[0] + spread->before[1] + CONNECTION_COUNT;
}

START_TEST(spreads_connections_over_all_workers)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", "2", NULL });
	struct spread spread = { .daemon = &daemon };
	int fds[CONNECTION_COUNT];

	ck_assert(wire_wait(has_figures, &spread));
	for (size_t i = 0; i < CONNECTION_COUNT; i++)
		fds[i] = wire_connect(daemon.port);
	for (size_t i = 0; i < CONNECTION_COUNT; i++)
		ask_first(fds[i]);
	/* Every connection is an event of its worker. */
	ck_assert_msg(wire_wait(has_all, &spread), "%.0f and %.0f events", spread.now[0], spread.now[1]);
	for (size_t i = 0; i < 2; i++)
		ck_assert_msg(spread.now[i] >= spread.before[i] + SHARE_MIN,
		    "worker %zu has %.0f events, and had %.0f before %d connections came", i, spread.now[i],
		    spread.before[i], CONNECTION_COUNT);
	for (size_t i = 0; i < CONNECTION_COUNT; i++)
		close(fds[i]);
	stop(&daemon);
}
END_TEST

static int listening_sockets(unsigned port)
{
	char line[512];
	unsigned local_port, state;
	int count = 0;
	FILE *file = fopen("/proc/net/tcp", "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file)) {
		/* 0A: listening. */
		if (sscanf(line, " %*d: %*x:%x %*x:%*x %x", &local_port, &state) == 2 && local_port == port &&
		    state == 0x0a)
			count++;
	}
	fclose(file);
	return count;
}

/* A shared socket would wake up all workers for each connection. */
START_TEST(listens_with_one_socket_per_worker)
{
	char workers[2] = { (char)('0' + _i), '\0' };
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", workers, NULL });
	ck_assert_int_eq(listening_sockets(daemon.port), _i);
	stop(&daemon);
}
END_TEST

/* --- large bodies ------------------------------------------------------------------------------------------------- */

#define LARGE_COUNT 40
#define LARGE_BYTES (600 * 1024)

/* The kernel's buffers do not hold so much: it is sent while the daemon reads. */
static int send_large(unsigned port, const char *content)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd,
	    "POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	    "Content-Length: %d\r\n\r\n",
	    LARGE_BYTES));
	ck_assert(wire_send(fd, content, LARGE_BYTES - 1));
	return fd;
}

static bool has_read_all(void *daemon)
{
	return daemon_metric(daemon, "pipit_buffered_bytes") >= LARGE_COUNT * (LARGE_BYTES - 1.0);
}

/* Lines with this path in front of the last line with /hello/get, in the order in which the worker has finished requests. */
static unsigned count_before_small(const char *file, const char *path)
{
	char line[512];
	unsigned count = 0, before = 0;
	FILE *log = fopen(file, "r");

	ck_assert_ptr_nonnull(log);
	while (fgets(line, sizeof line, log)) {
		count += strstr(line, path) != NULL;
		if (strstr(line, "/hello/get"))
			before = count;
	}
	fclose(log);
	ck_assert_uint_eq(count, LARGE_COUNT);
	return before;
}

START_TEST(a_small_request_waits_for_one_large_body_and_not_for_all)
{
	char file[] = "/tmp/pipit-workers-XXXXXX";
	int log = mkstemp(file);
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--workers", "1", "--memory-limit", "1g", "--access-log", file, NULL });
	char *content = malloc(LARGE_BYTES);
	int fds[LARGE_COUNT], small = wire_connect(daemon.port);

	ck_assert_int_ge(log, 0);
	ck_assert_ptr_nonnull(content);
	memset(content, ' ', LARGE_BYTES);
	content[0] = '"';
	memset(content + 1, 'x', LARGE_BYTES - 2);
	content[LARGE_BYTES - 1] = 'x'; /* not closed: the reply is short */
	for (size_t i = 0; i < LARGE_COUNT; i++)
		fds[i] = send_large(daemon.port, content);
	ck_assert(wire_wait(has_read_all, &daemon));
	ask_first(small);
	daemon_pause(&daemon);
	for (size_t i = 0; i < LARGE_COUNT; i++)
		ck_assert(wire_send(fds[i], content + LARGE_BYTES - 1, 1));
	ask_again(&(struct busy){ .fd = small });
	daemon_resume(&daemon);
	ck_assert(wire_is_readable(small, PATIENCE_MS));
	for (size_t i = 0; i < LARGE_COUNT; i++) {
		wire_expect(wire_read(fds[i], false), 400, NULL);
		close(fds[i]);
	}
	close(small);
	free(content);
	stop(&daemon);
	ck_assert_uint_lt(count_before_small(file, "/json/echo"), LARGE_COUNT / 2);
	close(log);
	unlink(file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("workers");
	TCase *tests = tcase_create("workers");
	tcase_add_test(tests, serves_every_busy_connection);
	tcase_add_test(tests, serves_other_clients_between_the_requests_of_a_pipeline);
	tcase_add_test(tests, a_small_request_waits_for_one_large_body_and_not_for_all);
	tcase_add_test(tests, spreads_connections_over_all_workers);
	tcase_add_loop_test(tests, listens_with_one_socket_per_worker, 1, 4);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
