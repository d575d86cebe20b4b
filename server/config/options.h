/* SPDX-License-Identifier: MIT */
/*
 * Reads the configuration file, the environment and the command line into struct pipit_config. A later source overrides
 * an earlier one. An error ends start-up with one line: the place, the option, its value, and what would be right.
 */
#ifndef PIPIT_OPTIONS_H
#define PIPIT_OPTIONS_H

#include "pipit.h"

#include <stdbool.h>

/* Commands of the command line. */
struct pipit_options {
	bool help;
	bool version;
	bool check; /* print the configuration, then exit */
	bool healthcheck;
};

/*
 * Read the configuration file (--config FILE, else PIPIT_CONFIG), then variables PIPIT_* of `environment`, then the
 * command line.
 *
 * - Command line: "--name value" or "--name=value". --listen may be repeated.
 * - Environment: PIPIT_MAX_BODY_BYTES is --max-body-bytes. PIPIT_LISTEN may hold several addresses, separated by
 *   commas. An unknown PIPIT_* variable is an error.
 * - File: lines "key = value", where the key is the option without dashes and the value may have quotes "…". '#' begins
 *   a comment line; empty lines are skipped. A repeated key is an error, except "listen".
 *
 * The first address of a source replaces all addresses of earlier sources. With --help or --version only the form of
 * the command line is checked.
 *
 * @param config       initialised by pipit_config_init(), possibly changed; the caller clears it also after a failure
 * @param environment  NULL-terminated; may be NULL
 * @return 0, or -EINVAL and one line in `error`, for example
 *
 *     /etc/pipit.conf:3: max-body-bytes = "12q": not a size; use a number with an optional k, m or g, for example 1m
 *     environment: PIPIT_WORKERS = "-1": out of range; use 0 to 256
 *     --max-fields 9999: out of range; use 1 to 256
 *     --lisen: unknown option; did you mean --listen?
 */
int pipit_options_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size);

#endif
