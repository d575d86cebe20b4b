/* SPDX-License-Identifier: MIT */
/* Listening sockets, or an error and no open descriptor. */
#include "net/listener.h"

#include "pipit.h"
#include "suite.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BACKLOG 16

static const struct pipit_config config = { .listen_backlog = BACKLOG };

/* The listen() call that fails, counted from 1; 0: none. */
static int failing_call;
static int last_backlog;

/* Replaces libc's listen(), for a failure that a test cannot cause from outside. */
int listen(int fd, int backlog)
{
	last_backlog = backlog;
	if (failing_call && --failing_call == 0) {
		errno = EADDRINUSE;
		return -1;
	}
	return (int)syscall(SYS_listen, fd, backlog);
}

/* As on a system without IPv6. */
static bool lacks_v6;

int socket(int domain, int type, int protocol)
{
	if (domain == AF_INET6 && lacks_v6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, domain, type, protocol);
}

static size_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static size_t open_before;

static void set_up(void)
{
	failing_call = 0;
	lacks_v6 = false;
	open_before = count_descriptors();
}

static void tear_down(void)
{
	ck_assert_uint_eq(count_descriptors(), open_before);
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(close(fds[i]), 0);
}

static unsigned port_of(const char *url)
{
	return (unsigned)strtoul(strrchr(url, ':') + 1, NULL, 10);
}

static struct sockaddr_in loopback(unsigned port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
}

static bool has_loopback_v6(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

	if (fd >= 0)
		close(fd);
	if (!has)
		printf("skipped: this machine has no ::1\n");
	return has;
}

static unsigned bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						   : ((struct sockaddr_in *)&address)->sin_port);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, name, &value, &length), 0);
	return value;
}

static void expect_listening(const int *fds, size_t count, unsigned port)
{
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(option(fds[i], SO_ACCEPTCONN), 1);
		ck_assert_int_eq(option(fds[i], SO_TYPE), SOCK_STREAM);
		ck_assert_int_ne(fcntl(fds[i], F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_ne(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, 0);
		ck_assert_uint_eq(bound_port(fds[i]), port);
	}
}

/* One of the sockets accepts a client. */
static void expect_reachable(const int *fds, size_t count, const struct sockaddr *address, socklen_t length)
{
	struct pollfd ready[8];
	int client = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted = -1;

	ck_assert_int_ge(client, 0);
	ck_assert_int_eq(connect(client, address, length), 0);
	for (size_t i = 0; i < count; i++)
		ready[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	ck_assert_int_eq(poll(ready, count, PATIENCE_MS), 1);
	for (size_t i = 0; i < count; i++) {
		if (ready[i].revents)
			accepted = accept(fds[i], NULL, NULL);
	}
	ck_assert_int_ge(accepted, 0);
	close(accepted);
	close(client);
}

static const size_t socket_counts[] = { 1, 4 };

START_TEST(binds_a_free_port_for_all_sockets)
{
	size_t count = socket_counts[_i];
	char url[PIPIT_LISTENER_URL_SIZE], expected[PIPIT_LISTENER_URL_SIZE];
	struct sockaddr_in address;
	int fds[4];

	ck_assert_int_eq(pipit_listener_open("127.0.0.1:0", &config, fds, count, url), 0);
	snprintf(expected, sizeof expected, "http://127.0.0.1:%u", bound_port(fds[0]));
	ck_assert_str_eq(url, expected);
	ck_assert_uint_ne(port_of(url), 0);
	ck_assert_int_eq(last_backlog, BACKLOG);
	ck_assert_uint_eq(count_descriptors(), open_before + count);
	expect_listening(fds, count, port_of(url));
	address = loopback(port_of(url));
	expect_reachable(fds, count, (struct sockaddr *)&address, sizeof address);
	close_all(fds, count);
}
END_TEST

START_TEST(binds_a_free_port_of_ipv6_for_all_sockets)
{
	size_t count = socket_counts[_i];
	char url[PIPIT_LISTENER_URL_SIZE];
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fds[4];

	if (!has_loopback_v6())
		return;
	ck_assert_int_eq(pipit_listener_open("[::1]:0", &config, fds, count, url), 0);
	ck_assert_msg(strncmp(url, "http://[::1]:", 13) == 0, "%s", url);
	expect_listening(fds, count, port_of(url));
	address.sin6_port = htons((uint16_t)port_of(url));
	expect_reachable(fds, count, (struct sockaddr *)&address, sizeof address);
	close_all(fds, count);
}
END_TEST

/* Bound with SO_REUSEPORT, not listening: other processes do not get this port as a free one, but we can bind it. */
static int hold(bool share_port, unsigned *port)
{
	struct sockaddr_in address = loopback(0);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	if (share_port)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	*port = bound_port(fd);
	return fd;
}

START_TEST(binds_the_given_port)
{
	size_t count = socket_counts[_i];
	char address[64], url[PIPIT_LISTENER_URL_SIZE];
	unsigned port;
	int fds[4], held = hold(false, &port);

	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	ck_assert_int_eq(pipit_listener_open(address, &config, fds, count, url), 0);
	ck_assert_str_eq(url + strlen("http://"), address);
	expect_listening(fds, count, port);
	close_all(fds, count);
	close(held);
}
END_TEST

/* A restart must not wait for the connections of the previous process. */
START_TEST(binds_a_port_whose_last_connections_are_in_time_wait)
{
	size_t count = socket_counts[_i];
	char text[64], url[PIPIT_LISTENER_URL_SIZE];
	struct sockaddr_in address;
	unsigned port;
	int fds[4], held = hold(false, &port);

	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	ck_assert_int_eq(pipit_listener_open(text, &config, fds, 1, url), 0);
	address = loopback(port);
	/* The accepted side closes first, so that TIME_WAIT is on this port. */
	expect_reachable(fds, 1, (struct sockaddr *)&address, sizeof address);
	close_all(fds, 1);
	ck_assert_int_eq(pipit_listener_open(text, &config, fds, count, url), 0);
	close_all(fds, count);
	close(held);
}
END_TEST

/* In whole seconds; the kernel rounds it up to the retransmission of a SYN-ACK. */
START_TEST(defers_accepts_when_asked_to)
{
	static const struct {
		uint64_t defer_ms;
		int least;
	} deferrals[] = { { 0, 0 }, { 1, 1 }, { 1000, 1 }, { 5500, 6 } };
	for (size_t i = 0; i < COUNT(deferrals); i++) {
		struct pipit_config deferring = config;
		char url[PIPIT_LISTENER_URL_SIZE];
		int fd, seconds = -1;
		socklen_t length = sizeof seconds;
		deferring.defer_accept_ms = deferrals[i].defer_ms;
		ck_assert_int_eq(pipit_listener_open("127.0.0.1:0", &deferring, &fd, 1, url), 0);
		ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, &length), 0);
		ck_assert_int_ge(seconds, deferrals[i].least);
		ck_assert_int_eq(seconds > 0, deferrals[i].defer_ms > 0);
		close(fd);
	}
}
END_TEST

static int v6_only(int fd)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &length), 0);
	return value;
}

START_TEST(accepts_both_families_on_any_address_of_ipv6)
{
	size_t count = socket_counts[_i];
	char url[PIPIT_LISTENER_URL_SIZE];
	struct sockaddr_in v4;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fds[4];

	if (!has_loopback_v6())
		return;
	ck_assert_int_eq(pipit_listener_open(":0", &config, fds, count, url), 0);
	ck_assert_msg(strncmp(url, "http://[::]:", 12) == 0, "%s", url);
	v4 = loopback(port_of(url));
	v6.sin6_port = htons((uint16_t)port_of(url));
	expect_reachable(fds, count, (struct sockaddr *)&v4, sizeof v4);
	expect_reachable(fds, count, (struct sockaddr *)&v6, sizeof v6);
	close_all(fds, count);
}
END_TEST

START_TEST(accepts_ipv4_on_any_address_without_ipv6)
{
	size_t count = socket_counts[_i];
	struct pipit_config only = config;
	char url[PIPIT_LISTENER_URL_SIZE];
	struct sockaddr_in v4;
	int fds[4];

	lacks_v6 = true;
	ck_assert_int_eq(pipit_listener_open("[::]:0", &config, fds, count, url), 0);
	ck_assert_msg(strncmp(url, "http://0.0.0.0:", 15) == 0, "%s", url);
	v4 = loopback(port_of(url));
	expect_reachable(fds, count, (struct sockaddr *)&v4, sizeof v4);
	close_all(fds, count);
	only.ipv6_only = "on";
	ck_assert_int_eq(pipit_listener_open("[::]:0", &only, fds, count, url), -EAFNOSUPPORT);
	ck_assert_int_eq(pipit_listener_open("[::1]:0", &config, fds, count, url), -EAFNOSUPPORT);
}
END_TEST

START_TEST(accepts_ipv6_only_when_asked_to)
{
	struct pipit_config only = config;
	char url[PIPIT_LISTENER_URL_SIZE];
	int fd;

	if (!has_loopback_v6())
		return;
	only.ipv6_only = "on";
	ck_assert_int_eq(pipit_listener_open("[::]:0", &only, &fd, 1, url), 0);
	ck_assert_int_eq(v6_only(fd), 1);
	close(fd);
	only.ipv6_only = "off";
	ck_assert_int_eq(pipit_listener_open("[::]:0", &only, &fd, 1, url), 0);
	ck_assert_int_eq(v6_only(fd), 0);
	close(fd);
}
END_TEST

START_TEST(binds_the_same_port_of_both_families)
{
	struct pipit_config both = config;
	char url[PIPIT_LISTENER_URL_SIZE], v4_address[PIPIT_LISTENER_URL_SIZE], address[PIPIT_LISTENER_URL_SIZE];
	int v4[1], v6[1];

	if (!has_loopback_v6())
		return;
	ck_assert_int_eq(pipit_listener_open("0.0.0.0:0", &config, v4, 1, url), 0);
	snprintf(v4_address, sizeof v4_address, "0.0.0.0:%u", port_of(url));
	snprintf(address, sizeof address, "[::]:%u", port_of(url));
	both.listen[0] = v4_address;
	both.listen[1] = address;
	both.listen_count = 2;
	ck_assert_int_eq(pipit_listener_open(address, &both, v6, 1, url), 0);
	ck_assert_str_eq(url + strlen("http://"), address);
	ck_assert_int_eq(v6_only(v6[0]), 1);
	close_all(v4, 1);
	close_all(v6, 1);
}
END_TEST

/* ---------------------------------------------------------------- errors */

/* A listening socket on 127.0.0.1, not of the listener; *port receives its port. */
static int occupy(bool share_port, unsigned *port)
{
	int fd = hold(share_port, port);

	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static const struct {
	bool is_shared; /* by its owner */
	size_t count;
	const char *host;
} busy_cases[] = {
	{ false, 1, "127.0.0.1" },
	{ false, 4, "127.0.0.1" },
	{ true, 1, "127.0.0.1" },
	{ true, 4, "127.0.0.1" },
	{ false, 1, "0.0.0.0" },
	{ true, 4, "0.0.0.0" },
};

START_TEST(refuses_a_port_on_which_another_socket_listens)
{
	char address[64], url[PIPIT_LISTENER_URL_SIZE];
	unsigned port;
	int fds[4], other = occupy(busy_cases[_i].is_shared, &port);
	size_t before = count_descriptors();

	snprintf(address, sizeof address, "%s:%u", busy_cases[_i].host, port);
	ck_assert_int_eq(pipit_listener_open(address, &config, fds, busy_cases[_i].count, url), -EADDRINUSE);
	ck_assert_uint_eq(count_descriptors(), before);
	close(other);
}
END_TEST

START_TEST(refuses_a_port_on_which_it_listens_already)
{
	char url[PIPIT_LISTENER_URL_SIZE], again[PIPIT_LISTENER_URL_SIZE];
	size_t count = socket_counts[_i];
	int fds[4], more[4];

	ck_assert_int_eq(pipit_listener_open("127.0.0.1:0", &config, fds, count, url), 0);
	ck_assert_int_eq(pipit_listener_open(url + strlen("http://"), &config, more, count, again), -EADDRINUSE);
	expect_listening(fds, count, port_of(url));
	close_all(fds, count);
}
END_TEST

static const char *const bad_addresses[] = { "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536",
	"127.0.0.1:http", "127.0.0.1:80x", "127.0.0.1: 80", " 127.0.0.1:80", "127.0.0.1:80 ", "127.0.0:80",
	"256.0.0.1:80", "example.com:80", "*:80", "::1:80", "[::1]", "[::1]:", "[::1:80", "::1]:80", "[127.0.0.1]:80",
	"[::g]:80", "[]:80", "http://127.0.0.1:80", "/tmp/socket", "127.0.0.1:80:80",
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000:80" };

START_TEST(refuses_invalid_addresses)
{
	char url[PIPIT_LISTENER_URL_SIZE];
	int fds[4];

	for (size_t i = 0; i < COUNT(socket_counts); i++) {
		int result = pipit_listener_open(bad_addresses[_i], &config, fds, socket_counts[i], url);
		ck_assert_msg(result == -EINVAL, "%s: %d", bad_addresses[_i], result);
	}
}
END_TEST

/* 192.0.2.0/24 has no hosts (RFC 5737). */
START_TEST(refuses_an_address_of_another_machine)
{
	char url[PIPIT_LISTENER_URL_SIZE];
	int fds[4];

	ck_assert_int_eq(pipit_listener_open("192.0.2.1:0", &config, fds, socket_counts[_i], url), -EADDRNOTAVAIL);
}
END_TEST

/* tear_down() counts the descriptors. Call 1 checks whether the port is free, 2 to 5 are the sockets. */
START_TEST(closes_all_sockets_when_a_later_one_fails)
{
	char url[PIPIT_LISTENER_URL_SIZE];
	int fds[4];

	failing_call = _i;
	ck_assert_int_eq(pipit_listener_open("127.0.0.1:0", &config, fds, 4, url), -EADDRINUSE);
	ck_assert_int_eq(failing_call, 0);
}
END_TEST

START_TEST(finds_the_ipv4_address_that_leaves_others_unserved)
{
	static const struct {
		const char *asked, *other, *ipv6_only, *found;
	} cases[] = { { "[::]:8080", "127.0.0.1:8080", "off", "127.0.0.1:8080" },
		{ "[::]:8080", "127.0.0.1:8080", "on", NULL }, { "[::]:8080", "127.0.0.1:8081", "off", NULL },
		{ "[::]:8080", "0.0.0.0:8080", "off", NULL }, { "[::1]:8080", "127.0.0.1:8080", "off", NULL },
		/* Each gets a port of its own. */
		{ "[::]:0", "127.0.0.1:0", "off", NULL } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pipit_config two = {
			.listen = { cases[i].asked, cases[i].other }, .listen_count = 2, .ipv6_only = cases[i].ipv6_only
		};
		const char *found = pipit_listener_find_v4(cases[i].asked, &two);
		ck_assert_msg(
		    found == cases[i].found || (found && cases[i].found && strcmp(found, cases[i].found) == 0),
		    "%s beside %s: %s", cases[i].asked, cases[i].other, found ? found : "none");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listener");
	TCase *tests = tcase_create("listener");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, binds_a_free_port_for_all_sockets, 0, COUNT(socket_counts));
	tcase_add_loop_test(tests, binds_a_free_port_of_ipv6_for_all_sockets, 0, COUNT(socket_counts));
	tcase_add_loop_test(tests, binds_the_given_port, 0, COUNT(socket_counts));
	tcase_add_loop_test(tests, binds_a_port_whose_last_connections_are_in_time_wait, 0, COUNT(socket_counts));
	tcase_add_test(tests, binds_the_same_port_of_both_families);
	tcase_add_loop_test(tests, accepts_both_families_on_any_address_of_ipv6, 0, COUNT(socket_counts));
	tcase_add_loop_test(tests, accepts_ipv4_on_any_address_without_ipv6, 0, COUNT(socket_counts));
	tcase_add_test(tests, accepts_ipv6_only_when_asked_to);
	tcase_add_test(tests, finds_the_ipv4_address_that_leaves_others_unserved);
	tcase_add_loop_test(tests, refuses_a_port_on_which_another_socket_listens, 0, COUNT(busy_cases));
	tcase_add_loop_test(tests, refuses_a_port_on_which_it_listens_already, 0, COUNT(socket_counts));
	tcase_add_test(tests, defers_accepts_when_asked_to);
	tcase_add_loop_test(tests, refuses_invalid_addresses, 0, COUNT(bad_addresses));
	tcase_add_loop_test(tests, refuses_an_address_of_another_machine, 0, COUNT(socket_counts));
	tcase_add_loop_test(tests, closes_all_sockets_when_a_later_one_fails, 1, 6);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
