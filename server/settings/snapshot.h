/* SPDX-License-Identifier: MIT */
/* Readers pin with one atomic addition and never wait. The one writer frees documents without pins. */
#ifndef PIPIT_SNAPSHOT_H
#define PIPIT_SNAPSHOT_H

#include "json/json_index.h"

#include <stdatomic.h>

#define PIPIT_SNAPSHOT_SLOTS 8

struct pipit_snapshot {
	/* slot (upper 8 bits), and how often it was pinned */
	_Atomic uint64_t current;
	struct pipit_snapshot_slot {
		struct pipit_json_index *document; /* owned; NULL: a free slot */
		bool is_retired;
		uint64_t pins;           /* in total; set when retired */
		_Atomic uint64_t unpins; /* equal to `pins`: free the document */
	} slots[PIPIT_SNAPSHOT_SLOTS];
};

/* snapshot: zeroed. Takes the document. */
void pipit_snapshot_init(struct pipit_snapshot *snapshot, struct pipit_json_index *document);

/* Without pins. Also for a zeroed snapshot. */
void pipit_snapshot_clear(struct pipit_snapshot *snapshot);

/* As pipit_settings_pin(). */
const struct pipit_json_index *pipit_snapshot_pin(struct pipit_snapshot *snapshot, unsigned *pin);
void pipit_snapshot_unpin(struct pipit_snapshot *snapshot, unsigned pin);

/* The writer thread only: `now` needs no pin; `set` takes the document, and waits while all slots are pinned. */
const struct pipit_json_index *pipit_snapshot_now(const struct pipit_snapshot *snapshot);
void pipit_snapshot_set(struct pipit_snapshot *snapshot, struct pipit_json_index *document);

#endif
