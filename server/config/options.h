/* SPDX-License-Identifier: MIT */
/* Configuration file, environment and command line. A later source overrides an earlier one. */
#ifndef PIPIT_OPTIONS_H
#define PIPIT_OPTIONS_H

#include "pipit.h"

#include <stdbool.h>

struct pipit_options {
	bool help;
	bool version;
	bool check; /* print the configuration */
	bool healthcheck;
};

/*
 * File (--config FILE, else PIPIT_CONFIG), then variables PIPIT_* of `environment`, then command line.
 *
 * - Command line: "--name value" or "--name=value".
 * - Environment: PIPIT_MAX_BODY_BYTES is --max-body-bytes; PIPIT_LISTEN holds addresses, separated by commas. An
 *   unknown PIPIT_* is an error.
 * - File: lines "key = value", with optional quotes "…"; '#' begins a comment line. A repeated key is an error, except
 *   "listen".
 *
 * The first address of a source replaces those of earlier sources. With --help or --version only the form of the
 * command line is checked.
 *
 * config: initialised; the caller clears it also after a failure. environment: NULL-terminated; may be NULL. 0; -EINVAL
 * and one line in `error`.
 */
int pipit_options_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size);

#endif
