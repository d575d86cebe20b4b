/* SPDX-License-Identifier: MIT */
/*
 * Sockets and connections of a guarded evhttp are added and removed, by pipit's functions and by evhttp's; memory and
 * descriptors run out; wrong use is reported.
 */
#include "evhttp_program.h"
#include "net/oom_reserve.h"
#include "pipit.h"
#include "suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Above the number of descriptors in any test. */
#define SPARE_MAX 1024

/* ---------------------------------------------------------------- sockets */

static void add_socket_now(void *to)
{
	program_add_socket(to);
}

static void delete_socket(void *of)
{
	struct program *from = of;
	evhttp_del_accept_socket(from->http, from->bound);
}

/* The process gets no further descriptor until the limit is reset. */
static struct rlimit use_up_descriptors(int spare[], size_t *count)
{
	struct rlimit limit, low;
	int highest = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int fd = 0; fd < SPARE_MAX; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			highest = fd;
	}
	low = (struct rlimit){ (rlim_t)highest + 1, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	*count = 0;
	while ((spare[*count] = dup(STDIN_FILENO)) >= 0)
		++*count;
	return limit;
}

/* A client connects when there is no descriptor, until an idle connection is evicted. */
static void let_accepting_fail(unsigned port)
{
	int spare[SPARE_MAX], idle = wire_connect(port), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	struct rlimit limit;
	size_t count;
	char *bytes;

	program_expect_hello(idle);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	limit = use_up_descriptors(spare, &count);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	bytes = wire_read_all(fd, NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_ptr_nonnull(strstr(bytes, program_hello));
	ck_assert(wire_is_closed(idle));
	free(bytes);
	while (count)
		close(spare[--count]);
	close(idle);
	close(fd);
}

START_TEST(accepts_again_after_a_pause_although_a_socket_was_deleted)
{
	struct program second = program, third = program;

	loop_call(&program_loop, add_socket_now, &second);
	loop_call(&program_loop, add_socket_now, &third);
	program_expect_guarded(second.port);
	loop_call(&program_loop, delete_socket, &second);
	program_expect_unreachable(second.port);
	let_accepting_fail(program.port);
	program_expect_guarded(program.port);
	program_expect_guarded(third.port);
}
END_TEST

static void drain_server(void *arg)
{
	(void)arg;
	pipit_server_drain(program_server);
}

static bool is_unreachable(void *port)
{
	int fd = wire_try_connect(*(unsigned *)port);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

START_TEST(drains_although_a_socket_was_deleted)
{
	struct program second = program, third = program;
	struct wire_response response;
	int fd = wire_connect(program.port);

	loop_call(&program_loop, add_socket_now, &second);
	loop_call(&program_loop, add_socket_now, &third);
	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	program_wait_for_call(1);
	loop_call(&program_loop, delete_socket, &second);
	loop_call(&program_loop, drain_server, NULL);
	ck_assert(wire_wait(is_unreachable, &program.port));
	ck_assert(wire_wait(is_unreachable, &third.port));
	ck_assert_uint_eq(pipit_server_connections(program_server), 1);
	loop_stop(&program_loop);
	evhttp_send_reply(program_last_request, 200, "OK", NULL);
	loop_run(&program_loop);
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 200);
	ck_assert(response.closes);
	wire_free(&response);
	ck_assert(wire_is_closed(fd));
	ck_assert(wire_wait(program_is_served_by_none, NULL));
	close(fd);
}
END_TEST

START_TEST(accepts_sockets_up_to_its_limit_and_again_after_a_deletion)
{
	struct program sockets[PIPIT_LISTEN_MAX];

	loop_stop(&program_loop);
	sockets[0] = program;
	for (size_t i = 1; i < PIPIT_LISTEN_MAX; i++) {
		sockets[i] = program;
		program_add_socket(&sockets[i]);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pipit_evhttp_bind_socket(program.http, "127.0.0.1", 0), -ENOSPC);
		delete_socket(&sockets[i]);
		program_add_socket(&sockets[i]);
	}
	loop_run(&program_loop);
	for (size_t i = 0; i < PIPIT_LISTEN_MAX; i++)
		program_expect_guarded(sockets[i].port);
}
END_TEST

static void replace_socket(void *of)
{
	delete_socket(of);
	program_bind_plain_socket(of);
}

static void free_server(void *arg)
{
	(void)arg;
	pipit_server_free(program_server);
	program_server = NULL;
}

/* Its handle probably has the address of the deleted one. */
START_TEST(keeps_a_socket_that_the_program_binds_in_place_of_a_deleted_one)
{
	struct program second = program;

	loop_call(&program_loop, add_socket_now, &second);
	loop_call(&program_loop, replace_socket, &second);
	program_expect_guarded(second.port);
	loop_call(&program_loop, free_server, NULL);
	program_expect_unreachable(program.port);
	program_expect_unguarded(second.port);
}
END_TEST

START_TEST(keeps_running_when_all_sockets_were_deleted)
{
	int fd = wire_connect(program.port);

	program_expect_hello(fd);
	loop_call(&program_loop, delete_socket, &program);
	program_expect_unreachable(program.port);
	program_expect_hello(fd);
	loop_call(&program_loop, add_socket_now, &program);
	program_expect_guarded(program.port);
	program_expect_hello(fd);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- connections that the program frees */

static void free_last_connection(void *arg)
{
	(void)arg;
	evhttp_connection_free(program_last_connection);
}

START_TEST(closes_an_idle_connection_that_the_program_frees)
{
	int other = wire_connect(program.port), fd = wire_connect(program.port);

	program_expect_hello(other);
	program_expect_hello_of(fd, "/kept");
	loop_call(&program_loop, free_last_connection, NULL);
	ck_assert(wire_is_closed(fd));
	program_expect_hello(other);
	close(fd);
	close(other);
}
END_TEST

static const char *const freeing[] = { "/free", "/free/later" };

START_TEST(closes_a_connection_that_a_callback_frees_at_once_or_later)
{
	int other = wire_connect(program.port);

	program_expect_hello(other);
	for (int i = 0; i < 3; i++) {
		int fd = wire_connect(program.port);
		ck_assert(
		    wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", freeing[_i]));
		ck_assert(wire_is_closed(fd));
		close(fd);
		program_expect_hello(other);
	}
	close(other);
}
END_TEST

/* Replies to its earlier requests that were not sent yet are lost with it: no other client gets them. */
START_TEST(replies_of_a_connection_that_a_callback_frees_reach_no_other_client)
{
	int other = wire_connect(program.port), fd = wire_connect(program.port);
	size_t length;

	program_expect_hello(other);
	ck_assert(wire_print(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /free HTTP/1.1\r\nHost: x\r\n\r\n"));
	free(wire_read_all(fd, &length));
	for (int i = 0; i < 2; i++)
		program_expect_hello(other);
	close(fd);
	close(other);
}
END_TEST

START_TEST(closes_a_connection_that_the_program_frees_while_its_reply_waits)
{
	int other = wire_connect(program.port), fd = wire_connect(program.port);
	size_t length;
	char *bytes;

	ck_assert(wire_print(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"));
	program_wait_for_call(1);
	loop_call(&program_loop, free_last_connection, NULL);
	bytes = wire_read_all(fd, &length);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_lt(length, PROGRAM_LARGE);
	free(bytes);
	program_expect_hello(other);
	close(fd);
	close(other);
}
END_TEST

/* ---------------------------------------------------------------- wrong use */

static char errors[4096];

/* Captures standard error until end_listening(). */
static int begin_listening(int pipe_ends[2])
{
	int before;
	fflush(stderr);
	ck_assert_int_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
	before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ge(before, 0);
	ck_assert_int_eq(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
	return before;
}

/* Number of lines from pipit. */
static size_t end_listening(int pipe_ends[2], int before)
{
	size_t lines = 0;
	ssize_t length;
	fflush(stderr);
	ck_assert_int_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
	close(pipe_ends[1]);
	length = read(pipe_ends[0], errors, sizeof errors - 1);
	close(pipe_ends[0]);
	errors[length < 0 ? 0 : length] = '\0';
	/* libevent may print one too. */
	for (const char *at = errors; (at = strstr(at, "pipit: ")); at++)
		lines++;
	return lines;
}

static int bind_heard(struct evhttp *http, const char *address, unsigned port, size_t *lines)
{
	int pipe_ends[2], before = begin_listening(pipe_ends);
	int result = pipit_evhttp_bind_socket(http, address, (uint16_t)port);
	*lines = end_listening(pipe_ends, before);
	return result;
}

static int guard_heard(struct pipit_server *guarding, struct evhttp *http, size_t *lines)
{
	int pipe_ends[2], before = begin_listening(pipe_ends);
	int result = pipit_server_guard_evhttp(guarding, http);
	*lines = end_listening(pipe_ends, before);
	return result;
}

#define EXPECT_FAILURE(call, error)                                        \
	do {                                                               \
		size_t lines;                                              \
		ck_assert_int_eq(call, error);                             \
		ck_assert_msg(lines == 1, "%zu lines: %s", lines, errors); \
	} while (0)

START_TEST(refuses_an_invalid_address_and_reports_why)
{
	struct evhttp *without_base = evhttp_new(NULL);
	size_t before;

	loop_stop(&program_loop);
	before = loop_descriptors();
	EXPECT_FAILURE(bind_heard(NULL, "127.0.0.1", 0, &lines), -EINVAL);
	EXPECT_FAILURE(bind_heard(without_base, "127.0.0.1", 0, &lines), -EINVAL);
	EXPECT_FAILURE(bind_heard(program.http, "no address", 0, &lines), -EINVAL);
	EXPECT_FAILURE(bind_heard(program.http, "192.0.2.1", 0, &lines), -EADDRNOTAVAIL);
	EXPECT_FAILURE(bind_heard(program.http, "127.0.0.1", program.port, &lines), -EADDRINUSE);
	errno = 0;
	ck_assert_ptr_null(pipit_evhttp_bind_socket_with_handle(program.http, "127.0.0.1", (uint16_t)program.port));
	ck_assert_int_eq(errno, EADDRINUSE);
	evhttp_free(without_base);
	ck_assert_uint_eq(loop_descriptors(), before);
	loop_run(&program_loop);
	program_expect_guarded(program.port);
}
END_TEST

/* The first address of an evhttp fails; the evhttp is guarded then, without a socket, or not. */
START_TEST(serves_an_evhttp_whose_first_address_could_not_be_bound)
{
	struct program other = { .http = NULL };

	loop_stop(&program_loop);
	other.http = program_new_evhttp(program_loop.base);
	EXPECT_FAILURE(bind_heard(other.http, "127.0.0.1", program.port, &lines), -EADDRINUSE);
	program_add_socket(&other);
	loop_run(&program_loop);
	program_expect_guarded(other.port);
	loop_call(&program_loop, program_end, &other);
}
END_TEST

static void note_native(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "native");
}

static struct pipit_server *new_server(const char *address)
{
	struct pipit_config config;
	struct pipit_server *made;
	pipit_config_init(&config);
	config.listen[0] = address;
	config.listen_count = 1;
	config.log_level = "error";
	made = pipit_server_new(&config);
	ck_assert_ptr_nonnull(made);
	return made;
}

START_TEST(refuses_to_guard_twice_or_with_an_unsuitable_server)
{
	struct program other = { .http = NULL };
	struct evhttp *without_base = evhttp_new(NULL);
	char taken[64];
	struct pipit_server *servers[6];
	size_t before;

	loop_stop(&program_loop);
	other.http = program_new_evhttp(program_loop.base);
	before = loop_descriptors();
	snprintf(taken, sizeof taken, "127.0.0.1:%u", program.port);
	for (size_t i = 0; i < COUNT(servers); i++)
		servers[i] = new_server(i == 4 ? taken : "127.0.0.1:0");
	ck_assert_int_eq(pipit_fallback(servers[1], note_native, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(servers[2], PIPIT_GET, "/x", program_reply_text, program_hello), 0);
	EXPECT_FAILURE(guard_heard(NULL, other.http, &lines), -EINVAL);
	EXPECT_FAILURE(guard_heard(servers[0], NULL, &lines), -EINVAL);
	EXPECT_FAILURE(guard_heard(servers[0], without_base, &lines), -EINVAL);
	/* By pipit_evhttp_bind_socket(). */
	EXPECT_FAILURE(guard_heard(servers[0], program.http, &lines), -EALREADY);
	EXPECT_FAILURE(guard_heard(servers[1], other.http, &lines), -EEXIST);
	EXPECT_FAILURE(guard_heard(servers[2], other.http, &lines), -EINVAL);
	EXPECT_FAILURE(guard_heard(servers[4], other.http, &lines), -EADDRINUSE);
	ck_assert_int_eq(pipit_server_attach(servers[3], program_loop.base), 0);
	EXPECT_FAILURE(guard_heard(servers[3], other.http, &lines), -EBUSY);
	/* A failed call does not use up the server. */
	ck_assert_int_eq(pipit_server_guard_evhttp(servers[5], other.http), 0);
	EXPECT_FAILURE(guard_heard(servers[0], other.http, &lines), -EALREADY);
	program_add_socket(&other);
	loop_run(&program_loop);
	program_expect_guarded(other.port);
	loop_stop(&program_loop);
	for (size_t i = 0; i < COUNT(servers); i++)
		pipit_server_free(servers[i]);
	loop_turn(&program_loop, 2);
	ck_assert_uint_eq(loop_descriptors(), before);
	evhttp_free(without_base);
	evhttp_free(other.http);
}
END_TEST

START_TEST(guards_with_the_same_server_once_the_port_is_free)
{
	struct program other = { .http = NULL };
	struct pipit_server *guarding;
	char taken[64];
	unsigned port = program.port;

	loop_stop(&program_loop);
	snprintf(taken, sizeof taken, "127.0.0.1:%u", port);
	guarding = new_server(taken);
	other.http = program_new_evhttp(program_loop.base);
	for (int i = 0; i < 2; i++)
		EXPECT_FAILURE(guard_heard(guarding, other.http, &lines), -EADDRINUSE);
	delete_socket(&program);
	ck_assert_int_eq(pipit_server_guard_evhttp(guarding, other.http), 0);
	loop_run(&program_loop);
	program_expect_guarded(port);
	loop_stop(&program_loop);
	pipit_server_free(guarding);
	evhttp_free(other.http);
}
END_TEST

/* Each descriptor that it opens is the one that fails, in turn. */
START_TEST(leaks_nothing_when_descriptors_run_out_while_the_guard_starts)
{
	struct program other = { .http = NULL };
	struct rlimit limit, low;
	size_t before;
	int lowest, result = -1;

	loop_stop(&program_loop);
	other.http = program_new_evhttp(program_loop.base);
	before = loop_descriptors();
	lowest = dup(STDIN_FILENO);
	close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t more = 0; result != 0; more++) {
		ck_assert_uint_lt(more, 64);
		low = (struct rlimit){ (rlim_t)lowest + more, limit.rlim_max };
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
		result = pipit_evhttp_bind_socket(other.http, "127.0.0.1", 0);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (result == 0)
			break;
		ck_assert_int_lt(result, 0);
		loop_turn(&program_loop, 2);
		/* A guard that was set stays, as an evhttp's own would. */
	}
	evhttp_free(other.http);
	loop_turn(&program_loop, 2);
	ck_assert_uint_eq(loop_descriptors(), before);
	loop_run(&program_loop);
	program_expect_guarded(program.port);
}
END_TEST

/* ---------------------------------------------------------------- no memory */

#define BLOCKS 16384

static void *blocks[BLOCKS];
static size_t block_count;

/* All allocations but those of the reserve itself. */
static void *have_no_blocks(size_t size)
{
	return size == PIPIT_OOM_RESERVE_BLOCK_BYTES ? NULL : malloc(size);
}

/* The reserve is then low, with memory for the requests in progress. */
static void use_up_reserve(void *arg)
{
	(void)arg;
	pipit_oom_reserve_set_heap(have_no_blocks, realloc);
	while (block_count < BLOCKS / 2)
		blocks[block_count++] = pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES);
	if (!pipit_oom_reserve_is_low())
		abort();
}

static void fill_reserve(void *arg)
{
	(void)arg;
	pipit_oom_reserve_set_heap(malloc, realloc);
	while (block_count)
		pipit_oom_reserve_free(blocks[--block_count]);
}

/* All sockets pause accepting then. */
START_TEST(closes_clients_of_a_socket_that_the_program_binds_while_memory_is_short)
{
	struct program own = { .http = NULL };
	struct wire_response response;
	int fd, last, late;

	ck_assert_int_eq(pipit_reserve_memory(BLOCKS * PIPIT_OOM_RESERVE_BLOCK_BYTES), 0);
	program_set_up_bound();
	fd = wire_connect(program.port);
	program_expect_hello(fd);
	loop_call(&program_loop, use_up_reserve, NULL);
	/* The last client for which there is memory. */
	last = wire_connect(program.port);
	response = program_get(last, "/");
	ck_assert_int_eq(response.status, 503);
	wire_free(&response);
	close(last);
	own.http = program.http;
	loop_call(&program_loop, program_bind_plain_socket, &own);
	late = wire_connect(own.port);
	ck_assert(wire_print(late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_is_closed(late));
	close(late);
	loop_call(&program_loop, fill_reserve, NULL);
	program_expect_guarded(own.port);
	program_expect_guarded(program.port);
	program_expect_hello(fd);
	close(fd);
	program_tear_down();
	pipit_oom_reserve_clear();
}
END_TEST

/* ---------------------------------------------------------------- the suite */

int main(void)
{
	Suite *suite = suite_create("evhttp guard, sockets");
	TCase *tcase = tcase_create("bound");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, program_set_up_bound, program_tear_down);
	tcase_add_test(tcase, accepts_again_after_a_pause_although_a_socket_was_deleted);
	tcase_add_test(tcase, accepts_sockets_up_to_its_limit_and_again_after_a_deletion);
	tcase_add_test(tcase, keeps_running_when_all_sockets_were_deleted);
	tcase_add_test(tcase, closes_an_idle_connection_that_the_program_frees);
	tcase_add_loop_test(tcase, closes_a_connection_that_a_callback_frees_at_once_or_later, 0, COUNT(freeing));
	tcase_add_test(tcase, replies_of_a_connection_that_a_callback_frees_reach_no_other_client);
	tcase_add_test(tcase, closes_a_connection_that_the_program_frees_while_its_reply_waits);
	tcase_add_test(tcase, refuses_an_invalid_address_and_reports_why);
	tcase_add_test(tcase, serves_an_evhttp_whose_first_address_could_not_be_bound);
	tcase_add_test(tcase, refuses_to_guard_twice_or_with_an_unsuitable_server);
	tcase_add_test(tcase, guards_with_the_same_server_once_the_port_is_free);
	tcase_add_test(tcase, leaks_nothing_when_descriptors_run_out_while_the_guard_starts);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("server");
	tcase_add_checked_fixture(tcase, program_set_up_server, program_tear_down_server);
	tcase_add_test(tcase, drains_although_a_socket_was_deleted);
	tcase_add_test(tcase, keeps_a_socket_that_the_program_binds_in_place_of_a_deleted_one);
	suite_add_tcase(suite, tcase);

	/* Last, because libevent keeps these memory functions. */
	tcase = tcase_create("no memory");
	tcase_add_test(tcase, closes_clients_of_a_socket_that_the_program_binds_while_memory_is_short);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
