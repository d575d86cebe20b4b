/* SPDX-License-Identifier: MIT */
/* See recycle.h. */
#include "recycle.h"

#include <pthread.h>
#include <stdlib.h>

_Thread_local struct pipit_recycle_shelf pipit_recycle_shelves[PIPIT_RECYCLE_COUNT];

_Thread_local bool pipit_recycle_is_tidy;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_thread_end(void *unused)
{
	(void)unused;
	/* Whatever is kept after this, by destructors of others, is tidied again. */
	pipit_recycle_is_tidy = false;
	pipit_recycle_clear();
}

static void make_key(void)
{
	pthread_key_create(&thread_end, on_thread_end);
}

void pipit_recycle_tidy(void)
{
	pipit_recycle_is_tidy = true;
	pthread_once(&once, make_key);
	/* Any value that is not NULL has the destructor called. */
	pthread_setspecific(thread_end, &pipit_recycle_is_tidy);
}

void pipit_recycle_clear(void)
{
	for (size_t i = 0; i < PIPIT_RECYCLE_COUNT; i++) {
		while (pipit_recycle_shelves[i].first) {
			struct pipit_recycle_block *block = pipit_recycle_shelves[i].first;
			pipit_recycle_shelves[i].first = block->next;
			free(block);
		}
		pipit_recycle_shelves[i].count = 0;
	}
}
