/* SPDX-License-Identifier: MIT */
/* From the text of an address to the listening sockets of all workers. */
#ifndef PIPIT_LISTENING_H
#define PIPIT_LISTENING_H

#include "net/listener.h"
#include "sockets/unix_socket.h"

/* "http://ADDR:PORT", or "unix:" and a path. */
#define PIPIT_LISTENING_URL_SIZE 128
#define PIPIT_LISTENING_ERROR_SIZE 256

struct pipit_listening {
	char url[PIPIT_LISTENING_URL_SIZE];
	struct pipit_unix_socket_file file;
};

/*
 * As pipit_listener_open(). The descriptors for a UNIX socket or an inherited one are duplicates: all workers accept from one queue,
 * and the kernel wakes each of them that waits. On failure, an inherited descriptor stays open.
 *
 * error: of PIPIT_LISTENING_ERROR_SIZE, receives the reason and what would be right.
 */
int pipit_listening_open(const char *address, const struct pipit_config *config, int *fds, size_t count,
    struct pipit_listening *listening, char *error);

bool pipit_listening_is_inherited(const char *address);

/* The descriptor that an inherited address names, open or not; a negative errno value: none. */
int pipit_listening_find_inherited(const char *address);

/* Logs which sockets of systemd are in no address: their clients would wait. Before other sockets are open. */
void pipit_listening_warn_of_unused(const struct pipit_config *config);

/* Logs it if this address accepts IPv6 only, because of another one. */
void pipit_listening_warn_of_v6_only(const char *address, const struct pipit_config *config);

/* Removes the file of a UNIX socket. */
void pipit_listening_end(struct pipit_listening *listening);

#endif
