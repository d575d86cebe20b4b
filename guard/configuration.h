/* SPDX-License-Identifier: MIT */
/* The configuration of the guard, which pipit-guard checks and the core uses. */
#ifndef PIPIT_GUARD_CONFIGURATION_H
#define PIPIT_GUARD_CONFIGURATION_H

#include "config/options.h"
#include "pipit.h"

struct guard_configuration {
	struct pipit_config config; /* of the guard of each evhttp; listens nowhere */
	struct pipit_options options;
	const char *metrics; /* ADDR:PORT; NULL: no listener */
};

/*
 * From the environment and the file that it names. 0, or -EINVAL after a line in the log for each error. guard: to be cleared in both
 * cases; must not move. Strings live as long as the environment.
 */
int guard_configuration_read(struct guard_configuration *guard);

void guard_configuration_clear(struct guard_configuration *guard);

/* With /metrics, /healthz, /events and the dashboard; listens. 0, or a negative errno value after lines in the log. */
int guard_configuration_open_metrics(const struct guard_configuration *guard, struct pipit_server **server);

#endif
