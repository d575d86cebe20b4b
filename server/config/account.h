/* SPDX-License-Identifier: MIT */
/* Users and groups by name or number. */
#ifndef PIPIT_ACCOUNT_H
#define PIPIT_ACCOUNT_H

#include <sys/types.h>

/*
 * A number need not be known to the system; *group is then the number, too. Otherwise *group is the user's own one.
 * 0; -ENOENT: unknown; another negative errno value: the system could not look.
 */
int pipit_account_find_user(const char *text, uid_t *user, gid_t *group);

int pipit_account_find_group(const char *text, gid_t *group);

#endif
