/* SPDX-License-Identifier: MIT */
/*
 * From text to struct pipit_config: a table of every knob (name, kind, default, range, one line of help), read by the
 * command line, the environment, the configuration file, --help and the README's table. pipit_config_init(), _set() and
 * _clear() of pipit.h live here too.
 *
 * Precedence: file < environment < flags. Everything wrong ends start-up with one line that names where it stood, the key,
 * the value and what would be right.
 */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdbool.h>
#include <stdio.h>

/* What the command line asks for besides the knobs. */
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
 * addresses separated by commas.
 *
 * config: initialised by pipit_config_init() and possibly changed by the caller (other defaults).
 * Returns 0, or -EINVAL and `error` holds one line, for example
 *   /etc/pipit.conf:3: max-body-bytes = "12q": not a size; use a number with an optional k, m or g, for example 1m
 *   environment: PIPIT_WORKERS = "-1": out of range; use 0 to 256
 *   --max-fields 9999: out of range; use 1 to 256
 *   --lisen: unknown option; did you mean --listen?
 */
int pipit_config_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size);

/* Check every field's range and the fields against each other. 0, or -EINVAL and one line in `error`. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* The text of --help: fits 80 columns, one line a knob, units and defaults. */
void pipit_config_print_help(FILE *out);

/* Every knob as "key = value" lines, as the file takes them: what --check prints. */
void pipit_config_print(const struct pipit_config *config, FILE *out);

/* The README's table of knobs in Markdown; a test keeps the README equal to it. */
void pipit_config_print_markdown(FILE *out);

/* "ADDR:PORT" or "[v6]:PORT" to a numeric host (without brackets) and a port. 0 or -EINVAL. */
int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
