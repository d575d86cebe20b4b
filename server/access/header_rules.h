/* SPDX-License-Identifier: MIT */
/* Headers that a configuration adds to replies, by path. */
#ifndef PIPIT_HEADER_RULES_H
#define PIPIT_HEADER_RULES_H

#include "pipit.h"

#include <stddef.h>

struct pipit_header_rules;

/*
 * lines: "PATTERN: Name: value" each; `*` in the pattern matches any bytes, also slashes (fnmatch(3)). 0; -EINVAL with a line in `error`;
 * -ENOMEM.
 */
int pipit_header_rules_new(const char *lines, struct pipit_header_rules **rules, char *error, size_t size);
void pipit_header_rules_free(struct pipit_header_rules *rules);

void pipit_header_rules_apply(const struct pipit_header_rules *rules, struct pipit_request *request);

#endif
