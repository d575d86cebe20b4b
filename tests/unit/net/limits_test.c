/* SPDX-License-Identifier: MIT */
/* Limits of the whole process, used by several threads. */
#include "net/limits.h"

#include "suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/un.h>

static struct pipit_limits *limits;

static void set_up(void)
{
	limits = pipit_limits_new(2);
	ck_assert_ptr_nonnull(limits);
}

static void tear_down(void)
{
	pipit_limits_free(limits);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static union address address_of(const char *text)
{
	union address address = { 0 };
	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
		address.any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
		address.any.sa_family = AF_INET6;
	else
		address.any.sa_family = AF_UNIX;
	return address;
}

static enum pipit_limits_answer add_address(const char *text)
{
	union address address = address_of(text);
	return pipit_limits_add_address(limits, &address.any);
}

static void let_go(const char *text)
{
	union address address = address_of(text);
	pipit_limits_remove_address(limits, &address.any);
}

START_TEST(counts_connections)
{
	ck_assert_uint_eq(pipit_limits_add_connection(limits), 0);
	ck_assert_uint_eq(pipit_limits_add_connection(limits), 1);
	ck_assert_uint_eq(pipit_limits_connections(limits), 2);
	pipit_limits_remove_connection(limits);
	ck_assert_uint_eq(pipit_limits_connections(limits), 1);
}
END_TEST

/* The first two connections of a client are accepted; whether the other address is the same client's. */
static const struct {
	const char *client, *other;
	bool is_same;
} neighbours[] = {
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "::ffff:192.0.2.1", true },
	{ "192.0.2.1", "::192.0.2.1", false },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
	{ "2001:db8::1", "2001:db8::1", true },
	{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
	{ "2001:db8::1", "2001:db8:0:1::1", false },
	{ "0.0.0.0", "255.255.255.255", false },
};

START_TEST(accepts_connections_of_a_client_up_to_the_limit)
{
	const char *client = neighbours[_i].client, *other = neighbours[_i].other;

	ck_assert_int_eq(add_address(client), PIPIT_LIMITS_ADDED);
	ck_assert_int_eq(add_address(client), PIPIT_LIMITS_ADDED);
	ck_assert_int_eq(add_address(client), PIPIT_LIMITS_TOO_MANY);
	ck_assert_int_eq(add_address(other), neighbours[_i].is_same ? PIPIT_LIMITS_TOO_MANY : PIPIT_LIMITS_ADDED);
	let_go(client);
	ck_assert_int_eq(add_address(other), PIPIT_LIMITS_ADDED);
}
END_TEST

START_TEST(frees_the_entry_of_a_client_without_connections)
{
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_ADDED);
		ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_ADDED);
		let_go("192.0.2.1");
		let_go("192.0.2.1");
	}
	/* More releases than connections have no effect. */
	let_go("192.0.2.1");
	ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_ADDED);
}
END_TEST

START_TEST(accepts_clients_without_an_internet_address)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(add_address("a socket in the file system"), PIPIT_LIMITS_ADDED);
	let_go("a socket in the file system");
}
END_TEST

START_TEST(accepts_every_client_without_a_limit)
{
	struct pipit_limits *limited = limits;
	limits = pipit_limits_new(0);
	ck_assert_ptr_nonnull(limits);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_ADDED);
	let_go("192.0.2.1");
	pipit_limits_free(limits);
	limits = limited;
}
END_TEST

START_TEST(grants_bytes_up_to_the_limit_and_no_more)
{
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 60, 100));
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 40, 100));
	ck_assert(!pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 1, 100));
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 0, 100));
	ck_assert_uint_eq(pipit_limits_bytes(limits), 100);
	pipit_limits_release_bytes(limits, PIPIT_LIMITS_OTHER, 1);
	ck_assert(!pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 2, 100));
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 1, 100));
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 1000, 0));
	pipit_limits_add_bytes(limits, PIPIT_LIMITS_OTHER, 500);
	ck_assert_uint_eq(pipit_limits_bytes(limits), 1600);
}
END_TEST

START_TEST(grants_input_its_own_limit_whatever_else_is_taken)
{
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 100, 100));
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_INPUT, 50, 50));
	ck_assert(!pipit_limits_take_bytes(limits, PIPIT_LIMITS_INPUT, 1, 50));
	ck_assert_uint_eq(pipit_limits_bytes(limits), 150);
	/* Input leaves less for the rest. */
	pipit_limits_release_bytes(limits, PIPIT_LIMITS_OTHER, 60);
	ck_assert(!pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 20, 100));
	ck_assert(pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 10, 100));
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 1000 };

static void *come_and_go(void *name)
{
	union address address = address_of(name);
	for (int i = 0; i < ROUNDS; i++) {
		pipit_limits_add_connection(limits);
		if (pipit_limits_take_bytes(limits, PIPIT_LIMITS_OTHER, 300, LIMIT))
			pipit_limits_release_bytes(limits, PIPIT_LIMITS_OTHER, 300);
		if (pipit_limits_add_address(limits, &address.any) == PIPIT_LIMITS_ADDED)
			pipit_limits_remove_address(limits, &address.any);
		pipit_limits_remove_connection(limits);
	}
	return NULL;
}

START_TEST(counts_exactly_between_threads)
{
	static char names[THREADS][16] = { "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2" };
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(pipit_limits_connections(limits), 0);
	ck_assert_uint_eq(pipit_limits_bytes(limits), 0);
	ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_ADDED);
	ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_ADDED);
	ck_assert_int_eq(add_address("192.0.2.1"), PIPIT_LIMITS_TOO_MANY);
}
END_TEST

START_TEST(accepts_null_in_free)
{
	pipit_limits_free(NULL);
}
END_TEST

START_TEST(reads_the_part_of_an_address_that_limits_count)
{
	static const struct {
		const char *text;
		uint8_t bytes[PIPIT_LIMITS_ADDRESS_BYTES];
	} cases[] = { { "192.0.2.7", { 0, 0, 0, 0, 192, 0, 2, 7 } },
		{ "::ffff:192.0.2.7", { 0, 0, 0, 0, 192, 0, 2, 7 } },
		{ "2001:db8:1:2:3:4:5:6", { 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2 } } };
	uint8_t bytes[PIPIT_LIMITS_ADDRESS_BYTES];
	union address local = address_of("a socket");

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		union address address = address_of(cases[i].text);
		ck_assert(pipit_limits_read_address(&address.any, bytes));
		ck_assert_mem_eq(bytes, cases[i].bytes, sizeof bytes);
	}
	ck_assert(!pipit_limits_read_address(&local.any, bytes));
	ck_assert(!pipit_limits_read_address(NULL, bytes));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tests = tcase_create("limits");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, counts_connections);
	tcase_add_test(tests, reads_the_part_of_an_address_that_limits_count);
	tcase_add_loop_test(
	    tests, accepts_connections_of_a_client_up_to_the_limit, 0, sizeof neighbours / sizeof *neighbours);
	tcase_add_test(tests, frees_the_entry_of_a_client_without_connections);
	tcase_add_test(tests, accepts_clients_without_an_internet_address);
	tcase_add_test(tests, accepts_every_client_without_a_limit);
	tcase_add_test(tests, grants_bytes_up_to_the_limit_and_no_more);
	tcase_add_test(tests, grants_input_its_own_limit_whatever_else_is_taken);
	tcase_add_test(tests, counts_exactly_between_threads);
	tcase_add_test(tests, accepts_null_in_free);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
