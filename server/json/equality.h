/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_EQUALITY_H
#define PIPIT_EQUALITY_H

#include <stdbool.h>

struct cJSON;

/* RFC 6902 §4.6: members in any order, numbers by exact value. Names are unique in each object. */
bool pipit_json_equals(const struct cJSON *one, const struct cJSON *other);

#endif
