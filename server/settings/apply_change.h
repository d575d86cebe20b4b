/* SPDX-License-Identifier: MIT */
/* A change, with its conditions, the limits, and the program's check. */
#ifndef PIPIT_APPLY_CHANGE_H
#define PIPIT_APPLY_CHANGE_H

#include "settings/change.h"
#include "settings/working_copy.h"

struct pipit_apply_check {
	pipit_settings_check *check;
	void *arg;
};

/* After an error the working copy is unchanged. */
void pipit_apply_change(
    struct pipit_working_copy *copy, struct pipit_change *change, const struct pipit_apply_check *check);

/* False: 422. */
bool pipit_apply_check(struct cJSON *tree, struct pipit_change *change, const struct pipit_apply_check *check);

#endif
