/* SPDX-License-Identifier: MIT */
#include "auth/remembered.h"

#include "suite.h"

#include <pthread.h>
#include <string.h>

static struct pipit_remembered *remembered;

static struct pipit_digest digest_of(unsigned number)
{
	struct pipit_digest digest;
	memset(&digest, 0, sizeof digest);
	memcpy(digest.bytes, &number, sizeof number);
	return digest;
}

static void add(unsigned number, uint64_t now_ms)
{
	struct pipit_digest digest = digest_of(number);
	pipit_remembered_add(remembered, &digest, now_ms);
}

static bool has(unsigned number, uint64_t now_ms)
{
	struct pipit_digest digest = digest_of(number);
	return pipit_remembered_has(remembered, &digest, now_ms);
}

static void set_up(void)
{
	remembered = pipit_remembered_new();
	ck_assert_ptr_nonnull(remembered);
}

static void tear_down(void)
{
	pipit_remembered_free(remembered);
}

START_TEST(remembers_for_a_minute)
{
	ck_assert(!has(1, 0));
	add(1, 1000);
	ck_assert(has(1, 1000));
	ck_assert(has(1, 60999));
	ck_assert(!has(1, 61000));
	ck_assert(!has(2, 1000));
	add(1, 60000);
	ck_assert(has(1, 119999));
	ck_assert(!has(1, 120000));
}
END_TEST

START_TEST(nothing_is_remembered_at_first)
{
	ck_assert(!has(0, 0));
}
END_TEST

/* Digests that share their first byte. */
START_TEST(new_ones_replace_the_oldest)
{
	for (unsigned i = 0; i < 5; i++)
		add(i << 8, 1000 + i);
	ck_assert(!has(0, 2000));
	for (unsigned i = 1; i < 5; i++)
		ck_assert(has(i << 8, 2000));
	for (unsigned i = 0; i < 100000; i++)
		add(i, 3000);
	ck_assert(has(99999, 3000));
}
END_TEST

static void *use(void *start)
{
	for (unsigned i = 0; i < 10000; i++) {
		add(*(unsigned *)start + i % 50, i);
		has(i % 100, i);
	}
	return NULL;
}

START_TEST(threads_share_it)
{
	unsigned starts[] = { 0, 30 };
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use, &starts[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert(has(0, 10000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("remembered");
	TCase *tests = tcase_create("passwords");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, remembers_for_a_minute);
	tcase_add_test(tests, nothing_is_remembered_at_first);
	tcase_add_test(tests, new_ones_replace_the_oldest);
	tcase_add_test(tests, threads_share_it);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
