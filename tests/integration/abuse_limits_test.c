/* SPDX-License-Identifier: MIT */
/*
 * Too many clients, too much of everything: who has stayed longest without need makes room, the rest is refused with a reason,
 * and who behaves well is served meanwhile. Clients that are merely slow or broken are in abuse_test.c.
 */
#include "abuse_clients.h"
#include "suite.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define GET "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"

/* As many as fit, and as many again that do not. */
#define HOUSE "1000"
#define CROWD 2000
/* Of the first and of the last that came. */
#define SURE 400

/* --- a full house --------------------------------------------------------------------------------------------------- */

static size_t count_connected(const struct crowd *crowd, size_t first, size_t count)
{
	size_t connected = 0;
	for (size_t i = first; i < first + count; i++)
		connected += crowd->clients[i].fd >= 0;
	return connected;
}

/*
 * Until half of them have been sent away. With one worker the last ones that came are all in, and of the first ones none. Workers
 * take the oldest of their own, and how many of the house's newest those are depends on who had the processor: then it is only
 * sure that more of the newest than of the oldest stay.
 */
static void assert_old_ones_made_room(struct siege *siege, struct crowd *crowd, bool is_alone)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	do {
		siege_watch(siege, PACE_MS);
		crowd_look(crowd);
	} while (count_connected(crowd, 0, CROWD) > (size_t)atoi(HOUSE) && wire_now_ms() < end);
	ck_assert_uint_le(count_connected(crowd, 0, CROWD), (size_t)atoi(HOUSE));
	if (is_alone) {
		ck_assert_uint_eq(count_connected(crowd, CROWD - SURE, SURE), SURE);
		ck_assert_uint_eq(count_connected(crowd, 0, SURE), 0);
	}
	ck_assert_uint_gt(count_connected(crowd, CROWD - SURE, SURE), count_connected(crowd, 0, SURE));
	siege_wait_for(siege, "http_connections_evicted_total", CROWD - atoi(HOUSE));
	siege_assert_metric(siege, "http_rejected_total{reason=\"too_many_connections\"}", 0);
}

/* What they say when they come, and whether they are answered before they are silent. */
static const struct {
	const char *says;
	bool is_answered;
	const char *workers;
} silent_ones[] = {
	{ "", false, "1" },
	{ "", false, "2" },
	{ GET, true, "1" },
	{ GET, true, "2" },
	{ "GET /hello/get HTTP/1.1\r\nHost: x\r\nA: b", false, "1" },
	{ "GET /hello/get HTTP/1.1\r\nHost: x\r\nA: b", false, "2" },
};

START_TEST(the_oldest_of_two_thousand_silent_ones_make_room)
{
	struct siege siege = siege_begin(
	    (const char *const[]){ "--max-connections", HOUSE, "--workers", silent_ones[_i].workers, NULL });
	struct crowd crowd = crowd_new(CROWD);
	bool is_alone = strcmp(silent_ones[_i].workers, "1") == 0;

	siege.slack_kib = CROWDED_SLACK_KIB;
	for (size_t i = 0; i < CROWD; i++) {
		siege_let_in(&siege, &crowd, i, 1, 0);
		ck_assert(wire_print(crowd.clients[i].fd, "%s", silent_ones[_i].says));
		if (silent_ones[_i].is_answered)
			ck_assert(wire_is_readable(crowd.clients[i].fd, PATIENCE_MS));
	}
	assert_old_ones_made_room(&siege, &crowd, is_alone);
	for (size_t i = 0; i < CROWD; i++)
		ck_assert_int_eq(client_status(&crowd.clients[i]), silent_ones[_i].is_answered ? 200 : 0);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* In a full house nobody has the long grace, only a second: they come at half of the speed that would fill it in that time. */
START_TEST(slow_contents_make_room_long_before_their_grace_is_over)
{
	struct siege siege =
	    siege_begin((const char *const[]){ "--max-connections", HOUSE, "--rate-grace", "1h", NULL });
	struct crowd crowd = crowd_new(CROWD);

	siege.slack_kib = CROWDED_SLACK_KIB;
	for (size_t i = 0; i < CROWD; i++) {
		siege_let_in(&siege, &crowd, i, 1, 0);
		ck_assert(wire_print(crowd.clients[i].fd, POST "Content-Length: 10000\r\n\r\nslow"));
		if (i % 10 == 0)
			siege_watch(&siege, 20);
	}
	assert_old_ones_made_room(&siege, &crowd, false);
	siege_assert_metric(&siege, "http_timeouts_total{phase=\"body\"}", 0);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* The daemon's second worker: the first is the main thread. */
static pid_t second_worker(const struct daemon *daemon)
{
	char path[64];
	pid_t found = 0;
	DIR *tasks;
	snprintf(path, sizeof path, "/proc/%d/task", (int)daemon->pid);
	tasks = opendir(path);
	ck_assert_ptr_nonnull(tasks);
	for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks)) {
		pid_t thread = atoi(entry->d_name);
		if (thread > found && thread != daemon->pid)
			found = thread;
	}
	closedir(tasks);
	ck_assert_int_gt(found, 0);
	return found;
}

/* One thread only, which no signal can do. */
static void stop_thread(pid_t thread)
{
	int status;
	ck_assert_msg(ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0, "cannot stop a thread: %s", strerror(errno));
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(thread, &status, __WALL), thread);
}

/*
 * One worker has filled the house while the other was late. When that one lets in who has waited at its door, the oldest of the
 * house make room, not those who came in a moment ago and happen to be its only ones.
 */
START_TEST(newcomers_of_a_worker_with_few_connections_do_not_push_each_other_out)
{
	struct siege siege = siege_begin((const char *const[]){ "--max-connections", "100", "--workers", "2", NULL });
	pid_t worker = second_worker(&siege.daemon);
	struct crowd crowd = crowd_new(200);
	double accepted = daemon_metric(&siege.daemon, "http_connections_accepted_total");

	stop_thread(worker);
	for (size_t i = 0; i < crowd.count; i++)
		crowd.clients[i].fd = dial(siege.daemon.port, NULL, 0);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, worker, NULL, NULL), 0);
	siege_wait_for(&siege, "http_connections_accepted_total", accepted + (double)crowd.count);
	siege_wait_connected(&siege, &crowd, 100);
	ck_assert_msg(count_connected(&crowd, 160, 40) >= 36, "of the last 40 that came, %zu are in; %zu of all",
	    count_connected(&crowd, 160, 40), count_connected(&crowd, 0, 200));
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* --- descriptors ---------------------------------------------------------------------------------------------------- */

/* Without descriptors ThreadSanitizer cannot read the names that its suppressions name: see tests/tsan.supp. */
#define DESCRIPTOR_WORKERS (IS_SANITIZED ? "1" : "2")

START_TEST(rests_without_descriptors_and_goes_on_when_some_leave)
{
	struct siege siege = siege_begin_in(&(struct daemon_surroundings){ .descriptors = 64 },
	    (const char *const[]){
		"--log-level", "error", "--max-connections", "0", "--workers", DESCRIPTOR_WORKERS, NULL });
	struct crowd crowd = crowd_new(200);
	long long began_ms, took_ms;
	long cpu_ms;

	for (size_t i = 0; i < crowd.count; i++)
		crowd.clients[i].fd = dial(siege.daemon.port, NULL, 0);
	began_ms = wire_now_ms();
	cpu_ms = daemon_cpu_ms(&siege.daemon);
	for (int i = 0; i < 200; i++)
		nap();
	cpu_ms = daemon_cpu_ms(&siege.daemon) - cpu_ms;
	took_ms = wire_now_ms() - began_ms;
	/* One that does not rest takes all the time there is. */
	ck_assert_msg(
	    cpu_ms < took_ms * (IS_SANITIZED ? 7 : 2) / 10, "%ld ms of CPU time in %lld ms of rest", cpu_ms, took_ms);
	for (size_t i = 0; i < crowd.count - 10; i++)
		client_leave(&crowd.clients[i]);
	for (int i = 0; i < 10; i++)
		siege_ask(&siege);
	crowd_free(&crowd);
	siege_wait_for(&siege, "http_accept_errors_total", 1);
	siege_wait_for(&siege, "http_connections_evicted_total", 1);
	siege_end(&siege);
}
END_TEST

/* Nobody leaves: the idle ones must, a few at a time, until the last who has knocked is in. */
START_TEST(lets_the_last_of_many_in_although_descriptors_are_few)
{
	struct siege siege = siege_begin_in(&(struct daemon_surroundings){ .descriptors = 64 },
	    (const char *const[]){
		"--log-level", "error", "--max-connections", "0", "--workers", DESCRIPTOR_WORKERS, NULL });
	struct crowd crowd = crowd_new(200);

	for (size_t i = 0; i < crowd.count; i++)
		crowd.clients[i].fd = dial(siege.daemon.port, NULL, 0);
	siege_ask_afresh(&siege);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* A newcomer whose content comes behind its head, and has to be collected. */
static void assert_content_is_refused(const struct siege *siege)
{
	int fd = wire_connect(siege->daemon.port);
	struct wire_response response = wire_ask(fd, POST "Content-Length: 200000\r\n\r\nA");
	ck_assert_int_eq(response.status, 503);
	ck_assert(response.is_complete && response.closes);
	ck_assert_ptr_nonnull(wire_field(&response, "Retry-After"));
	wire_free(&response);
	close(fd);
}

static void assert_content_in_one_piece_is_taken(const struct siege *siege)
{
	int fd = wire_connect(siege->daemon.port);
	struct wire_response response = wire_ask(fd, POST "Content-Length: 3\r\n\r\nAda");
	ck_assert_int_eq(response.status, 200);
	ck_assert_ptr_nonnull(strstr(response.content, "Hello, Ada!"));
	wire_free(&response);
	close(fd);
}

static const char *const large_contents[] = { "Content-Length: 204800\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n32000\r\n" };

START_TEST(held_back_contents_cost_no_more_than_the_memory_limit)
{
	static char half[100 * 1024];
	struct siege siege = siege_begin((const char *const[]){ "--memory-limit", "1m", "--max-body-bytes", "256k",
	    "--read-timeout", "0", "--min-rate-bytes", "0", "--log-level", "error", NULL });
	struct crowd crowd = crowd_new(50);
	size_t refused = 0;

	memset(half, 'x', sizeof half);
	siege_keep_alive(&siege);
	for (size_t i = 0; i < crowd.count; i++) {
		siege_let_in(&siege, &crowd, i, 1, 0);
		ck_assert(wire_print(crowd.clients[i].fd, POST "%s", large_contents[_i]));
		/* Of those that are refused perhaps not all of it is taken. */
		wire_send(crowd.clients[i].fd, half, sizeof half);
	}
	for (int i = 0; i < 10; i++) {
		assert_content_is_refused(&siege);
		assert_content_in_one_piece_is_taken(&siege);
		siege_tick(&siege);
	}
	ck_assert_double_le(daemon_metric(&siege.daemon, "pipit_buffered_bytes"), 1024 * 1024);
	ck_assert_msg(
	    IS_SANITIZED || daemon_resident_kib(&siege.daemon) < siege.resident_kib + 1024 + RESIDENT_SLACK_KIB / 2,
	    "%ld KiB are resident, %ld before", daemon_resident_kib(&siege.daemon), siege.resident_kib);
	siege_wait_for(&siege, "http_rejected_total{reason=\"memory_limit\"}", 10 + 30);
	/* The others have a place until they leave. The first need not be among them: a content takes room as it grows. */
	siege_wait_connected(&siege, &crowd, crowd.count - 30);
	for (size_t i = 0; i < crowd.count; i++) {
		int status = client_status(&crowd.clients[i]);
		ck_assert_msg(status == 0 || status == 503, "client %zu: status %d", i, status);
		refused += status == 503;
	}
	ck_assert_uint_ge(refused, 30);
	ck_assert_uint_le(refused, crowd.count - 2);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

/* --- per client ----------------------------------------------------------------------------------------------------- */

static int ask_from_home(struct siege *siege)
{
	int fd = wire_connect(siege->daemon.port), status;
	struct wire_response response = wire_ask(fd, GET);

	status = response.status;
	ck_assert(response.is_complete);
	ck_assert_int_eq(response.closes, status == 429);
	ck_assert_int_eq(wire_field(&response, "Retry-After") != NULL, status == 429);
	ck_assert(status != 429 || wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	siege_tick(siege);
	return status;
}

/* Somebody has left; the server hears of it in its own time. */
static void wait_until_there_is_room(struct siege *siege)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	int status;
	while ((status = ask_from_home(siege)) == 429 && wire_now_ms() < end)
		nap();
	ck_assert_int_eq(status, 200);
}

START_TEST(refuses_the_sixth_connection_of_an_address_until_one_leaves)
{
	struct siege siege = siege_begin((const char *const[]){ "--max-connections-per-address", "5", NULL });
	struct crowd crowd = crowd_new(5);

	siege.from = "127.0.0.2";
	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	for (size_t i = 0; i < crowd.count; i++)
		siege_ask_on(&siege, crowd.clients[i].fd);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(ask_from_home(&siege), 429);
	client_leave(&crowd.clients[2]);
	wait_until_there_is_room(&siege);
	crowd_free(&crowd);
	wait_until_there_is_room(&siege);
	siege_wait_for(&siege, "http_rejected_total{reason=\"too_many_from_address\"}", 10);
	siege_end(&siege);
}
END_TEST

/* A crowd from one address can take all of its own places, and none of another's. */
/* One worker: with several, one that is late may still be asked for room that somebody has made meanwhile. */
START_TEST(a_crowd_from_one_address_does_not_push_out_others)
{
	struct siege siege = siege_begin((const char *const[]){ "--workers", "1", "--max-connections-per-address", "50",
	    "--max-connections", "100", "--log-level", "error", NULL });
	struct crowd crowd = crowd_new(500);
	siege.from = "127.0.0.2";
	siege_keep_alive(&siege);
	siege_let_in(&siege, &crowd, 0, crowd.count, 0);
	siege_wait_connected(&siege, &crowd, 50);
	crowd_free(&crowd);
	siege_end(&siege);
}
END_TEST

START_TEST(the_last_request_that_a_connection_may_have_says_close)
{
	struct siege siege = siege_begin((const char *const[]){ "--max-requests-per-connection", "3", NULL });
	int fd = wire_connect(siege.daemon.port);
	ck_assert(wire_print(fd, GET GET GET GET));
	for (int i = 1; i <= 3; i++) {
		struct wire_response response = wire_read(fd, false);
		ck_assert_int_eq(response.status, 200);
		ck_assert(response.is_complete);
		ck_assert_int_eq(response.closes, i == 3);
		wire_free(&response);
	}
	ck_assert(wire_is_closed(fd));
	close(fd);
	siege_assert_metric(&siege, "http_requests_total{method=\"GET\",route=\"/hello/get\",code=\"200\"}", 50 + 3);
	siege_end(&siege);
}
END_TEST

/* One field may be long, but not as long as all of them together. */
START_TEST(refuses_a_field_that_is_too_long)
{
	struct siege siege = siege_begin((const char *const[]){ "--max-field-bytes", "100", NULL });
	static const struct {
		int length, status;
	} fields[] = { { 50, 200 }, { 90, 200 }, { 101, 431 }, { 5000, 431 } };
	siege_keep_alive(&siege);
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		int fd = wire_connect(siege.daemon.port);
		struct wire_response response =
		    wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\nA: %0*d\r\nB: c\r\n\r\n", fields[i].length, 0);
		ck_assert_int_eq(response.status, fields[i].status);
		ck_assert_int_eq(response.closes, fields[i].status == 431);
		wire_free(&response);
		close(fd);
		siege_tick(&siege);
	}
	siege_assert_metric(&siege, "http_rejected_total{reason=\"field_too_large\"}", 2);
	siege_end(&siege);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------------------- */

static TCase *full_house_tests(void)
{
	TCase *tests = tcase_create("full house");
	tcase_add_loop_test(tests, the_oldest_of_two_thousand_silent_ones_make_room, 0, (int)COUNT_OF(silent_ones));
	tcase_add_test(tests, slow_contents_make_room_long_before_their_grace_is_over);
	tcase_add_test(tests, newcomers_of_a_worker_with_few_connections_do_not_push_each_other_out);
	return tests;
}

static TCase *resource_tests(void)
{
	TCase *tests = tcase_create("resources");
	tcase_add_test(tests, rests_without_descriptors_and_goes_on_when_some_leave);
	tcase_add_test(tests, lets_the_last_of_many_in_although_descriptors_are_few);
	tcase_add_loop_test(
	    tests, held_back_contents_cost_no_more_than_the_memory_limit, 0, (int)COUNT_OF(large_contents));
	return tests;
}

static TCase *client_tests(void)
{
	TCase *tests = tcase_create("per client");
	tcase_add_test(tests, refuses_the_sixth_connection_of_an_address_until_one_leaves);
	tcase_add_test(tests, a_crowd_from_one_address_does_not_push_out_others);
	tcase_add_test(tests, the_last_request_that_a_connection_may_have_says_close);
	tcase_add_test(tests, refuses_a_field_that_is_too_long);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("abuse of limits");
	raise_own_limit();
	suite_add_tcase(suite, full_house_tests());
	suite_add_tcase(suite, resource_tests());
	suite_add_tcase(suite, client_tests());
	return run_suite(suite);
}
