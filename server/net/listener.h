/* SPDX-License-Identifier: MIT */
/* From an address to a listening socket. Knows sockets only: no libevent, no HTTP. */
#ifndef PIPIT_LISTENER_H
#define PIPIT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_config;

#define PIPIT_LISTENER_URL_SIZE 80

/*
 * Bind `count` sockets to one address, all listening, non-blocking and close-on-exec; with more than one they share the
 * port by SO_REUSEPORT, and the kernel spreads connections over them.
 *
 * address: "ADDR:PORT" or "[v6]:PORT", numeric; port 0 takes a free one, the same for all sockets.
 * config:  its listen_backlog and defer_accept_ms count.
 * fds:     receives `count` descriptors, the caller's to close.
 * url:     receives "http://ADDR:PORT" with the port that was taken.
 * Returns 0 or a negative errno value (nothing is open then). A port that another process listens on is -EADDRINUSE, also
 * when that process uses SO_REUSEPORT: two daemons must not share clients by accident.
 */
int pipit_listener_open(
    const char *address, const struct pipit_config *config, int *fds, size_t count, char url[PIPIT_LISTENER_URL_SIZE]);

#endif
