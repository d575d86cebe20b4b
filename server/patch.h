/* SPDX-License-Identifier: MIT */
/*
 * Changes of a JSON document: one value set or removed, a merge patch (RFC 7396), a JSON Patch (RFC 6902). All or nothing. Pure but for
 * memory.
 *
 * A library beside cJSON does the like, but leaves half a patch behind, and compares numbers as doubles.
 */
#ifndef PIPIT_PATCH_H
#define PIPIT_PATCH_H

#include "slice.h"

#include <stdbool.h>

struct cJSON;

struct pipit_patch_limits {
	size_t max_depth;      /* arrays and objects within each other, in the whole document */
	size_t max_bytes;      /* roughly as printed: what all "copy" operations of a patch may copy */
	size_t max_operations; /* of a JSON Patch */
};

enum pipit_patch_fault {
	PIPIT_PATCH_MALFORMED,     /* it is no patch */
	PIPIT_PATCH_UNPROCESSABLE, /* it is one that no document can take */
	PIPIT_PATCH_CONFLICT,      /* this document cannot, as it is now */
	PIPIT_PATCH_TEST_FAILED,
	PIPIT_PATCH_TOO_LARGE /* see the limits */
};

struct pipit_patch_error {
	enum pipit_patch_fault fault;
	char message[320]; /* what is wrong, and in which operation */
};

/*
 * All of these change the value that `pointer` (a valid one) names within *doc, and return 0; -EINVAL and *error; or -ENOMEM. On failure
 * *doc is as it was. Numbers keep their text (see json.h).
 */

/* Set the value, which is taken on success; its parent must be there. An array's length, or "-", appends. *is_created: it was not there. */
int pipit_patch_put(struct cJSON **doc, struct pipit_slice pointer, struct cJSON *value,
    const struct pipit_patch_limits *limits, bool *is_created, struct pipit_patch_error *error);

/* Remove it; of the whole an empty object stays. */
int pipit_patch_remove(struct cJSON **doc, struct pipit_slice pointer, struct pipit_patch_error *error);

int pipit_patch_merge(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

/* The pointers in the patch begin at the value. */
int pipit_patch_apply(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

#endif
