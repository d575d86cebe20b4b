/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_HEALTHCHECK_H
#define PIPIT_HEALTHCHECK_H

#include <stddef.h>

/* GET /healthz from "ADDR:PORT" (0.0.0.0 and [::]: loopback), at most 2 s per step. 0 on status 200, otherwise -1. */
int pipit_healthcheck(const char *address, char *error, size_t size);

#endif
