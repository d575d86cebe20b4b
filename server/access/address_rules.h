/* SPDX-License-Identifier: MIT */
/* Which client addresses may request which paths: the options `allow` and `deny`. Pure; constant once indexed. */
#ifndef PIPIT_ADDRESS_RULES_H
#define PIPIT_ADDRESS_RULES_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct pipit_address_rules;

/* NULL: out of memory. */
struct pipit_address_rules *pipit_address_rules_new(void);
void pipit_address_rules_free(struct pipit_address_rules *rules);

/*
 * line: "[PREFIX] NETWORK ...". Returns 0; -EINVAL with what would be right in `error`; -ENOMEM. After an error, more lines may only be
 * added to see their errors.
 */
int pipit_address_rules_add(
    struct pipit_address_rules *rules, struct pipit_slice line, bool allows, char *error, size_t error_size);

/* After the last line, and once. Returns 0; -EINVAL when a network is allowed and denied; -ENOMEM. */
int pipit_address_rules_index(struct pipit_address_rules *rules, char *error, size_t error_size);

/*
 * client: NULL is a UNIX socket. path: as sent. Of the prefixes that cover the path, the longest decides: by its smallest network that
 * contains the client; if none does, it refuses when it allows others, else the next longest decides. What no rule decides is allowed.
 * Returns 0; -EACCES; -ENOMEM.
 */
int pipit_address_rules_check(
    const struct pipit_address_rules *rules, const struct sockaddr *client, struct pipit_slice path);

#endif
