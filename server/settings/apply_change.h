/* SPDX-License-Identifier: MIT */
/* Applies a change to the working copy: conditions, change, limits, check of the program. */
#ifndef PIPIT_APPLY_CHANGE_H
#define PIPIT_APPLY_CHANGE_H

#include "settings/change.h"
#include "settings/working_copy.h"

struct pipit_apply_check {
	pipit_settings_check *check; /* NULL: none */
	void *arg;
};

/* Sets the outcome. On an error the working copy is unchanged. */
void pipit_apply_change(
    struct pipit_working_copy *copy, struct pipit_change *change, const struct pipit_apply_check *check);

/* False: the outcome of the change is 422. */
bool pipit_apply_check(struct cJSON *tree, struct pipit_change *change, const struct pipit_apply_check *check);

#endif
