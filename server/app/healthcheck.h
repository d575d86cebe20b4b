/* SPDX-License-Identifier: MIT */
/* Ask a running server whether it is well: for containers that hold no other client. */
#ifndef PIPIT_HEALTHCHECK_H
#define PIPIT_HEALTHCHECK_H

#include <stddef.h>

/*
 * GET /healthz from the server at `address` ("ADDR:PORT"; 0.0.0.0 and [::] are asked on loopback), at most 2 s for each
 * step. 0 when it answers 200; otherwise -1 and one line in `error`.
 */
int pipit_healthcheck(const char *address, char *error, size_t size);

#endif
