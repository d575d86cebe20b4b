/* SPDX-License-Identifier: MIT */
/*
 * What is opened is closed, and what is allocated is freed: each life of a server, a site, a store, and failing ones, leaves as many
 * descriptors and blocks of memory as before. This file defines malloc() and its siblings, and counts the blocks of all
 * libraries; sanitizers, which do so themselves, and other C libraries than glibc leave the descriptors.
 */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CONNECTIONS 1000

/* ---------------------------------------------------------------- blocks of memory */

static atomic_long blocks;

#if defined(__GLIBC__) && !IS_SANITIZED
#define VISIBLE __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static void *counted(void *memory)
{
	if (memory)
		atomic_fetch_add(&blocks, 1);
	return memory;
}

VISIBLE void *malloc(size_t size)
{
	return counted(__libc_malloc(size));
}

VISIBLE void *calloc(size_t count, size_t size)
{
	return counted(__libc_calloc(count, size));
}

VISIBLE void *realloc(void *memory, size_t size)
{
	void *moved = __libc_realloc(memory, size);
	if (!memory)
		counted(moved);
	else if (size == 0)
		atomic_fetch_sub(&blocks, 1);
	return moved;
}

VISIBLE void *aligned_alloc(size_t alignment, size_t size)
{
	return counted(__libc_memalign(alignment, size));
}

VISIBLE int posix_memalign(void **memory, size_t alignment, size_t size)
{
	*memory = counted(__libc_memalign(alignment, size));
	return *memory ? 0 : ENOMEM;
}

VISIBLE void free(void *memory)
{
	if (memory)
		atomic_fetch_sub(&blocks, 1);
	__libc_free(memory);
}
#endif

/* ---------------------------------------------------------------- files and servers */

static char directory[64], settings_name[96], wrong_name[96], log_name[96];
static unsigned port;

static void reply(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "hello");
}

static void call(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply(request, 200, "OK", NULL);
}

static struct pipit_config configure(uint64_t workers)
{
	struct pipit_config config;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = workers;
	config.access_log = log_name;
	/* Failures are what is tested. */
	config.log_level = "error";
	return config;
}

/* What a server does not own. */
struct parts {
	struct pipit_site *site;
	struct pipit_settings *settings;
	struct pipit_stream *stream;
};

static struct parts open_parts(void)
{
	struct parts parts;
	char error[256];
	ck_assert_ptr_nonnull(parts.site = pipit_site_new(directory));
	ck_assert_int_eq(pipit_settings_open(&(struct pipit_settings_options){ .file = settings_name }, &parts.settings,
			     error, sizeof error),
	    0);
	ck_assert_ptr_nonnull(parts.stream = pipit_stream_new(NULL));
	return parts;
}

static void free_parts(struct parts parts)
{
	pipit_site_free(parts.site);
	pipit_settings_free(parts.settings);
	pipit_stream_free(parts.stream);
}

/* Routes of every kind. */
static struct pipit_server *make_server(const struct pipit_config *config, const struct parts *parts)
{
	static const struct pipit_route_options borrowing = { .borrows_connection = true, .thread_safe = true };
	struct pipit_server *server = pipit_server_new(config);

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/hello", reply, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/number/{n}/{rest...}", reply, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp", call, NULL, &borrowing), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/openapi.json", pipit_serve_openapi, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/figures", pipit_serve_events, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/events", pipit_stream_serve, parts->stream), 0);
	ck_assert_int_eq(pipit_route_settings(server, "/settings", parts->settings), 0);
	ck_assert_int_eq(pipit_fallback(server, pipit_serve_files, parts->site), 0);
	return server;
}

static void read_port(const struct pipit_server *server)
{
	ck_assert_int_eq(sscanf(pipit_server_url(server, 0), "http://127.0.0.1:%u", &port), 1);
}

static const struct {
	const char *line, *body;
	int status;
} requests[] = {
	{ "GET /hello", "", 200 },
	{ "GET /number/1/2/3", "", 200 },
	{ "GET /evhttp", "", 200 },
	{ "GET /metrics", "", 200 },
	{ "GET /openapi.json", "", 200 },
	{ "GET /file.txt", "", 200 },
	{ "GET /large.txt", "", 200 },
	{ "GET /none", "", 404 },
	{ "DELETE /hello", "", 405 },
	{ "PUT /settings/a", "[1,{\"b\":2.5}]", 201 },
	{ "PUT /settings/a", "[1,{", 400 },
	{ "DELETE /settings/a", "", 204 },
};

/* Every route, a refusal, and clients that close early. */
static void ask_everything(void)
{
	static const char *const cut_short[] = { "", "GET /he",
		"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
		"GET /events HTTP/1.1\r\nHost: x\r\n\r\n", "GET /figures HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /evhttp HTTP/1.1\r\nHost: x\r\n\r\n", "BAD\r\n\r\n" };
	int fd = wire_connect(port);

	for (size_t i = 0; i < COUNT(requests); i++) {
		struct wire_response response = wire_ask(fd,
		    "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept-Encoding: "
		    "gzip\r\nContent-Length: %zu\r\n\r\n%s",
		    requests[i].line, strlen(requests[i].body), requests[i].body);
		bool closes = response.closes;
		ck_assert_msg(response.status == requests[i].status, "%s: %d %s", requests[i].line, response.status,
		    response.content);
		wire_free(&response);
		if (closes) {
			close(fd);
			fd = wire_connect(port);
		}
	}
	close(fd);
	for (size_t i = 0; i < COUNT(cut_short); i++) {
		fd = wire_connect(port);
		ck_assert(wire_print(fd, "%s", cut_short[i]));
		close(fd);
	}
}

/* ---------------------------------------------------------------- lives */

static void *run(void *server)
{
	pipit_server_run(server);
	return NULL;
}

static void life_of_a_server_that_does_not_run(void)
{
	struct pipit_config config = configure(2);
	struct parts parts = open_parts();
	pipit_server_free(make_server(&config, &parts));
	free_parts(parts);
}

static void life_of_a_server_that_listens(void)
{
	struct pipit_config config = configure(2);
	struct parts parts = open_parts();
	struct pipit_server *server = make_server(&config, &parts);
	int waiting;
	ck_assert_int_eq(pipit_server_listen(server), 0);
	read_port(server);
	waiting = wire_connect(port);
	pipit_server_free(server);
	close(waiting);
	free_parts(parts);
}

static void life_of_a_server_with_threads(void)
{
	struct pipit_config config = configure(2);
	struct parts parts = open_parts();
	struct pipit_server *server = make_server(&config, &parts);
	pthread_t thread;
	ck_assert_int_eq(pipit_server_listen(server), 0);
	read_port(server);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, server), 0);
	ask_everything();
	pipit_server_reopen_logs(server);
	pipit_server_drain(server);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pipit_server_free(server);
	free_parts(parts);
}

static void life_of_an_attached_server(void)
{
	struct pipit_config config = configure(1);
	struct parts parts = open_parts();
	struct pipit_server *server = make_server(&config, &parts);
	struct loop loop;
	port = loop_serve(&loop, server);
	ask_everything();
	loop_end(&loop, server);
	free_parts(parts);
}

static void free_http(void *http)
{
	evhttp_free(http);
}

/* Behind a server with options, and behind pipit_evhttp_bind_socket(). */
static void life_of_a_guarded_evhttp(void)
{
	struct pipit_config config = configure(1);
	struct pipit_server *server = pipit_server_new(&config);
	struct loop loop;
	struct evhttp *http;
	int fd;

	loop_open(&loop);
	http = evhttp_new(loop.base);
	evhttp_set_gencb(http, call, NULL);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, http), 0);
	read_port(server);
	loop_run(&loop);
	fd = wire_connect(port);
	wire_expect(wire_get(fd, "/hello"), 200, "");
	close(fd);
	loop_stop(&loop);
	pipit_server_free(server);
	loop_call(&loop, free_http, http);
	http = evhttp_new(loop.base);
	ck_assert_int_eq(pipit_evhttp_bind_socket(http, "127.0.0.1", 0), 0);
	evhttp_free(http);
	loop_leave(&loop);
	event_base_free(loop.base);
}

static void life_of_a_configuration(void)
{
	struct pipit_config config;
	char error[256];
	pipit_config_init(&config);
	ck_assert_int_eq(pipit_config_set(&config, "root", directory, error, sizeof error), 0);
	ck_assert_int_eq(pipit_config_set(&config, "root", "/", error, sizeof error), 0);
	ck_assert_int_eq(pipit_config_set(&config, "listen", "127.0.0.1:0", error, sizeof error), 0);
	ck_assert_int_ne(pipit_config_set(&config, "listen", "nowhere", error, sizeof error), 0);
	pipit_config_clear(&config);
}

/* ---------------------------------------------------------------- lives that do not begin */

static void configuration_that_is_wrong(void)
{
	struct pipit_config config = configure(2);
	config.listen[0] = "nowhere";
	ck_assert_ptr_null(pipit_server_new(&config));
	config = configure(257);
	ck_assert_ptr_null(pipit_server_new(&config));
}

static void address_in_use(void)
{
	struct pipit_config config = configure(2);
	struct parts parts = open_parts();
	struct pipit_server *first, *second;
	struct event_base *base = event_base_new();
	char address[64];

	first = make_server(&config, &parts);
	ck_assert_int_eq(pipit_server_listen(first), 0);
	snprintf(address, sizeof address, "%s", pipit_server_url(first, 0) + strlen("http://"));
	config.workers = 1;
	config.listen[1] = address;
	config.listen_count = 2;
	for (int i = 0; i < 3; i++) {
		second = pipit_server_new(&config);
		ck_assert_ptr_nonnull(second);
		ck_assert_int_ne(i == 0   ? pipit_server_listen(second)
				 : i == 1 ? pipit_server_run(second)
					  : pipit_server_attach(second, base),
		    0);
		pipit_server_free(second);
	}
	pipit_server_free(first);
	event_base_free(base);
	free_parts(parts);
}

static void log_that_cannot_be_opened(void)
{
	struct pipit_config config = configure(2);
	struct pipit_server *server;
	config.access_log = "/nonexistent/access";
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	ck_assert_int_ne(pipit_server_listen(server), 0);
	ck_assert_int_eq(pipit_server_run(server), 1);
	pipit_server_free(server);
}

static void route_that_is_wrong(void)
{
	struct pipit_config config = configure(1);
	struct pipit_server *server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/a/{b}", reply, NULL), 0);
	ck_assert_int_ne(pipit_route(server, PIPIT_GET, "/a/{c}", reply, NULL), 0);
	ck_assert_int_ne(pipit_route(server, PIPIT_GET, "a", reply, NULL), 0);
	ck_assert_int_eq(pipit_server_run(server), 1);
	pipit_server_free(server);
}

static void site_that_cannot_be_opened(void)
{
	const struct pipit_site_options wrong[] = {
		{ .root = "/nonexistent" },
		{ .root = log_name },
		{ .root = directory, .cache_control = "*.html" },
		{ .root = directory, .media_types = "/nonexistent" },
		{ 0 },
	};
	struct pipit_site *site = NULL;
	char error[256];
	for (size_t i = 0; i < COUNT(wrong); i++)
		ck_assert_int_ne(pipit_site_open(&wrong[i], &site, error, sizeof error), 0);
	ck_assert_ptr_null(pipit_site_new("/nonexistent"));
}

static void store_that_cannot_be_opened(void)
{
	const struct pipit_settings_options wrong[] = {
		{ .file = "/nonexistent/settings" },
		{ .file = directory },
		{ .file = wrong_name },
		{ .file = settings_name, .max_bytes = 1 },
	};
	struct pipit_settings *settings = NULL, *second = NULL;
	char error[256];
	for (size_t i = 0; i < COUNT(wrong); i++)
		ck_assert_int_ne(pipit_settings_open(&wrong[i], &settings, error, sizeof error), 0);
	ck_assert_int_eq(pipit_settings_open(
			     &(struct pipit_settings_options){ .file = settings_name }, &settings, error, sizeof error),
	    0);
	ck_assert_int_ne(pipit_settings_open(
			     &(struct pipit_settings_options){ .file = settings_name }, &second, error, sizeof error),
	    0);
	pipit_settings_free(settings);
}

/* ---------------------------------------------------------------- tests */

static void (*const lives[])(void) = { life_of_a_server_that_does_not_run, life_of_a_server_that_listens,
	life_of_a_server_with_threads, life_of_an_attached_server, life_of_a_guarded_evhttp, life_of_a_configuration,
	configuration_that_is_wrong, address_in_use, log_that_cannot_be_opened, route_that_is_wrong,
	site_that_cannot_be_opened, store_that_cannot_be_opened };

static void put_file(const char *name, const char *text, size_t length)
{
	char path[128];
	FILE *out;
	snprintf(path, sizeof path, "%s/%s", directory, name);
	ck_assert_ptr_nonnull(out = fopen(path, "we"));
	for (size_t i = 0; i < length; i++)
		fputc(text[i % strlen(text)], out);
	ck_assert_int_eq(fclose(out), 0);
}

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	strcpy(directory, "/tmp/pipit-free-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	put_file("file.txt", "hello", 5);
	put_file("large.txt", "hello", 100000);
	put_file("wrong.json", "[1", 2);
	snprintf(settings_name, sizeof settings_name, "%s/settings.json", directory);
	snprintf(wrong_name, sizeof wrong_name, "%s/wrong.json", directory);
	snprintf(log_name, sizeof log_name, "%s.log", directory);
}

static void tear_down(void)
{
	char command[256];
	snprintf(command, sizeof command, "rm -rf %s %s", directory, log_name);
	ck_assert_int_eq(system(command), 0);
}

struct count {
	long blocks;
	size_t descriptors;
};

static void look(void *count)
{
	*(struct count *)count = (struct count){ atomic_load(&blocks), loop_descriptors() };
}

/* The first life fills caches of libc and libevent. */
START_TEST(each_life_leaves_descriptors_and_memory_as_before)
{
	struct count before, after;

	lives[_i]();
	for (int i = 0; i < 3; i++) {
		look(&before);
		lives[_i]();
		look(&after);
		ck_assert_int_eq(after.blocks, before.blocks);
		ck_assert_uint_eq(after.descriptors, before.descriptors);
	}
}
END_TEST

static bool is_empty(void *server)
{
	return pipit_server_connections(server) == 0;
}

/* libevent keeps memory for each descriptor number that it has seen: the clients leave the low ones to the server. */
static int connect_with_high_number(void)
{
	int low = wire_connect(port), fd = fcntl(low, F_DUPFD_CLOEXEC, 200);
	ck_assert_int_ge(fd, 0);
	close(low);
	return fd;
}

/* at_once: at most 30. Each has a request. */
static void open_and_close_connections(
    struct pipit_server *server, const char *target, unsigned at_once, unsigned count)
{
	for (unsigned done = 0; done < count; done += at_once) {
		int fds[30];
		for (unsigned i = 0; i < at_once; i++)
			fds[i] = connect_with_high_number();
		for (unsigned i = 0; i < at_once; i++) {
			wire_expect(wire_get(fds[i], target), 200, NULL);
			close(fds[i]);
		}
		ck_assert(wire_wait(is_empty, server));
	}
}

/* How many evhttp connections a worker keeps depends on how many callbacks ran in one turn. */
static const struct {
	const char *target;
	unsigned at_once;
} loads[] = { { "/hello", 10 }, { "/file.txt", 10 }, { "/evhttp", 1 } };

/* The loop's thread looks, after the turn that closed the last connection. */
START_TEST(connections_leave_descriptors_and_memory_as_before)
{
	struct pipit_config config = configure(1);
	struct parts parts = open_parts();
	struct pipit_server *server = make_server(&config, &parts);
	struct loop loop;
	struct count before, after;

	port = loop_serve(&loop, server);
	open_and_close_connections(server, loads[_i].target, 3 * loads[_i].at_once, 300);
	loop_call(&loop, look, &before);
	open_and_close_connections(server, loads[_i].target, loads[_i].at_once, CONNECTIONS);
	loop_call(&loop, look, &after);
	ck_assert_int_eq(after.blocks, before.blocks);
	ck_assert_uint_eq(after.descriptors, before.descriptors);
	loop_end(&loop, server);
	free_parts(parts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("open and free");
	TCase *tests = tcase_create("lives");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, each_life_leaves_descriptors_and_memory_as_before, 0, COUNT(lives));
	tcase_add_loop_test(tests, connections_leave_descriptors_and_memory_as_before, 0, COUNT(loads));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
