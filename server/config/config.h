/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_CONFIG_H
#define PIPIT_CONFIG_H

#include "pipit.h"

#include <stdio.h>

struct pipit_option;
struct pipit_option_error;

/* pipit_config_clear() frees the copy of the strings; after -ENOMEM there is nothing to clear. */
int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config);

/* Ranges, and options against each other. A line for each error. */
int pipit_config_check(const struct pipit_config *config, char *error, size_t size);

/* The same, adding lines. */
int pipit_config_check_into(const struct pipit_config *config, struct pipit_option_error *error);

/*
 * A message that begins with the name of an option, as 'root = "VALUE": ...' or 'root: ...', in the notation of the place
 * where that option was set: "--root VALUE: ...". Other messages are copied.
 */
void pipit_config_locate(const struct pipit_config *config, const char *message, char *out, size_t size);

/* False: each address that was given is wrong, and `listen` is still the default. */
bool pipit_config_has_address(const struct pipit_config *config);

/* An error about an option, in that notation. */
void pipit_config_log_error(const struct pipit_config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --log-level and --log-format, for the whole process. */
void pipit_config_set_up_log(const struct pipit_config *config);

/* One message per line. */
void pipit_config_log_errors(const char *lines);

/* At most 80 columns. */
void pipit_config_print_help(FILE *out);

/* Lines of the configuration file, for --check. */
void pipit_config_print(const struct pipit_config *config, FILE *out);
void pipit_config_print_option(const struct pipit_config *config, const struct pipit_option *option, FILE *out);

/* For the documentation; a test compares both. */
void pipit_config_print_markdown(FILE *out);

/* An address in `listen` begins with "https://". */
bool pipit_config_has_https(const struct pipit_config *config);

#endif
