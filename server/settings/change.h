/* SPDX-License-Identifier: MIT */
/* A change of a settings document: what is asked for, and the outcome. */
#ifndef PIPIT_CHANGE_H
#define PIPIT_CHANGE_H

#include "http/guard.h"
#include "pipit.h"
#include "json/json_index.h"

enum pipit_change_kind {
	PIPIT_CHANGE_PUT,
	PIPIT_CHANGE_REMOVE,
	PIPIT_CHANGE_MERGE, /* RFC 7396 */
	PIPIT_CHANGE_PATCH, /* RFC 6902 */
	PIPIT_CHANGE_RELOAD /* read the file again */
};

struct pipit_change {
	enum pipit_change_kind kind;
	/* Of the value to change; borrowed until `done` returns true. */
	struct pipit_slice pointer;
	/* The value or the patch; owned by the queue once added; NULL for REMOVE and RELOAD. */
	struct cJSON *content;
	/* Length of its text; counts towards the limit of the queue. */
	size_t content_bytes;
	/* Its If-Match and If-None-Match must hold; borrowed like `pointer`; NULL: no condition. */
	const struct pipit_guard_head *head;
	/*
	 * Reports the outcome, on the writer thread; must not block. False when it cannot be reported now: the queue calls `done` again
	 * until it returns true, or until pipit_change_queue_settle() returns the change.
	 */
	bool (*done)(struct pipit_change *change);

	/* The outcome: 201, 204, or the status of an error. */
	int status;
	/* Of the value after the change; with 412, of the current value; "" for none. */
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
	/* Of the error. */
	char detail[400];
	/* From pipit_problem_members(), freed by the caller; NULL: none. */
	char *members;

	struct pipit_change *next;
};

/* Set the outcome to an error. */
void pipit_change_refuse(struct pipit_change *change, int status, const char *format, ...) PIPIT_PRINTF(3, 4);
void pipit_change_refuse_for_memory(struct pipit_change *change);

#endif
