/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdio.h>

struct pipit_option_error;
struct pipit_option_origin;

/* pipit_config_clear() frees the copy of the strings; after -ENOMEM there is nothing to clear. */
int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config);

/* Ranges, and options against each other. A line for each error. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* The same, naming the place of each option. `origin` may be NULL. */
int pipit_config_check_at(const struct pipit_config *config, const struct pipit_option_origin *origin,
    struct pipit_option_error *error);

/* One message per line. */
void pipit_config_log_errors(const char *lines);

/* At most 80 columns. */
void pipit_config_print_help(FILE *out);

/* Lines of the configuration file, for --check. */
void pipit_config_print(const struct pipit_config *config, FILE *out);

/* For the documentation; a test compares both. */
void pipit_config_print_markdown(FILE *out);

/* As --listen; the host is numeric, without brackets. */
int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
