/* SPDX-License-Identifier: MIT */
#include "net/oom_reserve.h"

#include "base/freelist.h"
#include "pipit.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
};

static void *(*heap_malloc)(size_t) = malloc;
static void *(*heap_realloc)(void *, size_t) = realloc;

/* Set once, before threads start. */
static size_t block_count;
static size_t low_mark; /* blocks in use, above which the reserve is low */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks; /* available; guarded by `lock` */
static atomic_size_t in_use; /* written under `lock`, read without it */

/* Inlined, callers would save registers on every call. */
#define COLD __attribute__((noinline, cold))

COLD static void *take_block(size_t size)
{
	struct block *block;

	if (size > PIPIT_OOM_RESERVE_BLOCK_BYTES)
		return NULL;
	pthread_mutex_lock(&lock);
	block = blocks;
	if (block) {
		blocks = block->next;
		atomic_fetch_add_explicit(&in_use, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&lock);
	return block;
}

/* False when no block is in use. */
static bool put_block(void *memory)
{
	struct block *block = memory;
	bool was_in_use;

	pthread_mutex_lock(&lock);
	was_in_use = atomic_load_explicit(&in_use, memory_order_relaxed) > 0;
	if (was_in_use) {
		block->next = blocks;
		blocks = block;
		atomic_fetch_sub_explicit(&in_use, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&lock);
	return was_in_use;
}

COLD static bool replace_block(void *memory)
{
	size_t size = malloc_usable_size(memory);
	return size >= PIPIT_OOM_RESERVE_BLOCK_BYTES && size < 2 * PIPIT_OOM_RESERVE_BLOCK_BYTES && put_block(memory);
}

COLD static void *resize(void *memory, size_t size)
{
	size_t before = memory ? malloc_usable_size(memory) : 0;
	void *block;

	if (before >= size)
		return memory;
	block = take_block(size);
	if (!block)
		return NULL;
	if (before)
		memcpy(block, memory, before);
	pipit_oom_reserve_free(memory);
	return block;
}

void *pipit_oom_reserve_malloc(size_t size)
{
	void *memory = pipit_freelist_take(size);
	if (!memory)
		memory = heap_malloc(size);
	return memory ? memory : take_block(size);
}

void *pipit_oom_reserve_realloc(void *memory, size_t size)
{
	void *resized = heap_realloc(memory, size);
	/* size 0 frees: NULL is no failure */
	return resized || size == 0 ? resized : resize(memory, size);
}

void pipit_oom_reserve_free(void *memory)
{
	if (atomic_load_explicit(&in_use, memory_order_relaxed) > 0 && memory && replace_block(memory))
		return;
	if (!pipit_freelist_keep(memory))
		free(memory);
}

/* Blocks that programs free with free(), as libevent's documentation allows, do not come back. */
COLD static void refill(void)
{
	while (atomic_load_explicit(&in_use, memory_order_relaxed) > low_mark) {
		void *memory = heap_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES);
		if (!memory)
			return;
		if (!put_block(memory)) {
			free(memory);
			return;
		}
	}
}

bool pipit_oom_reserve_is_low(void)
{
	if (atomic_load_explicit(&in_use, memory_order_relaxed) <= low_mark)
		return false;
	refill();
	return atomic_load_explicit(&in_use, memory_order_relaxed) > low_mark;
}

size_t pipit_oom_reserve_blocks_in_use(void)
{
	return atomic_load_explicit(&in_use, memory_order_relaxed);
}

void pipit_oom_reserve_set_heap(void *(*malloc_function)(size_t), void *(*realloc_function)(void *, size_t))
{
	heap_malloc = malloc_function;
	heap_realloc = realloc_function;
	/* A test's heap must see every call. */
	pipit_freelist_forbid();
	pipit_freelist_clear();
}

int pipit_reserve_memory(size_t bytes)
{
	size_t count = bytes / PIPIT_OOM_RESERVE_BLOCK_BYTES;

	if (block_count)
		return -EALREADY;
	if (count == 0)
		return -EINVAL;
	atomic_store(&in_use, count);
	for (size_t i = 0; i < count; i++) {
		void *memory = heap_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES);
		if (!memory) {
			pipit_oom_reserve_clear();
			return -ENOMEM;
		}
		put_block(memory);
	}
	block_count = count;
	low_mark = count / 4;
	/*
	 * libevent zeroes memory itself then: calloc() in glibc before 2.41 bypasses the thread's cache, 11 % of the
	 * instructions per request (measured, glibc 2.36).
	 */
	event_set_mem_functions(pipit_oom_reserve_malloc, pipit_oom_reserve_realloc, pipit_oom_reserve_free);
	return 0;
}

void pipit_oom_reserve_clear(void)
{
	while (blocks) {
		struct block *next = blocks->next;
		free(blocks);
		blocks = next;
	}
	atomic_store(&in_use, 0);
	block_count = low_mark = 0;
}
