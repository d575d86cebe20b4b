/* SPDX-License-Identifier: MIT */
/*
 * Aborted replies: the access log says how many bytes of the body were sent, for every kind of reply. Each is larger than a socket
 * takes; once it waits for the socket the server stops, and the client reads what was sent.
 */
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1024 * 1024)
/* Buffers of both sockets on one machine, as Linux comes, hold 10 MiB. */
#define LARGE_BYTES (20 * MIB)
#define EVENT_BYTES (MIB / 2)
#define EVENTS 40

static struct pipit_server *server;
static struct pipit_site *site;
static struct pipit_stream *stream;
static pthread_t server_thread;
static char directory[] = "/tmp/pipit_aborted_XXXXXX";
static char log_path[64], file_path[64];

static int sparse_file(const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : memfd_create("content", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, LARGE_BYTES), 0);
	return fd;
}

static void reply_memory(struct pipit_request *request, void *arg)
{
	char *content = calloc(1, LARGE_BYTES);
	(void)arg;
	ck_assert_ptr_nonnull(content);
	pipit_reply(request, 200, "application/octet-stream", content, LARGE_BYTES);
	free(content);
}

static void reply_file(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_file(request, 200, "application/octet-stream", sparse_file(NULL), 0, LARGE_BYTES);
}

static void reply_json(struct pipit_request *request, void *arg)
{
	cJSON *list = cJSON_CreateArray();
	(void)arg;
	for (int i = 0; i < LARGE_BYTES / 64; i++)
		cJSON_AddItemToArray(
		    list, cJSON_CreateString("sixty-four bytes with the quotes and the comma, or nearly so .."));
	pipit_reply_json(request, 200, list);
}

static void reply_evhttp(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	(void)arg;
	ck_assert_ptr_nonnull(content);
	ck_assert_int_eq(evbuffer_add_file(content, sparse_file(NULL), 0, LARGE_BYTES), 0);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void reply_later(struct pipit_request *request, void *arg)
{
	reply_memory(request, arg);
	pipit_request_release(request);
}

static void defer(struct pipit_request *request, void *arg)
{
	ck_assert_int_eq(pipit_request_keep(request), 0);
	ck_assert_int_eq(pipit_request_post(request, reply_later, arg), 0);
}

/* More than the socket takes, all at once. */
static void reply_stream(struct pipit_request *request, void *arg)
{
	static char text[EVENT_BYTES + 1];
	(void)arg;
	memset(text, 'x', EVENT_BYTES);
	ck_assert_int_eq(pipit_stream_join(stream, request, &(struct pipit_event){ .data = "first" }), 0);
	for (int i = 0; i < EVENTS; i++)
		ck_assert_int_eq(pipit_stream_send(stream, &(struct pipit_event){ .data = text }), 0);
}

static void *run(void *arg)
{
	return pipit_server_run(arg) == 0 ? arg : NULL;
}

static unsigned port(void)
{
	return (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
}

static void start(const char *format)
{
	static const struct pipit_route_options borrows = { .borrows_connection = true };
	const struct pipit_stream_options options = { .max_queue = 2 * EVENTS };
	struct pipit_config config;

	strcpy(directory, "/tmp/pipit_aborted_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(log_path, sizeof log_path, "%s/access.log", directory);
	snprintf(file_path, sizeof file_path, "%s/large.bin", directory);
	close(sparse_file(file_path));
	site = pipit_site_new(directory);
	stream = pipit_stream_new(&options);
	ck_assert(site && stream);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 1;
	config.log_level = "error";
	config.memory_limit = 0;
	config.access_log = log_path;
	config.log_format = format;
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	pipit_route(server, PIPIT_GET, "/memory", reply_memory, NULL);
	pipit_route(server, PIPIT_GET, "/deferred", defer, NULL);
	pipit_route(server, PIPIT_GET, "/file", reply_file, NULL);
	pipit_route(server, PIPIT_GET, "/json", reply_json, NULL);
	pipit_route(server, PIPIT_GET, "/stream", reply_stream, NULL);
	pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp", reply_evhttp, NULL, &borrows);
	pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	pipit_fallback(server, pipit_serve_files, site);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	ck_assert_int_eq(pthread_create(&server_thread, NULL, run, server), 0);
}

static void stop(void)
{
	void *result;
	pipit_server_stop(server);
	ck_assert_int_eq(pthread_join(server_thread, &result), 0);
	ck_assert_ptr_nonnull(result);
	pipit_server_free(server);
	pipit_stream_free(stream);
	pipit_site_free(site);
}

/* The log's line of a request, and the status and bytes in it. */
static bool read_line(const char *request, int *status, unsigned long long *bytes)
{
	char line[1024];
	bool is_found = false;
	FILE *log = fopen(log_path, "r");

	ck_assert_ptr_nonnull(log);
	while (!is_found && fgets(line, sizeof line, log)) {
		const char *at = strstr(line, request);
		const char *json = at ? strstr(at, "\"bytes\":") : NULL;
		if (!at)
			continue;
		if (json)
			is_found =
			    sscanf(strstr(at, "\"status\":"), "\"status\":%d,\"bytes\":%llu", status, bytes) == 2;
		else
			is_found = sscanf(strchr(at, '"'), "\" %d %llu", status, bytes) == 2;
	}
	fclose(log);
	return is_found;
}

static void remove_files(void)
{
	unlink(log_path);
	unlink(file_path);
	rmdir(directory);
}

static bool has_sample(void *sample)
{
	int client = wire_connect(port());
	struct wire_response page = wire_get(client, "/metrics");
	bool is_there = page.content && wire_metric(page.content, sample) == 1;
	wire_free(&page);
	close(client);
	return is_there;
}

static const struct {
	const char *target, *fields;
	int status;        /* of the reply, and of the line when it is complete */
	int logged_status; /* when it is aborted: a stream has no other end */
} replies[] = {
	{ "/memory", "", 200, 499 },
	{ "/deferred", "", 200, 499 },
	{ "/file", "", 200, 499 },
	{ "/large.bin", "", 200, 499 },
	{ "/large.bin", "Range: bytes=0-9000000,10000000-20000000\r\n", 206, 499 },
	{ "/json", "", 200, 499 },
	{ "/stream", "", 200, 200 },
	{ "/evhttp", "", 200, 499 },
};

static const char *const formats[] = { "combined", "json" };

#define REPLIES (sizeof replies / sizeof *replies)

START_TEST(the_log_says_what_was_sent)
{
	int at = _i % (int)REPLIES, client, status;
	unsigned long long bytes;
	char request[128];
	struct wire_response response;

	start(formats[_i / (int)REPLIES]);
	client = wire_connect(port());
	ck_assert(wire_print(client, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", replies[at].target, replies[at].fields));
	/* Other requests are served meanwhile, in the memory that this one came in. */
	ck_assert(wire_wait(has_sample, (void *)"http_connections{state=\"writing\"}"));
	stop();
	response = wire_read(client, false);
	ck_assert_int_eq(response.status, replies[at].status);
	ck_assert(!response.is_complete);
	ck_assert_uint_gt(response.length, 0);
	ck_assert_uint_lt(response.length, LARGE_BYTES);
	snprintf(request, sizeof request, "GET %s HTTP/1.1", replies[at].target);
	ck_assert_msg(read_line(request, &status, &bytes), "no line of %s", replies[at].target);
	ck_assert_int_eq(status, replies[at].logged_status);
	ck_assert_uint_eq(bytes, response.length);
	wire_free(&response);
	close(client);
	remove_files();
}
END_TEST

/* Of those that end by themselves. */
START_TEST(the_log_says_the_same_of_a_complete_reply)
{
	int at = _i, client, status;
	unsigned long long bytes;
	char request[128];
	struct wire_response response;

	if (replies[at].logged_status != 499)
		return;
	start("combined");
	client = wire_connect(port());
	ck_assert(wire_print(client, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", replies[at].target, replies[at].fields));
	response = wire_read(client, false);
	stop();
	ck_assert(response.is_complete);
	snprintf(request, sizeof request, "GET %s HTTP/1.1", replies[at].target);
	ck_assert_msg(read_line(request, &status, &bytes), "no line of %s", replies[at].target);
	ck_assert_int_eq(status, replies[at].status);
	ck_assert_uint_eq(bytes, response.length);
	wire_free(&response);
	close(client);
	remove_files();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aborted replies");
	TCase *tests = tcase_create("aborted replies");
	tcase_add_loop_test(tests, the_log_says_what_was_sent, 0, 2 * (int)REPLIES);
	tcase_add_loop_test(tests, the_log_says_the_same_of_a_complete_reply, 0, (int)REPLIES);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
