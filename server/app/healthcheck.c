/* SPDX-License-Identifier: MIT */
#include "app/healthcheck.h"

#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h> /* struct timeval in musl */
#include <unistd.h>

#define STEP_SECONDS 2

static const char *connectable(const char *host)
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
	if (getaddrinfo(connectable(host), service, &hints, &address) != 0) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* also limits connect() */
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

static int request_health(int fd, char *reply, size_t size)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	size_t length = 0;

	if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
		return -1;
	while (length < size - 1) {
		ssize_t received = recv(fd, reply + length, size - 1 - length, 0);
		if (received < 0)
			return -1;
		if (received == 0)
			break;
		length += (size_t)received;
	}
	reply[length] = '\0';
	return 0;
}

static const char *printable(char *reply)
{
	char *at = reply;
	while (*at >= 0x20 && *at < 0x7f)
		at++;
	*at = '\0';
	return *reply ? reply : "not an HTTP response";
}

int pipit_healthcheck(const char *address, char *error, size_t size)
{
	char host[64], reply[16] = "";
	unsigned port;
	int fd, result;
	bool is_healthy;

	if (pipit_config_split_address(address, host, sizeof host, &port) != 0 || port == 0) {
		snprintf(error, size, "%s: not an address to connect to; use ADDR:PORT", address);
		return -1;
	}
	fd = connect_to(host, port);
	result = fd < 0 ? -1 : request_health(fd, reply, sizeof reply);
	is_healthy = result == 0 && strncmp(reply, "HTTP/1.1 200 ", 13) == 0;
	if (result != 0)
		/* of connect(), after SO_SNDTIMEO */
		snprintf(error, size, "%s: no reply: %s", address,
		    errno == EAGAIN || errno == EINPROGRESS ? "timed out" : strerror(errno));
	else if (!is_healthy)
		snprintf(
		    error, size, "%s: unhealthy: %s", address, *reply ? printable(reply) : "closed without a reply");
	if (fd >= 0)
		close(fd);
	return is_healthy ? 0 : -1;
}
