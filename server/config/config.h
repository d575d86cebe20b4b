/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdio.h>

/* pipit_config_clear() frees the copy of the strings; after -ENOMEM there is nothing to clear. */
int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config);

/* Ranges, and options against each other. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* At most 80 columns. */
void pipit_config_print_help(FILE *out);

/* Lines of the configuration file, for --check. */
void pipit_config_print(const struct pipit_config *config, FILE *out);

/* For the documentation; a test compares both. */
void pipit_config_print_markdown(FILE *out);

/* "ADDR:PORT" or "[v6]:PORT"; the host is numeric, without brackets. */
int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
