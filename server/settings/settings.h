/* SPDX-License-Identifier: MIT */
/*
 * A JSON document that is kept in a file: who reads never waits, who writes is told when the change is durable.
 *
 * One thread of the store's own takes the changes that wait, applies them one after the other to its tree, writes the outcome to the
 * file once for all of them (group commit), publishes it as the document that readers get, and tells each how it went. Nothing
 * is published that is not durable.
 *
 * The public functions pipit_settings_… are here too; what HTTP makes of them is settings_http.h's.
 */
#ifndef PIPIT_SETTINGS_H
#define PIPIT_SETTINGS_H

#include "http/guard.h"
#include "pipit.h"
#include "json/json_index.h"

enum pipit_settings_verb {
	PIPIT_SETTINGS_PUT,
	PIPIT_SETTINGS_REMOVE,
	PIPIT_SETTINGS_MERGE, /* RFC 7396 */
	PIPIT_SETTINGS_PATCH, /* RFC 6902 */
	PIPIT_SETTINGS_RELOAD /* take what the file holds */
};

struct pipit_settings_change {
	enum pipit_settings_verb verb;
	struct pipit_slice pointer; /* what is changed; borrowed until `done` */
	struct cJSON *content;      /* taken; NULL for REMOVE and RELOAD */
	size_t content_bytes;       /* the length of its text, for the limit of what waits */
	const struct pipit_guard_head
	    *head; /* whose conditions hold or the change fails; borrowed until `done`, NULL: none */
	/*
	 * The outcome is there: on the store's thread, not for long. False when it cannot be passed on now: `done` is called again
	 * until it can, or until pipit_settings_settle() gives the change back.
	 */
	bool (*done)(struct pipit_settings_change *change);
	/* The outcome. */
	int status;                            /* 201, 204, or that of an error */
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE]; /* of the value now; with 412 of what is there; "" when there is none */
	char detail[400];                      /* of an error */
	char *members;                         /* of its problem document; the caller's to free, NULL: none */
	struct pipit_settings_change *next;
};

/* 0: `done` will be called; -EBUSY: too much waits, try again soon. Any thread. The content is taken on success only. */
int pipit_settings_submit(struct pipit_settings *settings, struct pipit_settings_change *change);

/* Wait until no change is under way. Returns those whose outcome could not be passed on, linked. */
struct pipit_settings_change *pipit_settings_settle(struct pipit_settings *settings);

/*
 * The document as it is now, for as long as it is pinned; wait-free. Pins are held for a moment only: behind seven documents that
 * are held, the writer waits. Any thread. Every pin is undone once with its number.
 */
const struct pipit_json_index *pipit_settings_pin(struct pipit_settings *settings, unsigned *pin);
void pipit_settings_unpin(struct pipit_settings *settings, unsigned pin);

/* What the options say. */
size_t pipit_settings_max_bytes(const struct pipit_settings *settings);
bool pipit_settings_requires_match(const struct pipit_settings *settings);

#endif
