/* SPDX-License-Identifier: MIT */
/*
 * The children of one large array or object, found without a walk of cJSON's list. The index follows changes that are
 * reported to it.
 */
#ifndef PIPIT_CHILD_INDEX_H
#define PIPIT_CHILD_INDEX_H

#include "base/slice.h"

struct cJSON;
struct pipit_child_index;

/* Of an array or object. NULL: no memory. Of members with one name the first is found. */
struct pipit_child_index *pipit_child_index_new(const struct cJSON *container);

void pipit_child_index_free(struct pipit_child_index *index);

/* The first member whose name an earlier one has; NULL: none. */
const struct cJSON *pipit_child_index_duplicate(const struct pipit_child_index *index);

/* name: unescaped. NULL: none. */
struct cJSON *pipit_child_index_member(const struct pipit_child_index *index, struct pipit_slice name);

/* NULL: beyond the end. */
struct cJSON *pipit_child_index_element(const struct pipit_child_index *index, size_t number);

/* Of elements. */
size_t pipit_child_index_length(const struct pipit_child_index *index);

/* Changes of members. `old` and an added item have their names. False: no memory; free the index. */
bool pipit_child_index_add_member(struct pipit_child_index *index, const struct cJSON *item);
void pipit_child_index_remove_member(struct pipit_child_index *index, const struct cJSON *old);
void pipit_child_index_replace_member(
    struct pipit_child_index *index, const struct cJSON *old, const struct cJSON *item);

/* Changes of elements. A removed one is not taken out yet. */
void pipit_child_index_insert_element(struct pipit_child_index *index, size_t number, struct cJSON *item);
void pipit_child_index_remove_element(struct pipit_child_index *index, size_t number);
void pipit_child_index_replace_element(struct pipit_child_index *index, size_t number, struct cJSON *item);

#endif
