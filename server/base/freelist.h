/* SPDX-License-Identifier: MIT */
/*
 * Blocks of malloc() for reuse, per thread: libevent allocates the same sizes for every request, and a list costs a
 * fifth of malloc() and free() (measured, glibc 2.36).
 *
 * Any thread may free a block, also with free(). Sanitizers disable the lists, because reuse hides a use after free.
 */
#ifndef PIPIT_FREELIST_H
#define PIPIT_FREELIST_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>

/* The sizes of glibc's blocks, less its own bytes: 24, 40, … on 64 bits. */
#define PIPIT_FREELIST_STEP _Alignof(max_align_t)
#define PIPIT_FREELIST_FIRST_BYTES (2 * PIPIT_FREELIST_STEP - sizeof(size_t))
/* Up to 1 KiB on 64 bits: evhttp's request and the first chains of its evbuffers. */
#define PIPIT_FREELIST_COUNT 64
/* Per class; 552 KiB per thread in total. */
#define PIPIT_FREELIST_BLOCKS_MAX 16
/* Up to 72 bytes: evhttp makes four small blocks for each header. */
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
	size_t room; /* free places; 0 while disabled */
};

extern _Thread_local struct pipit_freelist pipit_freelists[PIPIT_FREELIST_COUNT];

/* Until the thread ends. False when enabled already, or forbidden. Inlined, callers would save registers on every call. */
__attribute__((noinline, cold)) bool pipit_freelist_enable(void);

/* NULL: none. */
static inline void *pipit_freelist_take(size_t size)
{
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

/* False: the caller frees it. memory: may be NULL. */
static inline bool pipit_freelist_keep(void *memory)
{
	struct pipit_freelist_block *block = memory;
	/* the largest class that the block fits; huge below the smallest */
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

/* For all threads, before others start. */
void pipit_freelist_forbid(void);

/* Before the calling thread ends. */
void pipit_freelist_clear(void);

#endif
