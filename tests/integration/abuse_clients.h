/* SPDX-License-Identifier: MIT */
/*
 * What the tests of abuse share: crowds of clients that misbehave, and a siege, which is a daemon with one client that
 * behaves well and must be served all the while. Everything happens in the test's own loop.
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

/* What an allocator may keep of memory that was given back; twice that of a thousand connections. A sanitizer keeps all. */
#define RESIDENT_SLACK_KIB (8 * 1024)
#define CROWDED_SLACK_KIB (2 * RESIDENT_SLACK_KIB)
/* The well-behaved client pauses for so long between its requests. */
#define PACE_MS 50

/* --- a crowd -------------------------------------------------------------------------------------------------------- */

struct client {
	int fd;          /* -1: gone */
	size_t received; /* bytes */
	char start[16];  /* the first of them, NUL-terminated */
};

struct crowd {
	struct client *clients; /* in the order in which they came */
	size_t count;
};

/* A connection from an address of the loopback (NULL: any) and with a receive buffer (0: any); fails the test if refused. */
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
	/* Before it connects: the window is offered then. */
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

/* As many of the bytes as the socket takes now. */
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

/* Leave with a reset: the other side's next system call on the connection fails. */
static inline void client_reset(struct client *client)
{
	struct linger at_once = { 1, 0 };
	if (client->fd >= 0)
		setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	client_leave(client);
}

/* Read what there is, at most `limit` bytes of it. A connection that the server has closed is closed here too. */
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

/* Of the first response; 0: nothing came. */
static inline int client_status(const struct client *client)
{
	return strncmp(client->start, "HTTP/1.1 ", 9) == 0 ? atoi(client->start + 9) : 0;
}

static inline struct crowd crowd_new(size_t count)
{
	struct crowd crowd = { calloc(count, sizeof *crowd.clients), count };
	ck_assert_ptr_nonnull(crowd.clients);
	for (size_t i = 0; i < count; i++)
		crowd.clients[i].fd = -1;
	return crowd;
}

/* Read from all; returns how many are still connected. */
static inline size_t crowd_look(struct crowd *crowd)
{
	size_t left = 0;
	for (size_t i = 0; i < crowd->count; i++) {
		client_look(&crowd->clients[i], SIZE_MAX);
		left += crowd->clients[i].fd >= 0;
	}
	return left;
}

/* Everybody leaves. */
static inline void crowd_free(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++)
		client_leave(&crowd->clients[i]);
	free(crowd->clients);
	*crowd = (struct crowd){ 0 };
}

/* --- a siege -------------------------------------------------------------------------------------------------------- */

struct siege {
	struct daemon daemon;
	const char *from;  /* address of the well-behaved client; NULL: any */
	int kept;          /* its connection that is kept alive; -1: it has none */
	long resident_kib; /* of the daemon, before */
	long slack_kib;    /* so many more may stay */
	long descriptors;  /* before */
	long remembered;   /* files whose descriptors workers keep for a while, of all workers: they may stay */
	long long next_ms; /* when the client asks again */
	size_t served;     /* its requests */
};

static inline void siege_ask_on(struct siege *siege, int fd)
{
	struct wire_response response = wire_ask(fd, "GET /hello/get HTTP/1.1\r\nHost: x\r\n\r\n");

	ck_assert_msg(response.status == 200, "request %zu of the well-behaved client: status %d", siege->served,
	    response.status);
	ck_assert(response.is_complete);
	ck_assert_str_eq(response.content, "{\"message\":\"Hello, World!\"}");
	wire_free(&response);
	siege->served++;
}

static inline void siege_ask_afresh(struct siege *siege)
{
	int fd = dial(siege->daemon.port, siege->from, 0);
	siege_ask_on(siege, fd);
	close(fd);
}

/* Of the well-behaved client: one request on a new connection, and one on the connection that it keeps alive. */
static inline void siege_ask(struct siege *siege)
{
	siege_ask_afresh(siege);
	if (siege->kept >= 0)
		siege_ask_on(siege, siege->kept);
}

/* To be called all the time: the well-behaved client asks when its time has come. */
static inline void siege_tick(struct siege *siege)
{
	if (wire_now_ms() < siege->next_ms)
		return;
	siege_ask(siege);
	siege->next_ms = wire_now_ms() + PACE_MS;
}

static inline void nap(void)
{
	const struct timespec pause = { 0, 5 * 1000 * 1000 };
	nanosleep(&pause, NULL);
}

/* Nothing but the well-behaved client for a while. */
static inline void siege_watch(struct siege *siege, int duration_ms)
{
	long long end = wire_now_ms() + duration_ms;
	while (wire_now_ms() < end) {
		siege_tick(siege);
		nap();
	}
}

/* The one who asks is the only one there, and nothing is buffered. */
static inline bool siege_is_over(void *arg)
{
	const struct siege *siege = arg;
	const struct daemon *daemon = &siege->daemon;
	return daemon_metric(daemon, "http_connections{state=\"idle\"}") == 1 &&
	       daemon_metric(daemon, "http_connections{state=\"reading\"}") == 0 &&
	       daemon_metric(daemon, "http_connections{state=\"handling\"}") == 0 &&
	       daemon_metric(daemon, "http_connections{state=\"writing\"}") == 0 &&
	       daemon_metric(daemon, "http_connections{state=\"closing\"}") == 0 &&
	       daemon_metric(daemon, "pipit_buffered_bytes") == 0;
}

static inline bool siege_has_descriptors_back(void *arg)
{
	const struct siege *siege = arg;
	return daemon_descriptors(&siege->daemon) <= siege->descriptors + siege->remembered;
}

static inline bool siege_has_memory_back(void *arg)
{
	const struct siege *siege = arg;
	return IS_SANITIZED || daemon_resident_kib(&siege->daemon) <= siege->resident_kib + siege->slack_kib;
}

/* Start a daemon of its own, and note how it is when all is well. */
static inline struct siege siege_begin_in(const struct daemon_surroundings *surroundings, const char *const *arguments)
{
	struct siege siege = { .kept = -1, .slack_kib = RESIDENT_SLACK_KIB };
	siege.daemon = daemon_start_in(surroundings, arguments);
	/* Every worker has served. */
	for (int i = 0; i < 50; i++)
		siege_ask_afresh(&siege);
	ck_assert(wire_wait(siege_is_over, &siege));
	siege.resident_kib = daemon_resident_kib(&siege.daemon);
	siege.descriptors = daemon_descriptors(&siege.daemon);
	siege.served = 0;
	return siege;
}

static inline struct siege siege_begin(const char *const *arguments)
{
	return siege_begin_in(&(struct daemon_surroundings){ 0 }, arguments);
}

/* The well-behaved client also keeps a connection alive from now on. */
static inline void siege_keep_alive(struct siege *siege)
{
	siege->kept = dial(siege->daemon.port, siege->from, 0);
}

/* Wait until a counter has reached a value. */
static inline void siege_wait_for(struct siege *siege, const char *sample, double at_least)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	double value;
	while ((value = daemon_metric(&siege->daemon, sample)) < at_least && wire_now_ms() < end) {
		siege_tick(siege);
		nap();
	}
	ck_assert_msg(value >= at_least, "%s is %g, not %g", sample, value, at_least);
}

static inline void siege_assert_metric(const struct siege *siege, const char *sample, double value)
{
	double found = daemon_metric(&siege->daemon, sample);
	ck_assert_msg(found == value, "%s is %g, not %g", sample, found, value);
}

/* `count` newcomers; the well-behaved client is served in between. */
static inline void siege_let_in(struct siege *siege, struct crowd *crowd, size_t first, size_t count, int receive_bytes)
{
	for (size_t i = first; i < first + count; i++) {
		crowd->clients[i].fd = dial(siege->daemon.port, NULL, receive_bytes);
		siege_tick(siege);
	}
}

/* Wait until no more than so many of the crowd are connected. */
static inline void siege_wait_connected(struct siege *siege, struct crowd *crowd, size_t at_most)
{
	long long end = wire_now_ms() + PATIENCE_MS;
	size_t left;
	while ((left = crowd_look(crowd)) > at_most && wire_now_ms() < end) {
		siege_tick(siege);
		nap();
	}
	ck_assert_msg(left <= at_most, "%zu of %zu are still connected", left, crowd->count);
}

/* Wait until all of the crowd have been sent away. */
static inline void siege_wait_closed(struct siege *siege, struct crowd *crowd)
{
	siege_wait_connected(siege, crowd, 0);
}

/* All is as it was before; the daemon ends well. The crowd has left. */
static inline void siege_end(struct siege *siege)
{
	siege_ask(siege);
	if (siege->kept >= 0)
		close(siege->kept);
	ck_assert_msg(wire_wait(siege_is_over, siege),
	    "the gauges are not back: idle %g, reading %g, writing %g, "
	    "closing %g, buffered %g",
	    daemon_metric(&siege->daemon, "http_connections{state=\"idle\"}"),
	    daemon_metric(&siege->daemon, "http_connections{state=\"reading\"}"),
	    daemon_metric(&siege->daemon, "http_connections{state=\"writing\"}"),
	    daemon_metric(&siege->daemon, "http_connections{state=\"closing\"}"),
	    daemon_metric(&siege->daemon, "pipit_buffered_bytes"));
	ck_assert_msg(wire_wait(siege_has_descriptors_back, siege), "%ld descriptors are open, %ld before",
	    daemon_descriptors(&siege->daemon), siege->descriptors);
	ck_assert_msg(wire_wait(siege_has_memory_back, siege), "%ld KiB are resident, %ld before",
	    daemon_resident_kib(&siege->daemon), siege->resident_kib);
	ck_assert_int_eq(daemon_stop(&siege->daemon), 0);
}

/* Thousands of connections need descriptors here; the daemon inherits the limit. As far as is allowed: a test that lacks some
 * says so by itself. */
static inline void raise_own_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

#endif
