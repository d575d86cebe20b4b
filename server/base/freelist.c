/* SPDX-License-Identifier: MIT */
/* See freelist.h. */
#include "base/freelist.h"

#include <pthread.h>
#include <stdlib.h>

_Thread_local struct pipit_recycle_shelf pipit_recycle_shelves[PIPIT_RECYCLE_COUNT];

static _Thread_local bool has_room;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_thread_end(void *unused)
{
	(void)unused;
	/* Whatever is kept after this, by destructors of others, is tidied again. */
	pipit_recycle_clear();
}

static void make_key(void)
{
	pthread_key_create(&thread_end, on_thread_end);
}

bool pipit_recycle_make_room(void)
{
	if (has_room)
		return false;
	has_room = true;
	for (size_t i = 0; i < PIPIT_RECYCLE_COUNT; i++)
		pipit_recycle_shelves[i].room =
		    i < PIPIT_RECYCLE_SMALL_COUNT ? PIPIT_RECYCLE_SMALL_BLOCKS_MAX : PIPIT_RECYCLE_BLOCKS_MAX;
	pthread_once(&once, make_key);
	/* Any value that is not NULL has the destructor called. */
	pthread_setspecific(thread_end, &has_room);
	return true;
}

void pipit_recycle_clear(void)
{
	for (size_t i = 0; i < PIPIT_RECYCLE_COUNT; i++) {
		while (pipit_recycle_shelves[i].first) {
			struct pipit_recycle_block *block = pipit_recycle_shelves[i].first;
			pipit_recycle_shelves[i].first = block->next;
			free(block);
		}
		pipit_recycle_shelves[i].room = 0;
	}
	has_room = false;
}
