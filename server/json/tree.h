/* SPDX-License-Identifier: MIT */
/*
 * The cJSON document of a text that is known to be valid JSON. Nothing is judged here: json.c has done that, so that this is a
 * fifth of the work of cJSON's own parser, and what that gets wrong (raw control characters, numbers that it cuts) is out of reach.
 */
#ifndef PIPIT_TREE_H
#define PIPIT_TREE_H

#include <stddef.h>

struct cJSON;

/*
 * As cJSON_ParseWithLength() makes it, item by item, of a text that has passed pipit_json_check(). A number that a double cannot
 * hold has its text, to the letter, as valuestring beside valuedouble; cJSON copies and frees it with the item.
 * The caller's, cJSON_Delete(); NULL when memory is short.
 */
struct cJSON *pipit_tree_build(const char *text, size_t length);

#endif
