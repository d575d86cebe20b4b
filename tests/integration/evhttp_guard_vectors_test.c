/* SPDX-License-Identifier: MIT */
/*
 * Every vector of tests/vectors/guard against a program's own evhttp behind pipit_server_guard_evhttp(), as replay.h sends it.
 * A rejected vector is answered once and no callback runs; an accepted one reaches the generic callback once, and the valid
 * request after it is answered unless the connection ends.
 *
 * Program and client share a thread: bytes are in the server's socket when send() returns, so that turns of the loop can be
 * counted.
 */
#include "../vectors/replay.h"
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>

/* "Connection: close", so that the client can read to the end of the connection. */
#define AFTER "GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
/* Turns to accept, to read, and for events at the end of a turn. */
#define TURNS 3

static struct vectors accepted, rejected;

/* ---------------------------------------------------------------- the program */

static struct loop loop;
static struct evhttp *http;
static struct pipit_server *server;
static unsigned port;
static size_t calls, calls_after; /* calls of the generic callback, and of the one for AFTER */

static void reply(struct evhttp_request *request, const char *text)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add(content, text, strlen(text));
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void on_any(struct evhttp_request *request, void *arg)
{
	(void)arg;
	calls++;
	reply(request, "vector");
}

static void on_after(struct evhttp_request *request, void *arg)
{
	(void)arg;
	calls_after++;
	reply(request, "after");
}

static void set_up(void)
{
	struct pipit_config config;

	loop_open(&loop);
	http = evhttp_new(loop.base);
	evhttp_set_allowed_methods(http, 0xffff);
	evhttp_set_gencb(http, on_any, NULL);
	evhttp_set_cb(http, "/after", on_after, NULL);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.log_level = "error";
	config.defer_accept_ms = 0;
	config.max_head_bytes = VECTORS_HEAD_BYTES;
	config.max_target_bytes = VECTORS_TARGET_BYTES;
	config.max_fields = VECTORS_FIELDS;
	config.max_field_bytes = VECTORS_FIELD_BYTES;
	config.max_body_bytes = VECTORS_BODY_BYTES;
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, http), 0);
	port = (unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1);
}

static void tear_down(void)
{
	loop_leave(&loop);
	evhttp_free(http);
	event_base_free(loop.base);
	pipit_server_free(server);
}

/* ---------------------------------------------------------------- one request */

static void settle(bool trickles)
{
	(void)trickles;
	loop_turn(&loop, TURNS);
}

static bool turn_for_bytes(int fd)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	while (!wire_is_readable(fd, 0) && wire_now_ms() < end)
		loop_turn(&loop, 1);
	return wire_is_readable(fd, 0);
}

/* ---------------------------------------------------------------- expected results */

/* OPTIONS * is answered without a callback; its body is not read. */
static bool is_for_no_callback(const struct vector *vector)
{
	return strncmp(vector->bytes, "OPTIONS * ", 10) == 0;
}

static void check_accepted(struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	bool is_ours = is_for_no_callback(vector);
	bool stays = replay_keeps_alive(vector) && !(is_ours && strstr(vector->name, "-unread-"));
	struct answer first = replay_first_answer(exchange), second;

	if (first.status != (is_ours ? 204 : 200))
		replay_complain(exchange, "answered with %d", first.status);
	if (calls != !is_ours)
		replay_complain(exchange, "the callback was called %zu times", calls);
	if (first.closes == stays)
		replay_complain(exchange, first.closes ? "the connection closes" : "the connection stays");
	if (stays) {
		second = replay_second_answer(exchange);
		if (second.status != 200 || !replay_is_content(&second, "after"))
			replay_complain(exchange, "the request behind it is answered with %d", second.status);
	}
	if (calls_after != stays)
		replay_complain(exchange, "the request behind it was shown %zu times", calls_after);
	replay_expect_end(exchange);
	calls = calls_after = 0;
}

static void check_rejected(struct exchange *exchange)
{
	struct answer answer = replay_first_answer(exchange);

	if (answer.status != exchange->vector->status)
		replay_complain(exchange, "answered with %d", answer.status);
	if (!answer.closes)
		replay_complain(exchange, "refused, and the connection stays");
	if (calls || calls_after)
		replay_complain(exchange, "callbacks ran: %zu and %zu", calls, calls_after);
	replay_expect_end(exchange);
}

static void replay_with_callbacks(const struct vectors *vectors, int number, void (*check)(struct exchange *))
{
	const struct replay replay = { port, AFTER, settle, turn_for_bytes, true };
	calls = calls_after = 0;
	replay_vector(&replay, &vectors->all[number], (size_t)number, check);
}

START_TEST(passes_valid_requests_and_the_next_one_to_the_callback)
{
	replay_with_callbacks(&accepted, _i, check_accepted);
}
END_TEST

START_TEST(passes_no_invalid_request_to_the_callback)
{
	replay_with_callbacks(&rejected, _i, check_rejected);
}
END_TEST

START_TEST(finds_the_vectors)
{
	ck_assert_uint_ge(accepted.count + rejected.count, VECTORS_AT_LEAST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("evhttp guard, vectors");
	TCase *tests = tcase_create("vectors");

	signal(SIGPIPE, SIG_IGN);
	vectors_load(&accepted, "accept");
	vectors_load(&rejected, "reject");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, finds_the_vectors);
	tcase_add_loop_test(tests, passes_valid_requests_and_the_next_one_to_the_callback, 0, (int)accepted.count);
	tcase_add_loop_test(tests, passes_no_invalid_request_to_the_callback, 0, (int)rejected.count);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
