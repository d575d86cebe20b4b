/* SPDX-License-Identifier: MIT */
/* A listening socket on 127.0.0.1 for peers of run.py, with the same backlog for all. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK_BACKLOG 1024

/* port: in text, as from the command line. Returns a descriptor, or -1 with errno set. */
static inline int listen_on_loopback(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, LOOPBACK_BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

#endif
