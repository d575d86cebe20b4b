/* SPDX-License-Identifier: MIT */
/* UNIX sockets that listen, and their files. */
#ifndef PIPIT_UNIX_SOCKET_H
#define PIPIT_UNIX_SOCKET_H

#include "config/address.h"

/* The file of a socket that this process has bound. */
struct pipit_unix_socket_file {
	char path[sizeof(((struct pipit_address *)0)->path)]; /* "": none */
	int descriptor; /* O_PATH: until it is closed, no other file gets this inode number */
	pid_t owner;    /* a child process must not remove the file */
};

/*
 * Bind and listen. Clients are refused until the file has its owner and mode. A file that no process listens on is replaced.
 *
 * file:  receives what pipit_unix_socket_remove() needs; nothing of an abstract name.
 * error: receives the reason and what would be right.
 * Returns a non-blocking descriptor; -EADDRINUSE: a process listens there; another negative errno value.
 */
int pipit_unix_socket_open(
    const struct pipit_address *address, int backlog, struct pipit_unix_socket_file *file, char *error, size_t size);

/* Unless it belongs to another process by now. Clients that connect between a drain, which closes the sockets, and this are refused. */
void pipit_unix_socket_remove(struct pipit_unix_socket_file *file);

#endif
