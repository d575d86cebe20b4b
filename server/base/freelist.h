/* SPDX-License-Identifier: MIT */
/*
 * Small blocks that are freed and asked for again all the time, kept per thread: what libevent allocates for a request is the
 * same every time, and a list of blocks of that size costs a fifth of malloc() and free() (measured, glibc 2.36).
 *
 * Blocks come from malloc(), so it does not matter which thread frees one, nor whether free() does. Built with a sanitizer
 * nothing is kept, lest it hide what was used after it was freed.
 */
#ifndef PIPIT_FREELIST_H
#define PIPIT_FREELIST_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>

/* A shelf holds blocks that have room for PIPIT_FREELIST_STEP more bytes than those of the shelf before. */
#define PIPIT_FREELIST_STEP 16
#define PIPIT_FREELIST_FIRST_BYTES 24
/* Up to 1 KiB: evhttp's request and its evbuffers' first chains are the largest of each request. */
#define PIPIT_FREELIST_COUNT 64
/* Of each shelf: all together at most 552 KiB a thread. An empty request leaves less than 4 KiB behind. */
#define PIPIT_FREELIST_BLOCKS_MAX 16
/* Of the first shelves, up to 72 bytes: evhttp makes four small blocks of each field of a request. */
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
	size_t room; /* for so many blocks more; 0 as well before the thread keeps its first */
};

extern _Thread_local struct pipit_freelist pipit_freelists[PIPIT_FREELIST_COUNT];

/* A shelf of the thread has no room: make some, once, and have the thread free what it keeps when it ends. False when that has
 * been done. */
bool pipit_freelist_make_room(void);

/* A block that is kept and has room for `size` bytes, or NULL. Any thread. */
static inline void *pipit_freelist_take(size_t size)
{
	/* The first shelf whose blocks are large enough. */
	size_t number = size <= PIPIT_FREELIST_FIRST_BYTES
			    ? 0
			    : (size - PIPIT_FREELIST_FIRST_BYTES + PIPIT_FREELIST_STEP - 1) / PIPIT_FREELIST_STEP;
	struct pipit_freelist *shelf;
	struct pipit_freelist_block *block;

	if (number >= PIPIT_FREELIST_COUNT)
		return NULL;
	shelf = &pipit_freelists[number];
	if (!shelf->first)
		return NULL;
	block = shelf->first;
	shelf->first = block->next;
	shelf->room++;
	return block;
}

/* Keep a block of malloc()'s instead of freeing it; NULL is none. False when it is to be freed. Any thread. */
static inline bool pipit_freelist_keep(void *memory)
{
	struct pipit_freelist_block *block = memory;
	/* The last shelf that it is large enough for; a huge number when it is for none. */
	size_t number = (malloc_usable_size(memory) - PIPIT_FREELIST_FIRST_BYTES) / PIPIT_FREELIST_STEP;
	struct pipit_freelist *shelf;

	if (!PIPIT_FREELIST_IS_USED || number >= PIPIT_FREELIST_COUNT)
		return false;
	shelf = &pipit_freelists[number];
	if (shelf->room == 0 && !pipit_freelist_make_room())
		return false;
	block->next = shelf->first;
	shelf->first = block;
	shelf->room--;
	return true;
}

/* Free what the calling thread keeps. A thread that ends does so by itself, but not the process. */
void pipit_freelist_clear(void);

#endif
