/* SPDX-License-Identifier: MIT */
/*
 * A program's evhttp, its base and a server in front of it end in any order, with clients in every state: none of it leaks or
 * touches what is gone (sanitizers and valgrind look), and no descriptor stays open. Sockets come and go, and wrong use is told.
 */
#include "loop.h"
#include "pipit.h"
#include "reserve.h"
#include "suite.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* More than a socket takes. */
#define LARGE (16u * 1024 * 1024)
/* No test has as many descriptors. */
#define SPARE_MAX 1024

/* ---------------------------------------------------------------- the program */

/* An evhttp and where it listens. */
struct program {
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	unsigned port;
};

static struct loop loop;
static struct program program;
static struct pipit_server *server; /* in front of program.http; NULL: none of the program's */
static size_t descriptors;          /* before anything was made */

/* What the last callback was given, and how many have been called; read by the test after the count. */
static struct evhttp_request *last_request;
static struct evhttp_connection *last_connection;
static atomic_int called;

static void keep(struct evhttp_request *request)
{
	last_request = request;
	last_connection = evhttp_request_get_connection(request);
	atomic_fetch_add(&called, 1);
}

static void reply_text(struct evhttp_request *request, void *text)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add_printf(content, "%s", (const char *)text);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void keep_and_reply_text(struct evhttp_request *request, void *text)
{
	keep(request);
	reply_text(request, text);
}

static void defer(struct evhttp_request *request, void *arg)
{
	(void)arg;
	keep(request);
}

static void send_chunk(struct evhttp_request *request, size_t length)
{
	struct evbuffer *content = evbuffer_new();
	char piece[4096];
	memset(piece, 'a', sizeof piece);
	for (size_t left = length; left > 0; left -= left < sizeof piece ? left : sizeof piece)
		evbuffer_add(content, piece, left < sizeof piece ? left : sizeof piece);
	evhttp_send_reply_chunk(request, content);
	evbuffer_free(content);
}

static void send_half(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply_start(request, 200, "OK");
	send_chunk(request, 5);
	keep(request);
}

/* Half of a reply, and more than the socket takes. */
static void send_large_half(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply_start(request, 200, "OK");
	send_chunk(request, LARGE);
	keep(request);
}

static void send_large(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	char piece[4096];
	(void)arg;
	memset(piece, 'a', sizeof piece);
	for (size_t i = 0; i < LARGE; i += sizeof piece)
		evbuffer_add(content, piece, sizeof piece);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
	keep(request);
}

static void free_connection(struct evhttp_request *request, void *arg)
{
	(void)arg;
	keep(request);
	evhttp_connection_free(last_connection);
}

static void free_connection_now(evutil_socket_t fd, short what, void *connection)
{
	(void)fd, (void)what;
	evhttp_connection_free(connection);
}

static void free_connection_later(struct evhttp_request *request, void *arg)
{
	const struct timeval soon = { 0, 1000 };
	(void)arg;
	keep(request);
	event_base_once(loop.base, -1, EV_TIMEOUT, free_connection_now, last_connection, &soon);
}

/* The program ends its evhttp in a callback. */
static void reply_and_free_evhttp(struct evhttp_request *request, void *http)
{
	evhttp_send_reply(request, 200, "OK", NULL);
	evhttp_free(http);
	if (http == program.http)
		program.http = NULL;
	atomic_fetch_add(&called, 1);
}

static char hello[] = "hello";

static unsigned port_of(struct evhttp_bound_socket *bound)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

static struct evhttp *new_evhttp(struct event_base *base)
{
	struct evhttp *http = evhttp_new(base);
	ck_assert_ptr_nonnull(http);
	evhttp_set_gencb(http, reply_text, hello);
	evhttp_set_cb(http, "/kept", keep_and_reply_text, hello);
	evhttp_set_cb(http, "/defer", defer, NULL);
	evhttp_set_cb(http, "/half", send_half, NULL);
	evhttp_set_cb(http, "/large-half", send_large_half, NULL);
	evhttp_set_cb(http, "/large", send_large, NULL);
	evhttp_set_cb(http, "/free", free_connection, NULL);
	evhttp_set_cb(http, "/free/later", free_connection_later, NULL);
	evhttp_set_cb(http, "/end", reply_and_free_evhttp, http);
	return http;
}

static void add_socket(struct program *to)
{
	to->bound = pipit_evhttp_bind_socket_with_handle(to->http, "127.0.0.1", 0);
	ck_assert_ptr_nonnull(to->bound);
	to->port = port_of(to->bound);
}

static void start_program(struct program *made, struct event_base *base)
{
	made->http = new_evhttp(base);
	add_socket(made);
}

static void end_in_handler(struct pipit_request *request, void *http)
{
	evhttp_free(http);
	program.http = NULL;
	pipit_reply_text(request, 200, hello);
	atomic_fetch_add(&called, 1);
}

static void guard_by_server(struct evhttp *http)
{
	struct pipit_config config;

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.log_level = "error";
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/native/end", end_in_handler, http), 0);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, http), 0);
}

/* --- the fixture: a base that does not run yet --- */

static void set_up(void)
{
	descriptors = loop_descriptors();
	called = 0;
	server = NULL;
	program = (struct program){ 0 };
	loop_open(&loop);
}

static void set_up_bound(void)
{
	set_up();
	start_program(&program, loop.base);
	loop_run(&loop);
}

static void set_up_server(void)
{
	set_up();
	program.http = new_evhttp(loop.base);
	guard_by_server(program.http);
	program.port = (unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1);
	loop_run(&loop);
}

static void end_base(void)
{
	loop_leave(&loop);
	event_base_free(loop.base);
	ck_assert_uint_eq(loop_descriptors(), descriptors);
}

static void tear_down(void)
{
	loop_stop(&loop);
	if (program.http)
		evhttp_free(program.http);
	end_base();
}

static void tear_down_server(void)
{
	loop_stop(&loop);
	pipit_server_free(server);
	tear_down();
}

/* ---------------------------------------------------------------- asking */

static struct wire_response get(int fd, const char *target)
{
	return wire_ask(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
}

static void expect_hello_of(int fd, const char *target)
{
	struct wire_response response = get(fd, target);
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, hello);
	wire_free(&response);
}

static void expect_hello(int fd)
{
	expect_hello_of(fd, "/");
}

/* Served, and by way of the guard: evhttp would take the second request. */
static void expect_guarded(unsigned port)
{
	struct wire_response response;
	int fd = wire_connect(port);
	expect_hello(fd);
	response = wire_ask(fd, "GET / HTTP/1.1\nHost: x\n\n");
	ck_assert_int_eq(response.status, 400);
	wire_free(&response);
	ck_assert(wire_is_closed(fd));
	close(fd);
}

/* Served by evhttp alone, which does not know a host from a dog. */
static void expect_unguarded(unsigned port)
{
	struct wire_response response;
	int fd = wire_connect(port);
	expect_hello(fd);
	response = wire_ask(fd, "GET / HTTP/1.1\nHost: x\n\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
}

static void expect_unreachable(unsigned port)
{
	int fd = wire_try_connect(port);
	ck_assert_int_lt(fd, 0);
}

static bool was_called(void *times)
{
	return atomic_load(&called) >= *(int *)times;
}

static void wait_for_call(int times)
{
	ck_assert(wire_wait(was_called, &times));
}

/* What the loop has to do with the clients of before is done. */
static void let_turns_pass(unsigned port)
{
	int fd = wire_connect(port);
	for (int i = 0; i < 3; i++)
		expect_hello(fd);
	close(fd);
}

static void reset(int fd)
{
	struct linger none = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
}

/* ---------------------------------------------------------------- the end, in any order */

/* A client that the end meets. */
static const char *const clients[] = {
	"",                       /* none */
	"/kept",                  /* idle after a request */
	"/defer",                 /* the callback has not replied */
	"/half",                  /* nor to the end */
	"/large",                 /* the reply waits for the client to read */
	"/large-half", "partial", /* its head has not ended */
	"fresh",                  /* accepted in the turn before, or in none */
	"broken",                 /* accepted when the loop was broken, in the middle of a turn */
	"gone",                   /* it has reset, its callback has not replied */
};

static bool keeps_request(const char *client)
{
	return strcmp(client, "/defer") == 0 || strcmp(client, "/half") == 0 || strcmp(client, "/large-half") == 0;
}

static bool is_served_by_none(void *arg)
{
	(void)arg;
	return pipit_server_connections(server) == 0;
}

/* The descriptor, or -1. The loop does not run when it returns. */
static int bring(const char *client)
{
	bool is_new = strcmp(client, "fresh") == 0 || strcmp(client, "broken") == 0;
	int fd = *client && !is_new ? wire_connect(program.port) : -1;

	if (*client == '/') {
		ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", client));
		wait_for_call(1);
		ck_assert(keeps_request(client) || wire_is_readable(fd, WIRE_PATIENCE_MS));
		let_turns_pass(program.port);
	} else if (strcmp(client, "partial") == 0) {
		ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHo"));
		let_turns_pass(program.port);
	} else if (strcmp(client, "gone") == 0) {
		ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
		wait_for_call(1);
		reset(fd);
		fd = -1;
		/* The server tells when it has noticed. */
		if (server)
			ck_assert(wire_wait(is_served_by_none, NULL));
	}
	loop_stop(&loop);
	if (is_new) {
		/* epoll tells what it has told before once more, first. */
		loop_turn(&loop, 1);
		fd = wire_connect(program.port);
		ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	}
	if (strcmp(client, "broken") == 0) {
		loop_break_next_turn(&loop);
		loop_turn(&loop, 1);
	}
	return fd;
}

/* The callback replies, to whom it may be. */
static void reply_late(const char *client)
{
	if (strcmp(client, "/half") == 0 || strcmp(client, "/large-half") == 0) {
		send_chunk(last_request, 5);
		evhttp_send_reply_end(last_request);
	} else {
		evhttp_send_reply(last_request, 200, "OK", NULL);
	}
}

/*
 * S: pipit_server_free(); H: evhttp_free(); B: event_base_free(); T: a turn of the loop; R: the callback of a deferred request
 * replies, where it may: evhttp_free() frees the requests of its connections, and those that have none are the callback's.
 */
static void end_in_order(const char *client, const char *order)
{
	int fd = bring(client);
	bool has_request = keeps_request(client) && server;

	/* Else evhttp_free() may come before the loss of the client is noticed. */
	if (strcmp(client, "gone") == 0 && server)
		has_request = true;
	for (const char *step = order; *step; step++) {
		switch (*step) {
		case 'S':
			pipit_server_free(server);
			server = NULL;
			break;
		case 'H':
			evhttp_free(program.http);
			/* A request that still has a connection is gone now. */
			has_request &= server == NULL || strcmp(client, "gone") == 0;
			break;
		case 'T':
			loop_turn(&loop, 1);
			break;
		case 'B':
			loop_leave(&loop);
			event_base_free(loop.base);
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
	ck_assert_uint_eq(loop_descriptors(), descriptors);
}

static const char *const orders_of_two[] = { "HB", "HTB", "HTTTB", "THB", "TTHTB" };

START_TEST(ends_with_the_evhttp_and_then_its_base)
{
	const char *client = clients[(size_t)_i / COUNT(orders_of_two)];
	const char *order = orders_of_two[(size_t)_i % COUNT(orders_of_two)];

	/* Nobody says when the loss is noticed. */
	if (strcmp(client, "gone") == 0)
		return;
	set_up_bound();
	end_in_order(client, order);
}
END_TEST

static const char *const orders_of_three[] = { "SHB", "SRHB", "STHTB", "SHRB", "HBS", "HTBS", "HTTBS", "HSB", "HRSTB",
	"HTSTB", "TSHB", "THSB", "RSHB", "HBRS", "SHBR" };

START_TEST(ends_with_evhttp_base_and_server_in_any_order)
{
	const char *client = clients[(size_t)_i / COUNT(orders_of_three)];
	const char *order = orders_of_three[(size_t)_i % COUNT(orders_of_three)];

	set_up_server();
	end_in_order(client, order);
}
END_TEST

static void end_evhttp(void *arg)
{
	(void)arg;
	evhttp_free(program.http);
	program.http = NULL;
}

/* The loop goes on. */
START_TEST(ends_with_the_evhttp_while_the_loop_runs)
{
	const char *client = clients[_i];
	int fd = *client ? wire_connect(program.port) : -1;

	if (*client == '/') {
		ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", client));
		wait_for_call(1);
	}
	loop_call(&loop, end_evhttp, NULL);
	if (fd >= 0)
		free(wire_read_all(fd, NULL));
	close(fd);
	expect_unreachable(program.port);
}
END_TEST

START_TEST(ends_with_an_evhttp_that_its_own_callback_frees)
{
	int fd = wire_connect(program.port), idle = wire_connect(program.port);

	expect_hello(idle);
	ck_assert(wire_print(fd, "GET /end HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_call(1);
	free(wire_read_all(fd, NULL));
	ck_assert(wire_is_closed(idle));
	expect_unreachable(program.port);
	close(fd);
	close(idle);
}
END_TEST

static void *dispatch(void *base)
{
	event_base_dispatch(base);
	atomic_fetch_add(&called, 1);
	return NULL;
}

/* The guard is no reason for a loop to go on. */
START_TEST(lets_the_loop_return_when_the_evhttp_was_freed)
{
	struct event_base *base = event_base_new();
	struct program other;
	pthread_t thread;
	int fd;

	start_program(&other, base);
	ck_assert_int_eq(pthread_create(&thread, NULL, dispatch, base), 0);
	expect_guarded(other.port);
	fd = wire_connect(other.port);
	ck_assert(wire_print(fd, "GET /end HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_call(2);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	event_base_free(base);
	free(wire_read_all(fd, NULL));
	close(fd);
}
END_TEST

static void end_server(void *arg)
{
	(void)arg;
	pipit_server_free(server);
	server = NULL;
}

/* pipit_server_free() may come later, when no loop runs. */
START_TEST(ends_with_an_evhttp_that_a_native_handler_frees)
{
	int fd = wire_connect(program.port), idle = wire_connect(program.port);

	expect_hello(idle);
	ck_assert(wire_print(fd, "GET /native/end HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_call(1);
	free(wire_read_all(fd, NULL));
	ck_assert(wire_is_closed(idle));
	expect_unreachable(program.port);
	ck_assert_uint_eq(pipit_server_connections(server), 0);
	pipit_server_drain(server);
	close(fd);
	close(idle);
}
END_TEST

static void bind_plain_socket(void *made)
{
	struct program *to = made;
	to->bound = evhttp_bind_socket_with_handle(to->http, "127.0.0.1", 0);
	to->port = port_of(to->bound);
}

START_TEST(leaves_the_evhttp_without_a_guard_when_the_server_is_freed)
{
	int fd = wire_connect(program.port);
	unsigned before;

	loop_call(&loop, bind_plain_socket, &program);
	before = program.port;
	expect_guarded(before);
	expect_hello(fd);
	loop_call(&loop, end_server, NULL);
	ck_assert(wire_is_closed(fd));
	close(fd);
	expect_unguarded(before);
	loop_call(&loop, bind_plain_socket, &program);
	expect_unguarded(program.port);
}
END_TEST

static void guard_again(void *arg)
{
	(void)arg;
	guard_by_server(program.http);
}

START_TEST(takes_a_new_server_when_the_old_one_was_freed)
{
	for (int i = 0; i < 3; i++) {
		loop_call(&loop, end_server, NULL);
		loop_call(&loop, guard_again, NULL);
		expect_guarded((unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1));
	}
}
END_TEST

/* ---------------------------------------------------------------- several evhttps */

static void start_another(void *made)
{
	start_program(made, loop.base);
}

static void end_another(void *made)
{
	struct program *ended = made;
	evhttp_free(ended->http);
}

START_TEST(guards_several_evhttps_of_one_base_and_frees_each_by_itself)
{
	struct program others[3];
	int fds[3];

	for (size_t i = 0; i < COUNT(others); i++) {
		loop_call(&loop, start_another, &others[i]);
		expect_guarded(others[i].port);
		fds[i] = wire_connect(others[i].port);
		expect_hello(fds[i]);
	}
	loop_call(&loop, end_another, &others[1]);
	ck_assert(wire_is_closed(fds[1]));
	expect_unreachable(others[1].port);
	for (size_t i = 0; i < COUNT(others); i += 2) {
		expect_hello(fds[i]);
		expect_guarded(others[i].port);
	}
	expect_guarded(program.port);
	loop_call(&loop, end_another, &others[0]);
	loop_call(&loop, end_another, &others[2]);
	expect_guarded(program.port);
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
	start_program(&other, second.base);
	loop_run(&second);
	fd = wire_connect(program.port);
	other_fd = wire_connect(other.port);
	for (int i = 0; i < 3; i++) {
		expect_hello(fd);
		expect_hello(other_fd);
	}
	loop_leave(&second);
	evhttp_free(other.http);
	event_base_free(second.base);
	ck_assert(wire_is_closed(other_fd));
	expect_hello(fd);
	expect_guarded(program.port);
	close(fd);
	close(other_fd);
}
END_TEST

/* Its address is probably that of the last one. */
static void replace_evhttp(void *arg)
{
	(void)arg;
	evhttp_free(program.http);
	start_program(&program, loop.base);
}

START_TEST(guards_an_evhttp_at_the_address_of_one_that_was_freed)
{
	for (int i = 0; i < 5; i++) {
		int fd = wire_connect(program.port);
		expect_hello(fd);
		loop_call(&loop, replace_evhttp, NULL);
		ck_assert(wire_is_closed(fd));
		close(fd);
		expect_guarded(program.port);
	}
}
END_TEST

/* ---------------------------------------------------------------- sockets */

static void add_socket_now(void *to)
{
	add_socket(to);
}

static void delete_socket(void *of)
{
	struct program *from = of;
	evhttp_del_accept_socket(from->http, from->bound);
}

/* The process gets no descriptor any more, until the limit is set again. */
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

/* A client arrives for whom there is no descriptor, until an idle one is evicted. */
static void let_accepting_fail(unsigned port)
{
	int spare[SPARE_MAX], idle = wire_connect(port), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	struct timeval patience = { WIRE_PATIENCE_MS / 1000, 0 };
	struct rlimit limit;
	size_t count;
	char *bytes;

	expect_hello(idle);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	limit = use_up_descriptors(spare, &count);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	bytes = wire_read_all(fd, NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_ptr_nonnull(strstr(bytes, hello));
	ck_assert(wire_is_closed(idle));
	free(bytes);
	while (count)
		close(spare[--count]);
	close(idle);
	close(fd);
}

START_TEST(opens_again_after_a_pause_although_a_socket_was_deleted)
{
	struct program second = program, third = program;

	loop_call(&loop, add_socket_now, &second);
	loop_call(&loop, add_socket_now, &third);
	expect_guarded(second.port);
	loop_call(&loop, delete_socket, &second);
	expect_unreachable(second.port);
	let_accepting_fail(program.port);
	expect_guarded(program.port);
	expect_guarded(third.port);
}
END_TEST

static void drain_server(void *arg)
{
	(void)arg;
	pipit_server_drain(server);
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

	loop_call(&loop, add_socket_now, &second);
	loop_call(&loop, add_socket_now, &third);
	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_call(1);
	loop_call(&loop, delete_socket, &second);
	loop_call(&loop, drain_server, NULL);
	ck_assert(wire_wait(is_unreachable, &program.port));
	ck_assert(wire_wait(is_unreachable, &third.port));
	ck_assert_uint_eq(pipit_server_connections(server), 1);
	loop_stop(&loop);
	evhttp_send_reply(last_request, 200, "OK", NULL);
	loop_run(&loop);
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 200);
	ck_assert(response.closes);
	wire_free(&response);
	ck_assert(wire_is_closed(fd));
	ck_assert(wire_wait(is_served_by_none, NULL));
	close(fd);
}
END_TEST

START_TEST(takes_as_many_sockets_as_there_is_room_for_and_again_after_one_was_deleted)
{
	struct program sockets[PIPIT_LISTEN_MAX];

	loop_stop(&loop);
	sockets[0] = program;
	for (size_t i = 1; i < PIPIT_LISTEN_MAX; i++) {
		sockets[i] = program;
		add_socket(&sockets[i]);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pipit_evhttp_bind_socket(program.http, "127.0.0.1", 0), -ENOSPC);
		delete_socket(&sockets[i]);
		add_socket(&sockets[i]);
	}
	loop_run(&loop);
	for (size_t i = 0; i < PIPIT_LISTEN_MAX; i++)
		expect_guarded(sockets[i].port);
}
END_TEST

START_TEST(goes_on_when_all_sockets_were_deleted)
{
	int fd = wire_connect(program.port);

	expect_hello(fd);
	loop_call(&loop, delete_socket, &program);
	expect_unreachable(program.port);
	expect_hello(fd);
	loop_call(&loop, add_socket_now, &program);
	expect_guarded(program.port);
	expect_hello(fd);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- connections that the program frees */

static void free_last_connection(void *arg)
{
	(void)arg;
	evhttp_connection_free(last_connection);
}

START_TEST(closes_an_idle_connection_that_the_program_frees)
{
	int other = wire_connect(program.port), fd = wire_connect(program.port);

	expect_hello(other);
	expect_hello_of(fd, "/kept");
	loop_call(&loop, free_last_connection, NULL);
	ck_assert(wire_is_closed(fd));
	expect_hello(other);
	close(fd);
	close(other);
}
END_TEST

static const char *const freeing[] = { "/free", "/free/later" };

START_TEST(closes_a_connection_that_a_callback_frees_at_once_or_later)
{
	int other = wire_connect(program.port);

	expect_hello(other);
	for (int i = 0; i < 3; i++) {
		int fd = wire_connect(program.port);
		ck_assert(
		    wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", freeing[_i]));
		ck_assert(wire_is_closed(fd));
		close(fd);
		expect_hello(other);
	}
	close(other);
}
END_TEST

START_TEST(closes_a_connection_that_the_program_frees_while_its_reply_waits)
{
	int other = wire_connect(program.port), fd = wire_connect(program.port);
	size_t length;
	char *bytes;

	ck_assert(wire_print(fd, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_call(1);
	loop_call(&loop, free_last_connection, NULL);
	bytes = wire_read_all(fd, &length);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_lt(length, LARGE);
	free(bytes);
	expect_hello(other);
	close(fd);
	close(other);
}
END_TEST

/* ---------------------------------------------------------------- wrong use */

static char errors[4096];

/* What is written to standard error until end_listening(). */
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

/* How many lines of ours that was. */
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
	/* libevent may have one to say too. */
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

START_TEST(refuses_to_bind_what_cannot_be_and_says_why)
{
	struct evhttp *without_base = evhttp_new(NULL);
	size_t before;

	loop_stop(&loop);
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
	loop_run(&loop);
	expect_guarded(program.port);
}
END_TEST

/* The first address of an evhttp fails: it is guarded then, with nowhere to listen, or not. */
START_TEST(serves_an_evhttp_whose_first_address_could_not_be_bound)
{
	struct program other = { .http = NULL };

	loop_stop(&loop);
	other.http = new_evhttp(loop.base);
	EXPECT_FAILURE(bind_heard(other.http, "127.0.0.1", program.port, &lines), -EADDRINUSE);
	add_socket(&other);
	loop_run(&loop);
	expect_guarded(other.port);
	loop_call(&loop, end_another, &other);
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

START_TEST(refuses_to_guard_twice_or_with_a_server_that_cannot)
{
	struct program other = { .http = NULL };
	struct evhttp *without_base = evhttp_new(NULL);
	char taken[64];
	struct pipit_server *servers[6];
	size_t before;

	loop_stop(&loop);
	other.http = new_evhttp(loop.base);
	before = loop_descriptors();
	snprintf(taken, sizeof taken, "127.0.0.1:%u", program.port);
	for (size_t i = 0; i < COUNT(servers); i++)
		servers[i] = new_server(i == 4 ? taken : "127.0.0.1:0");
	ck_assert_int_eq(pipit_fallback(servers[1], note_native, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(servers[2], PIPIT_GET, "/x", reply_text, hello), 0);
	EXPECT_FAILURE(guard_heard(NULL, other.http, &lines), -EINVAL);
	EXPECT_FAILURE(guard_heard(servers[0], NULL, &lines), -EINVAL);
	EXPECT_FAILURE(guard_heard(servers[0], without_base, &lines), -EINVAL);
	/* By pipit_evhttp_bind_socket(). */
	EXPECT_FAILURE(guard_heard(servers[0], program.http, &lines), -EALREADY);
	EXPECT_FAILURE(guard_heard(servers[1], other.http, &lines), -EEXIST);
	EXPECT_FAILURE(guard_heard(servers[2], other.http, &lines), -EINVAL);
	EXPECT_FAILURE(guard_heard(servers[4], other.http, &lines), -EADDRINUSE);
	ck_assert_int_eq(pipit_server_attach(servers[3], loop.base), 0);
	EXPECT_FAILURE(guard_heard(servers[3], other.http, &lines), -EBUSY);
	/* What failed has not used it up. */
	ck_assert_int_eq(pipit_server_guard_evhttp(servers[5], other.http), 0);
	EXPECT_FAILURE(guard_heard(servers[0], other.http, &lines), -EALREADY);
	add_socket(&other);
	loop_run(&loop);
	expect_guarded(other.port);
	loop_stop(&loop);
	for (size_t i = 0; i < COUNT(servers); i++)
		pipit_server_free(servers[i]);
	loop_turn(&loop, 2);
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

	loop_stop(&loop);
	snprintf(taken, sizeof taken, "127.0.0.1:%u", port);
	guarding = new_server(taken);
	other.http = new_evhttp(loop.base);
	for (int i = 0; i < 2; i++)
		EXPECT_FAILURE(guard_heard(guarding, other.http, &lines), -EADDRINUSE);
	delete_socket(&program);
	ck_assert_int_eq(pipit_server_guard_evhttp(guarding, other.http), 0);
	loop_run(&loop);
	expect_guarded(port);
	loop_stop(&loop);
	pipit_server_free(guarding);
	evhttp_free(other.http);
}
END_TEST

/* Every descriptor that it needs may be the one that is missing. */
START_TEST(leaks_nothing_when_descriptors_run_out_while_it_begins_to_guard)
{
	struct program other = { .http = NULL };
	struct rlimit limit, low;
	size_t before;
	int lowest, result = -1;

	loop_stop(&loop);
	other.http = new_evhttp(loop.base);
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
		loop_turn(&loop, 2);
		/* Once the guard is there it stays, as an evhttp's own would. */
	}
	evhttp_free(other.http);
	loop_turn(&loop, 2);
	ck_assert_uint_eq(loop_descriptors(), before);
	loop_run(&loop);
	expect_guarded(program.port);
}
END_TEST

/* ---------------------------------------------------------------- no memory */

#define BLOCKS 16384

static void *blocks[BLOCKS];
static size_t block_count;

/* All but what the reserve itself asks for. */
static void *have_no_blocks(size_t size)
{
	return size == PIPIT_RESERVE_BLOCK_BYTES ? NULL : malloc(size);
}

/* The reserve is low then, and memory for what has begun is there. */
static void use_up_reserve(void *arg)
{
	(void)arg;
	pipit_reserve_set_heap(have_no_blocks, realloc);
	while (block_count < BLOCKS / 2)
		blocks[block_count++] = pipit_reserve_malloc(PIPIT_RESERVE_BLOCK_BYTES);
	if (!pipit_reserve_is_low())
		abort();
}

static void fill_reserve(void *arg)
{
	(void)arg;
	pipit_reserve_set_heap(malloc, realloc);
	while (block_count)
		pipit_reserve_free(blocks[--block_count]);
}

/* Accepting pauses then, of all sockets that there are. */
START_TEST(closes_clients_of_a_socket_that_the_program_binds_while_memory_is_short)
{
	struct program own = { .http = NULL };
	struct wire_response response;
	int fd, last, late;

	ck_assert_int_eq(pipit_reserve_memory(BLOCKS * PIPIT_RESERVE_BLOCK_BYTES), 0);
	set_up_bound();
	fd = wire_connect(program.port);
	expect_hello(fd);
	loop_call(&loop, use_up_reserve, NULL);
	/* The last for whom there is memory. */
	last = wire_connect(program.port);
	response = get(last, "/");
	ck_assert_int_eq(response.status, 503);
	wire_free(&response);
	close(last);
	own.http = program.http;
	loop_call(&loop, bind_plain_socket, &own);
	late = wire_connect(own.port);
	ck_assert(wire_print(late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_is_closed(late));
	close(late);
	loop_call(&loop, fill_reserve, NULL);
	expect_guarded(own.port);
	expect_guarded(program.port);
	expect_hello(fd);
	close(fd);
	tear_down();
	pipit_reserve_clear();
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
	tcase_add_checked_fixture(tcase, set_up_bound, tear_down);
	tcase_add_loop_test(tcase, ends_with_the_evhttp_while_the_loop_runs, 0, 6);
	tcase_add_test(tcase, ends_with_an_evhttp_that_its_own_callback_frees);
	tcase_add_test(tcase, lets_the_loop_return_when_the_evhttp_was_freed);
	tcase_add_test(tcase, guards_several_evhttps_of_one_base_and_frees_each_by_itself);
	tcase_add_test(tcase, guards_evhttps_of_several_bases);
	tcase_add_test(tcase, guards_an_evhttp_at_the_address_of_one_that_was_freed);
	tcase_add_test(tcase, opens_again_after_a_pause_although_a_socket_was_deleted);
	tcase_add_test(tcase, takes_as_many_sockets_as_there_is_room_for_and_again_after_one_was_deleted);
	tcase_add_test(tcase, goes_on_when_all_sockets_were_deleted);
	tcase_add_test(tcase, closes_an_idle_connection_that_the_program_frees);
	tcase_add_loop_test(tcase, closes_a_connection_that_a_callback_frees_at_once_or_later, 0, COUNT(freeing));
	tcase_add_test(tcase, closes_a_connection_that_the_program_frees_while_its_reply_waits);
	tcase_add_test(tcase, refuses_to_bind_what_cannot_be_and_says_why);
	tcase_add_test(tcase, serves_an_evhttp_whose_first_address_could_not_be_bound);
	tcase_add_test(tcase, refuses_to_guard_twice_or_with_a_server_that_cannot);
	tcase_add_test(tcase, guards_with_the_same_server_once_the_port_is_free);
	tcase_add_test(tcase, leaks_nothing_when_descriptors_run_out_while_it_begins_to_guard);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("server");
	tcase_add_checked_fixture(tcase, set_up_server, tear_down_server);
	tcase_add_test(tcase, ends_with_an_evhttp_that_a_native_handler_frees);
	tcase_add_test(tcase, leaves_the_evhttp_without_a_guard_when_the_server_is_freed);
	tcase_add_test(tcase, takes_a_new_server_when_the_old_one_was_freed);
	tcase_add_test(tcase, drains_although_a_socket_was_deleted);
	suite_add_tcase(suite, tcase);

	/* The last one: libevent keeps these functions for its memory. */
	tcase = tcase_create("no memory");
	tcase_add_test(tcase, closes_clients_of_a_socket_that_the_program_binds_while_memory_is_short);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
