/* SPDX-License-Identifier: MIT */
/* Configuration file, environment, command line: a later source overrides an earlier one. */
#ifndef PIPIT_OPTIONS_H
#define PIPIT_OPTIONS_H

#include "pipit.h"

#include <stdbool.h>

struct pipit_options {
	bool help;
	bool version;
	bool check;
	bool healthcheck;
};

/*
 * File (--config FILE, else PIPIT_CONFIG): lines "key = value", with optional quotes "…"; '#' begins a comment line. A
 * repeated key is an error, except "listen".
 *
 * Environment: PIPIT_MAX_BODY_BYTES is --max-body-bytes; PIPIT_LISTEN holds addresses, separated by commas. An unknown
 * PIPIT_* is an error.
 *
 * Command line: "--name value" or "--name=value". With --help or --version only its form is checked.
 *
 * The first address of a source replaces those of earlier sources.
 *
 * config: initialised; to be cleared also after a failure. environment: NULL-terminated; may be NULL.
 */
int pipit_options_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size);

#endif
