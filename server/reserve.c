/* SPDX-License-Identifier: MIT */
/* See reserve.h. What is done for every allocation comes last; what is done only without memory stands apart, under a lock. */
#include "reserve.h"

#include "pipit.h"
#include "recycle.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct block {
	struct block *next;
};

static void *(*heap_malloc)(size_t) = malloc;
static void *(*heap_realloc)(void *, size_t) = realloc;
static bool recycles = true; /* false with a test's heap, which is to be asked every time */

/* Set once, before there are threads. */
static char *slab;
static size_t slab_bytes; /* 0: there is no reserve */
static size_t low_mark;   /* blocks in use, above which it is low */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *returned; /* newest first */
static size_t begun_bytes;     /* of the slab, that have been handed out at least once: the rest costs no memory yet */
static atomic_size_t in_use;   /* blocks; written under the lock, read without */

/* --- without memory ------------------------------------------------------------------------------------------------ */

/* Kept out of the callers, which would save registers for it on every call. */
#define RARE __attribute__((noinline, cold))

RARE static void *take_block(size_t size)
{
	struct block *block = NULL;

	if (size > PIPIT_RESERVE_BLOCK_BYTES)
		return NULL;
	pthread_mutex_lock(&lock);
	if (returned) {
		block = returned;
		returned = block->next;
	} else if (begun_bytes < slab_bytes) {
		block = (struct block *)(slab + begun_bytes);
		begun_bytes += PIPIT_RESERVE_BLOCK_BYTES;
	}
	if (block)
		atomic_fetch_add_explicit(&in_use, 1, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
	return block;
}

RARE static void give_back(void *memory)
{
	struct block *block = memory;
	pthread_mutex_lock(&lock);
	block->next = returned;
	returned = block;
	atomic_fetch_sub_explicit(&in_use, 1, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
}

/* A block of the reserve changes its size. Only the heap has larger ones. */
RARE static void *resize_block(void *block, size_t size)
{
	void *moved;
	if (size <= PIPIT_RESERVE_BLOCK_BYTES)
		return block;
	moved = heap_malloc(size);
	if (!moved)
		return NULL;
	memcpy(moved, block, PIPIT_RESERVE_BLOCK_BYTES);
	give_back(block);
	return moved;
}

/* The heap could not change the size of `memory` (NULL: of none). */
RARE static void *move_from_heap(void *memory, size_t size)
{
	void *block = take_block(size);
	size_t before = memory ? malloc_usable_size(memory) : 0;
	if (!block)
		return NULL;
	if (before)
		memcpy(block, memory, before < size ? before : size);
	free(memory);
	return block;
}

/* --- always -------------------------------------------------------------------------------------------------------- */

static bool is_block(const void *memory)
{
	return (uintptr_t)memory - (uintptr_t)slab < slab_bytes;
}

void *pipit_reserve_malloc(size_t size)
{
	void *memory = pipit_recycle_take(size);
	if (!memory)
		memory = heap_malloc(size);
	return memory ? memory : take_block(size);
}

void *pipit_reserve_realloc(void *memory, size_t size)
{
	void *moved;
	if (is_block(memory))
		return resize_block(memory, size);
	moved = heap_realloc(memory, size);
	/* Of size 0 it is freed, and NULL no failure. */
	return moved || size == 0 ? moved : move_from_heap(memory, size);
}

void pipit_reserve_free(void *memory)
{
	if (is_block(memory))
		give_back(memory);
	else if (!recycles || !pipit_recycle_keep(memory))
		free(memory);
}

bool pipit_reserve_is_low(void)
{
	return atomic_load_explicit(&in_use, memory_order_relaxed) > low_mark;
}

size_t pipit_reserve_blocks(void)
{
	return atomic_load_explicit(&in_use, memory_order_relaxed);
}

/* --- setting up ---------------------------------------------------------------------------------------------------- */

void pipit_reserve_set_heap(void *(*malloc_function)(size_t), void *(*realloc_function)(void *, size_t))
{
	heap_malloc = malloc_function;
	heap_realloc = realloc_function;
	recycles = false;
	pipit_recycle_clear();
}

int pipit_reserve_memory(size_t bytes)
{
	size_t count = bytes / PIPIT_RESERVE_BLOCK_BYTES;
	void *memory;

	if (slab_bytes)
		return -EALREADY;
	if (count == 0)
		return -EINVAL;
	/* Not from the heap: the kernel has promised it, but it costs nothing before it is used. */
	memory =
	    mmap(NULL, count * PIPIT_RESERVE_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	slab = memory;
	slab_bytes = count * PIPIT_RESERVE_BLOCK_BYTES;
	low_mark = count / 4;
	/* With functions named, libevent zeroes malloc()'s memory itself instead of calling calloc(), which in glibc before 2.41
	 * does not take from the thread's cache: 11 % of the instructions per request (measured, glibc 2.36). */
	event_set_mem_functions(pipit_reserve_malloc, pipit_reserve_realloc, pipit_reserve_free);
	return 0;
}
