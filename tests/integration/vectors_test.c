/* SPDX-License-Identifier: MIT */
/*
 * Every vector of tests/vectors/guard against the real daemon, as replay.h sends it. An accepted vector is answered once, and
 * so is the valid request after it unless the connection ends; a rejected one is answered once and nothing after it is served.
 */
#include "../vectors/replay.h"
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_OF(number) TEXT(number)
#define TEXT(number) #number

/* "Connection: close", so that the client can read to the end of the connection. */
#define AFTER "GET /hello/get?name=after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define AFTER_CONTENT "{\"message\":\"Hello, after!\"}"
/* Both are counted here: requests of the vectors, which have other status codes, and those after them. */
#define AFTER_SAMPLE "http_requests_total{method=\"GET\",route=\"/hello/get\",code=\"200\"}"
#define AFTER_ROUTE "{\"message\":\"Hello, "

static struct vectors accepted, rejected;
static struct daemon server;
static char root[] = "/tmp/pipit-test-vectors-XXXXXX";
static bool ended_well;

/*
 * One daemon for all vectors; each test uses the difference of its counters. One worker, so that a response on one connection
 * shows that the bytes sent before on another one have been read.
 */
static void start(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	server = daemon_start((const char *const[]){ "--hosts", "*", "--workers", "1", "--root", root,
	    "--max-head-bytes", TEXT_OF(VECTORS_HEAD_BYTES), "--max-target-bytes", TEXT_OF(VECTORS_TARGET_BYTES),
	    "--max-fields", TEXT_OF(VECTORS_FIELDS), "--max-field-bytes", TEXT_OF(VECTORS_FIELD_BYTES),
	    "--max-body-bytes", TEXT_OF(VECTORS_BODY_BYTES), NULL });
}

/* Check does not count a failure in here: main() looks at ended_well. */
static void stop(void)
{
	ended_well = daemon_stop(&server) == 0;
	rmdir(root);
}

/* --- one request -------------------------------------------------------------------------------------------------- */

static int helper; /* a connection of its own */

static void ask(void)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	char answer[1024];
	ssize_t length = 0;

	if (!wire_send(helper, request, sizeof request - 1))
		ck_abort_msg("the helper's connection is gone");
	do {
		ssize_t received = recv(helper, answer + length, sizeof answer - 1 - (size_t)length, 0);
		if (received <= 0)
			ck_abort_msg("the helper gets no answer");
		length += received;
		answer[length] = '\0';
	} while (!strstr(answer, "\r\n\r\n{\"status\":\"ok\"}"));
}

/*
 * Waits until the daemon has read what was sent on a new connection. Each response on another one shows that a turn of the loop
 * has ended: one to accept, one to register the connection, one to begin to wait for it; in the last one, new bytes may be read
 * only after the helper's request.
 */
static void settle(bool trickles)
{
	for (int turn = 0; turn < 4 && !trickles; turn++)
		ask();
}

static bool wait_for_bytes(int fd)
{
	return wire_is_readable(fd, PATIENCE_MS);
}

/* --- expected results --------------------------------------------------------------------------------------------- */

static size_t after_count; /* answered requests of AFTER_SAMPLE */

static struct answer answer_of_vector(struct exchange *exchange)
{
	struct answer answer = replay_first_answer(exchange);
	if (answer.status != exchange->vector->status)
		replay_complain(exchange, "answered with %d", answer.status);
	return answer;
}

/* The client asked to close, or the body was not read: the names of those vectors say so. */
static bool must_close(const struct vector *vector)
{
	return !replay_keeps_alive(vector) || strstr(vector->name, "-unread-");
}

static void check_accepted(struct exchange *exchange)
{
	struct answer first = answer_of_vector(exchange), second;
	bool is_get = strncmp(replay_request_line(exchange->vector), "GET ", 4) == 0;

	after_count += first.status == 200 && is_get && strncmp(first.content, AFTER_ROUTE, strlen(AFTER_ROUTE)) == 0;
	if (first.closes != must_close(exchange->vector))
		replay_complain(exchange, first.closes ? "the connection closes" : "the connection stays");
	if (!first.closes) {
		second = replay_second_answer(exchange);
		if (second.status != 200 || !replay_is_content(&second, AFTER_CONTENT) || !second.closes)
			replay_complain(exchange, "the request behind it is answered with %d", second.status);
		after_count++;
	}
	replay_expect_end(exchange);
}

static void check_rejected(struct exchange *exchange)
{
	struct answer answer = answer_of_vector(exchange);

	if (!answer.closes)
		replay_complain(exchange, "refused, and the connection stays");
	replay_expect_end(exchange);
}

/* The number of requests that ran must be that of the answered ones. */
static void replay_and_count(const struct vectors *vectors, int number, void (*check)(struct exchange *))
{
	const struct replay replay = { server.port, AFTER, settle, wait_for_bytes, false };
	double before = daemon_metric(&server, AFTER_SAMPLE);
	int on = 1;

	after_count = 0;
	helper = wire_connect(server.port);
	setsockopt(helper, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	replay_vector(&replay, &vectors->all[number], (size_t)number, check);
	close(helper);
	if (before < 0 && after_count > 0)
		before = 0; /* the sample appears with its first request */
	ck_assert_double_eq(daemon_metric(&server, AFTER_SAMPLE), before + (double)after_count);
}

START_TEST(answers_valid_requests_and_the_next_one)
{
	replay_and_count(&accepted, _i, check_accepted);
}
END_TEST

START_TEST(refuses_invalid_requests_and_serves_nothing_after_them)
{
	/* Over TLS it is valid: tls_test.py. */
	if (getenv("WIRE_TLS") && strstr(rejected.all[_i].name, "421-absolute-target-https"))
		return;
	replay_and_count(&rejected, _i, check_rejected);
}
END_TEST

START_TEST(finds_the_vectors)
{
	ck_assert_uint_ge(accepted.count + rejected.count, VECTORS_AT_LEAST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vectors");
	TCase *tests = tcase_create("vectors");
	int status;

	vectors_load(&accepted, "accept");
	vectors_load(&rejected, "reject");
	tcase_add_unchecked_fixture(tests, start, stop);
	tcase_add_test(tests, finds_the_vectors);
	tcase_add_loop_test(tests, answers_valid_requests_and_the_next_one, 0, (int)accepted.count);
	tcase_add_loop_test(tests, refuses_invalid_requests_and_serves_nothing_after_them, 0, (int)rejected.count);
	suite_add_tcase(suite, tests);
	status = run_suite(suite);
	return ended_well ? status : EXIT_FAILURE;
}
