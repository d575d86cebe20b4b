/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_HEALTHCHECK_H
#define PIPIT_HEALTHCHECK_H

#include <stddef.h>

struct pipit_config;

/* GET /healthz from "ADDR:PORT" (0.0.0.0 and [::]: loopback) or "unix:/PATH", at most 2 s per step. 0 on status 200, otherwise -1. */
int pipit_healthcheck(const char *address, char *error, size_t size);

/*
 * Names an abstract socket after the server's address, so that a health check in the same container finds it: with the
 * container's network and mount namespace. The kernel removes the name when the process ends.
 *
 * url: of pipit_server_url(), with ",proxy-protocol" where connections begin with that. Returns a descriptor, or a negative errno value.
 */
int pipit_healthcheck_publish(const char *url);

/*
 * The server of this container, wherever it listens: the configured address if a server has published it or none has published
 * any; otherwise all published ones, which must all be healthy.
 */
int pipit_healthcheck_find(const struct pipit_config *config, char *error, size_t size);

#endif
