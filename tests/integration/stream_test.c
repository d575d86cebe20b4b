/* SPDX-License-Identifier: MIT */
/*
 * Streams of events over real sockets: from a server that this process runs in a thread and the test's thread sends to, and
 * from the daemon's GET /events.
 */
#include "daemon.h"
#include "pipit.h"
#include "request/sse.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GET(target, fields) "GET " target " HTTP/1.1\r\nHost: x\r\n" fields "\r\n"

/* --- a server with streams ------------------------------------------------------------------------------------------ */

static struct pipit_stream *stream;
static struct pipit_server *server;
static struct pipit_request *_Atomic kept;
static pthread_t thread;
static unsigned port;

static void hello(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "hello");
}

static void keep(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_request_keep(request) != 0)
		abort();
	kept = request;
}

static void join_with_greeting(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_stream_join(stream, request, &(struct pipit_event){ .name = "welcome", .data = "you" });
}

static void join_kept(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_stream_join(stream, request, NULL);
	pipit_request_release(request);
}

static void *run(void *unused)
{
	(void)unused;
	return pipit_server_run(server) == 0 ? server : NULL;
}

/* options: NULL for the defaults; without a heartbeat there, none comes between the events of a slow machine. */
static void start(uint64_t workers, const struct pipit_stream_options *options)
{
	struct pipit_stream_options chosen = options ? *options : (struct pipit_stream_options){ 0 };
	struct pipit_config config;
	sigset_t all;

	if (!chosen.heartbeat_ms)
		chosen.heartbeat_ms = 3600 * 1000;
	pipit_config_init(&config);
	wire_configure(&config);
	config.workers = workers;
	config.log_level = "error";
	stream = pipit_stream_new(&chosen);
	server = pipit_server_new(&config);
	ck_assert(stream && server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/stream", pipit_stream_serve, stream), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/greeted", join_with_greeting, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/kept", keep, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/hello", hello, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	port = (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
	/* The server's thread handles signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void stop(void)
{
	void *result;
	pipit_server_drain(server);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_nonnull(result);
	pipit_server_free(server);
	pipit_stream_free(stream);
}

static void send_event(const char *name, const char *data)
{
	ck_assert_int_eq(pipit_stream_send(stream, &(struct pipit_event){ .name = name, .data = data }), 0);
}

static bool has_clients(void *count)
{
	return pipit_stream_clients(stream) == *(uint64_t *)count;
}

static void await_clients(uint64_t count)
{
	ck_assert_msg(wire_wait(has_clients, &count), "%llu clients instead of %llu",
	    (unsigned long long)pipit_stream_clients(stream), (unsigned long long)count);
}

/* --- a client ------------------------------------------------------------------------------------------------------- */

struct follower {
	int fd;
	char *bytes; /* as received, NUL-terminated */
	size_t length, capacity;
	bool is_over;
};

static struct follower follow(const char *request)
{
	struct follower follower = { .fd = wire_connect(port) };
	ck_assert(wire_send(follower.fd, request, strlen(request)));
	return follower;
}

static void leave(struct follower *follower)
{
	close(follower->fd);
	free(follower->bytes);
}

/* Reads what has arrived, after at most limit_ms. */
static void hear(struct follower *follower, int limit_ms)
{
	ssize_t received;
	if (follower->is_over || !wire_is_readable(follower->fd, limit_ms))
		return;
	if (follower->capacity - follower->length < 65536) {
		follower->capacity = 2 * follower->capacity + 65537;
		follower->bytes = realloc(follower->bytes, follower->capacity);
		ck_assert_ptr_nonnull(follower->bytes);
	}
	received = recv(follower->fd, follower->bytes + follower->length, 65536, 0);
	follower->is_over = received <= 0;
	if (received > 0)
		follower->length += (size_t)received;
	follower->bytes[follower->length] = '\0';
}

static void expect(struct follower *follower, const char *text)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	while (!(follower->bytes && strstr(follower->bytes, text)) && !follower->is_over && wire_now_ms() < end)
		hear(follower, 100);
	ck_assert_msg(follower->bytes && strstr(follower->bytes, text), "waited in vain for \"%s\" in \"%.2000s\"",
	    text, follower->bytes ? follower->bytes : "");
}

static void expect_end(struct follower *follower)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	while (!follower->is_over && wire_now_ms() < end)
		hear(follower, 100);
	ck_assert(follower->is_over);
}

/* The body, its chunks joined and checked. *is_whole: it has its last chunk, or is not chunked. */
static char *content_of(const struct follower *follower, bool *is_whole)
{
	const char *at = strstr(follower->bytes, "\r\n\r\n");
	char *content = malloc(follower->length + 1), *out = content;
	ck_assert(at && content);
	at += 4;
	*is_whole = !strstr(follower->bytes, "\r\nTransfer-Encoding: chunked\r\n");
	if (*is_whole)
		return strcpy(content, at);
	while (*at) {
		char *end;
		unsigned long size = strtoul(at, &end, 16);
		ck_assert_msg(end > at && strncmp(end, "\r\n", 2) == 0, "no chunk: %.80s", at);
		at = end + 2;
		if (strlen(at) < size + 2)
			break;
		memcpy(out, at, size);
		out += size;
		ck_assert_msg(strncmp(at + size, "\r\n", 2) == 0, "a chunk of %lu bytes does not end", size);
		at += size + 2;
		if (size == 0) {
			*is_whole = true;
			break;
		}
	}
	*out = '\0';
	return content;
}

static void assert_content(const struct follower *follower, bool whole, const char *wanted)
{
	bool is_whole;
	char *content = content_of(follower, &is_whole), *at = content;
	/* Ids have a prefix that is new for each stream. */
	while ((at = strstr(at, "id: "))) {
		char *hyphen = strchr(at, '-');
		ck_assert(hyphen && hyphen - at == 4 + 16);
		memmove(at + 4, hyphen + 1, strlen(hyphen));
		at += 4;
	}
	ck_assert_str_eq(content, wanted);
	ck_assert_int_eq(is_whole, whole);
	free(content);
}

/* --- events --------------------------------------------------------------------------------------------------------- */

START_TEST(events_arrive_as_they_are_sent)
{
	struct follower follower;
	start(1, NULL);
	follower = follow(GET("/stream", ""));
	await_clients(1);
	send_event(NULL, "one");
	send_event("news", "two\nlines\r\nand\rmore\n");
	send_event(NULL, NULL);
	ck_assert_int_eq(
	    pipit_stream_send(stream, &(struct pipit_event){ .name = "quiet", .data = "no id", .without_id = true }),
	    0);
	send_event("last", "æ");
	expect(&follower, "data: æ\n\n\r\n");
	ck_assert_ptr_nonnull(strstr(follower.bytes, "HTTP/1.1 200 OK\r\n"));
	ck_assert_ptr_nonnull(strstr(follower.bytes, "Content-Type: text/event-stream\r\n"));
	ck_assert_ptr_nonnull(strstr(follower.bytes, "Cache-Control: no-store\r\n"));
	ck_assert_ptr_null(strstr(follower.bytes, "Content-Length"));
	assert_content(&follower, false,
	    "retry: 2000\n\n"
	    "id: 1\ndata: one\n\n"
	    "id: 2\nevent: news\ndata: two\ndata: lines\ndata: and\ndata: more\ndata: \n\n"
	    "id: 3\ndata: \n\n"
	    "event: quiet\ndata: no id\n\n"
	    "id: 4\nevent: last\ndata: æ\n\n");
	leave(&follower);
	await_clients(0);
	stop();
}
END_TEST

START_TEST(a_name_with_a_line_end_is_refused)
{
	start(1, NULL);
	ck_assert_int_eq(pipit_stream_send(stream, &(struct pipit_event){ .name = "a\nb" }), -EINVAL);
	ck_assert_int_eq(pipit_stream_send(stream, &(struct pipit_event){ .name = "a\rdata: x" }), -EINVAL);
	stop();
}
END_TEST

START_TEST(an_http_1_0_client_gets_no_chunks)
{
	struct follower follower;
	start(1, NULL);
	follower = follow("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	await_clients(1);
	send_event(NULL, "one");
	expect(&follower, "data: one\n\n");
	ck_assert_ptr_null(strstr(follower.bytes, "Transfer-Encoding"));
	ck_assert_ptr_null(strstr(follower.bytes, "keep-alive"));
	ck_assert_int_eq(pipit_stream_end(stream), 0);
	expect_end(&follower);
	assert_content(&follower, true, "retry: 2000\n\nid: 1\ndata: one\n\n");
	leave(&follower);
	stop();
}
END_TEST

START_TEST(a_head_request_gets_the_head_only_and_the_next_response_follows)
{
	struct follower follower;
	start(1, NULL);
	follower = follow("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n" GET("/hello", "Connection: close\r\n"));
	expect_end(&follower);
	ck_assert_ptr_nonnull(strstr(follower.bytes, "text/event-stream"));
	ck_assert_ptr_null(strstr(follower.bytes, "retry"));
	ck_assert_ptr_nonnull(strstr(follower.bytes, "\r\n\r\nhello"));
	ck_assert_uint_eq(pipit_stream_clients(stream), 0);
	leave(&follower);
	stop();
}
END_TEST

START_TEST(ending_a_stream_ends_the_reply_and_keeps_the_connection)
{
	struct follower follower;
	start(1, NULL);
	/* The second request waits in the connection until the first reply ends. */
	follower = follow(GET("/stream", "") GET("/hello", ""));
	await_clients(1);
	send_event(NULL, "one");
	expect(&follower, "data: one\n\n");
	ck_assert_ptr_null(strstr(follower.bytes, "hello"));
	ck_assert_int_eq(pipit_stream_end(stream), 0);
	expect(&follower, "0\r\n\r\nHTTP/1.1 200 OK\r\n");
	expect(&follower, "\r\n\r\nhello");
	await_clients(0);
	/* The stream can be followed again. */
	ck_assert(wire_print(follower.fd, GET("/stream", "")));
	await_clients(1);
	send_event(NULL, "two");
	expect(&follower, "data: two\n\n");
	leave(&follower);
	stop();
}
END_TEST

START_TEST(a_first_event_is_sent_to_one_client_only)
{
	struct follower first, second;
	start(1, NULL);
	first = follow(GET("/greeted", ""));
	second = follow(GET("/stream", ""));
	await_clients(2);
	send_event(NULL, "one");
	expect(&first, "data: one\n\n\r\n");
	expect(&second, "data: one\n\n\r\n");
	assert_content(&first, false, "retry: 2000\n\nevent: welcome\ndata: you\n\nid: 1\ndata: one\n\n");
	assert_content(&second, false, "retry: 2000\n\nid: 1\ndata: one\n\n");
	leave(&first);
	leave(&second);
	stop();
}
END_TEST

static bool is_kept(void *unused)
{
	(void)unused;
	return kept != NULL;
}

START_TEST(a_kept_request_may_join_later)
{
	struct follower follower;
	kept = NULL;
	start(1, NULL);
	follower = follow(GET("/kept", ""));
	ck_assert(wire_wait(is_kept, NULL));
	ck_assert_int_eq(pipit_request_post(kept, join_kept, NULL), 0);
	await_clients(1);
	send_event(NULL, "late");
	expect(&follower, "data: late\n\n");
	leave(&follower);
	await_clients(0);
	stop();
}
END_TEST

/* --- reconnections ------------------------------------------------------------------------------------------------ */

static void last_id(const struct follower *follower, char id[64])
{
	const char *at = NULL, *next = follower->bytes;
	while ((next = strstr(next, "id: ")))
		at = next += 4;
	ck_assert_ptr_nonnull(at);
	snprintf(id, 64, "%.*s", (int)strcspn(at, "\n"), at);
}

START_TEST(a_client_that_reconnects_gets_exactly_the_events_that_it_missed)
{
	struct follower follower;
	char id[64], request[256];
	start(1, &(struct pipit_stream_options){ .history = 4 });
	follower = follow(GET("/stream", ""));
	await_clients(1);
	send_event(NULL, "one");
	expect(&follower, "data: one\n\n");
	last_id(&follower, id);
	leave(&follower);
	await_clients(0);
	send_event(NULL, "two");
	send_event(NULL, "three");
	snprintf(request, sizeof request, GET("/stream", "Last-Event-ID: %s\r\n"), id);
	follower = follow(request);
	await_clients(1);
	send_event(NULL, "four");
	expect(&follower, "data: four\n\n\r\n");
	assert_content(
	    &follower, false, "retry: 2000\n\nid: 2\ndata: two\n\nid: 3\ndata: three\n\nid: 4\ndata: four\n\n");
	leave(&follower);
	await_clients(0);
	/* The history holds fewer than five events: the first is lost. */
	send_event(NULL, "five");
	follower = follow(request);
	expect(&follower, "data: five\n\n\r\n");
	assert_content(&follower, false,
	    "retry: 2000\n\nid: 2\ndata: two\n\nid: 3\ndata: three\n\nid: 4\ndata: four\n\nid: 5\ndata: five\n\n");
	leave(&follower);
	/* An id of another stream, or none: the whole history. */
	follower = follow(GET("/stream", "Last-Event-ID: 0123456789abcdef-5\r\n"));
	expect(&follower, "data: five\n\n\r\n");
	ck_assert_ptr_nonnull(strstr(follower.bytes, "data: two\n"));
	leave(&follower);
	/* Else the next wait could be for this one. */
	await_clients(0);
	follower = follow(GET("/stream", ""));
	await_clients(1);
	send_event(NULL, "six");
	expect(&follower, "data: six\n\n\r\n");
	assert_content(&follower, false, "retry: 2000\n\nid: 6\ndata: six\n\n");
	leave(&follower);
	stop();
}
END_TEST

/* --- many and slow ones ---------------------------------------------------------------------------------------------- */

static void allow_descriptors(rlim_t wanted)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	ck_assert_uint_ge(limit.rlim_cur, wanted);
}

START_TEST(an_event_for_a_thousand_clients_is_rendered_once)
{
	static struct follower followers[1000];
	/* Over TLS each is a thread of the test. */
	const size_t count = getenv("WIRE_TLS") ? 100 : COUNT(followers);
	allow_descriptors(4 * count + 100);
	start(1, NULL);
	for (size_t i = 0; i < count; i++)
		followers[i] = follow(GET("/stream", ""));
	await_clients(count);
	for (int i = 0; i < 3; i++)
		send_event("news", i < 2 ? "for all of you" : "the last one");
	for (size_t i = 0; i < count; i++) {
		expect(&followers[i], "data: the last one\n\n");
		assert_content(&followers[i], false,
		    "retry: 2000\n\nid: 1\nevent: news\ndata: for all of you\n\nid: 2\nevent: news\ndata: for all of "
		    "you\n\nid: 3\nevent: news\ndata: the last one\n\n");
	}
	ck_assert_uint_eq(pipit_stream_renderings(stream), 3);
	for (size_t i = 0; i < count; i++)
		leave(&followers[i]);
	await_clients(0);
	stop();
}
END_TEST

START_TEST(a_client_above_the_limit_gets_503_with_retry_after)
{
	struct follower first, second;
	struct wire_response response;
	int fd;
	start(2, &(struct pipit_stream_options){ .max_clients = 2, .retry_ms = 3500 });
	first = follow(GET("/stream", ""));
	second = follow(GET("/stream", ""));
	await_clients(2);
	fd = wire_connect(port);
	response = wire_ask(fd, GET("/stream", ""));
	ck_assert_int_eq(response.status, 503);
	ck_assert_str_eq(wire_field(&response, "Retry-After"), "4");
	ck_assert(response.is_complete);
	wire_free(&response);
	leave(&first);
	await_clients(1);
	/* On the same connection. */
	ck_assert(wire_print(fd, GET("/stream", "")));
	await_clients(2);
	close(fd);
	leave(&second);
	await_clients(0);
	stop();
}
END_TEST

static bool was_dropped(void *unused)
{
	int fd = wire_connect(port);
	struct wire_response page = wire_ask(fd, GET("/metrics", ""));
	bool is_counted = strstr(page.content, "\nhttp_streams_dropped_total 1\n") != NULL;
	(void)unused;
	wire_free(&page);
	close(fd);
	return is_counted;
}

/* Its socket and its queue hold some events and no more. The other client gets all of them. */
START_TEST(a_client_that_does_not_read_is_closed_and_others_are_not)
{
	struct follower slow, quick;
	char data[20000], last[32];
	int small = 4096;
	memset(data, 'x', sizeof data - 1);
	data[sizeof data - 1] = '\0';
	start(1, &(struct pipit_stream_options){ .max_queue = 8 });
	slow = follow(GET("/stream", ""));
	ck_assert_int_eq(setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	quick = follow(GET("/stream", ""));
	await_clients(2);
	for (int i = 0; pipit_stream_clients(stream) == 2; i++) {
		ck_assert_int_lt(i, 2000);
		send_event(NULL, data);
		snprintf(last, sizeof last, "-%d\ndata: xxx", i + 1);
		/* One at a time, otherwise the fast client falls behind too. */
		expect(&quick, last);
		free(quick.bytes);
		quick.bytes = NULL;
		quick.length = quick.capacity = 0;
	}
	ck_assert_uint_eq(pipit_stream_clients(stream), 1);
	ck_assert(wire_wait(was_dropped, NULL));
	send_event(NULL, "still here");
	expect(&quick, "data: still here\n\n");
	leave(&slow);
	leave(&quick);
	await_clients(0);
	stop();
}
END_TEST

START_TEST(a_day_is_the_longest_time_between_comments)
{
	const uint64_t day_ms = 24 * 3600 * 1000;
	for (uint64_t ms = day_ms - 1; ms <= day_ms + 1; ms++) {
		struct pipit_stream *made = pipit_stream_new(&(struct pipit_stream_options){ .heartbeat_ms = ms });
		ck_assert_int_eq(made != NULL, ms <= day_ms);
		pipit_stream_free(made);
	}
}
END_TEST

START_TEST(a_comment_is_sent_when_no_event_is)
{
	struct follower follower;
	start(1, &(struct pipit_stream_options){ .heartbeat_ms = 100 });
	follower = follow(GET("/stream", ""));
	expect(&follower, "\r\n3\r\n:\n\n\r\n3\r\n:\n\n\r\n");
	send_event(NULL, "one");
	expect(&follower, "data: one\n\n");
	leave(&follower);
	await_clients(0);
	stop();
}
END_TEST

/* --- the end -------------------------------------------------------------------------------------------------------- */

START_TEST(a_drain_ends_streams_cleanly)
{
	struct follower followers[20];
	start(2, NULL);
	for (size_t i = 0; i < COUNT(followers); i++)
		followers[i] = follow(GET("/stream", ""));
	await_clients(COUNT(followers));
	send_event(NULL, "one");
	for (size_t i = 0; i < COUNT(followers); i++)
		expect(&followers[i], "data: one\n\n");
	pipit_server_drain(server);
	for (size_t i = 0; i < COUNT(followers); i++) {
		expect_end(&followers[i]);
		assert_content(&followers[i], true, "retry: 2000\n\nid: 1\ndata: one\n\n");
		leave(&followers[i]);
	}
	stop();
}
END_TEST

START_TEST(a_stream_may_be_freed_while_it_is_followed)
{
	struct follower followers[20];
	start(2, NULL);
	for (size_t i = 0; i < COUNT(followers); i++)
		followers[i] = follow(GET("/stream", ""));
	await_clients(COUNT(followers));
	send_event(NULL, "one");
	pipit_stream_free(stream);
	for (size_t i = 0; i < COUNT(followers); i++) {
		expect(&followers[i], "0\r\n\r\n");
		assert_content(&followers[i], true, "retry: 2000\n\nid: 1\ndata: one\n\n");
		leave(&followers[i]);
	}
	stream = NULL;
	stop();
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------------------------- */

static atomic_bool is_sending;

static void *send_many(void *unused)
{
	(void)unused;
	for (int i = 0; is_sending; i++) {
		if (pipit_stream_send(stream, &(struct pipit_event){ .data = "tick" }) != 0)
			abort();
		usleep(500);
	}
	return NULL;
}

/* Each number is the one before plus one: none is lost, none is repeated. */
static void assert_numbers_in_order(const struct follower *follower)
{
	unsigned long before = 0;
	for (const char *at = follower->bytes; (at = strstr(at, "id: ")); at += 4) {
		const char *hyphen = strchr(at, '-');
		unsigned long number;
		if (!hyphen || !strchr(hyphen, '\n'))
			break;
		number = strtoul(hyphen + 1, NULL, 10);
		ck_assert_msg(before == 0 || number == before + 1, "%lu after %lu", number, before);
		before = number;
	}
}

START_TEST(every_client_gets_all_events_in_order_while_others_connect_and_close)
{
	struct follower followers[24];
	pthread_t senders[2];
	start(2, &(struct pipit_stream_options){ .max_queue = 100000, .history = 16 });
	is_sending = true;
	for (size_t i = 0; i < COUNT(senders); i++)
		ck_assert_int_eq(pthread_create(&senders[i], NULL, send_many, NULL), 0);
	for (int round = 0; round < (IS_SANITIZED ? 3 : 10); round++) {
		for (size_t i = 0; i < COUNT(followers); i++)
			followers[i] = follow(GET("/stream", "Last-Event-ID: 0\r\n"));
		for (size_t i = 0; i < COUNT(followers); i++)
			expect(&followers[i], "data: tick\n\n");
		for (int i = 0; i < 200; i++)
			hear(&followers[i % (int)COUNT(followers)], 5);
		for (size_t i = 0; i < COUNT(followers); i++) {
			assert_numbers_in_order(&followers[i]);
			leave(&followers[i]);
		}
	}
	is_sending = false;
	for (size_t i = 0; i < COUNT(senders); i++)
		ck_assert_int_eq(pthread_join(senders[i], NULL), 0);
	await_clients(0);
	stop();
}
END_TEST

/* --- the daemon's figures ------------------------------------------------------------------------------------------- */

START_TEST(the_daemon_sends_its_figures_every_second)
{
	struct daemon daemon = daemon_start((const char *const[]){ "--workers", "2", NULL });
	struct follower follower;
	port = daemon.port;
	follower = follow(GET("/events", ""));
	expect(&follower, "event: history\ndata: {\"fields\":[\"t\",\"rps\",");
	expect(&follower, "-1\nevent: figures\ndata: {\"t\":");
	expect(&follower, "\"streaming\":1");
	expect(&follower, "-2\nevent: figures\n");
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections{state=\"streaming\"}"), 1);
	leave(&follower);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(the_daemon_limits_the_clients_of_its_stream_and_drains_at_once)
{
	struct daemon daemon =
	    daemon_start((const char *const[]){ "--max-streams", "3", "--drain-timeout", "1h", NULL });
	struct follower followers[3];
	struct wire_response response;
	int fd;
	port = daemon.port;
	for (size_t i = 0; i < COUNT(followers); i++) {
		followers[i] = follow(GET("/events", ""));
		expect(&followers[i], "event: history\n");
	}
	fd = wire_connect(port);
	response = wire_ask(fd, GET("/events", ""));
	ck_assert_int_eq(response.status, 503);
	ck_assert_ptr_nonnull(wire_field(&response, "Retry-After"));
	wire_free(&response);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_rejected_total{reason=\"too_many_streams\"}"), 1);
	kill(daemon.pid, SIGTERM);
	for (size_t i = 0; i < COUNT(followers); i++) {
		bool is_whole;
		expect_end(&followers[i]);
		free(content_of(&followers[i], &is_whole));
		ck_assert(is_whole);
		leave(&followers[i]);
	}
	/* Not only at the drain timeout, which is longer than the timeout of a test. */
	ck_assert_int_eq(daemon_wait(&daemon), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("streams");
	TCase *tests = tcase_create("streams");
	tcase_add_test(tests, events_arrive_as_they_are_sent);
	tcase_add_test(tests, a_name_with_a_line_end_is_refused);
	tcase_add_test(tests, an_http_1_0_client_gets_no_chunks);
	tcase_add_test(tests, a_head_request_gets_the_head_only_and_the_next_response_follows);
	tcase_add_test(tests, ending_a_stream_ends_the_reply_and_keeps_the_connection);
	tcase_add_test(tests, a_first_event_is_sent_to_one_client_only);
	tcase_add_test(tests, a_kept_request_may_join_later);
	tcase_add_test(tests, a_client_that_reconnects_gets_exactly_the_events_that_it_missed);
	tcase_add_test(tests, an_event_for_a_thousand_clients_is_rendered_once);
	tcase_add_test(tests, a_client_above_the_limit_gets_503_with_retry_after);
	tcase_add_test(tests, a_client_that_does_not_read_is_closed_and_others_are_not);
	tcase_add_test(tests, a_day_is_the_longest_time_between_comments);
	tcase_add_test(tests, a_comment_is_sent_when_no_event_is);
	tcase_add_test(tests, a_drain_ends_streams_cleanly);
	tcase_add_test(tests, a_stream_may_be_freed_while_it_is_followed);
	tcase_add_test(tests, every_client_gets_all_events_in_order_while_others_connect_and_close);
	tcase_add_test(tests, the_daemon_sends_its_figures_every_second);
	tcase_add_test(tests, the_daemon_limits_the_clients_of_its_stream_and_drains_at_once);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
