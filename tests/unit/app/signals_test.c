/* SPDX-License-Identifier: MIT */
/* Signals of a process, in a loop of the test, with a clock that only the test advances. */
#include "app/signals.h"

#include "suite.h"

#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* a signal is handled in the first turn; the others prove that it is handled once */
#define TURNS 5

static uint64_t now_ms;

/* Replaces the function of libc. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, now);
	*now = (struct timespec){ .tv_sec = (time_t)(now_ms / 1000), .tv_nsec = (long)(now_ms % 1000) * 1000000 };
	return 0;
}

static const int numbers[] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGPIPE };

static struct event_base *base;
static struct sigaction actions_before[COUNT(numbers)];
static sigset_t mask_before;
/* One letter per call: d(rain), s(top), r(eopen), l(oad again); o for the application's handler. */
static char calls[32];

static void note(char letter)
{
	size_t length = strlen(calls);
	if (length + 1 < sizeof calls)
		calls[length] = letter;
}

static void drain(void *arg)
{
	ck_assert_ptr_eq(arg, calls);
	note('d');
}

static void stop(void *arg)
{
	ck_assert_ptr_eq(arg, calls);
	note('s');
}

static void reopen(void *arg)
{
	ck_assert_ptr_eq(arg, calls);
	note('r');
}

static void reload(void *arg)
{
	ck_assert_ptr_eq(arg, calls);
	note('l');
}

static const struct pipit_signals_actions actions = { drain, stop, reopen, reload };

static void own_handler(int number)
{
	(void)number;
	note('o');
}

static void set_up(void)
{
	sigset_t none;

	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, &mask_before);
	for (size_t i = 0; i < COUNT(numbers); i++)
		sigaction(numbers[i], NULL, &actions_before[i]);
	memset(calls, 0, sizeof calls);
	now_ms = 1000000;
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
}

static void tear_down(void)
{
	event_base_free(base);
	for (size_t i = 0; i < COUNT(numbers); i++)
		sigaction(numbers[i], &actions_before[i], NULL);
	pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

static struct pipit_signals *new_signals(void)
{
	struct pipit_signals *signals = pipit_signals_new(base, &actions, calls);
	ck_assert_ptr_nonnull(signals);
	return signals;
}

static void turn(void)
{
	for (int i = 0; i < TURNS; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void raise_and_turn(int number)
{
	ck_assert_int_eq(raise(number), 0);
	turn();
}

/* Handlers of the application, which must be restored. */
static void install_own_handlers(void)
{
	struct sigaction own = { .sa_handler = own_handler, .sa_flags = SA_RESTART };

	sigemptyset(&own.sa_mask);
	sigaddset(&own.sa_mask, SIGUSR2);
	for (size_t i = 0; i < COUNT(numbers); i++)
		ck_assert_int_eq(sigaction(numbers[i], &own, NULL), 0);
}

static bool is_blocked(int number)
{
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, number) == 1;
}

static bool is_pending(int number)
{
	sigset_t pending;
	sigpending(&pending);
	return sigismember(&pending, number) == 1;
}

/* ---------------------------------------------------------------- actions */

static const struct {
	int number;
	const char *calls;
} single[] = { { SIGTERM, "d" }, { SIGINT, "d" }, { SIGUSR1, "r" }, { SIGHUP, "rl" }, { SIGPIPE, "" } };

START_TEST(calls_the_action_of_a_signal_once)
{
	struct pipit_signals *signals = new_signals();

	raise_and_turn(single[_i].number);
	ck_assert_str_eq(calls, single[_i].calls);
	pipit_signals_free(signals);
}
END_TEST

START_TEST(calls_no_action_before_the_loop_runs)
{
	struct pipit_signals *signals = new_signals();

	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_str_eq(calls, "");
	turn();
	ck_assert_str_eq(calls, "d");
	pipit_signals_free(signals);
}
END_TEST

static const struct {
	int first, second;
	uint64_t between_ms;
	const char *calls;
} pairs[] = {
	{ SIGTERM, SIGTERM, 51, "ds" },
	{ SIGTERM, SIGINT, 51, "ds" },
	{ SIGINT, SIGTERM, 51, "ds" },
	{ SIGINT, SIGINT, 60 * 1000, "ds" },
	/* timeout(1) sends one to the process and one to its group */
	{ SIGTERM, SIGTERM, 0, "d" },
	{ SIGTERM, SIGTERM, 49, "d" },
	{ SIGTERM, SIGINT, 49, "d" },
	{ SIGUSR1, SIGUSR1, 0, "rr" },
	{ SIGHUP, SIGUSR1, 51, "rlr" },
	{ SIGUSR1, SIGTERM, 51, "rd" },
	{ SIGTERM, SIGHUP, 51, "drl" },
};

START_TEST(a_second_signal_stops)
{
	struct pipit_signals *signals = new_signals();

	raise_and_turn(pairs[_i].first);
	now_ms += pairs[_i].between_ms;
	raise_and_turn(pairs[_i].second);
	ck_assert_str_eq(calls, pairs[_i].calls);
	pipit_signals_free(signals);
}
END_TEST

START_TEST(two_signals_in_one_turn_count_once)
{
	struct pipit_signals *signals = new_signals();

	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(raise(SIGINT), 0);
	turn();
	ck_assert_str_eq(calls, "d");
	pipit_signals_free(signals);
}
END_TEST

START_TEST(stops_after_a_repeated_signal_was_ignored)
{
	struct pipit_signals *signals = new_signals();

	raise_and_turn(SIGTERM);
	raise_and_turn(SIGTERM);
	now_ms += 51;
	raise_and_turn(SIGTERM);
	ck_assert_str_eq(calls, "ds");
	pipit_signals_free(signals);
}
END_TEST

/* ---------------------------------------------------------------- blocked signals */

static const struct {
	int number;
	const char *calls;
} held_back[] = { { SIGTERM, "d" }, { SIGINT, "d" }, { SIGUSR1, "r" }, { SIGHUP, "rl" } };

START_TEST(handles_signals_that_arrived_while_blocked)
{
	struct pipit_signals *signals;

	pipit_signals_block();
	ck_assert_int_eq(raise(held_back[_i].number), 0);
	ck_assert(is_pending(held_back[_i].number));
	signals = new_signals();
	turn();
	ck_assert_str_eq(calls, held_back[_i].calls);
	pipit_signals_free(signals);
}
END_TEST

START_TEST(blocks_its_signals_and_no_others)
{
	pipit_signals_block();
	for (size_t i = 0; i < COUNT(held_back); i++)
		ck_assert(is_blocked(held_back[i].number));
	ck_assert(!is_blocked(SIGPIPE));
	ck_assert(!is_blocked(SIGUSR2));
	ck_assert(!is_blocked(SIGCHLD));
	ck_assert(!is_blocked(SIGSEGV));
}
END_TEST

START_TEST(blocks_again_what_was_blocked_before)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	pipit_signals_block();
	pipit_signals_free(new_signals());
	ck_assert(is_blocked(SIGTERM));
	/* late: its default action would end the process */
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert(is_pending(SIGTERM));
	ck_assert_str_eq(calls, "");
	sigaction(SIGTERM, &ignore, NULL);
	ck_assert(!is_pending(SIGTERM));
}
END_TEST

/* ---------------------------------------------------------------- restoring */

START_TEST(ignores_sigpipe_until_freed)
{
	struct pipit_signals *signals;
	struct sigaction during;

	install_own_handlers();
	signals = new_signals();
	sigaction(SIGPIPE, NULL, &during);
	ck_assert(during.sa_handler == SIG_IGN);
	pipit_signals_free(signals);
	raise_and_turn(SIGPIPE);
	ck_assert_str_eq(calls, "o");
}
END_TEST

static void check_same_action(const struct sigaction *before, const struct sigaction *after)
{
	ck_assert(after->sa_handler == before->sa_handler);
	ck_assert_int_eq(after->sa_flags, before->sa_flags);
	for (int number = 1; number < 32; number++)
		ck_assert_int_eq(sigismember(&after->sa_mask, number), sigismember(&before->sa_mask, number));
}

START_TEST(restores_every_handler)
{
	struct sigaction before[COUNT(numbers)], after;

	install_own_handlers();
	for (size_t i = 0; i < COUNT(numbers); i++)
		sigaction(numbers[i], NULL, &before[i]);
	pipit_signals_free(new_signals());
	for (size_t i = 0; i < COUNT(numbers); i++) {
		sigaction(numbers[i], NULL, &after);
		check_same_action(&before[i], &after);
		raise_and_turn(numbers[i]);
	}
	ck_assert_str_eq(calls, "ooooo");
}
END_TEST

START_TEST(restores_the_mask)
{
	struct pipit_signals *signals;
	sigset_t before, after;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signals = new_signals();
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert(is_blocked(SIGUSR2));
	pipit_signals_free(signals);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < 32; number++)
		ck_assert_int_eq(sigismember(&after, number), sigismember(&before, number));
}
END_TEST

START_TEST(leaves_no_event_in_the_loop)
{
	struct pipit_signals *signals = new_signals();

	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), (int)COUNT(held_back));
	raise_and_turn(SIGTERM);
	pipit_signals_free(signals);
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
}
END_TEST

START_TEST(works_again_after_free)
{
	struct pipit_signals *signals = new_signals();

	raise_and_turn(SIGTERM);
	pipit_signals_free(signals);
	now_ms += 51;
	signals = new_signals();
	raise_and_turn(SIGTERM);
	ck_assert_str_eq(calls, "dd");
	pipit_signals_free(signals);
}
END_TEST

START_TEST(freeing_null_is_harmless)
{
	pipit_signals_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signals");
	TCase *tests = tcase_create("signals");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, calls_the_action_of_a_signal_once, 0, COUNT(single));
	tcase_add_test(tests, calls_no_action_before_the_loop_runs);
	tcase_add_loop_test(tests, a_second_signal_stops, 0, COUNT(pairs));
	tcase_add_test(tests, two_signals_in_one_turn_count_once);
	tcase_add_test(tests, stops_after_a_repeated_signal_was_ignored);
	tcase_add_loop_test(tests, handles_signals_that_arrived_while_blocked, 0, COUNT(held_back));
	tcase_add_test(tests, blocks_its_signals_and_no_others);
	tcase_add_test(tests, blocks_again_what_was_blocked_before);
	tcase_add_test(tests, ignores_sigpipe_until_freed);
	tcase_add_test(tests, restores_every_handler);
	tcase_add_test(tests, restores_the_mask);
	tcase_add_test(tests, leaves_no_event_in_the_loop);
	tcase_add_test(tests, works_again_after_free);
	tcase_add_test(tests, freeing_null_is_harmless);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
