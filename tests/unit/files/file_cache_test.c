/* SPDX-License-Identifier: MIT */
/*
 * What a worker remembers of the files that it has opened. Time is what a test says it is; the tree is made anew for each test:
 * top/secret.txt, and beside it top/root, which is served.
 */
#include "files/file_cache.h"

#include "suite.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* `length` times the same letter. */
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

/* What a reply would send, as a string; it lives until the next call. */
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

/* ---------------------------------------------------------------- what is found */

START_TEST(gives_a_small_file_with_its_bytes_and_no_descriptor)
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

START_TEST(gives_a_large_file_with_one_descriptor_for_all)
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

START_TEST(keeps_the_bytes_up_to_a_limit)
{
	struct pipit_file_cache_file file;
	make_long_file("file", 'x', lengths[_i].length);
	ck_assert_int_eq(find("/file", &file), PIPIT_FILES_FOUND);
	ck_assert_int_eq(file.content != NULL, lengths[_i].has_content);
	pipit_shared_fd_release(file.descriptor);
	expect_letters("/file", 'x', lengths[_i].length);
}
END_TEST

START_TEST(tells_the_date_and_a_tag_of_a_file)
{
	const struct timespec times[2] = { { 784111777, 0 }, { 784111777, 999999999 } };
	struct pipit_file_cache_file file;
	ck_assert_int_eq(utimensat(AT_FDCWD, below_root("small.html"), times, 0), 0);
	ck_assert_int_eq(find("/small.html", &file), PIPIT_FILES_FOUND);
	ck_assert_int_eq(file.modified, 784111777);
	ck_assert_str_eq(file.date, "Sun, 06 Nov 1994 08:49:37 GMT");
	ck_assert_uint_eq(file.etag_length, strlen(file.etag));
	/* 784111777999999999 nanoseconds, and five bytes. */
	ck_assert_ptr_nonnull(strstr(file.etag, "\"ae1b981f7e3d3ff-5-"));
	ck_assert_int_eq(file.etag[file.etag_length - 1], '"');
}
END_TEST

/* The kernel's clock ticks slowly: what was written just now may be written again without other times. */
START_TEST(tells_a_weak_tag_until_a_file_has_settled)
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

START_TEST(tells_another_tag_after_every_change)
{
	const struct timespec times[2] = { { 784111777, 0 }, { 784111777, 0 } };
	char tags[4][PIPIT_FILE_CACHE_ETAG_SIZE];
	struct pipit_file_cache_file file;
	for (size_t i = 0; i < 4; i++) {
		/* The same size and time of modification, in place and as another file. */
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

START_TEST(remembers_which_neighbours_are_absent_until_it_looks_again)
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

/* ---------------------------------------------------------------- what changes */

START_TEST(asks_no_file_system_within_a_second)
{
	expect("/small.html", "first");
	ck_assert_int_eq(unlink(below_root("small.html")), 0);
	now_ms += 999;
	expect("/small.html", "first");
}
END_TEST

START_TEST(serves_a_changed_file_within_a_second)
{
	expect("/small.html", "first");
	make_file("small.html", "second");
	now_ms += 1000;
	expect("/small.html", "second");
}
END_TEST

START_TEST(serves_a_replaced_file_within_a_second)
{
	expect("/small.html", "first");
	expect_letters("/large", 'a', LARGE_BYTES);
	make_file("new", "other");
	move("new", "small.html");
	make_long_file("new", 'b', LARGE_BYTES);
	move("new", "large");
	now_ms += 1000;
	expect("/small.html", "other");
	expect_letters("/large", 'b', LARGE_BYTES);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 2);
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 1);
}
END_TEST

/* In its place, with its length and the time at which it says that it was written. */
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

/* Not each file system gives it a new time then. */
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

START_TEST(follows_no_link_that_leads_out_now)
{
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_FOUND);
	ck_assert_int_eq(unlink(below_root(both[_i])), 0);
	ck_assert_int_eq(symlink("../secret.txt", below_root(both[_i])), 0);
	now_ms += 1000;
	ck_assert_int_eq(look_for(path_of(both[_i])), PIPIT_FILES_NOT_FOUND);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
}
END_TEST

START_TEST(follows_a_link_that_leads_elsewhere_now)
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

START_TEST(finds_a_directory_in_the_place_of_a_file)
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

START_TEST(remembers_nothing_but_files)
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

/* In a child, as nobody in particular, for root may read everything: the file is locked after it was found. Its exit status is
 * the second result, 99 when privileges cannot be given up, 98 when it is not found at first. */
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

START_TEST(forbids_a_file_that_this_process_may_not_read_any_more)
{
	int result;
	ck_assert_int_eq(chmod(top, 0755), 0);
	result = look_for_a_locked_file(both[_i]);
	if (result == 99)
		puts("skipped: cannot give up privileges (forbids_a_file_that_this_process_may_not_read_any_more)");
	else
		ck_assert_int_eq(result, PIPIT_FILES_FORBIDDEN);
}
END_TEST

/* ---------------------------------------------------------------- what belongs to whom */

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

START_TEST(leaves_a_reply_its_descriptor_when_the_file_goes)
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

START_TEST(frees_nothing_harmlessly)
{
	pipit_file_cache_free(NULL);
}
END_TEST

/* ---------------------------------------------------------------- how much is remembered */

START_TEST(forgets_what_nobody_asks_for)
{
	size_t before = open_descriptors();
	expect("/small.html", "first");
	expect_letters("/large", 'a', LARGE_BYTES);
	now_ms += 9999;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 2);
	expect_letters("/large", 'a', LARGE_BYTES);
	now_ms += 1;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 1);
	ck_assert_uint_eq(pipit_file_cache_descriptor_count(opened), 1);
	now_ms += 9999;
	pipit_file_cache_sweep(opened, now_ms);
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 0);
	ck_assert_uint_eq(pipit_file_cache_byte_count(opened), 0);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(remembers_so_many_files_and_those_used_last)
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
	/* What is remembered is served although it has gone, for a second. */
	ck_assert_int_eq(unlink(below_root("small.html")), 0);
	ck_assert_int_eq(unlink(below_root("f0")), 0);
	ck_assert_int_eq(unlink(below_root("f265")), 0);
	expect("/small.html", "first");
	expect("/f265", "f265");
	ck_assert_int_eq(look_for("/f0"), PIPIT_FILES_NOT_FOUND);
}
END_TEST

START_TEST(remembers_so_many_bytes)
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

START_TEST(keeps_so_many_descriptors)
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
	/* Those without one have stayed. */
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), PIPIT_FILE_CACHE_DESCRIPTORS_MAX + 1);
	ck_assert(pipit_file_cache_give_up_descriptors(opened));
	ck_assert(!pipit_file_cache_give_up_descriptors(opened));
	ck_assert_uint_eq(pipit_file_cache_file_count(opened), 1);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* The next descriptors to be had: none. */
static struct rlimit allow_no_more_descriptors(void)
{
	struct rlimit limit, tight;
	int fd = dup(STDOUT_FILENO);
	close(fd);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	tight = (struct rlimit){ (rlim_t)fd, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	return limit;
}

START_TEST(gives_a_descriptor_up_for_another_file)
{
	struct rlimit limit;
	enum pipit_files_result results[3];
	expect_letters("/large", 'a', LARGE_BYTES);
	limit = allow_no_more_descriptors();
	results[0] = look_for("/small.html");
	results[1] = look_for("/large");
	now_ms += 1000;
	results[2] = look_for("/large");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(results[i], PIPIT_FILES_FOUND);
}
END_TEST

START_TEST(is_unavailable_when_replies_have_all_descriptors)
{
	struct pipit_file_cache_file file;
	enum pipit_files_result results[2];
	struct rlimit limit;
	ck_assert_int_eq(find("/large", &file), PIPIT_FILES_FOUND);
	limit = allow_no_more_descriptors();
	results[0] = look_for("/small.html");
	results[1] = look_for("/large");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(results[0], PIPIT_FILES_UNAVAILABLE);
	ck_assert_int_eq(results[1], PIPIT_FILES_UNAVAILABLE);
	pipit_shared_fd_release(file.descriptor);
	expect("/small.html", "first");
}
END_TEST

/* Another spelling is another path. */
START_TEST(remembers_no_path_that_is_too_long)
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

/* Files of random lengths come, change and go. What is served is what was there at some moment of the last second. */
START_TEST(is_never_more_than_a_second_behind)
{
	enum { NAMES = 400, VERSIONS = 4 };
	static struct {
		char letters[VERSIONS]; /* '\0': it was not there */
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
		/* More changes than are noted within a second. */
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
	tcase_add_test(finding, gives_a_small_file_with_its_bytes_and_no_descriptor);
	tcase_add_test(finding, gives_a_large_file_with_one_descriptor_for_all);
	tcase_add_loop_test(finding, keeps_the_bytes_up_to_a_limit, 0, sizeof lengths / sizeof *lengths);
	tcase_add_test(finding, tells_the_date_and_a_tag_of_a_file);
	tcase_add_test(finding, tells_a_weak_tag_until_a_file_has_settled);
	tcase_add_test(finding, tells_another_tag_after_every_change);
	tcase_add_test(finding, remembers_which_neighbours_are_absent_until_it_looks_again);
	tcase_add_test(finding, tells_paths_and_roots_apart);
	tcase_add_test(finding, leaves_a_reply_its_descriptor_when_the_file_goes);
	tcase_add_test(finding, frees_nothing_harmlessly);
	suite_add_tcase(suite, finding);

	tcase_add_checked_fixture(changing, set_up, tear_down);
	tcase_add_test(changing, asks_no_file_system_within_a_second);
	tcase_add_test(changing, serves_a_changed_file_within_a_second);
	tcase_add_test(changing, serves_a_replaced_file_within_a_second);
	tcase_add_test(changing, serves_a_file_that_hides_its_change_within_a_second);
	tcase_add_test(changing, serves_a_file_that_is_written_through_a_mapping_within_a_second);
	tcase_add_test(changing, sees_at_once_that_a_large_file_has_another_length);
	tcase_add_test(changing, keeps_the_descriptor_of_a_file_that_has_not_changed);
	tcase_add_loop_test(changing, does_not_keep_a_deleted_file, 0, 2);
	tcase_add_loop_test(changing, follows_no_link_that_leads_out_now, 0, 2);
	tcase_add_test(changing, follows_a_link_that_leads_elsewhere_now);
	tcase_add_loop_test(changing, finds_a_directory_in_the_place_of_a_file, 0, 2);
	tcase_add_test(changing, remembers_nothing_but_files);
	tcase_add_loop_test(changing, forbids_a_file_that_this_process_may_not_read_any_more, 0, 2);
	suite_add_tcase(suite, changing);

	tcase_add_checked_fixture(bounded, set_up, tear_down);
	tcase_add_test(bounded, forgets_what_nobody_asks_for);
	tcase_add_test(bounded, remembers_so_many_files_and_those_used_last);
	tcase_add_test(bounded, remembers_so_many_bytes);
	tcase_add_test(bounded, keeps_so_many_descriptors);
	tcase_add_test(bounded, gives_a_descriptor_up_for_another_file);
	tcase_add_test(bounded, is_unavailable_when_replies_have_all_descriptors);
	tcase_add_test(bounded, remembers_no_path_that_is_too_long);
	tcase_add_loop_test(bounded, is_never_more_than_a_second_behind, 0, 4);
	suite_add_tcase(suite, bounded);
	return suite;
}

int main(void)
{
	return run_suite(make_suite());
}
