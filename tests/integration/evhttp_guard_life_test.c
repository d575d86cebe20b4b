/* SPDX-License-Identifier: MIT */
/*
 * A program's evhttp, its base and a server end in any order, with clients in every state, one of several evhttps before the
 * others: nothing leaks or is used after free (sanitizers and valgrind check), and no descriptor stays open.
 */
#include "evhttp_program.h"
#include "pipit.h"
#include "suite.h"

#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void reset(int fd)
{
	struct linger none = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
}

/* ---------------------------------------------------------------- the end, in any order */

/* State of a client when the end comes. */
static const char *const clients[] = {
	"",                       /* none */
	"/kept",                  /* idle after a request */
	"/defer",                 /* the callback has not replied */
	"/half",                  /* the callback never replies */
	"/large",                 /* the reply waits for the client to read */
	"/large-half", "partial", /* its head is incomplete */
	"fresh",                  /* accepted in the turn before, or in none */
	"broken",                 /* accepted when the loop was broken, in the middle of a turn */
	"gone",                   /* it has reset, its callback has not replied */
};

static bool keeps_request(const char *client)
{
	return strcmp(client, "/defer") == 0 || strcmp(client, "/half") == 0 || strcmp(client, "/large-half") == 0;
}

/* Returns the descriptor, or -1. The loop does not run when it returns. */
static int bring(const char *client)
{
	bool is_new = strcmp(client, "fresh") == 0 || strcmp(client, "broken") == 0;
	int fd = *client && !is_new ? wire_connect(program.port) : -1;

	if (*client == '/') {
		ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", client));
		program_wait_for_call(1);
		ck_assert(keeps_request(client) || wire_is_readable(fd, PATIENCE_MS));
		program_let_turns_pass(program.port);
	} else if (strcmp(client, "partial") == 0) {
		ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHo"));
		program_let_turns_pass(program.port);
	} else if (strcmp(client, "gone") == 0) {
		ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
		program_wait_for_call(1);
		reset(fd);
		fd = -1;
		/* The server counts it when it has detected the reset. */
		if (program_server)
			ck_assert(wire_wait(program_is_served_by_none, NULL));
	}
	loop_stop(&program_loop);
	if (is_new) {
		/* epoll reports the previous events again first. */
		loop_turn(&program_loop, 1);
		fd = wire_connect(program.port);
		ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	}
	if (strcmp(client, "broken") == 0) {
		loop_break_next_turn(&program_loop);
		loop_turn(&program_loop, 1);
	}
	return fd;
}

/* The callback replies; its client may have closed. */
static void reply_late(const char *client)
{
	if (strcmp(client, "/half") == 0 || strcmp(client, "/large-half") == 0) {
		program_send_chunk(program_last_request, 5);
		evhttp_send_reply_end(program_last_request);
	} else {
		evhttp_send_reply(program_last_request, 200, "OK", NULL);
	}
}

/*
 * S: pipit_server_free(); H: evhttp_free(); B: event_base_free(); T: a turn of the loop; R: the callback of a deferred request
 * replies, where it may: evhttp_free() frees the requests of its connections, and those that have none are the callback's.
 */
static void end_in_order(const char *client, const char *order)
{
	int fd = bring(client);
	bool has_request = keeps_request(client) && program_server;

	/* Otherwise evhttp_free() may come before the reset is detected. */
	if (strcmp(client, "gone") == 0 && program_server)
		has_request = true;
	for (const char *step = order; *step; step++) {
		switch (*step) {
		case 'S':
			pipit_server_free(program_server);
			program_server = NULL;
			break;
		case 'H':
			evhttp_free(program.http);
			/* A request that has a connection is freed now. */
			has_request &= program_server == NULL || strcmp(client, "gone") == 0;
			break;
		case 'T':
			loop_turn(&program_loop, 1);
			break;
		case 'B':
			loop_leave(&program_loop);
			event_base_free(program_loop.base);
			break;
		default:
			if (has_request)
				reply_late(client);
			has_request = false;
		}
	}
	if (has_request)
		reply_late(client);
	if (fd >= 0 && strcmp(client, "/large") != 0 && strcmp(client, "/large-half") != 0 &&
	    strcmp(client, "/half") != 0 && strcmp(client, "fresh") != 0 && strcmp(client, "broken") != 0 &&
	    strcmp(client, "/kept") != 0)
		ck_assert(wire_is_closed(fd));
	if (fd >= 0)
		free(wire_read_all(fd, NULL));
	close(fd);
	ck_assert_uint_eq(loop_descriptors(), program_descriptors);
}

static const char *const orders_of_two[] = { "HB", "HTB", "HTTTB", "THB", "TTHTB" };

START_TEST(ends_with_the_evhttp_and_then_its_base)
{
	const char *client = clients[(size_t)_i / COUNT(orders_of_two)];
	const char *order = orders_of_two[(size_t)_i % COUNT(orders_of_two)];

	/* Only a server counts the detected reset. */
	if (strcmp(client, "gone") == 0)
		return;
	program_set_up_bound();
	end_in_order(client, order);
}
END_TEST

static const char *const orders_of_three[] = { "SHB", "SRHB", "STHTB", "SHRB", "HBS", "HTBS", "HTTBS", "HSB", "HRSTB",
	"HTSTB", "TSHB", "THSB", "RSHB", "HBRS", "SHBR" };

START_TEST(ends_with_evhttp_base_and_server_in_any_order)
{
	const char *client = clients[(size_t)_i / COUNT(orders_of_three)];
	const char *order = orders_of_three[(size_t)_i % COUNT(orders_of_three)];

	program_set_up_server();
	end_in_order(client, order);
}
END_TEST

static void end_evhttp(void *arg)
{
	(void)arg;
	evhttp_free(program.http);
	program.http = NULL;
}

/* The loop keeps running. */
START_TEST(ends_with_the_evhttp_while_the_loop_runs)
{
	const char *client = clients[_i];
	int fd = *client ? wire_connect(program.port) : -1;

	if (*client == '/') {
		ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", client));
		program_wait_for_call(1);
	}
	loop_call(&program_loop, end_evhttp, NULL);
	if (fd >= 0)
		free(wire_read_all(fd, NULL));
	close(fd);
	program_expect_unreachable(program.port);
}
END_TEST

START_TEST(ends_with_an_evhttp_that_its_own_callback_frees)
{
	int fd = wire_connect(program.port), idle = wire_connect(program.port);

	program_expect_hello(idle);
	ck_assert(wire_print(fd, "GET /end HTTP/1.1\r\nHost: x\r\n\r\n"));
	program_wait_for_call(1);
	free(wire_read_all(fd, NULL));
	ck_assert(wire_is_closed(idle));
	program_expect_unreachable(program.port);
	close(fd);
	close(idle);
}
END_TEST

static void *dispatch(void *base)
{
	event_base_dispatch(base);
	atomic_fetch_add(&program_called, 1);
	return NULL;
}

/* The guard does not keep a loop running. */
START_TEST(ends_the_loop_when_the_evhttp_was_freed)
{
	struct event_base *base = event_base_new();
	struct program other;
	pthread_t thread;
	int fd;

	program_start(&other, base);
	ck_assert_int_eq(pthread_create(&thread, NULL, dispatch, base), 0);
	program_expect_guarded(other.port);
	fd = wire_connect(other.port);
	ck_assert(wire_print(fd, "GET /end HTTP/1.1\r\nHost: x\r\n\r\n"));
	program_wait_for_call(2);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	event_base_free(base);
	free(wire_read_all(fd, NULL));
	close(fd);
}
END_TEST

static void end_server(void *arg)
{
	(void)arg;
	pipit_server_free(program_server);
	program_server = NULL;
}

/* pipit_server_free() may come later, when no loop runs. */
START_TEST(ends_with_an_evhttp_that_a_native_handler_frees)
{
	int fd = wire_connect(program.port), idle = wire_connect(program.port);

	program_expect_hello(idle);
	ck_assert(wire_print(fd, "GET /native/end HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	program_wait_for_call(1);
	free(wire_read_all(fd, NULL));
	ck_assert(wire_is_closed(idle));
	program_expect_unreachable(program.port);
	ck_assert_uint_eq(pipit_server_connections(program_server), 0);
	pipit_server_drain(program_server);
	close(fd);
	close(idle);
}
END_TEST

START_TEST(removes_the_guard_from_the_evhttp_when_the_server_is_freed)
{
	int fd = wire_connect(program.port);
	unsigned before;

	loop_call(&program_loop, program_bind_plain_socket, &program);
	before = program.port;
	program_expect_guarded(before);
	program_expect_hello(fd);
	loop_call(&program_loop, end_server, NULL);
	ck_assert(wire_is_closed(fd));
	close(fd);
	program_expect_unguarded(before);
	loop_call(&program_loop, program_bind_plain_socket, &program);
	program_expect_unguarded(program.port);
}
END_TEST

static void guard_again(void *arg)
{
	(void)arg;
	program_guard_by_server(program.http);
}

START_TEST(guards_the_evhttp_again_with_a_new_server)
{
	for (int i = 0; i < 3; i++) {
		loop_call(&program_loop, end_server, NULL);
		loop_call(&program_loop, guard_again, NULL);
		program_expect_guarded((unsigned)atoi(strrchr(pipit_server_url(program_server, 0), ':') + 1));
	}
}
END_TEST

/* ---------------------------------------------------------------- several evhttps */

static void start_another(void *made)
{
	program_start(made, program_loop.base);
}

START_TEST(guards_several_evhttps_of_one_base_and_frees_them_separately)
{
	struct program others[3];
	int fds[3];

	for (size_t i = 0; i < COUNT(others); i++) {
		loop_call(&program_loop, start_another, &others[i]);
		program_expect_guarded(others[i].port);
		fds[i] = wire_connect(others[i].port);
		program_expect_hello(fds[i]);
	}
	loop_call(&program_loop, program_end, &others[1]);
	ck_assert(wire_is_closed(fds[1]));
	program_expect_unreachable(others[1].port);
	for (size_t i = 0; i < COUNT(others); i += 2) {
		program_expect_hello(fds[i]);
		program_expect_guarded(others[i].port);
	}
	program_expect_guarded(program.port);
	loop_call(&program_loop, program_end, &others[0]);
	loop_call(&program_loop, program_end, &others[2]);
	program_expect_guarded(program.port);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(guards_evhttps_of_several_bases)
{
	struct loop second;
	struct program other;
	int fd, other_fd;

	loop_open(&second);
	program_start(&other, second.base);
	loop_run(&second);
	fd = wire_connect(program.port);
	other_fd = wire_connect(other.port);
	for (int i = 0; i < 3; i++) {
		program_expect_hello(fd);
		program_expect_hello(other_fd);
	}
	loop_leave(&second);
	evhttp_free(other.http);
	event_base_free(second.base);
	ck_assert(wire_is_closed(other_fd));
	program_expect_hello(fd);
	program_expect_guarded(program.port);
	close(fd);
	close(other_fd);
}
END_TEST

/* malloc() probably returns the address of the last one. */
static void replace_evhttp(void *arg)
{
	(void)arg;
	evhttp_free(program.http);
	program_start(&program, program_loop.base);
}

START_TEST(guards_an_evhttp_at_the_address_of_one_that_was_freed)
{
	for (int i = 0; i < 5; i++) {
		int fd = wire_connect(program.port);
		program_expect_hello(fd);
		loop_call(&program_loop, replace_evhttp, NULL);
		ck_assert(wire_is_closed(fd));
		close(fd);
		program_expect_guarded(program.port);
	}
}
END_TEST

/* ---------------------------------------------------------------- the suite */

int main(void)
{
	Suite *suite = suite_create("evhttp guard, life");
	TCase *tcase = tcase_create("the end");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_loop_test(tcase, ends_with_the_evhttp_and_then_its_base, 0, COUNT(clients) * COUNT(orders_of_two));
	tcase_add_loop_test(
	    tcase, ends_with_evhttp_base_and_server_in_any_order, 0, COUNT(clients) * COUNT(orders_of_three));
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("bound");
	tcase_add_checked_fixture(tcase, program_set_up_bound, program_tear_down);
	tcase_add_loop_test(tcase, ends_with_the_evhttp_while_the_loop_runs, 0, 6);
	tcase_add_test(tcase, ends_with_an_evhttp_that_its_own_callback_frees);
	tcase_add_test(tcase, ends_the_loop_when_the_evhttp_was_freed);
	tcase_add_test(tcase, guards_several_evhttps_of_one_base_and_frees_them_separately);
	tcase_add_test(tcase, guards_evhttps_of_several_bases);
	tcase_add_test(tcase, guards_an_evhttp_at_the_address_of_one_that_was_freed);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("server");
	tcase_add_checked_fixture(tcase, program_set_up_server, program_tear_down_server);
	tcase_add_test(tcase, ends_with_an_evhttp_that_a_native_handler_frees);
	tcase_add_test(tcase, removes_the_guard_from_the_evhttp_when_the_server_is_freed);
	tcase_add_test(tcase, guards_the_evhttp_again_with_a_new_server);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
