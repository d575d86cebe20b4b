/* SPDX-License-Identifier: MIT */
/*
 * Requests that the daemon must refuse, as bytes: one response with the reason, the end of the connection, and nothing after
 * it.
 */
#include "daemon.h"
#include "suite.h"
#include "wire.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void stop(struct daemon *daemon)
{
	ck_assert_int_eq(daemon_stop(daemon), 0);
}

/*
 * Small limits, so that byte-by-byte input can exceed them. One worker, so that a response on one connection shows that the
 * bytes sent before on another one have been read.
 */
static struct daemon start(void)
{
	return daemon_start((const char *const[]){ "--workers", "1", "--max-head-bytes", "1k", "--max-target-bytes",
	    "200", "--max-fields", "10", "--max-body-bytes", "500", NULL });
}

/* Follows every refused request. A server that answers it allows request smuggling. */
#define SMUGGLED "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define SMUGGLED_SAMPLE "http_requests_total{method=\"GET\",route=\"/healthz\",code=\"200\"}"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof *(array))
#define TEN(text) text text text text text text text text text text
#define BYTES(text) text, sizeof(text) - 1
#define POST "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

struct refusal {
	const char *bytes;
	size_t length;
	int status;
	const char *reason; /* of http_rejected_total */
};

/* clang-format off */
static const struct refusal refusals[] = {
	/* request line */
	{ BYTES("\0\1\2\3\r\n\r\n"), 400, "request_line" },
	{ BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"), 400, "request_line" }, /* TLS */
	{ BYTES("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("\rGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET /\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES(" GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET /  HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET / http/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET / HTTP/1.10\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET / HTTP/+1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET / HTTP/1.1\nHost: x\n\n"), 400, "request_line" },
	{ BYTES("GET / HTTP/1.1\rHost: x\r\r"), 400, "request_line" },
	{ BYTES("G\0T / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "request_line" },
	{ BYTES("GET hello HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET * HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET http:///healthz HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET http://u@x/healthz HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /a\x7f HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /% HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"), 400, "target" },
	{ BYTES("GET /" TEN(TEN("aaa")) " HTTP/1.1\r\nHost: x\r\n\r\n"), 414, "target_too_long" },
	{ BYTES("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), 505, "version" },
	{ BYTES("GET / HTTP/0.9\r\nHost: x\r\n\r\n"), 505, "version" },
	{ BYTES("BREW / HTTP/1.1\r\nHost: x\r\n\r\n"), 501, "method_unknown" },
	{ BYTES("get / HTTP/1.1\r\nHost: x\r\n\r\n"), 501, "method_unknown" },
	{ BYTES(TEN("ABCDEFGH") " / HTTP/1.1\r\nHost: x\r\n\r\n"), 501, "method_unknown" },
	{ BYTES("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"), 501, "method_unknown" },
	{ BYTES("TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET "), 501, "method_unknown" },
	{ BYTES("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"), 405, "method_refused" },

	/* headers */
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\n: value\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost : x\r\n\r\n"), 400, "field_line" },
	{ BYTES("POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello"), 400, "field_line" },
	{ BYTES("POST /hello/post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA\0b: c\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA\xc3: c\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: b\x1b[2J\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: b\rContent-Length: 5\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\n\n"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\n\rX"), 400, "field_line" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"), 400, "field_folded" },
	{ BYTES("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), 400, "field_folded" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n"), 400, "field_folded" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: " TEN(TEN("aaaaaaaaaaa")) "\r\n\r\n"), 431, "head_too_large" },
	{ BYTES("GET / HTTP/1.1\r\nA: " TEN(TEN("aaaaaaaaaaa"))), 431, "head_too_large" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\n" TEN("A: b\r\n") "\r\n"), 431, "too_many_fields" },
	{ BYTES("GET / HTTP/1.1\r\n\r\n"), 400, "host" },
	{ BYTES("GET http://x/ HTTP/1.1\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nhost: y\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x y\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x/healthz\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: u@x\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x:99999\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x:80:80\r\n\r\n"), 400, "host" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n"), 417, "expectation" },

	/* framing */
	{ BYTES(POST "Content-Length: +5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: -5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 0x5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 5 5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 5, 5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length:\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 5.0\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 18446744073709551621\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"), 400, "content_length" },
	{ BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, "length_and_coding" },
	{ BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"), 400, "length_and_coding" },
	{ BYTES(POST "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\nhello"), 400, "length_and_coding" },
	{ BYTES(POST "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501, "transfer_coding" },
	{ BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES("POST /hello/post HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"), 400, "coding_without_end" },
	{ BYTES(CHUNKED "\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "+5\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED " 5\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "-1\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5\nhello\n0\n\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5 5\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "4\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5\r\nhello0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5\r\nhello\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5;\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5;a=\nb\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "FFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "0\r\nno colon\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "0\r\nA: b\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "0\r\n A: b\r\n\r\n"), 400, "chunk" },
	{ BYTES(CHUNKED "0\r\n\n"), 400, "chunk" },
	{ BYTES(CHUNKED "0\r\n" TEN("A: b\r\n") "A: b\r\n\r\n"), 431, "too_many_fields" },
	{ BYTES(CHUNKED "0\r\nA: " TEN(TEN("aaaaaaaaaaa")) "\r\n\r\n"), 431, "head_too_large" },
	{ BYTES(POST "Content-Length: 501\r\n\r\n"), 413, "body_too_large" },
	{ BYTES(POST "Content-Length: 999999999999999999\r\n\r\n"), 413, "body_too_large" },
	{ BYTES(CHUNKED "1f5\r\n" TEN(TEN("aaaaa")) "a\r\n0\r\n\r\n"), 413, "body_too_large" },
	{ BYTES(CHUNKED TEN("33\r\n" TEN("aaaaa") "a\r\n") "0\r\n\r\n"), 413, "body_too_large" },
};
/* clang-format on */

enum { WHOLE, BYTE_BY_BYTE, CUT, WAYS };

/* The message, and after it what must not be served. Sending may fail because the daemon has already closed. */
static void send_in_a_way(const struct daemon *daemon, int fd, const struct refusal *refusal, int way)
{
	size_t half = way == CUT ? refusal->length / 2 : refusal->length;
	if (way == BYTE_BY_BYTE) {
		wire_trickle(fd, refusal->bytes, refusal->length);
		wire_trickle(fd, BYTES(SMUGGLED));
		return;
	}
	wire_send(fd, refusal->bytes, half);
	if (way == CUT) {
		/* The first half is read before the second one arrives. */
		daemon_metric(daemon, SMUGGLED_SAMPLE);
		wire_send(fd, refusal->bytes + half, refusal->length - half);
	}
	wire_send(fd, BYTES(SMUGGLED));
}

/* The connection must give one response with its body, and that must be marked as the last. */
static void assert_one_response(const char *bytes, size_t length, const struct refusal *refusal)
{
	const char *end = strstr(bytes, "\r\n\r\n"), *field = strstr(bytes, "\r\nContent-Length: ");
	ck_assert_msg(length > 12 && strncmp(bytes, "HTTP/1.1 ", 9) == 0, "no response: %s", bytes);
	ck_assert_int_eq(atoi(bytes + 9), refusal->status);
	ck_assert_ptr_nonnull(end);
	ck_assert(field && field < end);
	ck_assert_uint_eq((size_t)(bytes + length - (end + 4)), strtoul(field + 18, NULL, 10));
	ck_assert_ptr_nonnull(strstr(bytes, "\r\nConnection: close\r\n"));
	ck_assert_ptr_nonnull(strstr(bytes, "\r\nContent-Type: application/problem+json\r\n"));
	ck_assert_ptr_nonnull(strstr(bytes, "\r\nDate: "));
}

static void assert_counted(const struct daemon *daemon, const char *reason, int count)
{
	char sample[96];
	snprintf(sample, sizeof sample, "http_rejected_total{reason=\"%s\"}", reason);
	ck_assert_double_eq(daemon_metric(daemon, sample), count);
}

START_TEST(refuses_once_and_closes)
{
	const struct refusal *refusal = &refusals[_i];
	struct daemon daemon = start();
	for (int way = WHOLE; way < WAYS; way++) {
		int fd = wire_connect(daemon.port);
		size_t length;
		char *answer;
		send_in_a_way(&daemon, fd, refusal, way);
		answer = wire_read_all(fd, &length);
		ck_assert_msg(answer != NULL, "the connection stays open");
		assert_one_response(answer, length, refusal);
		free(answer);
		close(fd);
		assert_counted(&daemon, refusal->reason, way + 1);
	}
	ck_assert_double_eq(daemon_metric(&daemon, SMUGGLED_SAMPLE), -1);
	stop(&daemon);
}
END_TEST

/* The refused request follows a valid one, which is answered; nothing else changes. */
START_TEST(refuses_the_second_request_of_a_pipeline)
{
	const struct refusal *refusal = &refusals[_i];
	struct daemon daemon = start();
	int fd = wire_connect(daemon.port);
	struct wire_response first;
	size_t length;
	char *rest;
	wire_send(fd, BYTES("GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"));
	send_in_a_way(&daemon, fd, refusal, WHOLE);
	first = wire_read(fd, false);
	ck_assert_int_eq(first.status, 200);
	ck_assert(first.is_complete && !first.closes);
	rest = wire_read_all(fd, &length);
	ck_assert_ptr_nonnull(rest);
	assert_one_response(rest, length, refusal);
	wire_free(&first);
	free(rest);
	close(fd);
	assert_counted(&daemon, refusal->reason, 1);
	ck_assert_double_eq(daemon_metric(&daemon, SMUGGLED_SAMPLE), -1);
	stop(&daemon);
}
END_TEST

START_TEST(refuses_connect_with_the_allowed_methods)
{
	struct daemon daemon = start();
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n");
	ck_assert_int_eq(response.status, 405);
	ck_assert_ptr_nonnull(wire_field(&response, "Allow"));
	ck_assert_ptr_null(strstr(wire_field(&response, "Allow"), "CONNECT"));
	wire_free(&response);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(refuses_a_head_request_without_a_body)
{
	struct daemon daemon = start();
	int fd = wire_connect(daemon.port);
	size_t length;
	char *answer;
	ck_assert(wire_print(fd, "HEAD / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"));
	answer = wire_read_all(fd, &length);
	ck_assert_ptr_nonnull(answer);
	ck_assert_int_eq(strncmp(answer, "HTTP/1.1 400 ", 13), 0);
	ck_assert(strstr(answer, "\r\n\r\n") == answer + length - 4);
	free(answer);
	close(fd);
	stop(&daemon);
}
END_TEST

/* The refusal of a request must not depend on the request before it. */
START_TEST(refuses_with_a_body_after_a_head_request)
{
	struct daemon daemon = start();
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	ck_assert(wire_print(fd, "GARBAGE\r\n\r\n"));
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 400);
	ck_assert(response.is_complete);
	ck_assert_uint_gt(response.length, 0);
	wire_free(&response);
	close(fd);
	stop(&daemon);
}
END_TEST

START_TEST(refuses_in_json_after_a_request_that_preferred_html)
{
	struct daemon daemon = start();
	int fd = wire_connect(daemon.port);
	struct wire_response response = wire_ask(fd, POST "Accept: text/html\r\nContent-Length: 3\r\n\r\nAda");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	response = wire_ask(fd, "GARBAGE\r\n\r\n");
	ck_assert_int_eq(response.status, 400);
	ck_assert_str_eq(wire_field(&response, "Content-Type"), "application/problem+json");
	wire_free(&response);
	close(fd);
	stop(&daemon);
}
END_TEST

static const struct {
	const char *accept; /* header lines */
	bool is_html;
} likes[] = {
	{ "", false },
	{ "Accept: */*\r\n", false },
	{ "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n", true },
	{ "ACCEPT: Text/HTML\r\n", true },
	{ "Accept: text/html;q=0\r\n", false },
	{ "Accept: application/json;q=0.1, text/html\r\n", true },
	{ "Accept: application/json;q=0.1\r\nAccept: text/html\r\n", true },
	{ "Accept: text/html\r\nAccept: application/problem+json\r\n", false },
};

/* Heads that are complete when the request is refused, with a place for an Accept header. */
static const struct {
	const char *before, *behind;
	int status;
} whole_heads[] = {
	{ "BREW / HTTP/1.1\r\nHost: x\r\n", "\r\n", 501 },
	{ "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n", "\r\n", 405 },
	{ "GET https://x/ HTTP/1.1\r\nHost: x\r\n", "\r\n", 421 },
	{ "GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n", "\r\n", 417 },
	{ "GET / HTTP/1.1\r\n", "\r\n", 400 },
	{ POST "Content-Length: 501\r\n", "\r\n", 413 },
	{ POST "Transfer-Encoding: chunked\r\n", "\r\nZ\r\n", 400 },
	{ POST "Transfer-Encoding: chunked\r\n", "\r\n1f5\r\n", 413 },
};

START_TEST(refuses_in_the_format_that_the_client_prefers)
{
	struct daemon daemon = start();
	for (int i = 0; i < 2 * COUNT_OF(likes); i++) {
		bool is_html = likes[i / 2].is_html;
		int fd = wire_connect(daemon.port), length;
		struct wire_response response;
		char bytes[1024];
		length = snprintf(bytes, sizeof bytes, "%s%s%s%s", whole_heads[_i].before, likes[i / 2].accept,
		    whole_heads[_i].behind, whole_heads[_i].status == 413 ? TEN(TEN("aaaaaa")) : "");
		ck_assert_int_lt(length, (int)sizeof bytes);
		/* The server may close before it has read everything. */
		if (i % 2 == 0)
			wire_send(fd, bytes, (size_t)length);
		else
			wire_trickle(fd, bytes, (size_t)length);
		response = wire_read(fd, false);
		ck_assert_int_eq(response.status, whole_heads[_i].status);
		ck_assert(response.is_complete && response.closes);
		ck_assert_str_eq(wire_field(&response, "Content-Type"),
		    is_html ? "text/html; charset=utf-8" : "application/problem+json");
		ck_assert_int_eq(response.content[0], is_html ? '<' : '{');
		wire_free(&response);
		close(fd);
	}
	stop(&daemon);
}
END_TEST

/* The Accept header of an incomplete head may be followed by another one. */
START_TEST(refuses_in_json_before_the_head_is_complete)
{
	struct daemon daemon = start();
	int fd = wire_connect(daemon.port);
	struct wire_response response =
	    wire_ask(fd, "GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nno colon\r\n\r\n");
	ck_assert_int_eq(response.status, 400);
	ck_assert_str_eq(wire_field(&response, "Content-Type"), "application/problem+json");
	wire_free(&response);
	close(fd);
	stop(&daemon);
}
END_TEST

/* --- the default limits: just within, just above ------------------------------------------------------------------ */

/*
 * A GET with a target of `target` bytes, `fields` headers, and one header that makes the head `total` bytes long unless that is
 * 0. Malloc'd.
 */
static char *print_head(size_t target, size_t fields, size_t total)
{
	char *text = calloc(1, 200000), *at = text;
	ck_assert_ptr_nonnull(text);
	at += sprintf(at, "GET /hello/get?");
	memset(at, 'a', target - strlen("/hello/get?"));
	at += target - strlen("/hello/get?");
	at += sprintf(at, " HTTP/1.1\r\nHost: x\r\n");
	for (size_t i = 1; i < fields; i++)
		at += sprintf(at, "A: b\r\n");
	/* In headers of which none is too large by itself. */
	while (total && total - (size_t)(at - text) > strlen("\r\n")) {
		size_t left = total - (size_t)(at - text) - strlen("B: \r\n\r\n");
		size_t length = left > 8000 ? 7000 : left;
		at += sprintf(at, "B: ");
		memset(at, 'b', length);
		at += length;
		at += sprintf(at, "\r\n");
	}
	sprintf(at, "\r\n");
	return text;
}

static const struct {
	size_t target, fields, total;
	int status;
} heads[] = {
	{ 8192, 1, 0, 200 },
	{ 8193, 1, 0, 414 },
	{ 100000, 1, 0, 414 },
	{ 11, 100, 0, 200 },
	{ 11, 101, 0, 431 },
	{ 11, 1, 16384, 200 },
	{ 11, 1, 16385, 431 },
	{ 11, 1, 150000, 431 },
};

START_TEST(enforces_the_default_limits_of_a_head)
{
	struct daemon daemon = daemon_start(NULL);
	char *text = print_head(heads[_i].target, heads[_i].fields, heads[_i].total);
	int fd = wire_connect(daemon.port);
	struct wire_response response;
	wire_send(fd, text, strlen(text));
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, heads[_i].status);
	ck_assert(response.is_complete);
	ck_assert_int_eq(response.closes, heads[_i].status != 200);
	wire_free(&response);
	free(text);
	close(fd);
	stop(&daemon);
}
END_TEST

/* A client may send all of its body before it reads: the response must be there then (RFC 9112 §9.6). */
START_TEST(answers_a_client_that_sends_a_too_large_body_before_it_reads)
{
	static const char *const framings[] = { "Content-Length: 10485760\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\na00000\r\n" };
	struct daemon daemon = daemon_start(NULL);
	int fd = wire_connect(daemon.port);
	char *content = calloc(1, 10 * 1024 * 1024);
	struct wire_response response;
	ck_assert_ptr_nonnull(content);
	ck_assert(wire_print(fd, POST "%s", framings[_i]));
	wire_send(fd, content, 10 * 1024 * 1024);
	response = wire_read(fd, false);
	ck_assert_int_eq(response.status, 413);
	ck_assert(response.is_complete && response.closes);
	wire_free(&response);
	free(content);
	close(fd);
	assert_counted(&daemon, "body_too_large", 1);
	stop(&daemon);
}
END_TEST

/* --- garbage ------------------------------------------------------------------------------------------------------ */

#define GARBAGE_MAX 600

/* xorshift64*: the same bytes in every run. */
static uint32_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * 2685821657736338717u >> 32);
}

/* Random bytes, or a request with some changed bytes. Returns the length. */
static size_t make_garbage(uint64_t *state, char bytes[GARBAGE_MAX])
{
	static const char *const seeds[] = {
		"GET /hello/get?name=Ada HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
		CHUNKED "5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\n",
		POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
		"HEAD http://x:80/ HTTP/1.0\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	};
	static const char delimiters[] = "\r\n :;,%0";
	size_t length = next_random(state) % GARBAGE_MAX, changes = 1 + next_random(state) % 4;
	if (next_random(state) % 4 == 0) {
		for (size_t i = 0; i < length; i++)
			bytes[i] = (char)next_random(state);
		return length;
	}
	strcpy(bytes, seeds[next_random(state) % (sizeof seeds / sizeof *seeds)]);
	length = strlen(bytes);
	while (changes--) {
		char *place = &bytes[next_random(state) % length];
		*place = next_random(state) % 2 ? (char)next_random(state)
						: delimiters[next_random(state) % strlen(delimiters)];
	}
	return length;
}

START_TEST(survives_garbage)
{
	struct daemon daemon = start();
	uint64_t state = 20240229;
	char bytes[GARBAGE_MAX];
	struct wire_response response;
	int fd;
	for (int i = 0; i < 500; i++) {
		size_t length = make_garbage(&state, bytes);
		char *answer;
		fd = wire_connect(daemon.port);
		wire_send(fd, bytes, length);
		shutdown(fd, SHUT_WR);
		answer = wire_read_all(fd, NULL);
		ck_assert_msg(answer != NULL, "connection %d stays open", i);
		ck_assert_msg(!*answer || strncmp(answer, "HTTP/1.1 ", 9) == 0, "connection %d: %s", i, answer);
		free(answer);
		close(fd);
	}
	fd = wire_connect(daemon.port);
	response = wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	close(fd);
	stop(&daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("refusals");
	TCase *tests = tcase_create("refusals");
	tcase_add_loop_test(tests, refuses_once_and_closes, 0, COUNT_OF(refusals));
	tcase_add_loop_test(tests, refuses_the_second_request_of_a_pipeline, 0, COUNT_OF(refusals));
	tcase_add_test(tests, refuses_connect_with_the_allowed_methods);
	tcase_add_test(tests, refuses_a_head_request_without_a_body);
	tcase_add_test(tests, refuses_with_a_body_after_a_head_request);
	tcase_add_test(tests, refuses_in_json_after_a_request_that_preferred_html);
	tcase_add_loop_test(tests, refuses_in_the_format_that_the_client_prefers, 0, COUNT_OF(whole_heads));
	tcase_add_test(tests, refuses_in_json_before_the_head_is_complete);
	tcase_add_loop_test(tests, enforces_the_default_limits_of_a_head, 0, COUNT_OF(heads));
	tcase_add_loop_test(tests, answers_a_client_that_sends_a_too_large_body_before_it_reads, 0, 2);
	tcase_add_test(tests, survives_garbage);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
