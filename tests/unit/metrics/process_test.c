/* SPDX-License-Identifier: MIT */
/*
 * Figures of this process. This file defines stat() and opendir() itself: before Linux 6.2 the size of /proc/self/fd is 0, and descriptors
 * are counted by listing them.
 */
#include "metrics/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

static bool is_old_kernel, lacks_proc, lacks_descriptors;

int stat(const char *restrict name, struct stat *restrict status)
{
	if (lacks_proc && strcmp(name, "/proc/self/fd") == 0) {
		errno = ENOENT;
		return -1;
	}
	int result = fstatat(AT_FDCWD, name, status, 0);
	if (is_old_kernel && strcmp(name, "/proc/self/fd") == 0)
		status->st_size = 0;
	return result;
}

DIR *opendir(const char *name)
{
	int fd = lacks_descriptors ? -1 : open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lacks_descriptors)
		errno = EMFILE;
	return fd < 0 ? NULL : fdopendir(fd);
}

static void set_up(void)
{
	is_old_kernel = lacks_proc = lacks_descriptors = false;
}

/* Asks the kernel about each number. */
static uint64_t count_one_by_one(void)
{
	uint64_t count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

START_TEST(counts_open_descriptors)
{
	struct pipit_process process;
	int opened[100];

	is_old_kernel = _i;
	for (size_t i = 0; i <= sizeof opened / sizeof opened[0]; i++) {
		pipit_process_read(&process);
		ck_assert(process.has_descriptors);
		ck_assert_uint_eq(process.open_descriptors, count_one_by_one());
		if (i < sizeof opened / sizeof opened[0])
			ck_assert_int_ge(opened[i] = open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	}
	for (size_t i = 0; i < sizeof opened / sizeof opened[0]; i++)
		close(opened[i]);
	pipit_process_read(&process);
	ck_assert_uint_eq(process.open_descriptors, count_one_by_one());
}
END_TEST

START_TEST(has_no_count_without_proc_or_descriptors)
{
	struct pipit_process process;
	is_old_kernel = true;
	lacks_proc = _i == 0;
	lacks_descriptors = _i == 1;
	pipit_process_read(&process);
	ck_assert(!process.has_descriptors);
}
END_TEST

START_TEST(reads_memory_threads_and_the_limit)
{
	struct pipit_process process;
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 123;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	pipit_process_read(&process);
	ck_assert(process.has_memory && process.has_limit);
	ck_assert_uint_eq(process.threads, 1);
	ck_assert_uint_gt(process.resident_bytes, 0);
	ck_assert_uint_eq(process.resident_bytes % (uint64_t)sysconf(_SC_PAGESIZE), 0);
	ck_assert_uint_gt(process.virtual_bytes, process.resident_bytes);
	ck_assert_uint_eq(process.max_descriptors, 123);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *tests = tcase_create("figures");
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_loop_test(tests, counts_open_descriptors, 0, 2);
	tcase_add_loop_test(tests, has_no_count_without_proc_or_descriptors, 0, 2);
	tcase_add_test(tests, reads_memory_threads_and_the_limit);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
