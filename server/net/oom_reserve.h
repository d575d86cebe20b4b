/* SPDX-License-Identifier: MIT */
/*
 * Blocks for libevent when malloc() fails (pipit_reserve_memory()). Any thread.
 *
 * libevent 2.1.12 crashes without memory for an evbuffer callback of a filter (40 bytes), a client address of an evhttp
 * connection (at most 56), or the header lists of an evhttp request (16 each). It handles the failure of larger
 * allocations.
 *
 * Blocks are memory of malloc(), because callbacks free() some (evhttp_uridecode, evbuffer_readln).
 */
#ifndef PIPIT_OOM_RESERVE_H
#define PIPIT_OOM_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

#define PIPIT_OOM_RESERVE_BLOCK_BYTES 64

/* More than a quarter is in use: start no new work. False without a reserve. */
bool pipit_oom_reserve_is_low(void);

size_t pipit_oom_reserve_blocks_in_use(void);

/* For leak checkers. libevent is not used after it. */
void pipit_oom_reserve_clear(void);

/* For event_set_mem_functions(). */
void *pipit_oom_reserve_malloc(size_t size);
void *pipit_oom_reserve_realloc(void *memory, size_t size);
void pipit_oom_reserve_free(void *memory);

/* For tests: functions that may fail; free() frees their memory. Not while other threads allocate. */
void pipit_oom_reserve_set_heap(void *(*malloc_function)(size_t), void *(*realloc_function)(void *, size_t));

#endif
