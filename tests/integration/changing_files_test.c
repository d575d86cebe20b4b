/* SPDX-License-Identifier: MIT */
/*
 * Static files that change while the real daemon serves them: a client gets the old file until it gets the new one, and never
 * anything else. file_cache_test.c checks, by its own clock, that this takes at most a second. Also files served by a program's
 * handler that calls pipit_serve_files().
 */
#include "daemon.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SMALL_BYTES 1000
#define LARGE_BYTES (200 * 1024)
#define HUGE_BYTES (24 * 1024 * 1024)

/* --- a site ------------------------------------------------------------------------------------------------------- */

static char top[64];
static struct daemon daemon_of_test;

static const char *below_root(const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/root/%s", top, name);
	return path;
}

static const char *below_top(const char *name)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", top, name);
	return path;
}

/* Names below `top`. */
static void move(const char *from, const char *to)
{
	char old_name[256];
	strcpy(old_name, below_top(from));
	ck_assert_int_eq(rename(old_name, below_top(to)), 0);
}

static char *letters(char letter, size_t length)
{
	char *bytes = malloc(length + 1);
	ck_assert_ptr_nonnull(bytes);
	memset(bytes, letter, length);
	bytes[length] = '\0';
	return bytes;
}

/* `length` times the same letter: a mixture of two versions is detected. */
static void write_letters(const char *name, int flags, char letter, size_t length)
{
	int fd = open(below_root(name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	char *bytes = letters(letter, length);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
	close(fd);
	free(bytes);
}

static void make_site(void)
{
	strcpy(top, "/tmp/pipit-test-changing-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(mkdir(below_root(""), 0755), 0);
	write_letters("../secret", O_TRUNC, 's', SMALL_BYTES);
	write_letters("small", O_TRUNC, 'a', SMALL_BYTES);
	write_letters("large", O_TRUNC, 'a', LARGE_BYTES);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

static void remove_site(void)
{
	ck_assert_int_eq(nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void set_up(void)
{
	make_site();
	daemon_of_test = daemon_start((const char *const[]){ "--root", below_root(""), "--workers", "2", NULL });
}

static void tear_down(void)
{
	ck_assert_int_eq(daemon_stop(&daemon_of_test), 0);
	remove_site();
}

/* --- the responses of a client ------------------------------------------------------------------------------------ */

/* Status, first letter and length of a body that consists of one letter; all zero if it is incomplete. */
struct sight {
	int status;
	char letter;
	size_t length;
};

static struct sight sight_of(struct wire_response *response)
{
	struct sight sight = { .status = response->is_complete ? response->status : 0 };
	if (sight.status == 200) {
		sight.letter = response->content[0];
		sight.length = response->length;
		ck_assert_uint_eq(strspn(response->content, (char[]){ sight.letter, '\0' }), response->length);
	}
	wire_free(response);
	return sight;
}

static struct sight ask(int fd, const char *name)
{
	struct wire_response response = wire_ask(fd, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", name);
	return sight_of(&response);
}

static bool is_equal(struct sight one, struct sight other)
{
	return one.status == other.status && one.letter == other.letter && one.length == other.length;
}

/* The old file is served until the change is detected; a response that is being sent when the file shrinks is aborted. */
static void await_sight(const char *name, struct sight before, struct sight after)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	for (;;) {
		int fd = wire_connect(daemon_of_test.port);
		struct sight sight = ask(fd, name);
		close(fd);
		if (is_equal(sight, after))
			return;
		ck_assert_msg(is_equal(sight, before) || (sight.status == 0 && after.length < before.length),
		    "%s: %d, %zu times '%c'", name, sight.status, sight.length, sight.letter);
		ck_assert_msg(wire_now_ms() < end, "%s: the change is not seen", name);
	}
}

/* --- changes -------------------------------------------------------------------------------------------------------- */

static void replace(const char *name, size_t length)
{
	write_letters("new", O_TRUNC, 'b', length);
	move("root/new", below_root(name) + strlen(top) + 1);
}

static void overwrite(const char *name, size_t length)
{
	write_letters(name, 0, 'b', length);
}

static void shorten(const char *name, size_t length)
{
	ck_assert_int_eq(truncate(below_root(name), (off_t)length / 2), 0);
}

static void append(const char *name, size_t length)
{
	write_letters(name, O_APPEND, 'a', length);
}

static void delete_file(const char *name, size_t length)
{
	(void)length;
	ck_assert_int_eq(unlink(below_root(name)), 0);
}

static void make_directory_of_it(const char *name, size_t length)
{
	delete_file(name, length);
	ck_assert_int_eq(mkdir(below_root(name), 0755), 0);
}

static void lead_out(const char *name, size_t length)
{
	delete_file(name, length);
	ck_assert_int_eq(symlink("../secret", below_root(name)), 0);
}

static void lead_out_by_the_root(const char *name, size_t length)
{
	char target[256];
	snprintf(target, sizeof target, "%s/secret", top);
	delete_file(name, length);
	ck_assert_int_eq(symlink(target, below_root(name)), 0);
}

static const struct {
	const char *name;
	void (*change)(const char *name, size_t length);
	struct sight before, after;
} changes[] = {
	{ "small", replace, { 200, 'a', SMALL_BYTES }, { 200, 'b', SMALL_BYTES } },
	{ "small", overwrite, { 200, 'a', SMALL_BYTES }, { 200, 'b', SMALL_BYTES } },
	{ "small", shorten, { 200, 'a', SMALL_BYTES }, { 200, 'a', SMALL_BYTES / 2 } },
	{ "small", append, { 200, 'a', SMALL_BYTES }, { 200, 'a', SMALL_BYTES * 2 } },
	{ "small", delete_file, { 200, 'a', SMALL_BYTES }, { 404, 0, 0 } },
	{ "small", make_directory_of_it, { 200, 'a', SMALL_BYTES }, { 404, 0, 0 } },
	{ "small", lead_out, { 200, 'a', SMALL_BYTES }, { 404, 0, 0 } },
	{ "small", lead_out_by_the_root, { 200, 'a', SMALL_BYTES }, { 404, 0, 0 } },
	{ "large", replace, { 200, 'a', LARGE_BYTES }, { 200, 'b', LARGE_BYTES } },
	{ "large", overwrite, { 200, 'a', LARGE_BYTES }, { 200, 'b', LARGE_BYTES } },
	{ "large", shorten, { 200, 'a', LARGE_BYTES }, { 200, 'a', LARGE_BYTES / 2 } },
	{ "large", append, { 200, 'a', LARGE_BYTES }, { 200, 'a', LARGE_BYTES * 2 } },
	{ "large", delete_file, { 200, 'a', LARGE_BYTES }, { 404, 0, 0 } },
	{ "large", make_directory_of_it, { 200, 'a', LARGE_BYTES }, { 404, 0, 0 } },
	{ "large", lead_out, { 200, 'a', LARGE_BYTES }, { 404, 0, 0 } },
	{ "large", lead_out_by_the_root, { 200, 'a', LARGE_BYTES }, { 404, 0, 0 } },
};

START_TEST(serves_a_changed_file)
{
	int fd = wire_connect(daemon_of_test.port);
	ck_assert(is_equal(ask(fd, changes[_i].name), changes[_i].before));
	ck_assert(is_equal(ask(fd, changes[_i].name), changes[_i].before));
	changes[_i].change(changes[_i].name, changes[_i].before.length);
	await_sight(changes[_i].name, changes[_i].before, changes[_i].after);
	close(fd);
}
END_TEST

/* Each worker has a cache of its own; what one client has seen counts for all of them. */
START_TEST(serves_no_old_file_on_any_connection_after_the_first_new_one)
{
	enum { CLIENTS = 16, APART_MS = 50 };
	const struct sight before = { 200, 'a', SMALL_BYTES }, after = { 200, 'b', SMALL_BYTES };
	int fds[CLIENTS], seen = 0;
	long long end, apart;
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = wire_connect(daemon_of_test.port);
	/* the caches of the workers have been filled at different times */
	apart = wire_now_ms() + APART_MS;
	while (wire_now_ms() < apart)
		ck_assert(is_equal(ask(fds[0], "small"), before));
	for (int i = 0; i < CLIENTS; i++)
		ck_assert(is_equal(ask(fds[i], "small"), before));
	replace("small", SMALL_BYTES);
	end = wire_now_ms() + PATIENCE_MS;
	for (int i = 0; seen < CLIENTS; i = (i + 1) % CLIENTS) {
		struct sight sight = ask(fds[i], "small");
		ck_assert(is_equal(sight, after) || (!seen && is_equal(sight, before)));
		seen += is_equal(sight, after);
		ck_assert(wire_now_ms() < end);
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
}
END_TEST

/* A release is made beside the old one; then its root takes the place of the old one. */

static void swap_link(void)
{
	ck_assert_int_eq(symlink("release", below_top("next")), 0);
	move("next", "current");
}

static void make_root_anew(void)
{
	move("root", "old");
	move("release", "root");
}

static const struct {
	const char *root;
	void (*deploy)(void);
} deployments[] = { { "current", swap_link }, { "root", make_root_anew } };

START_TEST(serves_a_root_that_was_replaced)
{
	int fd;
	make_site();
	ck_assert_int_eq(symlink("root", below_top("current")), 0);
	ck_assert_int_eq(mkdir(below_top("release"), 0755), 0);
	write_letters("../release/small", O_TRUNC, 'b', SMALL_BYTES);
	write_letters("../release/large", O_TRUNC, 'b', LARGE_BYTES);
	daemon_of_test =
	    daemon_start((const char *const[]){ "--root", below_top(deployments[_i].root), "--workers", "2", NULL });
	fd = wire_connect(daemon_of_test.port);
	ck_assert(is_equal(ask(fd, "small"), (struct sight){ 200, 'a', SMALL_BYTES }));
	ck_assert(is_equal(ask(fd, "large"), (struct sight){ 200, 'a', LARGE_BYTES }));
	deployments[_i].deploy();
	await_sight("small", (struct sight){ 200, 'a', SMALL_BYTES }, (struct sight){ 200, 'b', SMALL_BYTES });
	await_sight("large", (struct sight){ 200, 'a', LARGE_BYTES }, (struct sight){ 200, 'b', LARGE_BYTES });
	close(fd);
	tear_down();
}
END_TEST

START_TEST(evaluates_preconditions_against_the_current_file)
{
	const struct timespec old[2] = { { 784111777, 0 }, { 784111777, 0 } };
	const char *question = "GET /small HTTP/1.1\r\nHost: x\r\n"
			       "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
	int fd = wire_connect(daemon_of_test.port);
	long long end;
	struct wire_response response;
	ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small"), old, 0), 0);
	for (int i = 0; i < 3; i++) {
		response = wire_ask(fd, "%s", question);
		ck_assert_int_eq(response.status, 304);
		ck_assert_str_eq(wire_field(&response, "Last-Modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
		wire_free(&response);
	}
	overwrite("small", SMALL_BYTES);
	end = wire_now_ms() + PATIENCE_MS;
	for (int status = 304; status != 200;) {
		response = wire_ask(fd, "%s", question);
		status = response.status;
		ck_assert(status == 200 || (status == 304 && wire_now_ms() < end));
		wire_free(&response);
	}
	close(fd);
}
END_TEST

START_TEST(sends_the_rest_of_a_file_that_is_deleted_meanwhile)
{
	int fd = wire_connect(daemon_of_test.port);
	struct wire_response response;
	struct sight sight;
	write_letters("huge", O_TRUNC, 'a', HUGE_BYTES);
	wire_print(fd, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert(wire_is_readable(fd, PATIENCE_MS));
	replace("huge", LARGE_BYTES);
	await_sight("huge", (struct sight){ 200, 'a', HUGE_BYTES }, (struct sight){ 200, 'b', LARGE_BYTES });
	response = wire_read(fd, false);
	sight = sight_of(&response);
	ck_assert(is_equal(sight, (struct sight){ 200, 'a', HUGE_BYTES }));
	close(fd);
}
END_TEST

/* --- many files ----------------------------------------------------------------------------------------------------- */

START_TEST(serves_more_files_than_it_caches)
{
	static const size_t lengths[] = { 0, 1, 1000, 32768, 32769, 70000 };
	enum { FILES = 600 };
	int fd = wire_connect(daemon_of_test.port);
	char name[32];
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "f%d", i);
		write_letters(name, O_TRUNC, (char)('a' + i % 26), lengths[i % 6]);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < FILES; i++) {
			struct sight sight;
			snprintf(name, sizeof name, "f%d", i);
			sight = ask(fd, name);
			ck_assert_int_eq(sight.status, 200);
			ck_assert_uint_eq(sight.length, lengths[i % 6]);
			ck_assert(sight.length == 0 || sight.letter == (char)('a' + i % 26));
		}
	}
	close(fd);
}
END_TEST

/* They do not fit into one send() together with their heads. */
START_TEST(answers_pipelined_requests_for_files_in_order)
{
	static const size_t lengths[] = { 0, 1, 1000, 20000, 32768, 32769, 70000 };
	enum { REQUESTS = 70 };
	int fd = wire_connect(daemon_of_test.port);
	char name[32], requests[8192] = "";
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof name, "f%d", i);
		write_letters(name, O_TRUNC, (char)('a' + i), lengths[i]);
	}
	for (int i = 0; i < REQUESTS; i++)
		snprintf(requests + strlen(requests), sizeof requests - strlen(requests),
		    "GET /f%d HTTP/1.1\r\nHost: x\r\n\r\n", i * 3 % 7);
	ck_assert(wire_print(fd, "%s", requests));
	for (int i = 0; i < REQUESTS; i++) {
		struct wire_response response = wire_read(fd, false);
		struct sight sight = sight_of(&response);
		ck_assert_int_eq(sight.status, 200);
		ck_assert_uint_eq(sight.length, lengths[i * 3 % 7]);
		ck_assert(sight.length == 0 || sight.letter == (char)('a' + i * 3 % 7));
	}
	close(fd);
}
END_TEST

static bool has_descriptors(void *count)
{
	return daemon_descriptors(&daemon_of_test) <= *(long *)count;
}

START_TEST(closes_cached_descriptors_when_requests_stop)
{
	int fd = wire_connect(daemon_of_test.port);
	long before;
	ck_assert(is_equal(ask(fd, "small"), (struct sight){ 200, 'a', SMALL_BYTES }));
	before = daemon_descriptors(&daemon_of_test);
	ck_assert(is_equal(ask(fd, "large"), (struct sight){ 200, 'a', LARGE_BYTES }));
	ck_assert_int_eq(daemon_descriptors(&daemon_of_test), before + 1);
	/* A second after the last request. */
	ck_assert(wire_wait(has_descriptors, &before));
	close(fd);
}
END_TEST

/* More large files than descriptors, then more connections than these would leave. */
START_TEST(closes_cached_descriptors_for_other_files_and_connections)
{
	enum { DESCRIPTORS = 48, FILES = 60, CLIENTS = 20 };
	const struct daemon_surroundings surroundings = { .descriptors = DESCRIPTORS };
	struct daemon daemon = daemon_start_in(&surroundings,
	    (const char *const[]){ "--root", below_root(""), "--workers", "1", "--max-connections", "40", NULL });
	int fds[CLIENTS];
	char name[32];
	fds[0] = wire_connect(daemon.port);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "f%d", i);
		write_letters(name, O_TRUNC, 'x', LARGE_BYTES);
		ck_assert(is_equal(ask(fds[0], name), (struct sight){ 200, 'x', LARGE_BYTES }));
	}
	for (int i = 1; i < CLIENTS; i++) {
		fds[i] = wire_connect(daemon.port);
		ck_assert(is_equal(ask(fds[i], "f0"), (struct sight){ 200, 'x', LARGE_BYTES }));
	}
	for (int i = 0; i < CLIENTS; i++)
		ck_assert(is_equal(ask(fds[i], "small"), (struct sight){ 200, 'a', SMALL_BYTES }));
	ck_assert_double_eq(daemon_metric(&daemon, "http_connections_evicted_total"), 0);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

/* --- a program's own handler ---------------------------------------------------------------------------------------- */

static struct pipit_site *own_site;

static void serve_with_a_field(struct pipit_request *request, void *site)
{
	pipit_reply_header(request, "Cache-Control", "max-age=60");
	pipit_serve_files(request, site);
}

static void serve_now(struct pipit_request *request, void *site)
{
	pipit_serve_files(request, site);
	pipit_request_release(request);
}

static void serve_later(struct pipit_request *request, void *site)
{
	ck_assert_int_eq(pipit_request_keep(request), 0);
	ck_assert_int_eq(pipit_request_post(request, serve_now, site), 0);
}

static void *run_server(void *server)
{
	pipit_server_run(server);
	return NULL;
}

static const char *const own_prefixes[] = { "now", "later" };

START_TEST(serves_files_on_behalf_of_a_handler)
{
	static const struct sight small = { 200, 'a', SMALL_BYTES }, large = { 200, 'a', LARGE_BYTES };
	struct pipit_config config;
	struct pipit_server *server;
	pthread_t thread;
	int fd;

	make_site();
	for (int i = 0; i < 2; i++) {
		char name[32];
		ck_assert_int_eq(mkdir(below_root(own_prefixes[i]), 0755), 0);
		snprintf(name, sizeof name, "%s/small", own_prefixes[i]);
		write_letters(name, O_TRUNC, 'a', SMALL_BYTES);
		snprintf(name, sizeof name, "%s/large", own_prefixes[i]);
		write_letters(name, O_TRUNC, 'a', LARGE_BYTES);
	}
	own_site = pipit_site_new(below_root(""));
	ck_assert_ptr_nonnull(own_site);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = 1;
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/now/{rest...}", serve_with_a_field, own_site), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/later/{rest...}", serve_later, own_site), 0);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_server, server), 0);
	fd = wire_connect((unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10));
	for (int i = 0; i < 3; i++) {
		struct wire_response response = wire_ask(fd, "GET /now/small HTTP/1.1\r\nHost: x\r\n\r\n");
		ck_assert_str_eq(wire_field(&response, "Cache-Control"), "max-age=60");
		ck_assert_str_eq(wire_field(&response, "X-Content-Type-Options"), "nosniff");
		ck_assert_ptr_nonnull(wire_field(&response, "Last-Modified"));
		ck_assert(is_equal(sight_of(&response), small));
		ck_assert(is_equal(ask(fd, "now/large"), large));
		ck_assert(is_equal(ask(fd, "later/small"), small));
		ck_assert(is_equal(ask(fd, "later/large"), large));
		ck_assert_int_eq(ask(fd, "later/none").status, 404);
	}
	close(fd);
	pipit_server_stop(server);
	pthread_join(thread, NULL);
	pipit_server_free(server);
	pipit_site_free(own_site);
	remove_site();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("changing_files");
	TCase *changing = tcase_create("changing");
	TCase *own = tcase_create("own");
	tcase_add_checked_fixture(changing, set_up, tear_down);
	tcase_add_loop_test(changing, serves_a_changed_file, 0, sizeof changes / sizeof *changes);
	tcase_add_test(changing, serves_no_old_file_on_any_connection_after_the_first_new_one);
	tcase_add_test(changing, evaluates_preconditions_against_the_current_file);
	tcase_add_test(changing, sends_the_rest_of_a_file_that_is_deleted_meanwhile);
	tcase_add_test(changing, serves_more_files_than_it_caches);
	tcase_add_test(changing, answers_pipelined_requests_for_files_in_order);
	tcase_add_test(changing, closes_cached_descriptors_when_requests_stop);
	tcase_add_test(changing, closes_cached_descriptors_for_other_files_and_connections);
	suite_add_tcase(suite, changing);
	tcase_add_loop_test(own, serves_a_root_that_was_replaced, 0, sizeof deployments / sizeof *deployments);
	tcase_add_test(own, serves_files_on_behalf_of_a_handler);
	suite_add_tcase(suite, own);
	return run_suite(suite);
}
