/* SPDX-License-Identifier: MIT */
/*
 * Atomic changes of a cJSON document: put or remove a value at a pointer, JSON Merge Patch (RFC 7396), JSON Patch (RFC 6902).
 *
 * A document owns all its items (no cJSON references). Its numbers may have their text as `valuestring`. Of members with one name, the
 * first counts; when it is changed or removed, the others are removed.
 */
#ifndef PIPIT_PATCH_H
#define PIPIT_PATCH_H

#include "base/slice.h"

struct cJSON;

struct pipit_patch_limits {
	size_t max_depth;        /* nesting of the whole document, as in pipit_json_limits */
	size_t max_copied_bytes; /* by all "copy" operations of a patch, about as printed */
	size_t max_operations;   /* of a JSON Patch */
};

enum pipit_patch_fault {
	PIPIT_PATCH_MALFORMED,     /* not a patch: 400 */
	PIPIT_PATCH_UNPROCESSABLE, /* a patch that fits no document: 422 */
	PIPIT_PATCH_CONFLICT,      /* a patch that does not fit this document: 409 */
	PIPIT_PATCH_TEST_FAILED,   /* 409 */
	PIPIT_PATCH_TOO_LARGE      /* exceeds a limit: 413 */
};

struct pipit_patch_error {
	enum pipit_patch_fault fault;
	/* What is wrong and what would be right: "operation 2 (replace): there is no value at "/a": expected …". Operations are
	 * numbered from 1. One line of UTF-8 with a NUL; long pointers are cut. */
	char message[320];
};

/*
 * For all functions below: `pointer` is valid (pipit_pointer_is_valid()) and names the value to change in the document *doc; "" is the
 * whole document. They return 0; -EINVAL and *error; -ENOMEM. On failure *doc is unchanged; on success it may be another item.
 */

/*
 * Replace or add a value; its parent must exist. In an array, the length or "-" appends. value: taken on success only. *created:
 * whether the value is new.
 */
int pipit_patch_put(struct cJSON **doc, struct pipit_slice pointer, struct cJSON *value,
    const struct pipit_patch_limits *limits, bool *created, struct pipit_patch_error *error);

/* Remove an existing value; "" leaves an empty object. */
int pipit_patch_remove(struct cJSON **doc, struct pipit_slice pointer, struct pipit_patch_error *error);

/* Apply a merge patch (RFC 7396) to an existing value. Of members with one name in the patch, the last counts. */
int pipit_patch_merge(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

/* Apply a JSON Patch (RFC 6902) to an existing value; its pointers start at that value. */
int pipit_patch_apply(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

#endif
