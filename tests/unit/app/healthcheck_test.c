/* SPDX-License-Identifier: MIT */
/* A server on a thread accepts one connection and sends a given reply. */
#include "app/healthcheck.h"

#include "pipit.h"
#include "suite.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* In the place of libc's: a server that answers has as much time for it as a test has, another as little as the test wants. */
static struct timeval limit;
static struct timeval asked_for; /* by the health check */

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
		memcpy(&asked_for, value, sizeof asked_for);
		value = &limit;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

static int listener;
static unsigned port;
static char address[64], error[256];

static void listen_on(struct sockaddr *where, socklen_t length)
{
	listener = socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, where, length), 0);
	ck_assert_int_eq(listen(listener, 0), 0);
	ck_assert_int_eq(getsockname(listener, where, &length), 0);
}

static void set_up(void)
{
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	listen_on((struct sockaddr *)&where, sizeof where);
	port = ntohs(where.sin_port);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	strcpy(error, "untouched");
	limit = (struct timeval){ PATIENCE_MS / 1000, 0 };
	asked_for = (struct timeval){ 0, 0 };
}

static void tear_down(void)
{
	close(listener);
}

/* ---------------------------------------------------------------- the server */

struct server {
	pthread_t thread;
	const char *answer; /* NULL: read until the client gives up */
	bool is_dripping;   /* sent byte by byte */
	char request[512];
};

static bool has_ended(const char *request)
{
	return strstr(request, "\r\n\r\n") != NULL;
}

static void read_request(struct server *server, int client)
{
	size_t length = 0;

	while (!has_ended(server->request) && length < sizeof server->request - 1) {
		ssize_t received = recv(client, server->request + length, sizeof server->request - 1 - length, 0);
		if (received <= 0)
			return;
		length += (size_t)received;
		server->request[length] = '\0';
	}
}

static void send_answer(const struct server *server, int client)
{
	size_t length = strlen(server->answer), step = server->is_dripping ? 1 : length;

	/* the client may close once it knows the status */
	for (size_t sent = 0; sent < length; sent += step) {
		if (send(client, server->answer + sent, step, MSG_NOSIGNAL) < 0)
			return;
	}
}

static void *serve_one(void *context)
{
	struct server *server = context;
	int client = accept(listener, NULL, NULL);
	char rest;

	if (client < 0)
		return NULL;
	read_request(server, client);
	if (server->answer)
		send_answer(server, client);
	else
		(void)!recv(client, &rest, 1, 0);
	close(client);
	return NULL;
}

static void start(struct server *server, const char *answer, bool is_dripping)
{
	*server = (struct server){ .answer = answer, .is_dripping = is_dripping };
	ck_assert_int_eq(pthread_create(&server->thread, NULL, serve_one, server), 0);
}

/* The client's connection is accepted by now; if it never connected, accept() must not block. */
static void join(struct server *server)
{
	shutdown(listener, SHUT_RDWR);
	ck_assert_int_eq(pthread_join(server->thread, NULL), 0);
}

/* One printable line that names the address. */
static void expect_error(const char *asked)
{
	ck_assert_msg(strncmp(error, asked, strlen(asked)) == 0, "%s", error);
	for (const char *at = error; *at; at++)
		ck_assert_msg(isprint((unsigned char)*at), "byte %#x in \"%s\"", (unsigned char)*at, error);
}

/* The health check gives up, after seconds that the test does not wait for. */
static void expect_timeout(void)
{
	limit = (struct timeval){ 0, 100 * 1000 };
	ck_assert_int_eq(pipit_healthcheck(address, error, sizeof error), -1);
	ck_assert_int_gt(asked_for.tv_sec, 0);
	expect_error(address);
	ck_assert_msg(strstr(error, "timed out") != NULL, "%s", error);
}

/* ---------------------------------------------------------------- replies */

static const struct {
	const char *answer;
	bool is_dripping;
} well[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n", false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n", true },
	{ "HTTP/1.1 200 \r\n\r\n", false },
};

START_TEST(succeeds_on_200)
{
	struct server server;

	start(&server, well[_i].answer, well[_i].is_dripping);
	ck_assert_msg(pipit_healthcheck(address, error, sizeof error) == 0, "%s", error);
	join(&server);
	ck_assert_str_eq(error, "untouched");
}
END_TEST

START_TEST(sends_a_valid_request)
{
	struct server server;

	start(&server, well[0].answer, false);
	ck_assert_int_eq(pipit_healthcheck(address, error, sizeof error), 0);
	join(&server);
	ck_assert_msg(strncmp(server.request, "GET /healthz HTTP/1.1\r\n", 23) == 0, "%s", server.request);
	ck_assert_ptr_nonnull(strstr(server.request, "\r\nHost: "));
	ck_assert_ptr_nonnull(strstr(server.request, "\r\nConnection: close\r\n"));
	ck_assert(has_ended(server.request));
}
END_TEST

static const struct {
	const char *answer;
	const char *part; /* of the error */
} unhealthy[] = {
	{ "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 503 Service Unavailable" },
	{ "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404" },
	{ "HTTP/1.1 204 No Content\r\n\r\n", "204" },
	{ "HTTP/1.1 2000 OK\r\n\r\n", "2000" },
	{ "HTTP/1.1 20", "HTTP/1.1 20" },
	{ "", "without a reply" },
	{ "HTTP/1.1 503\r\n\r\n", "503" },
	{ "220 ready\r\n", "220" },
	{ "+OK\n", "+OK" },
	{ "\x15\x03\x03\x02", "" },
	{ "caf\xc3\xa9\x7f\x1b[31m", "caf" },
};

START_TEST(reports_a_reply_other_than_200)
{
	struct server server;

	start(&server, unhealthy[_i].answer, false);
	ck_assert_int_eq(pipit_healthcheck(address, error, sizeof error), -1);
	join(&server);
	expect_error(address);
	ck_assert_msg(strstr(error, unhealthy[_i].part) != NULL, "%s", error);
}
END_TEST

/* A bound port that does not listen: no other program can take it meanwhile. */
START_TEST(reports_a_refused_connection)
{
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof where;

	close(listener);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&where, length), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&where, &length), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(where.sin_port));
	ck_assert_int_eq(pipit_healthcheck(address, error, sizeof error), -1);
	expect_error(address);
	ck_assert_msg(strstr(error, strerror(ECONNREFUSED)) != NULL, "%s", error);
}
END_TEST

START_TEST(times_out_on_a_silent_server)
{
	struct server server;

	start(&server, NULL, false);
	expect_timeout();
	join(&server);
}
END_TEST

/* Connections that are not accepted fill the backlog; the kernel then ignores further ones. */
START_TEST(times_out_on_a_server_that_accepts_no_connection)
{
	struct sockaddr_in where = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int clients[4];

	for (size_t i = 0; i < COUNT(clients); i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		ck_assert_int_ge(clients[i], 0);
		if (connect(clients[i], (struct sockaddr *)&where, sizeof where) != 0)
			ck_assert_int_eq(errno, EINPROGRESS);
	}
	expect_timeout();
	for (size_t i = 0; i < COUNT(clients); i++)
		close(clients[i]);
}
END_TEST

/* ---------------------------------------------------------------- addresses */

START_TEST(uses_loopback_for_a_wildcard_address)
{
	struct server server;

	snprintf(address, sizeof address, "0.0.0.0:%u", port);
	start(&server, well[0].answer, false);
	ck_assert_msg(pipit_healthcheck(address, error, sizeof error) == 0, "%s", error);
	join(&server);
}
END_TEST

static const char *const v6_hosts[] = { "[::1]", "[::]" };

START_TEST(connects_over_ipv6)
{
	struct sockaddr_in6 where = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct server server;
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has_v6 = probe >= 0 && bind(probe, (struct sockaddr *)&where, sizeof where) == 0;

	if (probe >= 0)
		close(probe);
	if (!has_v6) {
		printf("skipped: this machine has no ::1\n");
		return;
	}
	close(listener);
	listen_on((struct sockaddr *)&where, sizeof where);
	snprintf(address, sizeof address, "%s:%u", v6_hosts[_i], ntohs(where.sin6_port));
	start(&server, well[0].answer, false);
	ck_assert_msg(pipit_healthcheck(address, error, sizeof error) == 0, "%s", error);
	join(&server);
}
END_TEST

static const char *const bad_addresses[] = { "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
	"127.0.0.1:http", "example.com:80", "256.0.0.1:80", "::1:80", "[::1]", "[::1]:0", "http://127.0.0.1:80" };

START_TEST(refuses_an_invalid_address)
{
	ck_assert_int_eq(pipit_healthcheck(bad_addresses[_i], error, sizeof error), -1);
	expect_error(bad_addresses[_i]);
	ck_assert_msg(strstr(error, "ADDR:PORT") != NULL, "%s", error);
}
END_TEST

START_TEST(cuts_an_error_that_does_not_fit)
{
	memset(error, 'x', sizeof error);
	ck_assert_int_eq(pipit_healthcheck("example.com:80", error, 8), -1);
	ck_assert_uint_eq(strnlen(error, sizeof error), 7);
	ck_assert_int_eq(error[8], 'x');
}
END_TEST

/* ---------------------------------------------------------------- the server of the container */

/* Other servers of this machine are not those of this namespace. */
static bool enter_container(void)
{
	bool has_entered = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
	if (!has_entered)
		printf("skipped: no mount namespace: %s\n", strerror(errno));
	return has_entered;
}

static int publish(const char *where)
{
	char url[96];
	int fd;
	snprintf(url, sizeof url, "http://%s", where);
	fd = pipit_healthcheck_publish(url);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* A port on which nothing listens. */
static const char nowhere[] = "127.0.0.1:1";

static struct pipit_config configured(const char *where)
{
	return (struct pipit_config){ .listen = { where }, .listen_count = 1 };
}

START_TEST(finds_the_published_server)
{
	struct pipit_config config = configured(nowhere);
	struct server server;
	int fd;

	if (!enter_container())
		return;
	fd = publish(address);
	start(&server, well[0].answer, false);
	ck_assert_msg(pipit_healthcheck_find(&config, error, sizeof error) == 0, "%s", error);
	join(&server);
	ck_assert_int_eq(pipit_healthcheck_find(&config, error, sizeof error), -1);
	expect_error(address);
	close(fd);
	/* it has ended */
	ck_assert_int_eq(pipit_healthcheck_find(&config, error, sizeof error), -1);
	expect_error(nowhere);
}
END_TEST

START_TEST(asks_the_configured_server_alone_when_it_is_published)
{
	char alias[32];
	struct pipit_config config = configured(_i == 0 ? address : alias);
	struct server server;
	int fds[2];

	if (!enter_container())
		return;
	snprintf(alias, sizeof alias, "localhost:%u", port);
	fds[0] = publish(nowhere);
	fds[1] = publish(address);
	start(&server, well[0].answer, false);
	ck_assert_msg(pipit_healthcheck_find(&config, error, sizeof error) == 0, "%s", error);
	join(&server);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(reports_one_unhealthy_server_of_several)
{
	struct pipit_config config = configured("127.0.0.1:2");
	struct server server;
	int fds[2];

	if (!enter_container())
		return;
	fds[0] = publish(address);
	fds[1] = publish(nowhere);
	start(&server, well[0].answer, false);
	ck_assert_int_eq(pipit_healthcheck_find(&config, error, sizeof error), -1);
	expect_error(nowhere);
	join(&server);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(asks_the_configured_server_when_none_is_published)
{
	struct pipit_config config = configured(address);
	struct server server;

	if (!enter_container())
		return;
	start(&server, well[0].answer, false);
	ck_assert_msg(pipit_healthcheck_find(&config, error, sizeof error) == 0, "%s", error);
	join(&server);
}
END_TEST

START_TEST(publishes_an_address_once)
{
	char url[96];
	int fd;

	if (!enter_container())
		return;
	fd = publish(address);
	snprintf(url, sizeof url, "http://%s", address);
	ck_assert_int_eq(pipit_healthcheck_publish(url), -EADDRINUSE);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("healthcheck");
	TCase *tests = tcase_create("healthcheck");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, succeeds_on_200, 0, COUNT(well));
	tcase_add_test(tests, sends_a_valid_request);
	tcase_add_loop_test(tests, reports_a_reply_other_than_200, 0, COUNT(unhealthy));
	tcase_add_test(tests, reports_a_refused_connection);
	tcase_add_test(tests, times_out_on_a_silent_server);
	tcase_add_test(tests, times_out_on_a_server_that_accepts_no_connection);
	tcase_add_test(tests, uses_loopback_for_a_wildcard_address);
	tcase_add_loop_test(tests, connects_over_ipv6, 0, COUNT(v6_hosts));
	tcase_add_loop_test(tests, refuses_an_invalid_address, 0, COUNT(bad_addresses));
	tcase_add_test(tests, cuts_an_error_that_does_not_fit);
	tcase_add_test(tests, finds_the_published_server);
	tcase_add_loop_test(tests, asks_the_configured_server_alone_when_it_is_published, 0, 2);
	tcase_add_test(tests, reports_one_unhealthy_server_of_several);
	tcase_add_test(tests, asks_the_configured_server_when_none_is_published);
	tcase_add_test(tests, publishes_an_address_once);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
