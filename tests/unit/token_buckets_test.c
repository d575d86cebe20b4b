/* SPDX-License-Identifier: MIT */
#include "access/token_buckets.h"

#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
/* Of a machine that has run for a day. */
#define NOW (86400 * SECOND)

static uint64_t take(struct pipit_token_buckets *buckets, uint64_t client, uint64_t now_ns)
{
	uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES];
	memcpy(address, &client, sizeof address);
	return pipit_token_buckets_take(buckets, address, now_ns);
}

static size_t take_all(struct pipit_token_buckets *buckets, uint64_t client, uint64_t now_ns)
{
	size_t count = 0;
	while (take(buckets, client, now_ns) == 0)
		count++;
	return count;
}

static const uint64_t bursts[] = { 1, 2, 20, 1000 };

START_TEST(a_full_bucket_holds_the_burst)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(SECOND / 10, bursts[_i]);
	ck_assert_uint_eq(take_all(buckets, 1, NOW), bursts[_i]);
	ck_assert_uint_eq(take_all(buckets, 1, NOW), 0);
	ck_assert_uint_eq(take_all(buckets, 2, NOW), bursts[_i]);
	/* however long it has been full */
	ck_assert_uint_eq(take_all(buckets, 1, NOW + bursts[_i] * SECOND / 10), bursts[_i]);
	ck_assert_uint_eq(take_all(buckets, 1, 1000 * NOW), bursts[_i]);
	pipit_token_buckets_free(buckets);
}
END_TEST

START_TEST(a_token_comes_after_each_interval)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(300, 5);
	uint64_t now = NOW;
	take_all(buckets, 1, now);
	for (int i = 0; i < 20; i++) {
		ck_assert_uint_eq(take(buckets, 1, now), 300);
		ck_assert_uint_eq(take(buckets, 1, now + 299), 1);
		now += 300;
		ck_assert_uint_eq(take(buckets, 1, now), 0);
	}
	ck_assert_uint_eq(take_all(buckets, 1, now + 899), 2);
	ck_assert_uint_eq(take_all(buckets, 1, now + 900), 1);
	pipit_token_buckets_free(buckets);
}
END_TEST

START_TEST(says_how_long_a_rate_below_one_per_second_waits)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(3600 * SECOND / 7, 1);
	ck_assert_uint_eq(take(buckets, 1, NOW), 0);
	ck_assert_uint_eq(take(buckets, 1, NOW), 3600 * SECOND / 7);
	ck_assert_uint_eq(take(buckets, 1, NOW + 100 * SECOND), 3600 * SECOND / 7 - 100 * SECOND);
	pipit_token_buckets_free(buckets);
}
END_TEST

/* The workers read their clocks at different times. */
START_TEST(an_earlier_clock_takes_no_token_twice)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(SECOND, 3);
	ck_assert_uint_eq(take(buckets, 1, NOW), 0);
	ck_assert_uint_eq(take(buckets, 1, NOW - 5), 0);
	ck_assert_uint_eq(take(buckets, 1, NOW - 5), 5);
	ck_assert_uint_eq(take(buckets, 1, NOW), 0);
	ck_assert_uint_eq(take(buckets, 1, NOW), SECOND);
	pipit_token_buckets_free(buckets);
}
END_TEST

START_TEST(the_largest_values_do_not_overflow)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(3600 * SECOND, 1000000);
	ck_assert_uint_eq(take_all(buckets, 1, NOW), 1000000);
	ck_assert_uint_eq(take(buckets, 1, NOW), 3600 * SECOND);
	pipit_token_buckets_free(buckets);
}
END_TEST

START_TEST(many_addresses_lock_no_one_out)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(SECOND, 2);
	for (uint64_t client = 0; client < 20 * PIPIT_TOKEN_BUCKETS_ADDRESSES; client++)
		ck_assert_uint_eq(take(buckets, client, NOW), 0);
	pipit_token_buckets_free(buckets);
}
END_TEST

/* A place in the table is taken from clients whose buckets are fuller. */
START_TEST(an_empty_bucket_outlasts_many_fuller_ones)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(SECOND, 10);
	ck_assert_uint_eq(take_all(buckets, 1, NOW), 10);
	for (uint64_t client = 2; client < 20 * PIPIT_TOKEN_BUCKETS_ADDRESSES; client++)
		ck_assert_uint_eq(take(buckets, client, NOW), 0);
	ck_assert_uint_eq(take(buckets, 1, NOW), SECOND);
	pipit_token_buckets_free(buckets);
}
END_TEST

/* Without the table's bound this would take gigabytes; a set that all fall into would remember 8. */
START_TEST(as_many_addresses_as_fit_are_remembered)
{
	struct pipit_token_buckets *buckets = pipit_token_buckets_new(SECOND, 1);
	size_t remembered = 0;
	for (uint64_t client = 0; client < PIPIT_TOKEN_BUCKETS_ADDRESSES / 2; client++)
		take(buckets, client << 32, NOW);
	for (uint64_t client = 0; client < PIPIT_TOKEN_BUCKETS_ADDRESSES / 2; client++)
		remembered += take(buckets, client << 32, NOW) != 0;
	ck_assert_uint_gt(remembered, PIPIT_TOKEN_BUCKETS_ADDRESSES / 2 * 9 / 10);
	pipit_token_buckets_free(buckets);
	pipit_token_buckets_free(NULL);
}
END_TEST

/* --- threads ------------------------------------------------------------------------------------------------------------ */

enum { THREADS = 4, CLIENTS = 3, TRIES = 20000, BURST = 7000 };

static struct pipit_token_buckets *shared;
static atomic_uint taken[CLIENTS];

static void *take_many(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TRIES; i++) {
		if (take(shared, i % CLIENTS, NOW) == 0)
			atomic_fetch_add(&taken[i % CLIENTS], 1);
	}
	return NULL;
}

START_TEST(threads_share_the_tokens)
{
	pthread_t threads[THREADS];
	shared = pipit_token_buckets_new(SECOND, BURST);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int client = 0; client < CLIENTS; client++)
		ck_assert_uint_eq(taken[client], BURST);
	pipit_token_buckets_free(shared);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("token_buckets");
	TCase *tests = tcase_create("buckets");
	tcase_add_loop_test(tests, a_full_bucket_holds_the_burst, 0, sizeof bursts / sizeof *bursts);
	tcase_add_test(tests, a_token_comes_after_each_interval);
	tcase_add_test(tests, says_how_long_a_rate_below_one_per_second_waits);
	tcase_add_test(tests, an_earlier_clock_takes_no_token_twice);
	tcase_add_test(tests, the_largest_values_do_not_overflow);
	tcase_add_test(tests, many_addresses_lock_no_one_out);
	tcase_add_test(tests, an_empty_bucket_outlasts_many_fuller_ones);
	tcase_add_test(tests, as_many_addresses_as_fit_are_remembered);
	tcase_add_test(tests, threads_share_the_tokens);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
