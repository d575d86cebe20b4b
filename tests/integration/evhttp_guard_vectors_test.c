/* SPDX-License-Identifier: MIT */
/*
 * Every vector of tests/vectors/guard against a program's own evhttp behind pipit_server_guard_evhttp(): whole, byte by byte, and
 * cut in two at every place, each time with a good request behind it. What is rejected is answered once and no callback runs;
 * what is accepted reaches the generic callback once, and the good request behind it is answered unless the connection ends.
 *
 * Program and client share a thread: bytes are on the server's socket when send() returns, so that turns of the loop can be told.
 */
#include "../vectors/vectors.h"
#include "http/guard.h"
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* It asks for the end, so that all that a connection gives can be read to its end. */
#define AFTER "GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
/* To accept, to read, and for what waits for the end of a turn. */
#define TURNS 3

static struct vectors accepted, rejected;

/* ---------------------------------------------------------------- the program */

static struct loop loop;
static struct evhttp *http;
static struct pipit_server *server;
static unsigned port;
static size_t calls, calls_after; /* of the generic callback, and of the one for AFTER */

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

/* ---------------------------------------------------------------- a delivery */

/* A vector, how it is sent, and what comes back. */
struct exchange {
	const struct vector *vector;
	size_t cut; /* after so many bytes; 0: whole, or byte by byte */
	bool trickles;
	char bytes[16 * 1024]; /* all that the connection gave, NUL-terminated */
	size_t length, at;     /* of them; how far they have been read */
};

/* Asked a hundred thousand times, so by if: every ck_assert() writes to a file. */
static void complain(const struct exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void complain(const struct exchange *exchange, const char *format, ...)
{
	char what[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	ck_abort_msg("%s, %s %zu: %s; %zu bytes came: %s", exchange->vector->name,
	    exchange->trickles ? "byte by byte" : "cut at", exchange->cut, what, exchange->length, exchange->bytes);
	abort();
}

static void send_piece(int fd, const char *bytes, size_t length)
{
	wire_send(fd, bytes, length);
	loop_turn(&loop, TURNS);
}

/* Turn the loop until the server has closed. */
static void read_to_end(struct exchange *exchange, int fd)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	for (;;) {
		size_t room = sizeof exchange->bytes - 1 - exchange->length;
		ssize_t received = recv(fd, exchange->bytes + exchange->length, room, MSG_DONTWAIT);
		if (received > 0)
			exchange->length += (size_t)received;
		else if (received == 0 || (errno != EAGAIN && errno != EINTR))
			break;
		else if (wire_now_ms() > end)
			complain(exchange, "the connection stays open");
		else
			loop_turn(&loop, 1);
		exchange->bytes[exchange->length] = '\0';
	}
}

/* The server may have refused and closed before all is sent. */
static void deliver(struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	struct linger none = { 1, 0 };
	int fd = wire_connect(port), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* Tens of thousands of connections would leave as many ports waiting. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	exchange->length = exchange->at = 0;
	exchange->bytes[0] = '\0';
	calls = calls_after = 0;
	if (exchange->trickles) {
		for (size_t i = 0; i < vector->length; i++)
			send_piece(fd, vector->bytes + i, 1);
	} else {
		if (exchange->cut)
			send_piece(fd, vector->bytes, exchange->cut);
		wire_send(fd, vector->bytes + exchange->cut, vector->length - exchange->cut);
	}
	wire_send(fd, AFTER, sizeof AFTER - 1);
	read_to_end(exchange, fd);
	close(fd);
	loop_turn(&loop, TURNS);
}

/* ---------------------------------------------------------------- what comes back */

struct answer {
	int status;
	bool closes;   /* says so */
	long length;   /* of the content, as announced; -1: it ends with the connection */
	size_t framed; /* fields that tell of the length */
	const char *content;
};

static void read_field(struct answer *answer, const char *line)
{
	if (strncasecmp(line, "Content-Length: ", 16) == 0) {
		answer->length = strtol(line + 16, NULL, 10);
		answer->framed++;
	} else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0) {
		answer->framed += 2;
	} else if (strncasecmp(line, "Connection: close\r", 18) == 0) {
		answer->closes = true;
	}
}

static struct answer read_answer(struct exchange *exchange, bool to_head)
{
	struct answer answer = { .length = -1 };
	const char *start = exchange->bytes + exchange->at, *end = strstr(start, "\r\n\r\n");
	size_t left;

	if (!end || strncmp(start, "HTTP/1.1 ", 9) != 0)
		complain(exchange, "no response at byte %zu", exchange->at);
	answer.status = atoi(start + 9);
	for (const char *line = strstr(start, "\r\n") + 2; line < end + 2; line = strstr(line, "\r\n") + 2)
		read_field(&answer, line);
	answer.content = end + 4;
	exchange->at = (size_t)(answer.content - exchange->bytes);
	left = exchange->length - exchange->at;
	if (answer.framed > 1)
		complain(exchange, "framed twice, or in chunks");
	if (to_head || answer.status < 200 || answer.status == 204)
		return answer;
	if (answer.length < 0 && !answer.closes)
		complain(exchange, "nothing tells where the content ends");
	if (answer.length < 0)
		answer.length = (long)left;
	if ((size_t)answer.length > left)
		complain(exchange, "less content than was announced");
	exchange->at += (size_t)answer.length;
	return answer;
}

/* "100 Continue" before it only for a client that expects it. */
static struct answer read_first(struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	bool to_head = memmem(vector->bytes, vector->length < 7 ? vector->length : 7, "HEAD ", 5);
	struct answer answer = read_answer(exchange, to_head);

	if (answer.status == 100 && strcasestr(vector->bytes, "Expect:"))
		answer = read_answer(exchange, to_head);
	return answer;
}

/* ---------------------------------------------------------------- what is expected */

static bool keeps_alive(const struct vector *vector)
{
	static const struct pipit_guard_limits none;
	static struct pipit_guard_head head;
	size_t checked = 0, consumed;
	enum pipit_refusal reason;

	if (pipit_guard_head(vector->bytes, vector->length, &checked, &none, &head, &consumed, &reason) !=
	    PIPIT_GUARD_PASS)
		ck_abort_msg("%s: the guard does not pass it", vector->name);
	return head.keep_alive;
}

/* It asks about the server as a whole, and is answered without a callback: content is not read. */
static bool is_for_no_callback(const struct vector *vector)
{
	return strncmp(vector->bytes, "OPTIONS * ", 10) == 0;
}

static void check_accepted(struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	bool is_ours = is_for_no_callback(vector);
	bool stays = keeps_alive(vector) && !(is_ours && strstr(vector->name, "-unread-"));
	struct answer answer = read_first(exchange);

	if (answer.status != (is_ours ? 204 : 200))
		complain(exchange, "answered with %d", answer.status);
	if (calls != !is_ours)
		complain(exchange, "the callback was called %zu times", calls);
	/* A client of HTTP/1.0 may have been told no length, and then the end is the end of the content. */
	if (answer.closes == stays)
		complain(exchange, answer.closes ? "the connection closes" : "the connection stays");
	if (stays) {
		answer = read_answer(exchange, false);
		if (answer.status != 200 || answer.length != 5 || memcmp(answer.content, "after", 5) != 0)
			complain(exchange, "the request behind it is answered with %d", answer.status);
	}
	if (calls_after != stays)
		complain(exchange, "the request behind it was shown %zu times", calls_after);
	if (exchange->at != exchange->length)
		complain(exchange, "%zu bytes too many", exchange->length - exchange->at);
}

static void check_rejected(struct exchange *exchange)
{
	struct answer answer = read_first(exchange);

	if (answer.status != exchange->vector->status)
		complain(exchange, "answered with %d", answer.status);
	if (!answer.closes)
		complain(exchange, "refused, and the connection stays");
	if (calls || calls_after)
		complain(exchange, "callbacks ran: %zu and %zu", calls, calls_after);
	if (exchange->at != exchange->length)
		complain(exchange, "%zu bytes behind the refusal", exchange->length - exchange->at);
}

static void exchange_in_every_way(const struct vector *vector, void (*check)(struct exchange *))
{
	static struct exchange exchange;

	exchange.vector = vector;
	exchange.trickles = true;
	deliver(&exchange);
	check(&exchange);
	exchange.trickles = false;
	for (exchange.cut = 0; exchange.cut < vector->length; exchange.cut++) {
		deliver(&exchange);
		check(&exchange);
	}
	exchange.cut = 0;
}

START_TEST(shows_the_callback_what_is_a_request_and_the_one_behind_it)
{
	exchange_in_every_way(&accepted.all[_i], check_accepted);
}
END_TEST

START_TEST(shows_the_callback_nothing_of_what_is_none)
{
	exchange_in_every_way(&rejected.all[_i], check_rejected);
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
	tcase_add_loop_test(tests, shows_the_callback_what_is_a_request_and_the_one_behind_it, 0, (int)accepted.count);
	tcase_add_loop_test(tests, shows_the_callback_nothing_of_what_is_none, 0, (int)rejected.count);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
