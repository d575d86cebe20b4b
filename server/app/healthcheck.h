/* SPDX-License-Identifier: MIT */
/* Health check of a running server, for containers without another client. */
#ifndef PIPIT_HEALTHCHECK_H
#define PIPIT_HEALTHCHECK_H

#include <stddef.h>

/*
 * GET /healthz from the server at `address` ("ADDR:PORT"; loopback instead of 0.0.0.0 and [::]), with 2 s per step. 0
 * on status 200; otherwise -1 and one line in `error`.
 */
int pipit_healthcheck(const char *address, char *error, size_t size);

#endif
