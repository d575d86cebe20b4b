/* SPDX-License-Identifier: MIT */
/* Sockets that the parent process opened: a number, or a name in the variables of systemd's socket activation, sd_listen_fds(3). */
#ifndef PIPIT_INHERITED_SOCKET_H
#define PIPIT_INHERITED_SOCKET_H

#include "config/address.h"

/* Its descriptor, which may not be open; -ENOENT: LISTEN_FDNAMES does not have the name; -EEXIST: more than once. */
int pipit_inherited_socket_find(const struct pipit_address *address);

/* The first socket that systemd has passed, and that listens, above `fd`; -1: none. */
int pipit_inherited_socket_next(int fd);

/*
 * error: receives the reason and what would be right.
 * Returns the descriptor, non-blocking and closed by exec(), or a negative errno value: it is not a stream socket that listens.
 */
int pipit_inherited_socket_take(const struct pipit_address *address, char *error, size_t size);

#endif
