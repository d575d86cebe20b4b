/* SPDX-License-Identifier: MIT */
#include "sockets/inherited_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* SD_LISTEN_FDS_START */
#define FIRST_DESCRIPTOR 3

static int fail(int code, char *error, size_t size, const char *what)
{
	snprintf(error, size, "cannot be used: %s", what);
	return code;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof value;
	return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -errno;
}

/* LISTEN_FDS is for the process LISTEN_PID only: 0 for others. */
static long count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	return pid && count && strtol(pid, NULL, 10) == (long)getpid() ? strtol(count, NULL, 10) : 0;
}

/* -ENOENT: none; -EEXIST: several. */
static int find_name(const char *name)
{
	const char *names = getenv("LISTEN_FDNAMES");
	int found = -ENOENT;

	for (long i = 0, count = names ? count_passed() : 0; i < count; i++) {
		size_t length = strcspn(names, ":");
		if (length == strlen(name) && strncmp(names, name, length) == 0) {
			if (found >= 0)
				return -EEXIST;
			found = FIRST_DESCRIPTOR + (int)i;
		}
		if (names[length] == '\0')
			break;
		names += length + 1;
	}
	return found;
}

int pipit_inherited_socket_next(int fd)
{
	long count = count_passed();

	for (fd = fd < FIRST_DESCRIPTOR ? FIRST_DESCRIPTOR : fd + 1; fd < FIRST_DESCRIPTOR + count; fd++) {
		int listens = option(fd, SO_ACCEPTCONN);
		if (listens == 1)
			return fd;
		/* Their numbers have no gaps. */
		if (listens == -EBADF)
			return -1;
	}
	return -1;
}

static int check(int fd, char *error, size_t size)
{
	int type = option(fd, SO_TYPE), domain = option(fd, SO_DOMAIN);

	if (type == -EBADF)
		return fail(-EBADF, error, size,
		    "it is not open; use the number of a socket that the parent process passes, for systemd 3");
	if (type == -ENOTSOCK)
		return fail(-ENOTSOCK, error, size, "it is not a socket; use the number of a listening socket");
	if (type != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
		return fail(-EPROTOTYPE, error, size,
		    "it is not a stream socket of TCP or UNIX; use a listening one (ListenStream= of systemd)");
	if (option(fd, SO_ACCEPTCONN) != 1)
		return fail(
		    -EOPNOTSUPP, error, size, "the socket does not listen; use a listening one (Accept=no of systemd)");
	return 0;
}

/* Accepted sockets inherit TCP_NODELAY; a UNIX socket has none. */
static int set_up(int fd)
{
	int on = 1, flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	if (option(fd, SO_DOMAIN) != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return 0;
}

int pipit_inherited_socket_find(const struct pipit_address *address)
{
	return address->descriptor >= 0 ? address->descriptor : find_name(address->name);
}

int pipit_inherited_socket_take(const struct pipit_address *address, char *error, size_t size)
{
	int fd = pipit_inherited_socket_find(address), result;

	if (fd == -EEXIST)
		return fail(
		    fd, error, size, "LISTEN_FDNAMES has the name more than once; use the numbers, from fd://3 on");
	if (fd < 0)
		return fail(fd, error, size,
		    "LISTEN_FDNAMES does not have the name; use one that systemd passes (FileDescriptorName=), or a "
		    "number");
	result = check(fd, error, size);
	if (result == 0 && (result = set_up(fd)) != 0)
		return fail(result, error, size, strerror(-result));
	return result == 0 ? fd : result;
}
