/* SPDX-License-Identifier: MIT */
/*
 * See atomic_file.h. The order of steps is what makes it safe: the new content is on the disk before its name is (rename() may
 * reach the disk before the data does), and the name is when the directory is.
 */
#include "settings/atomic_file.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_MAX sizeof ".previous.new"

struct pipit_atomic_file {
	char *shown; /* owned: the name as it was given */
	int directory, lock;
	/* Within the directory. */
	char name[NAME_MAX + 1], fresh[NAME_MAX + 1], previous[NAME_MAX + 1], next_previous[NAME_MAX + 1],
	    broken[NAME_MAX + 1], lock_name[NAME_MAX + 1];
	bool is_known; /* `state` is that of the content that counts */
	struct stat state;
	struct stat seen; /* of what was read last */
};

/* --- small steps ----------------------------------------------------------------------------------------------------- */

static int sync_descriptor(int fd)
{
	int result;
	do
		result = fsync(fd);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

/* Directories of some file systems cannot be synchronised, and need not be. */
static int sync_directory(const struct pipit_atomic_file *durable)
{
	int error = sync_descriptor(durable->directory);
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

static int move(const struct pipit_atomic_file *durable, const char *from, const char *to)
{
	return renameat(durable->directory, from, durable->directory, to) == 0 ? 0 : -errno;
}

static bool exists(const struct pipit_atomic_file *durable, const char *name)
{
	struct stat state;
	return fstatat(durable->directory, name, &state, AT_SYMLINK_NOFOLLOW) == 0;
}

static void note_state(struct pipit_atomic_file *durable)
{
	durable->is_known = fstatat(durable->directory, durable->name, &durable->state, AT_SYMLINK_NOFOLLOW) == 0;
}

bool pipit_atomic_file_was_edited(const struct pipit_atomic_file *durable)
{
	struct stat now;
	bool is_there = fstatat(durable->directory, durable->name, &now, AT_SYMLINK_NOFOLLOW) == 0;

	if (!is_there || !durable->is_known)
		return is_there && !durable->is_known;
	return now.st_ino != durable->state.st_ino || now.st_dev != durable->state.st_dev ||
	       now.st_size != durable->state.st_size || now.st_mtim.tv_sec != durable->state.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != durable->state.st_mtim.tv_nsec;
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int refuse_to_open(char *error, size_t size, const char *name, int number, const char *advice)
{
	snprintf(error, size, "%s: %s%s%s", name, strerror(-number), advice ? "; " : "", advice ? advice : "");
	return number;
}

/* The file's place, behind links; the name itself when it is not there yet. */
static int resolve(const char *name, char path[PATH_MAX])
{
	if (realpath(name, path))
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (strlen(name) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path, name);
	return 0;
}

static int set_names(struct pipit_atomic_file *durable, const char *base)
{
	if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EISDIR;
	if (strlen(base) > NAME_MAX - SUFFIX_MAX)
		return -ENAMETOOLONG;
	snprintf(durable->name, sizeof durable->name, "%s", base);
	snprintf(durable->fresh, sizeof durable->fresh, "%.200s.new", base);
	snprintf(durable->previous, sizeof durable->previous, "%.200s.previous", base);
	snprintf(durable->next_previous, sizeof durable->next_previous, "%.200s.previous.new", base);
	snprintf(durable->broken, sizeof durable->broken, "%.200s.broken", base);
	snprintf(durable->lock_name, sizeof durable->lock_name, "%.200s.lock", base);
	return 0;
}

static int open_directory(struct pipit_atomic_file *durable, char path[PATH_MAX])
{
	char *slash = strrchr(path, '/');
	struct stat state;
	int error = set_names(durable, slash ? slash + 1 : path);

	if (error != 0)
		return error;
	if (slash)
		slash[slash == path ? 1 : 0] = '\0';
	durable->directory = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (durable->directory < 0)
		return -errno;
	if (fstatat(durable->directory, durable->name, &state, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(state.st_mode))
		return 0;
	return S_ISDIR(state.st_mode) ? -EISDIR : -EINVAL;
}

/* Two processes that change one file would undo each other's changes. A file system that cannot be written to needs no lock. */
static int lock(struct pipit_atomic_file *durable)
{
	/* Not for writing: the file system may be made read-only while it is open. */
	durable->lock =
	    openat(durable->directory, durable->lock_name, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (durable->lock < 0)
		return errno == EROFS || errno == EACCES || errno == ENOSPC || errno == EDQUOT ? 0 : -errno;
	if (flock(durable->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? -EBUSY : 0;
}

/* Reading is possible all the same. */
static void warn_of_read_only(const struct pipit_atomic_file *durable)
{
	if (faccessat(durable->directory, ".", W_OK, AT_EACCESS) != 0)
		pipit_log(PIPIT_LOG_WARN, "%s: changes will be refused: its directory cannot be written to: %s",
		    durable->shown, strerror(errno));
}

/* The states that an interrupted change can have left. */
static int recover(struct pipit_atomic_file *durable)
{
	unlinkat(durable->directory, durable->next_previous, 0);
	if (!exists(durable, durable->name) && exists(durable, durable->previous)) {
		int error = move(durable, durable->previous, durable->name);
		if (error != 0)
			return error;
		pipit_log(PIPIT_LOG_WARN, "%s: a change was interrupted: the content before it is in its place again",
		    durable->shown);
	}
	if (exists(durable, durable->fresh) && unlinkat(durable->directory, durable->fresh, 0) == 0)
		pipit_log(PIPIT_LOG_WARN, "%s: a change was interrupted before it was acknowledged: it is thrown away",
		    durable->shown);
	/* What is there may have been renamed just before a process was killed: from now on it counts. */
	return 0;
}

static const char *advice_for(int error)
{
	switch (error) {
	case -ENOENT:
		return "make its directory first";
	case -EBUSY:
		return "another process has it open: each needs a file of its own";
	case -EISDIR:
	case -EINVAL:
		return "name a file";
	case -EACCES:
		return "let this user read and write its directory";
	}
	return NULL;
}

int pipit_atomic_file_open(const char *name, struct pipit_atomic_file **result, char *error, size_t size)
{
	struct pipit_atomic_file *durable = calloc(1, sizeof *durable);
	char path[PATH_MAX];
	int failure;

	if (!durable)
		return refuse_to_open(error, size, name, -ENOMEM, NULL);
	durable->directory = durable->lock = -1;
	durable->shown = strdup(name);
	failure = durable->shown ? resolve(name, path) : -ENOMEM;
	if (failure == 0)
		failure = open_directory(durable, path);
	if (failure == 0)
		failure = lock(durable);
	if (failure == 0)
		failure = recover(durable);
	if (failure != 0) {
		pipit_atomic_file_free(durable);
		return refuse_to_open(error, size, name, failure, advice_for(failure));
	}
	warn_of_read_only(durable);
	*result = durable;
	return 0;
}

void pipit_atomic_file_free(struct pipit_atomic_file *durable)
{
	if (!durable)
		return;
	if (durable->directory >= 0)
		close(durable->directory);
	if (durable->lock >= 0)
		close(durable->lock);
	free(durable->shown);
	free(durable);
}

const char *pipit_atomic_file_name(const struct pipit_atomic_file *durable)
{
	return durable->shown;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

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

static int read_open(int fd, size_t max_bytes, char **bytes, size_t *length, struct stat *state)
{
	int error;

	if (fstat(fd, state) != 0)
		return -errno;
	if (!S_ISREG(state->st_mode))
		return -EISDIR;
	if ((uint64_t)state->st_size > max_bytes)
		return -EFBIG;
	*length = (size_t)state->st_size;
	*bytes = malloc(*length + 1);
	if (!*bytes)
		return -ENOMEM;
	(*bytes)[*length] = '\0';
	error = read_all(fd, *bytes, *length);
	/* It counts from now on, so it must not go away with the power. */
	if (error == 0)
		error = sync_descriptor(fd);
	if (error == -EROFS || error == -EINVAL)
		error = 0;
	if (error != 0)
		free(*bytes);
	return error;
}

int pipit_atomic_file_read(struct pipit_atomic_file *durable, size_t max_bytes, char **bytes, size_t *length)
{
	int fd = openat(durable->directory, durable->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;

	if (fd < 0)
		return -errno;
	error = read_open(fd, max_bytes, bytes, length, &durable->seen);
	close(fd);
	if (error == 0)
		sync_directory(durable);
	return error;
}

void pipit_atomic_file_accept(struct pipit_atomic_file *durable)
{
	durable->is_known = true;
	durable->state = durable->seen;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

/* Only its owner's unless somebody has said otherwise: settings hold passwords. */
static mode_t mode_of(const struct pipit_atomic_file *durable)
{
	struct stat state;
	if (fstatat(durable->directory, durable->name, &state, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(state.st_mode))
		return state.st_mode & 0777;
	return 0600;
}

static int write_fresh(const struct pipit_atomic_file *durable, const char *bytes, size_t length)
{
	int fd, error;

	/* Not through a link that somebody has put there. */
	unlinkat(durable->directory, durable->fresh, 0);
	fd = openat(durable->directory, durable->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = fchmod(fd, mode_of(durable)) == 0 ? 0 : -errno;
	if (error == 0)
		error = write_all(fd, bytes, length);
	if (error == 0)
		error = sync_descriptor(fd);
	/* Some network file systems tell only now that there was no room. */
	if (close(fd) != 0 && errno != EINTR && error == 0)
		error = -errno;
	return error;
}

/* Under a second name, so that the first is never missing; file systems without links must do with a moment without it. */
static int keep_previous(const struct pipit_atomic_file *durable)
{
	unlinkat(durable->directory, durable->next_previous, 0);
	if (linkat(durable->directory, durable->name, durable->directory, durable->next_previous, 0) == 0)
		return move(durable, durable->next_previous, durable->previous);
	if (errno == ENOENT)
		return 0;
	if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK || errno == ENOSYS)
		return move(durable, durable->name, durable->previous);
	return -errno;
}

/* After a failure that may have left the new content under the name. */
static void take_back(struct pipit_atomic_file *durable, bool had_content)
{
	int error = 0;
	if (had_content)
		error = exists(durable, durable->previous) ? move(durable, durable->previous, durable->name) : 0;
	else if (unlinkat(durable->directory, durable->name, 0) != 0 && errno != ENOENT)
		error = -errno;
	if (error == 0)
		error = sync_directory(durable);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR,
		    "%s: a change that failed could not be taken back (%s): the file may hold it after a restart",
		    durable->shown, strerror(-error));
	note_state(durable);
}

/* The new content is on the disk under its own name: make it the file's. */
static int replace(struct pipit_atomic_file *durable)
{
	bool had_content = exists(durable, durable->name);
	int error = keep_previous(durable);

	if (error != 0)
		return error;
	error = move(durable, durable->fresh, durable->name);
	if (error == 0)
		error = sync_directory(durable);
	else if (exists(durable, durable->name))
		return error;
	if (error != 0)
		take_back(durable, had_content);
	return error;
}

int pipit_atomic_file_write(struct pipit_atomic_file *durable, const char *bytes, size_t length)
{
	int error;

	if (pipit_atomic_file_was_edited(durable))
		pipit_log(PIPIT_LOG_WARN,
		    "%s: it was edited, and replaced before a reload (SIGHUP): the edited content is in %s",
		    durable->shown, durable->previous);
	error = write_fresh(durable, bytes, length);
	if (error == 0)
		error = replace(durable);
	if (error == 0)
		note_state(durable);
	else
		unlinkat(durable->directory, durable->fresh, 0);
	return error;
}

int pipit_atomic_file_restore(struct pipit_atomic_file *durable)
{
	int error;

	if (!exists(durable, durable->previous))
		return -ENOENT;
	if (exists(durable, durable->name)) {
		error = move(durable, durable->name, durable->broken);
		if (error != 0)
			return error;
	}
	error = move(durable, durable->previous, durable->name);
	return error == 0 ? sync_directory(durable) : error;
}
