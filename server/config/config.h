/* SPDX-License-Identifier: MIT */
/*
 * A whole struct pipit_config: checked, and printed for --check, --help and the README. pipit_config_init(), _set() and
 * _clear() of pipit.h live here too. Where its values come from is options.h.
 */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdio.h>

/* With copies of all strings, which pipit_config_clear() frees. 0 or -ENOMEM, and then there is nothing to clear. */
int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config);

/* Check every field's range and the fields against each other. 0, or -EINVAL and one line in `error`. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* The text of --help: fits 80 columns, one line a option, units and defaults. */
void pipit_config_print_help(FILE *out);

/* Every option as "key = value" lines, as the file takes them: what --check prints. */
void pipit_config_print(const struct pipit_config *config, FILE *out);

/* The README's table of options in Markdown; a test keeps the README equal to it. */
void pipit_config_print_markdown(FILE *out);

/* "ADDR:PORT" or "[v6]:PORT" to a numeric host (without brackets) and a port. 0 or -EINVAL. */
int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
