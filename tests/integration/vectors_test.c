/* SPDX-License-Identifier: MIT */
/*
 * Every vector of tests/vectors/guard against the real daemon: whole, byte by byte, and cut in two at every place, each time
 * with a good request behind it. What is accepted is answered once and the good request too, unless the connection ends; what
 * is rejected is answered once and nothing behind it is served. Every byte of every answer is looked at.
 */
#include "../vectors/vectors.h"
#include "daemon.h"
#include "http/guard.h"
#include "suite.h"
#include "wire.h"

#include <ctype.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEXT_OF(number) TEXT(number)
#define TEXT(number) #number

/* It asks for the end, so that all that a connection gives can be read to its end. */
#define AFTER "GET /hello/get?name=after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define AFTER_CONTENT "{\"message\":\"Hello, after!\"}"
/* Both are counted here: the vectors' own, which are told apart by their answers, and those behind. */
#define AFTER_SAMPLE "http_requests_total{method=\"GET\",route=\"/hello/get\",code=\"200\"}"
#define AFTER_ROUTE "{\"message\":\"Hello, "

static struct vectors accepted, rejected;
static struct daemon server;
static char root[] = "/tmp/pipit-test-vectors-XXXXXX";
static bool ended_well;

/* One daemon for all vectors; each test looks only at what it adds to the counters. One worker, so that an answer on one
 * connection tells that what was sent before on another has been read. */
static void start(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	server = daemon_start((const char *const[]){ "--workers", "1", "--root", root, "--max-head-bytes",
	    TEXT_OF(VECTORS_HEAD_BYTES), "--max-target-bytes", TEXT_OF(VECTORS_TARGET_BYTES), "--max-fields",
	    TEXT_OF(VECTORS_FIELDS), "--max-field-bytes", TEXT_OF(VECTORS_FIELD_BYTES), "--max-body-bytes",
	    TEXT_OF(VECTORS_BODY_BYTES), NULL });
}

/* A failure in here would not be counted: main() looks at ended_well. */
static void stop(void)
{
	ended_well = daemon_stop(&server) == 0;
	rmdir(root);
}

/* --- a delivery ---------------------------------------------------------------------------------------------------- */

/* A vector, how it is sent, and what comes back. */
struct exchange {
	const struct vector *vector;
	size_t cut; /* after so many bytes; 0: whole, or byte by byte */
	bool trickles;
	bool is_head, is_1_0; /* the vector's request */
	char *bytes;          /* all that the connection gave */
	size_t length, at;    /* of them; how far they have been read */
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
	    exchange->trickles ? "byte by byte" : "cut at", exchange->cut, what, exchange->length,
	    exchange->bytes ? exchange->bytes : "");
	abort();
}

static void send_at_once(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Tens of thousands of connections would leave as many ports waiting. */
static void close_at_once(int fd)
{
	struct linger none = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
}

static void ask(int helper)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	char answer[1024];
	ssize_t length = 0;

	if (!wire_send(helper, request, sizeof request - 1))
		ck_abort_msg("the helper's connection is gone");
	do {
		ssize_t received = recv(helper, answer + length, sizeof answer - 1 - (size_t)length, 0);
		if (received <= 0)
			ck_abort_msg("the helper gets no answer");
		length += received;
		answer[length] = '\0';
	} while (!strstr(answer, "\r\n\r\n{\"status\":\"ok\"}"));
}

/*
 * Until the daemon has read what was sent on a new connection. Every answer on another one tells that a turn of its loop has
 * ended: it takes one to accept, one to take the connection up, one to begin to wait for it, and in the last one what is new on
 * it may be read only after the helper's request.
 */
static void wait_for_daemon(int helper)
{
	for (int turn = 0; turn < 4; turn++)
		ask(helper);
}

/* The daemon may have refused and closed before all is sent: its answer must be readable then too. */
static void deliver(struct exchange *exchange, int helper)
{
	const struct vector *vector = exchange->vector;
	int fd = wire_connect(server.port);

	send_at_once(fd);
	if (exchange->trickles) {
		wire_trickle(fd, vector->bytes, vector->length);
	} else {
		if (exchange->cut) {
			wire_send(fd, vector->bytes, exchange->cut);
			wait_for_daemon(helper);
		}
		wire_send(fd, vector->bytes + exchange->cut, vector->length - exchange->cut);
	}
	wire_send(fd, AFTER, sizeof AFTER - 1);
	exchange->bytes = wire_read_all(fd, &exchange->length);
	close_at_once(fd);
	if (!exchange->bytes)
		complain(exchange, "the connection stays open");
}

/* --- a response, strictly ------------------------------------------------------------------------------------------ */

struct answer {
	int status;
	bool closes, stays; /* says so */
	bool has_length, is_chunked, has_date, has_allow, has_retry_after;
	size_t content_length;
	const char *content;
};

/* It is an IMF-fixdate when printing what was read gives the same again. */
static bool is_date(const char *value, size_t length)
{
	char text[64], again[64];
	struct tm date = { 0 };
	const char *end;

	if (length >= sizeof text)
		return false;
	memcpy(text, value, length);
	text[length] = '\0';
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &date);
	return end && *end == '\0' && strftime(again, sizeof again, "%a, %d %b %Y %H:%M:%S GMT", &date) == length &&
	       strcmp(text, again) == 0;
}

static bool is_name(const char *line, const char *colon)
{
	for (const char *at = line; at < colon; at++) {
		if (!isalnum((unsigned char)*at) && *at != '-')
			return false;
	}
	return colon > line;
}

static void set_once(const struct exchange *exchange, bool *flag, const char *name)
{
	if (*flag)
		complain(exchange, "%s twice", name);
	*flag = true;
}

static void take_length(const struct exchange *exchange, struct answer *answer, const char *value, size_t length)
{
	char *end;
	set_once(exchange, &answer->has_length, "Content-Length");
	answer->content_length = strtoul(value, &end, 10);
	if (length == 0 || !isdigit((unsigned char)*value) || end != value + length)
		complain(exchange, "Content-Length is no number");
}

static void take_connection(const struct exchange *exchange, struct answer *answer, const char *value, size_t length)
{
	if (answer->closes || answer->stays)
		complain(exchange, "Connection twice");
	answer->closes = length == 5 && memcmp(value, "close", 5) == 0;
	answer->stays = length == 10 && memcmp(value, "keep-alive", 10) == 0;
	if (!answer->closes && !answer->stays)
		complain(exchange, "Connection says neither");
}

static void take_field(const struct exchange *exchange, struct answer *answer, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line)), *value;
	size_t length, name_length;

	if (!colon || !is_name(line, colon) || end - colon < 2 || colon[1] != ' ')
		complain(exchange, "a line that is no field: %.*s", (int)(end - line), line);
	value = colon + 2;
	length = (size_t)(end - value);
	name_length = (size_t)(colon - line);
	if (name_length == 4 && strncasecmp(line, "Date", 4) == 0) {
		set_once(exchange, &answer->has_date, "Date");
		if (!is_date(value, length))
			complain(exchange, "Date is no IMF-fixdate");
	} else if (name_length == 14 && strncasecmp(line, "Content-Length", 14) == 0) {
		take_length(exchange, answer, value, length);
	} else if (name_length == 17 && strncasecmp(line, "Transfer-Encoding", 17) == 0) {
		set_once(exchange, &answer->is_chunked, "Transfer-Encoding");
	} else if (name_length == 10 && strncasecmp(line, "Connection", 10) == 0) {
		take_connection(exchange, answer, value, length);
	}
	answer->has_allow |= name_length == 5 && strncasecmp(line, "Allow", 5) == 0;
	answer->has_retry_after |= name_length == 11 && strncasecmp(line, "Retry-After", 11) == 0;
}

/* Status line and fields; exchange->at goes behind the empty line. */
static void read_head(struct exchange *exchange, struct answer *answer)
{
	const char *start = exchange->bytes + exchange->at, *end = strstr(start, "\r\n\r\n"), *line;

	*answer = (struct answer){ 0 };
	if (!end || strncmp(start, "HTTP/1.1 ", 9) != 0 || !isdigit((unsigned char)start[9]) || start[12] != ' ')
		complain(exchange, "no response at byte %zu", exchange->at);
	answer->status = atoi(start + 9);
	for (line = strstr(start, "\r\n") + 2; line < end + 2;) {
		const char *line_end = strstr(line, "\r\n");
		take_field(exchange, answer, line, line_end);
		line = line_end + 2;
	}
	exchange->at = (size_t)(end + 4 - exchange->bytes);
	answer->content = end + 4;
}

/* What RFC 9110 and 9112 ask of any final response. */
static void check_head(const struct exchange *exchange, const struct answer *answer, bool is_1_0)
{
	bool is_empty = answer->status == 204 || answer->status == 304;

	if (!answer->has_date)
		complain(exchange, "no Date");
	if (answer->has_length && answer->is_chunked)
		complain(exchange, "Content-Length and Transfer-Encoding");
	if (!is_empty && !answer->has_length && !answer->is_chunked)
		complain(exchange, "no framing");
	if (answer->status == 204 && (answer->has_length || answer->is_chunked))
		complain(exchange, "204 with a framing");
	if (is_1_0 && answer->is_chunked)
		complain(exchange, "chunks for HTTP/1.0");
	if (is_1_0 && !answer->closes && !answer->stays)
		complain(exchange, "HTTP/1.0 is not told that the connection stays");
	if (answer->status == 405 && !answer->has_allow)
		complain(exchange, "405 without Allow");
	if (answer->status == 503 && !answer->has_retry_after)
		complain(exchange, "503 without Retry-After");
}

/* Nothing that the daemon serves here is chunked: that would need another reader. */
static void skip_content(struct exchange *exchange, const struct answer *answer, bool is_head)
{
	if (answer->is_chunked)
		complain(exchange, "chunks");
	if (is_head || answer->status == 204 || answer->status == 304)
		return;
	if (exchange->length - exchange->at < answer->content_length)
		complain(exchange, "content of less than %zu bytes", answer->content_length);
	exchange->at += answer->content_length;
}

/* The next final response; "100 Continue" before it only for who expects it. */
static struct answer read_answer(struct exchange *exchange, bool is_head, bool is_1_0, bool may_continue)
{
	struct answer answer;
	read_head(exchange, &answer);
	if (answer.status == 100 && may_continue)
		read_head(exchange, &answer);
	if (answer.status < 200)
		complain(exchange, "an interim response that nobody asked for");
	check_head(exchange, &answer, is_1_0);
	skip_content(exchange, &answer, is_head);
	return answer;
}

static bool is_content(const struct answer *answer, const char *text)
{
	return answer->content_length == strlen(text) && memcmp(answer->content, text, strlen(text)) == 0;
}

/* --- what is expected ---------------------------------------------------------------------------------------------- */

static const char *request_line(const struct vector *vector)
{
	return vector->bytes + (vector->length > 2 && memcmp(vector->bytes, "\r\n", 2) == 0 ? 2 : 0);
}

static bool line_holds(const struct vector *vector, const char *text)
{
	const char *line = request_line(vector), *end = vector->bytes + vector->length;
	const char *line_end = memchr(line, '\n', (size_t)(end - line));
	return memmem(line, (size_t)((line_end ? line_end : end) - line), text, strlen(text));
}

static bool holds(const struct vector *vector, const char *text)
{
	return memmem(vector->bytes, vector->length, text, strlen(text));
}

static struct answer answer_of_vector(struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	bool may_continue = !exchange->is_1_0 && (holds(vector, "Expect:") || holds(vector, "EXPECT:"));
	struct answer answer = read_answer(exchange, exchange->is_head, exchange->is_1_0, may_continue);

	if (answer.status != vector->status)
		complain(exchange, "answered with %d", answer.status);
	return answer;
}

/* The client asks for it, or content was not read: those vectors say so in their names. */
static bool must_close(const struct vector *vector)
{
	static const struct pipit_guard_limits none;
	static struct pipit_guard_head head;
	size_t checked = 0, consumed;
	enum pipit_refusal reason;

	if (pipit_guard_head(vector->bytes, vector->length, &checked, &none, &head, &consumed, &reason) !=
	    PIPIT_GUARD_PASS)
		ck_abort_msg("%s: the guard does not pass it", vector->name);
	return !head.keep_alive || strstr(vector->name, "-unread-");
}

/* Returns how many requests of AFTER_SAMPLE it was. */
static int check_accepted(struct exchange *exchange)
{
	struct answer first = answer_of_vector(exchange), second;
	bool is_get = strncmp(request_line(exchange->vector), "GET ", 4) == 0;
	int count = first.status == 200 && is_get && strncmp(first.content, AFTER_ROUTE, strlen(AFTER_ROUTE)) == 0;

	if (first.closes != must_close(exchange->vector))
		complain(exchange, first.closes ? "the connection closes" : "the connection stays");
	if (!first.closes) {
		second = read_answer(exchange, false, false, false);
		if (second.status != 200 || !is_content(&second, AFTER_CONTENT) || !second.closes)
			complain(exchange, "the request behind it is answered with %d", second.status);
		count++;
	}
	if (exchange->at != exchange->length)
		complain(exchange, "%zu bytes too many", exchange->length - exchange->at);
	return count;
}

static int check_rejected(struct exchange *exchange)
{
	struct answer answer = answer_of_vector(exchange);

	if (!answer.closes)
		complain(exchange, "refused, and the connection stays");
	if (exchange->at != exchange->length)
		complain(exchange, "%zu bytes behind the refusal", exchange->length - exchange->at);
	return 0;
}

static int exchange_once(
    const struct vector *vector, int helper, size_t cut, bool trickles, int (*check)(struct exchange *))
{
	struct exchange exchange = {
		.vector = vector,
		.cut = cut,
		.trickles = trickles,
		.is_head = strncmp(request_line(vector), "HEAD ", 5) == 0,
		.is_1_0 = line_holds(vector, " HTTP/1.0\r\n"),
	};
	int count;
	deliver(&exchange, helper);
	count = check(&exchange);
	free(exchange.bytes);
	return count;
}

/* In every way; what ran of AFTER_SAMPLE is exactly what was answered. */
static void exchange_in_every_way(const struct vector *vector, int (*check)(struct exchange *))
{
	double before = daemon_metric(&server, AFTER_SAMPLE);
	int helper = wire_connect(server.port), count = 0;

	send_at_once(helper);
	count += exchange_once(vector, helper, 0, false, check);
	count += exchange_once(vector, helper, 0, true, check);
	for (size_t cut = 1; cut < vector->length; cut++)
		count += exchange_once(vector, helper, cut, false, check);
	close(helper);
	if (before < 0 && count > 0)
		before = 0; /* the sample appears with its first request */
	ck_assert_double_eq(daemon_metric(&server, AFTER_SAMPLE), before + count);
}

START_TEST(answers_what_is_a_request_and_the_one_behind_it)
{
	exchange_in_every_way(&accepted.all[_i], check_accepted);
}
END_TEST

START_TEST(refuses_what_is_none_and_serves_nothing_behind_it)
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
	Suite *suite = suite_create("vectors");
	TCase *tests = tcase_create("vectors");
	int status;

	vectors_load(&accepted, "accept");
	vectors_load(&rejected, "reject");
	tcase_add_unchecked_fixture(tests, start, stop);
	tcase_add_test(tests, finds_the_vectors);
	tcase_add_loop_test(tests, answers_what_is_a_request_and_the_one_behind_it, 0, (int)accepted.count);
	tcase_add_loop_test(tests, refuses_what_is_none_and_serves_nothing_behind_it, 0, (int)rejected.count);
	suite_add_tcase(suite, tests);
	status = run_suite(suite);
	return ended_well ? status : EXIT_FAILURE;
}
