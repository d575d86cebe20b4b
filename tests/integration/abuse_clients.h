/* SPDX-License-Identifier: MIT */
/*
 * Shared by the abuse tests: groups of clients that misbehave, and a scenario: a daemon with one well-behaved client that must
 * be served all the time. Everything happens in the test's own loop.
 */
#ifndef PIPIT_TESTS_ABUSE_CLIENTS_H
#define PIPIT_TESTS_ABUSE_CLIENTS_H

#include "daemon.h"
#include "wire.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Freed memory that the allocator may keep: twice that of a thousand connections. A sanitizer keeps all of it. */
#define RESIDENT_SLACK_KIB (8 * 1024)
#define CROWDED_SLACK_KIB (2 * RESIDENT_SLACK_KIB)
/* Pause of the well-behaved client between its requests. */
#define PACE_MS 50

/* --- groups of clients -------------------------------------------------------------------------------------------- */

struct client {
	int fd;          /* -1: closed */
	size_t received; /* bytes */
	char start[16];  /* the first of them, NUL-terminated */
};

struct group {
	struct client *clients; /* in the order in which they connected */
	size_t count;
};

/* Connects from an address of the loopback (NULL: any), with a receive buffer (0: default). Fails the test if refused. */
static inline int dial(unsigned port, const char *from, int receive_bytes)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
	struct sockaddr_in own = { .sin_family = AF_INET };
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	/* Before connect(): the window is announced then. */
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	if (from) {
		ck_assert_int_eq(inet_pton(AF_INET, from, &own.sin_addr), 1);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
	}
	ck_assert_msg(
	    connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "cannot connect: %s", strerror(errno));
	return fd;
}

/* Sends as many of the bytes as the socket accepts now. */
static inline size_t client_send(const struct client *client, const void *bytes, size_t length)
{
	ssize_t sent = client->fd < 0 ? -1 : send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sent < 0 ? 0 : (size_t)sent;
}

static inline void client_leave(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* Closes with a reset: the next system call of the server on the connection fails. */
static inline void client_reset(struct client *client)
{
	struct linger at_once = { 1, 0 };
	if (client->fd >= 0)
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	client_leave(client);
}

/* Reads the available bytes, at most `limit`. Closes the connection if the server has closed it. */
static inline void client_look(struct client *client, size_t limit)
{
	char bytes[16 * 1024];
	while (client->fd >= 0 && limit > 0) {
		size_t wanted = limit < sizeof bytes ? limit : sizeof bytes;
		ssize_t received = recv(client->fd, bytes, wanted, MSG_DONTWAIT);
		if (received < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (received <= 0) {
			client_leave(client);
			return;
		}
		for (ssize_t i = 0; i < received && client->received + (size_t)i < sizeof client->start - 1; i++)
			client->start[client->received + (size_t)i] = bytes[i];
		client->received += (size_t)received;
		limit -= (size_t)received;
	}
}

/* Status of the first response; 0: no response. */
static inline int client_status(const struct client *client)
{
	return strncmp(client->start, "HTTP/1.1 ", 9) == 0 ? atoi(client->start + 9) : 0;
}

static inline struct group group_new(size_t count)
{
	struct group group = { calloc(count, sizeof *group.clients), count };
	ck_assert_ptr_nonnull(group.clients);
	for (size_t i = 0; i < count; i++)
		group.clients[i].fd = -1;
	return group;
}

/* Reads from all clients; returns how many are still connected. */
static inline size_t group_look(struct group *group)
{
	size_t left = 0;
	for (size_t i = 0; i < group->count; i++) {
		client_look(&group->clients[i], SIZE_MAX);
		left += group->clients[i].fd >= 0;
	}
	return left;
}

/* Closes all clients. */
static inline void group_free(struct group *group)
{
	for (size_t i = 0; i < group->count; i++)
		client_leave(&group->clients[i]);
	free(group->clients);
	*group = (struct group){ 0 };
}

/* --- a well-behaved client --------------------------------------------------------------------------------------------- */

struct scenario {
	struct daemon daemon;
	const char *from;  /* address of the well-behaved client; NULL: any */
	int kept;          /* its keep-alive connection; -1: none */
	long resident_kib; /* of the daemon, before the test */
	long slack_kib;    /* above resident_kib, which may stay allocated */
	long descriptors;  /* before the test */
	long remembered;   /* descriptors of files that all workers may keep open */
	long long next_ms; /* next request of the client */
	size_t served;     /* answered requests */
};

static inline void scenario_ask_on(struct scenario *scenario, int fd)
{
	struct wire_response response = wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");

	ck_assert_msg(response.status == 200, "request %zu of the well-behaved client: status %d", scenario->served,
	    response.status);
	ck_assert(response.is_complete);
	ck_assert_str_eq(response.content, "{\"message\":\"Hello, World!\"}");
	wire_free(&response);
	scenario->served++;
}

static inline void scenario_ask_afresh(struct scenario *scenario)
{
	int fd = dial(scenario->daemon.port, scenario->from, 0);
	scenario_ask_on(scenario, fd);
	close(fd);
}

/* Sends one request of the well-behaved client on a new connection, and one on its keep-alive connection. */
static inline void scenario_ask(struct scenario *scenario)
{
	scenario_ask_afresh(scenario);
	if (scenario->kept >= 0)
		scenario_ask_on(scenario, scenario->kept);
}

/* Call it continually: it sends the well-behaved client's request when that is due. */
static inline void scenario_tick(struct scenario *scenario)
{
	if (wire_now_ms() < scenario->next_ms)
		return;
	scenario_ask(scenario);
	scenario->next_ms = wire_now_ms() + PACE_MS;
}

static inline void nap(void)
{
	const struct timespec pause = { 0, 5 * 1000 * 1000 };
	nanosleep(&pause, NULL);
}

/* Runs only the well-behaved client for a while. */
static inline void scenario_watch(struct scenario *scenario, int duration_ms)
{
	long long end = wire_now_ms() + duration_ms;
	while (wire_now_ms() < end) {
		scenario_tick(scenario);
		nap();
	}
}

/* The connection that asks for the metrics is the only one, and nothing is buffered. */
static inline bool scenario_is_over(void *arg)
{
	const struct scenario *scenario = arg;
	const struct daemon *daemon = &scenario->daemon;
	return daemon_metric(daemon, "http_connections{state=\"idle\"}") == 1 &&
	       daemon_metric(daemon, "http_connections{state=\"reading\"}") == 0 &&
	       daemon_metric(daemon, "http_connections{state=\"handling\"}") == 0 &&
	       daemon_metric(daemon, "http_connections{state=\"writing\"}") == 0 &&
	       daemon_metric(daemon, "http_connections{state=\"closing\"}") == 0 &&
	       daemon_metric(daemon, "pipit_buffered_bytes") == 0;
}

static inline bool scenario_has_descriptors_back(void *arg)
{
	const struct scenario *scenario = arg;
	return daemon_descriptors(&scenario->daemon) <= scenario->descriptors + scenario->remembered;
}

static inline bool scenario_has_memory_back(void *arg)
{
	const struct scenario *scenario = arg;
	return IS_SANITIZED || daemon_resident_kib(&scenario->daemon) <= scenario->resident_kib + scenario->slack_kib;
}

/* Starts a daemon and records its state at rest. */
static inline struct scenario scenario_begin_in(
    const struct daemon_surroundings *surroundings, const char *const *arguments)
{
	struct scenario scenario = { .kept = -1, .slack_kib = RESIDENT_SLACK_KIB };
	scenario.daemon = daemon_start_in(surroundings, arguments);
	/* Every worker must have served a request: it has then allocated its buffers. */
	for (int i = 0; i < 50; i++)
		scenario_ask_afresh(&scenario);
	ck_assert(wire_wait(scenario_is_over, &scenario));
	scenario.resident_kib = daemon_resident_kib(&scenario.daemon);
	scenario.descriptors = daemon_descriptors(&scenario.daemon);
	scenario.served = 0;
	return scenario;
}

static inline struct scenario scenario_begin(const char *const *arguments)
{
	return scenario_begin_in(&(struct daemon_surroundings){ 0 }, arguments);
}

/* Gives the well-behaved client a keep-alive connection. */
static inline void scenario_keep_alive(struct scenario *scenario)
{
	scenario->kept = dial(scenario->daemon.port, scenario->from, 0);
}

/* Waits until a counter has reached a value. */
static inline void scenario_wait_for(struct scenario *scenario, const char *sample, double at_least)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	double value;
	while ((value = daemon_metric(&scenario->daemon, sample)) < at_least && wire_now_ms() < end) {
		scenario_tick(scenario);
		nap();
	}
	ck_assert_msg(value >= at_least, "%s is %g, not %g", sample, value, at_least);
}

static inline void scenario_assert_metric(const struct scenario *scenario, const char *sample, double value)
{
	double found = daemon_metric(&scenario->daemon, sample);
	ck_assert_msg(found == value, "%s is %g, not %g", sample, found, value);
}

/* Connects `count` clients; the well-behaved client is served in between. */
static inline void scenario_connect(
    struct scenario *scenario, struct group *group, size_t first, size_t count, int receive_bytes)
{
	for (size_t i = first; i < first + count; i++) {
		group->clients[i].fd = dial(scenario->daemon.port, NULL, receive_bytes);
		scenario_tick(scenario);
	}
}

/* Waits until at most `at_most` clients of the group are connected. */
static inline void scenario_wait_connected(struct scenario *scenario, struct group *group, size_t at_most)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	size_t left;
	while ((left = group_look(group)) > at_most && wire_now_ms() < end) {
		scenario_tick(scenario);
		nap();
	}
	ck_assert_msg(left <= at_most, "%zu of %zu are still connected", left, group->count);
}

/* Waits until the server has closed all clients of the group. */
static inline void scenario_wait_closed(struct scenario *scenario, struct group *group)
{
	scenario_wait_connected(scenario, group, 0);
}

/* Checks that the daemon is as it was before the test, and stops it. The group must be closed. */
static inline void scenario_end(struct scenario *scenario)
{
	scenario_ask(scenario);
	if (scenario->kept >= 0)
		close(scenario->kept);
	ck_assert_msg(wire_wait(scenario_is_over, scenario),
	    "the gauges are not back: idle %g, reading %g, writing %g, "
	    "closing %g, buffered %g",
	    daemon_metric(&scenario->daemon, "http_connections{state=\"idle\"}"),
	    daemon_metric(&scenario->daemon, "http_connections{state=\"reading\"}"),
	    daemon_metric(&scenario->daemon, "http_connections{state=\"writing\"}"),
	    daemon_metric(&scenario->daemon, "http_connections{state=\"closing\"}"),
	    daemon_metric(&scenario->daemon, "pipit_buffered_bytes"));
	ck_assert_msg(wire_wait(scenario_has_descriptors_back, scenario), "%ld descriptors are open, %ld before",
	    daemon_descriptors(&scenario->daemon), scenario->descriptors);
	ck_assert_msg(wire_wait(scenario_has_memory_back, scenario), "%ld KiB are resident, %ld before",
	    daemon_resident_kib(&scenario->daemon), scenario->resident_kib);
	ck_assert_int_eq(daemon_stop(&scenario->daemon), 0);
}

/*
 * Raises the limit on descriptors, which the daemon inherits, as far as is permitted. A test that needs more reports that
 * itself.
 */
static inline void raise_own_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

#endif
