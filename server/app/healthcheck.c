/* SPDX-License-Identifier: MIT */
/* A client of one request, blocking, on plain sockets. */
#include "app/healthcheck.h"

#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP_SECONDS 2

static const char *reachable(const char *host)
{
	if (strcmp(host, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(host, "::") == 0 ? "::1" : host;
}

static int connect_to(const char *host, unsigned port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *address;
	struct timeval limit = { STEP_SECONDS, 0 };
	char service[12];
	int fd;

	snprintf(service, sizeof service, "%u", port);
	if (getaddrinfo(reachable(host), service, &hints, &address) != 0) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The send limit is also that of connect(). */
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
			   setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
			   connect(fd, address->ai_addr, address->ai_addrlen) != 0)) {
		int error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	freeaddrinfo(address);
	return fd;
}

/* The first bytes of the answer, enough for its status. */
static int ask(int fd, char *answer, size_t size)
{
	static const char question[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	size_t length = 0;

	if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) != sizeof question - 1)
		return -1;
	while (length < size - 1) {
		ssize_t received = recv(fd, answer + length, size - 1 - length, 0);
		if (received < 0)
			return -1;
		if (received == 0)
			break;
		length += (size_t)received;
	}
	answer[length] = '\0';
	return 0;
}

/* The first line, as far as it can be shown to a person. */
static const char *printable(char *answer)
{
	char *at = answer;
	while (*at >= 0x20 && *at < 0x7f)
		at++;
	*at = '\0';
	return *answer ? answer : "what it says is not HTTP";
}

int pipit_healthcheck(const char *address, char *error, size_t size)
{
	char host[64], answer[16] = "";
	unsigned port;
	int fd, result;
	bool is_well;

	if (pipit_config_split_address(address, host, sizeof host, &port) != 0 || port == 0) {
		snprintf(error, size, "%s: not an address that can be asked; use ADDR:PORT", address);
		return -1;
	}
	fd = connect_to(host, port);
	result = fd < 0 ? -1 : ask(fd, answer, sizeof answer);
	is_well = result == 0 && strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
	if (result != 0)
		/* EINPROGRESS is what connect() says when the send limit has passed. */
		snprintf(error, size, "%s: no answer: %s", address,
		    errno == EAGAIN || errno == EINPROGRESS ? "timed out" : strerror(errno));
	else if (!is_well)
		snprintf(
		    error, size, "%s: not well: %s", address, *answer ? printable(answer) : "closed without an answer");
	if (fd >= 0)
		close(fd);
	return is_well ? 0 : -1;
}
