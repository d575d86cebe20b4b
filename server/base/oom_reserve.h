/* SPDX-License-Identifier: MIT */
/*
 * Small blocks for libevent when malloc() fails, see pipit_reserve_memory() in pipit.h.
 *
 * libevent 2.1.12 crashes when one of these allocations fails: an evbuffer callback (40 bytes) while a filter is made,
 * a client address (at most 56) while evhttp makes a connection, the two header lists (16 each) of an evhttp request,
 * the next of which is made when one ends. Larger allocations may fail: evhttp then refuses the request or closes its
 * connection. So the reserve has many small blocks, and a caller that checks pipit_oom_reserve_is_low() before it
 * starts new work leaves enough of them for running work.
 *
 * Blocks are memory of malloc(), because callbacks get some of them (from evhttp_uridecode, evbuffer_readln) and
 * call free(). Any freed memory of that size refills the reserve.
 *
 * All functions: any thread.
 */
#ifndef PIPIT_OOM_RESERVE_H
#define PIPIT_OOM_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

/* size of a block; larger requests are not met from the reserve */
#define PIPIT_OOM_RESERVE_BLOCK_BYTES 64

/* True when more than a quarter is in use: start no new work. False when there is no reserve. */
bool pipit_oom_reserve_is_low(void);

/* Blocks in use and not replaced yet. */
size_t pipit_oom_reserve_blocks_in_use(void);

/* Free the reserve at the end of the process, for leak checkers. libevent is not used after it. */
void pipit_oom_reserve_clear(void);

/* For event_set_mem_functions(). */
void *pipit_oom_reserve_malloc(size_t size);
void *pipit_oom_reserve_realloc(void *memory, size_t size);
void pipit_oom_reserve_free(void *memory);

/*
 * For tests: functions that take the place of malloc() and realloc(), and may fail. Their memory is freed with free().
 * Not while other threads allocate.
 */
void pipit_oom_reserve_set_heap(void *(*malloc_function)(size_t), void *(*realloc_function)(void *, size_t));

#endif
