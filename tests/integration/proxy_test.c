/* SPDX-License-Identifier: MIT */
/*
 * The client behind a proxy: PROXY headers at addresses that require them, in every lane, and what trusted proxies say in
 * X-Forwarded-For and Forwarded.
 */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL SIGNATURE "\x20\0\0\0"
#define V6 "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x09"
#define GET(target) "GET " target " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static struct pipit_config config;
static struct pipit_server *server;
static struct evhttp *program; /* guarded; NULL: none */
static struct loop loop;

/* --- the server ------------------------------------------------------------------------------------------------------- */

static void reply_peer(struct pipit_request *request, void *arg)
{
	char text[128];
	(void)arg;
	snprintf(text, sizeof text, "%s %s", pipit_request_peer(request), pipit_request_scheme(request));
	pipit_reply_text(request, 200, text);
}

static struct pipit_request *_Atomic kept;

static void keep(struct pipit_request *request, void *arg)
{
	(void)arg;
	ck_assert_int_eq(pipit_request_keep(request), 0);
	kept = request;
}

static void send_peer(struct evhttp_request *request, void *arg)
{
	char *peer = NULL;
	uint16_t port = 1;
	(void)arg;

	evhttp_connection_get_peer(evhttp_request_get_connection(request), &peer, &port);
	evbuffer_add_printf(evhttp_request_get_output_buffer(request), "%s %u", peer, port);
	evhttp_send_reply(request, 200, "OK", NULL);
}

/* The first address requires PROXY headers, the second one does not. */
static void set_up(void)
{
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0,proxy-protocol";
	config.listen[1] = "127.0.0.1:0";
	config.listen_count = 2;
	config.hosts = "*";
	loop_open(&loop);
}

static void make_server(void)
{
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/peer", reply_peer, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/keep", keep, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
}

static void run_server(void)
{
	ck_assert_int_eq(pipit_server_attach(server, loop.base), 0);
	loop_run(&loop);
}

static void start(void)
{
	make_server();
	run_server();
}

static void start_with_callbacks(void)
{
	make_server();
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/callback", send_peer, NULL), 0);
	run_server();
}

static void start_with_program(void)
{
	make_server();
	ck_assert_ptr_nonnull(program = evhttp_new(loop.base));
	evhttp_set_gencb(program, send_peer, NULL);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, program), 0);
	loop_run(&loop);
}

static void tear_down(void)
{
	loop_stop(&loop);
	pipit_server_free(server);
	if (program)
		evhttp_free(program);
	program = NULL;
	loop_leave(&loop);
	event_base_free(loop.base);
}

static unsigned port_of(size_t index)
{
	return (unsigned)atoi(strrchr(pipit_server_url(server, index), ':') + 1);
}

/* --- clients ---------------------------------------------------------------------------------------------------------- */

static int connect_with(const char *header, size_t length)
{
	int fd = wire_connect(port_of(0));
	ck_assert(wire_send(fd, header, length));
	return fd;
}

static int connect_as(const char *line)
{
	return connect_with(line, strlen(line));
}

static void expect_peer(const char *header, size_t length, const char *target, const char *peer)
{
	int fd = connect_with(header, length);
	wire_expect(wire_get(fd, target), 200, peer);
	wire_expect(wire_get(fd, target), 200, peer);
	close(fd);
}

static double metric(const char *sample)
{
	int fd = wire_connect(port_of(1));
	struct wire_response response = wire_get(fd, "/metrics");
	double value = wire_metric(response.content, sample);
	wire_free(&response);
	close(fd);
	return value;
}

struct expected_metric {
	const char *sample;
	double value;
};

static bool has_value(void *arg)
{
	const struct expected_metric *expected = arg;
	return metric(expected->sample) == expected->value;
}

static void wait_for(const char *sample, double value)
{
	struct expected_metric expected = { sample, value };
	ck_assert_msg(wire_wait(has_value, &expected), "%s is %g", sample, metric(sample));
}

/* --- PROXY headers ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *header;
	size_t length; /* 0: that of the line */
	const char *peer, *callback;
} headers[] = {
	{ "PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n", 0, "192.0.2.9 http", "192.0.2.9 4711" },
	{ "PROXY TCP6 2001:db8::9 2001:db8::7 4711 80\r\n", 0, "2001:db8::9 http", "2001:db8::9 4711" },
	{ "PROXY TCP6 2001:db8:1234:5678:9abc:def0:1234:5678 ::1 65535 80\r\n", 0,
	    "2001:db8:1234:5678:9abc:def0:1234:5678 http", "2001:db8:1234:5678:9abc:def0:1234:5678 65535" },
	{ "PROXY TCP4 255.255.255.255 127.0.0.1 1 2\r\n", 0, "255.255.255.255 http", "255.255.255.255 1" },
	{ SIGNATURE "\x21\x11\0\x0C\xC0\0\x02\x09\xC6\x33\x64\x07\x12\x67\0\x50", 28, "192.0.2.9 http",
	    "192.0.2.9 4711" },
	{ SIGNATURE "\x21\x21\0\x28" V6 V6 "\x12\x67\0\x50\x04\0\x01!", 56, "2001:db8::9 http", "2001:db8::9 4711" },
};

START_TEST(a_proxy_names_the_client)
{
	size_t length = headers[_i].length ? headers[_i].length : strlen(headers[_i].header);
	start();
	expect_peer(headers[_i].header, length, "/peer", headers[_i].peer);
}
END_TEST

START_TEST(evhttp_callbacks_get_the_client)
{
	size_t length = headers[_i].length ? headers[_i].length : strlen(headers[_i].header);
	start_with_callbacks();
	expect_peer(headers[_i].header, length, "/callback", headers[_i].callback);
	expect_peer(headers[_i].header, length, "/peer", headers[_i].peer);
}
END_TEST

START_TEST(a_guarded_evhttp_gets_the_client)
{
	size_t length = headers[_i].length ? headers[_i].length : strlen(headers[_i].header);
	start_with_program();
	expect_peer(headers[_i].header, length, "/callback", headers[_i].callback);
	expect_peer(headers[_i].header, length, "/peer", headers[_i].peer);
}
END_TEST

static const struct {
	const char *header;
	size_t length;
} headers_without_client[] = {
	{ LOCAL, 16 },
	{ SIGNATURE "\x20\x11\0\x0C\xC0\0\x02\x09\xC6\x33\x64\x07\x12\x67\0\x50", 28 },
	{ SIGNATURE "\x21\x00\0\0", 16 },
	{ SIGNATURE "\x21\x12\0\x0C\xC0\0\x02\x09\xC6\x33\x64\x07\x12\x67\0\x50", 28 },
	{ "PROXY UNKNOWN\r\n", 15 },
};

START_TEST(a_proxy_may_speak_for_itself)
{
	struct wire_response response;
	int fd;

	start_with_callbacks();
	expect_peer(headers_without_client[_i].header, headers_without_client[_i].length, "/peer", "127.0.0.1 http");
	fd = connect_with(headers_without_client[_i].header, headers_without_client[_i].length);
	response = wire_get(fd, "/callback");
	ck_assert_int_eq(strncmp(response.content, "127.0.0.1 ", 10), 0);
	ck_assert_str_ne(response.content, "127.0.0.1 0");
	wire_free(&response);
	close(fd);
}
END_TEST

START_TEST(a_client_of_a_proxy_on_a_unix_socket_has_no_address)
{
	char header[16 + 216] = SIGNATURE "\x21\x31\0\xD8/run/client.sock";
	start_with_callbacks();
	expect_peer(header, sizeof header, "/peer", "unix: http");
#ifdef __GLIBC__
	expect_peer(header, sizeof header, "/callback", "localhost 0");
#endif
}
END_TEST

/* In two segments, and byte by byte, with a request behind it. */
START_TEST(a_header_may_come_in_parts)
{
	static const char line[] = "PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n" GET("/peer");
	static const char binary[] =
	    SIGNATURE "\x21\x11\0\x10\xC0\0\x02\x09\xC6\x33\x64\x07\x12\x67\0\x50\x04\0\x01!" GET("/callback");
	size_t lengths[] = { sizeof line - 1, sizeof binary - 1 };
	const char *const bytes[] = { line, binary }, *const replies[] = { "192.0.2.9 http", "192.0.2.9 4711" };

	start_with_callbacks();
	for (size_t i = 0; i < COUNT(bytes); i++) {
		for (size_t cut = 1; cut < lengths[i]; cut++) {
			int fd = connect_with(bytes[i], cut);
			ck_assert(wire_send(fd, bytes[i] + cut, lengths[i] - cut));
			wire_expect(wire_read(fd, false), 200, replies[i]);
			close(fd);
		}
		int fd = wire_connect(port_of(0));
		ck_assert(wire_trickle(fd, bytes[i], lengths[i]));
		wire_expect(wire_read(fd, false), 200, replies[i]);
		close(fd);
	}
}
END_TEST

START_TEST(a_client_that_leaves_within_the_header_is_forgotten)
{
	start_with_callbacks();
	close(connect_as("PROXY TCP4 192.0."));
	close(wire_connect(port_of(0)));
	wait_for("http_connections{state=\"reading\"}", 0);
	ck_assert(metric("http_rejected_total{reason=\"proxy_header\"}") == 0);
}
END_TEST

/* In which lane; and with the program's evhttp, which of both ends first. */
static void (*const lanes[])(void) = { start, start_with_callbacks, start_with_program, start_with_program };

START_TEST(a_server_may_end_while_it_waits_for_headers)
{
	int silent, slow, served;

	lanes[_i]();
	silent = wire_connect(port_of(0));
	slow = connect_as("PROXY TCP4 192.0.");
	served = connect_as("PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n");
	wire_expect(wire_get(served, "/peer"), 200, "192.0.2.9 http");
	wait_for("http_connections{state=\"reading\"}", 2);
	loop_stop(&loop);
	if (_i + 1 == COUNT(lanes)) {
		evhttp_free(program);
		program = NULL;
	}
	close(silent);
	close(slow);
	close(served);
}
END_TEST

static const char *const other_bytes[] = {
	GET("/peer"),
	"PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\n" GET("/peer"),
	"PROXY TCP4 client.example.com 198.51.100.7 4711 80\r\n",
	"\x16\x03\x01\x02",
	"\r\n\r\n",
};

START_TEST(what_is_no_header_is_closed_without_a_reply)
{
	int fd;

	start_with_callbacks();
	fd = connect_as(other_bytes[_i]);
	if (_i + 1 == COUNT(other_bytes))
		ck_assert(wire_send(fd, "GET ", 4));
	ck_assert(wire_is_closed(fd));
	close(fd);
	wait_for("http_rejected_total{reason=\"proxy_header\"}", 1);
	wait_for("http_connections{state=\"reading\"}", 0);
}
END_TEST

START_TEST(elsewhere_a_header_is_refused)
{
	int fd;
	start();
	fd = wire_connect(port_of(1));
	ck_assert(wire_print(fd, "PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n" GET("/peer")));
	wire_expect(wire_read(fd, false), 400, NULL);
	close(fd);
	fd = wire_connect(port_of(1));
	ck_assert(wire_send(fd, LOCAL, 16));
	wire_expect(wire_read(fd, false), 400, NULL);
	close(fd);
}
END_TEST

START_TEST(a_second_header_is_a_wrong_request)
{
	int fd;
	start();
	fd = connect_as("PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\nPROXY TCP4 192.0.2.10 198.51.100.7 4711 80\r\n");
	wire_expect(wire_read(fd, false), 400, NULL);
	close(fd);
}
END_TEST

START_TEST(only_trusted_proxies_may_connect)
{
	int fd;

	config.trusted_proxy = "192.0.2.0/24";
	start_with_callbacks();
	fd = connect_as("PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n");
	ck_assert(wire_is_closed(fd));
	close(fd);
	wait_for("http_rejected_total{reason=\"untrusted_proxy\"}", 1);
	wait_for("http_rejected_total{reason=\"proxy_header\"}", 0);
}
END_TEST

START_TEST(a_slow_header_is_held_to_the_head_deadline)
{
	int silent, slow;

	config.head_timeout_ms = 300;
	start_with_callbacks();
	silent = wire_connect(port_of(0));
	slow = connect_as("PROXY TCP4 ");
	ck_assert(wire_is_closed(silent));
	ck_assert(wire_is_closed(slow));
	close(silent);
	close(slow);
	wait_for("http_timeouts_total{phase=\"head\"}", 2);
}
END_TEST

/* --- limits per address ----------------------------------------------------------------------------------------------- */

/* The server detects the close of another connection in its own time. */
static bool is_served(void *header)
{
	int fd = connect_as(header);
	struct wire_response response = wire_get(fd, "/peer");
	bool is_ok = response.status == 200 && strcmp(response.content, "192.0.2.9 http") == 0;
	wire_free(&response);
	close(fd);
	return is_ok;
}

START_TEST(the_limit_per_address_counts_clients)
{
	static char nine[] = "PROXY TCP4 192.0.2.9 198.51.100.7 4711 80\r\n",
		    ten[] = "PROXY TCP4 192.0.2.10 198.51.100.7 4711 80\r\n";
	int first, second, third;

	config.max_connections_per_address = 1;
	config.trusted_proxy = "127.0.0.1";
	start_with_callbacks();
	first = connect_as(nine);
	wire_expect(wire_get(first, "/peer"), 200, "192.0.2.9 http");
	second = connect_as(ten);
	wire_expect(wire_get(second, "/callback"), 200, "192.0.2.10 4711");
	third = connect_as(nine);
	wire_expect(wire_read(third, false), 429, NULL);
	close(third);
	close(first);
	ck_assert(wire_wait(is_served, nine));
	close(second);
}
END_TEST

/* Neither those that wait for their header, nor the proxy itself. */
START_TEST(the_limit_per_address_does_not_count_trusted_proxies)
{
	int fds[8];

	config.max_connections_per_address = 1;
	config.trusted_proxy = "127.0.0.1";
	start();
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = wire_connect(port_of(i % 2));
		if (i % 4 == 2)
			ck_assert(wire_send(fds[i], LOCAL, 16));
		/* The first of four is silent. */
		if (i % 4)
			wire_expect(wire_get(fds[i], "/peer"), 200, "127.0.0.1 http");
	}
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(without_trusted_proxies_the_proxy_itself_is_counted)
{
	int first, second;

	config.max_connections_per_address = 1;
	start();
	first = connect_with(LOCAL, 16);
	wire_expect(wire_get(first, "/peer"), 200, "127.0.0.1 http");
	second = connect_with(LOCAL, 16);
	wire_expect(wire_read(second, false), 429, NULL);
	close(first);
	close(second);
}
END_TEST

/* --- headers of trusted proxies --------------------------------------------------------------------------------------- */

static const struct {
	const char *fields, *peer;
} forwarded_for[] = {
	{ "", "127.0.0.1 http" },
	{ "X-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 192.0.2.9:4711\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 2001:db8::9\r\n", "2001:db8::9 http" },
	{ "x-forwarded-for:192.0.2.9,\r\n", "192.0.2.9 http" },
	/* empty elements do not count (RFC 9110 §5.6.1.2) */
	{ "X-Forwarded-For: 203.0.113.1, , 192.0.2.9,, ,10.0.0.1, ,\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 203.0.113.1, 192.0.2.9\r\nX-Forwarded-For:\r\nX-Forwarded-For: ,\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 192.0.2.9, ,10.0.0.1\r\nX-Forwarded-Proto: https,, http,\r\n", "192.0.2.9 https" },
	/* what the client has sent stands to the left */
	{ "X-Forwarded-For: 203.0.113.1, 192.0.2.9\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 10.1.2.3, 192.0.2.9\r\n", "192.0.2.9 http" },
	/* trusted ones are passed */
	{ "X-Forwarded-For: 203.0.113.1, 192.0.2.9, 10.1.2.3, 10.0.0.1\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 192.0.2.9, 10.1.2.3\r\nX-Forwarded-For: ::ffff:10.0.0.1\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 192.0.2.9, 2001:db8:1::7\r\n", "192.0.2.9 http" },
	/* all are trusted: the first */
	{ "X-Forwarded-For: 10.1.2.3, 10.0.0.1\r\n", "10.1.2.3 http" },
	/* an element that is no address ends the search */
	{ "X-Forwarded-For: unknown\r\n", "127.0.0.1 http" },
	{ "X-Forwarded-For: 203.0.113.1, unknown\r\n", "127.0.0.1 http" },
	{ "X-Forwarded-For: 203.0.113.1, x, 10.0.0.1\r\n", "10.0.0.1 http" },
	{ "X-Forwarded-For: 203.0.113.1, x\r\nX-Forwarded-For: 10.0.0.1\r\n", "10.0.0.1 http" },
	{ "X-Forwarded-For: 203.0.113.1 192.0.2.9\r\n", "127.0.0.1 http" },
	/* the other header is not read */
	{ "Forwarded: for=203.0.113.1;proto=https\r\n", "127.0.0.1 http" },
	{ "Forwarded: for=203.0.113.1\r\nX-Forwarded-For: 192.0.2.9\r\n", "192.0.2.9 http" },
	/* the scheme of the client's element, or that of all */
	{ "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9 https" },
	{ "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: HTTPS\r\n", "192.0.2.9 https" },
	{ "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: wss\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https, http\r\n", "192.0.2.9 http" },
	{ "X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: https, http\r\n", "192.0.2.9 https" },
	{ "X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9 https" },
	{ "X-Forwarded-Proto: https\r\n", "127.0.0.1 https" },
};

static void expect_peer_of(size_t index, const char *fields, const char *peer)
{
	int fd = wire_connect(port_of(index));
	wire_expect(wire_ask(fd, "GET /peer HTTP/1.1\r\nHost: localhost\r\n%s\r\n", fields), 200, peer);
	close(fd);
}

START_TEST(trusted_proxies_name_the_client)
{
	config.trusted_proxy = "127.0.0.1, 10.0.0.0/8\n2001:db8:1::/48";
	start();
	expect_peer_of(1, forwarded_for[_i].fields, forwarded_for[_i].peer);
}
END_TEST

START_TEST(other_clients_name_nobody)
{
	config.trusted_proxy = "10.0.0.0/8 unix:";
	start();
	expect_peer_of(1, forwarded_for[_i].fields, "127.0.0.1 http");
}
END_TEST

START_TEST(without_trusted_proxies_nothing_is_read)
{
	start();
	expect_peer_of(1, forwarded_for[_i].fields, "127.0.0.1 http");
}
END_TEST

static const struct {
	const char *fields, *peer;
} forwarded[] = {
	{ "Forwarded: for=192.0.2.9;proto=https;by=203.0.113.43\r\n", "192.0.2.9 https" },
	{ "Forwarded: For=\"[2001:db8:cafe::17]:4711\"\r\n", "2001:db8:cafe::17 http" },
	{ "Forwarded: for=203.0.113.1;proto=http, for=192.0.2.9;proto=https\r\n", "192.0.2.9 https" },
	{ "Forwarded: for=192.0.2.9;proto=https, for=10.0.0.1;proto=http\r\n", "192.0.2.9 https" },
	{ "Forwarded: for=192.0.2.9;proto=https\r\nForwarded: for=10.0.0.1\r\n", "192.0.2.9 https" },
	{ "Forwarded: for=\"203.0.113.1, for=192.0.2.9\r\n", "192.0.2.9 http" },
	{ "Forwarded: for=203.0.113.1, for=_hidden, for=10.0.0.1;proto=https\r\n", "10.0.0.1 https" },
	{ "Forwarded: for=203.0.113.1, for=unknown;proto=https\r\n", "127.0.0.1 http" },
	{ "Forwarded: for=203.0.113.1, for=192.0.2.9:4711\r\n", "127.0.0.1 http" },
	{ "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: https\r\n", "127.0.0.1 http" },
};

START_TEST(forwarded_is_read_in_place_of_the_other)
{
	config.trusted_proxy = "127.0.0.1, 10.0.0.0/8, 2001:db8:1::/48";
	config.trusted_header = "forwarded";
	start();
	expect_peer_of(1, forwarded[_i].fields, forwarded[_i].peer);
}
END_TEST

/* A PROXY header names a proxy, which names the client. */
START_TEST(both_kinds_of_proxies_may_stand_in_a_row)
{
	int fd;

	config.trusted_proxy = "127.0.0.1, 10.0.0.0/8";
	start();
	fd = connect_as("PROXY TCP4 10.0.0.7 198.51.100.7 4711 80\r\n");
	wire_expect(wire_ask(fd, "GET /peer HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"), 200,
	    "192.0.2.9 http");
	wire_expect(wire_get(fd, "/peer"), 200, "10.0.0.7 http");
	close(fd);
	fd = connect_as("PROXY TCP4 192.0.2.10 198.51.100.7 4711 80\r\n");
	wire_expect(wire_ask(fd, "GET /peer HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"), 200,
	    "192.0.2.10 http");
	close(fd);
}
END_TEST

static bool is_kept(void *arg)
{
	return *(struct pipit_request * _Atomic *)arg != NULL;
}

static void release(void *arg)
{
	struct pipit_request *request = kept;
	kept = NULL;
	*(bool *)arg = strcmp(pipit_request_peer(request), "192.0.2.9") == 0 &&
		       strcmp(pipit_request_scheme(request), "https") == 0 && pipit_request_is_gone(request);
	pipit_request_release(request);
}

static void look_whether_gone(void *arg)
{
	*(bool *)arg = pipit_request_is_gone(kept);
}

static bool is_gone(void *arg)
{
	bool gone;
	(void)arg;
	loop_call(&loop, look_whether_gone, &gone);
	return gone;
}

START_TEST(a_kept_request_still_knows_its_client)
{
	struct linger reset = { 1, 0 };
	bool knows = false;
	int fd;

	config.trusted_proxy = "127.0.0.1";
	start();
	fd = wire_connect(port_of(1));
	ck_assert(wire_print(fd, "GET /keep HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.9\r\n"
				 "X-Forwarded-Proto: https\r\n\r\n"));
	ck_assert(wire_wait(is_kept, &kept));
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close(fd);
	ck_assert(wire_wait(is_gone, NULL));
	loop_call(&loop, release, &knows);
	ck_assert(knows);
}
END_TEST

/* On the loop's thread, so that the connection is accepted when the client has gone. */
static void ask_and_reset(void *arg)
{
	struct linger reset = { 1, 0 };
	int fd = wire_connect(port_of(1));

	(void)arg;
	ck_assert(wire_print(fd, GET("/callback")));
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close(fd);
}

static void count_call(struct evhttp_request *request, void *calls)
{
	++*(_Atomic unsigned *)calls;
	evhttp_send_reply(request, 204, NULL, NULL);
}

/* Its address is unknown by then; the kernel still has its request. */
START_TEST(a_client_that_has_reset_is_none_of_a_unix_socket)
{
	_Atomic unsigned calls = 0;
	int fd;

	config.allow = "/callback unix:";
	make_server();
	ck_assert_ptr_nonnull(program = evhttp_new(loop.base));
	evhttp_set_gencb(program, count_call, &calls);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, program), 0);
	loop_run(&loop);
	loop_call(&loop, ask_and_reset, NULL);
	fd = wire_connect(port_of(1));
	wire_expect(wire_get(fd, "/callback"), 403, NULL);
	close(fd);
	wait_for("http_connections_accepted_total", 3);
	ck_assert_uint_eq(calls, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy");
	TCase *proxy_headers = tcase_create("PROXY headers"), *limits = tcase_create("limits"),
	      *lists = tcase_create("lists of proxies");

	tcase_add_checked_fixture(proxy_headers, set_up, tear_down);
	tcase_add_loop_test(proxy_headers, a_proxy_names_the_client, 0, COUNT(headers));
	tcase_add_loop_test(proxy_headers, evhttp_callbacks_get_the_client, 0, COUNT(headers));
	tcase_add_loop_test(proxy_headers, a_guarded_evhttp_gets_the_client, 0, COUNT(headers));
	tcase_add_loop_test(proxy_headers, a_proxy_may_speak_for_itself, 0, COUNT(headers_without_client));
	tcase_add_test(proxy_headers, a_client_of_a_proxy_on_a_unix_socket_has_no_address);
	tcase_add_test(proxy_headers, a_header_may_come_in_parts);
	tcase_add_test(proxy_headers, a_client_that_leaves_within_the_header_is_forgotten);
	tcase_add_loop_test(proxy_headers, a_server_may_end_while_it_waits_for_headers, 0, COUNT(lanes));
	tcase_add_loop_test(proxy_headers, what_is_no_header_is_closed_without_a_reply, 0, COUNT(other_bytes));
	tcase_add_test(proxy_headers, elsewhere_a_header_is_refused);
	tcase_add_test(proxy_headers, a_second_header_is_a_wrong_request);
	tcase_add_test(proxy_headers, only_trusted_proxies_may_connect);
	tcase_add_test(proxy_headers, a_slow_header_is_held_to_the_head_deadline);
	suite_add_tcase(suite, proxy_headers);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_test(limits, the_limit_per_address_counts_clients);
	tcase_add_test(limits, the_limit_per_address_does_not_count_trusted_proxies);
	tcase_add_test(limits, without_trusted_proxies_the_proxy_itself_is_counted);
	suite_add_tcase(suite, limits);
	tcase_add_checked_fixture(lists, set_up, tear_down);
	tcase_add_loop_test(lists, trusted_proxies_name_the_client, 0, COUNT(forwarded_for));
	tcase_add_loop_test(lists, other_clients_name_nobody, 0, COUNT(forwarded_for));
	tcase_add_loop_test(lists, without_trusted_proxies_nothing_is_read, 0, COUNT(forwarded_for));
	tcase_add_loop_test(lists, forwarded_is_read_in_place_of_the_other, 0, COUNT(forwarded));
	tcase_add_test(lists, both_kinds_of_proxies_may_stand_in_a_row);
	tcase_add_test(lists, a_kept_request_still_knows_its_client);
	tcase_add_test(lists, a_client_that_has_reset_is_none_of_a_unix_socket);
	suite_add_tcase(suite, lists);
	return run_suite(suite);
}
