/* SPDX-License-Identifier: MIT */
/* From root to another user. */
#ifndef PIPIT_CREDENTIALS_H
#define PIPIT_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pipit_credentials {
	bool changes; /* false: the process has them already, and the functions below do nothing */
	uid_t user;
	gid_t group;
};

/*
 * user, group: a name or a number, see pipit_confine(); may be NULL.
 * error: receives 'user = "VALUE": ' or 'group = "VALUE": ', the reason, and what would be right.
 * 0; -EINVAL; -EPERM: the process is not root; -ENOENT: unknown.
 */
int pipit_credentials_find(
    const char *user, const char *group, struct pipit_credentials *credentials, char *error, size_t size);

/* Open files with the rights of the user; then become root again. Of all threads. */
int pipit_credentials_borrow(const struct pipit_credentials *credentials);
int pipit_credentials_give_back(const struct pipit_credentials *credentials);

/* For good, without supplementary groups. Checks that root cannot be regained. Of all threads. */
int pipit_credentials_drop(const struct pipit_credentials *credentials);

#endif
