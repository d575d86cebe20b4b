/* SPDX-License-Identifier: MIT */
/*
 * What a process was started with, into struct pipit_config: the configuration file, the environment and the command line.
 * A later one wins: file < environment < flags. Everything wrong ends start-up with one line that names where it stood, the
 * key, the value and what would be right.
 */
#ifndef PIPIT_OPTIONS_H
#define PIPIT_OPTIONS_H

#include "pipit.h"

#include <stdbool.h>

/* What the command line asks for besides the options. */
struct pipit_options {
	bool help;        /* --help, -h */
	bool version;     /* --version, -V */
	bool check;       /* --check: read the configuration, say whether it is right, exit */
	bool healthcheck; /* --healthcheck */
};

/*
 * Read everything: the configuration file (--config FILE, else PIPIT_CONFIG), then PIPIT_* of `environment`, then flags.
 * "--name value" and "--name=value" are both taken; --listen may be repeated; a later source replaces all addresses of an
 * earlier one. File: "key = value" lines, '#' begins a comment line, empty lines are skipped, values may be quoted with
 * "…"; keys are the flags' names without dashes; a repeated key other than listen is an error.
 * PIPIT_MAX_BODY_BYTES is the flag --max-body-bytes; an unknown PIPIT_* name is an error; PIPIT_LISTEN may hold several
 * addresses separated by commas. With --help or --version nothing but the command line's own form is looked at.
 *
 * config: initialised by pipit_config_init() and possibly changed by the caller (other defaults). To be cleared by
 * pipit_config_clear(), also after a failure. environment: ended by NULL, may be NULL.
 * Returns 0, or -EINVAL and `error` holds one line, for example
 *   /etc/pipit.conf:3: max-body-bytes = "12q": not a size; use a number with an optional k, m or g, for example 1m
 *   environment: PIPIT_WORKERS = "-1": out of range; use 0 to 256
 *   --max-fields 9999: out of range; use 1 to 256
 *   --lisen: unknown option; did you mean --listen?
 */
int pipit_options_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size);

#endif
