/* SPDX-License-Identifier: MIT */
/*
 * A reserve of small blocks for libevent, handed out when the heap has none: see pipit_reserve_memory() in pipit.h.
 *
 * libevent 2.1.12 does not survive that certain allocations fail: a callback of an evbuffer (40 bytes) while a filter is made,
 * the address of a client (56 at most) while evhttp makes a connection, the two lists of headers (16 each) of an evhttp
 * request, of which a new one is made after each that ends. Larger ones may fail: evhttp then refuses the request or gives up
 * its connection. So the blocks are small and many, and a caller that looks at pipit_oom_reserve_is_low() before it begins something
 * new leaves enough of them for what has begun.
 *
 * Blocks are malloc()'s: a callback may get one as the result of evhttp_uridecode or evbuffer_readln, and frees it with
 * free(). So any freed memory of that size takes the place of a block that is missing.
 *
 * Every function may be called from any thread.
 */
#ifndef PIPIT_OOM_RESERVE_H
#define PIPIT_OOM_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

/* No larger request is met from the reserve; so much is taken from it for each. */
#define PIPIT_OOM_RESERVE_BLOCK_BYTES 64

/* More than a quarter is in use: nothing new should begin. False when there is no reserve. */
bool pipit_oom_reserve_is_low(void);

/* Blocks that have been handed out and not been replaced. */
size_t pipit_oom_reserve_blocks(void);

/* At the end of the process, for leak checkers: free what is there. libevent is not used any more. */
void pipit_oom_reserve_clear(void);

/* What libevent is given in the place of malloc(), realloc() and free(). */
void *pipit_oom_reserve_malloc(size_t size);
void *pipit_oom_reserve_realloc(void *memory, size_t size);
void pipit_oom_reserve_free(void *memory);

/* For tests: the heap's functions, which may fail then. Their memory is freed with free(). Not while other threads allocate. */
void pipit_oom_reserve_set_heap(void *(*malloc_function)(size_t), void *(*realloc_function)(void *, size_t));

#endif
