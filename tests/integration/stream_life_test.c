/* SPDX-License-Identifier: MIT */
/*
 * Connections of a stream's clients, beyond stream_test.c: with and without evhttp callbacks; clients that close, fall behind
 * or reconnect; the end of the server in every state. Handlers run on other threads than the test and do not assert.
 */
#include "request/sse.h"

#include "daemon.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ANY_HOST "Host: a\r\n"
#define PREFIX_DIGITS 16

/* ---------------------------------------------------------------- a server in this process */

static struct pipit_server *server;
static struct pipit_stream *stream;
static pthread_t thread;
static bool is_running;
static unsigned port;
static _Atomic int result_of_handler;

static void hello(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "hello");
}

static void join_kept(struct pipit_request *request, void *arg)
{
	(void)arg;
	result_of_handler = pipit_stream_join(stream, request, NULL);
	pipit_request_release(request);
}

static void *post_join(void *request)
{
	pipit_request_post(request, join_kept, NULL);
	return NULL;
}

static void join_later(struct pipit_request *request, void *arg)
{
	pthread_t poster;
	(void)arg;
	if (pipit_request_keep(request) != 0 || pthread_create(&poster, NULL, post_join, request) != 0)
		abort();
	pthread_detach(poster);
}

static void send_from_handler(struct pipit_request *request, void *count)
{
	int result = 0;
	for (int i = 0; i < *(int *)count; i++)
		result |= pipit_stream_send(stream, &(struct pipit_event){ .data = "burst" });
	pipit_reply_text(request, 200, result == 0 ? "sent" : "not sent");
}

static void evhttp(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	(void)arg;
	evbuffer_add(content, "evhttp", 6);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static int burst = 1000;

static void make_server(uint64_t workers, bool with_evhttp)
{
	struct pipit_config config;

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.workers = workers;
	config.log_level = "error";
	/* Of draining: a wait that cannot succeed has no end. */
	config.drain_timeout_ms = 0;
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	pipit_route(server, PIPIT_GET, "/stream", pipit_stream_serve, stream);
	pipit_route(server, PIPIT_GET, "/later", join_later, NULL);
	pipit_route(server, PIPIT_GET, "/burst", send_from_handler, &burst);
	pipit_route(server, PIPIT_GET, "/hello", hello, NULL);
	pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	if (with_evhttp)
		pipit_route_evhttp(server, PIPIT_GET, "/evhttp", evhttp, NULL);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	port = (unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1);
}

static void *run(void *arg)
{
	(void)arg;
	return pipit_server_run(server) == 0 ? server : NULL;
}

static void run_server(void)
{
	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
	is_running = true;
}

static void start_with(const struct pipit_stream_options *options, uint64_t workers, bool with_evhttp)
{
	ck_assert_ptr_nonnull(stream = pipit_stream_new(options));
	make_server(workers, with_evhttp);
	run_server();
}

static void start(const struct pipit_stream_options *options)
{
	start_with(options, 1, false);
}

static void join_thread(void)
{
	void *result;
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	is_running = false;
	ck_assert_ptr_nonnull(result);
}

static void stop_server(void)
{
	if (is_running) {
		pipit_server_stop(server);
		join_thread();
	}
	pipit_server_free(server);
	server = NULL;
}

static void tear_down(void)
{
	stop_server();
	pipit_stream_free(stream);
	stream = NULL;
}

static void send_text(const char *name, const char *data)
{
	ck_assert_int_eq(pipit_stream_send(stream, &(struct pipit_event){ .name = name, .data = data }), 0);
}

static void send_number(int number)
{
	char data[32];
	snprintf(data, sizeof data, "%d", number);
	send_text(NULL, data);
}

static bool has_clients(void *count)
{
	return pipit_stream_clients(stream) == *(uint64_t *)count;
}

static void await_clients(uint64_t count)
{
	ck_assert_msg(wire_wait(has_clients, &count), "%" PRIu64 " clients follow", pipit_stream_clients(stream));
}

/* ---------------------------------------------------------------- a client that follows */

/* Received and not yet read. */
struct follower {
	int fd;
	size_t at, length;
	char bytes[128 * 1024];
};

/* Reads a line without its CRLF, NUL-terminated; false at the end of the connection. */
static bool read_byte(struct follower *follower, char *byte)
{
	if (follower->at == follower->length) {
		ssize_t received = recv(follower->fd, follower->bytes, sizeof follower->bytes, 0);
		if (received <= 0)
			return false;
		follower->at = 0;
		follower->length = (size_t)received;
	}
	*byte = follower->bytes[follower->at++];
	return true;
}

static bool read_line(struct follower *follower, char *line, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!read_byte(follower, &line[i]))
			return false;
		if (i > 0 && line[i - 1] == '\r' && line[i] == '\n') {
			line[i - 1] = '\0';
			return true;
		}
	}
	return false;
}

/* The data of the next chunk, to be freed; "" for the last one; NULL when the connection ends or the framing is wrong. */
static char *read_chunk(struct follower *follower)
{
	char line[32], *end, *content, rest[2];
	size_t length;

	if (!read_line(follower, line, sizeof line) || strlen(line) == 0)
		return NULL;
	length = strtoul(line, &end, 16);
	if (*end)
		return NULL;
	content = malloc(length + 1);
	content[length] = '\0';
	for (size_t i = 0; i < length + 2; i++) {
		if (!read_byte(follower, i < length ? &content[i] : &rest[i - length])) {
			free(content);
			return NULL;
		}
	}
	if (memcmp(rest, "\r\n", 2) == 0)
		return content;
	free(content);
	return NULL;
}

static void expect_chunk(struct follower *follower, const char *expected)
{
	char *chunk = read_chunk(follower);
	ck_assert_msg(chunk != NULL, "no chunk, where\n%s\nwas expected", expected);
	ck_assert_str_eq(chunk, expected);
	free(chunk);
}

/* The id of the next event; *data: its first line. */
static uint64_t read_event(struct follower *follower, char *data, size_t size)
{
	char *chunk = read_chunk(follower), *at;
	uint64_t number;
	if (!chunk)
		return 0;
	at = strstr(chunk, "-");
	number = strncmp(chunk, "id: ", 4) == 0 && at ? strtoull(at + 1, NULL, 10) : 0;
	at = strstr(chunk, "data: ");
	snprintf(data, size, "%.*s", at ? (int)strcspn(at + 6, "\n") : 0, at ? at + 6 : "");
	free(chunk);
	return number;
}

static void expect_event(struct follower *follower, uint64_t number, const char *data)
{
	char found[64];
	uint64_t id = read_event(follower, found, sizeof found);
	ck_assert_uint_eq(id, number);
	ck_assert_str_eq(found, data);
}

/* Reads the head of a response to the end; returns its status. */
static int read_head(struct follower *follower, char *head, size_t size)
{
	char line[1024];
	*head = '\0';
	while (read_line(follower, line, sizeof line)) {
		if (!*line)
			return atoi(head + sizeof "HTTP/1.1");
		snprintf(head + strlen(head), size - strlen(head), "%s\n", line);
	}
	return 0;
}

static struct follower *follow_with(const char *path, const char *fields)
{
	struct follower *follower = malloc(sizeof *follower);
	char head[2048];
	*follower = (struct follower){ .fd = wire_connect(port) };
	ck_assert(wire_print(follower->fd, "GET %s HTTP/1.1\r\n" ANY_HOST "%s\r\n", path, fields));
	ck_assert_int_eq(read_head(follower, head, sizeof head), 200);
	ck_assert_ptr_nonnull(strstr(head, "Transfer-Encoding: chunked\n"));
	expect_chunk(follower, "retry: 2000\n\n");
	return follower;
}

static struct follower *follow(void)
{
	return follow_with("/stream", "");
}

static void leave(struct follower *follower)
{
	close(follower->fd);
	free(follower);
}

static double metric(const char *sample)
{
	int fd = wire_connect(port);
	struct wire_response page = wire_get(fd, "/metrics");
	double value = wire_metric(page.content, sample);
	wire_free(&page);
	close(fd);
	return value;
}

struct sample {
	const char *name;
	double value;
};

static bool shows(void *arg)
{
	const struct sample *sample = arg;
	return metric(sample->name) == sample->value;
}

static void await_metric(const char *name, double value)
{
	struct sample sample = { name, value };
	ck_assert_msg(wire_wait(shows, &sample), "%s is %g, not %g", name, metric(name), value);
}

/* The connection serves further requests. */
static void expect_hello(struct follower *follower)
{
	struct wire_response response;
	ck_assert_uint_eq(follower->at, follower->length);
	response = wire_ask(follower->fd, "GET /hello HTTP/1.1\r\n" ANY_HOST "\r\n");
	ck_assert_int_eq(response.status, 200);
	ck_assert_str_eq(response.content, "hello");
	wire_free(&response);
}

/* ---------------------------------------------------------------- the responses of a client */

START_TEST(sends_each_event_in_a_chunk)
{
	struct follower *follower = calloc(1, sizeof *follower);
	char head[2048], expected[128], *chunk;
	start_with(NULL, 1, _i == 1);
	follower->fd = wire_connect(port);
	ck_assert(wire_print(follower->fd, "GET /stream HTTP/1.1\r\n" ANY_HOST "\r\n"));
	ck_assert_int_eq(read_head(follower, head, sizeof head), 200);
	ck_assert_ptr_nonnull(strstr(head, "\nContent-Type: text/event-stream\n"));
	ck_assert_ptr_nonnull(strstr(head, "\nCache-Control: no-store\n"));
	ck_assert_ptr_nonnull(strstr(head, "\nX-Accel-Buffering: no\n"));
	ck_assert_ptr_nonnull(strstr(head, "\nTransfer-Encoding: chunked\n"));
	ck_assert_ptr_null(strstr(head, "Content-Length"));
	ck_assert_ptr_null(strstr(head, "Connection: close"));
	expect_chunk(follower, "retry: 2000\n\n");
	ck_assert(!wire_is_readable(follower->fd, 50));
	send_text("tick", "one\ntwo");
	send_text(NULL, "three");
	chunk = read_chunk(follower);
	ck_assert_ptr_nonnull(chunk);
	snprintf(expected, sizeof expected, "%.*s-1\nevent: tick\ndata: one\ndata: two\n\n", 4 + PREFIX_DIGITS, chunk);
	ck_assert_str_eq(chunk, expected);
	snprintf(expected, sizeof expected, "%.*s-2\ndata: three\n\n", 4 + PREFIX_DIGITS, chunk);
	expect_chunk(follower, expected);
	ck_assert_uint_eq(pipit_stream_clients(stream), 1);
	free(chunk);
	leave(follower);
}
END_TEST

START_TEST(serves_the_next_request_after_the_end_of_a_stream)
{
	struct follower *follower;
	start_with(NULL, 1, _i == 1);
	follower = follow();
	for (int i = 0; i < 3; i++) {
		char head[2048];
		send_number(i);
		ck_assert_int_eq(pipit_stream_end(stream), 0);
		free(read_chunk(follower));
		expect_chunk(follower, "");
		expect_hello(follower);
		await_clients(0);
		ck_assert(wire_print(follower->fd, "GET /stream HTTP/1.1\r\n" ANY_HOST "\r\n"));
		ck_assert_int_eq(read_head(follower, head, sizeof head), 200);
		expect_chunk(follower, "retry: 2000\n\n");
	}
	ck_assert_uint_eq(pipit_stream_clients(stream), 1);
	leave(follower);
}
END_TEST

START_TEST(serves_requests_pipelined_after_a_stream_at_its_end)
{
	struct follower *follower = calloc(1, sizeof *follower);
	char head[2048];
	start_with(NULL, 1, _i == 1);
	follower->fd = wire_connect(port);
	ck_assert(wire_print(follower->fd, "GET /hello HTTP/1.1\r\n" ANY_HOST "\r\nGET /stream HTTP/1.1\r\n" ANY_HOST
					   "\r\nGET /hello HTTP/1.1\r\n" ANY_HOST "\r\n"));
	ck_assert_int_eq(read_head(follower, head, sizeof head), 200);
	for (size_t i = 0; i < strlen("hello"); i++)
		read_byte(follower, head);
	ck_assert_int_eq(read_head(follower, head, sizeof head), 200);
	expect_chunk(follower, "retry: 2000\n\n");
	send_number(1);
	expect_event(follower, 1, "1");
	ck_assert(!wire_is_readable(follower->fd, 50));
	ck_assert_int_eq(pipit_stream_end(stream), 0);
	expect_chunk(follower, "");
	ck_assert_int_eq(read_head(follower, head, sizeof head), 200);
	for (size_t i = 0; i < strlen("hello"); i++)
		read_byte(follower, head);
	expect_hello(follower);
	leave(follower);
}
END_TEST

START_TEST(joins_a_request_that_was_kept)
{
	struct follower *follower;
	start_with(NULL, 1, _i == 1);
	follower = follow_with("/later", "");
	send_number(1);
	expect_event(follower, 1, "1");
	ck_assert_int_eq(result_of_handler, 0);
	ck_assert_int_eq(pipit_stream_end(stream), 0);
	expect_chunk(follower, "");
	expect_hello(follower);
	leave(follower);
}
END_TEST

/* ---------------------------------------------------------------- missed events */

static char *prefix_of_stream(void)
{
	static char prefix[PREFIX_DIGITS + 1];
	struct follower *follower = follow();
	char *chunk;
	send_number(1);
	chunk = read_chunk(follower);
	snprintf(prefix, sizeof prefix, "%s", chunk + 4);
	free(chunk);
	leave(follower);
	return prefix;
}

static struct follower *follow_from(const char *id)
{
	char field[128];
	snprintf(field, sizeof field, "Last-Event-ID: %s\r\n", id);
	return follow_with("/stream", field);
}

static const char *const strange_ids[] = { "0000000000000000-9", "9", "-9", "x", "0123456789abcdef-",
	"0123456789abcdef", "history" };

START_TEST(replays_the_whole_history_to_a_client_of_another_stream)
{
	struct follower *follower;
	start(&(struct pipit_stream_options){ .history = 2 });
	for (int i = 1; i <= 3; i++)
		send_number(i);
	follower = follow_from(strange_ids[_i]);
	expect_event(follower, 2, "2");
	expect_event(follower, 3, "3");
	ck_assert(!wire_is_readable(follower->fd, 20));
	leave(follower);
	/* A client without an id has missed nothing. */
	follower = follow_from("");
	ck_assert(!wire_is_readable(follower->fd, 20));
	leave(follower);
}
END_TEST

START_TEST(keeps_no_event_without_an_id)
{
	struct follower *follower, *late;
	start(&(struct pipit_stream_options){ .history = 2 });
	follower = follow();
	send_number(1);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(
		    pipit_stream_send(stream, &(struct pipit_event){ .data = "passing", .without_id = true }), 0);
	send_number(2);
	expect_event(follower, 1, "1");
	for (int i = 0; i < 10; i++)
		expect_chunk(follower, "data: passing\n\n");
	expect_event(follower, 2, "2");
	late = follow_from("other");
	expect_event(late, 1, "1");
	expect_event(late, 2, "2");
	ck_assert(!wire_is_readable(late->fd, 20));
	leave(late);
	leave(follower);
}
END_TEST

START_TEST(counts_ids_without_clients)
{
	struct follower *follower;
	start(NULL);
	for (int i = 1; i <= 5; i++)
		send_number(i);
	follower = follow();
	send_number(6);
	expect_event(follower, 6, "6");
	/* The first five had no clients: they were not rendered. */
	ck_assert_uint_eq(pipit_stream_renderings(stream), 1);
	leave(follower);
}
END_TEST

/* ---------------------------------------------------------------- limits */

START_TEST(detects_closed_clients_and_counts_their_requests_as_complete)
{
	struct follower *followers[10];
	start_with(NULL, 1, _i == 1);
	for (size_t i = 0; i < COUNT(followers); i++)
		followers[i] = follow();
	ck_assert_double_eq(metric("http_connections{state=\"streaming\"}"), COUNT(followers));
	/* Nothing is sent, so that only the sweep can detect it. Half of the clients shut down first. */
	for (size_t i = 0; i < COUNT(followers); i++) {
		if (i % 2)
			shutdown(followers[i]->fd, SHUT_WR);
		else
			leave(followers[i]);
	}
	await_clients(0);
	await_metric("http_connections{state=\"streaming\"}", 0);
	await_metric("http_requests_total{method=\"GET\",route=\"/stream\",code=\"200\"}", COUNT(followers));
	ck_assert_double_eq(metric("http_requests_aborted_total"), 0);
	ck_assert_double_eq(metric("pipit_buffered_bytes"), 0);
	/* The observed duration ends with the head, not with the connection. */
	ck_assert_double_eq(
	    metric("http_request_duration_seconds_bucket{route=\"/stream\",le=\"+Inf\"}"), COUNT(followers));
	for (size_t i = 1; i < COUNT(followers); i += 2)
		leave(followers[i]);
}
END_TEST

static long resident_kib(void)
{
	char line[256];
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	if (fgets(line, sizeof line, file))
		sscanf(line, "%*d %ld", &pages);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool is_dropped(void *arg)
{
	(void)arg;
	return metric("http_streams_dropped_total") == 1;
}

#define LARGE_EVENTS 1000
#define LARGE_BYTES (64 * 1024)

START_TEST(closes_a_client_that_does_not_read_and_buffers_at_most_the_limit)
{
	static char data[LARGE_BYTES];
	struct follower *reader, *sleeper;
	long before, after;
	start(&(struct pipit_stream_options){ .max_queue = 16 });
	reader = follow();
	sleeper = follow();
	memset(data, 'x', sizeof data - 1);
	before = resident_kib();
	for (uint64_t i = 1; i <= LARGE_EVENTS; i++) {
		char first[64];
		send_text(NULL, data);
		/* The first client keeps up, so that only the queue of the second can grow. */
		ck_assert_uint_eq(read_event(reader, first, sizeof first), i);
	}
	after = resident_kib();
	ck_assert(wire_wait(is_dropped, NULL));
	ck_assert_uint_eq(pipit_stream_clients(stream), 1);
	/* 64 MiB were sent; a sanitizer does not return memory. */
	if (!IS_SANITIZED)
		ck_assert_msg(after - before < 8 * 1024, "from %ld to %ld KiB", before, after);
	/* The head of the request of the client that reads. */
	ck_assert_double_lt(metric("pipit_buffered_bytes"), 1024);
	free(wire_read_all(sleeper->fd, NULL));
	leave(sleeper);
	send_number(1);
	expect_event(reader, LARGE_EVENTS + 1, "1");
	leave(reader);
}
END_TEST

START_TEST(keeps_a_client_that_reads_through_a_burst_above_the_limit)
{
	struct follower *follower;
	struct wire_response response;
	int fd;
	start(&(struct pipit_stream_options){ .max_queue = 4 });
	follower = follow();
	fd = wire_connect(port);
	response = wire_ask(fd, "GET /burst HTTP/1.1\r\n" ANY_HOST "\r\n");
	ck_assert_str_eq(response.content, "sent");
	wire_free(&response);
	for (int i = 1; i <= burst; i++)
		expect_event(follower, (uint64_t)i, "burst");
	ck_assert_double_eq(metric("http_streams_dropped_total"), 0);
	close(fd);
	leave(follower);
}
END_TEST

/* A client that is behind, but not too far, gets everything once it reads. */
START_TEST(continues_where_a_slow_client_stopped)
{
	static char data[LARGE_BYTES];
	struct follower *follower;
	char first[64];
	start(&(struct pipit_stream_options){ .max_queue = 200 });
	follower = follow();
	memset(data, 'x', sizeof data - 1);
	for (int i = 1; i <= 150; i++)
		send_text(NULL, data);
	await_metric("http_connections{state=\"writing\"}", 1);
	for (uint64_t i = 1; i <= 150; i++)
		ck_assert_uint_eq(read_event(follower, first, sizeof first), i);
	await_metric("http_connections{state=\"streaming\"}", 1);
	send_number(1);
	expect_event(follower, 151, "1");
	ck_assert_double_eq(metric("http_streams_dropped_total"), 0);
	leave(follower);
}
END_TEST

START_TEST(ends_a_stream_after_the_events_that_a_slow_client_has_not_read)
{
	static char data[LARGE_BYTES];
	struct follower *follower;
	char first[64];
	start(&(struct pipit_stream_options){ .max_queue = 200 });
	follower = follow();
	memset(data, 'x', sizeof data - 1);
	for (int i = 1; i <= 150; i++)
		send_text(NULL, data);
	ck_assert_int_eq(pipit_stream_end(stream), 0);
	await_metric("http_connections{state=\"writing\"}", 1);
	for (uint64_t i = 1; i <= 150; i++)
		ck_assert_uint_eq(read_event(follower, first, sizeof first), i);
	expect_chunk(follower, "");
	expect_hello(follower);
	leave(follower);
}
END_TEST

/* ---------------------------------------------------------------- many */

#define SENDERS 2
#define SENT_EACH 400
#define VISITORS 4

static void *send_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < SENT_EACH; i++) {
		struct timespec pause = { 0, 100000 };
		if (pipit_stream_send(stream, &(struct pipit_event){ .data = "x" }) != 0)
			abort();
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/*
 * Connects and closes, and reconnects with the last id, until it has the last event of all. Returns NULL when each event
 * arrived once and in order, otherwise an error.
 */
static void *come_and_go(void *arg)
{
	static _Atomic unsigned dice = 1;
	uint64_t have = 0, total = SENDERS * SENT_EACH + 1;
	const char *prefix = arg;
	struct follower *follower = malloc(sizeof *follower);
	const char *wrong = NULL;

	while (have < total && !wrong) {
		unsigned stay = (dice = dice * 1664525u + 1013904223u) >> 16 & 31;
		char head[2048], *chunk;
		*follower = (struct follower){ .fd = wire_try_connect(port) };
		wire_print(follower->fd, "GET /stream HTTP/1.1\r\n" ANY_HOST "Last-Event-ID: %s-%" PRIu64 "\r\n\r\n",
		    prefix, have);
		if (read_head(follower, head, sizeof head) != 200)
			wrong = "no stream";
		chunk = wrong ? NULL : read_chunk(follower);
		free(chunk);
		for (; stay > 0 && have < total && !wrong; stay--) {
			char data[16];
			uint64_t number = read_event(follower, data, sizeof data);
			if (number != have + 1)
				wrong = number > have ? "an event is missing"
					: number      ? "an event came twice"
						      : "the end";
			have++;
		}
		close(follower->fd);
	}
	free(follower);
	return (void *)(uintptr_t)wrong;
}

START_TEST(sends_each_event_once_and_in_order_to_clients_that_reconnect)
{
	pthread_t senders[SENDERS], visitors[VISITORS];
	char *prefix;
	void *wrong;
	start_with(&(struct pipit_stream_options){ .history = SENDERS * SENT_EACH + 1, .max_queue = 10000 },
	    (uint64_t)_i, false);
	prefix = prefix_of_stream();
	for (size_t i = 0; i < SENDERS; i++)
		ck_assert_int_eq(pthread_create(&senders[i], NULL, send_many, NULL), 0);
	for (size_t i = 0; i < VISITORS; i++)
		ck_assert_int_eq(pthread_create(&visitors[i], NULL, come_and_go, prefix), 0);
	for (size_t i = 0; i < SENDERS; i++)
		ck_assert_int_eq(pthread_join(senders[i], NULL), 0);
	for (size_t i = 0; i < VISITORS; i++) {
		ck_assert_int_eq(pthread_join(visitors[i], &wrong), 0);
		ck_assert_msg(!wrong, "%s", (const char *)wrong);
	}
	await_clients(0);
}
END_TEST

/* ---------------------------------------------------------------- ends */

START_TEST(outlives_the_server)
{
	struct follower *follower;
	start(&(struct pipit_stream_options){ .history = 3 });
	follower = follow();
	stop_server();
	ck_assert_uint_eq(pipit_stream_clients(stream), 0);
	leave(follower);
	send_number(1);
	make_server(2, false);
	run_server();
	follower = follow_from("other");
	expect_event(follower, 1, "1");
	send_number(2);
	expect_event(follower, 2, "2");
	leave(follower);
}
END_TEST

/* The program keeps sending while the server ends. */
static void *send_until_ended(void *flag)
{
	while (!atomic_load((atomic_bool *)flag)) {
		struct timespec pause = { 0, 20000 };
		nanosleep(&pause, NULL);
		pipit_stream_send(stream, &(struct pipit_event){ .data = "x" });
	}
	return NULL;
}

START_TEST(does_not_wait_for_a_client_that_is_behind_when_the_server_drains)
{
	static char data[LARGE_BYTES];
	struct follower *sleeper;
	start(&(struct pipit_stream_options){ .max_queue = 200 });
	sleeper = follow();
	memset(data, 'x', sizeof data - 1);
	for (int i = 0; i < 150; i++)
		send_text(NULL, data);
	await_metric("http_connections{state=\"writing\"}", 1);
	pipit_server_drain(server);
	join_thread();
	leave(sleeper);
}
END_TEST

START_TEST(can_be_sent_to_while_the_server_stops)
{
	struct follower *followers[10];
	atomic_bool is_over = false;
	pthread_t sender;
	start_with(&(struct pipit_stream_options){ .max_queue = 100000 }, (uint64_t)_i, false);
	for (size_t i = 0; i < COUNT(followers); i++)
		followers[i] = follow();
	ck_assert_int_eq(pthread_create(&sender, NULL, send_until_ended, &is_over), 0);
	expect_event(followers[0], 1, "x");
	stop_server();
	atomic_store(&is_over, true);
	ck_assert_int_eq(pthread_join(sender, NULL), 0);
	ck_assert_uint_eq(pipit_stream_clients(stream), 0);
	for (size_t i = 0; i < COUNT(followers); i++)
		leave(followers[i]);
}
END_TEST

/* On a loop of the test, stopped in every state. */
START_TEST(survives_an_attached_server_that_is_freed_with_clients)
{
	struct event_base *base = event_base_new();
	struct follower *follower = calloc(1, sizeof *follower);
	ck_assert_ptr_nonnull(stream = pipit_stream_new(NULL));
	make_server(1, _i == 1);
	ck_assert_int_eq(pipit_server_attach(server, base), 0);
	follower->fd = wire_connect(port);
	ck_assert(wire_print(follower->fd, "GET /stream HTTP/1.1\r\n" ANY_HOST "\r\n"));
	while (pipit_stream_clients(stream) == 0)
		event_base_loop(base, EVLOOP_ONCE);
	/* Announced, but not sent. */
	send_number(1);
	pipit_server_free(server);
	server = NULL;
	ck_assert_uint_eq(pipit_stream_clients(stream), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
	send_number(2);
	leave(follower);
}
END_TEST

/* ---------------------------------------------------------------- GET /events of the daemon */

static void start_daemon(struct daemon *daemon, const char *const *arguments)
{
	*daemon = daemon_start(arguments);
	port = daemon->port;
}

/* The JSON of the next event, which has this name. */
static cJSON *read_json(struct follower *follower, const char *name)
{
	char expected[64], *chunk = read_chunk(follower), *at;
	cJSON *doc;
	ck_assert_ptr_nonnull(chunk);
	snprintf(expected, sizeof expected, "event: %s\ndata: ", name);
	at = strstr(chunk, expected);
	ck_assert_msg(at != NULL, "no event %s: %s", name, chunk);
	/* `history` has no id; every other event has one. */
	ck_assert_int_eq(at == chunk, strcmp(name, "history") == 0);
	at[strlen(at) - 2] = '\0';
	doc = cJSON_Parse(at + strlen(expected));
	ck_assert_ptr_nonnull(doc);
	free(chunk);
	return doc;
}

static double number_of(const cJSON *doc, const char *name)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(doc, name);
	ck_assert_msg(cJSON_IsNumber(member), "no number %s", name);
	return member->valuedouble;
}

static const char *const members[] = { "t", "version", "uptime", "rps", "p50", "p90", "p99", "codes", "connections",
	"max_connections", "accepted", "evicted", "aborted", "rejected", "timeouts", "workers", "memory", "descriptors",
	"received", "sent", "routes" };

START_TEST(sends_live_figures_without_a_gap_after_the_history)
{
	struct daemon daemon;
	struct follower *early, *late;
	cJSON *history, *figures, *rows, *row;
	double t;
	int count;
	start_daemon(&daemon, (const char *const[]){ "--workers", "2", NULL });
	early = follow_with("/events", "");
	history = read_json(early, "history");
	figures = read_json(early, "figures");
	for (size_t i = 0; i < COUNT(members); i++)
		ck_assert_msg(cJSON_HasObjectItem(figures, members[i]), "no member %s", members[i]);
	ck_assert_int_eq(cJSON_GetArraySize(figures), COUNT(members));
	ck_assert_double_eq(number_of(cJSON_GetObjectItem(figures, "connections"), "streaming"), 1);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(figures, "workers")), 2);
	cJSON_Delete(history);
	cJSON_Delete(figures);
	figures = read_json(early, "figures");
	cJSON_Delete(figures);
	/* A client that connects later gets the seconds before. */
	late = follow_with("/events", "");
	history = read_json(late, "history");
	rows = cJSON_GetObjectItem(history, "rows");
	count = cJSON_GetArraySize(rows);
	ck_assert_int_ge(count, 2);
	t = cJSON_GetArrayItem(cJSON_GetArrayItem(rows, 0), 0)->valuedouble;
	cJSON_ArrayForEach(row, rows) ck_assert_double_eq(cJSON_GetArrayItem(row, 0)->valuedouble, t++);
	figures = read_json(late, "figures");
	ck_assert_double_eq(number_of(figures, "t"), t);
	cJSON_Delete(figures);
	cJSON_Delete(history);
	figures = read_json(early, "figures");
	ck_assert_double_eq(number_of(figures, "t"), t);
	cJSON_Delete(figures);
	leave(early);
	leave(late);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* ---------------------------------------------------------------- suite */

static TCase *new_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, NULL, tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("stream_life");
	TCase *tests = new_case(suite, "reply");

	/* Without evhttp callbacks, and with. */
	tcase_add_loop_test(tests, sends_each_event_in_a_chunk, 0, 2);
	tcase_add_loop_test(tests, serves_the_next_request_after_the_end_of_a_stream, 0, 2);
	tcase_add_loop_test(tests, serves_requests_pipelined_after_a_stream_at_its_end, 0, 2);
	tcase_add_loop_test(tests, joins_a_request_that_was_kept, 0, 2);
	tests = new_case(suite, "history");
	tcase_add_loop_test(tests, replays_the_whole_history_to_a_client_of_another_stream, 0, COUNT(strange_ids));
	tcase_add_test(tests, keeps_no_event_without_an_id);
	tcase_add_test(tests, counts_ids_without_clients);
	tests = new_case(suite, "limits");
	tcase_add_loop_test(tests, detects_closed_clients_and_counts_their_requests_as_complete, 0, 2);
	tcase_add_test(tests, closes_a_client_that_does_not_read_and_buffers_at_most_the_limit);
	tcase_add_test(tests, keeps_a_client_that_reads_through_a_burst_above_the_limit);
	tcase_add_test(tests, continues_where_a_slow_client_stopped);
	tcase_add_test(tests, ends_a_stream_after_the_events_that_a_slow_client_has_not_read);
	tests = new_case(suite, "many");
	/* One worker, and two. */
	tcase_add_loop_test(tests, sends_each_event_once_and_in_order_to_clients_that_reconnect, 1, 3);
	tests = new_case(suite, "ends");
	tcase_add_test(tests, outlives_the_server);
	tcase_add_test(tests, does_not_wait_for_a_client_that_is_behind_when_the_server_drains);
	tcase_add_loop_test(tests, can_be_sent_to_while_the_server_stops, 1, 3);
	tcase_add_loop_test(tests, survives_an_attached_server_that_is_freed_with_clients, 0, 2);
	tests = new_case(suite, "daemon");
	tcase_add_test(tests, sends_live_figures_without_a_gap_after_the_history);
	return run_suite(suite);
}
