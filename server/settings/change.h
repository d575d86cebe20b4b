/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_CHANGE_H
#define PIPIT_CHANGE_H

#include "http/guard.h"
#include "pipit.h"
#include "request/problem.h"
#include "json/json.h"
#include "json/json_index.h"

#include <stdatomic.h>

enum pipit_change_kind {
	PIPIT_CHANGE_PUT,
	PIPIT_CHANGE_REMOVE,
	PIPIT_CHANGE_MERGE, /* RFC 7396 */
	PIPIT_CHANGE_PATCH, /* RFC 6902 */
	PIPIT_CHANGE_RELOAD
};

struct pipit_change {
	enum pipit_change_kind kind;
	/* borrowed until `done` returns true */
	struct pipit_slice pointer;
	/*
	 * Passed pipit_json_check() with these limits; borrowed like `pointer`; empty for REMOVE and RELOAD. A tree takes up to 40 times
	 * as much memory: the writer thread parses the content when it applies the change.
	 */
	struct pipit_slice content;
	struct pipit_json_limits content_limits;
	/* for If-Match and If-None-Match; borrowed like `pointer`; NULL: no condition */
	const struct pipit_guard_head *head;
	/* the server whose client waits; NULL: the program */
	const void *owner;
	/* the server has ended: refuse instead of applying */
	atomic_bool is_cancelled;
	/*
	 * Called on the writer thread until it returns true, or until pipit_change_queue_settle() returns the change.
	 * Must not block.
	 */
	bool (*done)(struct pipit_change *change);

	/* 201, 204, or an error */
	int status;
	/* after the change; with 412, the current one; "": none */
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
	char detail[PIPIT_PROBLEM_DETAIL_SIZE];
	/* from pipit_problem_members(), freed by the caller; NULL: none */
	char *members;

	struct pipit_change *next;
};

void pipit_change_refuse(struct pipit_change *change, int status, const char *format, ...) PIPIT_PRINTF(3, 4);
void pipit_change_refuse_for_memory(struct pipit_change *change);

#endif
