/* SPDX-License-Identifier: MIT */
/* See listener.h. */
#include "net/listener.h"

#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct address {
	struct sockaddr_storage bytes;
	socklen_t length;
};

static int parse_address(const char *text, struct address *address)
{
	char host[64];
	unsigned port;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address->bytes;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->bytes;

	memset(address, 0, sizeof *address);
	if (pipit_config_split_address(text, host, sizeof host, &port) != 0)
		return -EINVAL;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		address->length = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		address->length = sizeof *v6;
		return 0;
	}
	return -EINVAL;
}

static unsigned port_of(const struct address *address)
{
	return address->bytes.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&address->bytes)->sin6_port)
						    : ntohs(((const struct sockaddr_in *)&address->bytes)->sin_port);
}

/* A bound socket, or a negative errno value; *address then has the port. */
static int bind_socket(struct address *address, bool share_port)
{
	int on = 1, error;
	int fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    (!share_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
	    /* "[::]:80" is possible beside "0.0.0.0:80". */
	    (address->bytes.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
	    /* Accepted sockets inherit it. */
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&address->bytes, address->length) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address->bytes, &address->length) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static void print_url(const struct address *address, char url[PIPIT_LISTENER_URL_SIZE])
{
	char host[INET6_ADDRSTRLEN] = "";
	if (address->bytes.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&address->bytes)->sin6_addr, host, sizeof host);
		snprintf(url, PIPIT_LISTENER_URL_SIZE, "http://[%s]:%u", host, port_of(address));
	} else {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&address->bytes)->sin_addr, host, sizeof host);
		snprintf(url, PIPIT_LISTENER_URL_SIZE, "http://%s:%u", host, port_of(address));
	}
}

/* A socket with SO_REUSEPORT may join another process's: bind one without first. The bind after it fails if the port was taken since. */
static int probe(struct address *address)
{
	int error = 0, fd = bind_socket(address, false);
	if (fd < 0)
		return fd;
	if (listen(fd, 1) != 0)
		error = -errno;
	close(fd);
	return error;
}

/* A system without TCP_DEFER_ACCEPT accepts at once. */
static int start_listening(int fd, const struct pipit_config *config)
{
	int seconds = (int)((config->defer_accept_ms + 999) / 1000);
	if (seconds)
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
	return listen(fd, (int)config->listen_backlog) == 0 ? 0 : -errno;
}

int pipit_listener_open(
    const char *text, const struct pipit_config *config, int *fds, size_t count, char url[PIPIT_LISTENER_URL_SIZE])
{
	struct address address;
	bool share_port = count > 1;
	int error = parse_address(text, &address);
	size_t opened = 0;

	if (error == 0 && share_port)
		error = probe(&address);
	while (error == 0 && opened < count) {
		fds[opened] = bind_socket(&address, share_port);
		if (fds[opened] < 0)
			error = fds[opened];
		else
			error = start_listening(fds[opened++], config);
	}
	if (error != 0) {
		while (opened)
			close(fds[--opened]);
		return error;
	}
	print_url(&address, url);
	return 0;
}
