/* SPDX-License-Identifier: MIT */
/* Configuration file, environment, command line: a later source overrides an earlier one. */
#ifndef PIPIT_OPTIONS_H
#define PIPIT_OPTIONS_H

#include "config/option.h"

#include <stdbool.h>

/* An error takes one line; what does not fit is cut. */
enum { PIPIT_OPTIONS_ERROR_BYTES = 32 * 1024 };

struct pipit_options {
	bool help;
	bool version;
	bool check;
	bool healthcheck;
	const char *test_certificate;      /* directory of --make-test-certificate; NULL: none */
	bool names_file;                   /* --config was given */
	const char *config_file;           /* or of PIPIT_CONFIG; NULL: none */
	struct pipit_option_origin origin; /* of `config`, which points to it; points into argv and the environment */
};

/*
 * File (--config FILE, else PIPIT_CONFIG): lines "key = value", with optional quotes "…"; '#' begins a comment line. A
 * repeated key is an error, except "listen".
 *
 * Environment: PIPIT_MAX_BODY_BYTES is --max-body-bytes; PIPIT_LISTEN holds addresses, separated by commas. An unknown
 * PIPIT_* is an error, unless Kubernetes sets it for a Service whose name begins with "pipit".
 *
 * Command line: "--name value" or "--name=value". With --help or --version only its form is checked.
 *
 * The first address of a source replaces those of earlier sources.
 *
 * config: initialised; to be cleared also after a failure. options: must live as long as `config`. environment: NULL-terminated; may be NULL. error: a line for
 * each error of all sources; options without an error are set.
 */
int pipit_options_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size);

/* Where the option was set; PIPIT_OPTION_PLACE_CALL: nowhere. "listen": its first address. */
const struct pipit_option_place *pipit_options_place(const struct pipit_options *options, const char *name);

#endif
