/* SPDX-License-Identifier: MIT */
/* See snapshot.h. */
#include "settings/snapshot.h"

#include <time.h>

/* Of `current`: the slot's number stands above, its pins below. */
#define SLOT_SHIFT 56

void pipit_snapshot_init(struct pipit_snapshot *published, struct pipit_json_index *document)
{
	published->slots[0].document = document;
}

void pipit_snapshot_clear(struct pipit_snapshot *published)
{
	for (size_t i = 0; i < PIPIT_SNAPSHOT_SLOTS; i++)
		pipit_json_index_free(published->slots[i].document);
}

const struct pipit_json_index *pipit_snapshot_pin(struct pipit_snapshot *published, unsigned *pin)
{
	/* Acquire: with the number comes what the writer has put there. */
	uint64_t word = atomic_fetch_add_explicit(&published->current, 1, memory_order_acquire);
	*pin = (unsigned)(word >> SLOT_SHIFT);
	return published->slots[*pin].document;
}

void pipit_snapshot_unpin(struct pipit_snapshot *published, unsigned pin)
{
	/* Release: the writer that counts it may free what was read. */
	atomic_fetch_add_explicit(&published->slots[pin].unpins, 1, memory_order_release);
}

const struct pipit_json_index *pipit_snapshot_now(const struct pipit_snapshot *published)
{
	uint64_t word = atomic_load_explicit(&published->current, memory_order_relaxed);
	return published->slots[word >> SLOT_SHIFT].document;
}

static void free_retired(struct pipit_snapshot *published)
{
	for (size_t i = 0; i < PIPIT_SNAPSHOT_SLOTS; i++) {
		struct pipit_snapshot_slot *slot = &published->slots[i];
		if (!slot->is_retired || atomic_load_explicit(&slot->unpins, memory_order_acquire) != slot->pins)
			continue;
		pipit_json_index_free(slot->document);
		slot->document = NULL;
		slot->is_retired = false;
	}
}

static size_t find_slot(struct pipit_snapshot *published)
{
	const struct timespec moment = { 0, 1000000 };
	for (;;) {
		free_retired(published);
		for (size_t i = 0; i < PIPIT_SNAPSHOT_SLOTS; i++) {
			if (!published->slots[i].document)
				return i;
		}
		nanosleep(&moment, NULL);
	}
}

void pipit_snapshot_set(struct pipit_snapshot *published, struct pipit_json_index *document)
{
	size_t number = find_slot(published);
	struct pipit_snapshot_slot *slot = &published->slots[number], *before;
	uint64_t word;

	slot->document = document;
	atomic_store_explicit(&slot->unpins, 0, memory_order_relaxed);
	word = atomic_exchange_explicit(&published->current, (uint64_t)number << SLOT_SHIFT, memory_order_acq_rel);
	before = &published->slots[word >> SLOT_SHIFT];
	if (before == slot)
		return;
	before->pins = word & (((uint64_t)1 << SLOT_SHIFT) - 1);
	before->is_retired = true;
	free_retired(published);
}
