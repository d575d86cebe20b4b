/* SPDX-License-Identifier: MIT */
/*
 * Output of evhttp callbacks for clients that read slowly or not at all: it counts against the memory limit, and its client is
 * closed when memory runs out or it stays far behind. With evhttp connections of the clients' own and with borrowed ones.
 */
#include "daemon.h"
#include "pipit.h"
#include "stopped_clock.h"
#include "suite.h"
#include "wire.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEBIBYTE (1024u * 1024u)
#define CHUNK_BYTES (50u * 1024u)
#define LARGE_BYTES (24u * MEBIBYTE)
/* More than the buffers of the sockets. */
#define KERNEL_BYTES (16u * MEBIBYTE)

/* ---------------------------------------------------------------- callbacks */

/* A camera that sends a picture every few milliseconds while there are any, also to a client that does not read. */
static atomic_int pictures;
static atomic_int cameras; /* their timers run */

struct camera {
	struct evhttp_request *request;
	struct event *timer;
};

static void on_picture(evutil_socket_t fd, short what, void *context)
{
	struct camera *camera = context;
	struct evbuffer *picture;
	(void)fd, (void)what;

	if (!evhttp_request_get_connection(camera->request)) {
		/* The client has closed: this frees the request. */
		evhttp_send_reply_end(camera->request);
		event_free(camera->timer);
		free(camera);
		atomic_fetch_sub(&cameras, 1);
		return;
	}
	if (atomic_load(&pictures) == 0)
		return;
	atomic_fetch_sub(&pictures, 1);
	picture = evbuffer_new();
	evbuffer_expand(picture, CHUNK_BYTES);
	for (size_t i = 0; i < CHUNK_BYTES / 64; i++)
		evbuffer_add(picture, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64);
	evhttp_send_reply_chunk(camera->request, picture);
	evbuffer_free(picture);
}

static void stream(struct evhttp_request *request, void *arg)
{
	static const struct timeval interval = { 0, 5000 };
	struct camera *camera = calloc(1, sizeof *camera);
	(void)arg;

	atomic_fetch_add(&cameras, 1);
	camera->request = request;
	camera->timer = event_new(
	    evhttp_connection_get_base(evhttp_request_get_connection(request)), -1, EV_PERSIST, on_picture, camera);
	evhttp_send_reply_start(request, HTTP_OK, "OK");
	event_add(camera->timer, &interval);
}

static char large[LARGE_BYTES];

static void send_memory(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	(void)arg;
	evbuffer_add(content, large, sizeof large);
	evhttp_send_reply(request, HTTP_OK, "OK", content);
	evbuffer_free(content);
}

/* A file after some text. */
static void send_file(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	int fd = memfd_create("content", MFD_CLOEXEC);

	if (ftruncate(fd, LARGE_BYTES) != 0)
		abort();
	if (arg)
		evbuffer_set_flags(content, EVBUFFER_FLAG_DRAINS_TO_FD);
	evbuffer_add_printf(content, "behind this:");
	evbuffer_add_file(content, fd, 0, LARGE_BYTES);
	evhttp_send_reply(request, HTTP_OK, "OK", content);
	evbuffer_free(content);
}

/* ---------------------------------------------------------------- a server */

static struct pipit_config config;
static struct pipit_server *server;
static struct daemon served; /* the port of its address is used */
static pthread_t thread;
static bool borrows;

static void *run(void *arg)
{
	pipit_server_run(arg);
	return NULL;
}

static void start(void)
{
	const struct pipit_route_options options = { .borrows_connection = borrows };

	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	pipit_route_evhttp_with(server, PIPIT_GET, "/stream", stream, NULL, &options);
	pipit_route_evhttp_with(server, PIPIT_GET, "/memory", send_memory, NULL, &options);
	pipit_route_evhttp_with(server, PIPIT_GET, "/file/mapped", send_file, NULL, &options);
	pipit_route_evhttp_with(server, PIPIT_GET, "/file/sent", send_file, large, &options);
	pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	served.port = (unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, server), 0);
}

static void set_up(void)
{
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 1;
	config.log_level = "error";
	config.min_rate_bytes = 0;
	atomic_store(&pictures, INT_MAX);
	/* Short, because a running camera does not end its reply. */
	config.drain_timeout_ms = 100;
}

static void set_up_own(void)
{
	borrows = false;
	set_up();
}

static void set_up_borrowed(void)
{
	borrows = true;
	set_up();
}

static bool has_no_camera(void *arg)
{
	(void)arg;
	return atomic_load(&cameras) == 0;
}

/* The clients have closed; each camera hears of that from its timer, which the end of the loop would end. */
static void tear_down(void)
{
	ck_assert(wire_wait(has_no_camera, NULL));
	pipit_server_stop(server);
	pthread_join(thread, NULL);
	pipit_server_free(server);
}

static double metric(const char *sample)
{
	return daemon_metric(&served, sample);
}

static double buffered(void)
{
	return metric("pipit_buffered_bytes");
}

/* Sends a request; the client does not read. */
static int ask_for(const char *path)
{
	int fd = wire_connect_with_small_window(served.port);
	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path));
	return fd;
}

/* ---------------------------------------------------------------- tests */

static bool all_are_aborted(void *count)
{
	return metric("http_requests_aborted_total") >= *(double *)count;
}

START_TEST(unread_streams_take_no_more_than_the_memory_limit)
{
	enum { CLIENTS = 4 };
	int fds[CLIENTS];
	double count = CLIENTS, most = 0;
	long long end = wire_now_ms() + 6ll * PATIENCE_MS;

	config.memory_limit = 4 * MEBIBYTE;
	start();
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ask_for("/stream");
	while (!all_are_aborted(&count)) {
		double now = buffered();
		most = now > most ? now : most;
		ck_assert_msg(
		    wire_now_ms() < end, "%g of %g were aborted", metric("http_requests_aborted_total"), count);
	}
	/* Each callback may have added a chunk before the sweep measured it. */
	ck_assert_double_le(most, 4.0 * MEBIBYTE + CLIENTS * (CHUNK_BYTES + 4096.0));
	ck_assert_double_ge(metric("http_rejected_total{reason=\"memory_limit\"}"), count);
	ck_assert_double_le(buffered(), 0);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
}
END_TEST

static bool is_buffered(void *least)
{
	return buffered() >= *(double *)least;
}

static bool nothing_is_buffered(void *unused)
{
	(void)unused;
	return buffered() <= 0;
}

START_TEST(a_reply_in_memory_counts_until_it_is_sent)
{
	double least = LARGE_BYTES - KERNEL_BYTES;
	struct wire_response response;
	int fd;

	start();
	fd = ask_for("/memory");
	ck_assert(wire_wait(is_buffered, &least));
	ck_assert_double_le(buffered(), LARGE_BYTES + 4096.0);
	response = wire_read(fd, false);
	ck_assert(response.is_complete);
	ck_assert_uint_eq(response.length, LARGE_BYTES);
	wire_free(&response);
	ck_assert(wire_wait(nothing_is_buffered, NULL));
	close(fd);
}
END_TEST

static const char *const file_paths[] = { "/file/mapped", "/file/sent" };

START_TEST(a_file_counts_as_little_memory)
{
	double least = 1;
	struct wire_response response;
	int fd;

	config.memory_limit = 2 * MEBIBYTE;
	start();
	fd = ask_for(file_paths[_i]);
	ck_assert(wire_wait(is_buffered, &least));
	ck_assert_double_le(buffered(), MEBIBYTE + 4096.0);
	/* Measuring takes the buffer apart: the reply must still be complete. */
	response = wire_read(fd, false);
	ck_assert(response.is_complete);
	ck_assert_uint_eq(response.length, LARGE_BYTES + strlen("behind this:"));
	ck_assert_int_eq(strncmp(response.content, "behind this:", 12), 0);
	wire_free(&response);
	ck_assert_double_le(metric("http_rejected_total{reason=\"memory_limit\"}"), 0);
	close(fd);
}
END_TEST

/* It reads, but never as fast as its callback writes. */
START_TEST(a_client_that_stays_far_behind_its_callback_is_closed)
{
	char bytes[512];
	long long end = wire_now_ms() + 6ll * PATIENCE_MS;
	int fd;

	config.memory_limit = 0;
	config.write_timeout_ms = 1000;
	start();
	fd = ask_for("/stream");
	while (metric("http_timeouts_total{phase=\"write\"}") < 1) {
		ck_assert_msg(wire_now_ms() < end, "it is not closed");
		if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) == 0)
			break;
	}
	ck_assert_double_eq(metric("http_timeouts_total{phase=\"write\"}"), 1);
	ck_assert_double_eq(metric("http_requests_aborted_total"), 1);
	close(fd);
}
END_TEST

#define FAR_BEHIND_MS 250
#define IDLE_MS 100

/* The client that connected last is closed as idle: the sweep has visited all others. */
static void let_idle_time_pass(void)
{
	int last = wire_connect(served.port);
	wire_expect(wire_get(last, "/metrics"), 200, NULL);
	stopped_clock_forward(IDLE_MS);
	ck_assert(wire_is_closed(last));
	close(last);
}

/* Far behind, then not: each time shorter than is allowed, together longer. */
START_TEST(a_client_that_catches_up_with_its_callback_is_kept)
{
	static char bytes[65536];
	/* Far behind is more than the output limit of one client, and a picture. */
	double far = 2.0 * (64 * 1024 + CHUNK_BYTES), few = 1024; /* the head of the request is kept */
	int fd;

	stopped_clock_stop();
	config.write_timeout_ms = FAR_BEHIND_MS;
	config.idle_timeout_ms = IDLE_MS;
	config.memory_limit = 0;
	atomic_store(&pictures, 0);
	start();
	fd = ask_for("/stream");
	for (int round = 0; round < 4; round++) {
		atomic_store(&pictures, KERNEL_BYTES / CHUNK_BYTES);
		ck_assert(wire_wait(is_buffered, &far));
		let_idle_time_pass();
		while (atomic_load(&pictures) > 0 || buffered() > few || wire_is_readable(fd, 0)) {
			while (wire_is_readable(fd, 0))
				ck_assert_int_gt(recv(fd, bytes, sizeof bytes, 0), 0);
		}
		let_idle_time_pass();
	}
	ck_assert_double_eq(metric("http_timeouts_total{phase=\"write\"}"), 0);
	ck_assert_double_eq(metric("http_requests_aborted_total"), 0);
	close(fd);
	stopped_clock_run();
}
END_TEST

static void add_tests(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, prepare, tear_down);
	tcase_add_test(tests, unread_streams_take_no_more_than_the_memory_limit);
	tcase_add_test(tests, a_reply_in_memory_counts_until_it_is_sent);
	tcase_add_loop_test(tests, a_file_counts_as_little_memory, 0, 2);
	tcase_add_test(tests, a_client_that_stays_far_behind_its_callback_is_closed);
	tcase_add_test(tests, a_client_that_catches_up_with_its_callback_is_kept);
	suite_add_tcase(suite, tests);
}

int main(void)
{
	Suite *suite = suite_create("evhttp_buffer");

	signal(SIGPIPE, SIG_IGN);
	add_tests(suite, "own", set_up_own);
	add_tests(suite, "borrowed", set_up_borrowed);
	return run_suite(suite);
}
