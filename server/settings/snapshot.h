/* SPDX-License-Identifier: MIT */
/*
 * The document that readers get, replaced by a writer: who reads adds one to a word, and waits for nobody; who writes frees what nobody
 * has any more.
 */
#ifndef PIPIT_PUBLISHED_H
#define PIPIT_PUBLISHED_H

#include "json/json_index.h"

#include <stdatomic.h>

/* The one that is published, and those that readers may still have. */
#define PIPIT_PUBLISHED_SLOTS 8

struct pipit_published {
	/* The number of the published slot, and how often it was pinned, in one word. */
	_Atomic uint64_t current;
	struct pipit_published_slot {
		struct pipit_json_index *document; /* owned; NULL: free */
		bool is_retired;
		uint64_t pins;           /* once retired: how many there were */
		_Atomic uint64_t unpins; /* of these; when all are undone the document can go */
	} slots[PIPIT_PUBLISHED_SLOTS];
};

/* published: zeroed. Takes the first document. */
void pipit_published_init(struct pipit_published *published, struct pipit_json_index *document);

/* Nobody reads any more. Harmless when it was not initialised. */
void pipit_published_clear(struct pipit_published *published);

/* Any thread, wait-free; see pipit_settings_pin(). */
const struct pipit_json_index *pipit_published_pin(struct pipit_published *published, unsigned *pin);
void pipit_published_unpin(struct pipit_published *published, unsigned pin);

/* For the writer: what is published now, without a pin; and to publish another, which is taken. It waits while all slots are held. */
const struct pipit_json_index *pipit_published_now(const struct pipit_published *published);
void pipit_published_set(struct pipit_published *published, struct pipit_json_index *document);

#endif
