/* SPDX-License-Identifier: MIT */
/*
 * A thread that cannot be created, at each place: the server does not start, or the store does not open, and nothing is left
 * behind. Then the same start succeeds.
 */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 4

/* ---------------------------------------------------------------- the call that fails */

static unsigned created, failing; /* from 1; 0: none */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	if (++created == failing)
		return EAGAIN;
	return __real_pthread_create(thread, attributes, run, arg);
}

/* ---------------------------------------------------------------- what may not be left behind */

struct left {
	size_t descriptors;
	long threads;
	void (*on_term)(int);
	void (*on_pipe)(int);
	bool is_term_blocked;
};

static long count_threads(void)
{
	char line[128];
	long threads = 0;
	FILE *in = fopen("/proc/self/status", "re");
	ck_assert_ptr_nonnull(in);
	while (fgets(line, sizeof line, in))
		sscanf(line, "Threads: %ld", &threads);
	fclose(in);
	return threads;
}

static void (*handler_of(int number))(int)
{
	struct sigaction action;
	ck_assert_int_eq(sigaction(number, NULL, &action), 0);
	return action.sa_handler;
}

static struct left look(void)
{
	sigset_t set;
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	return (struct left){ loop_descriptors(), count_threads(), handler_of(SIGTERM), handler_of(SIGPIPE),
		sigismember(&set, SIGTERM) };
}

/* A thread that was joined may be counted for a moment. */
static bool has_no_more_threads(void *before)
{
	return count_threads() == ((struct left *)before)->threads;
}

static void expect_nothing_left(struct left before)
{
	struct left now;
	ck_assert(wire_wait(has_no_more_threads, &before));
	now = look();
	ck_assert_uint_eq(now.descriptors, before.descriptors);
	ck_assert(now.on_term == before.on_term);
	ck_assert(now.on_pipe == before.on_pipe);
	ck_assert_int_eq(now.is_term_blocked, before.is_term_blocked);
}

/* ---------------------------------------------------------------- workers */

static void reply(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "hello");
}

static struct pipit_server *make_server(const char *address)
{
	struct pipit_config config;
	struct pipit_server *server;
	pipit_config_init(&config);
	config.listen[0] = address;
	config.listen_count = 1;
	config.workers = WORKERS;
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/hello", reply, NULL), 0);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	return server;
}

static void *stop_when_served(void *server)
{
	unsigned port;
	int fd;
	ck_assert_int_eq(sscanf(pipit_server_url(server, 0), "http://127.0.0.1:%u", &port), 1);
	fd = wire_connect(port);
	wire_expect(wire_get(fd, "/hello"), 200, "hello");
	close(fd);
	pipit_server_stop(server);
	return NULL;
}

/* The address is free again, and a server with all its threads serves there. */
static void expect_served(const char *address)
{
	struct pipit_server *server = make_server(address);
	pthread_t client;
	ck_assert_int_eq(__real_pthread_create(&client, NULL, stop_when_served, server), 0);
	ck_assert_int_eq(pipit_server_run(server), 0);
	ck_assert_int_eq(pthread_join(client, NULL), 0);
	pipit_server_free(server);
}

START_TEST(a_server_whose_thread_cannot_be_created_does_not_start)
{
	struct left before = look();
	struct pipit_server *server = make_server("127.0.0.1:0");
	char address[64];
	unsigned port;
	int waiting;

	ck_assert_int_eq(sscanf(pipit_server_url(server, 0), "http://127.0.0.1:%u", &port), 1);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	/* In the backlog of a worker that runs, or of one that does not. */
	waiting = wire_connect(port);
	created = 0;
	failing = (unsigned)_i;
	ck_assert_int_eq(pipit_server_run(server), 1);
	ck_assert_uint_eq(created, failing);
	failing = 0;
	ck_assert_int_eq(pipit_server_run(server), 1);
	pipit_server_free(server);
	close(waiting);
	expect_nothing_left(before);
	expect_served(address);
	expect_nothing_left(before);
}
END_TEST

/* ---------------------------------------------------------------- the writer of settings */

START_TEST(a_store_whose_thread_cannot_be_created_does_not_open)
{
	char directory[] = "/tmp/pipit-thread-XXXXXX", file[64], command[96], error[256] = "";
	struct pipit_settings_options options = { .file = file };
	struct pipit_settings *settings = NULL;
	struct left before;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file, sizeof file, "%s/settings.json", directory);
	before = look();
	created = 0;
	failing = 1;
	ck_assert_int_eq(pipit_settings_open(&options, &settings, error, sizeof error), -EAGAIN);
	ck_assert_uint_eq(created, 1);
	failing = 0;
	ck_assert_ptr_null(settings);
	ck_assert_str_eq(error, "settings: cannot start a thread: Resource temporarily unavailable");
	expect_nothing_left(before);
	/* The lock is free. */
	ck_assert_int_eq(pipit_settings_open(&options, &settings, error, sizeof error), 0);
	pipit_settings_free(settings);
	expect_nothing_left(before);
	snprintf(command, sizeof command, "rm -r %s", directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *tests = tcase_create("threads");
	tcase_add_loop_test(tests, a_server_whose_thread_cannot_be_created_does_not_start, 1, WORKERS);
	tcase_add_test(tests, a_store_whose_thread_cannot_be_created_does_not_open);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
