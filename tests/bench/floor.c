/* SPDX-License-Identifier: MIT */
/*
 * The lower limit for the servers of run.py: one epoll loop, one recv() and one send() for each readiness, and no parsing
 * except for blank lines. A server that needs less CPU time than this is a mistake of the measurement. It is no HTTP server:
 * a request that arrives in two parts is not answered.
 *
 * usage: floor PORT
 */
#include "loopback.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READY_MAX 256
#define RECEIVE_BYTES 65536
/* Answers that go out with one send(); longer bursts take several. */
#define BURST_MAX 64

/* As many headers as the other servers send; the date is a constant of the right length. */
#define ANSWER                                                                        \
	"HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" \
	"Content-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"message\":\"Hello, World!\"}"
#define ANSWER_BYTES (sizeof ANSWER - 1)

static char burst[BURST_MAX * ANSWER_BYTES];

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_client(int epoll, int listener)
{
	int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	watch(epoll, fd);
}

/* memchr() finds the ends of lines, because a loop over all bytes would be slower. */
static size_t count_blank_lines(const char *bytes, size_t length)
{
	const char *end = bytes + length;
	size_t count = 0;

	for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		count += end - at >= 3 && at[1] == '\r' && at[2] == '\n';
	return count;
}

static bool send_answers(int fd, size_t count)
{
	while (count > 0) {
		size_t part = count < BURST_MAX ? count : BURST_MAX;

		/* A full socket buffer ends the connection, so that wrk reports an error instead of waiting. */
		if (send(fd, burst, part * ANSWER_BYTES, MSG_NOSIGNAL) != (ssize_t)(part * ANSWER_BYTES))
			return false;
		count -= part;
	}
	return true;
}

static void answer(int fd)
{
	static char bytes[RECEIVE_BYTES];
	ssize_t length = recv(fd, bytes, sizeof bytes, 0);

	if (length <= 0 || !send_answers(fd, count_blank_lines(bytes, (size_t)length)))
		close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event ready[READY_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int listener = argc == 2 ? listen_on_loopback(argv[1]) : -1;

	if (listener < 0) {
		fprintf(stderr, "usage: floor PORT (a free one)\n");
		return 1;
	}
	for (size_t i = 0; i < BURST_MAX; i++)
		memcpy(burst + i * ANSWER_BYTES, ANSWER, ANSWER_BYTES);
	watch(epoll, listener);
	for (;;) {
		int count = epoll_wait(epoll, ready, READY_MAX, -1);

		for (int i = 0; i < count; i++) {
			if (ready[i].data.fd == listener)
				accept_client(epoll, listener);
			else
				answer(ready[i].data.fd);
		}
	}
}
