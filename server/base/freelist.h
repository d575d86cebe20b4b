/* SPDX-License-Identifier: MIT */
/*
 * Freed small blocks, kept per thread for the next allocation. libevent allocates the same sizes for every request; a
 * free list costs a fifth of malloc() and free() (measured, glibc 2.36).
 *
 * Blocks come from malloc(): any thread may free them, also with free(). Builds with a sanitizer keep nothing, because
 * reuse would hide a use after free.
 */
#ifndef PIPIT_FREELIST_H
#define PIPIT_FREELIST_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * One list per size class. A class holds blocks that are PIPIT_FREELIST_STEP bytes larger than those of the class
 * before.
 */
#define PIPIT_FREELIST_STEP 16
#define PIPIT_FREELIST_FIRST_BYTES 24
/* Up to 1 KiB: evhttp's request and the first chains of its evbuffers are the largest blocks of a request. */
#define PIPIT_FREELIST_COUNT 64
/* Blocks per class: at most 552 KiB per thread in total. An empty request leaves less than 4 KiB. */
#define PIPIT_FREELIST_BLOCKS_MAX 16
/* The first classes, up to 72 bytes, keep more: evhttp makes four small blocks for each header of a request. */
#define PIPIT_FREELIST_SMALL_COUNT 4
#define PIPIT_FREELIST_SMALL_BLOCKS_MAX 128

#if defined(__has_feature)
#define PIPIT_FREELIST_HAS(feature) __has_feature(feature)
#else
#define PIPIT_FREELIST_HAS(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || PIPIT_FREELIST_HAS(address_sanitizer) || \
    PIPIT_FREELIST_HAS(thread_sanitizer) || PIPIT_FREELIST_HAS(memory_sanitizer)
#define PIPIT_FREELIST_IS_USED false
#else
#define PIPIT_FREELIST_IS_USED true
#endif

struct pipit_freelist_block {
	struct pipit_freelist_block *next;
};

struct pipit_freelist {
	struct pipit_freelist_block *first;
	size_t room; /* blocks that may still be added; 0 while disabled */
};

extern _Thread_local struct pipit_freelist pipit_freelists[PIPIT_FREELIST_COUNT];

/* Enable the lists of the calling thread, which frees them when it ends. False when they are enabled already. */
bool pipit_freelist_enable(void);

/* A kept block of at least `size` bytes, or NULL. Any thread. */
static inline void *pipit_freelist_take(size_t size)
{
	/* the smallest class that fits */
	size_t number = size <= PIPIT_FREELIST_FIRST_BYTES
			    ? 0
			    : (size - PIPIT_FREELIST_FIRST_BYTES + PIPIT_FREELIST_STEP - 1) / PIPIT_FREELIST_STEP;
	struct pipit_freelist *list;
	struct pipit_freelist_block *block;

	if (number >= PIPIT_FREELIST_COUNT)
		return NULL;
	list = &pipit_freelists[number];
	if (!list->first)
		return NULL;
	block = list->first;
	list->first = block->next;
	list->room++;
	return block;
}

/* Keep a block of malloc() instead of freeing it. False, also for NULL: the caller frees it. Any thread. */
static inline bool pipit_freelist_keep(void *memory)
{
	struct pipit_freelist_block *block = memory;
	/* the largest class that the block fits; a huge number when it fits none */
	size_t number = (malloc_usable_size(memory) - PIPIT_FREELIST_FIRST_BYTES) / PIPIT_FREELIST_STEP;
	struct pipit_freelist *list;

	if (!PIPIT_FREELIST_IS_USED || number >= PIPIT_FREELIST_COUNT)
		return false;
	list = &pipit_freelists[number];
	if (list->room == 0 && !pipit_freelist_enable())
		return false;
	block->next = list->first;
	list->first = block;
	list->room--;
	return true;
}

/* Free what the calling thread keeps. A thread that ends calls this itself; the process does not. */
void pipit_freelist_clear(void);

#endif
