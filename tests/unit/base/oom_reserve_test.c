/* SPDX-License-Identifier: MIT */
/* The reserve for libevent: what it gives when the heap has nothing, and that it gets everything back. */
#include "base/oom_reserve.h"

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

/* ---------------------------------------------------------------- a heap that has nothing when it is told so */

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
	/* Without a process for each case the first one makes it for all. */
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
	ck_assert_uint_eq(pipit_oom_reserve_blocks(), 0);
}

/* Every block that there is; returns how many. */
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

START_TEST(nothing_is_taken_from_it_while_the_heap_has_memory)
{
	void *memory;
	is_empty = false;
	memory = pipit_oom_reserve_malloc(16);
	memory = pipit_oom_reserve_realloc(memory, 32);
	ck_assert_ptr_nonnull(memory);
	ck_assert_uint_eq(pipit_oom_reserve_blocks(), 0);
	pipit_oom_reserve_free(memory);
	pipit_oom_reserve_free(NULL);
	ck_assert_ptr_null(pipit_oom_reserve_realloc(pipit_oom_reserve_malloc(16), 0));
}
END_TEST

START_TEST(a_small_request_is_met_without_the_heap_and_a_larger_one_is_not)
{
	static const size_t small[] = { 0, 1, 16, 40, PIPIT_OOM_RESERVE_BLOCK_BYTES };
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		void *block = pipit_oom_reserve_malloc(small[i]);
		ck_assert_ptr_nonnull(block);
		ck_assert_uint_eq(pipit_oom_reserve_blocks(), 1);
		pipit_oom_reserve_free(block);
	}
	ck_assert_ptr_null(pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES + 1));
	ck_assert_ptr_null(pipit_oom_reserve_malloc(SIZE_MAX));
	ck_assert_ptr_null(pipit_oom_reserve_realloc(NULL, PIPIT_OOM_RESERVE_BLOCK_BYTES + 1));
}
END_TEST

START_TEST(blocks_are_aligned_apart_from_each_other_and_as_many_as_were_asked_for)
{
	void *blocks[COUNT + 1];
	ck_assert_uint_eq(take_all(blocks, COUNT + 1), COUNT);
	ck_assert_uint_eq(pipit_oom_reserve_blocks(), COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_uint_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		memset(blocks[i], (int)(i % 251), PIPIT_OOM_RESERVE_BLOCK_BYTES);
	}
	for (size_t i = 0; i < COUNT; i++)
		ck_assert(is_all(blocks[i], (char)(i % 251), PIPIT_OOM_RESERVE_BLOCK_BYTES));
	free_all(blocks, COUNT);
}
END_TEST

START_TEST(an_exhausted_reserve_gives_nothing_until_a_block_comes_back)
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

START_TEST(it_is_low_while_more_than_a_quarter_is_in_use)
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

START_TEST(blocks_come_back_in_any_order)
{
	void *blocks[COUNT];
	static const size_t strides[] = { 1, 3, 7, COUNT - 1 }; /* none has a divisor in common with COUNT */
	for (size_t round = 0; round < sizeof strides / sizeof *strides; round++) {
		ck_assert_uint_eq(take_all(blocks, COUNT), COUNT);
		for (size_t i = 0, at = 0; i < COUNT; i++, at = (at + strides[round]) % COUNT)
			pipit_oom_reserve_free(blocks[at]);
		ck_assert_uint_eq(pipit_oom_reserve_blocks(), 0);
	}
}
END_TEST

START_TEST(a_block_grows_into_the_heap_when_that_has_memory_again)
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
	/* The next that is freed takes its place. */
	pipit_oom_reserve_free(pipit_oom_reserve_malloc(PIPIT_OOM_RESERVE_BLOCK_BYTES));
}
END_TEST

START_TEST(memory_of_the_heap_moves_into_a_block_when_the_heap_cannot_resize_it)
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
			ck_assert_uint_eq(pipit_oom_reserve_blocks(), is_large_enough ? 0 : 1);
			ck_assert(is_all(moved, 'x', before[i] < after[j] ? before[i] : after[j]));
			pipit_oom_reserve_free(moved);
		}
	}
}
END_TEST

START_TEST(a_block_that_a_program_frees_itself_is_replaced)
{
	void *blocks[COUNT];
	ck_assert_uint_eq(take_all(blocks, COUNT), COUNT);
	ck_assert(pipit_oom_reserve_is_low());
	/* What evhttp_uridecode() returned, for example. */
	for (size_t i = 0; i < COUNT; i++)
		free(blocks[i]);
	ck_assert(pipit_oom_reserve_is_low());
	is_empty = false;
	ck_assert(!pipit_oom_reserve_is_low());
	while (pipit_oom_reserve_blocks() > 0)
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

START_TEST(libevent_takes_from_it)
{
	struct evbuffer *buffer;
	is_empty = false;
	buffer = evbuffer_new();
	is_empty = true;
	/* What holds bytes is too large, a callback's entry is not. */
	ck_assert_int_ne(evbuffer_add(buffer, "x", 1), 0);
	ck_assert_ptr_nonnull(evbuffer_add_cb(buffer, NULL, NULL));
	ck_assert_uint_eq(pipit_oom_reserve_blocks(), 1);
	evbuffer_free(buffer);
}
END_TEST

static pthread_barrier_t all_are_there;

/* A thread holds some blocks, each filled with its own letter, and exchanges them all the time. */
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

START_TEST(threads_share_it)
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

START_TEST(without_a_reserve_nothing_is_given_and_nothing_is_low)
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

	/* First: where the cases share a process, there is a reserve from the second on. */
	tcase_add_test(without, without_a_reserve_nothing_is_given_and_nothing_is_low);
	suite_add_tcase(suite, without);
	tcase_add_checked_fixture(with, set_up, tear_down);
	tcase_add_test(with, nothing_is_taken_from_it_while_the_heap_has_memory);
	tcase_add_test(with, a_small_request_is_met_without_the_heap_and_a_larger_one_is_not);
	tcase_add_test(with, blocks_are_aligned_apart_from_each_other_and_as_many_as_were_asked_for);
	tcase_add_test(with, an_exhausted_reserve_gives_nothing_until_a_block_comes_back);
	tcase_add_test(with, it_is_low_while_more_than_a_quarter_is_in_use);
	tcase_add_test(with, blocks_come_back_in_any_order);
	tcase_add_test(with, a_block_grows_into_the_heap_when_that_has_memory_again);
	tcase_add_test(with, memory_of_the_heap_moves_into_a_block_when_the_heap_cannot_resize_it);
	tcase_add_test(with, a_block_that_a_program_frees_itself_is_replaced);
	tcase_add_test(with, a_second_reserve_is_refused);
	tcase_add_test(with, libevent_takes_from_it);
	tcase_add_test(with, threads_share_it);
	suite_add_tcase(suite, with);
	return run_suite(suite);
}
