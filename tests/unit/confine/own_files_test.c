/* SPDX-License-Identifier: MIT */
/* What a running daemon may open: directories of files that are made anew, and nothing by mistake. */
#include "confine/own_files.h"

#include "pipit.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/pipit-own-files-XXXXXX"; /* made for each test */
static struct pipit_own_files files;

static void set_up(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	/* as after an earlier use */
	memset(&files, 'x', sizeof files);
}

static void tear_down(void)
{
	ck_assert_int_eq(rmdir(folder), 0);
}

static void find(const char *log)
{
	struct pipit_config config;

	pipit_config_init(&config);
	config.access_log = log;
	pipit_own_files_find(&config, NULL, &files);
}

static const char *path_in_folder(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", folder, name);
	return path;
}

START_TEST(a_log_is_made_anew_in_its_directory)
{
	char path[128];

	find(path_in_folder(path, "log"));
	ck_assert_str_eq(files.log_directory, folder);
	ck_assert_str_eq(files.writable[0], folder);
	ck_assert_ptr_null(files.writable[1]);
}
END_TEST

START_TEST(a_fifo_and_a_device_are_not_made_anew)
{
	char path[128];

	ck_assert_int_eq(mkfifo(path_in_folder(path, "fifo"), 0600), 0);
	find(path);
	ck_assert_str_eq(files.writable[0], path);
	ck_assert_ptr_null(files.log_directory);
	unlink(path);
	find("/dev/null");
	ck_assert_str_eq(files.writable[0], "/dev/null");
	ck_assert_ptr_null(files.log_directory);
}
END_TEST

/* The path of a pipe ends with a link to no file. */
START_TEST(a_pipe_has_no_directory)
{
	char path[128];
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
	find(path);
	ck_assert_ptr_null(files.writable[0]);
	ck_assert_ptr_null(files.log_directory);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static const char *const none[] = { "off", "-", "/no/such/directory/log" };

START_TEST(a_log_that_is_no_file_has_no_directory)
{
	find(none[_i]);
	ck_assert_ptr_null(files.writable[0]);
	ck_assert_ptr_null(files.log_directory);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("own_files");
	TCase *tests = tcase_create("access log");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_log_is_made_anew_in_its_directory);
	tcase_add_test(tests, a_fifo_and_a_device_are_not_made_anew);
	tcase_add_test(tests, a_pipe_has_no_directory);
	tcase_add_loop_test(tests, a_log_that_is_no_file_has_no_directory, 0, sizeof none / sizeof none[0]);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
