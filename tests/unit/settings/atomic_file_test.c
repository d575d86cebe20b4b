/* SPDX-License-Identifier: MIT */
/* A file is replaced whole or not at all, whatever step fails and wherever it ends. */
#include "settings/atomic_file.h"

#include "base/log.h"
#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what the kernel is made to say ------------------------------------------------------------------------------------ */

enum step { NO_STEP, OPENAT, WRITE, FSYNC, CLOSE, FCHMOD, LINKAT, RENAMEAT, STEPS };

static struct {
	enum step step;
	int countdown; /* calls of that step before it fails; with `forever` all after that too */
	int error;
	bool forever, dies; /* instead of failing, the process ends there */
	unsigned seen[STEPS];
} plan;

/* While a file is replaced: other calls, of Check and of the test, are none of the plan's. */
static bool is_replacing;

static bool fails(enum step step)
{
	if (!is_replacing)
		return false;
	plan.seen[step]++;
	if (plan.step != step || --plan.countdown > 0 || (plan.countdown < 0 && !plan.forever))
		return false;
	if (plan.dies)
		_exit(7);
	errno = plan.error;
	return true;
}

/* In the place of libc's. */
int openat(int directory, const char *name, int flags, ...)
{
	va_list arguments;
	unsigned mode;
	va_start(arguments, flags);
	mode = va_arg(arguments, unsigned);
	va_end(arguments);
	return fails(OPENAT) ? -1 : (int)syscall(SYS_openat, directory, name, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	/* Messages are not the file's. */
	if (fd == STDERR_FILENO || !is_replacing)
		return syscall(SYS_write, fd, bytes, length);
	/* As little as the kernel may take. */
	return fails(WRITE) ? -1 : syscall(SYS_write, fd, bytes, length > 3 ? 3 : length);
}

int fsync(int fd)
{
	return fails(FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int close(int fd)
{
	bool is_failing = fails(CLOSE);
	int error = errno, result = (int)syscall(SYS_close, fd);
	if (is_failing)
		errno = error;
	return is_failing ? -1 : result;
}

int fchmod(int fd, mode_t mode)
{
	return fails(FCHMOD) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int linkat(int from, const char *name, int to, const char *other, int flags)
{
	return fails(LINKAT) ? -1 : (int)syscall(SYS_linkat, from, name, to, other, flags);
}

int renameat(int from, const char *name, int to, const char *other)
{
	return fails(RENAMEAT) ? -1 : (int)syscall(SYS_renameat2, from, name, to, other, 0);
}

/* --- a folder of each test's own ---------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/pipit-durable-XXXXXX", file[sizeof folder + 16];

static const char *beside(const char *suffix)
{
	static char names[4][sizeof file + 16];
	static int next;
	char *name = names[next++ % 4];
	snprintf(name, sizeof names[0], "%s%s", file, suffix);
	return name;
}

static void set_up(void)
{
	memset(&plan, 0, sizeof plan);
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/s.json", folder);
	pipit_log_set_level(PIPIT_LOG_ERROR);
}

static void tear_down(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	rmdir(folder);
}

static void put_file(const char *name, const char *content)
{
	FILE *stream = fopen(name, "w");
	fputs(content, stream);
	fclose(stream);
}

/* NULL: not there. */
static void assert_file(const char *name, const char *wanted)
{
	char content[256] = "";
	FILE *stream = fopen(name, "r");
	if (!stream) {
		if (wanted)
			ck_abort_msg("%s is not there", name);
		return;
	}
	if (!wanted)
		ck_abort_msg("%s is there", name);
	content[fread(content, 1, sizeof content - 1, stream)] = '\0';
	fclose(stream);
	ck_assert_str_eq(content, wanted);
}

static struct pipit_atomic_file *open_file(void)
{
	struct pipit_atomic_file *durable;
	char error[256];
	ck_assert_int_eq(pipit_atomic_file_open(file, &durable, error, sizeof error), 0);
	return durable;
}

static int write_text(struct pipit_atomic_file *durable, const char *text)
{
	int result;
	is_replacing = true;
	result = pipit_atomic_file_write(durable, text, strlen(text));
	is_replacing = false;
	return result;
}

static void assert_reads(struct pipit_atomic_file *durable, const char *wanted)
{
	char *bytes;
	size_t length;
	ck_assert_int_eq(pipit_atomic_file_read(durable, 1000, &bytes, &length), 0);
	ck_assert_uint_eq(length, strlen(wanted));
	ck_assert_str_eq(bytes, wanted);
	free(bytes);
}

/* --- all goes well ------------------------------------------------------------------------------------------------------ */

START_TEST(keeps_the_content_and_the_one_before)
{
	struct pipit_atomic_file *durable = open_file();
	char *bytes;
	size_t length;

	ck_assert_int_eq(pipit_atomic_file_read(durable, 1000, &bytes, &length), -ENOENT);
	ck_assert_int_eq(write_text(durable, "one, and some more"), 0);
	assert_file(file, "one, and some more");
	assert_file(beside(".previous"), NULL);
	ck_assert_int_eq(write_text(durable, "two"), 0);
	ck_assert_int_eq(write_text(durable, "three"), 0);
	assert_reads(durable, "three");
	assert_file(beside(".previous"), "two");
	assert_file(beside(".new"), NULL);
	assert_file(beside(".previous.new"), NULL);
	ck_assert_int_eq(pipit_atomic_file_read(durable, 4, &bytes, &length), -EFBIG);
	pipit_atomic_file_free(durable);
}
END_TEST

/* Data before its name, the name before the answer: two fsync() at each change, of the file and of the directory. */
START_TEST(synchronises_the_file_and_then_the_directory)
{
	struct pipit_atomic_file *durable = open_file();
	ck_assert_int_eq(write_text(durable, "one"), 0);
	plan.seen[FSYNC] = 0;
	ck_assert_int_eq(write_text(durable, "two"), 0);
	ck_assert_uint_eq(plan.seen[FSYNC], 2);
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(keeps_the_mode_and_is_private_at_first)
{
	struct pipit_atomic_file *durable = open_file();
	struct stat status;
	ck_assert_int_eq(write_text(durable, "one"), 0);
	ck_assert_int_eq(stat(file, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(chmod(file, 0640), 0);
	ck_assert_int_eq(write_text(durable, "two"), 0);
	ck_assert_int_eq(stat(file, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(follows_a_link_to_the_file)
{
	struct pipit_atomic_file *durable;
	struct stat status;
	put_file(beside(".real"), "zero");
	ck_assert_int_eq(symlink(beside(".real"), file), 0);
	durable = open_file();
	ck_assert_int_eq(write_text(durable, "one"), 0);
	assert_file(beside(".real"), "one");
	assert_file(beside(".real.previous"), "zero");
	ck_assert_int_eq(lstat(file, &status), 0);
	ck_assert(S_ISLNK(status.st_mode));
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(does_not_write_through_a_link_in_the_new_files_place)
{
	struct pipit_atomic_file *durable = open_file();
	put_file(beside(".other"), "untouched");
	ck_assert_int_eq(symlink(beside(".other"), beside(".new")), 0);
	ck_assert_int_eq(write_text(durable, "one"), 0);
	assert_file(beside(".other"), "untouched");
	assert_file(file, "one");
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(notices_an_edit_by_somebody_else)
{
	struct pipit_atomic_file *durable = open_file();
	ck_assert(!pipit_atomic_file_was_edited(durable));
	ck_assert_int_eq(write_text(durable, "one"), 0);
	ck_assert(!pipit_atomic_file_was_edited(durable));
	put_file(file, "edited");
	ck_assert(pipit_atomic_file_was_edited(durable));
	/* Looking at it is not taking it. */
	assert_reads(durable, "edited");
	ck_assert(pipit_atomic_file_was_edited(durable));
	pipit_atomic_file_accept(durable);
	ck_assert(!pipit_atomic_file_was_edited(durable));
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(lets_one_process_in_at_a_time)
{
	struct pipit_atomic_file *durable = open_file(), *other;
	char error[256];
	ck_assert_int_eq(pipit_atomic_file_open(file, &other, error, sizeof error), -EBUSY);
	ck_assert_ptr_nonnull(strstr(error, "another process has it open"));
	pipit_atomic_file_free(durable);
	durable = open_file();
	pipit_atomic_file_free(durable);
}
END_TEST

static const struct {
	const char *name;
	int error;
	const char *said;
} wrong[] = {
	{ "/tmp/pipit-no-such-folder/s.json", -ENOENT, "make its directory first" },
	{ "/tmp", -EISDIR, "name a file" },
	{ "/tmp/", -EISDIR, "name a file" },
	{ "", -EISDIR, "name a file" },
	{ "..", -EISDIR, "name a file" },
	{ "/dev/null", -EINVAL, "name a file" },
	{ "/tmp/pipit-no-such-folder/", -EISDIR, "name a file" },
};

START_TEST(says_what_is_wrong_with_a_name)
{
	struct pipit_atomic_file *durable = NULL;
	char error[256] = "";

	ck_assert_int_eq(pipit_atomic_file_open(wrong[_i].name, &durable, error, sizeof error), wrong[_i].error);
	if (!strstr(error, wrong[_i].said))
		ck_abort_msg("%s", error);
}
END_TEST

/* --- a step fails ------------------------------------------------------------------------------------------------------- */

/* Every call of every step of a replacement, one after the other, each with what it may say. */
static const struct {
	enum step step;
	int error;
} failures[] = {
	{ OPENAT, EROFS },
	{ OPENAT, ENOSPC },
	{ OPENAT, EMFILE },
	{ WRITE, ENOSPC },
	{ WRITE, EIO },
	{ FSYNC, EIO },
	{ FSYNC, ENOSPC },
	{ CLOSE, EDQUOT },
	{ FCHMOD, EPERM },
	{ LINKAT, ENOSPC },
	{ RENAMEAT, EIO },
	{ RENAMEAT, ENOSPC },
};

/* How often a step is taken in a replacement. */
static unsigned count_steps(struct pipit_atomic_file *durable, enum step step)
{
	memset(&plan, 0, sizeof plan);
	ck_assert_int_eq(write_text(durable, "old content"), 0);
	return plan.seen[step];
}

START_TEST(a_failed_step_leaves_the_old_content)
{
	struct pipit_atomic_file *durable = open_file();
	unsigned total;

	ck_assert_int_eq(write_text(durable, "older"), 0);
	total = count_steps(durable, failures[_i].step);
	ck_assert_uint_ge(total, 1);
	for (unsigned at = 1; at <= total; at++) {
		ck_assert_int_eq(write_text(durable, "old content"), 0);
		plan.step = failures[_i].step;
		plan.error = failures[_i].error;
		plan.countdown = (int)at;
		if (write_text(durable, "new content") != -failures[_i].error)
			ck_abort_msg("call %u of %u was not told", at, total);
		memset(&plan, 0, sizeof plan);
		assert_file(file, "old content");
		assert_file(beside(".new"), NULL);
		assert_reads(durable, "old content");
		/* And the next change is none the worse for it. */
		ck_assert_int_eq(write_text(durable, "newer"), 0);
		assert_file(file, "newer");
		ck_assert_int_eq(write_text(durable, "old content"), 0);
	}
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(a_failed_first_change_leaves_no_file)
{
	struct pipit_atomic_file *durable = open_file();
	for (int at = 1; at <= 2; at++) {
		plan.step = FSYNC;
		plan.error = EIO;
		plan.countdown = at;
		ck_assert_int_eq(write_text(durable, "new content"), -EIO);
		memset(&plan, 0, sizeof plan);
		assert_file(file, NULL);
		assert_file(beside(".new"), NULL);
	}
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(interrupted_calls_are_taken_up_again)
{
	struct pipit_atomic_file *durable = open_file();
	plan.step = FSYNC;
	plan.error = EINTR;
	plan.countdown = 1;
	ck_assert_int_eq(write_text(durable, "one"), 0);
	plan.step = WRITE;
	plan.countdown = 1;
	ck_assert_int_eq(write_text(durable, "two"), 0);
	assert_file(file, "two");
	pipit_atomic_file_free(durable);
}
END_TEST

/* FAT has none, and some overlays. */
START_TEST(does_without_links)
{
	struct pipit_atomic_file *durable = open_file();
	ck_assert_int_eq(write_text(durable, "one"), 0);
	plan.step = LINKAT;
	plan.error = EPERM;
	plan.countdown = 1;
	plan.forever = true;
	ck_assert_int_eq(write_text(durable, "two"), 0);
	assert_file(file, "two");
	assert_file(beside(".previous"), "one");
	pipit_atomic_file_free(durable);
}
END_TEST

/* --- the process ends ---------------------------------------------------------------------------------------------------- */

static void write_and_die(enum step step, int at, bool without_links)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct pipit_atomic_file *durable = open_file();
		if (without_links) {
			/* The file system has none: found out before it dies there. */
			plan.step = LINKAT;
			plan.error = EPERM;
			plan.countdown = 1;
			plan.forever = true;
			ck_assert_int_eq(write_text(durable, "old content"), 0);
		}
		memset(&plan, 0, sizeof plan);
		plan.step = step;
		plan.countdown = at;
		plan.dies = true;
		_exit(write_text(durable, "new content") == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}

START_TEST(an_end_at_any_step_leaves_the_old_or_the_new_content)
{
	static const enum step steps[] = { OPENAT, WRITE, FSYNC, CLOSE, FCHMOD, LINKAT, RENAMEAT };
	struct pipit_atomic_file *durable;

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		unsigned total;
		durable = open_file();
		ck_assert_int_eq(write_text(durable, "older"), 0);
		total = count_steps(durable, steps[i]);
		pipit_atomic_file_free(durable);
		memset(&plan, 0, sizeof plan);
		for (unsigned at = 1; at <= total; at++) {
			/* The child's own open takes some of these steps, but before its plan begins. */
			write_and_die(steps[i], (int)at, false);
			durable = open_file();
			/* Only the directory's fsync() comes after the name is the new content's. */
			assert_reads(durable, steps[i] == FSYNC && at == total ? "new content" : "old content");
			assert_file(beside(".new"), NULL);
			assert_file(beside(".previous.new"), NULL);
			ck_assert_int_eq(write_text(durable, "old content"), 0);
			pipit_atomic_file_free(durable);
		}
	}
}
END_TEST

START_TEST(a_missing_file_is_taken_from_the_content_before)
{
	struct pipit_atomic_file *durable;
	put_file(beside(".previous"), "old content");
	put_file(beside(".new"), "new con");
	durable = open_file();
	assert_reads(durable, "old content");
	assert_file(beside(".new"), NULL);
	pipit_atomic_file_free(durable);
}
END_TEST

START_TEST(what_is_broken_is_put_aside)
{
	struct pipit_atomic_file *durable = open_file();
	ck_assert_int_eq(pipit_atomic_file_restore(durable), -ENOENT);
	ck_assert_int_eq(write_text(durable, "one"), 0);
	ck_assert_int_eq(write_text(durable, "two"), 0);
	ck_assert_int_eq(pipit_atomic_file_restore(durable), 0);
	assert_file(beside(".broken"), "two");
	assert_file(file, "one");
	pipit_atomic_file_free(durable);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("durable");
	TCase *tests = tcase_create("durable");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, keeps_the_content_and_the_one_before);
	tcase_add_test(tests, synchronises_the_file_and_then_the_directory);
	tcase_add_test(tests, keeps_the_mode_and_is_private_at_first);
	tcase_add_test(tests, follows_a_link_to_the_file);
	tcase_add_test(tests, does_not_write_through_a_link_in_the_new_files_place);
	tcase_add_test(tests, notices_an_edit_by_somebody_else);
	tcase_add_test(tests, lets_one_process_in_at_a_time);
	tcase_add_loop_test(tests, says_what_is_wrong_with_a_name, 0, sizeof wrong / sizeof *wrong);
	tcase_add_loop_test(tests, a_failed_step_leaves_the_old_content, 0, sizeof failures / sizeof *failures);
	tcase_add_test(tests, a_failed_first_change_leaves_no_file);
	tcase_add_test(tests, interrupted_calls_are_taken_up_again);
	tcase_add_test(tests, does_without_links);
	tcase_add_test(tests, an_end_at_any_step_leaves_the_old_or_the_new_content);
	tcase_add_test(tests, a_missing_file_is_taken_from_the_content_before);
	tcase_add_test(tests, what_is_broken_is_put_aside);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
