/* SPDX-License-Identifier: MIT */
/*
 * Changes of a JSON document: a value put or removed at a pointer, a merge patch (RFC 7396), a patch of operations (RFC 6902).
 * Each happens as a whole or not at all. Text is parsed, and what comes out printed, by others.
 *
 * A document owns all that is in it (no items of cJSON's that refer to others), and its numbers may carry their text as
 * `valuestring`. Where a name stands twice in an object, the first member counts; once it is changed or removed, the others
 * are gone.
 */
#ifndef PIPIT_PATCH_H
#define PIPIT_PATCH_H

#include "base/slice.h"

struct cJSON;

struct pipit_patch_limits {
	size_t
	    max_depth; /* arrays and objects within each other, in the whole document; as pipit_json_check() counts */
	size_t max_copied_bytes; /* how much "copy" may copy in one patch, roughly as printed */
	size_t max_operations;   /* in one patch (RFC 6902) */
};

enum pipit_patch_fault {
	PIPIT_PATCH_MALFORMED,     /* it is no patch: 400 */
	PIPIT_PATCH_UNPROCESSABLE, /* a patch, but one that can never be applied: 422 */
	PIPIT_PATCH_CONFLICT,      /* what is there does not allow it: 409 */
	PIPIT_PATCH_TEST_FAILED,   /* 409 */
	PIPIT_PATCH_TOO_LARGE      /* beyond the limits: 413 */
};

struct pipit_patch_error {
	enum pipit_patch_fault fault;
	/* What is wrong and what would be right: "operation 2 (replace): nothing is at "/a": expected …". Operations are counted from
	 * 1. UTF-8 in one line, with a NUL; of a long pointer it has the beginning. */
	char message[320];
};

/*
 * All of them: `pointer` is valid (pipit_pointer_is_valid()), and names the value that is changed within *doc, which is the whole
 * document; "" is all of it. Returns 0; -EINVAL and *error; -ENOMEM. On failure *doc is exactly as it was; on success it may be
 * another item than before.
 */

/*
 * Put a value in the place of another, or where none is yet: the parent must be there. In an array, its length or "-" appends.
 * value: taken on success only. *created: whether there was none before.
 */
int pipit_patch_put(struct cJSON **doc, struct pipit_slice pointer, struct cJSON *value,
    const struct pipit_patch_limits *limits, bool *created, struct pipit_patch_error *error);

/* Remove a value that is there; "" leaves an empty object. */
int pipit_patch_remove(struct cJSON **doc, struct pipit_slice pointer, struct pipit_patch_error *error);

/* Merge by RFC 7396 into a value that is there. Of members of one name in the patch the last counts. */
int pipit_patch_merge(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

/* Apply the operations of RFC 6902 to a value that is there; the pointers in them start from it. */
int pipit_patch_apply(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

#endif
