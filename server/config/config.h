/* SPDX-License-Identifier: MIT */
/* Checks, copies and prints a whole struct pipit_config. */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdio.h>

/* Strings are copied, too; pipit_config_clear() frees them. 0; -ENOMEM and nothing to clear. */
int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config);

/* Ranges, and fields against each other. 0; -EINVAL and one line in `error`. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* At most 80 columns. */
void pipit_config_print_help(FILE *out);

/* Lines of the configuration file, for --check. */
void pipit_config_print(const struct pipit_config *config, FILE *out);

/* For the documentation; a test keeps both equal. */
void pipit_config_print_markdown(FILE *out);

/* "ADDR:PORT" or "[v6]:PORT"; a numeric host without brackets. 0 or -EINVAL. */
int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
