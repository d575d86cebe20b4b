/* SPDX-License-Identifier: MIT */
#include "base/freelist.h"

#include <pthread.h>
#include <stdlib.h>

_Thread_local struct pipit_freelist pipit_freelists[PIPIT_FREELIST_COUNT];

static _Thread_local bool is_enabled;
static bool is_forbidden;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_thread_end(void *unused)
{
	(void)unused;
	/* Destructors of other keys may free blocks later: each enables the lists again. */
	pipit_freelist_clear();
}

static void make_key(void)
{
	pthread_key_create(&thread_end, on_thread_end);
}

bool pipit_freelist_enable(void)
{
	if (is_enabled || is_forbidden)
		return false;
	is_enabled = true;
	for (size_t i = 0; i < PIPIT_FREELIST_COUNT; i++)
		pipit_freelists[i].room =
		    i < PIPIT_FREELIST_SMALL_COUNT ? PIPIT_FREELIST_SMALL_BLOCKS_MAX : PIPIT_FREELIST_BLOCKS_MAX;
	pthread_once(&once, make_key);
	/* destructors run only for values that are not NULL */
	pthread_setspecific(thread_end, &is_enabled);
	return true;
}

void pipit_freelist_forbid(void)
{
	is_forbidden = true;
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
	is_enabled = false;
}
