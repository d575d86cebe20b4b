/* SPDX-License-Identifier: MIT */
/*
 * The document that readers see. A reader pins it with one atomic addition and never waits. The one writer replaces it, and frees the
 * documents that are no longer pinned.
 */
#ifndef PIPIT_SNAPSHOT_H
#define PIPIT_SNAPSHOT_H

#include "json/json_index.h"

#include <stdatomic.h>

/* The published document, and older ones that are still pinned. */
#define PIPIT_SNAPSHOT_SLOTS 8

struct pipit_snapshot {
	/* The number of the published slot (upper 8 bits), and how often it was pinned. */
	_Atomic uint64_t current;
	struct pipit_snapshot_slot {
		struct pipit_json_index *document; /* owned; NULL: free */
		bool is_retired;
		uint64_t pins;           /* in total; set when the document is retired */
		_Atomic uint64_t unpins; /* when equal to `pins`, the document is freed */
	} slots[PIPIT_SNAPSHOT_SLOTS];
};

/* snapshot: zeroed. Takes the first document. */
void pipit_snapshot_init(struct pipit_snapshot *snapshot, struct pipit_json_index *document);

/* Free all documents; none may be pinned. Harmless on a zeroed snapshot. */
void pipit_snapshot_clear(struct pipit_snapshot *snapshot);

/* Any thread, wait-free; see pipit_settings_pin(). */
const struct pipit_json_index *pipit_snapshot_pin(struct pipit_snapshot *snapshot, unsigned *pin);
void pipit_snapshot_unpin(struct pipit_snapshot *snapshot, unsigned pin);

/* For the writer thread. Now: the published document, without a pin. Set: takes the document; waits while all slots are pinned. */
const struct pipit_json_index *pipit_snapshot_now(const struct pipit_snapshot *snapshot);
void pipit_snapshot_set(struct pipit_snapshot *snapshot, struct pipit_json_index *document);

#endif
