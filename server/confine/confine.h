/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_CONFINE_H
#define PIPIT_CONFINE_H

#include "confine/credentials.h"

struct pipit_confinement;

/* As pipit_confine(), with credentials that were found before; user and group of `confinement` are for the log only. */
int pipit_confine_to(
    const struct pipit_confinement *confinement, const struct pipit_credentials *credentials, char *error, size_t size);

#endif
