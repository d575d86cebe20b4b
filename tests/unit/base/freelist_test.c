/* SPDX-License-Identifier: MIT */
#include "base/freelist.h"

#include "suite.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 4096

/* As oom_reserve.c does. */
static void *recycled_malloc(size_t size)
{
	void *memory = pipit_freelist_take(size);
	return memory ? memory : malloc(size);
}

static void recycled_free(void *memory)
{
	if (!pipit_freelist_keep(memory))
		free(memory);
}

static size_t count_on(const struct pipit_freelist *list)
{
	size_t count = 0;
	for (struct pipit_freelist_block *at = list->first; at; at = at->next)
		count++;
	return count;
}

static size_t count_kept(void)
{
	size_t count = 0;
	for (size_t i = 0; i < PIPIT_FREELIST_COUNT; i++)
		count += count_on(&pipit_freelists[i]);
	return count;
}

/* The size of the request; where malloc() has other steps than glibc's, the largest size that the list of the block serves. */
static size_t size_served_by(void *memory, size_t requested)
{
#ifdef __GLIBC__
	(void)memory;
	return requested;
#else
	size_t usable = malloc_usable_size(memory);
	(void)requested;
	return usable - (usable - PIPIT_FREELIST_FIRST_BYTES) % PIPIT_FREELIST_STEP;
#endif
}

START_TEST(reuses_a_block_for_the_same_size)
{
	for (size_t size = 1; size <= 1024; size++) {
		void *memory = malloc(size);
		if (!pipit_freelist_keep(memory)) {
			ck_assert(!PIPIT_FREELIST_IS_USED || malloc_usable_size(memory) < PIPIT_FREELIST_FIRST_BYTES ||
				  malloc_usable_size(memory) >=
				      PIPIT_FREELIST_FIRST_BYTES + PIPIT_FREELIST_COUNT * PIPIT_FREELIST_STEP);
			free(memory);
			continue;
		}
		ck_assert_ptr_eq(pipit_freelist_take(size_served_by(memory, size)), memory);
		ck_assert_ptr_null(pipit_freelist_take(size));
		free(memory);
	}
}
END_TEST

START_TEST(never_returns_a_block_that_is_too_small)
{
	for (size_t kept = 1; kept <= LARGEST; kept += 7) {
		for (size_t asked = 0; asked <= LARGEST; asked += 11) {
			void *memory = malloc(kept), *given;
			if (!pipit_freelist_keep(memory)) {
				free(memory);
				break;
			}
			given = pipit_freelist_take(asked);
			ck_assert(!given || malloc_usable_size(given) >= asked);
			free(given);
			pipit_freelist_clear();
		}
	}
}
END_TEST

START_TEST(keeps_no_more_blocks_than_the_limit)
{
	void *blocks[3 * PIPIT_FREELIST_BLOCKS_MAX];
	size_t fullest = 0;
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		blocks[i] = malloc(100);
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		recycled_free(blocks[i]);
	/* malloc() may return slightly larger blocks, which belong to the next list. */
	for (size_t i = 0; i < PIPIT_FREELIST_COUNT; i++) {
		size_t count = count_on(&pipit_freelists[i]);
		if (count > fullest)
			fullest = count;
	}
	ck_assert_uint_eq(fullest, PIPIT_FREELIST_IS_USED ? PIPIT_FREELIST_BLOCKS_MAX : 0);
	ck_assert_uint_lt(count_kept(), 2 * PIPIT_FREELIST_BLOCKS_MAX);
	pipit_freelist_clear();
	ck_assert_uint_eq(count_kept(), 0);
}
END_TEST

/* For a thread that ends, and when the reserve is given back. */
START_TEST(is_enabled_once_until_it_is_cleared)
{
	for (int i = 0; i < 2; i++) {
		ck_assert(pipit_freelist_enable());
		ck_assert(!pipit_freelist_enable());
		pipit_freelist_clear();
	}
}
END_TEST

START_TEST(keeps_neither_null_nor_huge_blocks)
{
	void *huge = malloc(1 << 20);
	ck_assert(!pipit_freelist_keep(NULL));
	ck_assert(!pipit_freelist_keep(huge));
	free(huge);
	ck_assert_ptr_null(pipit_freelist_take(SIZE_MAX));
	ck_assert_ptr_null(pipit_freelist_take(0));
}
END_TEST

/* Each thread fills its blocks with its own mark, and checks the mark before it frees them. */
static void *juggle(void *mark)
{
	unsigned char *hands[64] = { NULL }, byte = (unsigned char)(uintptr_t)mark;
	size_t sizes[64], at;
	unsigned dice = byte;
	uintptr_t wrong = 0;

	for (unsigned i = 0; i < 100000; i++) {
		dice = dice * 1664525u + 1013904223u;
		at = dice >> 8 & 63;
		if (hands[at]) {
			for (size_t j = 0; j < sizes[at]; j++)
				wrong += hands[at][j] != (unsigned char)(byte + at);
			recycled_free(hands[at]);
			hands[at] = NULL;
		} else {
			sizes[at] = dice >> 16 & 511;
			hands[at] = recycled_malloc(sizes[at]);
			memset(hands[at], (unsigned char)(byte + at), sizes[at]);
		}
	}
	for (at = 0; at < 64; at++)
		recycled_free(hands[at]);
	pipit_freelist_clear();
	return (void *)wrong;
}

START_TEST(threads_share_no_blocks)
{
	pthread_t threads[4];
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, juggle, (void *)(i * 64)), 0);
	for (size_t i = 0; i < 4; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

/* musl does not say how much is in use. */
#ifdef __GLIBC__
static void *fill_shelves(void *unused)
{
	void *blocks[PIPIT_FREELIST_BLOCKS_MAX];
	(void)unused;
	for (size_t i = 0; i < PIPIT_FREELIST_BLOCKS_MAX; i++)
		blocks[i] = malloc(1000);
	for (size_t i = 0; i < PIPIT_FREELIST_BLOCKS_MAX; i++)
		recycled_free(blocks[i]);
	return NULL;
}

/* 16 KB each. */
START_TEST(a_thread_frees_its_blocks_when_it_ends)
{
	size_t before = mallinfo2().uordblks;
	for (int i = 0; i < 200; i++) {
		pthread_t thread;
		ck_assert_int_eq(pthread_create(&thread, NULL, fill_shelves, NULL), 0);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_lt(mallinfo2().uordblks, before + 200 * 1000);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("freelist");
	TCase *tcase = tcase_create("freelist");

	tcase_add_checked_fixture(tcase, NULL, pipit_freelist_clear);
	tcase_add_test(tcase, reuses_a_block_for_the_same_size);
	tcase_add_test(tcase, never_returns_a_block_that_is_too_small);
	tcase_add_test(tcase, keeps_no_more_blocks_than_the_limit);
	tcase_add_test(tcase, is_enabled_once_until_it_is_cleared);
	tcase_add_test(tcase, keeps_neither_null_nor_huge_blocks);
	tcase_add_test(tcase, threads_share_no_blocks);
#ifdef __GLIBC__
	tcase_add_test(tcase, a_thread_frees_its_blocks_when_it_ends);
#endif
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
