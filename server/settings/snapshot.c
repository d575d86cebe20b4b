/* SPDX-License-Identifier: MIT */
#include "settings/snapshot.h"

#include <time.h>

/* of the slot in `current`; the pins are below */
#define SLOT_SHIFT 56

void pipit_snapshot_init(struct pipit_snapshot *snapshot, struct pipit_json_index *document)
{
	snapshot->slots[0].document = document;
}

void pipit_snapshot_clear(struct pipit_snapshot *snapshot)
{
	for (size_t i = 0; i < PIPIT_SNAPSHOT_SLOTS; i++)
		pipit_json_index_free(snapshot->slots[i].document);
}

const struct pipit_json_index *pipit_snapshot_pin(struct pipit_snapshot *snapshot, unsigned *pin)
{
	/* acquire: the slot's document is visible */
	uint64_t word = atomic_fetch_add_explicit(&snapshot->current, 1, memory_order_acquire);
	*pin = (unsigned)(word >> SLOT_SHIFT);
	return snapshot->slots[*pin].document;
}

void pipit_snapshot_unpin(struct pipit_snapshot *snapshot, unsigned pin)
{
	/* release: reads come before the writer frees the document */
	atomic_fetch_add_explicit(&snapshot->slots[pin].unpins, 1, memory_order_release);
}

const struct pipit_json_index *pipit_snapshot_now(const struct pipit_snapshot *snapshot)
{
	uint64_t word = atomic_load_explicit(&snapshot->current, memory_order_relaxed);
	return snapshot->slots[word >> SLOT_SHIFT].document;
}

static void free_retired(struct pipit_snapshot *snapshot)
{
	for (size_t i = 0; i < PIPIT_SNAPSHOT_SLOTS; i++) {
		struct pipit_snapshot_slot *slot = &snapshot->slots[i];
		if (!slot->is_retired || atomic_load_explicit(&slot->unpins, memory_order_acquire) != slot->pins)
			continue;
		pipit_json_index_free(slot->document);
		slot->document = NULL;
		slot->is_retired = false;
	}
}

static size_t find_slot(struct pipit_snapshot *snapshot)
{
	const struct timespec moment = { 0, 1000000 };
	for (;;) {
		free_retired(snapshot);
		for (size_t i = 0; i < PIPIT_SNAPSHOT_SLOTS; i++) {
			if (!snapshot->slots[i].document)
				return i;
		}
		nanosleep(&moment, NULL);
	}
}

void pipit_snapshot_set(struct pipit_snapshot *snapshot, struct pipit_json_index *document)
{
	size_t number = find_slot(snapshot);
	struct pipit_snapshot_slot *slot = &snapshot->slots[number], *before;
	uint64_t word;

	slot->document = document;
	atomic_store_explicit(&slot->unpins, 0, memory_order_relaxed);
	word = atomic_exchange_explicit(&snapshot->current, (uint64_t)number << SLOT_SHIFT, memory_order_acq_rel);
	before = &snapshot->slots[word >> SLOT_SHIFT];
	if (before == slot)
		return;
	before->pins = word & (((uint64_t)1 << SLOT_SHIFT) - 1);
	before->is_retired = true;
	free_retired(snapshot);
}
