/* SPDX-License-Identifier: MIT */
/*
 * Clients that are slow, broken, hostile or gone: each is closed in the end, others are served while they are connected, and
 * nothing stays behind. Limits on number and size are in abuse_limits_test.c; the exact times of deadlines are in
 * http1_test.c, whose clock is the test's.
 */
#include "abuse_clients.h"
#include "suite.h"

#include <fcntl.h>

#define GET "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_METRICS "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEAD_METRICS "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_LARGE "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"

/* Between two bytes of a client that trickles. */
#define TRICKLE_MS 100
/* Far more than the buffers of two sockets. */
#define LARGE_BYTES (8 * 1024 * 1024)
/* Receive buffer of a client that does not want to read. */
#define TINY_BYTES 2048

/* --- slow senders --------------------------------------------------------------------------------------------------- */

/* The next byte of every client: of `start` first, then of `more` again and again. */
static void trickle(struct crowd *crowd, size_t at, const char *start, const char *more)
{
	size_t start_length = strlen(start);
	const char *byte = at < start_length ? start + at : more + (at - start_length) % strlen(more);
	for (size_t i = 0; i < crowd->count; i++) {
		client_look(&crowd->clients[i], SIZE_MAX);
		client_send(&crowd->clients[i], byte, 1);
	}
}

/* What slow clients send: `start`, then `more` again and again, without an end. */
static const struct {
	const char *start, *more;
	const char *phase, *reason; /* of the deadline that they meet */
} slow_requests[] = {
	{ "GET /hello/get HTTP/1.1\r\nHost: x\r\nA: ", "a", "http_timeouts_total{phase=\"head\"}",
	    "http_rejected_total{reason=\"head_timeout\"}" },
	{ POST "Content-Length: 10000\r\n\r\n", "x", "http_timeouts_total{phase=\"body\"}",
	    "http_rejected_total{reason=\"body_timeout\"}" },
	{ POST "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", "http_timeouts_total{phase=\"body\"}",
	    "http_rejected_total{reason=\"body_timeout\"}" },
};

/* Of content the head at once, so that its own deadline is the one that counts; of a head one byte. */
static size_t begin_slowly(struct crowd *crowd, const char *start)
{
	const char *end = strstr(start, "\r\n\r\n");
	size_t at_once = end ? strlen(start) : 1;
	for (size_t i = 0; i < crowd->count; i++)
		ck_assert(wire_send(crowd->clients[i].fd, start, at_once));
	return at_once;
}

/* No deadline ends a slow client here: all of them are connected from the first to the last of the others' requests. */
START_TEST(serves_others_while_slow_clients_are_connected)
{
	struct siege siege = siege_begin((const char *const[]){
	    "--head-timeout", "0", "--idle-timeout", "0", "--read-timeout", "0", "--min-rate-bytes", "0", NULL });
	struct crowd crowd = crowd_new(500);
	size_t at;

	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	at = begin_slowly(&crowd, slow_requests[_i].start);
	siege_wait_for(&siege, "http_connections{state=\"reading\"}", (double)crowd.count);
	for (int rounds = 0; rounds < 50; rounds++) {
		trickle(&crowd, at++, slow_requests[_i].start, slow_requests[_i].more);
		siege_ask(&siege);
	}
	ck_assert_uint_eq(crowd_look(&crowd), crowd.count);
	siege_assert_metric(&siege, "http_connections{state=\"reading\"}", (double)crowd.count);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* Bytes come more often than the deadline is long, and do not put it off. */
START_TEST(closes_slow_clients_whatever_comes)
{
	struct siege siege = siege_begin(
	    (const char *const[]){ "--head-timeout", "1s", "--rate-grace", "1s", "--idle-timeout", "0", NULL });
	struct crowd crowd = crowd_new(500);
	long long end, next_ms = 0;
	size_t at;

	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	at = begin_slowly(&crowd, slow_requests[_i].start);
	end = wire_now_ms() + PATIENCE_MS;
	while (crowd_look(&crowd) > 0 && wire_now_ms() < end) {
		if (wire_now_ms() >= next_ms) {
			trickle(&crowd, at++, slow_requests[_i].start, slow_requests[_i].more);
			next_ms = wire_now_ms() + TRICKLE_MS;
		}
		nap();
	}
	for (size_t i = 0; i < crowd.count; i++)
		ck_assert_msg(client_status(&crowd.clients[i]) == 408, "client %zu: status %d", i,
		    client_status(&crowd.clients[i]));
	ck_assert_uint_eq(crowd_look(&crowd), 0);
	crowd_free(&crowd);
	siege_assert_metric(&siege, slow_requests[_i].phase, 500);
	siege_assert_metric(&siege, slow_requests[_i].reason, 500);
	siege_end(&siege);
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

/* Pages enough to fill the buffers of two sockets. */
#define PIPELINED 400

static void pipeline(const struct client *client, const char *request)
{
	char bytes[PIPELINED * 64];
	size_t length = 0;
	for (int i = 0; i < PIPELINED; i++)
		length += (size_t)snprintf(bytes + length, sizeof bytes - length, "%s", request);
	ck_assert_uint_eq(client_send(client, bytes, length), length);
}

/* Every tenth of them asks for very many replies, the others for a large one. */
static void ask_for_much(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++) {
		if (i % 10 == 9)
			pipeline(&crowd->clients[i], GET_METRICS);
		else
			ck_assert(wire_print(crowd->clients[i].fd, "%s", GET_LARGE));
	}
}

/* Every third one reads a byte each second. */
static void sip(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i += 3)
		client_look(&crowd->clients[i], 1);
}

START_TEST(drops_readers_that_do_not_read)
{
	struct site site = make_site();
	struct siege siege = siege_begin((const char *const[]){
	    "--root", site.root, "--workers", "2", "--write-timeout", "2s", "--rate-grace", "2s", NULL });
	struct crowd crowd = crowd_new(200);
	long most_kib = 0;

	siege.remembered = 2;
	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, TINY_BYTES);
	ask_for_much(&crowd);
	for (int seconds = 0; seconds < 3; seconds++) {
		long now_kib = daemon_resident_kib(&siege.daemon);
		most_kib = now_kib > most_kib ? now_kib : most_kib;
		sip(&crowd);
		siege_watch(&siege, 1000);
	}
	siege_wait_for(&siege, "http_timeouts_total{phase=\"write\"}", 200);
	siege_assert_metric(&siege, "http_timeouts_total{phase=\"write\"}", 200);
	/* Who pipelines costs max-output-bytes, a reply and unread requests, the others a file that is not in memory. */
	ck_assert_msg(IS_SANITIZED || most_kib < siege.resident_kib + 20 * (64 + 64) + RESIDENT_SLACK_KIB,
	    "%ld KiB are resident, %ld before", most_kib, siege.resident_kib);
	crowd_free(&crowd);
	siege_end(&siege);
	remove_site(&site);
}
END_TEST

START_TEST(forgets_clients_that_leave_in_the_middle_of_a_reply)
{
	struct site site = make_site();
	struct siege siege = siege_begin((const char *const[]){
	    "--root", site.root, "--workers", "2", "--write-timeout", "0", "--min-rate-bytes", "0", NULL });
	siege.remembered = 2;
	siege_keep_alive(&siege);
	for (int burst = 0; burst < 5; burst++) {
		struct crowd crowd = crowd_new(40);
		siege_let_in(&siege, &crowd, 0, crowd.count, TINY_BYTES);
		for (size_t i = 0; i < crowd.count; i++)
			ck_assert(wire_print(crowd.clients[i].fd, "%s", GET_LARGE));
		siege_ask(&siege);
		for (size_t i = 0; i < crowd.count; i++) {
			ck_assert(wire_is_readable(crowd.clients[i].fd, PATIENCE_MS));
			client_look(&crowd.clients[i], 10000 * (i % 3));
		}
		crowd_free(&crowd);
	}
	siege_wait_for(&siege, "http_requests_aborted_total", 200);
	siege_assert_metric(&siege, "http_timeouts_total{phase=\"write\"}", 0);
	siege_end(&siege);
	remove_site(&site);
}
END_TEST

/*
 * A pipeline is much work for few bytes: after some of its requests it is the others' turn. The daemon finds all pipelines whole
 * when it goes on, and behind them a request for the page that tells how many of theirs were served before.
 */
START_TEST(serves_others_between_the_requests_of_pipelines)
{
	static const char sample[] = "http_requests_total{method=\"HEAD\",route=\"/metrics\",code=\"200\"}";
	struct siege siege = siege_begin((const char *const[]){ "--workers", "1", NULL });
	struct crowd crowd = crowd_new(40);
	size_t all = crowd.count * PIPELINED;
	struct wire_response page;
	double served;

	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	siege_wait_for(&siege, "http_connections{state=\"idle\"}", (double)crowd.count + 2);
	daemon_pause(&siege.daemon);
	for (size_t i = 0; i < crowd.count; i++)
		pipeline(&crowd.clients[i], HEAD_METRICS);
	ck_assert(wire_print(siege.kept, GET_METRICS));
	daemon_resume(&siege.daemon);
	page = wire_read(siege.kept, false);
	served = wire_metric(page.content, sample);
	ck_assert_msg(
	    served < (double)all / 2, "%g of %zu requests of pipelines came before another client's", served, all);
	wire_free(&page);
	siege_wait_for(&siege, sample, (double)all);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* One request after the other, as fast as the socket takes them. Returns how many bytes have been sent. */
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

/* It costs what may wait for one client, and no more of its requests are read than replies can wait. */
START_TEST(a_pipeline_that_nobody_reads_costs_little_and_ends_at_the_write_deadline)
{
	struct siege siege = siege_begin((const char *const[]){ "--write-timeout", "1s", NULL });
	const char *dropped = "http_timeouts_total{phase=\"write\"}";
	struct crowd crowd = crowd_new(1);
	size_t sent = 0, all = 100000 * strlen(GET_METRICS);
	long long end = wire_now_ms() + PATIENCE_MS;
	long most_kib = 0;

	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, 1, TINY_BYTES);
	while (daemon_metric(&siege.daemon, dropped) < 1 && wire_now_ms() < end) {
		long now_kib = daemon_resident_kib(&siege.daemon);
		most_kib = now_kib > most_kib ? now_kib : most_kib;
		sent = send_on(&crowd.clients[0], sent, all);
		siege_tick(&siege);
		nap();
	}
	siege_assert_metric(&siege, dropped, 1);
	ck_assert_msg(IS_SANITIZED || most_kib < siege.resident_kib + 4 * 1024, "%ld KiB are resident, %ld before",
	    most_kib, siege.resident_kib);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* --- resets and half closes ----------------------------------------------------------------------------------------- */

static const char *const stages[] = { "", "GET /large.bin HTTP/1.1\r\nHo", POST "Content-Length: 1000\r\n\r\nhello",
	POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", GET_LARGE };

START_TEST(forgets_clients_that_reset_at_any_stage)
{
	struct site site = make_site();
	struct siege siege = siege_begin((const char *const[]){ "--root", site.root, "--workers", "2", NULL });
	siege.remembered = 2;
	siege_keep_alive(&siege);
	for (size_t burst = 0; burst < 10; burst++) {
		struct crowd crowd = crowd_new(100);
		siege_let_in(&siege, &crowd, 0, crowd.count, TINY_BYTES);
		for (size_t i = 0; i < crowd.count; i++)
			ck_assert(wire_print(crowd.clients[i].fd, "%s", stages[i % COUNT_OF(stages)]));
		/* In half of the bursts the reset comes before anything has been read. */
		if (burst % 2)
			siege_watch(&siege, 2 * PACE_MS);
		for (size_t i = 0; i < crowd.count; i++)
			client_reset(&crowd.clients[i]);
		crowd_free(&crowd);
	}
	siege_end(&siege);
	remove_site(&site);
}
END_TEST

static const char *const whole_requests[] = { GET, POST "Content-Length: 11\r\n\r\nhello world",
	POST "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" };

/* Each client says one byte more than the one before, then that it has no more to say. */
START_TEST(answers_what_is_whole_before_a_half_close_and_nothing_else)
{
	const char *request = whole_requests[_i];
	struct siege siege = siege_begin((const char *const[]){ NULL });
	struct crowd crowd = crowd_new(strlen(request) + 1);

	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	for (size_t i = 0; i < crowd.count; i++) {
		ck_assert(wire_send(crowd.clients[i].fd, request, i));
		ck_assert_int_eq(shutdown(crowd.clients[i].fd, SHUT_WR), 0);
	}
	siege_wait_closed(&siege, &crowd);
	for (size_t i = 0; i + 1 < crowd.count; i++)
		ck_assert_msg(
		    crowd.clients[i].received == 0, "answered %d after %zu bytes", client_status(&crowd.clients[i]), i);
	ck_assert_int_eq(client_status(&crowd.clients[crowd.count - 1]), 200);
	crowd_free(&crowd);
	siege_end(&siege);
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

/* 400 says that it is no request, 408 that it ended too soon to tell. */
START_TEST(refuses_garbage_and_other_protocols)
{
	struct siege siege = siege_begin((const char *const[]){ "--head-timeout", "1s", NULL });
	struct crowd crowd = crowd_new(500);
	uint64_t state = 0x9e3779b97f4a7c15u;

	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	for (size_t i = 0; i < crowd.count; i++) {
		if (i % 5 == 3)
			client_send(&crowd.clients[i], tls_hello, sizeof tls_hello);
		else if (i % 5 == 4)
			client_send(&crowd.clients[i], http2_preface, sizeof http2_preface - 1);
		else
			send_garbage(&crowd.clients[i], &state);
		siege_tick(&siege);
	}
	siege_wait_closed(&siege, &crowd);
	for (size_t i = 0; i < crowd.count; i++) {
		int status = client_status(&crowd.clients[i]);
		ck_assert_msg(status == 400 || status == 408, "client %zu: status %d", i, status);
	}
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* --- mutations ------------------------------------------------------------------------------------------------------ */

/* None asks for HEAD: what follows the head of a reply must be known without knowing what the server understood. */
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

/* The bytes that mean something, more often than others. */
static char draw_byte(uint64_t *state)
{
	static const char telling[] = "\r\n\r\n\0 \t:;,=\"/?#%*+-.0123456789aAfFxX\x7f\x80\xff";
	return draw(state) % 4 ? telling[draw(state) % sizeof telling] : (char)draw(state);
}

static void mutate(struct message *message, uint64_t *state)
{
	const char *other = valid_requests[draw(state) % COUNT_OF(valid_requests)];
	size_t at = draw(state) % message->length, length = 1 + draw(state) % 16, from = draw(state) % strlen(other);
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

/* "NAME: VALUE"; takes over the value of Content-Length, once. */
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

/* One response, NUL-terminated: its length, or 0 when it is not one in full. Nothing is sent in chunks here. */
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

/* Up to four messages on one connection, some of them valid, so that much is also understood behind a mutation and before one.
 * What comes back is responses and nothing else. Returns how many mutations. */
static size_t send_mutations(const struct siege *siege, uint64_t round)
{
	uint64_t state = round * 0x9e3779b97f4a7c15u;
	size_t messages = 1 + draw(&state) % 4, mutations = 0, length;
	int fd = wire_connect(siege->daemon.port);
	char *answer;

	for (size_t i = 0; i < messages; i++) {
		struct message message;
		size_t times = draw(&state) % 3;
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

START_TEST(survives_twenty_thousand_mutations_and_answers_nothing_but_responses)
{
	struct siege siege = siege_begin((const char *const[]){ NULL });
	uint64_t round = 1;
	siege_keep_alive(&siege);
	for (size_t mutations = 0; mutations < 20000; round++) {
		mutations += send_mutations(&siege, round);
		siege_tick(&siege);
	}
	siege_end(&siege);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------------------- */

static TCase *slow_tests(void)
{
	TCase *tests = tcase_create("slow");
	tcase_add_loop_test(tests, serves_others_while_slow_clients_are_connected, 0, (int)COUNT_OF(slow_requests));
	tcase_add_loop_test(tests, closes_slow_clients_whatever_comes, 0, (int)COUNT_OF(slow_requests));
	tcase_add_test(tests, drops_readers_that_do_not_read);
	tcase_add_test(tests, serves_others_between_the_requests_of_pipelines);
	tcase_add_test(tests, a_pipeline_that_nobody_reads_costs_little_and_ends_at_the_write_deadline);
	return tests;
}

static TCase *broken_tests(void)
{
	TCase *tests = tcase_create("broken");
	tcase_add_test(tests, forgets_clients_that_leave_in_the_middle_of_a_reply);
	tcase_add_test(tests, forgets_clients_that_reset_at_any_stage);
	tcase_add_loop_test(
	    tests, answers_what_is_whole_before_a_half_close_and_nothing_else, 0, (int)COUNT_OF(whole_requests));
	return tests;
}

static TCase *hostile_tests(void)
{
	TCase *tests = tcase_create("hostile");
	tcase_add_test(tests, refuses_garbage_and_other_protocols);
	tcase_add_test(tests, survives_twenty_thousand_mutations_and_answers_nothing_but_responses);
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
