/* SPDX-License-Identifier: MIT */
/* See recycle.h. */
#include "recycle.h"

#include <stdlib.h>

_Thread_local struct pipit_shelf pipit_shelves[PIPIT_SHELF_COUNT];

void *pipit_recycle_malloc(size_t size)
{
	void *memory = pipit_recycle_take(size);
	return memory ? memory : malloc(size);
}

void pipit_recycle_free(void *memory)
{
	if (!pipit_recycle_keep(memory))
		free(memory);
}

void pipit_recycle_clear(void)
{
	for (size_t i = 0; i < PIPIT_SHELF_COUNT; i++) {
		while (pipit_shelves[i].first) {
			struct pipit_shelf_block *block = pipit_shelves[i].first;
			pipit_shelves[i].first = block->next;
			free(block);
		}
		pipit_shelves[i].count = 0;
	}
}
