/* SPDX-License-Identifier: MIT */
#include "auth/failures.h"

#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct pipit_failures *failures;

static void set_up(void)
{
	struct pipit_digest_key key;
	ck_assert_int_eq(pipit_digest_new_key(&key), 0);
	failures = pipit_failures_new(&key);
	ck_assert_ptr_nonnull(failures);
}

static void tear_down(void)
{
	pipit_failures_free(failures);
}

static struct pipit_failures_address address(const char *peer)
{
	return pipit_failures_read_address(peer);
}

static bool is_same(const char *one, const char *other)
{
	struct pipit_failures_address left = address(one), right = address(other);
	return memcmp(&left, &right, sizeof left) == 0;
}

START_TEST(an_address_is_ipv4_or_a_64_network)
{
	ck_assert(is_same("192.0.2.1", "192.0.2.1"));
	ck_assert(is_same("192.0.2.1", "::ffff:192.0.2.1"));
	ck_assert(!is_same("192.0.2.1", "192.0.2.2"));
	ck_assert(is_same("2001:db8::1", "2001:db8::ffff:1"));
	ck_assert(!is_same("2001:db8::1", "2001:db8:0:1::1"));
	ck_assert(is_same("fe80::1%eth0", "fe80::1"));
	ck_assert(is_same("-", "unix:"));
	ck_assert(!is_same("-", "127.0.0.1"));
	ck_assert(is_same("", "-"));
}
END_TEST

static unsigned fail_once(const char *peer, uint64_t now_ms, unsigned *count)
{
	unsigned delay;
	ck_assert(pipit_failures_begin(failures, address(peer), now_ms));
	delay = pipit_failures_add(failures, address(peer), now_ms, count);
	pipit_failures_end(failures, address(peer));
	return delay;
}

START_TEST(delays_grow_up_to_a_limit_and_are_forgotten)
{
	static const unsigned delays[] = { 250, 500, 1000, 2000, 4000, 5000, 5000 };
	unsigned count;

	for (unsigned i = 0; i < 7; i++) {
		ck_assert_uint_eq(fail_once("192.0.2.1", 1000 + i, &count), delays[i]);
		ck_assert_uint_eq(count, i + 1);
	}
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_uint_eq(fail_once("192.0.2.1", 2000, &count), 5000);
	ck_assert_uint_eq(fail_once("192.0.2.2", 2000, &count), 250);
	ck_assert_uint_eq(fail_once("192.0.2.1", 2000 + PIPIT_FAILURES_FORGOTTEN_MS, &count), 5000);
	ck_assert_uint_eq(fail_once("192.0.2.1", 2001 + 2 * PIPIT_FAILURES_FORGOTTEN_MS, &count), 250);
}
END_TEST

START_TEST(attempts_at_the_same_time_are_bounded)
{
	for (int i = 0; i < PIPIT_FAILURES_ATTEMPTS_MAX; i++)
		ck_assert(pipit_failures_begin(failures, address("2001:db8::1"), 0));
	ck_assert(!pipit_failures_begin(failures, address("2001:db8::2"), 0));
	ck_assert(pipit_failures_begin(failures, address("192.0.2.1"), 0));
	pipit_failures_end(failures, address("2001:db8::3"));
	ck_assert(pipit_failures_begin(failures, address("2001:db8::1"), 0));
	ck_assert(!pipit_failures_begin(failures, address("2001:db8::1"), 0));
}
END_TEST

/* More networks than there is room for: old ones are replaced, those with attempts in progress stay. */
START_TEST(the_table_is_bounded)
{
	unsigned count;
	fail_once("192.0.2.1", 0, &count);
	ck_assert(pipit_failures_begin(failures, address("192.0.2.1"), 0));
	for (unsigned i = 0; i < 16 * PIPIT_FAILURES_ADDRESSES; i++) {
		char peer[64];
		snprintf(peer, sizeof peer, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		fail_once(peer, 1000 + i, &count);
		ck_assert_uint_eq(count, 1);
	}
	pipit_failures_add(failures, address("192.0.2.1"), 2000, &count);
	ck_assert_uint_eq(count, 2);
	pipit_failures_end(failures, address("192.0.2.1"));
}
END_TEST

START_TEST(attempts_in_progress_fill_the_table)
{
	unsigned begun = 0;
	for (unsigned i = 0; i < 16 * PIPIT_FAILURES_ADDRESSES; i++) {
		char peer[64];
		snprintf(peer, sizeof peer, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		begun += pipit_failures_begin(failures, address(peer), i);
	}
	ck_assert_uint_eq(begun, PIPIT_FAILURES_ADDRESSES);
}
END_TEST

static void *use(void *peer)
{
	for (unsigned i = 0; i < 5000; i++) {
		unsigned count;
		if (!pipit_failures_begin(failures, address(peer), i))
			continue;
		pipit_failures_add(failures, address(peer), i, &count);
		pipit_failures_end(failures, address(peer));
	}
	return NULL;
}

START_TEST(threads_share_it)
{
	static char peer[] = "192.0.2.1";
	pthread_t threads[3];
	unsigned count;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use, peer), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	fail_once(peer, 5000, &count);
	ck_assert_uint_eq(count, 15001);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("failures");
	TCase *tests = tcase_create("addresses");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, an_address_is_ipv4_or_a_64_network);
	tcase_add_test(tests, delays_grow_up_to_a_limit_and_are_forgotten);
	tcase_add_test(tests, attempts_at_the_same_time_are_bounded);
	tcase_add_test(tests, the_table_is_bounded);
	tcase_add_test(tests, attempts_in_progress_fill_the_table);
	tcase_add_test(tests, threads_share_it);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
