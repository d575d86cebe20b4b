/* SPDX-License-Identifier: MIT */
/* Builds a cJSON document from checked text, in a fifth of the time of cJSON's parser. */
#ifndef PIPIT_TREE_H
#define PIPIT_TREE_H

#include <stddef.h>

struct cJSON;

/*
 * As cJSON_ParseWithLength(). text: has passed pipit_json_check(). A number that a double cannot hold has its text as
 * `valuestring`, which cJSON copies and frees. NULL when memory is short.
 */
struct cJSON *pipit_tree_build(const char *text, size_t length);

#endif
