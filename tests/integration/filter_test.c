/* SPDX-License-Identifier: MIT */
/* Filters of a server that is attached to a loop: before native handlers, evhttp callbacks and replies without a route. */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop loop;
static struct pipit_server *server;
static unsigned port;
static atomic_int released, aborted, waiting;
static const char key, other_key;

/* --- filters ------------------------------------------------------------------------------------------------------------ */

static void count_release(void *data)
{
	free(data);
	released++;
}

static const char *data_of(struct pipit_request *request)
{
	const char *data = pipit_request_data(request, &key);
	return data ? data : "no data";
}

static void add_word(struct pipit_request *request, const char *word)
{
	char *text = malloc(64);
	const char *before = pipit_request_data(request, &key);
	snprintf(text, 64, "%s%s", before ? before : "", word);
	ck_assert_int_eq(pipit_request_set_data(request, &key, text, count_release), 0);
}

static void first(struct pipit_request *request, void *arg)
{
	size_t length;
	(void)arg;
	pipit_request_body(request, &length);
	add_word(request, length ? "body!" : "first");
	pipit_reply_header(request, "X-Filter", "passed");
}

static void name_user(struct pipit_request *request, void *name)
{
	ck_assert_ptr_null(pipit_request_user(request));
	ck_assert_int_eq(pipit_request_set_user(request, "somebody else"), 0);
	ck_assert_int_eq(pipit_request_set_user(request, name), 0);
}

static void second(struct pipit_request *request, void *arg)
{
	(void)arg;
	add_word(request, " second");
}

static void refuse(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_header(request, "WWW-Authenticate", "Basic realm=\"test\"");
	pipit_reply_problem(request, 401, "Who are you?");
}

static void pass_later(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	waiting--;
	pipit_filter_pass(request);
}

static void refuse_later(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	refuse(request, NULL);
	pipit_request_release(request);
}

static void decide_later(struct pipit_request *request, event_callback_fn decide, int milliseconds)
{
	struct timeval later = { 0, milliseconds * 1000 };
	ck_assert_int_eq(pipit_request_keep(request), 0);
	event_base_once(pipit_request_base(request), -1, EV_TIMEOUT, decide, request, &later);
}

static void on_abort(struct pipit_request *request, void *arg)
{
	(void)request, (void)arg;
	aborted++;
}

static void wait_a_little(struct pipit_request *request, void *arg)
{
	(void)arg;
	waiting++;
	pipit_request_on_abort(request, on_abort, NULL);
	decide_later(request, pass_later, 20);
}

static void wait_long(struct pipit_request *request, void *arg)
{
	(void)arg;
	waiting++;
	pipit_request_on_abort(request, on_abort, NULL);
	decide_later(request, pass_later, 900);
}

static void wait_and_refuse(struct pipit_request *request, void *arg)
{
	(void)arg;
	decide_later(request, refuse_later, 20);
}

static void pass_at_once(struct pipit_request *request, void *arg)
{
	(void)arg;
	ck_assert_int_eq(pipit_request_keep(request), 0);
	pipit_filter_pass(request);
	add_word(request, " kept");
}

/* Without effect, because it does not keep the request. */
static void set_abort_only(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_request_on_abort(request, on_abort, NULL);
}

/* --- routes ------------------------------------------------------------------------------------------------------------- */

static void show(struct pipit_request *request, void *arg)
{
	char text[256];
	size_t length;
	const char *body = pipit_request_body(request, &length);
	(void)arg;
	snprintf(text, sizeof text, "%s|%s|%s", data_of(request), pipit_request_path(request), length ? body : "");
	pipit_reply_text(request, 200, text);
}

static void show_user(struct pipit_request *request, void *arg)
{
	const char *user = pipit_request_user(request);
	(void)arg;
	pipit_reply_text(request, 200, user ? user : "nobody");
}

static void show_user_of_callback(struct evhttp_request *request, void *arg)
{
	struct evbuffer *reply = evbuffer_new();
	(void)arg;
	evbuffer_add_printf(reply, "%s", pipit_request_user(pipit_evhttp_request(request, server)));
	evhttp_send_reply(request, 200, "OK", reply);
	evbuffer_free(reply);
}

static void callback(struct evhttp_request *request, void *arg)
{
	struct pipit_request *native = pipit_evhttp_request(request, server);
	struct evbuffer *input = evhttp_request_get_input_buffer(request), *reply = evbuffer_new();
	(void)arg;
	evbuffer_add_printf(reply, "%s|%s|%.*s", data_of(native), evhttp_request_get_uri(request),
	    (int)evbuffer_get_length(input), evbuffer_get_length(input) ? (char *)evbuffer_pullup(input, -1) : "");
	evhttp_send_reply(request, 200, "OK", reply);
	evbuffer_free(reply);
}

#define MUCH 60000

static struct evhttp_request *held;

static void hold(struct evhttp_request *request, void *arg)
{
	(void)arg;
	held = request;
}

static void reply_to(struct evhttp_request *request, const char *text)
{
	struct evbuffer *reply = evbuffer_new();
	evbuffer_add_printf(reply, "%s", text);
	evhttp_send_reply(request, 200, "OK", reply);
	evbuffer_free(reply);
}

/* While this request is served, another one waits for its reply. */
static void ask_for_the_held_one(struct evhttp_request *request, void *arg)
{
	const char *found = pipit_evhttp_request(held, server) ? "that of another client" : "none";
	(void)arg;
	reply_to(request, found);
	reply_to(held, "held");
}

static void reply_with_much(struct pipit_request *request, void *arg)
{
	static char much[MUCH];
	(void)arg;
	pipit_reply(request, 200, "application/octet-stream", much, sizeof much);
}

static void release_when_gone(struct pipit_request *request, void *arg)
{
	(void)arg;
	aborted++;
	pipit_request_release(request);
}

static void never_reply(struct pipit_request *request, void *arg)
{
	(void)arg;
	ck_assert_int_eq(pipit_request_keep(request), 0);
	pipit_request_on_abort(request, release_when_gone, NULL);
}

static void release_once_gone(evutil_socket_t fd, short what, void *request)
{
	struct timeval soon = { 0, 1000 };
	(void)fd, (void)what;
	if (pipit_request_is_gone(request))
		pipit_request_release(request);
	else
		event_base_once(pipit_request_base(request), -1, EV_TIMEOUT, release_once_gone, request, &soon);
}

static void wait_for_the_end(struct pipit_request *request, void *arg)
{
	(void)arg;
	waiting++;
	ck_assert_int_eq(pipit_request_keep(request), 0);
	release_once_gone(-1, 0, request);
}

/* With the status that its path names. */
static void send_problem(struct evhttp_request *request, void *arg)
{
	(void)arg;
	pipit_evhttp_send_problem(request, atoi(strrchr(evhttp_request_get_uri(request), '/') + 1), "as the path says");
}

/* --- fixture ------------------------------------------------------------------------------------------------------------ */

static void start(void)
{
	static const struct {
		const char *pattern;
		pipit_filter_handler *filter;
	} filters[] = {
		{ "/{path...}", first },
		{ "/two/{path...}", second },
		{ "/closed/{path...}", refuse },
		{ "/slow/{path...}", wait_a_little },
		{ "/slow/{path...}", second },
		{ "/long", wait_long },
		{ "/long/unanswered", wait_long },
		{ "/abandoned", set_abort_only },
		{ "/later", wait_and_refuse },
		{ "/kept", pass_at_once },
		{ "/kept", second },
	};
	static char ada[] = "Ada";
	static const struct pipit_route_options small = { .max_body_bytes = 4 };
	struct pipit_config config;

	released = aborted = waiting = 0;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	server = pipit_server_new(&config);
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		ck_assert_int_eq(pipit_filter(server, filters[i].pattern, filters[i].filter, NULL), 0);
	ck_assert_int_eq(pipit_filter(server, "/user/{path...}", name_user, ada), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/user/native", show_user, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/no-user", show_user, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/user/evhttp", show_user_of_callback, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET | PIPIT_POST, "/{name}", show, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET | PIPIT_POST, "/{name}/native", show, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET | PIPIT_POST, "/{name}/evhttp", callback, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/a/problem/{status}", send_problem, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/a/hold", hold, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/a/ask", ask_for_the_held_one, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/a/much", reply_with_much, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/long/unanswered", never_reply, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/abandoned", wait_for_the_end, NULL), 0);
	ck_assert_int_eq(pipit_route_with(server, PIPIT_POST, "/two/small", show, NULL, &small), 0);
	port = loop_serve(&loop, server);
}

static void stop(void)
{
	loop_end(&loop, server);
}

static bool is_all_released(void *count)
{
	return released == *(int *)count;
}

static void expect_released(int count)
{
	ck_assert(wire_wait(is_all_released, &count));
}

/* --- tests -------------------------------------------------------------------------------------------------------------- */

static void expect_passed(struct wire_response response, const char *content)
{
	const char *field = wire_field(&response, "X-Filter");
	ck_assert_msg(field && strcmp(field, "passed") == 0, "%s", response.head);
	wire_expect(response, 200, content);
}

START_TEST(filters_run_in_order_before_native_handlers_and_callbacks)
{
	int fd = wire_connect(port);
	expect_passed(wire_get(fd, "/one/native"), "first|/one/native|");
	expect_passed(wire_get(fd, "/two/native"), "first second|/two/native|");
	expect_passed(wire_get(fd, "/two/evhttp"), "first second|/two/evhttp|");
	expect_passed(wire_get(fd, "/kept"), "first kept second|/kept|");
	/* A pattern matches what its path means, not how it is written. */
	expect_passed(wire_get(fd, "/%74wo/native"), "first second|/%74wo/native|");
	expect_released(10);
	close(fd);
}
END_TEST

START_TEST(filters_cover_replies_without_a_route)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, "/no/such/thing");
	ck_assert_str_eq(wire_field(&response, "X-Filter"), "passed");
	wire_expect(response, 404, NULL);
	response = wire_ask(fd, "DELETE /one/native HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_str_eq(wire_field(&response, "X-Filter"), "passed");
	wire_expect(response, 405, NULL);
	response = wire_ask(fd, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_str_eq(wire_field(&response, "X-Filter"), "passed");
	wire_expect(response, 204, NULL);
	wire_expect(wire_get(fd, "/closed/no/such/thing"), 401, NULL);
	response = wire_ask(fd, "POST /two/small HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	ck_assert_str_eq(wire_field(&response, "X-Filter"), "passed");
	wire_expect(response, 413, NULL);
	close(fd);
}
END_TEST

START_TEST(a_filter_answers_before_the_body_is_invited)
{
	int fd = wire_connect(port);
	char *all;
	wire_print(fd, "POST /closed/evhttp HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
		       "5\r\nConnection: close\r\n\r\n");
	shutdown(fd, SHUT_WR);
	all = wire_read_all(fd, NULL);
	ck_assert_msg(strncmp(all, "HTTP/1.1 401 ", 13) == 0, "%s", all);
	ck_assert_ptr_nonnull(strstr(all, "WWW-Authenticate: Basic"));
	free(all);
	close(fd);
}
END_TEST

static const char *const slow_paths[] = { "/slow/native", "/slow/evhttp" };

START_TEST(a_filter_that_decides_later_lets_bodies_pass)
{
	const char *path = slow_paths[_i];
	char expected[64], hundred[26] = "";
	int fd = wire_connect(port);

	snprintf(expected, sizeof expected, "first second|%s|", path);
	expect_passed(wire_get(fd, path), expected);
	snprintf(expected, sizeof expected, "first second|%s|hello", path);
	/* with its head */
	expect_passed(wire_ask(fd, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", path), expected);
	expect_passed(
	    wire_ask(fd,
		"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		path),
	    expected);
	/* in pieces */
	wire_print(fd, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe", path);
	usleep(1000);
	expect_passed(wire_ask(fd, "llo"), expected);
	/* after the invitation, which comes when the filter has let it pass */
	wire_print(fd, "POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", path);
	for (size_t have = 0; have < 25;)
		have += (size_t)read(fd, hundred + have, 25 - have);
	ck_assert_str_eq(hundred, "HTTP/1.1 100 Continue\r\n\r\n");
	expect_passed(wire_ask(fd, "hello"), expected);
	/* pipelined */
	wire_print(fd,
	    "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET %s HTTP/1.1\r\nHost: x\r\n\r\n", path,
	    path);
	expect_passed(wire_read(fd, false), expected);
	snprintf(expected, sizeof expected, "first second|%s|", path);
	expect_passed(wire_read(fd, false), expected);
	ck_assert_int_eq(aborted, 0);
	close(fd);
}
END_TEST

START_TEST(a_filter_names_the_user)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/user/native"), 200, "Ada");
	wire_expect(wire_get(fd, "/user/evhttp"), 200, "Ada");
	wire_expect(wire_get(fd, "/no-user"), 200, "nobody");
	close(fd);
}
END_TEST

START_TEST(a_filter_that_decides_later_can_refuse)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/later"), 401, NULL);
	wire_expect(wire_get(fd, "/later"), 401, NULL);
	wire_print(fd, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n");
	wire_expect(wire_read(fd, false), 401, NULL);
	close(fd);
	expect_released(3);
}
END_TEST

static bool is_waiting(void *count)
{
	return waiting == *(int *)count;
}

static bool is_aborted(void *arg)
{
	(void)arg;
	return aborted == 1;
}

START_TEST(a_client_may_leave_while_a_filter_decides)
{
	int fd = wire_connect(port), one = 1, none = 0;
	wire_print(fd, "POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
	ck_assert(wire_wait(is_waiting, &one));
	/* Unread bytes make it a reset. */
	if (_i == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(fd);
	ck_assert(wire_wait(is_aborted, NULL));
	ck_assert(wire_wait(is_waiting, &none));
	expect_released(1);
	fd = wire_connect(port);
	expect_passed(wire_get(fd, "/one/native"), "first|/one/native|");
	close(fd);
}
END_TEST

static bool is_aborted_twice(void *arg)
{
	(void)arg;
	return aborted == 2;
}

START_TEST(a_handler_hears_of_a_client_that_left_while_a_filter_decided)
{
	int fd = wire_connect(port);
	wire_print(fd, "GET /long/unanswered HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	ck_assert(wire_wait(is_aborted, NULL));
	ck_assert(wire_wait(is_aborted_twice, NULL));
	close(fd);
}
END_TEST

START_TEST(a_handler_begins_without_the_abort_callback_of_a_filter)
{
	int fd = wire_connect(port), one = 1;
	wire_print(fd, "GET /abandoned HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(wire_wait(is_waiting, &one));
	/* A reset: the request is gone. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(fd);
	expect_released(1);
	ck_assert_int_eq(aborted, 0);
}
END_TEST

/* With one of these numbers, the replies before it fill the socket just when the filter decides. */
START_TEST(a_request_passes_while_the_socket_is_full)
{
	int fd = wire_connect_with_small_window(port);
	struct wire_response response;
	for (int i = 0; i < _i; i++)
		wire_print(fd, "GET /a/much HTTP/1.1\r\nHost: x\r\n\r\n");
	wire_print(fd, "GET /slow/native HTTP/1.1\r\nHost: x\r\n\r\n");
	/* The filter decides meanwhile, if the request has been reached. */
	usleep(60 * 1000);
	for (int i = 0; i < _i; i++) {
		response = wire_read(fd, false);
		ck_assert_uint_eq(response.length, MUCH);
		wire_free(&response);
	}
	expect_passed(wire_read(fd, false), "first second|/slow/native|");
	close(fd);
}
END_TEST

START_TEST(a_callback_gets_its_own_request_only)
{
	int fd = wire_connect(port), other = wire_connect(port);
	wire_print(fd, "GET /a/hold HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(!wire_is_readable(fd, 50));
	wire_expect(wire_get(other, "/a/ask"), 200, "none");
	wire_expect(wire_read(fd, false), 200, "held");
	close(fd);
	close(other);
}
END_TEST

static void name_result(void *result)
{
	*(int *)result = pipit_filter(server, "/{path...}", first, NULL);
}

START_TEST(reports_wrong_filters)
{
	struct pipit_server *other = pipit_server_new(NULL);
	int result = 0;
	loop_call(&loop, name_result, &result);
	ck_assert_int_eq(result, -EBUSY);
	ck_assert_int_eq(pipit_filter(other, "no-slash", first, NULL), -EINVAL);
	ck_assert_int_eq(pipit_filter(other, "/{a...}/b", first, NULL), -EINVAL);
	ck_assert_int_eq(pipit_filter(other, NULL, first, NULL), -EINVAL);
	ck_assert_int_eq(pipit_filter(other, "/a", NULL, NULL), -EINVAL);
	/* A server with a wrong filter would be less guarded than its author thinks. */
	ck_assert_int_lt(pipit_server_attach(other, loop.base), 0);
	pipit_server_free(other);
}
END_TEST

static const struct {
	const char *path;
	int status;
} problems[] = {
	{ "/a/problem/399", 500 },
	{ "/a/problem/400", 400 },
	{ "/a/problem/401", 401 },
	{ "/a/problem/599", 599 },
	{ "/a/problem/600", 500 },
	{ "/a/problem/200", 500 },
};

START_TEST(the_problem_of_a_callback_has_an_error_status)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, problems[_i].path);
	ck_assert_str_eq(wire_field(&response, "Content-Type"), "application/problem+json");
	wire_expect(response, problems[_i].status, NULL);
	close(fd);
}
END_TEST

static void keys(struct pipit_request *request, void *arg)
{
	(void)arg;
	ck_assert_int_eq(pipit_request_set_data(request, NULL, NULL, NULL), -EINVAL);
	ck_assert_ptr_null(pipit_request_data(request, &other_key));
	ck_assert_ptr_null(pipit_request_data(request, NULL));
	ck_assert_int_eq(pipit_request_set_data(request, &other_key, (void *)&other_key, NULL), 0);
	ck_assert_ptr_eq(pipit_request_data(request, &other_key), &other_key);
	pipit_request_header(request, "Host");
	ck_assert_ptr_eq(pipit_request_data(request, &other_key), &other_key);
	pipit_reply_text(request, 200, "kept apart");
}

START_TEST(data_is_found_by_its_key)
{
	struct pipit_config config;
	struct pipit_server *other;
	struct loop its;
	int fd;

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	other = pipit_server_new(&config);
	ck_assert_int_eq(pipit_route(other, PIPIT_GET, "/", keys, NULL), 0);
	fd = wire_connect(loop_serve(&its, other));
	wire_expect(wire_get(fd, "/"), 200, "kept apart");
	close(fd);
	loop_end(&its, other);
}
END_TEST

static void reply_as_evhttp(struct evhttp_request *request, void *arg)
{
	(void)arg;
	reply_to(request, "evhttp");
}

/* The program's evhttp may be known by every name, the server's routes are not. */
START_TEST(known_host_holds_in_front_of_an_evhttp)
{
	static const struct pipit_route_options known = { .known_host = true };
	static const struct {
		const char *request;
		int status;
	} requests[] = {
		{ "GET /known HTTP/1.1\r\nHost: localhost\r\n\r\n", 200 },
		{ "GET /known HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421 },
		{ "POST /known HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
		    403 },
		{ "GET /other HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200 },
		{ "POST /other HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
		    200 },
	};
	struct pipit_config config;
	struct pipit_server *other;
	struct evhttp *http;
	struct event_base *base;
	struct loop its;
	unsigned its_port;

	loop_open(&its);
	base = its.base;
	http = evhttp_new(base);
	evhttp_set_gencb(http, reply_as_evhttp, NULL);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	other = pipit_server_new(&config);
	ck_assert_int_eq(pipit_route_with(other, PIPIT_GET | PIPIT_POST, "/known", show, NULL, &known), 0);
	ck_assert_int_eq(pipit_server_guard_evhttp(other, http), 0);
	its_port = (unsigned)strtoul(strrchr(pipit_server_url(other, 0), ':') + 1, NULL, 10);
	loop_run(&its);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		int fd = wire_connect(its_port);
		wire_print(fd, "%s", requests[i].request);
		wire_expect(wire_read(fd, false), requests[i].status, NULL);
		close(fd);
	}
	loop_stop(&its);
	pipit_server_free(other);
	evhttp_free(http);
	loop_leave(&its);
	event_base_free(base);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filters");
	TCase *tests = tcase_create("attached");
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, filters_run_in_order_before_native_handlers_and_callbacks);
	tcase_add_test(tests, filters_cover_replies_without_a_route);
	tcase_add_test(tests, a_filter_answers_before_the_body_is_invited);
	tcase_add_loop_test(tests, a_filter_that_decides_later_lets_bodies_pass, 0, 2);
	tcase_add_test(tests, a_filter_names_the_user);
	tcase_add_test(tests, a_filter_that_decides_later_can_refuse);
	tcase_add_loop_test(tests, a_client_may_leave_while_a_filter_decides, 0, 2);
	tcase_add_loop_test(
	    tests, the_problem_of_a_callback_has_an_error_status, 0, sizeof problems / sizeof *problems);
	tcase_add_test(tests, a_handler_hears_of_a_client_that_left_while_a_filter_decided);
	tcase_add_test(tests, a_handler_begins_without_the_abort_callback_of_a_filter);
	tcase_add_loop_test(tests, a_request_passes_while_the_socket_is_full, 40, 90);
	tcase_add_test(tests, a_callback_gets_its_own_request_only);
	tcase_add_test(tests, reports_wrong_filters);
	tcase_add_test(tests, data_is_found_by_its_key);
	tcase_add_test(tests, known_host_holds_in_front_of_an_evhttp);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
