/* SPDX-License-Identifier: MIT */
/*
 * The document that readers get, replaced by a writer: who reads adds one to a word, and waits for nobody; who writes frees what nobody
 * has any more.
 */
#ifndef PIPIT_SNAPSHOT_H
#define PIPIT_SNAPSHOT_H

#include "json/json_index.h"

#include <stdatomic.h>

/* The one that is published, and those that readers may still have. */
#define PIPIT_SNAPSHOT_SLOTS 8

struct pipit_snapshot {
	/* The number of the published slot, and how often it was pinned, in one word. */
	_Atomic uint64_t current;
	struct pipit_snapshot_slot {
		struct pipit_json_index *document; /* owned; NULL: free */
		bool is_retired;
		uint64_t pins;           /* once retired: how many there were */
		_Atomic uint64_t unpins; /* of these; when all are undone the document can go */
	} slots[PIPIT_SNAPSHOT_SLOTS];
};

/* published: zeroed. Takes the first document. */
void pipit_snapshot_init(struct pipit_snapshot *published, struct pipit_json_index *document);

/* Nobody reads any more. Harmless when it was not initialised. */
void pipit_snapshot_clear(struct pipit_snapshot *published);

/* Any thread, wait-free; see pipit_settings_pin(). */
const struct pipit_json_index *pipit_snapshot_pin(struct pipit_snapshot *published, unsigned *pin);
void pipit_snapshot_unpin(struct pipit_snapshot *published, unsigned pin);

/* For the writer: what is published now, without a pin; and to publish another, which is taken. It waits while all slots are held. */
const struct pipit_json_index *pipit_snapshot_now(const struct pipit_snapshot *published);
void pipit_snapshot_set(struct pipit_snapshot *published, struct pipit_json_index *document);

#endif
