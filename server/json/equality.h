/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_EQUALITY_H
#define PIPIT_EQUALITY_H

#include <stdbool.h>

struct cJSON;

/*
 * Whether two documents are equal (RFC 6902 §4.6): members in any order, numbers by their exact value. Names must be unique in each
 * object. Pure.
 */
bool pipit_json_equals(const struct cJSON *one, const struct cJSON *other);

#endif
