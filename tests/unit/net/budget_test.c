/* SPDX-License-Identifier: MIT */
/* A connection and a net that consist of their figures alone: each limit at, one below and one above. */
#include "net/budget.h"

#include "net/net.h"
#include "suite.h"

#define LIMIT 1001
#define MIB (1024 * 1024)

static struct pipit_config config;
static struct pipit_net net;
static struct pipit_connection connection, other;

static void set_up(void)
{
	pipit_config_init(&config);
	config.memory_limit = LIMIT;
	net = (struct pipit_net){ .config = &config, .limits = pipit_limits_new(0) };
	ck_assert_ptr_nonnull(net.limits);
	connection = other = (struct pipit_connection){ .net = &net };
}

static void tear_down(void)
{
	pipit_limits_free(net.limits);
}

/* Half of the limit, and never less. */
START_TEST(input_takes_half_of_the_limit)
{
	ck_assert(!pipit_budget_take(&connection, PIPIT_LIMITS_INPUT, 502));
	ck_assert(pipit_budget_take(&connection, PIPIT_LIMITS_INPUT, 501));
	ck_assert(!pipit_budget_take(&other, PIPIT_LIMITS_INPUT, 1));
	ck_assert_uint_eq(connection.charged[PIPIT_LIMITS_INPUT], 501);
	ck_assert_uint_eq(other.charged[PIPIT_LIMITS_INPUT], 0);
	ck_assert_uint_eq(pipit_limits_bytes(net.limits), 501);
}
END_TEST

START_TEST(everything_else_takes_what_input_leaves)
{
	ck_assert(pipit_budget_take(&connection, PIPIT_LIMITS_INPUT, 400));
	ck_assert(!pipit_budget_take(&connection, PIPIT_LIMITS_OTHER, 602));
	ck_assert(pipit_budget_take(&connection, PIPIT_LIMITS_OTHER, 601));
	ck_assert(!pipit_budget_take(&other, PIPIT_LIMITS_OTHER, 1));
	ck_assert(pipit_budget_take(&other, PIPIT_LIMITS_INPUT, 101));
}
END_TEST

START_TEST(says_what_would_fit)
{
	ck_assert(pipit_budget_would_fit(&connection, LIMIT));
	ck_assert(!pipit_budget_would_fit(&connection, LIMIT + 1));
	ck_assert(!pipit_budget_would_fit(&connection, UINT64_MAX));
	ck_assert(pipit_budget_take(&other, PIPIT_LIMITS_OTHER, LIMIT - 1));
	ck_assert(pipit_budget_would_fit(&connection, 1));
	ck_assert(!pipit_budget_would_fit(&connection, 2));
	pipit_limits_add_bytes(net.limits, PIPIT_LIMITS_OTHER, 1);
	ck_assert(pipit_budget_would_fit(&connection, 0));
	ck_assert(!pipit_budget_would_fit(&connection, 1));
	pipit_limits_add_bytes(net.limits, PIPIT_LIMITS_OTHER, 1);
	ck_assert(!pipit_budget_would_fit(&connection, 0));
	config.memory_limit = 0;
	ck_assert(pipit_budget_would_fit(&connection, UINT64_MAX));
}
END_TEST

START_TEST(settles_with_the_buffers_as_they_are)
{
	connection.in.capacity = 10;
	connection.exchange.body_capacity = 20;
	connection.exchange.retained_bytes = 30;
	connection.exchange.handed_bytes = 40;
	connection.out.length = 50;
	ck_assert(pipit_budget_settle(&connection, 60));
	ck_assert_uint_eq(connection.charged[PIPIT_LIMITS_INPUT], 10);
	ck_assert_uint_eq(connection.charged[PIPIT_LIMITS_OTHER], 200);
	ck_assert_uint_eq(pipit_limits_bytes(net.limits), 210);
	ck_assert_uint_eq(net.released_bytes, 0);
	connection.exchange.body_capacity = 0;
	ck_assert(pipit_budget_settle(&connection, 60));
	ck_assert_uint_eq(pipit_limits_bytes(net.limits), 190);
	ck_assert_uint_eq(net.released_bytes, 20);
	connection.in.capacity = 0;
	ck_assert(pipit_budget_settle(&connection, 60));
	ck_assert_uint_eq(net.released_bytes, 30);
}
END_TEST

/* What does not grow stays, also above the limit. */
START_TEST(ends_an_evhttp_reply_that_grows_beyond_the_limit)
{
	ck_assert(pipit_budget_settle(&connection, LIMIT));
	ck_assert(!pipit_budget_settle(&connection, LIMIT + 1));
	ck_assert(pipit_budget_settle(&connection, LIMIT + 1));
	ck_assert(!pipit_budget_settle(&connection, LIMIT + 2));
	ck_assert(pipit_budget_settle(&connection, LIMIT + 1));
	connection.out.length = 3;
	ck_assert(pipit_budget_settle(&connection, 0));
	connection.out.length = 2 * LIMIT;
	ck_assert(pipit_budget_settle(&connection, 0));
	ck_assert(!pipit_budget_settle(&connection, 1));
	config.memory_limit = 0;
	ck_assert(pipit_budget_settle(&connection, 10 * LIMIT));
}
END_TEST

static const struct {
	uint64_t released, now_ms, buffered;
	bool is_trimmed;
} bursts[] = {
	{ MIB - 1, 6000, 0, false },
	{ MIB, 6000, 0, true },
	{ MIB, 5999, 0, false },
	{ MIB + 1, 6001, 0, true },
	{ MIB, 6000, 4 * MIB, true },
	{ MIB, 6000, 4 * MIB + 1, false },
};

/* Every five seconds at most. */
START_TEST(gives_memory_back_after_a_burst_of_a_mebibyte)
{
	net.trimmed_ms = 1000;
	net.released_bytes = bursts[_i].released;
	pipit_limits_add_bytes(net.limits, PIPIT_LIMITS_OTHER, bursts[_i].buffered);
	ck_assert_int_eq(pipit_budget_wants_trim(&net), bursts[_i].released >= MIB);
	pipit_budget_trim(&net, bursts[_i].now_ms);
	ck_assert_uint_eq(net.released_bytes, bursts[_i].is_trimmed ? 0 : bursts[_i].released);
	ck_assert_uint_eq(net.trimmed_ms, bursts[_i].is_trimmed ? bursts[_i].now_ms : 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("budget");
	TCase *tests = tcase_create("budget");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, input_takes_half_of_the_limit);
	tcase_add_test(tests, everything_else_takes_what_input_leaves);
	tcase_add_test(tests, says_what_would_fit);
	tcase_add_test(tests, settles_with_the_buffers_as_they_are);
	tcase_add_test(tests, ends_an_evhttp_reply_that_grows_beyond_the_limit);
	tcase_add_loop_test(tests, gives_memory_back_after_a_burst_of_a_mebibyte, 0, sizeof bursts / sizeof *bursts);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
