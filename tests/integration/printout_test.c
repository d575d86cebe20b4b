/* SPDX-License-Identifier: MIT */
/* A document that is too large to be printed at once: what clients get, what it costs, and what happens when they close. */
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE "a line of text, \"quoted\"\n"

static struct pipit_server *server;
static pthread_t server_thread;
static int server_result;
static _Atomic size_t before_reply; /* used size, and one more */

static size_t in_use(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static cJSON *make(unsigned count)
{
	cJSON *list = cJSON_CreateArray();
	for (unsigned i = 0; i < count; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(LINE));
	return list;
}

static unsigned number_in_query(struct pipit_request *request, const char *name)
{
	char value[16] = "";
	pipit_request_query_value(request, name, value, sizeof value);
	return (unsigned)strtoul(value, NULL, 10);
}

static void reply_list(struct pipit_request *request, void *arg)
{
	cJSON *list = make(number_in_query(request, "count"));
	(void)arg;
	before_reply = in_use() + 1;
	pipit_reply_json(request, 200, list);
}

/* An unprintable value at the end is detected before the head is sent. */
static void reply_wrong(struct pipit_request *request, void *arg)
{
	cJSON *list = make(100000), *item = cJSON_CreateNull();
	(void)arg;
	item->type = cJSON_Invalid;
	cJSON_AddItemToArray(list, item);
	pipit_reply_json(request, 200, list);
}

static void reply_status(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_header(request, "X-Own", "yes");
	pipit_reply_json(request, (int)number_in_query(request, "status"), make(10000));
}

static void reply_later(struct pipit_request *request, void *list)
{
	pipit_reply_json(request, 200, list);
	pipit_request_release(request);
}

static void *post_later(void *request)
{
	pipit_request_post(request, reply_later, make(20000));
	return NULL;
}

static void defer(struct pipit_request *request, void *arg)
{
	pthread_t thread;
	(void)arg;
	pipit_request_keep(request);
	if (pthread_create(&thread, NULL, post_later, request) == 0)
		pthread_detach(thread);
}

static void *run(void *arg)
{
	server_result = pipit_server_run(arg);
	return NULL;
}

static unsigned port(void)
{
	return (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
}

static cJSON *lines;

/* A document that refers to strings of others. */
static void reply_references(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_json(request, 200, cJSON_CreateArrayReference(lines->child));
}

static uint64_t memory_limit;

static void set_up(void)
{
	struct pipit_config config;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 1;
	config.log_level = "error";
	config.drain_timeout_ms = 20000;
	if (memory_limit) {
		config.memory_limit = memory_limit;
		config.max_body_bytes = 65536;
	}
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	pipit_route(server, PIPIT_GET, "/list", reply_list, NULL);
	pipit_route(server, PIPIT_GET, "/wrong", reply_wrong, NULL);
	pipit_route(server, PIPIT_GET, "/status", reply_status, NULL);
	pipit_route(server, PIPIT_GET, "/later", defer, NULL);
	pipit_route(server, PIPIT_GET, "/references", reply_references, NULL);
	pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	ck_assert_int_eq(pthread_create(&server_thread, NULL, run, server), 0);
}

static void tear_down(void)
{
	pipit_server_drain(server);
	pthread_join(server_thread, NULL);
	ck_assert_int_eq(server_result, 0);
	pipit_server_free(server);
}

/* The text of this number of lines, from malloc(). */
static char *expected(unsigned count)
{
	cJSON *list = make(count);
	char *text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	return text;
}

static void expect_list(const struct wire_response *response, unsigned count)
{
	char *text = expected(count);
	ck_assert_int_eq(response->status, 200);
	ck_assert(response->is_complete);
	ck_assert_str_eq(wire_field(response, "Content-Type"), "application/json");
	ck_assert_uint_eq(response->length, strlen(text));
	ck_assert_mem_eq(response->content, text, response->length);
	free(text);
}

static const unsigned counts[] = { 0, 1, 2200, 2300, 2600, 3000, 10000, 100000 };

START_TEST(clients_get_the_whole_document)
{
	int client = wire_connect(port());
	struct wire_response response = wire_ask(client, "GET /list?count=%u HTTP/1.1\r\nHost: x\r\n\r\n", counts[_i]);

	expect_list(&response, counts[_i]);
	/* A small document has a Content-Length. */
	ck_assert_int_eq(response.is_chunked, response.length > 66 * 1024);
	wire_free(&response);
	/* The connection is kept. */
	response = wire_ask(client, "GET /list?count=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_list(&response, 1);
	wire_free(&response);
	close(client);
}
END_TEST

START_TEST(an_http_1_0_client_gets_the_document_up_to_eof)
{
	int client = wire_connect(port());
	struct wire_response response;
	ck_assert(wire_print(client, "GET /list?count=4000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
	response = wire_read(client, false);
	expect_list(&response, 4000);
	ck_assert(!response.is_chunked);
	ck_assert(response.closes);
	ck_assert(wire_is_closed(client));
	wire_free(&response);
	close(client);
}
END_TEST

START_TEST(a_head_request_gets_the_head_only)
{
	int client = wire_connect(port());
	struct wire_response response;
	ck_assert(wire_print(client, "HEAD /list?count=20000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	response = wire_read(client, true);
	ck_assert_int_eq(response.status, 200);
	wire_free(&response);
	response = wire_ask(client, "GET /list?count=2 HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_list(&response, 2);
	wire_free(&response);
	close(client);
}
END_TEST

START_TEST(pipelined_requests_after_a_document_are_answered_in_order)
{
	int client = wire_connect(port());
	struct wire_response response;
	ck_assert(wire_print(client,
	    "GET /list?count=50000 HTTP/1.1\r\nHost: x\r\n\r\nGET /list?count=3 HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /list?count=30000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < 3; i++) {
		static const unsigned wanted[] = { 50000, 3, 30000 };
		response = wire_read(client, false);
		expect_list(&response, wanted[i]);
		wire_free(&response);
	}
	close(client);
}
END_TEST

START_TEST(the_response_has_its_status_and_headers)
{
	static const int statuses[] = { 200, 201, 404, 500 };
	int client = wire_connect(port());
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		struct wire_response response =
		    wire_ask(client, "GET /status?status=%d HTTP/1.1\r\nHost: x\r\n\r\n", statuses[i]);
		ck_assert_int_eq(response.status, statuses[i]);
		ck_assert_str_eq(wire_field(&response, "X-Own"), "yes");
		ck_assert(response.is_chunked && response.is_complete);
		wire_free(&response);
	}
	for (int status = 204; status <= 205; status++) {
		struct wire_response response =
		    wire_ask(client, "GET /status?status=%d HTTP/1.1\r\nHost: x\r\n\r\n", status);
		ck_assert_int_eq(response.status, status);
		ck_assert_uint_eq(response.length, 0);
		wire_free(&response);
	}
	close(client);
}
END_TEST

START_TEST(an_unprintable_document_is_answered_with_500_only)
{
	int client = wire_connect(port());
	struct wire_response response = wire_ask(client, "GET /wrong HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(response.status, 500);
	ck_assert(response.is_complete && !response.is_chunked);
	wire_free(&response);
	close(client);
}
END_TEST

START_TEST(a_deferred_document_is_sent_in_pieces_too)
{
	int client = wire_connect(port());
	struct wire_response response = wire_ask(client, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_list(&response, 20000);
	wire_free(&response);
	close(client);
}
END_TEST

static bool has_replied(void *arg)
{
	(void)arg;
	return before_reply > 0;
}

/* The client does not read: the document and a piece of its text stay in memory. */
START_TEST(the_text_of_the_document_is_not_held_in_memory)
{
	int client = wire_connect(port());
	struct wire_response response;
	const struct timespec moment = { 0, 200 * 1000 * 1000 };

	before_reply = 0;
	ck_assert(wire_print(client, "GET /list?count=400000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_wait(has_replied, NULL));
	nanosleep(&moment, NULL);
	/* mallinfo2() does not count under sanitizers. */
	if (mallinfo2().uordblks)
		ck_assert_uint_lt(in_use(), before_reply + 512 * 1024);
	response = wire_read(client, false);
	expect_list(&response, 400000);
	wire_free(&response);
	close(client);
}
END_TEST

static bool have_all_aborted(void *arg)
{
	int client = wire_connect(port());
	struct wire_response response = wire_ask(client, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	bool have = strstr(response.content, "http_requests_aborted_total 5\n") != NULL;
	(void)arg;
	wire_free(&response);
	close(client);
	return have;
}

START_TEST(a_client_may_close_during_a_document)
{
	for (int i = 0; i < 5; i++) {
		char some[1000];
		int client = wire_connect(port());
		ck_assert(wire_print(client, "GET /list?count=200000 HTTP/1.1\r\nHost: x\r\n\r\n"));
		ck_assert_int_gt(recv(client, some, sizeof some, 0), 0);
		close(client);
	}
	/* They have not got the whole document. */
	ck_assert(wire_wait(have_all_aborted, NULL));
}
END_TEST

START_TEST(a_document_that_owns_nothing_is_printed_at_once)
{
	int client = wire_connect(port());
	struct wire_response response;
	lines = make(5000);
	response = wire_ask(client, "GET /references HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_list(&response, 5000);
	ck_assert(!response.is_chunked);
	wire_free(&response);
	close(client);
	cJSON_Delete(lines);
}
END_TEST

/* Memory for one such document, not for two. */
START_TEST(a_document_that_waits_counts_against_the_memory_limit)
{
	int client, greedy;
	struct wire_response response;

	tear_down();
	memory_limit = 20 * 1024 * 1024;
	set_up();
	memory_limit = 0;
	client = wire_connect(port());
	/* The memory is released each time. */
	for (int i = 0; i < 6; i++) {
		response = wire_ask(client, "GET /list?count=100000 HTTP/1.1\r\nHost: x\r\n\r\n");
		expect_list(&response, 100000);
		ck_assert(response.is_chunked);
		wire_free(&response);
	}
	/* A client that does not read holds the memory. */
	greedy = wire_connect(port());
	before_reply = 0;
	ck_assert(wire_print(greedy, "GET /list?count=120000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_wait(has_replied, NULL));
	response = wire_ask(client, "GET /list?count=60000 HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_list(&response, 60000);
	ck_assert(!response.is_chunked);
	wire_free(&response);
	close(greedy);
	close(client);
}
END_TEST

/* last: five bytes. */
static void keep_last(char *last, const char *bytes, size_t length)
{
	size_t taken = length < 5 ? length : 5;
	memmove(last, last + taken, 5 - taken);
	memcpy(last + 5 - taken, bytes + length - taken, taken);
}

START_TEST(a_drain_waits_for_the_document)
{
	int client = wire_connect(port());
	char some[1000], last[6] = "";
	ssize_t length;
	size_t total = 0;

	ck_assert(wire_print(client, "GET /list?count=200000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	length = recv(client, some, sizeof some, 0);
	ck_assert_int_gt(length, 0);
	pipit_server_drain(server);
	while (length > 0) {
		total += (size_t)length;
		keep_last(last, some, (size_t)length);
		length = recv(client, some, sizeof some, 0);
	}
	ck_assert_int_eq(length, 0);
	ck_assert_uint_gt(total, 200000 * strlen(LINE));
	/* Its reply is complete: it was not aborted. */
	ck_assert_str_eq(last, "0\r\n\r\n");
	close(client);
}
END_TEST

/* A client that reads as fast as it can does not block others. */
START_TEST(other_clients_are_served_meanwhile)
{
	int client = wire_connect(port()), other = wire_connect(port());
	struct wire_response response;
	ck_assert(wire_print(client, "GET /list?count=400000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < 20; i++) {
		response = wire_ask(other, "GET /list?count=1 HTTP/1.1\r\nHost: x\r\n\r\n");
		expect_list(&response, 1);
		wire_free(&response);
	}
	response = wire_read(client, false);
	expect_list(&response, 400000);
	wire_free(&response);
	close(client);
	close(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("printout");
	TCase *tests = tcase_create("printout");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, clients_get_the_whole_document, 0, sizeof counts / sizeof *counts);
	tcase_add_test(tests, an_http_1_0_client_gets_the_document_up_to_eof);
	tcase_add_test(tests, a_head_request_gets_the_head_only);
	tcase_add_test(tests, pipelined_requests_after_a_document_are_answered_in_order);
	tcase_add_test(tests, the_response_has_its_status_and_headers);
	tcase_add_test(tests, an_unprintable_document_is_answered_with_500_only);
	tcase_add_test(tests, a_deferred_document_is_sent_in_pieces_too);
	tcase_add_test(tests, the_text_of_the_document_is_not_held_in_memory);
	tcase_add_test(tests, a_client_may_close_during_a_document);
	tcase_add_test(tests, a_document_that_owns_nothing_is_printed_at_once);
	tcase_add_test(tests, a_document_that_waits_counts_against_the_memory_limit);
	tcase_add_test(tests, a_drain_waits_for_the_document);
	tcase_add_test(tests, other_clients_are_served_meanwhile);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
