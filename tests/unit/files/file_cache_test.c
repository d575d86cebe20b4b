/* SPDX-License-Identifier: MIT */
/* The clock is the test's. Each test has a new tree: top/secret.txt, and top/root, which is served. */
#include "files/file_cache.h"

#include "suite.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 1000000
#define LARGE_BYTES (100 * 1024)
#define FD_MAX 256

static char top[64];
static struct pipit_files *files;
static struct pipit_file_cache *opened;
static uint64_t now_ms;

/* The wall clock, in the place of libc's; tv_sec 0: the real one. */
static struct timespec wall;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (clock != CLOCK_REALTIME || wall.tv_sec == 0)
		return (int)syscall(SYS_clock_gettime, clock, now);
	*now = wall;
	return 0;
}

/* What happens to the file before its bytes are read, and after. */
static void (*before_reading)(void), (*after_reading)(void);

static void run_once(void (**hook)(void))
{
	void (*run)(void) = *hook;
	*hook = NULL;
	if (run)
		run();
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
	ssize_t count;
	run_once(&before_reading);
	/* preadv(): the arguments of the system call pread64 depend on the machine */
	count = preadv(fd, &(struct iovec){ bytes, length }, 1, offset);
	run_once(&after_reading);
	return count;
}

static const char *below_root(const char *name)
{
	static char path[384];
	snprintf(path, sizeof path, "%s/root/%s", top, name);
	return path;
}

static void write_bytes(const char *name, int flags, const void *bytes, size_t length)
{
	int fd = open(below_root(name), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
	close(fd);
}

static void make_file(const char *name, const char *content)
{
	write_bytes(name, O_TRUNC, content, strlen(content));
}

/* `length` bytes of `letter`. */
static void make_long_file(const char *name, char letter, size_t length)
{
	char *bytes = malloc(length);
	ck_assert_ptr_nonnull(bytes);
	memset(bytes, letter, length);
	write_bytes(name, O_TRUNC, bytes, length);
	free(bytes);
}

static void move(const char *from, const char *to)
{
	char name[384];
	strcpy(name, below_root(from));
	ck_assert_int_eq(rename(name, below_root(to)), 0);
}

/* A while after the last change of a file. */
static void set_wall(const char *name, time_t seconds)
{
	struct stat status;
	ck_assert_int_eq(stat(below_root(name), &status), 0);
	wall = status.st_ctim;
	wall.tv_sec += seconds;
}

static void set_up(void)
{
	strcpy(top, "/tmp/opened_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(mkdir(below_root(""), 0755), 0);
	make_file("../secret.txt", "secret");
	make_file("small.html", "first");
	make_file("empty", "");
	make_long_file("large", 'a', LARGE_BYTES);
	ck_assert_int_eq(pipit_files_open_root(below_root(""), &files), 0);
	opened = pipit_file_cache_new();
	ck_assert_ptr_nonnull(opened);
	now_ms = START_MS;
	wall.tv_sec = 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

static void tear_down(void)
{
	pipit_file_cache_free(opened);
	pipit_files_close_root(files);
	ck_assert_int_eq(nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static enum pipit_files_result find(const char *path, struct pipit_file_cache_file *file)
{
	return pipit_file_cache_find(opened, files, pipit_slice_of(path), now_ms, file);
}

static enum pipit_files_result look_for(const char *path)
{
	struct pipit_file_cache_file file;
	enum pipit_files_result result = find(path, &file);
	if (result == PIPIT_FILES_FOUND)
		pipit_shared_fd_release(file.descriptor);
	return result;
}

/* The bytes to send, as a string that is valid until the next call. */
static const char *content_of(const struct pipit_file_cache_file *file)
{
	static char content[256 * 1024];
	ck_assert_uint_lt(file->size, sizeof content);
	ck_assert((file->content == NULL) != (file->descriptor == NULL));
	if (file->content)
		memcpy(content, file->content, (size_t)file->size);
	else
		ck_assert_int_eq(pread(file->descriptor->fd, content, (size_t)file->size, 0), (ssize_t)file->size);
	content[file->size] = '\0';
	return content;
}

static void expect(const char *path, const char *content)
{
	struct pipit_file_cache_file file;
	ck_assert_msg(find(path, &file) == PIPIT_FILES_FOUND, "%s is not found", path);
	ck_assert_str_eq(content_of(&file), content);
	pipit_shared_fd_release(file.descriptor);
}

static void expect_letters(const char *path, char letter, size_t length)
{
	struct pipit_file_cache_file file;
	const char *content;
	ck_assert_msg(find(path, &file) == PIPIT_FILES_FOUND, "%s is not found", path);
	ck_assert_uint_eq(file.size, length);
	content = content_of(&file);
	for (size_t i = 0; i < length; i++)
		ck_assert_int_eq(content[i], letter);
	pipit_shared_fd_release(file.descriptor);
}

static size_t open_descriptors(void)
{
	size_t count = 0;
	for (int fd = 0; fd < FD_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* ---------------------------------------------------------------- finding files */

START_TEST(returns_the_bytes_of_a_small_file)
{
	struct pipit_file_cache_file file;
	size_t before = open_descriptors();
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_uint_eq(file.size, 5);
	ck_assert_mem_eq(file.content, "first", 5);
	ck_assert_ptr_null(file.descriptor);
	ck_assert_str_eq(file.content_type, "text/html; charset=utf-8");
	ck_assert_uint_eq(open_descriptors(), before);
	expect("/empty", "");
}
END_TEST

START_TEST(shares_one_descriptor_of_a_large_file)
{
	struct pipit_file_cache_file first, second;
	size_t before = open_descriptors();
	ck_assert_int_eq(find("/large", &first), PIPIT_FILES_FOUND);
	ck_assert_int_eq(find("/large", &second), PIPIT_FILES_FOUND);
	ck_assert_ptr_null(first.content);
	ck_assert_ptr_eq(first.descriptor, second.descriptor);
	ck_assert_uint_eq(open_descriptors(), before + 1);
	pipit_shared_fd_release(first.descriptor);
	pipit_shared_fd_release(second.descriptor);
	expect_letters("/large", 'a', LARGE_BYTES);
}
END_TEST

static const struct {
	size_t length;
	bool has_content;
} lengths[] = { { 0, true }, { 1, true }, { PIPIT_FILE_CACHE_SMALL_BYTES - 1, true },
	{ PIPIT_FILE_CACHE_SMALL_BYTES, true }, { PIPIT_FILE_CACHE_SMALL_BYTES + 1, false } };

START_TEST(caches_bytes_of_files_up_to_a_size)
{
	struct pipit_file_cache_file file;
	make_long_file("file", 'x', lengths[_i].length);
	ck_assert_int_eq(find("/file", &file), PIPIT_FILES_FOUND);
	ck_assert_int_eq(file.content != NULL, lengths[_i].has_content);
	pipit_shared_fd_release(file.descriptor);
	expect_letters("/file", 'x', lengths[_i].length);
}
END_TEST

START_TEST(sets_the_date_and_the_etag)
{
	const struct timespec times[2] = { { 784111777, 0 }, { 784111777, 999999999 } };
	struct pipit_file_cache_file file;
	ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small.html"), times, 0), 0);
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_int_eq(file.modified, 784111777);
	ck_assert_str_eq(file.date, "Sun, 06 Nov 1994 08:49:37 GMT");
	ck_assert_uint_eq(file.etag_length, strlen(file.etag));
	/* 784111777999999999 nanoseconds, and five bytes */
	ck_assert_ptr_nonnull(strstr(file.etag, "\"ae1b981f7e3d3ff-5-"));
	ck_assert_int_eq(file.etag[file.etag_length - 1], '"');
}
END_TEST

/* Two writes within one tick of the kernel's clock leave the same timestamps. */
START_TEST(uses_a_weak_etag_until_a_file_is_settled)
{
	static const char *const paths[] = { "/small.html", "/large" };
	struct pipit_file_cache_file file;
	make_file("small.html", "just written");
	make_long_file("large", 'b', LARGE_BYTES);
	for (size_t i = 0; i < 2; i++) {
		set_wall(paths[i] + 1, 0);
		ck_assert_int_eq(find(paths[i], &file), PIPIT_FILES_FOUND);
		ck_assert_mem_eq(file.etag, "W/\"", 3);
		ck_assert(!pipit_file_cache_is_settled(&file));
		pipit_shared_fd_release(file.descriptor);
	}
	now_ms += 2000;
	for (size_t i = 0; i < 2; i++) {
		set_wall(paths[i] + 1, 1);
		ck_assert_int_eq(find(paths[i], &file), PIPIT_FILES_FOUND);
		ck_assert(pipit_file_cache_is_settled(&file));
		pipit_shared_fd_release(file.descriptor);
	}
}
END_TEST

START_TEST(changes_the_etag_with_every_change)
{
	const struct timespec times[2] = { { 784111777, 0 }, { 784111777, 0 } };
	char tags[4][PIPIT_FILE_CACHE_ETAG_SIZE];
	struct pipit_file_cache_file file;
	for (size_t i = 0; i < 4; i++) {
		/* same size and modification time, in place or as another file */
		make_file(i < 2 ? "small.html" : "other.html", i % 2 ? "first" : "secnd");
		if (i >= 2)
			move("other.html", "small.html");
		ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small.html"), times, 0), 0);
		set_wall("small.html", 1);
		now_ms += 2000;
		ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
		ck_assert_mem_eq(file.etag, "\"", 1);
		strcpy(tags[i], file.etag);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(tags[i], tags[j]);
	}
}
END_TEST

START_TEST(remembers_absent_variants_until_the_next_check)
{
	struct pipit_file_cache_file file;
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_uint_eq(file.absent, 0);
	pipit_file_cache_note_absent(opened, files, pipit_slice_of("/small.html"), 5);
	pipit_file_cache_note_absent(opened, files, pipit_slice_of("/not-remembered"), 2);
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_uint_eq(file.absent, 5);
	now_ms += 2000;
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_uint_eq(file.absent, 0);
}
END_TEST

/* ---------------------------------------------------------------- changes */

START_TEST(does_not_read_the_file_system_for_some_milliseconds)
{
	expect("/small.html", "first");
	ck_assert_int_eq(unlink(below_root("small.html")), 0);
	now_ms += 9;
	expect("/small.html", "first");
	now_ms += 1;
	ck_assert_int_eq(look_for("/small.html"), PIPIT_FILES_NOT_FOUND);
}
END_TEST

/* Everything that a deployment does to a path: file, link, and directory above it. */
static void replace_by_rename(void)
{
	make_file("new", "other");
	move("new", "small.html");
}

static void replace_by_link(void)
{
	make_file("other.html", "other");
	ck_assert_int_eq(symlink("other.html", below_root("new")), 0);
	move("new", "small.html");
}

static void replace_the_root(void)
{
	move("", "../old");
	ck_assert_int_eq(mkdir(below_root(""), 0755), 0);
	make_file("small.html", "other");
}

static void (*const replacements[])(void) = { replace_by_rename, replace_by_link, replace_the_root };

/* Two workers, within the milliseconds in which neither reads the file system for itself. */
START_TEST(serves_no_old_file_when_another_worker_has_served_a_new_one)
{
	struct pipit_file_cache *other = pipit_file_cache_new();
	struct pipit_file_cache_file file;
	ck_assert_ptr_nonnull(other);
	expect("/small.html", "first");
	replacements[_i]();
	ck_assert_int_eq(
	    pipit_file_cache_find(other, files, pipit_slice_of("/small.html"), now_ms, &file), PIPIT_FILES_FOUND);
	ck_assert_mem_eq(file.content, "other", 5);
	expect("/small.html", "other");
	pipit_file_cache_free(other);
}
END_TEST

START_TEST(serves_no_deleted_file_when_another_worker_has_not_found_it)
{
	struct pipit_file_cache *other = pipit_file_cache_new();
	struct pipit_file_cache_file file;
	ck_assert_ptr_nonnull(other);
	expect("/small.html", "first");
	ck_assert_int_eq(unlink(below_root("small.html")), 0);
	ck_assert_int_eq(
	    pipit_file_cache_find(other, files, pipit_slice_of("/small.html"), now_ms, &file), PIPIT_FILES_NOT_FOUND);
	ck_assert_int_eq(look_for("/small.html"), PIPIT_FILES_NOT_FOUND);
	pipit_file_cache_free(other);
}
END_TEST

/* The file itself has not changed: neither its inode nor its times. */
START_TEST(finds_within_a_second_that_a_directory_leads_out)
{
	ck_assert_int_eq(mkdir(below_root("docs"), 0755), 0);
	make_file("docs/page.html", "page");
	expect("/docs/page.html", "page");
	move("docs", "../docs");
	ck_assert_int_eq(symlink("../docs", below_root("docs")), 0);
	now_ms += 1000;
	ck_assert_int_eq(look_for("/docs/page.html"), PIPIT_FILES_NOT_FOUND);
}
END_TEST

START_TEST(serves_a_changed_file_after_some_milliseconds)
{
	expect("/small.html", "first");
	make_file("small.html", "second");
	now_ms += 10;
	expect("/small.html", "second");
}
END_TEST

START_TEST(serves_a_replaced_file_after_some_milliseconds)
{
	expect("/small.html", "first");
	expect_letters("/large", 'a', LARGE_BYTES);
	make_file("new", "other");
	move("new", "small.html");
	make_long_file("new", 'b', LARGE_BYTES);
	move("new", "large");
	now_ms += 10;
	expect("/small.html", "other");
	expect_letters("/large", 'b', LARGE_BYTES);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 2);
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 1);
}
END_TEST

/* Written in place, with the same length and modification time. */
START_TEST(serves_a_file_that_hides_its_change_within_a_second)
{
	const struct timespec times[2] = { { 784111777, 0 }, { 784111777, 0 } };
	make_file("small.html", "first");
	ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small.html"), times, 0), 0);
	expect("/small.html", "first");
	write_bytes("small.html", 0, "other", 5);
	ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small.html"), times, 0), 0);
	now_ms += 1000;
	expect("/small.html", "other");
}
END_TEST

/* Some file systems do not change the timestamps. */
START_TEST(serves_a_file_that_is_written_through_a_mapping_within_a_second)
{
	int fd = open(below_root("small.html"), O_RDWR | O_CLOEXEC);
	char *mapped = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(mapped, MAP_FAILED);
	mapped[0] = 'F';
	expect("/small.html", "First");
	mapped[0] = 'H';
	now_ms += 1000;
	expect("/small.html", "Hirst");
	munmap(mapped, 5);
	close(fd);
}
END_TEST

START_TEST(sees_at_once_that_a_large_file_has_another_length)
{
	expect_letters("/large", 'a', LARGE_BYTES);
	now_ms += 20;
	ck_assert_int_eq(truncate(below_root("large"), LARGE_BYTES / 2), 0);
	expect_letters("/large", 'a', LARGE_BYTES / 2);
	now_ms += 20;
	write_bytes("large", O_APPEND, "aaaa", 4);
	expect_letters("/large", 'a', LARGE_BYTES / 2 + 4);
	now_ms += 20;
	ck_assert_int_eq(truncate(below_root("large"), 3), 0);
	expect("/large", "aaa");
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 0);
}
END_TEST

START_TEST(keeps_the_descriptor_of_a_file_that_has_not_changed)
{
	struct pipit_file_cache_file first, second;
	ck_assert_int_eq(find("/large", &first), PIPIT_FILES_FOUND);
	for (int i = 0; i < 5; i++) {
		now_ms += 1000;
		ck_assert_int_eq(find("/large", &second), PIPIT_FILES_FOUND);
		ck_assert_ptr_eq(first.descriptor, second.descriptor);
		pipit_shared_fd_release(second.descriptor);
	}
	pipit_shared_fd_release(first.descriptor);
}
END_TEST

static const char *const both[] = { "small.html", "large" };

static const char *path_of(const char *name)
{
	static char path[64];
	snprintf(path, sizeof path, "/%s", name);
	return path;
}

START_TEST(does_not_keep_a_deleted_file)
{
	size_t before = open_descriptors();
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_FOUND);
	ck_assert_int_eq(unlink(below_root(both[_i])), 0);
	now_ms += 1000;
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_NOT_FOUND);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
	ck_assert_uint_eq(pipit_file_cache_byte_count(opened), 0);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(refuses_a_link_that_was_changed_to_lead_out)
{
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_FOUND);
	ck_assert_int_eq(unlink(below_root(both[_i])), 0);
	ck_assert_int_eq(symlink("../secret.txt", below_root(both[_i])), 0);
	now_ms += 1000;
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_NOT_FOUND);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
}
END_TEST

static void write_otherwise(void)
{
	const struct timespec times[2] = { { 784111777, 0 }, { 784111777, 0 } };
	write_bytes("small.html", 0, "other", 5);
	ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small.html"), times, 0), 0);
}

static void write_longer(void)
{
	write_bytes("small.html", O_APPEND, " and more", 9);
}

static void cut(void)
{
	ck_assert_int_eq(truncate(below_root("small.html"), 2), 0);
}

static const struct {
	void (*before)(void), (*after)(void);
	const char *content;
} readings[] = { { write_otherwise, NULL, "other" }, { NULL, write_otherwise, "other" },
	{ write_longer, NULL, "first and more" }, { NULL, write_longer, "first and more" }, { cut, NULL, "fi" },
	{ NULL, cut, "fi" } };

/* Neither a mixture of two versions, nor the ETag of one with the bytes of the other. */
START_TEST(does_not_cache_the_bytes_of_a_file_that_changes_while_it_is_read)
{
	struct pipit_file_cache_file file;
	before_reading = readings[_i].before;
	after_reading = readings[_i].after;
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert(!before_reading && !after_reading);
	ck_assert_ptr_null(file.content);
	ck_assert_ptr_nonnull(file.descriptor);
	pipit_shared_fd_release(file.descriptor);
	now_ms += 10;
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_ptr_nonnull(file.content);
	ck_assert_str_eq(content_of(&file), readings[_i].content);
}
END_TEST

START_TEST(follows_a_link_that_was_changed)
{
	make_file("other.html", "other");
	ck_assert_int_eq(symlink("small.html", below_root("link")), 0);
	expect("/link", "first");
	ck_assert_int_eq(unlink(below_root("link")), 0);
	ck_assert_int_eq(symlink("other.html", below_root("link")), 0);
	now_ms += 1000;
	expect("/link", "other");
}
END_TEST

START_TEST(finds_a_directory_that_replaced_a_file)
{
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_FOUND);
	ck_assert_int_eq(unlink(below_root(both[_i])), 0);
	ck_assert_int_eq(mkdir(below_root(both[_i]), 0755), 0);
	now_ms += 1000;
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_NOT_FOUND);
	now_ms += 1000;
	char index[64];
	snprintf(index, sizeof index, "%s/index.html", both[_i]);
	make_file(index, "index");
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_REDIRECT);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
}
END_TEST

START_TEST(caches_files_only)
{
	ck_assert_int_eq(mkdir(below_root("docs"), 0755), 0);
	make_file("docs/index.html", "index");
	ck_assert_int_eq(look_for("/nowhere"), PIPIT_FILES_NOT_FOUND);
	ck_assert_int_eq(look_for("/docs"), PIPIT_FILES_REDIRECT);
	ck_assert_int_eq(look_for("/../secret.txt"), PIPIT_FILES_BAD_PATH);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
	make_file("nowhere", "here");
	expect("/nowhere", "here");
}
END_TEST

/*
 * Runs in an unprivileged child, because root may read every file. Exit status: the second result; 99 when privileges
 * cannot be dropped; 98 when the file is not found at first.
 */
static int look_for_a_locked_file(const char *name)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		bool is_root = geteuid() == 0;
		if (is_root && (setegid(65534) != 0 || seteuid(65534) != 0))
			_exit(99);
		if (look_for(path_of(name)) != PIPIT_FILES_FOUND)
			_exit(98);
		if ((is_root && seteuid(0) != 0) || chmod(below_root(name), 0) != 0 || (is_root && seteuid(65534) != 0))
			_exit(97);
		now_ms += 1000;
		_exit((int)look_for(path_of(name)));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(forbids_a_file_that_became_unreadable)
{
	int result;
	ck_assert_int_eq(chmod(top, 0755), 0);
	result = look_for_a_locked_file(both[_i]);
	if (result == 99)
		puts("skipped: cannot give up privileges (forbids_a_file_that_became_unreadable)");
	else
		ck_assert_int_eq(result, PIPIT_FILES_FORBIDDEN);
}
END_TEST

/* ---------------------------------------------------------------- ownership */

START_TEST(tells_paths_and_roots_apart)
{
	struct pipit_files *others;
	struct pipit_file_cache_file file;
	ck_assert_int_eq(mkdir(below_root("other"), 0755), 0);
	make_file("other/small.html", "of another root");
	ck_assert_int_eq(pipit_files_open_root(below_root("other"), &others), 0);
	expect("/small.html", "first");
	expect("/other/small.html", "of another root");
	ck_assert_int_eq(
	    pipit_file_cache_find(opened, others, pipit_slice_of("/small.html"), now_ms, &file), PIPIT_FILES_FOUND);
	ck_assert_str_eq(content_of(&file), "of another root");
	expect("/small.html", "first");
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 3);
	pipit_files_close_root(others);
}
END_TEST

START_TEST(a_reply_keeps_its_descriptor_when_the_file_is_evicted)
{
	struct pipit_file_cache_file file;
	char letter;
	ck_assert_int_eq(find("/large", &file), PIPIT_FILES_FOUND);
	ck_assert_int_eq(unlink(below_root("large")), 0);
	now_ms += 1000;
	ck_assert_int_eq(look_for("/large"), PIPIT_FILES_NOT_FOUND);
	pipit_file_cache_free(opened);
	opened = NULL;
	ck_assert_int_eq(pread(file.descriptor->fd, &letter, 1, LARGE_BYTES - 1), 1);
	ck_assert_int_eq(letter, 'a');
	pipit_shared_fd_release(file.descriptor);
}
END_TEST

START_TEST(freeing_null_is_harmless)
{
	pipit_file_cache_free(NULL);
}
END_TEST

/* ---------------------------------------------------------------- limits */

START_TEST(evicts_files_that_were_not_requested_lately)
{
	expect("/small.html", "first");
	expect("/empty", "");
	now_ms += 9999;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 2);
	expect("/empty", "");
	now_ms += 1;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 1);
	now_ms += 9999;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
	ck_assert_uint_eq(pipit_file_cache_byte_count(opened), 0);
}
END_TEST

START_TEST(closes_descriptors_a_second_after_the_last_request)
{
	size_t before = open_descriptors();
	expect("/small.html", "first");
	expect_letters("/large", 'a', LARGE_BYTES);
	make_long_file("larger", 'b', 2 * LARGE_BYTES);
	now_ms += 1;
	expect_letters("/larger", 'b', 2 * LARGE_BYTES);
	now_ms += 998;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 2);
	now_ms += 1;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 1);
	now_ms += 1;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 0);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 1);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(keeps_the_files_that_were_used_last)
{
	char name[32];
	for (int i = 0; i < PIPIT_FILE_CACHE_FILES_MAX + 10; i++) {
		snprintf(name, sizeof name, "f%d", i);
		make_file(name, name);
		expect(path_of(name), name);
		expect("/small.html", "first");
		ck_assert_uint_le(pipit_file_cache_file_count(opened), PIPIT_FILE_CACHE_FILES_MAX);
	}
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), PIPIT_FILE_CACHE_FILES_MAX);
	/* within the milliseconds, a deleted file is still served if it is cached */
	ck_assert_int_eq(unlink(below_root("small.html")), 0);
	ck_assert_int_eq(unlink(below_root("f0")), 0);
	ck_assert_int_eq(unlink(below_root("f265")), 0);
	expect("/small.html", "first");
	expect("/f265", "f265");
	ck_assert_int_eq(look_for("/f0"), PIPIT_FILES_NOT_FOUND);
}
END_TEST

START_TEST(limits_the_cached_bytes)
{
	char name[32];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "f%d", i);
		make_long_file(name, (char)('a' + i % 26), PIPIT_FILE_CACHE_SMALL_BYTES);
		expect_letters(path_of(name), (char)('a' + i % 26), PIPIT_FILE_CACHE_SMALL_BYTES);
		ck_assert_uint_le(pipit_file_cache_byte_count(opened), PIPIT_FILE_CACHE_BYTES_MAX);
	}
	ck_assert_uint_gt(
	    pipit_file_cache_byte_count(opened), PIPIT_FILE_CACHE_BYTES_MAX - 2 * PIPIT_FILE_CACHE_SMALL_BYTES);
}
END_TEST

START_TEST(limits_the_cached_descriptors)
{
	char name[32];
	size_t before = open_descriptors();
	expect("/small.html", "first");
	for (int i = 0; i < PIPIT_FILE_CACHE_DESCRIPTORS_MAX + 10; i++) {
		snprintf(name, sizeof name, "f%d", i);
		make_long_file(name, 'x', PIPIT_FILE_CACHE_SMALL_BYTES + 1);
		expect_letters(path_of(name), 'x', PIPIT_FILE_CACHE_SMALL_BYTES + 1);
	}
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), PIPIT_FILE_CACHE_DESCRIPTORS_MAX);
	ck_assert_uint_eq(open_descriptors(), before + PIPIT_FILE_CACHE_DESCRIPTORS_MAX);
	/* entries without a descriptor stay */
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), PIPIT_FILE_CACHE_DESCRIPTORS_MAX + 1);
	ck_assert(pipit_file_cache_evict_descriptors(opened));
	ck_assert(!pipit_file_cache_evict_descriptors(opened));
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 1);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

static int fillers[FD_MAX];
static size_t filler_count;

/* Makes open() fail with EMFILE. */
static struct rlimit allow_no_more_descriptors(void)
{
	struct rlimit limit, tight;
	int last = FD_MAX;
	while (fcntl(last - 1, F_GETFD) < 0)
		last--;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	tight = (struct rlimit){ (rlim_t)last, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	for (filler_count = 0; (fillers[filler_count] = dup(STDOUT_FILENO)) >= 0; filler_count++)
		;
	return limit;
}

static void allow_descriptors(const struct rlimit *limit)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, limit), 0);
	while (filler_count)
		close(fillers[--filler_count]);
}

START_TEST(closes_a_cached_descriptor_to_open_another_file)
{
	struct rlimit limit;
	enum pipit_files_result results[3];
	make_long_file("larger", 'b', 2 * LARGE_BYTES);
	expect_letters("/large", 'a', LARGE_BYTES);
	/* one for the root, one for the file */
	expect_letters("/larger", 'b', 2 * LARGE_BYTES);
	limit = allow_no_more_descriptors();
	results[0] = look_for("/small.html");
	results[1] = look_for("/large");
	now_ms += 1000;
	results[2] = look_for("/large");
	allow_descriptors(&limit);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(results[i], PIPIT_FILES_FOUND);
}
END_TEST

START_TEST(is_unavailable_when_replies_hold_all_descriptors)
{
	struct pipit_file_cache_file file;
	enum pipit_files_result results[2];
	struct rlimit limit;
	ck_assert_int_eq(find("/large", &file), PIPIT_FILES_FOUND);
	limit = allow_no_more_descriptors();
	results[0] = look_for("/small.html");
	results[1] = look_for("/large");
	allow_descriptors(&limit);
	ck_assert_int_eq(results[0], PIPIT_FILES_UNAVAILABLE);
	ck_assert_int_eq(results[1], PIPIT_FILES_UNAVAILABLE);
	pipit_shared_fd_release(file.descriptor);
	expect("/small.html", "first");
}
END_TEST

/* a different spelling is a different key */
START_TEST(does_not_cache_long_paths)
{
	char path[600];
	static const size_t path_lengths[] = { PIPIT_FILE_CACHE_PATH_MAX, PIPIT_FILE_CACHE_PATH_MAX + 1, 599 };
	for (size_t i = 0; i < sizeof path_lengths / sizeof *path_lengths; i++) {
		memset(path, '/', path_lengths[i]);
		memcpy(path + path_lengths[i] - 10, "small.html", 11);
		expect(path, "first");
		memset(path, '/', path_lengths[i]);
		memcpy(path + path_lengths[i] - 5, "large", 6);
		expect_letters(path, 'a', LARGE_BYTES);
	}
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 2);
}
END_TEST

/* ---------------------------------------------------------------- against a model */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

/* Files of random lengths appear, change and disappear. Every result was correct at some moment of the last second. */
START_TEST(is_never_more_than_a_second_behind)
{
	enum { NAMES = 400, VERSIONS = 4 };
	static struct {
		char letters[VERSIONS]; /* '\0': absent */
		uint64_t until_ms[VERSIONS];
	} past[NAMES];
	uint32_t state = (uint32_t)_i + 1;
	size_t before = open_descriptors();
	memset(past, 0, sizeof past);
	for (int i = 0; i < 6000; i++) {
		uint32_t which = next_random(&state) % NAMES;
		struct pipit_file_cache_file file;
		char name[32];
		bool is_right = false;
		snprintf(name, sizeof name, "f%u", which);
		now_ms += next_random(&state) % 8;
		if (next_random(&state) % 4 == 0) {
			bool goes = next_random(&state) % 3 == 0;
			memmove(past[which].letters + 1, past[which].letters, VERSIONS - 1);
			memmove(past[which].until_ms + 1, past[which].until_ms,
			    (VERSIONS - 1) * sizeof past[which].until_ms[0]);
			past[which].until_ms[1] = now_ms;
			past[which].letters[0] = goes ? '\0' : (char)('a' + next_random(&state) % 26);
			if (goes) {
				unlink(below_root(name));
			} else {
				make_long_file("new", past[which].letters[0], next_random(&state) % 70000 + 1);
				move("new", name);
			}
			continue;
		}
		if (next_random(&state) % 16 == 0)
			pipit_file_cache_sweep(opened, now_ms);
		if (find(path_of(name), &file) == PIPIT_FILES_FOUND) {
			const char *content = content_of(&file);
			ck_assert_uint_eq(strspn(content, (char[]){ content[0], '\0' }), file.size);
			for (int k = 0; k < VERSIONS; k++)
				is_right |= past[which].letters[k] == content[0] &&
					    (k == 0 || now_ms < past[which].until_ms[k] + 1000);
			pipit_shared_fd_release(file.descriptor);
		} else {
			is_right = past[which].letters[0] == '\0';
		}
		/* more changes within a second than the test records */
		is_right |= past[which].until_ms[VERSIONS - 1] + 1000 > now_ms;
		ck_assert_msg(is_right, "step %d: %s", i, name);
		ck_assert_uint_le(pipit_file_cache_file_count(opened), PIPIT_FILE_CACHE_FILES_MAX);
		ck_assert_uint_le(pipit_file_cache_byte_count(opened), PIPIT_FILE_CACHE_BYTES_MAX);
		ck_assert_uint_le(pipit_file_cache_descriptor_count(opened), PIPIT_FILE_CACHE_DESCRIPTORS_MAX);
		if (i % 16 == 0)
			ck_assert_uint_eq(open_descriptors(), before + pipit_file_cache_descriptor_count(opened));
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("opened");
	TCase *finding = tcase_create("finding");
	TCase *changing = tcase_create("changing");
	TCase *bounded = tcase_create("bounded");
	tcase_add_checked_fixture(finding, set_up, tear_down);
	tcase_add_test(finding, returns_the_bytes_of_a_small_file);
	tcase_add_test(finding, shares_one_descriptor_of_a_large_file);
	tcase_add_loop_test(finding, caches_bytes_of_files_up_to_a_size, 0, sizeof lengths / sizeof *lengths);
	tcase_add_test(finding, sets_the_date_and_the_etag);
	tcase_add_test(finding, uses_a_weak_etag_until_a_file_is_settled);
	tcase_add_test(finding, changes_the_etag_with_every_change);
	tcase_add_test(finding, remembers_absent_variants_until_the_next_check);
	tcase_add_test(finding, tells_paths_and_roots_apart);
	tcase_add_test(finding, a_reply_keeps_its_descriptor_when_the_file_is_evicted);
	tcase_add_test(finding, freeing_null_is_harmless);
	suite_add_tcase(suite, finding);

	tcase_add_checked_fixture(changing, set_up, tear_down);
	tcase_add_test(changing, does_not_read_the_file_system_for_some_milliseconds);
	tcase_add_test(changing, serves_a_changed_file_after_some_milliseconds);
	tcase_add_test(changing, serves_a_replaced_file_after_some_milliseconds);
	tcase_add_loop_test(changing, serves_no_old_file_when_another_worker_has_served_a_new_one, 0,
	    sizeof replacements / sizeof *replacements);
	tcase_add_test(changing, serves_no_deleted_file_when_another_worker_has_not_found_it);
	tcase_add_test(changing, finds_within_a_second_that_a_directory_leads_out);
	tcase_add_test(changing, serves_a_file_that_hides_its_change_within_a_second);
	tcase_add_test(changing, serves_a_file_that_is_written_through_a_mapping_within_a_second);
	tcase_add_test(changing, sees_at_once_that_a_large_file_has_another_length);
	tcase_add_test(changing, keeps_the_descriptor_of_a_file_that_has_not_changed);
	tcase_add_loop_test(changing, does_not_keep_a_deleted_file, 0, 2);
	tcase_add_loop_test(changing, refuses_a_link_that_was_changed_to_lead_out, 0, 2);
	tcase_add_test(changing, follows_a_link_that_was_changed);
	tcase_add_loop_test(changing, does_not_cache_the_bytes_of_a_file_that_changes_while_it_is_read, 0,
	    sizeof readings / sizeof *readings);
	tcase_add_loop_test(changing, finds_a_directory_that_replaced_a_file, 0, 2);
	tcase_add_test(changing, caches_files_only);
	tcase_add_loop_test(changing, forbids_a_file_that_became_unreadable, 0, 2);
	suite_add_tcase(suite, changing);

	tcase_add_checked_fixture(bounded, set_up, tear_down);
	tcase_add_test(bounded, evicts_files_that_were_not_requested_lately);
	tcase_add_test(bounded, closes_descriptors_a_second_after_the_last_request);
	tcase_add_test(bounded, keeps_the_files_that_were_used_last);
	tcase_add_test(bounded, limits_the_cached_bytes);
	tcase_add_test(bounded, limits_the_cached_descriptors);
	tcase_add_test(bounded, closes_a_cached_descriptor_to_open_another_file);
	tcase_add_test(bounded, is_unavailable_when_replies_hold_all_descriptors);
	tcase_add_test(bounded, does_not_cache_long_paths);
	tcase_add_loop_test(bounded, is_never_more_than_a_second_behind, 0, 4);
	suite_add_tcase(suite, bounded);
	return suite;
}

int main(void)
{
	return run_suite(make_suite());
}
