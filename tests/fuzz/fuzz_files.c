/* SPDX-License-Identifier: MIT */
/*
 * Request paths to open files below a root with folders, an index, a hidden file, links within and out of it, and a FIFO; a
 * secret file is beside the root. A path is tried in both ways of opening.
 *
 * Checked: an opened file is a regular file below the root, no name of its path begins with a dot, and it is not the secret;
 * size and descriptor are correct; both ways agree except for symbolic links, of which walking opens none; nothing stays open.
 */
#include "fuzz.h"

#include "files/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pipit_files *beneath, *walking;
static char root[PATH_MAX];
static ino_t secret;
static int lowest_free;

static void link_to(const char *target, const char *name)
{
	char path[PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/%s", root, name);
	REQUIRE(symlink(target, path) == 0);
}

static int lowest_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	close(fd);
	return fd;
}

static void set_up(void)
{
	static const char *const names[] = { "secret", "root/index.html", "root/a.txt", "root/a b%.json",
		"root/sub/index.html", "root/sub/deep/c.css", "root/empty/.keep", "root/.hidden", "root/.git/config",
		"root/sub/.env" };
	struct stat status;
	char path[PATH_MAX + 32];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		fuzz_make_file(names[i], 100 + i);
	REQUIRE(realpath(fuzz_folder(), root));
	strcat(root, "/root");
	link_to("../secret", "out");
	link_to("..", "up");
	link_to("/", "top");
	link_to("a.txt", "in");
	link_to("sub", "folder");
	link_to(".hidden", "shown");
	link_to("loop", "loop");
	link_to("/proc/self/root", "magic");
	snprintf(path, sizeof path, "%s/fifo", root);
	REQUIRE(mkfifo(path, 0600) == 0);
	snprintf(path, sizeof path, "%s/../secret", root);
	REQUIRE(stat(path, &status) == 0);
	secret = status.st_ino;
	REQUIRE(pipit_files_open_root(root, &beneath) == 0);
	REQUIRE(pipit_files_open_root(root, &walking) == 0);
	pipit_files_set_walking(walking, true);
	lowest_free = lowest_descriptor();
}

/* The path of the descriptor, relative to the root. */
static void check_place(int fd, char place[PATH_MAX])
{
	char link[64], whole[PATH_MAX];
	size_t length = strlen(root);
	ssize_t end;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	end = readlink(link, whole, sizeof whole - 1);
	REQUIRE(end > 0);
	whole[end] = '\0';
	REQUIRE(strncmp(whole, root, length) == 0 && whole[length] == '/');
	strcpy(place, whole + length);
}

static void check_file(const struct pipit_file *file, char place[PATH_MAX])
{
	struct stat status;
	REQUIRE(fstat(file->fd, &status) == 0 && S_ISREG(status.st_mode));
	REQUIRE(status.st_ino != secret);
	REQUIRE(file->size == (uint64_t)status.st_size && file->modified == status.st_mtime);
	REQUIRE(file->content_type && strchr(file->content_type, '/'));
	check_place(file->fd, place);
}

static enum pipit_files_result try_path(
    const struct pipit_files *files, const uint8_t *data, size_t size, char place[PATH_MAX])
{
	char *path = fuzz_copy(data, size);
	struct pipit_file file = { .fd = -1 };
	enum pipit_files_result result = pipit_files_open(files, (struct pipit_slice){ path, size }, &file);
	place[0] = '\0';
	if (result == PIPIT_FILES_FOUND) {
		check_file(&file, place);
		close(file.fd);
	}
	REQUIRE(lowest_descriptor() == lowest_free);
	free(path);
	return result;
}

static bool crosses_a_link(const uint8_t *data, size_t size)
{
	/* Every link's name has letters that no other name here has in that order, however it is encoded. */
	static const char *const links[] = { "out", "up", "top", "in", "folder", "shown", "loop", "magic" };
	char decoded[PATH_MAX];
	size_t length = 0;
	for (size_t i = 0; i < size && length < sizeof decoded; i++) {
		unsigned byte = data[i];
		if (byte == '%' && size - i > 2 &&
		    sscanf((const char[]){ (char)data[i + 1], (char)data[i + 2], '\0' }, "%2x", &byte) == 1)
			i += 2;
		decoded[length++] = (char)byte;
	}
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		if (memmem(decoded, length, links[i], strlen(links[i])))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char place[PATH_MAX], walked_place[PATH_MAX];
	enum pipit_files_result result, walked;

	if (!beneath)
		set_up();
	result = try_path(beneath, data, size, place);
	walked = try_path(walking, data, size, walked_place);
	/* A link may lead to a hidden file, if the owner of the root has created one; a path may not. */
	REQUIRE(!strstr(walked_place, "/."));
	if (walked == PIPIT_FILES_FOUND)
		REQUIRE(result == PIPIT_FILES_FOUND && strcmp(place, walked_place) == 0);
	if (!crosses_a_link(data, size)) {
		REQUIRE(result == walked);
		REQUIRE(!strstr(place, "/."));
	}
	return 0;
}
