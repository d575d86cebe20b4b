/* SPDX-License-Identifier: MIT */
/* A pipe without a writer must not let the start wait for ever; those of a shell have one. */
#include "config/start_file.h"

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], name[96], line[64];
static const char *reason;

static void set_up(void)
{
	strcpy(directory, "/tmp/pipit-start-file-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(name, sizeof name, "%s/file", directory);
	reason = NULL;
}

static void tear_down(void)
{
	unlink(name);
	rmdir(directory);
}

static void expect_lines(FILE *file)
{
	ck_assert_msg(file != NULL, "%s", reason);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
	ck_assert_str_eq(line, "first\n");
	ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
	ck_assert_str_eq(line, "second\n");
	ck_assert_ptr_null(fgets(line, sizeof line, file));
	ck_assert(feof(file));
	ck_assert_int_eq(fclose(file), 0);
}

static void write_lines(int fd)
{
	ck_assert_int_eq(write(fd, "first\nsecond\n", 13), 13);
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(opens_a_regular_file)
{
	write_lines(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
	expect_lines(pipit_start_file_open(name, &reason));
}
END_TEST

START_TEST(refuses_a_fifo_without_a_writer)
{
	ck_assert_int_eq(mkfifo(name, 0600), 0);
	ck_assert_ptr_null(pipit_start_file_open(name, &reason));
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_str_eq(reason, "it is a pipe without a writer");
}
END_TEST

/* As `command > FIFO &` before the start: it waits for a reader. */
static void *write_to_fifo(void *unused)
{
	(void)unused;
	write_lines(open(name, O_WRONLY));
	return NULL;
}

START_TEST(waits_for_the_writer_of_a_fifo)
{
	pthread_t writer;
	int held;
	FILE *file;

	ck_assert_int_eq(mkfifo(name, 0600), 0);
	/* both ends: a writer that has not written */
	held = open(name, O_RDWR);
	ck_assert_int_ge(held, 0);
	file = pipit_start_file_open(name, &reason);
	ck_assert_msg(file != NULL, "%s", reason);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_to_fifo, NULL), 0);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	ck_assert_int_eq(close(held), 0);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
	ck_assert_ptr_null(fgets(line, sizeof line, file));
	ck_assert_int_eq(fclose(file), 0);
}
END_TEST

/* As "<(command)" of bash, whose command may have ended. */
START_TEST(reads_what_a_writer_has_left_in_a_pipe)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	write_lines(ends[1]);
	snprintf(line, sizeof line, "/dev/fd/%d", ends[0]);
	expect_lines(pipit_start_file_open(line, &reason));
	ck_assert_int_eq(close(ends[0]), 0);
}
END_TEST

START_TEST(names_the_reason_of_an_absent_file)
{
	ck_assert_ptr_null(pipit_start_file_open(name, &reason));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(reason, strerror(ENOENT));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("start_file");
	TCase *tests = tcase_create("start_file");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, opens_a_regular_file);
	tcase_add_test(tests, refuses_a_fifo_without_a_writer);
	tcase_add_test(tests, waits_for_the_writer_of_a_fifo);
	tcase_add_test(tests, reads_what_a_writer_has_left_in_a_pipe);
	tcase_add_test(tests, names_the_reason_of_an_absent_file);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
