/* SPDX-License-Identifier: MIT */
/* Whether two JSON documents say the same. Pure. */
#ifndef PIPIT_EQUALITY_H
#define PIPIT_EQUALITY_H

#include <stdbool.h>

struct cJSON;

/*
 * Whether two documents say the same (RFC 6902 §4.6): members in any order, numbers by their exact value. Names are unique in each of
 * their objects.
 */
bool pipit_json_equals(const struct cJSON *one, const struct cJSON *other);

#endif
