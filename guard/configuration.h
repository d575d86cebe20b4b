/* SPDX-License-Identifier: MIT */
/* The configuration of the guard, which pipit-guard checks and the core uses. */
#ifndef PIPIT_GUARD_CONFIGURATION_H
#define PIPIT_GUARD_CONFIGURATION_H

#include "config/options.h"
#include "net/listener.h"
#include "pipit.h"

#include <stdio.h>
#include <sys/socket.h>

/* Of pipit-guard. NULL: not given. */
struct guard_flags {
	const char *metrics;
	const char *config;
};

struct guard_configuration {
	struct pipit_config config; /* of the guard of each evhttp; listens nowhere */
	struct pipit_options options;
	const char *metrics; /* ADDR:PORT; NULL: no listener */
	bool is_metrics_flag;
};

/*
 * From flags, then the environment, and the file that they name. flags: NULL: none. 0, or -EINVAL after a line in the log for each
 * error. guard: to be cleared in both cases; must not move. Strings live as long as flags and environment.
 */
int guard_configuration_read(
    struct guard_configuration *guard, char *const *environment, const struct guard_flags *flags);

/* Lines of the configuration file, for --check. */
void guard_configuration_print(const struct guard_configuration *guard, FILE *out);

/* It has no effect on a guarded program. */
bool guard_configuration_refuses(const struct pipit_option *option);

void guard_configuration_clear(struct guard_configuration *guard);

struct guard_metrics {
	struct pipit_server *server; /* with the dashboard and what it links to; NULL: none */
	int fd;                      /* listens; -1: taken by a worker of the server */
	char url[PIPIT_LISTENER_URL_SIZE];
	struct sockaddr_storage address;
};

/* 0, or a negative errno value after lines in the log. */
int guard_configuration_open_metrics(const struct guard_configuration *guard, struct guard_metrics *metrics);

/* The program could not bind this address, which may be NULL for any. Logs an error if the metrics listen there. */
void guard_configuration_report_bind(
    const struct guard_configuration *guard, const struct guard_metrics *metrics, const char *address, uint16_t port);

void guard_configuration_close_metrics(struct guard_metrics *metrics);

#endif
