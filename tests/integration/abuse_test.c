/* SPDX-License-Identifier: MIT */
/*
 * Clients that are slow, broken, hostile or closed: each connection is closed in the end, other clients are served meanwhile,
 * and no memory or descriptor is kept. Limits on number and size are in abuse_limits_test.c; exact deadlines are in
 * http1_test.c, which sets the clock.
 */
#include "abuse_clients.h"
#include "suite.h"

#include <fcntl.h>

#define GET "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_METRICS "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEAD_METRICS "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_LARGE "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"

/* Between two bytes of a trickling client. */
#define TRICKLE_MS 100
/* Far more than the buffers of two sockets. */
#define LARGE_BYTES (8 * 1024 * 1024)
/* Receive buffer of a client that does not read. */
#define TINY_BYTES 2048

/* --- slow senders --------------------------------------------------------------------------------------------------- */

/* Sends the next byte of every client: first of `start`, then of `more` repeatedly. */
static void trickle(struct group *group, size_t at, const char *start, const char *more)
{
	size_t start_length = strlen(start);
	const char *byte = at < start_length ? start + at : more + (at - start_length) % strlen(more);
	for (size_t i = 0; i < group->count; i++) {
		client_look(&group->clients[i], SIZE_MAX);
		client_send(&group->clients[i], byte, 1);
	}
}

/* Slow clients send `start`, then `more` repeatedly, without end. */
static const struct {
	const char *start, *more;
	const char *phase, *reason; /* of the deadline that they miss */
} slow_requests[] = {
	{ "GET /hello/get HTTP/1.1\r\nHost: x\r\nA: ", "a", "http_timeouts_total{phase=\"head\"}",
	    "http_rejected_total{reason=\"head_timeout\"}" },
	{ POST "Content-Length: 10000\r\n\r\n", "x", "http_timeouts_total{phase=\"body\"}",
	    "http_rejected_total{reason=\"body_timeout\"}" },
	{ POST "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", "http_timeouts_total{phase=\"body\"}",
	    "http_rejected_total{reason=\"body_timeout\"}" },
};

/* For bodies the whole head at once, so that the body deadline applies; for heads one byte. */
static size_t begin_slowly(struct group *group, const char *start)
{
	const char *end = strstr(start, "\r\n\r\n");
	size_t at_once = end ? strlen(start) : 1;
	for (size_t i = 0; i < group->count; i++)
		ck_assert(wire_send(group->clients[i].fd, start, at_once));
	return at_once;
}

/* No deadline closes a slow client here: all of them stay connected during the others' requests. */
START_TEST(serves_others_while_slow_clients_are_connected)
{
	struct scenario scenario = scenario_begin((const char *const[]){
	    "--head-timeout", "0", "--idle-timeout", "0", "--read-timeout", "0", "--min-rate-bytes", "0", NULL });
	struct group group = group_new(500);
	size_t at;

	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, 0);
	at = begin_slowly(&group, slow_requests[_i].start);
	scenario_wait_for(&scenario, "http_connections{state=\"reading\"}", (double)group.count);
	for (int rounds = 0; rounds < 50; rounds++) {
		trickle(&group, at++, slow_requests[_i].start, slow_requests[_i].more);
		scenario_ask(&scenario);
	}
	ck_assert_uint_eq(group_look(&group), group.count);
	scenario_assert_metric(&scenario, "http_connections{state=\"reading\"}", (double)group.count);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* Bytes arrive more often than the deadline is long, and do not extend it. */
START_TEST(closes_slow_clients_although_bytes_arrive)
{
	struct scenario scenario = scenario_begin(
	    (const char *const[]){ "--head-timeout", "1s", "--rate-grace", "1s", "--idle-timeout", "0", NULL });
	struct group group = group_new(500);
	long long end, next_ms = 0;
	size_t at;

	scenario_connect(&scenario, &group, 0, group.count, 0);
	at = begin_slowly(&group, slow_requests[_i].start);
	end = wire_now_ms() + PATIENCE_MS;
	while (group_look(&group) > 0 && wire_now_ms() < end) {
		if (wire_now_ms() >= next_ms) {
			trickle(&group, at++, slow_requests[_i].start, slow_requests[_i].more);
			next_ms = wire_now_ms() + TRICKLE_MS;
		}
		nap();
	}
	for (size_t i = 0; i < group.count; i++)
		ck_assert_msg(client_status(&group.clients[i]) == 408, "client %zu: status %d", i,
		    client_status(&group.clients[i]));
	ck_assert_uint_eq(group_look(&group), 0);
	group_free(&group);
	scenario_assert_metric(&scenario, slow_requests[_i].phase, 500);
	scenario_assert_metric(&scenario, slow_requests[_i].reason, 500);
	scenario_end(&scenario);
}
END_TEST

/* --- slow readers --------------------------------------------------------------------------------------------------- */

struct site {
	char root[64];
	char file[80];
};

static struct site make_site(void)
{
	struct site site = { .root = "/tmp/pipit-test-site-XXXXXX" };
	int fd;
	ck_assert_ptr_nonnull(mkdtemp(site.root));
	snprintf(site.file, sizeof site.file, "%s/large.bin", site.root);
	fd = open(site.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, LARGE_BYTES), 0);
	close(fd);
	return site;
}

static void remove_site(const struct site *site)
{
	unlink(site->file);
	rmdir(site->root);
}

/* Enough pages to fill the buffers of two sockets. */
#define PIPELINED 400

static void pipeline(const struct client *client, const char *request)
{
	char bytes[PIPELINED * 64];
	size_t length = 0;
	for (int i = 0; i < PIPELINED; i++)
		length += (size_t)snprintf(bytes + length, sizeof bytes - length, "%s", request);
	ck_assert_uint_eq(client_send(client, bytes, length), length);
}

/* Every tenth client pipelines many requests, the others ask for a large reply. */
static void ask_for_much(struct group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		if (i % 10 == 9)
			pipeline(&group->clients[i], GET_METRICS);
		else
			ck_assert(wire_print(group->clients[i].fd, "%s", GET_LARGE));
	}
}

/* Every third client reads a byte each second. */
static void sip(struct group *group)
{
	for (size_t i = 0; i < group->count; i += 3)
		client_look(&group->clients[i], 1);
}

START_TEST(closes_clients_that_do_not_read)
{
	struct site site = make_site();
	struct scenario scenario = scenario_begin((const char *const[]){
	    "--root", site.root, "--workers", "2", "--write-timeout", "2s", "--rate-grace", "2s", NULL });
	struct group group = group_new(200);
	long most_kib = 0;

	scenario.remembered = 2;
	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, TINY_BYTES);
	ask_for_much(&group);
	for (int seconds = 0; seconds < 3; seconds++) {
		long now_kib = daemon_resident_kib(&scenario.daemon);
		most_kib = now_kib > most_kib ? now_kib : most_kib;
		sip(&group);
		scenario_watch(&scenario, 1000);
	}
	scenario_wait_for(&scenario, "http_timeouts_total{phase=\"write\"}", 200);
	scenario_assert_metric(&scenario, "http_timeouts_total{phase=\"write\"}", 200);
	/*
	 * A pipelining client takes max-output-bytes, a reply and unread requests; the others read a file that is not in
	 * memory.
	 */
	ck_assert_msg(IS_SANITIZED || most_kib < scenario.resident_kib + 20 * (64 + 64) + RESIDENT_SLACK_KIB,
	    "%ld KiB are resident, %ld before", most_kib, scenario.resident_kib);
	group_free(&group);
	scenario_end(&scenario);
	remove_site(&site);
}
END_TEST

START_TEST(frees_clients_that_close_during_a_reply)
{
	struct site site = make_site();
	struct scenario scenario = scenario_begin((const char *const[]){
	    "--root", site.root, "--workers", "2", "--write-timeout", "0", "--min-rate-bytes", "0", NULL });
	scenario.remembered = 2;
	scenario_keep_alive(&scenario);
	for (int burst = 0; burst < 5; burst++) {
		struct group group = group_new(40);
		scenario_connect(&scenario, &group, 0, group.count, TINY_BYTES);
		for (size_t i = 0; i < group.count; i++)
			ck_assert(wire_print(group.clients[i].fd, "%s", GET_LARGE));
		scenario_ask(&scenario);
		for (size_t i = 0; i < group.count; i++) {
			ck_assert(wire_is_readable(group.clients[i].fd, PATIENCE_MS));
			client_look(&group.clients[i], 10000 * (i % 3));
		}
		group_free(&group);
	}
	scenario_wait_for(&scenario, "http_requests_aborted_total", 200);
	scenario_assert_metric(&scenario, "http_timeouts_total{phase=\"write\"}", 0);
	scenario_end(&scenario);
	remove_site(&site);
}
END_TEST

/*
 * A pipeline is much work for few bytes: the worker serves other connections after some of its requests. The daemon is stopped
 * while the pipelines arrive, and after them a request for the page that counts how many of them were served before.
 */
START_TEST(serves_others_between_the_requests_of_pipelines)
{
	static const char sample[] = "http_requests_total{method=\"HEAD\",route=\"/metrics\",code=\"200\"}";
	struct scenario scenario = scenario_begin((const char *const[]){ "--workers", "1", NULL });
	struct group group = group_new(10);
	size_t all = group.count * PIPELINED;
	struct wire_response page;
	double served;

	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, 0);
	scenario_wait_for(&scenario, "http_connections{state=\"idle\"}", (double)group.count + 2);
	daemon_pause(&scenario.daemon);
	for (size_t i = 0; i < group.count; i++)
		pipeline(&group.clients[i], HEAD_METRICS);
	ck_assert(wire_print(scenario.kept, GET_METRICS));
	daemon_resume(&scenario.daemon);
	page = wire_read(scenario.kept, false);
	served = wire_metric(page.content, sample);
	ck_assert_msg(
	    served < (double)all / 2, "%g of %zu requests of pipelines came before another client's", served, all);
	wire_free(&page);
	scenario_wait_for(&scenario, sample, (double)all);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* Sends request after request, as fast as the socket accepts them. Returns the bytes sent. */
static size_t send_on(const struct client *client, size_t sent, size_t all)
{
	static const char request[] = GET_METRICS;
	size_t taken = 1;
	while (sent < all && taken > 0) {
		size_t at = sent % strlen(request);
		taken = client_send(client, request + at, strlen(request) - at);
		sent += taken;
	}
	return sent;
}

/* It takes the output limit of one client, and requests are read only while their replies can be queued. */
START_TEST(a_pipeline_of_a_client_that_does_not_read_costs_little_and_ends_at_the_write_timeout)
{
	struct scenario scenario = scenario_begin((const char *const[]){ "--write-timeout", "1s", NULL });
	const char *dropped = "http_timeouts_total{phase=\"write\"}";
	struct group group = group_new(1);
	size_t sent = 0, all = 100000 * strlen(GET_METRICS);
	long long end = wire_now_ms() + PATIENCE_MS;
	long most_kib = 0;

	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, 1, TINY_BYTES);
	while (daemon_metric(&scenario.daemon, dropped) < 1 && wire_now_ms() < end) {
		long now_kib = daemon_resident_kib(&scenario.daemon);
		most_kib = now_kib > most_kib ? now_kib : most_kib;
		sent = send_on(&group.clients[0], sent, all);
		scenario_tick(&scenario);
		nap();
	}
	scenario_assert_metric(&scenario, dropped, 1);
	ck_assert_msg(IS_SANITIZED || most_kib < scenario.resident_kib + 4 * 1024, "%ld KiB are resident, %ld before",
	    most_kib, scenario.resident_kib);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* --- resets and half closes ----------------------------------------------------------------------------------------- */

static const char *const stages[] = { "", "GET /large.bin HTTP/1.1\r\nHo", POST "Content-Length: 1000\r\n\r\nhello",
	POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", GET_LARGE };

START_TEST(frees_clients_that_reset_at_any_stage)
{
	struct site site = make_site();
	struct scenario scenario = scenario_begin((const char *const[]){ "--root", site.root, "--workers", "2", NULL });
	scenario.remembered = 2;
	scenario_keep_alive(&scenario);
	for (size_t burst = 0; burst < 10; burst++) {
		struct group group = group_new(100);
		scenario_connect(&scenario, &group, 0, group.count, TINY_BYTES);
		for (size_t i = 0; i < group.count; i++)
			ck_assert(wire_print(group.clients[i].fd, "%s", stages[i % COUNT_OF(stages)]));
		/* In half of the bursts the reset arrives before the server has read anything. */
		if (burst % 2)
			scenario_watch(&scenario, 2 * PACE_MS);
		for (size_t i = 0; i < group.count; i++)
			client_reset(&group.clients[i]);
		group_free(&group);
	}
	scenario_end(&scenario);
	remove_site(&site);
}
END_TEST

static const char *const whole_requests[] = { GET, POST "Content-Length: 11\r\n\r\nhello world",
	POST "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" };

/* Each client sends one byte more than the one before, then shuts down its sending side. */
START_TEST(answers_only_complete_requests_before_a_half_close)
{
	const char *request = whole_requests[_i];
	struct scenario scenario = scenario_begin((const char *const[]){ NULL });
	struct group group = group_new(strlen(request) + 1);

	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, 0);
	for (size_t i = 0; i < group.count; i++) {
		ck_assert(wire_send(group.clients[i].fd, request, i));
		ck_assert_int_eq(shutdown(group.clients[i].fd, SHUT_WR), 0);
	}
	scenario_wait_closed(&scenario, &group);
	for (size_t i = 0; i + 1 < group.count; i++)
		ck_assert_msg(
		    group.clients[i].received == 0, "answered %d after %zu bytes", client_status(&group.clients[i]), i);
	ck_assert_int_eq(client_status(&group.clients[group.count - 1]), 200);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* --- garbage -------------------------------------------------------------------------------------------------------- */

/* xorshift64: the same bytes on every machine. */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const unsigned char tls_hello[] = { 0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, 0x5a, 0x11,
	0x0a, 0x0d, 0x0a, 0x00, 0x20, 0x13, 0x02, 0x13, 0x03, 0x13, 0x01, 0x00, 0xff, 0x01, 0x00 };
static const char http2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

static void send_garbage(const struct client *client, uint64_t *state)
{
	unsigned char bytes[4096];
	size_t length = 1 + draw(state) % sizeof bytes;
	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)draw(state);
	client_send(client, bytes, length);
}

/* 400: not a request; 408: the connection ended too soon to tell. */
START_TEST(refuses_garbage_and_other_protocols)
{
	struct scenario scenario = scenario_begin((const char *const[]){ "--head-timeout", "1s", NULL });
	struct group group = group_new(500);
	uint64_t state = 0x9e3779b97f4a7c15u;

	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, 0);
	for (size_t i = 0; i < group.count; i++) {
		if (i % 5 == 3)
			client_send(&group.clients[i], tls_hello, sizeof tls_hello);
		else if (i % 5 == 4)
			client_send(&group.clients[i], http2_preface, sizeof http2_preface - 1);
		else
			send_garbage(&group.clients[i], &state);
		scenario_tick(&scenario);
	}
	scenario_wait_closed(&scenario, &group);
	for (size_t i = 0; i < group.count; i++) {
		int status = client_status(&group.clients[i]);
		ck_assert_msg(status == 400 || status == 408, "client %zu: status %d", i, status);
	}
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* --- mutations ------------------------------------------------------------------------------------------------------ */

/* No HEAD: the end of a response must be known without knowing how the server parsed the request. */
static const char *const valid_requests[] = {
	GET,
	"GET /hello/get?name=Ada%20L HTTP/1.1\r\nHost: example.org:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux)\r\n"
	"Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Language: en\r\nConnection: keep-alive\r\n\r\n",
	POST "Content-Length: 3\r\n\r\nAda",
	"POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n"
	"{\"a\":[1,2.5e3,\"\\u00e9\"]}",
	POST "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;a=\"b\"\r\nAda\r\n0\r\nX: y\r\n\r\n",
	POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nAda",
	"GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\", W/\"b\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 "
	"GMT\r\n\r\n",
	"GET /style.css HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9,20-\r\nAccept-Encoding: gzip\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET http://example.org/healthz HTTP/1.1\r\nHost: example.org\r\n\r\n",
	"PUT /hello/get HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"GET /hello/get HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n",
};

struct message {
	char bytes[4096];
	size_t length;
};

static void replace(struct message *message, size_t at, size_t removed, const char *bytes, size_t length)
{
	size_t behind = message->length - at - removed;
	memmove(message->bytes + at + length, message->bytes + at + removed, behind);
	memcpy(message->bytes + at, bytes, length);
	message->length = at + length + behind;
}

/* Delimiters, more often than other bytes. */
static char draw_byte(uint64_t *state)
{
	static const char telling[] = "\r\n\r\n\0 \t:;,=\"/?#%*+-.0123456789aAfFxX\x7f\x80\xff";
	return draw(state) % 4 ? telling[draw(state) % sizeof telling] : (char)draw(state);
}

static void mutate(struct message *message, uint64_t *state)
{
	const char *other = valid_requests[draw(state) % COUNT_OF(valid_requests)];
	size_t at = (size_t)draw(state) % message->length, length = 1 + draw(state) % 16,
	       from = (size_t)draw(state) % strlen(other);
	char byte = draw_byte(state), copy[16];

	length = length < message->length - at ? length : message->length - at;
	memcpy(copy, message->bytes + at, length);
	switch (draw(state) % 6) {
	case 0:
		message->bytes[at] = (char)(message->bytes[at] ^ 1 << draw(state) % 8);
		break;
	case 1:
		message->bytes[at] = byte;
		break;
	case 2:
		replace(message, at, 0, &byte, 1);
		break;
	case 3:
		replace(message, at, message->length > length ? length : 0, "", 0);
		break;
	case 4:
		replace(message, at, 0, copy, length);
		break;
	default:
		replace(message, at, message->length - at, other + from, strlen(other) - from);
		break;
	}
}

static void begin_message(struct message *message, uint64_t *state)
{
	const char *valid = valid_requests[draw(state) % COUNT_OF(valid_requests)];
	message->length = strlen(valid);
	memcpy(message->bytes, valid, message->length);
}

/* RFC 9110 §5.6.2 */
static bool is_token(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!strchr(
			"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", bytes[i]) ||
		    !bytes[i])
			return false;
	}
	return length > 0;
}

static bool is_field_value(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (((unsigned char)bytes[i] < 0x20 && bytes[i] != '\t') || bytes[i] == 0x7f)
			return false;
	}
	return length == 0 || (bytes[0] != ' ' && bytes[length - 1] != ' ');
}

/* Inserts "NAME: VALUE"; takes over the value of Content-Length, once. */
static bool parse_field(const char *line, size_t length, long *content_length)
{
	const char *colon = memchr(line, ':', length);
	size_t name_length = colon ? (size_t)(colon - line) : 0, value_length = length - name_length - 2;

	if (!colon || length < name_length + 2 || colon[1] != ' ' || !is_token(line, name_length) ||
	    !is_field_value(colon + 2, value_length))
		return false;
	if (name_length != 14 || strncasecmp(line, "Content-Length", 14) != 0)
		return name_length != 17 || strncasecmp(line, "Transfer-Encoding", 17) != 0;
	if (*content_length >= 0 || value_length == 0 || value_length != strspn(colon + 2, "0123456789"))
		return false;
	*content_length = atol(colon + 2);
	return true;
}

static bool is_status_line(const char *line, size_t length)
{
	return length >= 13 && memcmp(line, "HTTP/1.1 ", 9) == 0 && strspn(line + 9, "0123456789") == 3 &&
	       line[9] >= '1' && line[9] <= '5' && line[12] == ' ' && is_field_value(line + 13, length - 13);
}

/* Length of one NUL-terminated response, or 0 if it is incomplete. No response is chunked here. */
static size_t parse_response(const char *bytes, size_t length)
{
	const char *line = bytes, *end = memmem(line, length, "\r\n", 2);
	long content_length = -1;
	int status;
	bool has_content;

	if (!end || !is_status_line(line, (size_t)(end - line)))
		return 0;
	status = atoi(bytes + 9);
	has_content = status >= 200 && status != 204 && status != 304;
	for (;;) {
		line = end + 2;
		end = memmem(line, length - (size_t)(line - bytes), "\r\n", 2);
		if (!end)
			return 0;
		if (end == line)
			break;
		if (!parse_field(line, (size_t)(end - line), &content_length))
			return 0;
	}
	if (has_content && content_length < 0)
		return 0;
	line = end + 2 + (has_content ? content_length : 0);
	return line <= bytes + length ? (size_t)(line - bytes) : 0;
}

static void assert_responses(const char *bytes, size_t length, uint64_t round)
{
	while (length > 0) {
		size_t one = parse_response(bytes, length);
		ck_assert_msg(one > 0, "round %llu: not a response: %.200s", (unsigned long long)round, bytes);
		bytes += one;
		length -= one;
	}
}

/*
 * Sends up to four messages on one connection, some of them valid, so that requests before and after a mutation are parsed too.
 * The server must send responses and nothing else. Returns the number of mutations.
 */
static size_t send_mutations(const struct scenario *scenario, uint64_t round)
{
	uint64_t state = round * 0x9e3779b97f4a7c15u;
	size_t messages = 1 + draw(&state) % 4, mutations = 0, length;
	int fd = wire_connect(scenario->daemon.port);
	char *answer;

	for (size_t i = 0; i < messages; i++) {
		struct message message;
		size_t times = (size_t)draw(&state) % 3;
		begin_message(&message, &state);
		for (size_t time = 0; time < times; time++)
			mutate(&message, &state);
		mutations += times;
		if (!wire_send(fd, message.bytes, message.length))
			break;
	}
	shutdown(fd, SHUT_WR);
	answer = wire_read_all(fd, &length);
	ck_assert_msg(answer != NULL, "round %llu is not closed", (unsigned long long)round);
	assert_responses(answer, length, round);
	free(answer);
	close(fd);
	return mutations;
}

START_TEST(answers_twenty_thousand_mutations_with_valid_responses_only)
{
	struct scenario scenario = scenario_begin((const char *const[]){ NULL });
	uint64_t round = 1;
	scenario_keep_alive(&scenario);
	for (size_t mutations = 0; mutations < 20000; round++) {
		mutations += send_mutations(&scenario, round);
		scenario_tick(&scenario);
	}
	scenario_end(&scenario);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------------------- */

static TCase *slow_tests(void)
{
	TCase *tests = tcase_create("slow");
	tcase_add_loop_test(tests, serves_others_while_slow_clients_are_connected, 0, (int)COUNT_OF(slow_requests));
	tcase_add_loop_test(tests, closes_slow_clients_although_bytes_arrive, 0, (int)COUNT_OF(slow_requests));
	tcase_add_test(tests, closes_clients_that_do_not_read);
	tcase_add_test(tests, serves_others_between_the_requests_of_pipelines);
	tcase_add_test(tests, a_pipeline_of_a_client_that_does_not_read_costs_little_and_ends_at_the_write_timeout);
	return tests;
}

static TCase *broken_tests(void)
{
	TCase *tests = tcase_create("broken");
	tcase_add_test(tests, frees_clients_that_close_during_a_reply);
	tcase_add_test(tests, frees_clients_that_reset_at_any_stage);
	tcase_add_loop_test(
	    tests, answers_only_complete_requests_before_a_half_close, 0, (int)COUNT_OF(whole_requests));
	return tests;
}

static TCase *hostile_tests(void)
{
	TCase *tests = tcase_create("hostile");
	tcase_add_test(tests, refuses_garbage_and_other_protocols);
	tcase_add_test(tests, answers_twenty_thousand_mutations_with_valid_responses_only);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("abuse");
	raise_own_limit();
	suite_add_tcase(suite, slow_tests());
	suite_add_tcase(suite, broken_tests());
	suite_add_tcase(suite, hostile_tests());
	return run_suite(suite);
}
