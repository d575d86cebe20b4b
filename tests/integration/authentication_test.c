/* SPDX-License-Identifier: MIT */
/* Passwords and tokens of the daemon and of a server that is attached to a loop. */
#include "daemon.h"
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <crypt.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of failures.h. */
#define ATTEMPTS_MAX 16

/* "alice:secret", "alice:secreu", "bob:hidden", "nobody:secret" */
#define ALICE "Basic YWxpY2U6c2VjcmV0"
#define ALICE_WRONG "Basic YWxpY2U6c2VjcmV1"
#define BOB "Basic Ym9iOmhpZGRlbg=="
#define NOBODY "Basic bm9ib2R5OnNlY3JldA=="

static char folder[64], users[96], tokens[96], log_name[96], protect[256];

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	chmod(name, 0600);
}

static char *hash_of(const char *password, const char *setting)
{
	static struct crypt_data data;
	return crypt_r(password, setting, &data);
}

/* A hash that takes a while: 2^12 rounds. */
#define SLOW "$2y$12$abcdefghijklmnopqrstuu"
#define FAST "$6$rounds=1000$salt$"

static void write_users(const char *setting)
{
	char text[512], *at = text;
	at += sprintf(at, "# users\nalice:%s\n", hash_of("secret", setting));
	sprintf(at, "bob:%s\n", hash_of("hidden", setting));
	write_file(users, text);
}

static void make_folder(void)
{
	strcpy(folder, "/tmp/pipit-auth-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(users, sizeof users, "%s/users", folder);
	snprintf(tokens, sizeof tokens, "%s/tokens", folder);
	snprintf(log_name, sizeof log_name, "%s/log", folder);
	write_users(FAST);
	/* of "robots-key", which no identifier in hexadecimal digits contains */
	write_file(tokens, "ci:58d6c8fd2016087d7cbdcc1ea3cbf613b4759cef623eb5a10ed4d3c205d5ef61\n");
}

static void remove_folder(void)
{
	unlink(users);
	unlink(tokens);
	unlink(log_name);
	rmdir(folder);
}

static struct daemon start_daemon(const char *rule)
{
	const char *arguments[] = { "--protect", protect, "--protect", "/healthz open", "--workers", "1",
		"--drain-timeout", "0", "--access-log", log_name, NULL };
	snprintf(protect, sizeof protect, rule, users, tokens);
	return daemon_start(arguments);
}

static struct wire_response ask(int fd, const char *target, const char *authorization)
{
	return wire_ask(fd, "GET %s HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n", target, authorization ? "Authorization: " : "",
	    authorization ? authorization : "", authorization ? "\r\n" : "");
}

static void send_request(int fd, const char *target, const char *authorization)
{
	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", target, authorization));
}

static char *read_log(void)
{
	static char text[65536];
	FILE *file = fopen(log_name, "r");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

/* --- the daemon --------------------------------------------------------------------------------------------------------- */

START_TEST(asks_for_a_password)
{
	struct daemon daemon = start_daemon("/hello basic %s");
	int fd = wire_connect(daemon.port);
	struct wire_response response = ask(fd, "/hello/get", NULL);

	ck_assert_str_eq(wire_field(&response, "WWW-Authenticate"), "Basic realm=\"users\", charset=\"UTF-8\"");
	wire_expect(response, 401, NULL);
	wire_expect(ask(fd, "/hello/get", "Digest username=\"alice\""), 401, NULL);
	wire_expect(ask(fd, "/hello/get", "Bearer robots-key"), 401, NULL);
	wire_expect(ask(fd, "/hello/get", "Basic !"), 401, NULL);
	wire_expect(ask(fd, "/hello/get", ALICE "\r\nAuthorization: " ALICE), 401, NULL);
	wire_expect(ask(fd, "/hello/get", ALICE), 200, "{\"message\":\"Hello, World!\"}");
	wire_expect(ask(fd, "/hello/get", ALICE), 200, "{\"message\":\"Hello, World!\"}");
	wire_expect(ask(fd, "/hello/get", ALICE_WRONG), 401, NULL);
	wire_expect(ask(fd, "/hello/get", NOBODY), 401, NULL);
	wire_expect(ask(fd, "/hello/get", BOB), 200, NULL);
	wire_expect(ask(fd, "/json/hello", NULL), 200, NULL);
	wire_expect(ask(fd, "/hello/no-such", NULL), 401, NULL);
	wire_expect(ask(fd, "/%68ello/get", NULL), 401, NULL);
	wire_expect(ask(fd, "/x/../hello/get", NULL), 401, NULL);
	wire_expect(ask(fd, "//hello/get", NULL), 401, NULL);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"passed\"}"), 2);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"remembered\"}"), 1);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"failed\"}"), 2);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"malformed\"}"), 2);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"missing\"}"), 7);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(tells_who_is_not_allowed)
{
	struct daemon daemon = start_daemon("/hello basic %s bearer %s only alice,ci");
	int fd = wire_connect(daemon.port);
	struct wire_response response;

	wire_expect(ask(fd, "/hello/get", ALICE), 200, NULL);
	wire_expect(ask(fd, "/hello/get", BOB), 403, NULL);
	wire_expect(ask(fd, "/hello/get", "Bearer robots-key"), 200, NULL);
	response = ask(fd, "/hello/get", "Bearer abd");
	ck_assert_ptr_nonnull(strstr(response.head, "WWW-Authenticate: Basic realm=\"users\", charset=\"UTF-8\"\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(response.head, "WWW-Authenticate: Bearer realm=\"tokens\", error=\"invalid_token\"\r\n"));
	wire_expect(response, 401, NULL);
	response = ask(fd, "/hello/get", NULL);
	ck_assert_ptr_nonnull(strstr(response.head, "WWW-Authenticate: Bearer realm=\"tokens\"\r\n"));
	wire_expect(response, 401, NULL);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"forbidden\"}"), 1);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(the_log_has_the_user_and_no_secret)
{
	struct daemon daemon = start_daemon("/hello basic %s bearer %s only alice,ci");
	int fd = wire_connect(daemon.port);
	char *text, *errors;

	wire_expect(ask(fd, "/hello/get", ALICE), 200, NULL);
	wire_expect(ask(fd, "/hello/get", BOB), 403, NULL);
	wire_expect(ask(fd, "/hello/get", "Bearer robots-key"), 200, NULL);
	wire_expect(ask(fd, "/hello/get", NOBODY), 401, NULL);
	wire_expect(ask(fd, "/hello/get", "Bearer opensesame"), 401, NULL);
	close(fd);
	errors = daemon_errors(&daemon);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
	text = read_log();
	ck_assert_ptr_nonnull(strstr(text, " - alice ["));
	ck_assert_ptr_nonnull(strstr(text, " - bob ["));
	ck_assert_ptr_nonnull(strstr(text, " - ci ["));
	/* what was sent as a name may be a password */
	ck_assert_ptr_null(strstr(text, "nobody"));
	for (int i = 0; i < 2; i++, text = errors) {
		ck_assert_ptr_null(strstr(text, "secret"));
		ck_assert_ptr_null(strstr(text, "hidden"));
		ck_assert_ptr_null(strstr(text, "opensesame"));
		ck_assert_ptr_null(strstr(text, "Ym9i"));
		ck_assert_ptr_null(strstr(text, "robots-key"));
	}
	free(errors);
}
END_TEST

START_TEST(refuses_before_the_body)
{
	struct daemon daemon = start_daemon("/ PUT,POST basic %s");
	int fd = wire_connect(daemon.port);
	char *all;

	wire_expect(ask(fd, "/hello/get", NULL), 200, NULL);
	wire_print(fd, "POST /hello/post HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
		       "Authorization: " ALICE_WRONG "\r\nConnection: close\r\n\r\n");
	shutdown(fd, SHUT_WR);
	all = wire_read_all(fd, NULL);
	ck_assert_msg(strncmp(all, "HTTP/1.1 401 ", 13) == 0, "%s", all);
	free(all);
	close(fd);
	fd = wire_connect(daemon.port);
	wire_expect(
	    wire_ask(fd, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
			 "Authorization: " ALICE "\r\n\r\nworld"),
	    200, NULL);
	/* pipelined behind a password that is checked */
	wire_print(fd, "POST /hello/post HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
		       "Authorization: " BOB "\r\n\r\nworldGET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");
	wire_expect(wire_read(fd, false), 200, NULL);
	wire_expect(wire_read(fd, false), 200, "{\"message\":\"Hello, World!\"}");
	close(fd);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

static unsigned count_readable(const int *fds, int count)
{
	unsigned readable = 0;
	for (int i = 0; i < count; i++)
		readable += wire_is_readable(fds[i], 0);
	return readable;
}

/* One loop. Its other clients are answered while passwords are checked, and while replies are delayed. */
START_TEST(wrong_passwords_stall_nobody)
{
	struct daemon daemon;
	int fds[ATTEMPTS_MAX], fd;
	struct wire_response response;

	write_users(SLOW);
	daemon = start_daemon("/hello basic %s");
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		fds[i] = wire_connect(daemon.port);
		send_request(fds[i], "/hello/get", i % 2 ? ALICE_WRONG : NOBODY);
	}
	fd = wire_connect(daemon.port);
	wire_expect(ask(fd, "/healthz", NULL), 200, NULL);
	ck_assert_uint_lt(count_readable(fds, ATTEMPTS_MAX), ATTEMPTS_MAX);
	/* More attempts of this address wait until there are fewer. */
	response = ask(fd, "/hello/get", ALICE);
	ck_assert_str_eq(wire_field(&response, "Retry-After"), "1");
	wire_expect(response, 429, NULL);
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		wire_expect(ask(fd, "/healthz", NULL), 200, NULL);
		wire_expect(wire_read(fds[i], false), 401, NULL);
		close(fds[i]);
	}
	wire_expect(ask(fd, "/hello/get", ALICE), 200, NULL);
	close(fd);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"failed\"}"), ATTEMPTS_MAX);
	ck_assert_double_eq(daemon_metric(&daemon, "http_authentications_total{outcome=\"refused\"}"), 1);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

static bool are_all_handled(void *daemon)
{
	return daemon_metric(daemon, "http_connections{state=\"handling\"}") >= ATTEMPTS_MAX;
}

static bool have_all_left(void *daemon)
{
	return daemon_metric(daemon, "http_requests_aborted_total") == ATTEMPTS_MAX;
}

/* Those that leave early do not guess faster: their attempts are in progress until their replies would have been sent. */
START_TEST(clients_that_leave_free_no_attempt)
{
	struct daemon daemon;
	int fds[ATTEMPTS_MAX];

	write_users(SLOW);
	daemon = start_daemon("/hello basic %s");
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		fds[i] = wire_connect(daemon.port);
		send_request(fds[i], "/hello/get", ALICE_WRONG);
	}
	ck_assert(wire_wait(are_all_handled, &daemon));
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
		close(fds[i]);
	}
	ck_assert(wire_wait(have_all_left, &daemon));
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		fds[i] = wire_connect(daemon.port);
		send_request(fds[i], "/hello/get", NOBODY);
	}
	wire_expect(wire_read(fds[ATTEMPTS_MAX - 1], false), 429, NULL);
	for (int i = 0; i < ATTEMPTS_MAX; i++)
		close(fds[i]);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

static bool has_message(void *arg)
{
	const void **pair = arg;
	char *errors = daemon_errors(pair[0]);
	bool has = strstr(errors, pair[1]) != NULL;
	free(errors);
	return has;
}

static void expect_message(const struct daemon *daemon, const char *message)
{
	const void *pair[] = { daemon, message };
	ck_assert_msg(wire_wait(has_message, pair), "%s", message);
}

START_TEST(reads_the_files_again)
{
	struct daemon daemon = start_daemon("/hello basic %s bearer %s");
	int fd = wire_connect(daemon.port);
	char text[256];

	wire_expect(ask(fd, "/hello/get", ALICE), 200, NULL);
	/* A wrong file changes nothing. */
	write_file(users, "carol:opensesame\n");
	kill(daemon.pid, SIGHUP);
	expect_message(&daemon, "users are not read again, the old ones stay in force: ");
	expect_message(&daemon, "users: line 1: plain text");
	wire_expect(ask(fd, "/hello/get", ALICE), 200, NULL);
	wire_expect(ask(fd, "/hello/get", BOB), 200, NULL);
	wire_expect(ask(fd, "/hello/get", "Bearer robots-key"), 200, NULL);
	/* Passwords are not remembered for users who are gone. */
	snprintf(text, sizeof text, "bob:%s\n", hash_of("hidden", FAST));
	write_file(users, text);
	write_file(tokens, "");
	kill(daemon.pid, SIGHUP);
	expect_message(&daemon, "users read again");
	expect_message(&daemon, "tokens: has no users");
	wire_expect(ask(fd, "/hello/get", ALICE), 401, NULL);
	wire_expect(ask(fd, "/hello/get", BOB), 200, NULL);
	wire_expect(ask(fd, "/hello/get", "Bearer robots-key"), 401, NULL);
	close(fd);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(warns_of_files_that_others_can_read)
{
	struct daemon daemon;
	chmod(users, 0644);
	daemon = start_daemon("/hello basic %s");
	expect_message(&daemon, "users: others than its owner and its group may read or change it (mode 0644)");
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

START_TEST(ends_while_passwords_are_checked)
{
	struct daemon daemon;
	int fds[ATTEMPTS_MAX];

	write_users(SLOW);
	daemon = start_daemon("/hello basic %s");
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		fds[i] = wire_connect(daemon.port);
		send_request(fds[i], "/hello/get", i % 2 ? ALICE_WRONG : ALICE);
	}
	ck_assert(wire_is_readable(fds[0], PATIENCE_MS));
	kill(daemon.pid, SIGTERM);
	if (_i == 0) {
		/* Requests in flight are finished. */
		for (int i = 0; i < ATTEMPTS_MAX; i++)
			wire_expect(wire_read(fds[i], false), i % 2 ? 401 : 200, NULL);
	} else {
		expect_message(&daemon, "draining");
		/* A second signal of the same moment counts once. */
		while (kill(daemon.pid, SIGTERM) == 0 && !wire_is_readable(fds[ATTEMPTS_MAX - 1], 60))
			;
	}
	ck_assert_int_eq(daemon_wait(&daemon), 0);
	for (int i = 0; i < ATTEMPTS_MAX; i++)
		close(fds[i]);
}
END_TEST

START_TEST(reports_every_wrong_rule_and_file)
{
	static const struct {
		const char *rule, *message;
	} rows[] = {
		{ "api basic x",
		    "--protect api basic x: the prefix does not begin with a slash; use PREFIX [METHODS] basic FILE" },
		{ "/api basic /no/such/file", "--protect /api basic /no/such/file: /no/such/file: cannot be read: No "
					      "such file or directory; use" },
		{ "/api basic /tmp", "/tmp: not a regular file; use" },
		{ "/api bearer /etc/passwd",
		    "line 1: not the SHA-256 of a token; make it with: printf %s TOKEN | sha256sum" },
		{ "/api basic /etc/../etc/passwd", "make the line with: htpasswd -nB NAME" },
	};
	for (int is_check = 0; is_check < 2; is_check++) {
		const char *arguments[] = { "--listen", "127.0.0.1:0", "--protect", rows[_i].rule,
			is_check ? "--check" : NULL, NULL };
		char output[4096];
		ck_assert_int_eq(daemon_run(arguments, output, sizeof output), 2);
		ck_assert_msg(strstr(output, rows[_i].message) != NULL, "%s", output);
	}
}
END_TEST

START_TEST(refuses_a_file_that_clients_can_read)
{
	const char *arguments[] = { "--listen", "127.0.0.1:0", "--root", folder, "--protect", protect, NULL };
	char output[4096], expected[512];

	snprintf(protect, sizeof protect, "/api basic %s", users);
	snprintf(expected, sizeof expected,
	    "--protect /api basic %s: %s lies below root = \"%s\", where clients can read it; use", users, users,
	    folder);
	ck_assert_int_eq(daemon_run(arguments, output, sizeof output), 2);
	ck_assert_msg(strstr(output, expected) != NULL, "%s", output);
}
END_TEST

/* --- the library -------------------------------------------------------------------------------------------------------- */

static struct loop loop;
static struct pipit_server *server;
static unsigned port;

static void show_user(struct pipit_request *request, void *arg)
{
	const char *user = pipit_request_user(request);
	(void)arg;
	pipit_reply_text(request, 200, user ? user : "nobody");
}

static void show_user_of_callback(struct evhttp_request *request, void *arg)
{
	struct evbuffer *reply = evbuffer_new();
	(void)arg;
	evbuffer_add_printf(reply, "%s", pipit_request_user(pipit_evhttp_request(request, server)));
	evhttp_send_reply(request, 200, "OK", reply);
	evbuffer_free(reply);
}

static void pass(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_header(request, "X-User", pipit_request_user(request) ? pipit_request_user(request) : "nobody");
}

static void attach(const char *setting)
{
	struct pipit_config config;
	char error[256], rule[256];

	write_users(setting);
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	snprintf(rule, sizeof rule, "/private basic %s", users);
	ck_assert_int_eq(pipit_config_set(&config, "protect", rule, error, sizeof error), 0);
	server = pipit_server_new(&config);
	pipit_config_clear(&config);
	ck_assert_int_eq(pipit_filter(server, "/private/{path...}", pass, NULL), 0);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/{path...}", show_user, NULL), 0);
	ck_assert_int_eq(pipit_route_evhttp(server, PIPIT_GET, "/private/evhttp", show_user_of_callback, NULL), 0);
	port = loop_serve(&loop, server);
}

static void detach(void)
{
	loop_end(&loop, server);
}

static void reload(void *result)
{
	*(int *)result = pipit_server_reload_users(server);
}

START_TEST(handlers_and_filters_know_the_user)
{
	struct wire_response response;
	int fd, result = 0;

	attach(FAST);
	fd = wire_connect(port);
	wire_expect(ask(fd, "/", NULL), 200, "nobody");
	wire_expect(ask(fd, "/", ALICE), 200, "nobody");
	response = ask(fd, "/private/native", ALICE);
	ck_assert_str_eq(wire_field(&response, "X-User"), "alice");
	wire_expect(response, 200, "alice");
	wire_expect(ask(fd, "/private/evhttp", BOB), 200, "bob");
	wire_expect(ask(fd, "/private/evhttp", BOB), 200, "bob");
	wire_expect(ask(fd, "/private/evhttp", NULL), 401, NULL);
	write_file(users, "alice:no\n");
	loop_call(&loop, reload, &result);
	ck_assert_int_eq(result, -EINVAL);
	wire_expect(ask(fd, "/private/evhttp", BOB), 200, "bob");
	close(fd);
	detach();
}
END_TEST

/* In the queue, in work, done, delayed, and without a client. */
START_TEST(the_server_may_be_freed_while_passwords_are_checked)
{
	int fds[ATTEMPTS_MAX], fd;

	attach(SLOW);
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		fds[i] = wire_connect(port);
		send_request(fds[i], "/private/native", i % 3 ? ALICE_WRONG : ALICE);
	}
	fd = wire_connect(port);
	wire_expect(ask(fd, "/", NULL), 200, "nobody");
	for (int i = 4; i < 8; i++)
		close(fds[i]);
	if (_i == 1)
		ck_assert(wire_is_readable(fds[0], PATIENCE_MS));
	detach();
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		if (i < 4 || i >= 8)
			close(fds[i]);
	}
	close(fd);
}
END_TEST

static void greet(struct evhttp_request *request, void *arg)
{
	struct evbuffer *reply = evbuffer_new();
	(void)arg;
	evbuffer_add_printf(reply, "hello");
	evhttp_send_reply(request, 200, "OK", reply);
	evbuffer_free(reply);
}

/* In front of the callbacks of a program. */
START_TEST(protects_a_guarded_evhttp)
{
	struct pipit_config config;
	char rule[256];
	struct evhttp *http;
	struct event_base *base;
	int fd;

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	snprintf(rule, sizeof rule, "/private basic %s", users);
	config.protect = rule;
	server = pipit_server_new(&config);
	loop_open(&loop);
	base = loop.base;
	http = evhttp_new(base);
	evhttp_set_gencb(http, greet, NULL);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, http), 0);
	port = (unsigned)strtoul(strrchr(pipit_server_url(server, 0), ':') + 1, NULL, 10);
	loop_run(&loop);
	fd = wire_connect(port);
	wire_expect(ask(fd, "/private/x", NULL), 401, NULL);
	wire_expect(ask(fd, "/private/x", ALICE), 200, "hello");
	wire_expect(ask(fd, "/private/x", ALICE_WRONG), 401, NULL);
	wire_expect(ask(fd, "/", NULL), 200, "hello");
	close(fd);
	loop_stop(&loop);
	pipit_server_free(server);
	loop_leave(&loop);
	evhttp_free(http);
	event_base_free(base);
}
END_TEST

START_TEST(a_server_with_a_wrong_rule_does_not_start)
{
	struct pipit_config config;
	struct pipit_server *wrong;
	struct event_base *base = event_base_new();

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.protect = "/private basic /no/such/file";
	wrong = pipit_server_new(&config);
	ck_assert_ptr_nonnull(wrong);
	ck_assert_int_lt(pipit_server_attach(wrong, base), 0);
	pipit_server_free(wrong);
	event_base_free(base);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("authentication");
	TCase *tests = tcase_create("daemon");
	tcase_add_checked_fixture(tests, make_folder, remove_folder);
	tcase_add_test(tests, asks_for_a_password);
	tcase_add_test(tests, tells_who_is_not_allowed);
	tcase_add_test(tests, the_log_has_the_user_and_no_secret);
	tcase_add_test(tests, refuses_before_the_body);
	tcase_add_test(tests, wrong_passwords_stall_nobody);
	tcase_add_test(tests, clients_that_leave_free_no_attempt);
	tcase_add_test(tests, reads_the_files_again);
	tcase_add_test(tests, warns_of_files_that_others_can_read);
	tcase_add_loop_test(tests, ends_while_passwords_are_checked, 0, 2);
	tcase_add_loop_test(tests, reports_every_wrong_rule_and_file, 0, 5);
	tcase_add_test(tests, refuses_a_file_that_clients_can_read);
	suite_add_tcase(suite, tests);
	tests = tcase_create("library");
	tcase_add_checked_fixture(tests, make_folder, remove_folder);
	tcase_add_test(tests, handlers_and_filters_know_the_user);
	tcase_add_loop_test(tests, the_server_may_be_freed_while_passwords_are_checked, 0, 2);
	tcase_add_test(tests, protects_a_guarded_evhttp);
	tcase_add_test(tests, a_server_with_a_wrong_rule_does_not_start);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
