/* SPDX-License-Identifier: MIT */
/* See evhttp_program.h. */
#include "evhttp_program.h"

#include "pipit.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---------------------------------------------------------------- the program */

struct loop program_loop;
struct program program;
struct pipit_server *program_server;
size_t program_descriptors;

struct evhttp_request *program_last_request;
struct evhttp_connection *program_last_connection;
atomic_int program_called;

static void keep(struct evhttp_request *request)
{
	program_last_request = request;
	program_last_connection = evhttp_request_get_connection(request);
	atomic_fetch_add(&program_called, 1);
}

void program_reply_text(struct evhttp_request *request, void *text)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add_printf(content, "%s", (const char *)text);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void keep_and_reply_text(struct evhttp_request *request, void *text)
{
	keep(request);
	program_reply_text(request, text);
}

static void defer(struct evhttp_request *request, void *arg)
{
	(void)arg;
	keep(request);
}

void program_send_chunk(struct evhttp_request *request, size_t length)
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
	program_send_chunk(request, 5);
	keep(request);
}

/* Half of a reply, and more than the socket buffers. */
static void send_large_half(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply_start(request, 200, "OK");
	program_send_chunk(request, PROGRAM_LARGE);
	keep(request);
}

static void send_large(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	char piece[4096];
	(void)arg;
	memset(piece, 'a', sizeof piece);
	for (size_t i = 0; i < PROGRAM_LARGE; i += sizeof piece)
		evbuffer_add(content, piece, sizeof piece);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
	keep(request);
}

static void free_connection(struct evhttp_request *request, void *arg)
{
	(void)arg;
	keep(request);
	evhttp_connection_free(program_last_connection);
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
	event_base_once(program_loop.base, -1, EV_TIMEOUT, free_connection_now, program_last_connection, &soon);
}

/* The program frees its evhttp in a callback. */
static void reply_and_free_evhttp(struct evhttp_request *request, void *http)
{
	evhttp_send_reply(request, 200, "OK", NULL);
	evhttp_free(http);
	if (http == program.http)
		program.http = NULL;
	atomic_fetch_add(&program_called, 1);
}

char program_hello[] = "hello";

static unsigned port_of(struct evhttp_bound_socket *bound)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

struct evhttp *program_new_evhttp(struct event_base *base)
{
	struct evhttp *http = evhttp_new(base);
	ck_assert_ptr_nonnull(http);
	evhttp_set_gencb(http, program_reply_text, program_hello);
	evhttp_set_cb(http, "/kept", keep_and_reply_text, program_hello);
	evhttp_set_cb(http, "/defer", defer, NULL);
	evhttp_set_cb(http, "/half", send_half, NULL);
	evhttp_set_cb(http, "/large-half", send_large_half, NULL);
	evhttp_set_cb(http, "/large", send_large, NULL);
	evhttp_set_cb(http, "/free", free_connection, NULL);
	evhttp_set_cb(http, "/free/later", free_connection_later, NULL);
	evhttp_set_cb(http, "/end", reply_and_free_evhttp, http);
	return http;
}

void program_add_socket(struct program *to)
{
	to->bound = pipit_evhttp_bind_socket_with_handle(to->http, "127.0.0.1", 0);
	ck_assert_ptr_nonnull(to->bound);
	to->port = port_of(to->bound);
}

void program_start(struct program *made, struct event_base *base)
{
	made->http = program_new_evhttp(base);
	program_add_socket(made);
}

static void end_in_handler(struct pipit_request *request, void *http)
{
	evhttp_free(http);
	program.http = NULL;
	pipit_reply_text(request, 200, program_hello);
	atomic_fetch_add(&program_called, 1);
}

void program_guard_by_server(struct evhttp *http)
{
	struct pipit_config config;

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.log_level = "error";
	program_server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(program_server);
	ck_assert_int_eq(pipit_route(program_server, PIPIT_GET, "/native/end", end_in_handler, http), 0);
	ck_assert_int_eq(pipit_server_guard_evhttp(program_server, http), 0);
}

/* --- the fixture: a base that does not run yet --- */

void program_set_up(void)
{
	program_descriptors = loop_descriptors();
	program_called = 0;
	program_server = NULL;
	program = (struct program){ 0 };
	loop_open(&program_loop);
}

void program_set_up_bound(void)
{
	program_set_up();
	program_start(&program, program_loop.base);
	loop_run(&program_loop);
}

void program_set_up_server(void)
{
	program_set_up();
	program.http = program_new_evhttp(program_loop.base);
	program_guard_by_server(program.http);
	program.port = (unsigned)atoi(strrchr(pipit_server_url(program_server, 0), ':') + 1);
	loop_run(&program_loop);
}

static void end_base(void)
{
	loop_leave(&program_loop);
	event_base_free(program_loop.base);
	ck_assert_uint_eq(loop_descriptors(), program_descriptors);
}

void program_tear_down(void)
{
	loop_stop(&program_loop);
	if (program.http)
		evhttp_free(program.http);
	end_base();
}

void program_tear_down_server(void)
{
	loop_stop(&program_loop);
	pipit_server_free(program_server);
	program_tear_down();
}

bool program_is_served_by_none(void *arg)
{
	(void)arg;
	return pipit_server_connections(program_server) == 0;
}

void program_bind_plain_socket(void *made)
{
	struct program *to = made;
	to->bound = evhttp_bind_socket_with_handle(to->http, "127.0.0.1", 0);
	to->port = port_of(to->bound);
}

void program_end(void *made)
{
	struct program *ended = made;
	evhttp_free(ended->http);
}

/* ---------------------------------------------------------------- requests */

struct wire_response program_get(int fd, const char *target)
{
	return wire_ask(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
}

void program_expect_hello_of(int fd, const char *target)
{
	struct wire_response response = program_get(fd, target);
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, program_hello);
	wire_free(&response);
}

void program_expect_hello(int fd)
{
	program_expect_hello_of(fd, "/");
}

/* Served through the guard: evhttp alone would accept the second request. */
void program_expect_guarded(unsigned port)
{
	struct wire_response response;
	int fd = wire_connect(port);
	program_expect_hello(fd);
	response = wire_ask(fd, "GET / HTTP/1.1\nHost: x\n\n");
	ck_assert_int_eq(response.status, 400);
	wire_free(&response);
	ck_assert(wire_is_closed(fd));
	close(fd);
}

/* Served by evhttp alone, which accepts bare line feeds. */
void program_expect_unguarded(unsigned port)
{
	struct wire_response response;
	int fd = wire_connect(port);
	program_expect_hello(fd);
	response = wire_ask(fd, "GET / HTTP/1.1\nHost: x\n\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
}

void program_expect_unreachable(unsigned port)
{
	int fd = wire_try_connect(port);
	ck_assert_int_lt(fd, 0);
}

static bool was_called(void *times)
{
	return atomic_load(&program_called) >= *(int *)times;
}

void program_wait_for_call(int times)
{
	ck_assert(wire_wait(was_called, &times));
}

/* Waits until the loop has finished with earlier clients. */
void program_let_turns_pass(unsigned port)
{
	int fd = wire_connect(port);
	for (int i = 0; i < 3; i++)
		program_expect_hello(fd);
	close(fd);
}
