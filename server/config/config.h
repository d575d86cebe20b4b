/* SPDX-License-Identifier: MIT */
/*
 * A whole struct pipit_config: checking and printing. Implements pipit_config_init(), pipit_config_set() and
 * pipit_config_clear() of pipit.h. options.h reads the values from file, environment and command line.
 */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdio.h>

/* Copy all fields and strings; pipit_config_clear() frees the copies. 0; -ENOMEM and nothing to clear. */
int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config);

/* Check the range of every field, and fields against each other. 0, or -EINVAL and one line in `error`. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* The text of --help, in 80 columns. */
void pipit_config_print_help(FILE *out);

/* Every option as a line "key = value" of the configuration file, for --check. */
void pipit_config_print(const struct pipit_config *config, FILE *out);

/* The table of options in Markdown, for the documentation; a test keeps both equal. */
void pipit_config_print_markdown(FILE *out);

/* "ADDR:PORT" or "[v6]:PORT" to a numeric host without brackets, and a port. 0 or -EINVAL. */
int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
