/* SPDX-License-Identifier: MIT */
/* The listeners of a server: those of `listen`, and behind them that of `admin_listen`. Each has a socket per worker. */
#ifndef PIPIT_LISTENERS_H
#define PIPIT_LISTENERS_H

#include "pipit.h"
#include "sockets/listening.h"

/* Zero, but for the configuration, until they are opened. */
struct pipit_listeners {
	const struct pipit_config *config; /* borrowed */
	size_t worker_count;
	int *sockets; /* owned; worker_count per listener; -1: taken, or not open */
	struct pipit_listening listening[PIPIT_LISTEN_MAX + 1];
};

/*
 * Logs every error, and returns the first one. may_be_in_use: an address in use is a warning. On failure, some are open:
 * pipit_listeners_close() follows.
 */
int pipit_listeners_open(struct pipit_listeners *listeners, size_t worker_count, bool may_be_in_use);

/* Closes what no worker has taken, and removes the files of UNIX sockets. Harmless when nothing is open, and twice. */
void pipit_listeners_close(struct pipit_listeners *listeners);

/* Closed before. */
void pipit_listeners_clear(struct pipit_listeners *listeners);

size_t pipit_listeners_count(const struct pipit_listeners *listeners);

bool pipit_listeners_is_admin(const struct pipit_listeners *listeners, size_t index);

/* As it is written in the configuration. */
const char *pipit_listeners_address(const struct pipit_listeners *listeners, size_t index);

/* Of an open listener, with the port that it got; NULL behind the last. */
const char *pipit_listeners_url(const struct pipit_listeners *listeners, size_t index);

/* Of the first one of `listen` that speaks TLS; 0: none. All are open. */
unsigned pipit_listeners_https_port(const struct pipit_listeners *listeners);

/* A socket stays the listeners' until a worker takes it. */
int pipit_listeners_socket(const struct pipit_listeners *listeners, size_t index, size_t worker);
int pipit_listeners_take_socket(struct pipit_listeners *listeners, size_t index, size_t worker);

/* Logs option and address, then what is wrong and what would be right. */
void pipit_listeners_log_error(const struct pipit_listeners *listeners, size_t index, const char *message);

#endif
