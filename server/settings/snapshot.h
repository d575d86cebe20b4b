/* SPDX-License-Identifier: MIT */
/* Readers pin with one atomic addition and never wait; the one writer frees documents without pins. */
#ifndef PIPIT_SNAPSHOT_H
#define PIPIT_SNAPSHOT_H

#include "json/json_index.h"

#include <stdatomic.h>

/* Published and pinned documents. */
#define PIPIT_SNAPSHOT_SLOTS 8

struct pipit_snapshot {
	/* Slot (upper 8 bits), and how often it was pinned. */
	_Atomic uint64_t current;
	struct pipit_snapshot_slot {
		struct pipit_json_index *document; /* owned; NULL: free */
		bool is_retired;
		uint64_t pins;           /* in total; set when retired */
		_Atomic uint64_t unpins; /* equal to `pins`: free the document */
	} slots[PIPIT_SNAPSHOT_SLOTS];
};

/* snapshot: zeroed. Takes the document. */
void pipit_snapshot_init(struct pipit_snapshot *snapshot, struct pipit_json_index *document);

/* No document is pinned. Harmless on a zeroed snapshot. */
void pipit_snapshot_clear(struct pipit_snapshot *snapshot);

/* As pipit_settings_pin(). */
const struct pipit_json_index *pipit_snapshot_pin(struct pipit_snapshot *snapshot, unsigned *pin);
void pipit_snapshot_unpin(struct pipit_snapshot *snapshot, unsigned pin);

/* The writer thread only. Now: without a pin. Set: takes the document; waits while all slots are pinned. */
const struct pipit_json_index *pipit_snapshot_now(const struct pipit_snapshot *snapshot);
void pipit_snapshot_set(struct pipit_snapshot *snapshot, struct pipit_json_index *document);

#endif
