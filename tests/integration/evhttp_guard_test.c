/* SPDX-License-Identifier: MIT */
/*
 * A program with an evhttp of its own, like libevent's sample server, behind pipit_evhttp_bind_socket() or
 * pipit_server_guard_evhttp(): what its callbacks get, what its settings refuse, and the limits and routes of the server.
 * evhttp_test.c has the ways to reply, evhttp_guard_life_test.c the order of creation and end.
 *
 * Callbacks run on another thread than the test. They do not assert: they reply with what they got.
 */
#include "loop.h"
#include "pipit.h"
#include "stopped_clock.h"
#include "suite.h"
#include "wire.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FILE_SIZE (16u * 1024 * 1024 + 123) /* more than the send buffer of a socket takes (tcp_wmem) */

/* ---------------------------------------------------------------- the program */

static struct loop loop;
static struct evhttp *http;
static struct pipit_server *server; /* NULL: the one of pipit_evhttp_bind_socket() */
static unsigned port;
static char file_name[] = "/tmp/pipit-guard-XXXXXX";
static _Atomic(struct evhttp_request *) deferred;
static atomic_int closed; /* calls of the close callback */

static const char *or_none(const char *text)
{
	return text ? text : "(none)";
}

static const char *command_name(struct evhttp_request *request)
{
	static const char *const names[] = { "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT",
		"PATCH" };
	for (size_t i = 0; i < COUNT(names); i++) {
		if ((unsigned)evhttp_request_get_command(request) == 1u << i)
			return names[i];
	}
	return "unknown";
}

/* "*" for values that differ between connections. */
static void describe_peer(struct evhttp_request *request, struct evbuffer *text)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
	struct sockaddr_in6 peer = { 0 }; /* the port of an IPv4 address is at the same offset */
	socklen_t length = sizeof peer;
	char *address;
	ev_uint16_t peer_port;

	evhttp_connection_get_peer(connection, &address, &peer_port);
	if (getpeername(bufferevent_getfd(bev), (struct sockaddr *)&peer, &length) != 0)
		evbuffer_add_printf(text, "no descriptor ");
	evbuffer_add_printf(text, "from %s %s\n", address, peer_port == ntohs(peer.sin6_port) ? "*" : "wrong port");
}

/* The sample's dump_request_cb(), in the reply instead of on standard output. */
static void dump(struct evhttp_request *request, void *name)
{
	struct evbuffer *text = evbuffer_new();
	struct evkeyval *field;

	evbuffer_add_printf(
	    text, "%s: %s %s ", (const char *)name, command_name(request), evhttp_request_get_uri(request));
	describe_peer(request, text);
	TAILQ_FOREACH(field, evhttp_request_get_input_headers(request), next)
	evbuffer_add_printf(text, "  %s: %s\n", field->key, field->value);
	evbuffer_add_buffer(text, evhttp_request_get_input_buffer(request));
	evhttp_add_header(evhttp_request_get_output_headers(request), "X-Dump", "1");
	evhttp_send_reply(request, 200, "OK", text);
	evbuffer_free(text);
}

static void send_file(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	(void)arg;
	if (evbuffer_add_file(content, open(file_name, O_RDONLY | O_CLOEXEC), 0, FILE_SIZE) != 0)
		abort();
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void echo(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply(request, 200, "OK", evhttp_request_get_input_buffer(request));
}

static void defer(struct evhttp_request *request, void *arg)
{
	(void)arg;
	atomic_store(&deferred, request);
}

static void reply_deferred(void *text)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add(content, text, strlen(text));
	evhttp_send_reply(atomic_exchange(&deferred, NULL), 200, "OK", content);
	evbuffer_free(content);
}

/* Sets the timeout of this connection to "?SECONDS[d]"; "d": the reply is deferred. */
static void set_own_timeout(struct evhttp_request *request, void *arg)
{
	const char *seconds = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	evhttp_connection_set_timeout(evhttp_request_get_connection(request), atoi(seconds));
	if (strchr(seconds, 'd'))
		defer(request, arg);
	else
		evhttp_send_reply(request, 200, "OK", NULL);
}

static void count_close(struct evhttp_connection *connection, void *arg)
{
	(void)connection, (void)arg;
	atomic_fetch_add(&closed, 1);
}

static void watch(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), count_close, NULL);
	evhttp_send_reply(request, 200, "OK", NULL);
}

static void set_option(struct evhttp_request *request, void *arg)
{
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(request)));
	int off = 0, on = 1;
	bool is_set = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off) == 0 &&
		      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
	(void)arg;
	evhttp_send_reply(request, is_set ? 200 : 500, "As Told", NULL);
}

/* As evhttp_request_set_header_cb() and others do: reading is enabled although the reply comes later. */
static void enable_and_defer(struct evhttp_request *request, void *arg)
{
	bufferevent_enable(evhttp_connection_get_bufferevent(evhttp_request_get_connection(request)), EV_READ);
	defer(request, arg);
}

static char name_of_dump[] = "dump", name_of_generic[] = "generic";

static void add_callbacks(void)
{
	evhttp_set_cb(http, "/dump", dump, name_of_dump);
	evhttp_set_cb(http, "/file", send_file, NULL);
	evhttp_set_cb(http, "/echo", echo, NULL);
	evhttp_set_cb(http, "/defer", defer, NULL);
	evhttp_set_cb(http, "/timeout", set_own_timeout, NULL);
	evhttp_set_cb(http, "/watch", watch, NULL);
	evhttp_set_cb(http, "/option", set_option, NULL);
	evhttp_set_cb(http, "/enable", enable_and_defer, NULL);
}

static unsigned port_of(struct evhttp_bound_socket *bound)
{
	struct sockaddr_in6 address;
	socklen_t length = sizeof address;
	ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin6_port);
}

static void listen_on(const char *address)
{
	struct evhttp_bound_socket *bound = pipit_evhttp_bind_socket_with_handle(http, address, 0);
	ck_assert_ptr_nonnull(bound);
	port = port_of(bound);
}

/* The evhttp with callbacks, without sockets yet. */
static void set_up(void)
{
	closed = 0;
	deferred = NULL;
	server = NULL;
	loop_open(&loop);
	http = evhttp_new(loop.base);
	ck_assert_ptr_nonnull(http);
	add_callbacks();
}

static void set_up_sample(void)
{
	set_up();
	evhttp_set_gencb(http, dump, name_of_generic);
	listen_on("127.0.0.1");
	loop_run(&loop);
}

static void tear_down(void)
{
	loop_leave(&loop);
	evhttp_free(http);
	event_base_free(loop.base);
	pipit_server_free(server);
}

/* ---------------------------------------------------------------- requests */

#define GENERIC_NEXT "generic: GET /next from 127.0.0.1 *\n  Host: x\n"

/* The connection serves one more request. */
static void expect_next(int fd)
{
	wire_expect(wire_get(fd, "/next"), 200, GENERIC_NEXT);
}

/* A refusal by pipit, which evhttp has not seen. */
static void expect_refusal(struct wire_response response, int status)
{
	const char *type = wire_field(&response, "Content-Type");
	ck_assert_str_eq(or_none(type), "application/problem+json");
	ck_assert(response.closes);
	wire_expect(response, status, NULL);
}

/* A refusal by evhttp: a page, after which the connection ends. */
static void expect_page(int fd, struct wire_response response, int status)
{
	const char *type = wire_field(&response, "Content-Type");
	ck_assert_str_eq(or_none(type), "text/html");
	ck_assert(response.closes);
	wire_expect(response, status, NULL);
	ck_assert(wire_is_closed(fd));
}

/* ---------------------------------------------------------------- the sample */

static const struct {
	const char *request, *description;
} dumps[] = {
	{ "GET /dump?a=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: check\r\n\r\n",
	    "dump: GET /dump?a=1 from 127.0.0.1 *\n  Host: x\n  User-Agent: check\n" },
	{ "POST /dump HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
	    "dump: POST /dump from 127.0.0.1 *\n  Host: x\n  Content-Length: 4\nbody" },
	{ "PUT /other HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	    "generic: PUT /other from 127.0.0.1 *\n  Host: x\n  Content-Length: 4\nbody" },
	{ "DELETE /other HTTP/1.1\r\nHost: x\r\n\r\n", "generic: DELETE /other from 127.0.0.1 *\n  Host: x\n" },
};

START_TEST(passes_command_uri_peer_headers_and_body_to_the_callback)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "%s%s", dumps[_i].request, dumps[_i].request));
	wire_expect(wire_read(fd, false), 200, dumps[_i].description);
	wire_expect(wire_read(fd, false), 200, dumps[_i].description);
	expect_next(fd);
	close(fd);
}
END_TEST

START_TEST(passes_the_descriptor_of_its_client_to_the_callback)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/option"), 200, "");
	wire_expect(wire_get(fd, "/option"), 200, "");
	expect_next(fd);
	close(fd);
}
END_TEST

static void write_file(void)
{
	char *bytes = malloc(FILE_SIZE);
	int fd;
	strcpy(file_name + sizeof file_name - sizeof "XXXXXX", "XXXXXX");
	fd = mkstemp(file_name);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < FILE_SIZE; i++)
		bytes[i] = (char)('a' + i * 7 % 26);
	ck_assert_int_eq(write(fd, bytes, FILE_SIZE), FILE_SIZE);
	close(fd);
	free(bytes);
}

/* The client reads slowly while another one is served. */
START_TEST(sends_a_file_larger_than_the_socket_buffer_to_a_slow_client)
{
	int fd = wire_connect(port), other = wire_connect(port);
	struct wire_response response;

	write_file();
	ck_assert(wire_print(fd, "GET /file HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < 5; i++)
		expect_next(other);
	response = wire_read(fd, false);
	ck_assert_uint_eq(response.length, FILE_SIZE);
	for (size_t i = 0; i < FILE_SIZE; i += 4099)
		ck_assert_int_eq(response.content[i], (char)('a' + i * 7 % 26));
	wire_expect(response, 200, NULL);
	wire_expect(wire_read(fd, false), 200, GENERIC_NEXT);
	unlink(file_name);
	close(fd);
	close(other);
}
END_TEST

START_TEST(calls_the_close_callback_once_when_a_client_resets)
{
	struct linger none = { 1, 0 };
	int fd = wire_connect(port), other = wire_connect(port);

	wire_expect(wire_get(fd, "/watch"), 200, "");
	ck_assert_int_eq(closed, 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
	/* Each response takes a turn of the loop. */
	for (int i = 0; i < 2000 && atomic_load(&closed) == 0; i++)
		expect_next(other);
	for (int i = 0; i < 3; i++)
		expect_next(other);
	ck_assert_int_eq(closed, 1);
	close(other);
}
END_TEST

/* evhttp ends the process if it reads a pipelined request while its callback has not replied. */
START_TEST(survives_a_deferring_callback_that_enables_reading)
{
	static char late[] = "late";
	int fd = wire_connect(port), other = wire_connect(port);

	ck_assert(wire_print(fd, "GET /enable HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < 3 || !atomic_load(&deferred); i++)
		expect_next(other);
	ck_assert(wire_print(fd, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
	expect_next(other);
	loop_call(&loop, reply_deferred, late);
	wire_expect(wire_read(fd, false), 200, late);
	wire_expect(wire_read(fd, false), 200, GENERIC_NEXT);
	wire_expect(wire_read(fd, false), 200, GENERIC_NEXT);
	close(fd);
	close(other);
}
END_TEST

START_TEST(refuses_invalid_requests_before_evhttp_reads_them)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\nHost: x\n\n",
		"GET / HTTP/1.1\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
	};
	int fd = wire_connect(port);
	expect_refusal(wire_ask(fd, "%s", requests[_i]), 400);
	close(fd);
}
END_TEST

static struct evhttp_bound_socket *own_socket(void)
{
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	ck_assert_ptr_nonnull(bound);
	return bound;
}

START_TEST(guards_sockets_that_the_program_binds_before_and_after)
{
	unsigned ports[3];

	set_up();
	evhttp_set_gencb(http, dump, name_of_generic);
	ports[0] = port_of(own_socket());
	listen_on("127.0.0.1");
	ports[1] = port;
	ports[2] = port_of(own_socket());
	loop_run(&loop);
	for (size_t i = 0; i < COUNT(ports); i++) {
		int fd = wire_connect(ports[i]);
		expect_next(fd);
		expect_refusal(wire_ask(fd, "GET / HTTP/1.1\nHost: x\n\n"), 400);
		close(fd);
	}
	tear_down();
}
END_TEST

static int connect_by_ipv6(void)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT
	};
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		close(fd);
	return has;
}

START_TEST(gives_the_address_of_an_ipv6_client)
{
	int fd;

	if (!has_ipv6())
		return;
	set_up();
	listen_on("::1");
	loop_run(&loop);
	fd = connect_by_ipv6();
	wire_expect(wire_get(fd, "/dump"), 200, "dump: GET /dump from ::1 *\n  Host: x\n");
	close(fd);
	tear_down();
}
END_TEST

/* As evhttp_bind_socket() does. */
START_TEST(accepts_names_and_null_as_an_address)
{
	static const char *const addresses[] = { NULL, "0.0.0.0", "localhost" };

	set_up();
	for (size_t i = 0; i < COUNT(addresses); i++)
		ck_assert_int_eq(pipit_evhttp_bind_socket(http, addresses[i], 0), 0);
	listen_on(NULL);
	loop_run(&loop);
	for (int i = 0; i < 2; i++) {
		int fd = wire_connect(port);
		wire_expect(wire_get(fd, "/dump"), 200, NULL);
		close(fd);
	}
	tear_down();
}
END_TEST

/* ---------------------------------------------------------------- virtual hosts */

static const struct {
	const char *host, *target, *answer;
} hosts[] = {
	{ "one.example", "/", "one: GET / from" },
	{ "ONE.example:8080", "/", "one: GET / from" },
	{ "alias.example", "/", "one: GET / from" },
	{ "a.two.example", "/", "two: GET / from" },
	{ "nobody.example", "/", "generic: GET / from" },
	{ "nobody.example", "http://one.example/x", "one: GET /x from" },
	{ "one.example", "http://nobody.example/x", "generic: GET /x from" },
};

START_TEST(dispatches_to_virtual_hosts_and_their_aliases)
{
	static char one[] = "one", two[] = "two";
	struct evhttp *first, *second;
	int fd;

	set_up();
	first = evhttp_new(loop.base);
	second = evhttp_new(loop.base);
	evhttp_set_gencb(http, dump, name_of_generic);
	evhttp_set_gencb(first, dump, one);
	evhttp_set_gencb(second, dump, two);
	ck_assert_int_eq(evhttp_add_virtual_host(http, "one.example", first), 0);
	ck_assert_int_eq(evhttp_add_server_alias(first, "alias.example"), 0);
	listen_on("127.0.0.1");
	ck_assert_int_eq(evhttp_add_virtual_host(http, "*.two.example", second), 0);
	loop_run(&loop);
	fd = wire_connect(port);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct wire_response response =
		    wire_ask(fd, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i].target, hosts[i].host);
		ck_assert_msg(strncmp(response.content, hosts[i].answer, strlen(hosts[i].answer)) == 0, "%zu: %s", i,
		    response.content);
		wire_expect(response, 200, NULL);
	}
	close(fd);
	tear_down();
}
END_TEST

/* ---------------------------------------------------------------- refusals by settings of evhttp */

static void allow_get(void)
{
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
}

static void limit_body(void)
{
	evhttp_set_max_body_size(http, 100);
}

static void limit_body_and_linger(void)
{
	evhttp_set_max_body_size(http, 100);
	evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE);
}

static void limit_headers(void)
{
	evhttp_set_max_headers_size(http, 200);
}

static void change_nothing(void)
{
}

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
	void (*configure)(void);
	const char *good;
	const char *bad;
	int status;
} settings[] = {
	/* Without a generic callback. */
	{ change_nothing, "GET /dump HTTP/1.1\r\nHost: x\r\n\r\n", "GET /unknown HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
	{ change_nothing, "GET /dump HTTP/1.1\r\nHost: x\r\n\r\n",
	    "POST /unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 404 },
	{ allow_get, "GET /dump HTTP/1.1\r\nHost: x\r\n\r\n", "DELETE /dump HTTP/1.1\r\nHost: x\r\n\r\n", 501 },
	{ allow_get, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	    "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 501 },
	{ limit_body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" HUNDRED,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n1" HUNDRED, 413 },
	{ limit_body, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n1" HUNDRED "\r\n0\r\n\r\n",
	    413 },
	{ limit_body_and_linger, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" HUNDRED,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n1" HUNDRED, 413 },
	{ limit_headers, "GET /dump HTTP/1.1\r\nHost: x\r\nX: " HUNDRED "\r\n\r\n",
	    "GET /dump HTTP/1.1\r\nHost: x\r\nX: " HUNDRED HUNDRED "\r\n\r\n", 400 },
	/* A method unknown to evhttp. */
	{ change_nothing, "GET /dump HTTP/1.1\r\nHost: x\r\n\r\n", "PATCH /dump HTTP/1.1\r\nHost: x\r\n\r\n", 501 },
};

START_TEST(refuses_what_the_settings_of_evhttp_refuse)
{
	int fd;

	set_up();
	settings[_i].configure();
	listen_on("127.0.0.1");
	loop_run(&loop);
	fd = wire_connect(port);
	/* A request after the refused one is not served. */
	for (int i = 0; i < 2; i++)
		wire_expect(wire_ask(fd, "%s", settings[_i].good), 200, NULL);
	expect_page(fd, wire_ask(fd, "%s%s", settings[_i].bad, settings[_i].good), settings[_i].status);
	close(fd);
	fd = wire_connect(port);
	wire_expect(wire_ask(fd, "%s", settings[_i].good), 200, NULL);
	close(fd);
	tear_down();
}
END_TEST

#define TIMEOUT_SECONDS 2
#define TIMEOUT_MS (TIMEOUT_SECONDS * 1000)

/* pipit's timeouts are longer than the clock is advanced here. */
static void set_up_timeout(void)
{
	stopped_clock_stop();
	set_up();
	evhttp_set_gencb(http, dump, name_of_generic);
	evhttp_set_timeout(http, TIMEOUT_SECONDS);
	listen_on("127.0.0.1");
	loop_run(&loop);
}

static void tear_down_timeout(void)
{
	tear_down();
	stopped_clock_run();
}

/*
 * Waits until the server has read what clients have sent: the first reply may come earlier in the same turn of the loop, the
 * second cannot.
 */
static int connect_and_settle(void)
{
	int fd = wire_connect(port);
	expect_next(fd);
	expect_next(fd);
	return fd;
}

/* Waits until the sweep has visited all earlier clients: it has closed the last one. */
static void let_timeout_pass(void)
{
	int last = connect_and_settle();
	stopped_clock_forward(TIMEOUT_MS);
	ck_assert(wire_is_closed(last));
	close(last);
}

START_TEST(closes_an_idle_client_after_the_timeout_of_evhttp)
{
	int fd = connect_and_settle();
	stopped_clock_forward(TIMEOUT_MS - 1);
	expect_next(fd);
	stopped_clock_forward(TIMEOUT_MS);
	ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

START_TEST(closes_an_upload_that_stalls_for_the_timeout_of_evhttp)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" TEN));
	let_timeout_pass();
	expect_refusal(wire_read(fd, false), 408);
	close(fd);
}
END_TEST

/* Or the timeout of a callback. Each byte arrives after three quarters of it. */
START_TEST(allows_a_moving_upload_longer_than_the_timeout_of_evhttp)
{
	int fd = wire_connect(port);

	if (_i == 1)
		wire_expect(wire_ask(fd, "GET /timeout?%d HTTP/1.1\r\nHost: x\r\n\r\n", TIMEOUT_SECONDS), 200, "");
	ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 2; i++) {
		int last = connect_and_settle();
		stopped_clock_forward(TIMEOUT_MS * 3 / 4);
		ck_assert(wire_print(fd, "1\r\na\r\n"));
		close(connect_and_settle());
		stopped_clock_forward(TIMEOUT_MS * 3 / 4);
		ck_assert(wire_is_closed(last));
		ck_assert(wire_print(fd, "1\r\na\r\n"));
		close(last);
	}
	wire_expect(wire_ask(fd, "0\r\n\r\n"), 200, "aaaa");
	expect_next(fd);
	close(fd);
}
END_TEST

static void wait_until_deferred(void)
{
	while (!atomic_load(&deferred))
		nanosleep(&(struct timespec){ 0, 1000 * 1000 }, NULL);
}

START_TEST(allows_a_callback_longer_than_the_timeout_of_evhttp)
{
	static char late[] = "late";
	int fd = wire_connect(port);

	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_until_deferred();
	let_timeout_pass();
	loop_call(&loop, reply_deferred, late);
	wire_expect(wire_read(fd, false), 200, late);
	expect_next(fd);
	close(fd);
}
END_TEST

START_TEST(closes_a_client_that_reads_nothing_for_the_timeout_of_evhttp)
{
	struct wire_response response;
	int fd = wire_connect_with_small_window(port);

	write_file();
	ck_assert(wire_print(fd, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	/* The kernel may have accepted some more bytes after the first ones. */
	let_timeout_pass();
	let_timeout_pass();
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 200);
	ck_assert(!response.is_complete);
	wire_free(&response);
	unlink(file_name);
	close(fd);
}
END_TEST

/* Of a program that does not ignore SIGPIPE: sendfile() and evbuffer_write() raise it. */
START_TEST(survives_a_client_that_closes_during_a_download)
{
	int other = wire_connect(port);

	signal(SIGPIPE, SIG_DFL);
	write_file();
	for (int i = 0; i < 20; i++) {
		int fd = wire_connect_with_small_window(port);
		ck_assert(wire_print(fd, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n"));
		ck_assert(wire_is_readable(fd, PATIENCE_MS));
		close(fd);
		expect_next(other);
	}
	unlink(file_name);
	close(other);
}
END_TEST

START_TEST(closes_a_client_whose_head_stalls_for_the_timeout_of_evhttp)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "GET / HTTP/1.1\r\nHo"));
	let_timeout_pass();
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	close(fd);
}
END_TEST

START_TEST(closes_an_idle_client_after_the_timeout_that_a_callback_has_set)
{
	int patient = wire_connect(port), impatient;

	wire_expect(wire_get(patient, "/timeout?3600"), 200, "");
	let_timeout_pass();
	wire_expect(wire_get(patient, "/next"), 200, NULL);
	impatient = wire_connect(port);
	wire_expect(wire_get(impatient, "/timeout?3600"), 200, "");
	wire_expect(wire_get(impatient, "/timeout?1"), 200, "");
	stopped_clock_forward(1000);
	ck_assert(wire_is_closed(impatient));
	close(patient);
	close(impatient);
}
END_TEST

START_TEST(allows_a_reply_later_than_the_timeout_that_its_callback_has_set)
{
	static char late[] = "late";
	int fd = wire_connect(port);

	ck_assert(wire_print(fd, "GET /timeout?1d HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_until_deferred();
	let_timeout_pass();
	loop_call(&loop, reply_deferred, late);
	wire_expect(wire_read(fd, false), 200, late);
	expect_next(fd);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- a server with a guarded evhttp */

static char log_name[] = "/tmp/pipit-guard-log-XXXXXX";

static void say_native(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "native");
}

static void set_up_server(void)
{
	struct pipit_config config;

	set_up();
	evhttp_set_gencb(http, dump, name_of_generic);
	strcpy(log_name + sizeof log_name - sizeof "XXXXXX", "XXXXXX");
	close(mkstemp(log_name));
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.log_level = "error";
	config.access_log = log_name;
	config.max_connections = 3;
	config.max_body_bytes = 1000;
	config.max_head_bytes = 1024;
	config.max_target_bytes = 512;
	config.head_timeout_ms = 300;
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/native", say_native, NULL), 0);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, http), 0);
	port = (unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1);
	loop_run(&loop);
}

static void tear_down_server(void)
{
	tear_down();
	unlink(log_name);
}

START_TEST(serves_native_routes_beside_the_callbacks)
{
	int fd = wire_connect(port);
	struct wire_response response;

	for (int i = 0; i < 3; i++) {
		wire_expect(wire_get(fd, "/native"), 200, "native");
		expect_next(fd);
	}
	wire_expect(wire_ask(fd, "POST /native HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 405, NULL);
	close(fd);
	fd = wire_connect(port);
	response = wire_get(fd, "/metrics");
	ck_assert_ptr_nonnull(
	    strstr(response.content, "http_requests_total{method=\"GET\",route=\"fallback\",code=\"200\"} 3\n"));
	ck_assert_ptr_nonnull(
	    strstr(response.content, "http_requests_total{method=\"GET\",route=\"/native\",code=\"200\"} 3\n"));
	wire_expect(response, 200, NULL);
	close(fd);
}
END_TEST

/* Also evhttp's own pages, which a plain evhttp does not log. */
static bool log_holds(void *text)
{
	char bytes[8192];
	int fd = open(log_name, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, bytes, sizeof bytes - 1);
	close(fd);
	bytes[length < 0 ? 0 : length] = '\0';
	return strstr(bytes, text);
}

START_TEST(logs_requests_of_callbacks_and_refused_requests)
{
	static char good[] = "\"GET /next HTTP/1.1\" 200 ", refused[] = "\"TRACE / HTTP/1.1\" 501 ",
		    page[] = "\"PATCH /dump HTTP/1.1\" 501 ";
	int fd = wire_connect(port);

	expect_next(fd);
	expect_page(fd, wire_ask(fd, "PATCH /dump HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
	close(fd);
	fd = wire_connect(port);
	expect_refusal(wire_ask(fd, "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"), 501);
	close(fd);
	ck_assert(wire_wait(log_holds, good));
	ck_assert(wire_wait(log_holds, page));
	ck_assert(wire_wait(log_holds, refused));
}
END_TEST

static const struct {
	const char *request;
	int status;
} limits[] = {
	{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413 },
	{ "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" HUNDRED HUNDRED HUNDRED HUNDRED
		HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "1\r\n0\r\n\r\n",
	    413 },
	{ "GET /dump HTTP/1.1\r\nHost: x\r\nX: " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
		HUNDRED "\r\n\r\n",
	    431 },
	{ "GET /dump HTTP/1.1\r\nHost:", 408 },
};

START_TEST(enforces_the_limits_of_the_configuration)
{
	int fd = wire_connect(port);
	expect_next(fd);
	expect_refusal(wire_ask(fd, "%s", limits[_i].request), limits[_i].status);
	close(fd);
}
END_TEST

START_TEST(evicts_the_longest_idle_client)
{
	int fds[4];

	for (size_t i = 0; i < 3; i++) {
		fds[i] = wire_connect(port);
		expect_next(fds[i]);
	}
	fds[3] = wire_connect(port);
	expect_next(fds[3]);
	ck_assert(wire_is_closed(fds[0]));
	for (size_t i = 1; i < 4; i++)
		expect_next(fds[i]);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
}
END_TEST

static void listen_on_another(void *arg)
{
	(void)arg;
	listen_on("127.0.0.1");
}

START_TEST(adds_addresses_to_a_server_that_guards_an_evhttp)
{
	unsigned first = port;
	int fd;

	loop_call(&loop, listen_on_another, NULL);
	ck_assert_uint_ne(port, first);
	fd = wire_connect(port);
	expect_next(fd);
	wire_expect(wire_get(fd, "/native"), 200, "native");
	expect_refusal(wire_ask(fd, "%s", limits[0].request), 413);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("evhttp guard");
	TCase *tcase = tcase_create("sample");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, set_up_sample, tear_down);
	tcase_add_loop_test(tcase, passes_command_uri_peer_headers_and_body_to_the_callback, 0, COUNT(dumps));
	tcase_add_test(tcase, passes_the_descriptor_of_its_client_to_the_callback);
	tcase_add_test(tcase, sends_a_file_larger_than_the_socket_buffer_to_a_slow_client);
	tcase_add_test(tcase, calls_the_close_callback_once_when_a_client_resets);
	tcase_add_test(tcase, survives_a_deferring_callback_that_enables_reading);
	tcase_add_loop_test(tcase, refuses_invalid_requests_before_evhttp_reads_them, 0, 4);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("set up by the test");
	tcase_add_test(tcase, guards_sockets_that_the_program_binds_before_and_after);
	tcase_add_test(tcase, gives_the_address_of_an_ipv6_client);
	tcase_add_test(tcase, accepts_names_and_null_as_an_address);
	tcase_add_test(tcase, dispatches_to_virtual_hosts_and_their_aliases);
	tcase_add_loop_test(tcase, refuses_what_the_settings_of_evhttp_refuse, 0, COUNT(settings));
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("timeout");
	tcase_add_checked_fixture(tcase, set_up_timeout, tear_down_timeout);
	tcase_add_test(tcase, closes_an_idle_client_after_the_timeout_of_evhttp);
	tcase_add_test(tcase, closes_an_upload_that_stalls_for_the_timeout_of_evhttp);
	tcase_add_loop_test(tcase, allows_a_moving_upload_longer_than_the_timeout_of_evhttp, 0, 2);
	tcase_add_test(tcase, allows_a_callback_longer_than_the_timeout_of_evhttp);
	tcase_add_test(tcase, closes_a_client_that_reads_nothing_for_the_timeout_of_evhttp);
	tcase_add_test(tcase, survives_a_client_that_closes_during_a_download);
	tcase_add_test(tcase, closes_a_client_whose_head_stalls_for_the_timeout_of_evhttp);
	tcase_add_test(tcase, closes_an_idle_client_after_the_timeout_that_a_callback_has_set);
	tcase_add_test(tcase, allows_a_reply_later_than_the_timeout_that_its_callback_has_set);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("server");
	tcase_add_checked_fixture(tcase, set_up_server, tear_down_server);
	tcase_add_test(tcase, serves_native_routes_beside_the_callbacks);
	tcase_add_test(tcase, logs_requests_of_callbacks_and_refused_requests);
	tcase_add_loop_test(tcase, enforces_the_limits_of_the_configuration, 0, COUNT(limits));
	tcase_add_test(tcase, evicts_the_longest_idle_client);
	tcase_add_test(tcase, adds_addresses_to_a_server_that_guards_an_evhttp);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
