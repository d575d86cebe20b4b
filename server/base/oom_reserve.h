/* SPDX-License-Identifier: MIT */
/*
 * Blocks for libevent when malloc() fails (pipit_reserve_memory()). All functions: any thread.
 *
 * libevent 2.1.12 crashes when these fail: an evbuffer callback (40 bytes) of a filter, a client address (at most 56)
 * of an evhttp connection, the header lists (16 each) of an evhttp request. Larger allocations may fail: evhttp refuses
 * the request or closes the connection.
 *
 * Blocks are memory of malloc(): callbacks free() some (evhttp_uridecode, evbuffer_readln). Freed memory of that size
 * refills the reserve.
 */
#ifndef PIPIT_OOM_RESERVE_H
#define PIPIT_OOM_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

/* larger requests fail */
#define PIPIT_OOM_RESERVE_BLOCK_BYTES 64

/*
 * True when more than a quarter is in use: start no new work, which leaves blocks for running work. False without a
 * reserve.
 */
bool pipit_oom_reserve_is_low(void);

size_t pipit_oom_reserve_blocks_in_use(void);

/* For leak checkers. libevent is not used after it. */
void pipit_oom_reserve_clear(void);

/* For event_set_mem_functions(). */
void *pipit_oom_reserve_malloc(size_t size);
void *pipit_oom_reserve_realloc(void *memory, size_t size);
void pipit_oom_reserve_free(void *memory);

/* For tests: replacements that may fail; free() frees their memory. Not while other threads allocate. */
void pipit_oom_reserve_set_heap(void *(*malloc_function)(size_t), void *(*realloc_function)(void *, size_t));

#endif
