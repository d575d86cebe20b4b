/* SPDX-License-Identifier: MIT */
/*
 * Too many clients, and requests that are too large: connections without progress are evicted, the rest is refused with a
 * reason, and well-behaved clients are served meanwhile. Slow and broken clients are in abuse_test.c.
 */
#include "abuse_clients.h"
#include "suite.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define GET "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"

/* Twice the limit. */
#define CONNECTIONS_MAX "1000"
#define CLIENTS 2000
/* How many of the first and of the last connections are checked. */
#define SURE 400

/* --- the limit on connections ---------------------------------------------------------------------------------------- */

static size_t count_connected(const struct group *group, size_t first, size_t count)
{
	size_t connected = 0;
	for (size_t i = first; i < first + count; i++)
		connected += group->clients[i].fd >= 0;
	return connected;
}

/*
 * Waits until half of them are evicted. With one worker these are the oldest ones. With several, each worker evicts the oldest
 * of its own, and which connections those are depends on scheduling: it is only certain that more of the newest than of the
 * oldest stay.
 */
static void assert_old_ones_made_room(struct scenario *scenario, struct group *group, bool is_alone)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	do {
		scenario_watch(scenario, PACE_MS);
		group_look(group);
	} while (count_connected(group, 0, CLIENTS) > (size_t)atoi(CONNECTIONS_MAX) && wire_now_ms() < end);
	ck_assert_uint_le(count_connected(group, 0, CLIENTS), (size_t)atoi(CONNECTIONS_MAX));
	if (is_alone) {
		ck_assert_uint_eq(count_connected(group, CLIENTS - SURE, SURE), SURE);
		ck_assert_uint_eq(count_connected(group, 0, SURE), 0);
	}
	ck_assert_uint_gt(count_connected(group, CLIENTS - SURE, SURE), count_connected(group, 0, SURE));
	scenario_wait_for(scenario, "http_connections_evicted_total", CLIENTS - atoi(CONNECTIONS_MAX));
	scenario_assert_metric(scenario, "http_rejected_total{reason=\"too_many_connections\"}", 0);
}

/* What the clients send, and whether they get a response before they are silent. */
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

START_TEST(the_oldest_of_two_thousand_silent_connections_are_evicted)
{
	struct scenario scenario = scenario_begin(
	    (const char *const[]){ "--max-connections", CONNECTIONS_MAX, "--workers", silent_ones[_i].workers, NULL });
	struct group group = group_new(CLIENTS);
	bool is_alone = strcmp(silent_ones[_i].workers, "1") == 0;

	scenario.slack_kib = CROWDED_SLACK_KIB;
	for (size_t i = 0; i < CLIENTS; i++) {
		scenario_connect(&scenario, &group, i, 1, 0);
		ck_assert(wire_print(group.clients[i].fd, "%s", silent_ones[_i].says));
		if (silent_ones[_i].is_answered)
			ck_assert(wire_is_readable(group.clients[i].fd, PATIENCE_MS));
	}
	assert_old_ones_made_room(&scenario, &group, is_alone);
	for (size_t i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(client_status(&group.clients[i]), silent_ones[_i].is_answered ? 200 : 0);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/*
 * At the connection limit the grace is one second, not --rate-grace: clients connect at half of the speed that would reach the
 * limit in that time.
 */
START_TEST(slow_uploads_are_evicted_before_their_grace_ends)
{
	struct scenario scenario =
	    scenario_begin((const char *const[]){ "--max-connections", CONNECTIONS_MAX, "--rate-grace", "1h", NULL });
	struct group group = group_new(CLIENTS);

	scenario.slack_kib = CROWDED_SLACK_KIB;
	for (size_t i = 0; i < CLIENTS; i++) {
		scenario_connect(&scenario, &group, i, 1, 0);
		ck_assert(wire_print(group.clients[i].fd, POST "Content-Length: 10000\r\n\r\nslow"));
		if (i % 10 == 0)
			scenario_watch(&scenario, 20);
	}
	assert_old_ones_made_room(&scenario, &group, false);
	scenario_assert_metric(&scenario, "http_timeouts_total{phase=\"body\"}", 0);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* The second worker: the first one is the main thread. */
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

/* Stops one thread, which a signal cannot do. */
static void stop_thread(pid_t thread)
{
	int status;
	ck_assert_msg(ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0, "cannot stop a thread: %s", strerror(errno));
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(thread, &status, __WALL), thread);
}

/*
 * The limit is reached by one worker while the other one is stopped. When that one accepts its pending connections, the oldest
 * connections of the process are evicted, not the new ones, which are the only ones of that worker.
 */
START_TEST(new_connections_of_a_worker_with_few_do_not_evict_each_other)
{
	struct scenario scenario =
	    scenario_begin((const char *const[]){ "--max-connections", "100", "--workers", "2", NULL });
	pid_t worker = second_worker(&scenario.daemon);
	struct group group = group_new(200);
	double accepted = daemon_metric(&scenario.daemon, "http_connections_accepted_total");

	stop_thread(worker);
	for (size_t i = 0; i < group.count; i++)
		group.clients[i].fd = dial(scenario.daemon.port, NULL, 0);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, worker, NULL, NULL), 0);
	scenario_wait_for(&scenario, "http_connections_accepted_total", accepted + (double)group.count);
	scenario_wait_connected(&scenario, &group, 100);
	ck_assert_msg(count_connected(&group, 160, 40) >= 36, "of the last 40 connections, %zu are open; %zu of all",
	    count_connected(&group, 160, 40), count_connected(&group, 0, 200));
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* --- descriptors ---------------------------------------------------------------------------------------------------- */

#define FEW_DESCRIPTORS 64
/* Without descriptors ThreadSanitizer cannot read the symbols that its suppressions name: see tests/tsan.supp. */
#define DESCRIPTOR_WORKERS (IS_SANITIZED ? "1" : "2")

START_TEST(pauses_without_descriptors_and_resumes_when_connections_close)
{
	struct scenario scenario = scenario_begin_in(&(struct daemon_surroundings){ .descriptors = FEW_DESCRIPTORS },
	    (const char *const[]){
		"--log-level", "error", "--max-connections", "0", "--workers", DESCRIPTOR_WORKERS, NULL });
	struct group group = group_new(200);
	long long began_ms, took_ms;
	long cpu_ms;

	for (size_t i = 0; i < group.count; i++)
		group.clients[i].fd = dial(scenario.daemon.port, NULL, 0);
	began_ms = wire_now_ms();
	cpu_ms = daemon_cpu_ms(&scenario.daemon);
	for (int i = 0; i < 200; i++)
		nap();
	cpu_ms = daemon_cpu_ms(&scenario.daemon) - cpu_ms;
	took_ms = wire_now_ms() - began_ms;
	/* Without a pause the worker would use all CPU time. */
	ck_assert_msg(cpu_ms < took_ms * (IS_SANITIZED ? 7 : 2) / 10, "%ld ms of CPU time in a pause of %lld ms",
	    cpu_ms, took_ms);
	for (size_t i = 0; i < group.count - 10; i++)
		client_leave(&group.clients[i]);
	for (int i = 0; i < 10; i++)
		scenario_ask(&scenario);
	group_free(&group);
	scenario_wait_for(&scenario, "http_accept_errors_total", 1);
	scenario_wait_for(&scenario, "http_connections_evicted_total", 1);
	scenario_end(&scenario);
}
END_TEST

/* No client closes: idle connections are evicted, a few at a time, until the last pending one is accepted. */
START_TEST(accepts_all_of_many_connections_although_descriptors_are_few)
{
	struct scenario scenario = scenario_begin_in(&(struct daemon_surroundings){ .descriptors = FEW_DESCRIPTORS },
	    (const char *const[]){
		"--log-level", "error", "--max-connections", "0", "--workers", DESCRIPTOR_WORKERS, NULL });
	struct group group = group_new(200);

	for (size_t i = 0; i < group.count; i++)
		group.clients[i].fd = dial(scenario.daemon.port, NULL, 0);
	scenario_ask_afresh(&scenario);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

static bool has_used_all_descriptors(void *scenario)
{
	return daemon_descriptors(&((struct scenario *)scenario)->daemon) >= FEW_DESCRIPTORS;
}

/* One worker takes all descriptors while the other one is stopped, which then has no connection to evict for its pending ones. */
START_TEST(a_worker_without_connections_gets_descriptors_of_another)
{
	struct scenario scenario = scenario_begin_in(&(struct daemon_surroundings){ .descriptors = FEW_DESCRIPTORS },
	    (const char *const[]){ "--log-level", "error", "--max-connections", "0", "--workers", "2", NULL });
	pid_t worker = second_worker(&scenario.daemon);
	struct group group = group_new(200);

	stop_thread(worker);
	for (size_t i = 0; i < group.count; i++)
		group.clients[i].fd = dial(scenario.daemon.port, NULL, 0);
	ck_assert(wire_wait(has_used_all_descriptors, &scenario));
	ck_assert_int_eq(ptrace(PTRACE_DETACH, worker, NULL, NULL), 0);
	/* The kernel distributes connections over the workers by a hash. */
	for (int i = 0; i < 10; i++)
		scenario_ask_afresh(&scenario);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* A client whose body arrives after its head, so that it must be collected. */
static void assert_content_is_refused(const struct scenario *scenario)
{
	int fd = wire_connect(scenario->daemon.port);
	struct wire_response response = wire_ask(fd, POST "Content-Length: 200000\r\n\r\nA");
	ck_assert_int_eq(response.status, 503);
	ck_assert(response.is_complete && response.closes);
	ck_assert_ptr_nonnull(wire_field(&response, "Retry-After"));
	wire_free(&response);
	close(fd);
}

static void assert_content_in_one_piece_is_taken(const struct scenario *scenario)
{
	int fd = wire_connect(scenario->daemon.port);
	struct wire_response response = wire_ask(fd, POST "Content-Length: 3\r\n\r\nAda");
	ck_assert_int_eq(response.status, 200);
	ck_assert_ptr_nonnull(strstr(response.content, "Hello, Ada!"));
	wire_free(&response);
	close(fd);
}

static const char *const large_contents[] = { "Content-Length: 204800\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n32000\r\n" };

START_TEST(incomplete_bodies_take_no_more_than_the_memory_limit)
{
	static char half[100 * 1024];
	struct scenario scenario = scenario_begin((const char *const[]){ "--memory-limit", "1m", "--max-body-bytes",
	    "256k", "--read-timeout", "0", "--min-rate-bytes", "0", "--log-level", "error", NULL });
	struct group group = group_new(50);
	size_t refused = 0;

	memset(half, 'x', sizeof half);
	scenario_keep_alive(&scenario);
	for (size_t i = 0; i < group.count; i++) {
		scenario_connect(&scenario, &group, i, 1, 0);
		ck_assert(wire_print(group.clients[i].fd, POST "%s", large_contents[_i]));
		/* The server may close before it has read all of a refused body. */
		wire_send(group.clients[i].fd, half, sizeof half);
	}
	for (int i = 0; i < 10; i++) {
		assert_content_is_refused(&scenario);
		assert_content_in_one_piece_is_taken(&scenario);
		scenario_tick(&scenario);
	}
	ck_assert_double_le(daemon_metric(&scenario.daemon, "pipit_buffered_bytes"), 1024 * 1024);
	ck_assert_msg(IS_SANITIZED ||
			  daemon_resident_kib(&scenario.daemon) < scenario.resident_kib + 1024 + RESIDENT_SLACK_KIB / 2,
	    "%ld KiB are resident, %ld before", daemon_resident_kib(&scenario.daemon), scenario.resident_kib);
	scenario_wait_for(&scenario, "http_rejected_total{reason=\"memory_limit\"}", 10 + 30);
	/* The others stay connected until they close. The first client may be refused: a body reserves memory as it grows. */
	scenario_wait_connected(&scenario, &group, group.count - 30);
	for (size_t i = 0; i < group.count; i++) {
		int status = client_status(&group.clients[i]);
		ck_assert_msg(status == 0 || status == 503, "client %zu: status %d", i, status);
		refused += status == 503;
	}
	ck_assert_uint_ge(refused, 30);
	ck_assert_uint_le(refused, group.count - 2);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

/* --- per address ---------------------------------------------------------------------------------------------------- */

static int ask_from_home(struct scenario *scenario)
{
	int fd = wire_connect(scenario->daemon.port), status;
	struct wire_response response = wire_ask(fd, GET);

	status = response.status;
	ck_assert(response.is_complete);
	ck_assert_int_eq(response.closes, status == 429);
	ck_assert_int_eq(wire_field(&response, "Retry-After") != NULL, status == 429);
	ck_assert(status != 429 || wire_is_closed(fd));
	wire_free(&response);
	close(fd);
	scenario_tick(scenario);
	return status;
}

/* The server detects the close in its own time. */
static void wait_until_there_is_room(struct scenario *scenario)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	int status;
	while ((status = ask_from_home(scenario)) == 429 && wire_now_ms() < end)
		nap();
	ck_assert_int_eq(status, 200);
}

START_TEST(refuses_the_sixth_connection_of_an_address_until_another_closes)
{
	struct scenario scenario = scenario_begin((const char *const[]){ "--max-connections-per-address", "5", NULL });
	struct group group = group_new(5);

	scenario.from = "127.0.0.2";
	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, 0);
	for (size_t i = 0; i < group.count; i++)
		scenario_ask_on(&scenario, group.clients[i].fd);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(ask_from_home(&scenario), 429);
	client_leave(&group.clients[2]);
	wait_until_there_is_room(&scenario);
	group_free(&group);
	wait_until_there_is_room(&scenario);
	scenario_wait_for(&scenario, "http_rejected_total{reason=\"too_many_from_address\"}", 10);
	scenario_end(&scenario);
}
END_TEST

/* One address can use up its own limit, and no connection of another address. */
/* One worker: with several, a late one may evict a connection although another worker has made room meanwhile. */
START_TEST(many_connections_of_an_address_do_not_evict_those_of_others)
{
	struct scenario scenario = scenario_begin((const char *const[]){ "--workers", "1",
	    "--max-connections-per-address", "50", "--max-connections", "100", "--log-level", "error", NULL });
	struct group group = group_new(500);
	scenario.from = "127.0.0.2";
	scenario_keep_alive(&scenario);
	scenario_connect(&scenario, &group, 0, group.count, 0);
	scenario_wait_connected(&scenario, &group, 50);
	group_free(&group);
	scenario_end(&scenario);
}
END_TEST

START_TEST(the_response_to_the_last_allowed_request_says_close)
{
	struct scenario scenario = scenario_begin((const char *const[]){ "--max-requests-per-connection", "3", NULL });
	int fd = wire_connect(scenario.daemon.port);
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
	scenario_assert_metric(
	    &scenario, "http_requests_total{method=\"GET\",route=\"/hello/get\",code=\"200\"}", 50 + 3);
	scenario_end(&scenario);
}
END_TEST

/* One header may be long, but not as long as the whole head may be. */
START_TEST(refuses_a_header_that_is_too_long)
{
	struct scenario scenario = scenario_begin((const char *const[]){ "--max-field-bytes", "100", NULL });
	static const struct {
		int length, status;
	} fields[] = { { 50, 200 }, { 90, 200 }, { 101, 431 }, { 5000, 431 } };
	scenario_keep_alive(&scenario);
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		int fd = wire_connect(scenario.daemon.port);
		struct wire_response response =
		    wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\nA: %0*d\r\nB: c\r\n\r\n", fields[i].length, 0);
		ck_assert_int_eq(response.status, fields[i].status);
		ck_assert_int_eq(response.closes, fields[i].status == 431);
		wire_free(&response);
		close(fd);
		scenario_tick(&scenario);
	}
	scenario_assert_metric(&scenario, "http_rejected_total{reason=\"field_too_large\"}", 2);
	scenario_end(&scenario);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------------------- */

/* --- after a burst -------------------------------------------------------------------------------------------------- */

#define BURST_BYTES (1000 * 1000)
/* Above the memory of a new daemon. */
#define BURST_SLACK_KIB (8 * 1024)

static bool has_shrunk(void *scenario)
{
	const struct scenario *burst = scenario;
	return daemon_resident_kib(&burst->daemon) <= burst->resident_kib + BURST_SLACK_KIB;
}

/* The document that needs most memory for its bytes. */
static char *document_of_ones(void)
{
	char *document = malloc(BURST_BYTES + 1);
	ck_assert_ptr_nonnull(document);
	for (size_t i = 0; i < BURST_BYTES; i += 2)
		memcpy(document + i, "1,", 2);
	document[0] = '[';
	document[1] = ' ';
	document[BURST_BYTES - 2] = '1';
	document[BURST_BYTES - 1] = ']';
	return document;
}

START_TEST(gives_memory_back_to_the_system_after_a_burst)
{
	struct scenario scenario =
	    scenario_begin((const char *const[]){ "--memory-limit", "1g", "--log-level", "error", NULL });
	struct group group = group_new(40);
	char *document = document_of_ones();

	for (size_t i = 0; i < group.count; i++) {
		scenario_connect(&scenario, &group, i, 1, 0);
		ck_assert(wire_print(group.clients[i].fd,
		    "POST /json/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		    "Content-Length: %d\r\n\r\n",
		    BURST_BYTES));
		ck_assert(wire_send(group.clients[i].fd, document, BURST_BYTES - 1));
	}
	for (size_t i = 0; i < group.count; i++)
		ck_assert(wire_send(group.clients[i].fd, document + BURST_BYTES - 1, 1));
	for (size_t i = 0; i < group.count; i++) {
		struct wire_response response = wire_read(group.clients[i].fd, false);
		ck_assert_int_gt(response.status, 0);
		wire_free(&response);
	}
	group_free(&group);
	free(document);
	ck_assert_msg(IS_SANITIZED || wire_wait(has_shrunk, &scenario), "%ld KiB are resident, %ld before",
	    daemon_resident_kib(&scenario.daemon), scenario.resident_kib);
	scenario_end(&scenario);
}
END_TEST

static TCase *connection_limit_tests(void)
{
	TCase *tests = tcase_create("connection limit");
	tcase_add_loop_test(
	    tests, the_oldest_of_two_thousand_silent_connections_are_evicted, 0, (int)COUNT_OF(silent_ones));
	tcase_add_test(tests, slow_uploads_are_evicted_before_their_grace_ends);
	tcase_add_test(tests, new_connections_of_a_worker_with_few_do_not_evict_each_other);
	return tests;
}

static TCase *resource_tests(void)
{
	TCase *tests = tcase_create("resources");
	tcase_add_test(tests, pauses_without_descriptors_and_resumes_when_connections_close);
	tcase_add_test(tests, accepts_all_of_many_connections_although_descriptors_are_few);
	if (!IS_SANITIZED)
		tcase_add_test(tests, a_worker_without_connections_gets_descriptors_of_another);
	tcase_add_loop_test(
	    tests, incomplete_bodies_take_no_more_than_the_memory_limit, 0, (int)COUNT_OF(large_contents));
	tcase_add_test(tests, gives_memory_back_to_the_system_after_a_burst);
	return tests;
}

static TCase *client_tests(void)
{
	TCase *tests = tcase_create("per client");
	tcase_add_test(tests, refuses_the_sixth_connection_of_an_address_until_another_closes);
	tcase_add_test(tests, many_connections_of_an_address_do_not_evict_those_of_others);
	tcase_add_test(tests, the_response_to_the_last_allowed_request_says_close);
	tcase_add_test(tests, refuses_a_header_that_is_too_long);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("abuse of limits");
	raise_own_limit();
	suite_add_tcase(suite, connection_limit_tests());
	suite_add_tcase(suite, resource_tests());
	suite_add_tcase(suite, client_tests());
	return run_suite(suite);
}
