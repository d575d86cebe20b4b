/* SPDX-License-Identifier: MIT */
#include "base/sigpipe.h"

#include <errno.h>
#include <unistd.h>

#include "suite.h"

static void handle_sigpipe(int number)
{
	(void)number;
	_exit(EXIT_FAILURE);
}

/* Returns the end to write to. */
static int pipe_without_reader(void)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	return ends[1];
}

static bool is_blocked(void)
{
	sigset_t set;
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, SIGPIPE);
}

static bool is_pending(void)
{
	sigset_t set;
	sigpending(&set);
	return sigismember(&set, SIGPIPE);
}

static void block_sigpipe(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void write_masked(int fd)
{
	struct pipit_sigpipe sigpipe;
	pipit_sigpipe_mask(&sigpipe);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	pipit_sigpipe_unmask(&sigpipe);
	ck_assert_int_eq(errno, EPIPE);
}

/* The tests may share a process. */
static void restore_sigpipe(void)
{
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ck_assert_int_eq(sigwait(&set, &number), 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

START_TEST(a_masked_write_raises_no_signal)
{
	int fd = pipe_without_reader();
	signal(SIGPIPE, _i == 0 ? SIG_DFL : handle_sigpipe);
	write_masked(fd);
	write_masked(fd);
	ck_assert(!is_blocked());
	ck_assert(!is_pending());
	close(fd);
}
END_TEST

/* A signal that is for the program, which waits for it. */
START_TEST(leaves_a_signal_that_the_program_blocks)
{
	int fd = pipe_without_reader();
	block_sigpipe();
	raise(SIGPIPE);
	write_masked(fd);
	ck_assert(is_blocked());
	ck_assert(is_pending());
	close(fd);
	restore_sigpipe();
}
END_TEST

START_TEST(a_write_that_succeeds_leaves_mask_and_errno)
{
	struct pipit_sigpipe sigpipe;
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	errno = EDOM;
	pipit_sigpipe_mask(&sigpipe);
	ck_assert(is_blocked());
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	pipit_sigpipe_unmask(&sigpipe);
	ck_assert_int_eq(errno, EDOM);
	ck_assert(!is_blocked());
	close(ends[0]), close(ends[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sigpipe");
	TCase *tests = tcase_create("masks");
	tcase_add_loop_test(tests, a_masked_write_raises_no_signal, 0, 2);
	tcase_add_test(tests, leaves_a_signal_that_the_program_blocks);
	tcase_add_test(tests, a_write_that_succeeds_leaves_mask_and_errno);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
