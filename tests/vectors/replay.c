/* SPDX-License-Identifier: MIT */
/* See replay.h. */
#include "replay.h"

#include "http/guard.h"
#include "wire.h"

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One of so many places of a vector, when not every place, and the environment does not say. */
#define CUTS_APART 8

void replay_complain(const struct exchange *exchange, const char *format, ...)
{
	char what[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	ck_abort_msg("%s, %s %zu: %s; %zu bytes came: %.2000s", exchange->vector->name,
	    exchange->trickles ? "byte by byte" : "cut at", exchange->cut, what, exchange->length, exchange->bytes);
	abort();
}

/* --- a delivery ---------------------------------------------------------------------------------------------------- */

static void read_to_end(const struct replay *replay, struct exchange *exchange, int fd)
{
	for (;;) {
		size_t room = sizeof exchange->bytes - 1 - exchange->length;
		ssize_t received = recv(fd, exchange->bytes + exchange->length, room, MSG_DONTWAIT);
		if (received > 0)
			exchange->length += (size_t)received;
		else if (received == 0 || (errno != EAGAIN && errno != EINTR))
			break;
		else if (!replay->wait(fd))
			replay_complain(exchange, "the connection stays open");
		exchange->bytes[exchange->length] = '\0';
	}
}

static void send_piece(
    const struct replay *replay, const struct exchange *exchange, int fd, const char *bytes, size_t length)
{
	wire_send(fd, bytes, length);
	replay->settle(exchange->trickles);
}

/* The server may have refused and closed before all is sent: its answer must be readable then too. */
static void deliver(const struct replay *replay, struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	/* Tens of thousands of connections would leave as many ports waiting. */
	struct linger none = { 1, 0 };
	int fd = wire_connect(replay->port), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	exchange->length = exchange->at = 0;
	exchange->bytes[0] = '\0';
	if (exchange->trickles) {
		for (size_t i = 0; i < vector->length; i++)
			send_piece(replay, exchange, fd, vector->bytes + i, 1);
	} else {
		if (exchange->cut)
			send_piece(replay, exchange, fd, vector->bytes, exchange->cut);
		wire_send(fd, vector->bytes + exchange->cut, vector->length - exchange->cut);
	}
	wire_send(fd, replay->after, strlen(replay->after));
	read_to_end(replay, exchange, fd);
	close(fd);
}

static bool line_holds(const struct vector *vector, const char *text)
{
	const char *line = replay_request_line(vector), *end = vector->bytes + vector->length;
	const char *line_end = memchr(line, '\n', (size_t)(end - line));
	return memmem(line, (size_t)((line_end ? line_end : end) - line), text, strlen(text));
}

void replay_vector(
    const struct replay *replay, const struct vector *vector, size_t number, void (*check)(struct exchange *))
{
	static struct exchange exchange;
	const char *apart = getenv("REPLAY_CUTS_APART");
	size_t step = getenv("REPLAY_EVERY_CUT") ? 1 : apart ? strtoul(apart, NULL, 10) : CUTS_APART;

	exchange.replay = replay;
	exchange.vector = vector;
	exchange.is_head = strncmp(replay_request_line(vector), "HEAD ", 5) == 0;
	exchange.is_1_0 = line_holds(vector, " HTTP/1.0\r");
	exchange.cut = 0;
	exchange.trickles = true;
	deliver(replay, &exchange);
	check(&exchange);
	exchange.trickles = false;
	deliver(replay, &exchange);
	check(&exchange);
	for (exchange.cut = 1 + number % step; exchange.cut < vector->length; exchange.cut += step) {
		deliver(replay, &exchange);
		check(&exchange);
	}
}

/* --- a response, strictly ------------------------------------------------------------------------------------------ */

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
		replay_complain(exchange, "%s twice", name);
	*flag = true;
}

static void take_length(const struct exchange *exchange, struct answer *answer, const char *value, size_t length)
{
	char *end;
	set_once(exchange, &answer->has_length, "Content-Length");
	answer->content_length = strtoul(value, &end, 10);
	if (length == 0 || !isdigit((unsigned char)*value) || end != value + length)
		replay_complain(exchange, "Content-Length is no number");
}

static void take_connection(const struct exchange *exchange, struct answer *answer, const char *value, size_t length)
{
	if (answer->closes || answer->stays)
		replay_complain(exchange, "Connection twice");
	answer->closes = length == 5 && memcmp(value, "close", 5) == 0;
	answer->stays = length == 10 && memcmp(value, "keep-alive", 10) == 0;
	if (!answer->closes && !answer->stays)
		replay_complain(exchange, "Connection says neither");
}

static void take_field(const struct exchange *exchange, struct answer *answer, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line)), *value;
	size_t length, name_length;

	if (!colon || !is_name(line, colon) || end - colon < 2 || colon[1] != ' ')
		replay_complain(exchange, "a line that is no field: %.*s", (int)(end - line), line);
	value = colon + 2;
	length = (size_t)(end - value);
	name_length = (size_t)(colon - line);
	if (name_length == 4 && strncasecmp(line, "Date", 4) == 0) {
		set_once(exchange, &answer->has_date, "Date");
		if (!is_date(value, length))
			replay_complain(exchange, "Date is no IMF-fixdate");
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
		replay_complain(exchange, "no response at byte %zu", exchange->at);
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
	bool ends_content = exchange->replay->may_end_content && is_1_0 && answer->closes;

	if (!answer->has_date)
		replay_complain(exchange, "no Date");
	if (answer->has_length && answer->is_chunked)
		replay_complain(exchange, "Content-Length and Transfer-Encoding");
	if (!is_empty && !answer->has_length && !answer->is_chunked && !ends_content)
		replay_complain(exchange, "no framing");
	if (answer->status == 204 && (answer->has_length || answer->is_chunked))
		replay_complain(exchange, "204 with a framing");
	if (is_1_0 && answer->is_chunked)
		replay_complain(exchange, "chunks for HTTP/1.0");
	if (is_1_0 && !answer->closes && !answer->stays)
		replay_complain(exchange, "HTTP/1.0 is not told that the connection stays");
	if (answer->status == 405 && !answer->has_allow)
		replay_complain(exchange, "405 without Allow");
	if (answer->status == 503 && !answer->has_retry_after)
		replay_complain(exchange, "503 without Retry-After");
}

/* Nothing that is served here is chunked: that would need another reader. */
static void skip_content(struct exchange *exchange, struct answer *answer, bool is_head)
{
	if (answer->is_chunked)
		replay_complain(exchange, "chunks");
	if (is_head || answer->status == 204 || answer->status == 304)
		return;
	if (!answer->has_length)
		answer->content_length = exchange->length - exchange->at;
	if (exchange->length - exchange->at < answer->content_length)
		replay_complain(exchange, "content of less than %zu bytes", answer->content_length);
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
		replay_complain(exchange, "an interim response without Expect");
	check_head(exchange, &answer, is_1_0);
	skip_content(exchange, &answer, is_head);
	return answer;
}

bool replay_is_content(const struct answer *answer, const char *text)
{
	return answer->content_length == strlen(text) && memcmp(answer->content, text, strlen(text)) == 0;
}

/* --- what is expected ---------------------------------------------------------------------------------------------- */

const char *replay_request_line(const struct vector *vector)
{
	return vector->bytes + (vector->length > 2 && memcmp(vector->bytes, "\r\n", 2) == 0 ? 2 : 0);
}

struct answer replay_first_answer(struct exchange *exchange)
{
	const struct vector *vector = exchange->vector;
	bool may_continue = !exchange->is_1_0 && strcasestr(vector->bytes, "Expect:");
	return read_answer(exchange, exchange->is_head, exchange->is_1_0, may_continue);
}

struct answer replay_second_answer(struct exchange *exchange)
{
	return read_answer(exchange, false, false, false);
}

void replay_expect_end(const struct exchange *exchange)
{
	if (exchange->at != exchange->length)
		replay_complain(exchange, "%zu bytes too many", exchange->length - exchange->at);
}

bool replay_keeps_alive(const struct vector *vector)
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
