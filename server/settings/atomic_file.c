/* SPDX-License-Identifier: MIT */
/*
 * The new content is synchronised before it gets the name, because rename() may reach the disk before data. Then the
 * directory, which makes the rename durable.
 */
#include "settings/atomic_file.h"

#include "base/log.h"
#include "files/file_status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_MAX sizeof ".previous.new"

struct pipit_atomic_file {
	char *shown;         /* owned; as given */
	char *path;          /* owned; without symbolic links */
	int directory, lock; /* -1: none */
	bool has_made_lock;
	bool is_mounted_alone; /* a mount point, which rename() cannot replace */
	/* In the directory. */
	char name[NAME_MAX + 1], fresh[NAME_MAX + 1], previous[NAME_MAX + 1], next_previous[NAME_MAX + 1],
	    broken[NAME_MAX + 1], lock_name[NAME_MAX + 1];
	bool is_known;                  /* of `state` */
	struct pipit_file_status state; /* of the content in use */
	struct pipit_file_status seen;  /* of the content read last */
};

static int sync_descriptor(int fd)
{
	int result;
	do
		result = fsync(fd);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

/* Some file systems cannot, and need not. */
static int sync_directory(const struct pipit_atomic_file *file)
{
	int error = sync_descriptor(file->directory);
	return error == -EINVAL ? 0 : error;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(fd, bytes, length);
		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			bytes += written;
			length -= (size_t)written;
		}
	}
	return 0;
}

static int move(const struct pipit_atomic_file *file, const char *from, const char *to)
{
	return renameat(file->directory, from, file->directory, to) == 0 ? 0 : -errno;
}

static bool exists(const struct pipit_atomic_file *file, const char *name)
{
	struct pipit_file_status state;
	return pipit_file_status_at(file->directory, name, AT_SYMLINK_NOFOLLOW, &state) == 0;
}

static void note_state(struct pipit_atomic_file *file)
{
	file->is_known = pipit_file_status_at(file->directory, file->name, AT_SYMLINK_NOFOLLOW, &file->state) == 0;
}

bool pipit_atomic_file_was_edited(const struct pipit_atomic_file *file)
{
	struct pipit_file_status now;
	bool is_there = pipit_file_status_at(file->directory, file->name, AT_SYMLINK_NOFOLLOW, &now) == 0;

	if (!is_there || !file->is_known)
		return is_there && !file->is_known;
	return !pipit_file_status_is_same_file(&now, &file->state) || now.size != file->state.size ||
	       !pipit_file_status_is_same_time(&now.modified, &file->state.modified);
}

static int refuse_to_open(char *error, size_t size, const char *name, int number, const char *advice)
{
	snprintf(error, size, "%s: %s%s%s", name, strerror(-number), advice ? "; " : "", advice ? advice : "");
	return number;
}

/* path: of the directory; the name of the file is appended. */
static int append_name(char path[PATH_MAX], const char *base)
{
	size_t length = strlen(path);

	if (length + 1 + strlen(base) >= PATH_MAX)
		return -ENAMETOOLONG;
	sprintf(path + length, "%s%s", path[length - 1] == '/' ? "" : "/", base);
	return 0;
}

/* Without symbolic links. -ENOLINK: a link to a file that does not exist. */
static int resolve(const char *name, char path[PATH_MAX])
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	char directory[PATH_MAX] = ".";
	struct pipit_file_status state;

	if (*base == '\0' && slash != name && access(name, F_OK) != 0)
		return -EISDIR;
	if (realpath(name, path))
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (pipit_file_status_at(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, &state) == 0 && S_ISLNK(state.mode))
		return -ENOLINK;
	if (strlen(name) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (slash)
		snprintf(directory, sizeof directory, "%.*s", slash == name ? 1 : (int)(slash - name), name);
	return realpath(directory, path) ? append_name(path, base) : -errno;
}

static int set_names(struct pipit_atomic_file *file, const char *base)
{
	if (*base == '\0')
		return -EISDIR;
	if (strlen(base) > NAME_MAX - SUFFIX_MAX)
		return -ENAMETOOLONG;
	snprintf(file->name, sizeof file->name, "%s", base);
	snprintf(file->fresh, sizeof file->fresh, "%s.new", base);
	snprintf(file->previous, sizeof file->previous, "%s.previous", base);
	snprintf(file->next_previous, sizeof file->next_previous, "%s.previous.new", base);
	snprintf(file->broken, sizeof file->broken, "%s.broken", base);
	snprintf(file->lock_name, sizeof file->lock_name, "%s.lock", base);
	return 0;
}

static int open_directory(struct pipit_atomic_file *file)
{
	char directory[PATH_MAX], *slash;
	struct pipit_file_status state;
	int error;

	snprintf(directory, sizeof directory, "%s", file->path);
	slash = strrchr(directory, '/');
	error = set_names(file, slash + 1);
	if (error != 0)
		return error;
	slash[slash == directory ? 1 : 0] = '\0';
	file->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory < 0)
		return -errno;
	if (pipit_file_status_at(file->directory, file->name, AT_SYMLINK_NOFOLLOW, &state) != 0 || S_ISREG(state.mode))
		return 0;
	return S_ISDIR(state.mode) ? -EISDIR : -EINVAL;
}

/* NULL, or the name beside the file that is no file. */
static const char *find_obstacle(const struct pipit_atomic_file *file)
{
	const char *const names[] = { file->fresh, file->previous, file->next_previous, file->broken, file->lock_name };
	struct pipit_file_status state;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (pipit_file_status_at(file->directory, names[i], AT_SYMLINK_NOFOLLOW, &state) == 0 &&
		    S_ISDIR(state.mode))
			return names[i];
	}
	return NULL;
}

static int open_lock(struct pipit_atomic_file *file)
{
	/* O_RDONLY: a descriptor for writing prevents a remount as read-only. */
	const int flags = O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(file->directory, file->lock_name, flags | O_EXCL, 0600);

	file->has_made_lock = fd >= 0;
	return fd >= 0 ? fd : openat(file->directory, file->lock_name, flags, 0600);
}

/* Against a second process. -EPERM: the lock is that of another user. */
static int lock(struct pipit_atomic_file *file)
{
	int error;

	file->lock = open_lock(file);
	if (file->lock < 0) {
		error = -errno;
		return error == -EACCES && exists(file, file->lock_name) ? -EPERM : error;
	}
	if (flock(file->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(file->lock);
	file->lock = -1;
	return error;
}

/* Who cannot write in the directory can read without a lock: a write takes it first. */
static int lock_if_writable(struct pipit_atomic_file *file)
{
	int error = lock(file);
	return error == -EROFS || error == -EACCES ? 0 : error;
}

/* Another process may have removed the lock, or the lock could not be made when the store was opened. */
static int keep_lock(struct pipit_atomic_file *file)
{
	struct pipit_file_status held, named;

	if (file->lock >= 0) {
		if (pipit_file_status_of(file->lock, &held) == 0 &&
		    pipit_file_status_at(file->directory, file->lock_name, AT_SYMLINK_NOFOLLOW, &named) == 0 &&
		    pipit_file_status_is_same_file(&held, &named))
			return 0;
		close(file->lock);
		file->lock = -1;
	}
	return lock(file);
}

/* -ESTALE: the path leads to another directory than when the store was opened. */
static int check_place(const struct pipit_atomic_file *file)
{
	char path[PATH_MAX];
	struct pipit_file_status held, named;

	if (resolve(file->shown, path) != 0 || strcmp(path, file->path) != 0)
		return -ESTALE;
	*strrchr(path, '/') = '\0';
	if (pipit_file_status_at(AT_FDCWD, *path ? path : "/", 0, &named) != 0 ||
	    pipit_file_status_of(file->directory, &held) != 0 || !pipit_file_status_is_same_file(&held, &named))
		return -ESTALE;
	return 0;
}

/* Before Linux 5.8 it is not noticed; the first change fails with EBUSY or EXDEV. */
static void note_mount(struct pipit_atomic_file *file)
{
	file->is_mounted_alone = pipit_file_status_is_mount_point(file->directory, file->name);
	if (file->is_mounted_alone)
		pipit_log(PIPIT_LOG_WARN, "%s: changes will be refused: %s", file->shown,
		    pipit_atomic_file_explain(file, -EBUSY));
}

const char *pipit_atomic_file_explain(const struct pipit_atomic_file *file, int error)
{
	if (file->is_mounted_alone && (error == -EBUSY || error == -EXDEV))
		return "the file is a mount point, which cannot be replaced: mount its directory instead";
	if (error == -EBUSY)
		return "another process has it open";
	if (error == -EPERM)
		return "its lock belongs to another user";
	if (error == -ESTALE)
		return "its directory was moved or replaced: restart";
	if (error == -EISDIR)
		return "a directory beside it has the name of a file that a change needs";
	return strerror(-error);
}

static void warn_of_read_only(const struct pipit_atomic_file *file)
{
	if (faccessat(file->directory, ".", W_OK, AT_EACCESS) != 0)
		pipit_log(PIPIT_LOG_WARN, "%s: the directory is not writable, changes will be refused: %s", file->shown,
		    strerror(errno));
}

static int recover(struct pipit_atomic_file *file)
{
	unlinkat(file->directory, file->next_previous, 0);
	if (!exists(file, file->name) && exists(file, file->previous)) {
		int error = move(file, file->previous, file->name);
		if (error != 0)
			return error;
		pipit_log(
		    PIPIT_LOG_WARN, "%s: a change was interrupted; the previous content is restored", file->shown);
	}
	if (exists(file, file->fresh) && unlinkat(file->directory, file->fresh, 0) == 0)
		pipit_log(PIPIT_LOG_WARN, "%s: a change was interrupted before it was acknowledged, and is discarded",
		    file->shown);
	return 0;
}

static const char *advice_for(int error)
{
	switch (error) {
	case -ENOENT:
		return "make its directory first";
	case -EBUSY:
		return "another process has it open: each process needs its own file";
	case -EISDIR:
	case -EINVAL:
		return "name a file";
	case -EACCES:
		return "let this user read and write its directory";
	case -EPERM:
		return "its lock belongs to another user: run each process with its own file, or remove FILE.lock when "
		       "none runs";
	case -ENOLINK:
		return "it is a link to no file: make that file, or remove the link";
	case -ENOSPC:
	case -EDQUOT:
		return "the lock beside it needs room";
	case -ENOLCK:
	case -EOPNOTSUPP:
	case -ENOSYS:
		return "its file system has no locks: use another one";
	}
	return NULL;
}

static int set_path(struct pipit_atomic_file *file, const char *name)
{
	char path[PATH_MAX];
	int error = resolve(name, path);

	if (error != 0)
		return error;
	file->shown = strdup(name);
	file->path = strdup(path);
	return file->shown && file->path ? 0 : -ENOMEM;
}

int pipit_atomic_file_open(const char *name, struct pipit_atomic_file **result, char *error, size_t size)
{
	struct pipit_atomic_file *file = calloc(1, sizeof *file);
	const char *obstacle;
	int failure;

	if (!file)
		return refuse_to_open(error, size, name, -ENOMEM, NULL);
	file->directory = file->lock = -1;
	failure = set_path(file, name);
	if (failure == 0)
		failure = open_directory(file);
	obstacle = failure == 0 ? find_obstacle(file) : NULL;
	if (obstacle) {
		snprintf(error, size,
		    "%s: the directory %s beside it has the name of a file that a change needs: remove it", name,
		    obstacle);
		pipit_atomic_file_free(file);
		return -EISDIR;
	}
	if (failure == 0)
		failure = lock_if_writable(file);
	if (failure == 0)
		failure = recover(file);
	if (failure != 0) {
		pipit_atomic_file_free(file);
		return refuse_to_open(error, size, name, failure, advice_for(failure));
	}
	warn_of_read_only(file);
	note_mount(file);
	*result = file;
	return 0;
}

void pipit_atomic_file_remove_new_lock(struct pipit_atomic_file *file)
{
	if (file->lock >= 0 && file->has_made_lock)
		unlinkat(file->directory, file->lock_name, 0);
}

void pipit_atomic_file_free(struct pipit_atomic_file *file)
{
	if (!file)
		return;
	if (file->directory >= 0)
		close(file->directory);
	if (file->lock >= 0)
		close(file->lock);
	free(file->shown);
	free(file->path);
	free(file);
}

const char *pipit_atomic_file_name(const struct pipit_atomic_file *file)
{
	return file->shown;
}

static int read_all(int fd, char *bytes, size_t length)
{
	size_t done = 0;
	while (done < length) {
		ssize_t count = read(fd, bytes + done, length - done);
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count == 0)
			return -EIO;
		if (count > 0)
			done += (size_t)count;
	}
	return 0;
}

static int read_open(int fd, size_t max_bytes, char **bytes, size_t *length, struct pipit_file_status *state)
{
	int error;

	if (pipit_file_status_of(fd, state) != 0)
		return -errno;
	if (!S_ISREG(state->mode))
		return -EISDIR;
	if (state->size > max_bytes)
		return -EFBIG;
	*length = (size_t)state->size;
	*bytes = malloc(*length + 1);
	if (!*bytes)
		return -ENOMEM;
	(*bytes)[*length] = '\0';
	error = read_all(fd, *bytes, *length);
	/* an editor may not have synchronised it */
	if (error == 0)
		error = sync_descriptor(fd);
	if (error == -EROFS || error == -EINVAL)
		error = 0;
	if (error != 0)
		free(*bytes);
	return error;
}

int pipit_atomic_file_read(struct pipit_atomic_file *file, size_t max_bytes, char **bytes, size_t *length)
{
	int fd = openat(file->directory, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;

	if (fd < 0)
		return -errno;
	error = read_open(fd, max_bytes, bytes, length, &file->seen);
	close(fd);
	if (error == 0)
		sync_directory(file);
	return error;
}

void pipit_atomic_file_accept(struct pipit_atomic_file *file)
{
	file->is_known = true;
	file->state = file->seen;
}

/* Settings may hold passwords. */
static mode_t mode_of(const struct pipit_atomic_file *file)
{
	struct pipit_file_status state;
	if (pipit_file_status_at(file->directory, file->name, AT_SYMLINK_NOFOLLOW, &state) == 0 && S_ISREG(state.mode))
		return state.mode & 0777;
	return 0600;
}

static int write_fresh(const struct pipit_atomic_file *file, const char *bytes, size_t length)
{
	int fd, error;

	/* Follow no symbolic link (O_EXCL). */
	if (unlinkat(file->directory, file->fresh, 0) != 0 && errno == EISDIR)
		return -EISDIR;
	fd = openat(file->directory, file->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = fchmod(fd, mode_of(file)) == 0 ? 0 : -errno;
	if (error == 0)
		error = write_all(fd, bytes, length);
	if (error == 0)
		error = sync_descriptor(fd);
	/* some network file systems report a full disk here */
	if (close(fd) != 0 && errno != EINTR && error == 0)
		error = -errno;
	return error;
}

/* By a hard link, so that the file is never absent. Without hard links it is, for a moment. */
static int keep_previous(const struct pipit_atomic_file *file)
{
	unlinkat(file->directory, file->next_previous, 0);
	if (linkat(file->directory, file->name, file->directory, file->next_previous, 0) == 0)
		return move(file, file->next_previous, file->previous);
	if (errno == ENOENT)
		return 0;
	if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK || errno == ENOSYS)
		return move(file, file->name, file->previous);
	return -errno;
}

static void undo_replace(struct pipit_atomic_file *file, bool had_content)
{
	int error = 0;
	if (had_content)
		error = exists(file, file->previous) ? move(file, file->previous, file->name) : 0;
	else if (unlinkat(file->directory, file->name, 0) != 0 && errno != ENOENT)
		error = -errno;
	if (error == 0)
		error = sync_directory(file);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR,
		    "%s: a change failed and could not be undone (%s): after a restart the file may hold it",
		    file->shown, strerror(-error));
	note_state(file);
}

static int replace(struct pipit_atomic_file *file)
{
	bool had_content = exists(file, file->name);
	int error = keep_previous(file);

	if (error != 0)
		return error;
	error = move(file, file->fresh, file->name);
	if (error == 0)
		error = sync_directory(file);
	else if (exists(file, file->name))
		return error;
	if (error != 0)
		undo_replace(file, had_content);
	return error;
}

int pipit_atomic_file_write(struct pipit_atomic_file *file, const char *bytes, size_t length)
{
	int error;

	error = check_place(file);
	if (error == 0 && file->is_mounted_alone)
		error = -EBUSY;
	if (error == 0)
		error = keep_lock(file);
	if (error != 0)
		return error;
	if (pipit_atomic_file_was_edited(file))
		pipit_log(PIPIT_LOG_WARN,
		    "%s: an edit was not reloaded with SIGHUP before this change: the edited content is in %s",
		    file->shown, file->previous);
	error = write_fresh(file, bytes, length);
	if (error == 0)
		error = replace(file);
	if (error == 0)
		note_state(file);
	else
		unlinkat(file->directory, file->fresh, 0);
	return error;
}

int pipit_atomic_file_restore(struct pipit_atomic_file *file)
{
	int error;

	if (!exists(file, file->previous))
		return -ENOENT;
	if (exists(file, file->name)) {
		error = move(file, file->name, file->broken);
		if (error != 0)
			return error;
	}
	error = move(file, file->previous, file->name);
	return error == 0 ? sync_directory(file) : error;
}
