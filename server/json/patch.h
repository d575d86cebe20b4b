/* SPDX-License-Identifier: MIT */
/*
 * Atomic changes of a cJSON document: JSON Merge Patch (RFC 7396), JSON Patch (RFC 6902).
 *
 * The document has no cJSON references. Of members with one name the first counts; a change or removal deletes the
 * others.
 */
#ifndef PIPIT_PATCH_H
#define PIPIT_PATCH_H

#include "base/slice.h"

#include <stdbool.h>

struct cJSON;

struct pipit_patch_limits {
	size_t max_depth;        /* of the whole document */
	size_t max_copied_bytes; /* by all "copy" operations, about as printed */
	size_t max_operations;
	/* A failure may delete the document, and *doc is NULL then. Without it patches change a duplicate. */
	bool is_disposable;
};

enum pipit_patch_fault {
	PIPIT_PATCH_MALFORMED,     /* not a patch: 400 */
	PIPIT_PATCH_UNPROCESSABLE, /* fits no document: 422 */
	PIPIT_PATCH_CONFLICT,      /* does not fit this document: 409 */
	PIPIT_PATCH_TEST_FAILED,   /* 409 */
	PIPIT_PATCH_TOO_LARGE      /* 413 */
};

struct pipit_patch_error {
	enum pipit_patch_fault fault;
	/* "operation 2 (replace): …", from 1. One line of UTF-8; long pointers are cut. */
	char message[320];
};

/* pointer: valid; "": the whole document. On success *doc may be another item. */

/* The parent must exist. In an array, the length or "-" appends. Takes the value on success. */
int pipit_patch_put(struct cJSON **doc, struct pipit_slice pointer, struct cJSON *value,
    const struct pipit_patch_limits *limits, bool *created, struct pipit_patch_error *error);

/* "" leaves an empty object. */
int pipit_patch_remove(struct cJSON **doc, struct pipit_slice pointer, struct pipit_patch_error *error);

/* Of members with one name in the patch, the last counts. */
int pipit_patch_merge(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

/* Pointers of the patch start at the value. */
int pipit_patch_apply(struct cJSON **doc, struct pipit_slice pointer, const struct cJSON *patch,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error);

#endif
