/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_CONFINE_H
#define PIPIT_CONFINE_H

#include "confine/credentials.h"

struct pipit_confinement;

/*
 * As pipit_confine(), with credentials that were found before; user and group of `confinement` are for the log only.
 *
 * is_strict: Landlock or seccomp that fails, although the kernel has it, is an error; otherwise a warning, and the process goes on
 *            without that restriction.
 */
int pipit_confine_to(const struct pipit_confinement *confinement, const struct pipit_credentials *credentials,
    bool is_strict, char *error, size_t size);

#endif
