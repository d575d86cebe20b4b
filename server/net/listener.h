/* SPDX-License-Identifier: MIT */
/* From an address to a listening socket. */
#ifndef PIPIT_LISTENER_H
#define PIPIT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_config;

#define PIPIT_LISTENER_URL_SIZE 80

/*
 * Open `count` non-blocking listening sockets; several share the port (SO_REUSEPORT), and the kernel spreads connections over them.
 *
 * address: as --listen; port 0: a free one, the same for all. [::] accepts IPv4 too, unless ipv6_only is "on" or `listen` or
 *          admin_listen has an IPv4 address with that port. Without IPv6, it is 0.0.0.0.
 * config:  listen, admin_listen, ipv6_only, listen_backlog and defer_accept_ms.
 * fds:     receives `count` descriptors, the caller's to close.
 * url:     receives "http://ADDR:PORT" or "https://ADDR:PORT" with the actual port.
 * Returns 0, or a negative errno value with nothing open. A port on which another process listens is -EADDRINUSE, also with
 * SO_REUSEPORT: two daemons must not share clients by accident.
 */
int pipit_listener_open(
    const char *address, const struct pipit_config *config, int *fds, size_t count, char url[PIPIT_LISTENER_URL_SIZE]);

/* The address begins with "https://": connections speak TLS. */
bool pipit_listener_is_https(const char *address);

/* An IPv4 address on the port of `address`, for which that leaves all IPv4 addresses unserved; NULL: none. */
const char *pipit_listener_find_v4(const char *address, const struct pipit_config *config);

/* What to do after the error of pipit_listener_open(). */
const char *pipit_listener_advice(int error);

#endif
