/* SPDX-License-Identifier: MIT */
/* Writes are atomic: each system call fails in turn, and the process is killed at each of them. */
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

/* --- system calls that fail as planned --------------------------------------------------------------------------------- */

enum step { NO_STEP, OPENAT, WRITE, FSYNC, CLOSE, FCHMOD, LINKAT, RENAMEAT, STEPS };

static struct {
	enum step step;
	int countdown;        /* the failing call of that step, from 1; with `forever`, later calls fail too */
	int error;            /* errno of the failure */
	bool forever, dies;   /* dies: the process ends instead */
	unsigned seen[STEPS]; /* calls so far */
} plan;

/* While a file is replaced or read: other calls, of Check and of the test, are none of the plan's. */
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

/* Replace those of libc. */
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
	/* Messages do not go to the file. */
	if (fd == STDERR_FILENO || !is_replacing)
		return syscall(SYS_write, fd, bytes, length);
	/* Short writes, as the kernel may do them. */
	return fails(WRITE) ? -1 : syscall(SYS_write, fd, bytes, length > 3 ? 3 : length);
}

ssize_t read(int fd, void *bytes, size_t length)
{
	return syscall(SYS_read, fd, bytes, is_replacing && length > 3 ? 3 : length);
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

/* --- a folder for each test --------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/pipit-atomic-XXXXXX", path[sizeof folder + 16];

static const char *beside(const char *suffix)
{
	static char names[4][sizeof path + 16];
	static int next;
	char *name = names[next++ % 4];
	snprintf(name, sizeof names[0], "%s%s", path, suffix);
	return name;
}

static void set_up(void)
{
	memset(&plan, 0, sizeof plan);
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/s.json", folder);
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

/* wanted: NULL for an absent file. */
static void assert_file(const char *name, const char *wanted)
{
	char content[256] = "";
	FILE *stream = fopen(name, "r");
	if (!stream) {
		if (wanted)
			ck_abort_msg("%s is absent", name);
		return;
	}
	if (!wanted)
		ck_abort_msg("%s exists", name);
	content[fread(content, 1, sizeof content - 1, stream)] = '\0';
	fclose(stream);
	ck_assert_str_eq(content, wanted);
}

static struct pipit_atomic_file *open_file(void)
{
	struct pipit_atomic_file *file;
	char error[256];
	ck_assert_int_eq(pipit_atomic_file_open(path, &file, error, sizeof error), 0);
	return file;
}

static int write_text(struct pipit_atomic_file *file, const char *text)
{
	int result;
	is_replacing = true;
	result = pipit_atomic_file_write(file, text, strlen(text));
	is_replacing = false;
	return result;
}

static void assert_reads(struct pipit_atomic_file *file, const char *wanted)
{
	char *bytes;
	size_t length;
	is_replacing = true;
	ck_assert_int_eq(pipit_atomic_file_read(file, 1000, &bytes, &length), 0);
	is_replacing = false;
	ck_assert_uint_eq(length, strlen(wanted));
	ck_assert_str_eq(bytes, wanted);
	free(bytes);
}

/* --- without failures --------------------------------------------------------------------------------------------------- */

START_TEST(keeps_the_current_and_the_previous_content)
{
	struct pipit_atomic_file *file = open_file();
	char *bytes;
	size_t length;

	ck_assert_int_eq(pipit_atomic_file_read(file, 1000, &bytes, &length), -ENOENT);
	ck_assert_int_eq(write_text(file, "one, and some more"), 0);
	assert_file(path, "one, and some more");
	assert_file(beside(".previous"), NULL);
	ck_assert_int_eq(write_text(file, "two"), 0);
	ck_assert_int_eq(write_text(file, "three"), 0);
	assert_reads(file, "three");
	assert_file(beside(".previous"), "two");
	assert_file(beside(".new"), NULL);
	assert_file(beside(".previous.new"), NULL);
	ck_assert_int_eq(pipit_atomic_file_read(file, 4, &bytes, &length), -EFBIG);
	ck_assert_int_eq(pipit_atomic_file_read(file, 5, &bytes, &length), 0);
	free(bytes);
	pipit_atomic_file_free(file);
}
END_TEST

/* With the longest suffix, ".previous.new", and 13 bytes of it: at most 255. */
START_TEST(takes_a_name_of_241_bytes_and_no_longer_one)
{
	char names[3][300], name[300], error[512];
	struct pipit_atomic_file *file, *other;

	memset(name, 'n', sizeof name);
	snprintf(names[0], sizeof names[0], "%s/%.*sa", folder, 240, name);
	snprintf(names[1], sizeof names[1], "%s/%.*sb", folder, 240, name);
	snprintf(names[2], sizeof names[2], "%s/%.*s", folder, 242, name);
	ck_assert_int_eq(pipit_atomic_file_open(names[0], &file, error, sizeof error), 0);
	ck_assert_int_eq(pipit_atomic_file_open(names[1], &other, error, sizeof error), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_text(file, "one"), 0);
		ck_assert_int_eq(write_text(other, "two"), 0);
	}
	assert_reads(file, "one");
	assert_file(names[0], "one");
	assert_file(strcat(names[0], ".previous"), "one");
	assert_file(strcat(names[1], ".previous"), "two");
	pipit_atomic_file_free(file);
	pipit_atomic_file_free(other);
	ck_assert_int_eq(pipit_atomic_file_open(names[2], &file, error, sizeof error), -ENAMETOOLONG);
}
END_TEST

START_TEST(uses_and_closes_descriptor_0_where_standard_input_is_closed)
{
	int saved = dup(STDIN_FILENO);
	struct pipit_atomic_file *file;

	close(STDIN_FILENO);
	file = open_file();
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
	ck_assert_int_eq(write_text(file, "one"), 0);
	assert_reads(file, "one");
	pipit_atomic_file_free(file);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
	if (saved >= 0)
		dup2(saved, STDIN_FILENO), close(saved);
}
END_TEST

/* Some file systems cannot. */
START_TEST(reads_what_cannot_be_synchronised)
{
	static const struct {
		int failure, result;
	} cases[] = { { EROFS, 0 }, { EINVAL, 0 }, { EIO, -EIO } };
	struct pipit_atomic_file *file = open_file();

	ck_assert_int_eq(write_text(file, "one"), 0);
	for (size_t i = 0; i < 3; i++) {
		char *bytes = NULL;
		size_t length;
		plan.step = FSYNC;
		plan.error = cases[i].failure;
		plan.countdown = 1;
		is_replacing = true;
		ck_assert_int_eq(pipit_atomic_file_read(file, 1000, &bytes, &length), cases[i].result);
		is_replacing = false;
		if (cases[i].result == 0)
			free(bytes);
	}
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(synchronises_the_file_and_then_the_directory)
{
	struct pipit_atomic_file *file = open_file();
	ck_assert_int_eq(write_text(file, "one"), 0);
	plan.seen[FSYNC] = 0;
	ck_assert_int_eq(write_text(file, "two"), 0);
	ck_assert_uint_eq(plan.seen[FSYNC], 2);
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(keeps_the_mode_and_creates_private_files)
{
	struct pipit_atomic_file *file = open_file();
	struct stat status;
	ck_assert_int_eq(write_text(file, "one"), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(write_text(file, "two"), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(follows_a_link_to_the_file)
{
	struct pipit_atomic_file *file;
	struct stat status;
	put_file(beside(".real"), "zero");
	ck_assert_int_eq(symlink(beside(".real"), path), 0);
	file = open_file();
	ck_assert_int_eq(write_text(file, "one"), 0);
	assert_file(beside(".real"), "one");
	assert_file(beside(".real.previous"), "zero");
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISLNK(status.st_mode));
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(does_not_follow_a_link_at_the_new_files_name)
{
	struct pipit_atomic_file *file = open_file();
	put_file(beside(".other"), "untouched");
	ck_assert_int_eq(symlink(beside(".other"), beside(".new")), 0);
	ck_assert_int_eq(write_text(file, "one"), 0);
	assert_file(beside(".other"), "untouched");
	assert_file(path, "one");
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(notices_an_edit_by_another_program)
{
	struct pipit_atomic_file *file = open_file();
	ck_assert(!pipit_atomic_file_was_edited(file));
	ck_assert_int_eq(write_text(file, "one"), 0);
	ck_assert(!pipit_atomic_file_was_edited(file));
	put_file(path, "edited");
	ck_assert(pipit_atomic_file_was_edited(file));
	/* Only pipit_atomic_file_accept() changes what counts. */
	assert_reads(file, "edited");
	ck_assert(pipit_atomic_file_was_edited(file));
	pipit_atomic_file_accept(file);
	ck_assert(!pipit_atomic_file_was_edited(file));
	pipit_atomic_file_free(file);
}
END_TEST

static void put_at(const char *name, const char *content, time_t modified)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, { modified, 0 } };
	put_file(name, content);
	ck_assert_int_eq(utimensat(AT_FDCWD, name, times, 0), 0);
}

/* Each differs from the accepted content in one thing. */
START_TEST(notices_another_file_and_another_size_and_another_date)
{
	struct pipit_atomic_file *file = open_file();

	put_at(path, "one", 1000);
	ck_assert(pipit_atomic_file_was_edited(file));
	assert_reads(file, "one");
	pipit_atomic_file_accept(file);
	ck_assert(!pipit_atomic_file_was_edited(file));
	put_at(path, "three", 1000);
	ck_assert(pipit_atomic_file_was_edited(file));
	put_at(path, "two", 1001);
	ck_assert(pipit_atomic_file_was_edited(file));
	put_at(path, "one", 1000);
	ck_assert(!pipit_atomic_file_was_edited(file));
	put_at(beside(".other"), "one", 1000);
	ck_assert_int_eq(rename(beside(".other"), path), 0);
	ck_assert(pipit_atomic_file_was_edited(file));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(!pipit_atomic_file_was_edited(file));
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(refuses_a_file_that_another_process_has_open)
{
	struct pipit_atomic_file *file = open_file(), *other;
	char error[256];
	ck_assert_int_eq(pipit_atomic_file_open(path, &other, error, sizeof error), -EBUSY);
	ck_assert_ptr_nonnull(strstr(error, "another process has it open"));
	pipit_atomic_file_free(file);
	file = open_file();
	pipit_atomic_file_free(file);
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

START_TEST(refuses_a_wrong_name_with_advice)
{
	struct pipit_atomic_file *file = NULL;
	char error[256] = "";

	ck_assert_int_eq(pipit_atomic_file_open(wrong[_i].name, &file, error, sizeof error), wrong[_i].error);
	if (!strstr(error, wrong[_i].said))
		ck_abort_msg("%s", error);
}
END_TEST

START_TEST(refuses_a_link_that_leads_nowhere)
{
	struct pipit_atomic_file *file;
	char error[256] = "";

	ck_assert_int_eq(symlink(beside(".absent"), path), 0);
	ck_assert_int_eq(pipit_atomic_file_open(path, &file, error, sizeof error), -ENOLINK);
	ck_assert_ptr_nonnull(strstr(error, "it is a link to no file"));
}
END_TEST

static const char *const needed[] = { ".new", ".previous", ".previous.new", ".broken", ".lock" };

START_TEST(refuses_a_directory_at_a_name_that_a_change_needs)
{
	struct pipit_atomic_file *file;
	char error[256] = "";

	ck_assert_int_eq(mkdir(beside(needed[_i]), 0700), 0);
	ck_assert_int_eq(pipit_atomic_file_open(path, &file, error, sizeof error), -EISDIR);
	ck_assert_msg(strstr(error, needed[_i]) && strstr(error, "remove it"), "%s", error);
	ck_assert_int_eq(rmdir(beside(needed[_i])), 0);
	pipit_atomic_file_free(open_file());
}
END_TEST

START_TEST(a_directory_that_is_made_later_fails_changes)
{
	struct pipit_atomic_file *file = open_file();

	ck_assert_int_eq(write_text(file, "one"), 0);
	ck_assert_int_eq(mkdir(beside(".new"), 0700), 0);
	ck_assert_int_eq(write_text(file, "two"), -EISDIR);
	ck_assert_ptr_nonnull(strstr(pipit_atomic_file_explain(file, -EISDIR), "a directory beside it"));
	assert_file(path, "one");
	ck_assert_int_eq(rmdir(beside(".new")), 0);
	ck_assert_int_eq(write_text(file, "two"), 0);
	assert_file(path, "two");
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(changes_nothing_where_the_path_does_not_lead)
{
	struct pipit_atomic_file *file = open_file();
	char moved[sizeof folder + 8], kept[sizeof moved + 16];

	ck_assert_int_eq(write_text(file, "one"), 0);
	snprintf(moved, sizeof moved, "%s.moved", folder);
	ck_assert_int_eq(rename(folder, moved), 0);
	ck_assert_int_eq(write_text(file, "two"), -ESTALE);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(write_text(file, "two"), -ESTALE);
	snprintf(kept, sizeof kept, "%s/s.json", moved);
	assert_file(kept, "one");
	assert_file(path, NULL);
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(rename(moved, folder), 0);
	ck_assert_int_eq(write_text(file, "two"), 0);
	assert_file(path, "two");
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(changes_nothing_when_a_link_leads_elsewhere)
{
	struct pipit_atomic_file *file;
	char error[256], target[sizeof path + 16], other[sizeof path + 16];

	snprintf(target, sizeof target, "%s", beside(".one"));
	snprintf(other, sizeof other, "%s", beside(".two"));
	put_file(target, "one");
	put_file(other, "other");
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(pipit_atomic_file_open(path, &file, error, sizeof error), 0);
	ck_assert_int_eq(write_text(file, "two"), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(other, path), 0);
	ck_assert_int_eq(write_text(file, "three"), -ESTALE);
	assert_file(target, "two");
	assert_file(other, "other");
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(takes_the_lock_again_when_it_was_removed)
{
	struct pipit_atomic_file *file = open_file(), *other;

	ck_assert_int_eq(unlink(beside(".lock")), 0);
	other = open_file();
	ck_assert_int_eq(write_text(file, "one"), -EBUSY);
	ck_assert_int_eq(write_text(other, "other"), 0);
	pipit_atomic_file_free(other);
	ck_assert_int_eq(write_text(file, "one"), 0);
	assert_file(path, "one");
	pipit_atomic_file_free(file);
}
END_TEST

/* In a child, because there is no way back from another user. */
static int exit_status_as_another_user(int (*act)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(setgid(65534) == 0 && setuid(65534) == 0 ? -act() : 255);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int open_quietly(void)
{
	struct pipit_atomic_file *file;
	char error[256];
	return pipit_atomic_file_open(path, &file, error, sizeof error);
}

static int open_and_write(void)
{
	struct pipit_atomic_file *file;
	char error[256];
	int failure = pipit_atomic_file_open(path, &file, error, sizeof error);
	return failure != 0 ? -100 : write_text(file, "two");
}

START_TEST(refuses_a_lock_of_another_user)
{
	struct pipit_atomic_file *file;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(folder, 0777), 0);
	put_file(path, "one");
	file = open_file();
	ck_assert_int_eq(exit_status_as_another_user(open_quietly), EPERM);
	pipit_atomic_file_free(file);
	ck_assert_int_eq(exit_status_as_another_user(open_quietly), EPERM);
	ck_assert_int_eq(unlink(beside(".lock")), 0);
	ck_assert_int_eq(exit_status_as_another_user(open_and_write), 0);
}
END_TEST

START_TEST(reads_without_a_lock_where_it_cannot_write)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(folder, 0755), 0);
	put_file(path, "one");
	ck_assert_int_eq(exit_status_as_another_user(open_and_write), EACCES);
	assert_file(path, "one");
}
END_TEST

/* --- a step fails ------------------------------------------------------------------------------------------------------- */

/* Each step of a write, with errors that it may have; each call of the step fails in turn. */
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

/* How often one write calls the step. */
static unsigned count_steps(struct pipit_atomic_file *file, enum step step)
{
	memset(&plan, 0, sizeof plan);
	ck_assert_int_eq(write_text(file, "old content"), 0);
	return plan.seen[step];
}

START_TEST(a_failed_step_leaves_the_old_content)
{
	struct pipit_atomic_file *file = open_file();
	unsigned total;

	ck_assert_int_eq(write_text(file, "older"), 0);
	total = count_steps(file, failures[_i].step);
	ck_assert_uint_ge(total, 1);
	for (unsigned at = 1; at <= total; at++) {
		ck_assert_int_eq(write_text(file, "old content"), 0);
		plan.step = failures[_i].step;
		plan.error = failures[_i].error;
		plan.countdown = (int)at;
		if (write_text(file, "new content") != -failures[_i].error)
			ck_abort_msg("the failure of call %u of %u was not reported", at, total);
		memset(&plan, 0, sizeof plan);
		assert_file(path, "old content");
		assert_file(beside(".new"), NULL);
		assert_reads(file, "old content");
		/* The next write works. */
		ck_assert_int_eq(write_text(file, "newer"), 0);
		assert_file(path, "newer");
		ck_assert_int_eq(write_text(file, "old content"), 0);
	}
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(a_failed_first_change_leaves_no_file)
{
	struct pipit_atomic_file *file = open_file();
	for (int at = 1; at <= 2; at++) {
		plan.step = FSYNC;
		plan.error = EIO;
		plan.countdown = at;
		ck_assert_int_eq(write_text(file, "new content"), -EIO);
		memset(&plan, 0, sizeof plan);
		assert_file(path, NULL);
		assert_file(beside(".new"), NULL);
	}
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(retries_interrupted_calls)
{
	struct pipit_atomic_file *file = open_file();
	plan.step = FSYNC;
	plan.error = EINTR;
	plan.countdown = 1;
	ck_assert_int_eq(write_text(file, "one"), 0);
	plan.step = WRITE;
	plan.countdown = 1;
	ck_assert_int_eq(write_text(file, "two"), 0);
	assert_file(path, "two");
	pipit_atomic_file_free(file);
}
END_TEST

/* FAT has no hard links, nor have some overlay file systems. */
static const int link_errors[] = { EPERM, EOPNOTSUPP, EMLINK, ENOSYS };

START_TEST(works_without_hard_links)
{
	struct pipit_atomic_file *file = open_file();
	ck_assert_int_eq(write_text(file, "one"), 0);
	plan.step = LINKAT;
	plan.error = link_errors[_i];
	plan.countdown = 1;
	plan.forever = true;
	ck_assert_int_eq(write_text(file, "two"), 0);
	assert_file(path, "two");
	assert_file(beside(".previous"), "one");
	pipit_atomic_file_free(file);
}
END_TEST

/* --- the process ends ---------------------------------------------------------------------------------------------------- */

static void write_and_die(enum step step, int at, bool without_links)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct pipit_atomic_file *file = open_file();
		if (without_links) {
			/* This write finds that there are no hard links; the next one dies. */
			plan.step = LINKAT;
			plan.error = EPERM;
			plan.countdown = 1;
			plan.forever = true;
			ck_assert_int_eq(write_text(file, "old content"), 0);
		}
		memset(&plan, 0, sizeof plan);
		plan.step = step;
		plan.countdown = at;
		plan.dies = true;
		_exit(write_text(file, "new content") == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}

START_TEST(a_crash_at_any_step_leaves_the_old_or_the_new_content)
{
	static const enum step steps[] = { OPENAT, WRITE, FSYNC, CLOSE, FCHMOD, LINKAT, RENAMEAT };
	struct pipit_atomic_file *file;

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		unsigned total;
		file = open_file();
		ck_assert_int_eq(write_text(file, "older"), 0);
		total = count_steps(file, steps[i]);
		pipit_atomic_file_free(file);
		memset(&plan, 0, sizeof plan);
		for (unsigned at = 1; at <= total; at++) {
			write_and_die(steps[i], (int)at, false);
			file = open_file();
			/* Only the fsync() of the directory comes after the rename. */
			assert_reads(file, steps[i] == FSYNC && at == total ? "new content" : "old content");
			assert_file(beside(".new"), NULL);
			assert_file(beside(".previous.new"), NULL);
			ck_assert_int_eq(write_text(file, "old content"), 0);
			pipit_atomic_file_free(file);
		}
	}
}
END_TEST

START_TEST(restores_a_missing_file_from_the_previous_content)
{
	struct pipit_atomic_file *file;
	put_file(beside(".previous"), "old content");
	put_file(beside(".new"), "new con");
	file = open_file();
	assert_reads(file, "old content");
	assert_file(beside(".new"), NULL);
	pipit_atomic_file_free(file);
}
END_TEST

START_TEST(renames_a_broken_file_and_restores_the_previous_content)
{
	struct pipit_atomic_file *file = open_file();
	ck_assert_int_eq(pipit_atomic_file_restore(file), -ENOENT);
	ck_assert_int_eq(write_text(file, "one"), 0);
	ck_assert_int_eq(write_text(file, "two"), 0);
	ck_assert_int_eq(pipit_atomic_file_restore(file), 0);
	assert_file(beside(".broken"), "two");
	assert_file(path, "one");
	pipit_atomic_file_free(file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("atomic_file");
	TCase *tests = tcase_create("atomic_file");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, keeps_the_current_and_the_previous_content);
	tcase_add_test(tests, takes_a_name_of_241_bytes_and_no_longer_one);
	tcase_add_test(tests, uses_and_closes_descriptor_0_where_standard_input_is_closed);
	tcase_add_test(tests, reads_what_cannot_be_synchronised);
	tcase_add_test(tests, synchronises_the_file_and_then_the_directory);
	tcase_add_test(tests, keeps_the_mode_and_creates_private_files);
	tcase_add_test(tests, follows_a_link_to_the_file);
	tcase_add_test(tests, does_not_follow_a_link_at_the_new_files_name);
	tcase_add_test(tests, notices_an_edit_by_another_program);
	tcase_add_test(tests, notices_another_file_and_another_size_and_another_date);
	tcase_add_test(tests, refuses_a_file_that_another_process_has_open);
	tcase_add_test(tests, refuses_a_link_that_leads_nowhere);
	tcase_add_loop_test(
	    tests, refuses_a_directory_at_a_name_that_a_change_needs, 0, sizeof needed / sizeof *needed);
	tcase_add_test(tests, a_directory_that_is_made_later_fails_changes);
	tcase_add_test(tests, changes_nothing_where_the_path_does_not_lead);
	tcase_add_test(tests, changes_nothing_when_a_link_leads_elsewhere);
	tcase_add_test(tests, takes_the_lock_again_when_it_was_removed);
	tcase_add_test(tests, refuses_a_lock_of_another_user);
	tcase_add_test(tests, reads_without_a_lock_where_it_cannot_write);
	tcase_add_loop_test(tests, refuses_a_wrong_name_with_advice, 0, sizeof wrong / sizeof *wrong);
	tcase_add_loop_test(tests, a_failed_step_leaves_the_old_content, 0, sizeof failures / sizeof *failures);
	tcase_add_test(tests, a_failed_first_change_leaves_no_file);
	tcase_add_test(tests, retries_interrupted_calls);
	tcase_add_loop_test(tests, works_without_hard_links, 0, 4);
	tcase_add_test(tests, a_crash_at_any_step_leaves_the_old_or_the_new_content);
	tcase_add_test(tests, restores_a_missing_file_from_the_previous_content);
	tcase_add_test(tests, renames_a_broken_file_and_restores_the_previous_content);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
