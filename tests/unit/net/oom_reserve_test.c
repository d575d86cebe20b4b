/* SPDX-License-Identifier: MIT */
#include "net/oom_reserve.h"

#include "pipit.h"
#include "suite.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define COUNT 400
#define BYTES (COUNT * PIPIT_OOM_RESERVE_BLOCK_BYTES)
#define THREADS 4
#define ROUNDS 100000
#define HELD 16

/* ---------------------------------------------------------------- a heap that fails on command */

static atomic_bool is_empty;

static void *poor_malloc(size_t size)
{
	return is_empty ? NULL : malloc(size);
}

static void *poor_realloc(void *memory, size_t size)
{
	return is_empty ? NULL : realloc(memory, size);
}

static void set_up(void)
{
	/* CK_FORK=no: all cases share one reserve */
	static bool is_there;
	if (!is_there)
		ck_assert_int_eq(pipit_reserve_memory(BYTES), 0);
	is_there = true;
	pipit_oom_reserve_set_heap(poor_malloc, poor_realloc);
	is_empty = true;
}

static void tear_down(void)
{
	is_empty = false;
	ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), 0);
}

/* Takes every block; returns their number. */
static size_t take_all(void **blocks, size_t most)
{
	size_t count = 0;
	while (count < most && (blocks[count] = pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES)))
		count++;
	return count;
}

static void free_all(void **blocks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pipit_oom_reserve_free(blocks[i]);
}

static bool is_all(const char *bytes, char wanted, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != wanted)
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- tests */

START_TEST(uses_no_block_while_malloc_succeeds)
{
	void *memory;
	is_empty = false;
	memory = pipit_oom_reserve_malloc(16);
	memory = pipit_oom_reserve_realloc(memory, 32);
	ck_assert_ptr_nonnull(memory);
	ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), 0);
	pipit_oom_reserve_free(memory);
	pipit_oom_reserve_free(NULL);
	/* NULL with glibc, a block with musl */
	pipit_oom_reserve_free(pipit_oom_reserve_realloc(pipit_oom_reserve_malloc(16), 0));
}
END_TEST

START_TEST(serves_small_allocations_only_when_malloc_fails)
{
	static const size_t small[] = { 0, 1, 16, 40, PIPIT_OOM_RESERVE_BLOCK_BYTES };
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		void *block = pipit_oom_reserve_malloc(small[i]);
		ck_assert_ptr_nonnull(block);
		ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), 1);
		pipit_oom_reserve_free(block);
	}
	ck_assert_ptr_null(pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES + 1));
	ck_assert_ptr_null(pipit_oom_reserve_malloc(SIZE_MAX));
	ck_assert_ptr_null(pipit_oom_reserve_realloc(NULL, PIPIT_OOM_RESERVE_BLOCK_BYTES + 1));
}
END_TEST

START_TEST(blocks_are_aligned_disjoint_and_complete)
{
	void *blocks[COUNT + 1];
	ck_assert_uint_eq(take_all(blocks, COUNT + 1), COUNT);
	ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_uint_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		memset(blocks[i], (int)(i % 251), PIPIT_OOM_RESERVE_BLOCK_BYTES);
	}
	for (size_t i = 0; i < COUNT; i++)
		ck_assert(is_all(blocks[i], (char)(i % 251), PIPIT_OOM_RESERVE_BLOCK_BYTES));
	free_all(blocks, COUNT);
}
END_TEST

START_TEST(an_exhausted_reserve_returns_null_until_a_block_is_freed)
{
	void *blocks[COUNT];
	ck_assert_uint_eq(take_all(blocks, COUNT), COUNT);
	ck_assert_ptr_null(pipit_oom_reserve_malloc(1));
	ck_assert_ptr_null(pipit_oom_reserve_realloc(NULL, 1));
	pipit_oom_reserve_free(blocks[COUNT / 2]);
	blocks[COUNT / 2] = pipit_oom_reserve_malloc(1);
	ck_assert_ptr_nonnull(blocks[COUNT / 2]);
	ck_assert_ptr_null(pipit_oom_reserve_malloc(1));
	free_all(blocks, COUNT);
}
END_TEST

START_TEST(is_low_while_more_than_a_quarter_is_in_use)
{
	void *blocks[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_int_eq(pipit_oom_reserve_is_low(), i > COUNT / 4);
		blocks[i] = pipit_oom_reserve_malloc(1);
	}
	for (size_t i = COUNT; i-- > 0;) {
		pipit_oom_reserve_free(blocks[i]);
		ck_assert_int_eq(pipit_oom_reserve_is_low(), i > COUNT / 4);
	}
}
END_TEST

START_TEST(takes_blocks_back_in_any_order)
{
	void *blocks[COUNT];
	static const size_t strides[] = { 1, 3, 7, COUNT - 1 }; /* coprime to COUNT */
	for (size_t round = 0; round < sizeof strides / sizeof *strides; round++) {
		ck_assert_uint_eq(take_all(blocks, COUNT), COUNT);
		for (size_t i = 0, at = 0; i < COUNT; i++, at = (at + strides[round]) % COUNT)
			pipit_oom_reserve_free(blocks[at]);
		ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), 0);
	}
}
END_TEST

START_TEST(realloc_moves_a_block_to_the_heap_when_the_heap_has_memory_again)
{
	char *block = pipit_oom_reserve_malloc(24), *moved;
	memset(block, 'x', PIPIT_OOM_RESERVE_BLOCK_BYTES);
	ck_assert_ptr_eq(pipit_oom_reserve_realloc(block, PIPIT_OOM_RESERVE_BLOCK_BYTES), block);
	ck_assert_ptr_null(pipit_oom_reserve_realloc(block, 1000));
	ck_assert(is_all(block, 'x', PIPIT_OOM_RESERVE_BLOCK_BYTES));
	is_empty = false;
	moved = pipit_oom_reserve_realloc(block, 1000);
	ck_assert_ptr_nonnull(moved);
	ck_assert(is_all(moved, 'x', PIPIT_OOM_RESERVE_BLOCK_BYTES));
	memset(moved, 'y', 1000);
	pipit_oom_reserve_free(moved);
	/* the next freed memory replaces the block */
	pipit_oom_reserve_free(pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES));
}
END_TEST

START_TEST(realloc_moves_heap_memory_to_a_block_when_the_heap_fails)
{
	static const size_t before[] = { 1, 16, 40, 500 }, after[] = { 1, 33, PIPIT_OOM_RESERVE_BLOCK_BYTES };
	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		for (size_t j = 0; j < sizeof after / sizeof *after; j++) {
			char *memory, *moved;
			bool is_large_enough;
			is_empty = false;
			memory = pipit_oom_reserve_malloc(before[i]);
			memset(memory, 'x', before[i]);
			is_empty = true;
			ck_assert_ptr_null(pipit_oom_reserve_realloc(memory, 1000));
			is_large_enough = malloc_usable_size(memory) >= after[j];
			moved = pipit_oom_reserve_realloc(memory, after[j]);
			ck_assert_ptr_nonnull(moved);
			ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), is_large_enough ? 0 : 1);
			ck_assert(is_all(moved, 'x', before[i] < after[j] ? before[i] : after[j]));
			pipit_oom_reserve_free(moved);
		}
	}
}
END_TEST

START_TEST(replaces_a_block_that_a_program_frees_with_free)
{
	void *blocks[COUNT];
	ck_assert_uint_eq(take_all(blocks, COUNT), COUNT);
	ck_assert(pipit_oom_reserve_is_low());
	/* for example the result of evhttp_uridecode() */
	for (size_t i = 0; i < COUNT; i++)
		free(blocks[i]);
	ck_assert(pipit_oom_reserve_is_low());
	is_empty = false;
	ck_assert(!pipit_oom_reserve_is_low());
	while (pipit_oom_reserve_blocks_in_use() > 0)
		pipit_oom_reserve_free(malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES));
	is_empty = true;
	ck_assert_uint_eq(take_all(blocks, COUNT), COUNT);
	free_all(blocks, COUNT);
}
END_TEST

START_TEST(a_second_reserve_is_refused)
{
	ck_assert_int_eq(pipit_reserve_memory(BYTES), -EALREADY);
	ck_assert_int_eq(pipit_reserve_memory(0), -EALREADY);
}
END_TEST

START_TEST(libevent_allocates_from_the_reserve)
{
	struct evbuffer *buffer;
	is_empty = false;
	buffer = evbuffer_new();
	is_empty = true;
	/* a chain is too large for a block, a callback entry is not */
	ck_assert_int_ne(evbuffer_add(buffer, "x", 1), 0);
	ck_assert_ptr_nonnull(evbuffer_add_cb(buffer, NULL, NULL));
	ck_assert_uint_eq(pipit_oom_reserve_blocks_in_use(), 1);
	evbuffer_free(buffer);
}
END_TEST

static pthread_barrier_t all_are_there;

/* Each thread fills its blocks with its own letter, and exchanges them continually. */
static void *take_and_give_back(void *arg)
{
	char letter = *(const char *)arg, *held[HELD] = { NULL };
	uintptr_t torn = 0;
	pthread_barrier_wait(&all_are_there);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char **one = &held[(i * 7 + (unsigned)letter) % HELD];
		if (*one)
			torn += !is_all(*one, letter, PIPIT_OOM_RESERVE_BLOCK_BYTES);
		pipit_oom_reserve_free(*one);
		*one = pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES);
		torn += !*one;
		if (*one)
			memset(*one, letter, PIPIT_OOM_RESERVE_BLOCK_BYTES);
	}
	for (unsigned i = 0; i < HELD; i++)
		pipit_oom_reserve_free(held[i]);
	return (void *)torn; /* NOLINT(performance-no-int-to-ptr) */
}

START_TEST(threads_share_the_reserve)
{
	pthread_t threads[THREADS];
	char letters[THREADS];
	pthread_barrier_init(&all_are_there, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		letters[i] = (char)('a' + i);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give_back, &letters[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *torn;
		ck_assert_int_eq(pthread_join(threads[i], &torn), 0);
		ck_assert_ptr_null(torn);
	}
	pthread_barrier_destroy(&all_are_there);
}
END_TEST

START_TEST(without_a_reserve_allocations_fail_and_nothing_is_low)
{
	pipit_oom_reserve_set_heap(poor_malloc, poor_realloc);
	is_empty = true;
	ck_assert_ptr_null(pipit_oom_reserve_malloc(1));
	ck_assert_ptr_null(pipit_oom_reserve_realloc(NULL, 1));
	ck_assert(!pipit_oom_reserve_is_low());
	ck_assert_int_eq(pipit_reserve_memory(0), -EINVAL);
	ck_assert_int_eq(pipit_reserve_memory(PIPIT_OOM_RESERVE_BLOCK_BYTES - 1), -EINVAL);
	ck_assert_int_eq(pipit_reserve_memory(BYTES), -ENOMEM);
	ck_assert(!pipit_oom_reserve_is_low());
	is_empty = false;
	pipit_oom_reserve_free(pipit_oom_reserve_malloc(1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reserve");
	TCase *without = tcase_create("without"), *with = tcase_create("with");

	/* first: with CK_FORK=no the other cases make a reserve */
	tcase_add_test(without, without_a_reserve_allocations_fail_and_nothing_is_low);
	suite_add_tcase(suite, without);
	tcase_add_checked_fixture(with, set_up, tear_down);
	tcase_add_test(with, uses_no_block_while_malloc_succeeds);
	tcase_add_test(with, serves_small_allocations_only_when_malloc_fails);
	tcase_add_test(with, blocks_are_aligned_disjoint_and_complete);
	tcase_add_test(with, an_exhausted_reserve_returns_null_until_a_block_is_freed);
	tcase_add_test(with, is_low_while_more_than_a_quarter_is_in_use);
	tcase_add_test(with, takes_blocks_back_in_any_order);
	tcase_add_test(with, realloc_moves_a_block_to_the_heap_when_the_heap_has_memory_again);
	tcase_add_test(with, realloc_moves_heap_memory_to_a_block_when_the_heap_fails);
	tcase_add_test(with, replaces_a_block_that_a_program_frees_with_free);
	tcase_add_test(with, a_second_reserve_is_refused);
	tcase_add_test(with, libevent_allocates_from_the_reserve);
	tcase_add_test(with, threads_share_the_reserve);
	suite_add_tcase(suite, with);
	return run_suite(suite);
}
