/* SPDX-License-Identifier: MIT */
#include "files/files.h"

#include "base/log.h"
#include "base/percent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * O_NONBLOCK: a FIFO may have no writer. O_NOCTTY: a terminal must not control the process. O_LARGEFILE: above 2 GiB on
 * 32 bits; libc does not add it to a raw system call.
 */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE)

/* EAGAIN: a rename during the lookup */
#define OPEN_ATTEMPTS 8

struct pipit_files {
	char *root; /* absolute; a symbolic link stays one */
	bool walking;
	const struct pipit_media_types *media; /* NULL: the built-in types */
	atomic_uint generation;
};

/* FOUND: go on. */
static enum pipit_files_result decode(struct pipit_slice path, char name[PATH_MAX])
{
	size_t length = 0;
	if (path.length == 0 || path.data[0] != '/')
		return PIPIT_FILES_BAD_PATH;
	for (const char *at = path.data, *end = at + path.length; at < end;) {
		char byte;
		if (*at == '%' && !pipit_percent_is_escape(at, end))
			return PIPIT_FILES_BAD_PATH;
		byte = (char)pipit_percent_take(&at, end);
		if (byte == '\0')
			return PIPIT_FILES_BAD_PATH;
		if (length == PATH_MAX - 1)
			return PIPIT_FILES_NOT_FOUND;
		name[length++] = byte;
	}
	name[length] = '\0';
	return PIPIT_FILES_FOUND;
}

static size_t drop_last_segment(const char *name, size_t length)
{
	while (length > 0 && name[length - 1] != '/')
		length--;
	return length > 0 ? length - 1 : 0;
}

/* RFC 3986 §5.2.4, in place; also removes empty segments. False above the root, where the RFC would stop. */
static bool remove_dot_segments(char *name, bool *is_directory)
{
	size_t kept = 0; /* at most `next`: each segment loses its slash */
	const char *next = name;
	while (*next) {
		next += strspn(next, "/");
		struct pipit_slice segment = { next, strcspn(next, "/") };
		next += segment.length;
		*is_directory = true;
		if (segment.length == 0 || pipit_slice_equals(segment, "."))
			continue;
		if (pipit_slice_equals(segment, "..")) {
			if (kept == 0)
				return false;
			kept = drop_last_segment(name, kept);
			continue;
		}
		*is_directory = false;
		if (kept > 0)
			name[kept++] = '/';
		memmove(name + kept, segment.data, segment.length);
		kept += segment.length;
	}
	name[kept] = '\0';
	return true;
}

/* RFC 8615 */
static const char well_known[] = ".well-known";

/* allows_pairs: "..data", which Kubernetes puts between a volume's names and its files, and others with two dots. */
static bool has_hidden_segment(const char *name, bool allows_pairs)
{
	size_t known = sizeof well_known - 1;
	if (strncmp(name, well_known, known) == 0 && (name[known] == '/' || name[known] == '\0'))
		name += known;
	for (; *name; name += strcspn(name, "/")) {
		name += *name == '/';
		if (name[0] == '.' && !(allows_pairs && name[1] == '.'))
			return true;
	}
	return false;
}

static bool append_index(char name[PATH_MAX])
{
	size_t length = strlen(name);
	const char *index = length > 0 ? "/index.html" : "index.html";
	if (length + strlen(index) >= PATH_MAX)
		return false;
	strcpy(name + length, index);
	return true;
}

static enum pipit_files_result compute_name(struct pipit_slice path, char name[PATH_MAX], bool *is_directory)
{
	enum pipit_files_result result = decode(path, name);
	*is_directory = false;
	if (result != PIPIT_FILES_FOUND)
		return result;
	if (!remove_dot_segments(name, is_directory))
		return PIPIT_FILES_BAD_PATH;
	return has_hidden_segment(name, false) ? PIPIT_FILES_NOT_FOUND : PIPIT_FILES_FOUND;
}

enum pipit_files_result pipit_files_name(struct pipit_slice path, char name[PATH_MAX])
{
	bool is_directory;
	enum pipit_files_result result = compute_name(path, name, &is_directory);
	if (result == PIPIT_FILES_FOUND && is_directory && !append_index(name))
		return PIPIT_FILES_NOT_FOUND;
	return result;
}

static int open_without_links(int root, const char *name)
{
	struct open_how how = { .flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	return (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
}

/* Not O_PATH and O_NOFOLLOW alone, which open a link; O_DIRECTORY refuses it. */
static int open_segment(int directory, const char *segment, bool is_last)
{
	int flags = is_last ? OPEN_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC;
	return openat(directory, segment, flags | O_NOFOLLOW);
}

static int open_walking(int root, const char *name)
{
	char segment[NAME_MAX + 1];
	int directory = root;
	for (;;) {
		size_t length = strcspn(name, "/");
		bool is_last = name[length] == '\0';
		int fd = -1;
		errno = ENAMETOOLONG;
		if (length <= NAME_MAX) {
			memcpy(segment, name, length);
			segment[length] = '\0';
			fd = open_segment(directory, segment, is_last);
		}
		int error = errno;
		if (directory != root)
			close(directory);
		errno = error;
		if (fd < 0 || is_last)
			return fd;
		directory = fd;
		name += length + 1;
	}
}

/* ELOOP also for a link in the place of a directory. */
static int open_strictly(const struct pipit_files *files, int root, const char *name)
{
	int fd = files->walking ? open_walking(root, name) : open_without_links(root, name);
	if (fd < 0 && files->walking && errno == ENOTDIR)
		errno = ELOOP;
	return fd;
}

static bool join(const struct pipit_files *files, const char *name, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/%s", files->root, name) < PATH_MAX;
}

/* NULL: `path` is not below `root`. Both without links. */
static const char *find_below(const char *root, const char *path)
{
	size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(path, root, length) != 0)
		return NULL;
	if (path[length] == '\0')
		return ".";
	return path[length] == '/' ? path + length + 1 : NULL;
}

bool pipit_files_contains(const char *root, const char *file)
{
	char real_root[PATH_MAX], target[PATH_MAX], directory[PATH_MAX];
	const char *slash = strrchr(file, '/');
	size_t length = slash ? (size_t)(slash - file) + 1 : 0;

	if (!realpath(root, real_root) || length >= PATH_MAX)
		return false;
	if (realpath(file, target))
		return find_below(real_root, target);
	memcpy(directory, file, length);
	directory[length] = '\0';
	return realpath(length ? directory : ".", target) && find_below(real_root, target);
}

static int refuse_link(const char *path, const char *reason)
{
	pipit_log(PIPIT_LOG_DEBUG, "%s is not served: %s", path, reason);
	errno = ENOENT;
	return -1;
}

/* What realpath() finds may change at once: it is opened without links, below the root. */
static int open_through_links(const struct pipit_files *files, int root, const char *name)
{
	char path[PATH_MAX], real_root[PATH_MAX], target[PATH_MAX];
	const char *below;
	int fd;

	if (!join(files, name, path) || !realpath(files->root, real_root))
		return -1;
	if (!realpath(path, target))
		return refuse_link(path, strerror(errno));
	below = find_below(real_root, target);
	if (!below)
		return refuse_link(path, "a link leads out of the root");
	if (strcmp(below, ".") != 0 && has_hidden_segment(below, true))
		return refuse_link(path, "a link leads to a hidden file");
	fd = open_strictly(files, root, below);
	if (fd < 0 && errno == ELOOP)
		errno = EAGAIN;
	return fd;
}

/* "": the root. The root is looked up anew, because its path may lead to another directory now. */
static int open_name_once(const struct pipit_files *files, const char *name)
{
	int root = open(files->root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error;
	if (root < 0)
		return -1;
	fd = open_strictly(files, root, *name ? name : ".");
	if (fd < 0 && errno == ELOOP)
		fd = open_through_links(files, root, name);
	error = errno;
	close(root);
	errno = error;
	return fd;
}

static int open_name(const struct pipit_files *files, const char *name)
{
	int fd = -1;
	for (int i = 0; i < OPEN_ATTEMPTS; i++) {
		fd = open_name_once(files, name);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

/* ENXIO: sockets. */
static enum pipit_files_result result_of_errno(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return PIPIT_FILES_FORBIDDEN;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case EINTR:
		return PIPIT_FILES_UNAVAILABLE;
	default:
		return PIPIT_FILES_NOT_FOUND;
	}
}

static struct pipit_files_version version_of(const struct pipit_file_status *status)
{
	return (struct pipit_files_version){ .device = status->device,
		.inode = status->inode,
		.size = status->size,
		.modified = status->modified,
		.changed = status->changed };
}

bool pipit_files_read_version(int fd, struct pipit_files_version *version)
{
	struct pipit_file_status status;
	if (pipit_file_status_of(fd, &status) != 0)
		return false;
	*version = version_of(&status);
	return true;
}

bool pipit_files_is_same_version(const struct pipit_files_version *one, const struct pipit_files_version *other)
{
	return one->device == other->device && one->inode == other->inode && one->size == other->size &&
	       pipit_file_status_is_same_time(&one->modified, &other->modified) &&
	       pipit_file_status_is_same_time(&one->changed, &other->changed);
}

bool pipit_files_has_version(
    const struct pipit_files *files, struct pipit_slice path, const struct pipit_files_version *version)
{
	char name[PATH_MAX], full[PATH_MAX];
	struct pipit_files_version now;
	struct pipit_file_status status;

	if (pipit_files_name(path, name) != PIPIT_FILES_FOUND || !join(files, name, full) ||
	    pipit_file_status_at(AT_FDCWD, full, 0, &status) != 0)
		return false;
	now = version_of(&status);
	return pipit_files_is_same_version(&now, version);
}

bool pipit_files_read_status(const struct pipit_files *files, const char *name, struct pipit_file_status *status)
{
	int fd = open_name(files, name);
	bool is_served =
	    fd >= 0 && pipit_file_status_of(fd, status) == 0 && (S_ISREG(status->mode) || S_ISDIR(status->mode));
	if (fd >= 0)
		close(fd);
	return is_served;
}

unsigned pipit_files_generation(const struct pipit_files *files)
{
	return atomic_load_explicit(&files->generation, memory_order_acquire);
}

unsigned pipit_files_next_generation(struct pipit_files *files)
{
	return atomic_fetch_add_explicit(&files->generation, 1, memory_order_acq_rel);
}

static enum pipit_files_result open_regular(
    const struct pipit_files *files, const char *name, struct pipit_file *file, bool *is_directory)
{
	struct pipit_file_status status;
	int fd = open_name(files, name);
	*is_directory = false;
	if (fd < 0)
		return result_of_errno(errno);
	if (pipit_file_status_of(fd, &status) != 0) {
		int error = errno;
		close(fd);
		return result_of_errno(error);
	}
	if (!S_ISREG(status.mode)) {
		*is_directory = S_ISDIR(status.mode);
		close(fd);
		return PIPIT_FILES_NOT_FOUND;
	}
	file->fd = fd;
	file->size = status.size;
	file->modified = status.modified.second;
	file->content_type = pipit_media_types_types_find(files->media, name);
	file->version = version_of(&status);
	file->is_index = false;
	file->is_gzip = pipit_media_types_is_gzip(name);
	return PIPIT_FILES_FOUND;
}

static enum pipit_files_result open_index(const struct pipit_files *files, char name[PATH_MAX], struct pipit_file *file)
{
	bool is_directory;
	enum pipit_files_result result;
	if (!append_index(name))
		return PIPIT_FILES_NOT_FOUND;
	result = open_regular(files, name, file, &is_directory);
	file->is_index = true;
	return result;
}

static enum pipit_files_result redirect(
    const struct pipit_files *files, char name[PATH_MAX], enum pipit_files_result result)
{
	struct pipit_file index;
	enum pipit_files_result index_result = open_index(files, name, &index);
	if (index_result == PIPIT_FILES_NOT_FOUND)
		return result;
	if (index_result != PIPIT_FILES_FOUND)
		return index_result;
	close(index.fd);
	return PIPIT_FILES_REDIRECT;
}

enum pipit_files_result pipit_files_open(
    const struct pipit_files *files, struct pipit_slice path, struct pipit_file *file)
{
	char name[PATH_MAX];
	bool is_directory = false;
	enum pipit_files_result result = compute_name(path, name, &is_directory);
	if (result != PIPIT_FILES_FOUND)
		return result;
	if (is_directory)
		return open_index(files, name, file);

	result = open_regular(files, name, file, &is_directory);
	/* FORBIDDEN: a directory may allow searching only */
	if (!is_directory && result != PIPIT_FILES_FORBIDDEN)
		return result;
	/* as Location, "//example.com/../docs" leads to another host */
	if (path.data[1] == '/')
		return result;
	return redirect(files, name, result);
}

enum pipit_files_result pipit_files_open_directory(const struct pipit_files *files, struct pipit_slice path, int *fd)
{
	char name[PATH_MAX];
	bool is_directory = false;
	struct pipit_file_status status = { 0 };
	enum pipit_files_result result = compute_name(path, name, &is_directory);

	if (result != PIPIT_FILES_FOUND)
		return result;
	*fd = open_name(files, name);
	if (*fd < 0)
		return result_of_errno(errno);
	if (pipit_file_status_of(*fd, &status) == 0 && S_ISDIR(status.mode) && is_directory)
		return PIPIT_FILES_FOUND;
	close(*fd);
	if (!S_ISDIR(status.mode) || path.data[1] == '/')
		return PIPIT_FILES_NOT_FOUND;
	return PIPIT_FILES_REDIRECT;
}

/* A sandbox does not change its answer: ask once. */
static bool has_openat2(int root)
{
	int fd = open_without_links(root, ".");
	if (fd >= 0)
		close(fd);
	return fd >= 0 || (errno != ENOSYS && errno != EPERM);
}

/* The working directory may change. NULL with errno. */
static char *make_absolute(const char *path)
{
	char directory[PATH_MAX] = "", *absolute;
	size_t size;
	if (*path == '/')
		return strdup(path);
	if (!getcwd(directory, sizeof directory))
		return NULL;
	size = strlen(directory) + strlen(path) + 2;
	absolute = malloc(size);
	if (absolute)
		snprintf(absolute, size, "%s/%s", directory, path);
	return absolute;
}

int pipit_files_open_root(const char *root, struct pipit_files **files)
{
	struct pipit_files *opened;
	char *absolute;
	int error = 0, fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	opened = malloc(sizeof(*opened));
	absolute = make_absolute(root);
	if (opened && absolute) {
		*opened = (struct pipit_files){ .root = absolute, .walking = !has_openat2(fd) };
		*files = opened;
	} else {
		error = opened && errno ? -errno : -ENOMEM;
		free(absolute);
		free(opened);
	}
	close(fd);
	return error;
}

void pipit_files_close_root(struct pipit_files *files)
{
	if (!files)
		return;
	free(files->root);
	free(files);
}

void pipit_files_set_media(struct pipit_files *files, const struct pipit_media_types *media)
{
	files->media = media;
}

void pipit_files_set_walking(struct pipit_files *files, bool walking)
{
	files->walking = walking;
}
