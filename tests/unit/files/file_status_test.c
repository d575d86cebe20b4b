/* SPDX-License-Identifier: MIT */
/* The status of files, with dates that 32 bits do not hold. */
#include "files/file_status.h"

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CONTENT "content"

static char directory[64], path[128];

static void make_file(void)
{
	const char *place = getenv("TMPDIR");
	int fd;

	snprintf(directory, sizeof directory, "%s/pipit-status-XXXXXX", place ? place : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/file", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0640), 0);
	ck_assert_int_eq(write(fd, CONTENT, strlen(CONTENT)), (ssize_t)strlen(CONTENT));
	close(fd);
}

static void remove_file(void)
{
	unlink(path);
	rmdir(directory);
}

/* struct timespec cannot hold the date where time_t has 32 bits. */
static void set_modified(int64_t second, int64_t nanosecond)
{
	const int64_t times[4] = { 0, 0, second, nanosecond };
#ifdef SYS_utimensat_time64
	ck_assert_int_eq(syscall(SYS_utimensat_time64, AT_FDCWD, path, times, 0), 0);
#else
	ck_assert_int_eq(syscall(SYS_utimensat, AT_FDCWD, path, times, 0), 0);
#endif
}

static struct pipit_file_status status_of_path(void)
{
	struct pipit_file_status status;
	ck_assert_int_eq(pipit_file_status_at(AT_FDCWD, path, 0, &status), 0);
	return status;
}

static struct pipit_file_status status_of_open_file(void)
{
	struct pipit_file_status status;
	int fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pipit_file_status_of(fd, &status), 0);
	close(fd);
	return status;
}

/* Every file system here has room for these. */
static const int64_t dates[] = { -2147483647, -1, 0, 784111777, 2147483647, 2147483648, 2366841600, 4294967296 };

START_TEST(reads_dates_of_more_than_32_bits)
{
	struct pipit_file_status status;

	set_modified(dates[_i], 123456789);
	status = status_of_path();
	ck_assert_int_eq(status.modified.second, dates[_i]);
	ck_assert_uint_eq(status.modified.nanosecond, 123456789);
	status = status_of_open_file();
	ck_assert_int_eq(status.modified.second, dates[_i]);
	ck_assert_uint_eq(status.modified.nanosecond, 123456789);
}
END_TEST

START_TEST(agrees_with_the_library)
{
	struct pipit_file_status status = status_of_path(), opened = status_of_open_file();
	struct stat native;

	ck_assert_int_eq(stat(path, &native), 0);
	ck_assert_uint_eq(status.device, native.st_dev);
	ck_assert_uint_eq(status.inode, native.st_ino);
	ck_assert_uint_eq(status.mode, S_IFREG | 0640);
	ck_assert_uint_eq(status.size, strlen(CONTENT));
	ck_assert_int_eq(status.changed.second, native.st_ctim.tv_sec);
	ck_assert_int_eq(status.changed.nanosecond, native.st_ctim.tv_nsec);
	ck_assert(pipit_file_status_is_same_file(&status, &opened));
	ck_assert_uint_eq(opened.mode, status.mode);
	ck_assert_uint_eq(opened.size, status.size);
	ck_assert(pipit_file_status_is_same_time(&status.changed, &opened.changed));
}
END_TEST

START_TEST(follows_a_link_unless_told_otherwise)
{
	char link[sizeof path + 8];
	struct pipit_file_status status;

	snprintf(link, sizeof link, "%s.link", path);
	ck_assert_int_eq(symlink("file", link), 0);
	ck_assert_int_eq(pipit_file_status_at(AT_FDCWD, link, 0, &status), 0);
	ck_assert(S_ISREG(status.mode));
	ck_assert_int_eq(pipit_file_status_at(AT_FDCWD, link, AT_SYMLINK_NOFOLLOW, &status), 0);
	ck_assert(S_ISLNK(status.mode));
	unlink(link);
}
END_TEST

START_TEST(fails_as_the_library_does)
{
	struct pipit_file_status status;

	ck_assert_int_eq(pipit_file_status_of(-1, &status), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(pipit_file_status_at(AT_FDCWD, "/nowhere/file", 0, &status), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(tells_times_and_files_apart)
{
	struct pipit_file_status file = status_of_path(), other;

	ck_assert_int_eq(pipit_file_status_at(AT_FDCWD, directory, 0, &other), 0);
	ck_assert(!pipit_file_status_is_same_file(&file, &other));
	other = file;
	other.modified.nanosecond ^= 1;
	ck_assert(!pipit_file_status_is_same_time(&file.modified, &other.modified));
	other = file;
	other.modified.second += INT64_C(1) << 32;
	ck_assert(!pipit_file_status_is_same_time(&file.modified, &other.modified));
	other = file;
	other.device++;
	ck_assert(!pipit_file_status_is_same_file(&file, &other));
}
END_TEST

START_TEST(knows_a_file_that_is_no_mount_point)
{
	ck_assert(!pipit_file_status_is_mount_point(AT_FDCWD, path));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file status");
	TCase *tests = tcase_create("file status");
	tcase_add_checked_fixture(tests, make_file, remove_file);
	tcase_add_loop_test(tests, reads_dates_of_more_than_32_bits, 0, COUNT(dates));
	tcase_add_test(tests, agrees_with_the_library);
	tcase_add_test(tests, follows_a_link_unless_told_otherwise);
	tcase_add_test(tests, fails_as_the_library_does);
	tcase_add_test(tests, tells_times_and_files_apart);
	tcase_add_test(tests, knows_a_file_that_is_no_mount_point);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
