/* SPDX-License-Identifier: MIT */
/* See freelist.h. */
#include "base/freelist.h"

#include <pthread.h>
#include <stdlib.h>

_Thread_local struct pipit_freelist pipit_freelists[PIPIT_FREELIST_COUNT];

static _Thread_local bool has_room;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_thread_end(void *unused)
{
	(void)unused;
	/* Whatever is kept after this, by destructors of others, is tidied again. */
	pipit_freelist_clear();
}

static void make_key(void)
{
	pthread_key_create(&thread_end, on_thread_end);
}

bool pipit_freelist_make_room(void)
{
	if (has_room)
		return false;
	has_room = true;
	for (size_t i = 0; i < PIPIT_FREELIST_COUNT; i++)
		pipit_freelists[i].room =
		    i < PIPIT_FREELIST_SMALL_COUNT ? PIPIT_FREELIST_SMALL_BLOCKS_MAX : PIPIT_FREELIST_BLOCKS_MAX;
	pthread_once(&once, make_key);
	/* Any value that is not NULL has the destructor called. */
	pthread_setspecific(thread_end, &has_room);
	return true;
}

void pipit_freelist_clear(void)
{
	for (size_t i = 0; i < PIPIT_FREELIST_COUNT; i++) {
		while (pipit_freelists[i].first) {
			struct pipit_freelist_block *block = pipit_freelists[i].first;
			pipit_freelists[i].first = block->next;
			free(block);
		}
		pipit_freelists[i].room = 0;
	}
	has_room = false;
}
