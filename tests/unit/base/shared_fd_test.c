/* SPDX-License-Identifier: MIT */
#include "base/shared_fd.h"

#include "suite.h"

#include <fcntl.h>
#include <stdbool.h>

static int open_something(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(closes_on_the_only_release)
{
	int fd = open_something();
	struct pipit_shared_fd *descriptor = pipit_shared_fd_new(fd);
	ck_assert_ptr_nonnull(descriptor);
	ck_assert_int_eq(descriptor->fd, fd);
	ck_assert(is_open(fd));
	pipit_shared_fd_release(descriptor);
	ck_assert(!is_open(fd));
}
END_TEST

START_TEST(stays_open_until_the_last_release)
{
	int fd = open_something();
	struct pipit_shared_fd *descriptor = pipit_shared_fd_new(fd);
	ck_assert_ptr_nonnull(descriptor);
	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_eq(pipit_shared_fd_hold(descriptor), descriptor);
	for (int i = 0; i < 1000; i++) {
		pipit_shared_fd_release(descriptor);
		ck_assert(is_open(fd));
	}
	pipit_shared_fd_release(descriptor);
	ck_assert(!is_open(fd));
}
END_TEST

START_TEST(releasing_null_is_harmless)
{
	pipit_shared_fd_release(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("descriptor");
	TCase *tests = tcase_create("descriptor");
	tcase_add_test(tests, closes_on_the_only_release);
	tcase_add_test(tests, stays_open_until_the_last_release);
	tcase_add_test(tests, releasing_null_is_harmless);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
