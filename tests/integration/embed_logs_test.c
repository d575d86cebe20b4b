/* SPDX-License-Identifier: MIT */
/* The access log of a program that uses the library: opened again after a rotation, and read by a process that ends. */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void reply(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, "hello");
}

static struct pipit_server *server;
static struct loop loop; /* its base is NULL while the server has threads of its own */
static pthread_t thread; /* of pipit_server_run() */
static bool has_thread;
static unsigned port;
static char directory[64], name[96], old_name[96];

static void set_up(void)
{
	strcpy(directory, "/tmp/pipit-logs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(name, sizeof name, "%s/access", directory);
	snprintf(old_name, sizeof old_name, "%s/access.1", directory);
	has_thread = false;
	loop.base = NULL;
	server = NULL;
}

static void stop(void)
{
	if (!server)
		return;
	if (has_thread) {
		pipit_server_stop(server);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	} else {
		loop_stop(&loop);
	}
	pipit_server_free(server);
	server = NULL;
	if (has_thread)
		return;
	loop_leave(&loop);
	event_base_free(loop.base);
}

static void tear_down(void)
{
	stop();
	unlink(name);
	unlink(old_name);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void *run(void *arg)
{
	(void)arg;
	pipit_server_run(server);
	return NULL;
}

/* workers: 0: on a base of the program. */
static void start(unsigned workers)
{
	struct pipit_config config;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = workers ? workers : 1;
	config.access_log = name;
	config.log_level = "error";
	ck_assert_ptr_nonnull(server = pipit_server_new(&config));
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/hello", reply, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL), 0);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	ck_assert_int_eq(sscanf(pipit_server_url(server, 0), "http://127.0.0.1:%u", &port), 1);
	has_thread = workers > 0;
	if (has_thread) {
		ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
		return;
	}
	loop_open(&loop);
	ck_assert_int_eq(pipit_server_attach(server, loop.base), 0);
	loop_run(&loop);
}

static void ask(void)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/hello"), 200, "hello");
	close(fd);
}

/* -1: no such file. */
static long lines_of(const char *file)
{
	FILE *in = fopen(file, "re");
	long lines = 0;
	int byte;
	if (!in)
		return -1;
	while ((byte = getc(in)) != EOF)
		lines += byte == '\n';
	fclose(in);
	return lines;
}

static bool has_old_line(void *arg)
{
	(void)arg;
	return lines_of(old_name) == 1;
}

static bool has_new_line(void *arg)
{
	(void)arg;
	return lines_of(name) == 1;
}

/* From this thread, with one worker, with two, and attached. */
START_TEST(the_program_opens_the_log_again_after_a_rotation)
{
	start((unsigned)_i);
	ask();
	ck_assert_int_eq(rename(name, old_name), 0);
	ck_assert(wire_wait(has_old_line, NULL));
	pipit_server_reopen_logs(server);
	ck_assert_int_eq(lines_of(name), 0);
	ask();
	ck_assert(wire_wait(has_new_line, NULL));
	ck_assert_int_eq(lines_of(old_name), 1);
}
END_TEST

/* Its directory is not there. */
START_TEST(the_old_log_stays_in_use_when_the_new_one_cannot_be_opened)
{
	char moved[96];
	snprintf(moved, sizeof moved, "%s.moved", directory);
	start((unsigned)_i);
	ask();
	ck_assert_int_eq(rename(name, old_name), 0);
	ck_assert(wire_wait(has_old_line, NULL));
	ck_assert_int_eq(rename(directory, moved), 0);
	pipit_server_reopen_logs(server);
	ck_assert_int_eq(rename(moved, directory), 0);
	ask();
	stop();
	ck_assert_int_eq(lines_of(old_name), 2);
	ck_assert_int_eq(lines_of(name), -1);
}
END_TEST

static bool has_dropped(void *arg)
{
	int fd = wire_connect(port);
	struct wire_response page = wire_get(fd, "/metrics");
	double lines = wire_metric(page.content, "pipit_access_log_dropped_lines_total");
	(void)arg;
	wire_free(&page);
	close(fd);
	return lines >= 3;
}

/* The reader of the log ends, in a program that does not ignore SIGPIPE. */
START_TEST(survives_the_reader_of_the_log_and_counts_lost_lines)
{
	int reader;
	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(mkfifo(name, 0600), 0);
	reader = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(reader, 0);
	start(0);
	close(reader);
	for (int i = 0; i < 3; i++)
		ask();
	ck_assert(wire_wait(has_dropped, NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("logs of a program");
	TCase *tests = tcase_create("access log");
	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, the_program_opens_the_log_again_after_a_rotation, 0, 3);
	tcase_add_loop_test(tests, the_old_log_stays_in_use_when_the_new_one_cannot_be_opened, 0, 3);
	tcase_add_test(tests, survives_the_reader_of_the_log_and_counts_lost_lines);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
