/* SPDX-License-Identifier: MIT */
#include "sockets/unix_socket.h"

#include "base/log.h"
#include "config/account.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another process that starts holds the lock for some system calls; any process may hold it for long. */
#define LOCK_ATTEMPTS 100
#define LOCK_PAUSE_MS 10

static int fail(int code, char *error, size_t size, const char *advice)
{
	snprintf(error, size, "cannot be used: %s; %s", strerror(-code), advice);
	return code;
}

static socklen_t fill(struct sockaddr_un *name, const struct pipit_address *address)
{
	size_t length = strlen(address->path);

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(name->sun_path, address->path, length);
	if (address->path[0] != '@')
		return sizeof *name;
	/* Abstract names begin with NUL, and are not terminated. */
	name->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* --- the owner ----------------------------------------------------------------------------------------------------- */

struct owner {
	uid_t user; /* (uid_t)-1: unchanged; so the next */
	gid_t group;
};

static int fail_lookup(int code, char *error, size_t size, const char *property, const char *name)
{
	snprintf(error, size, "cannot be used: %s=%s: %s; use a name that the system knows, or a number", property,
	    name, code == -ENOENT ? "unknown" : strerror(-code));
	return code;
}

static int find_owner(const struct pipit_address *address, struct owner *owner, char *error, size_t size)
{
	gid_t own_group;
	int result = 0;

	*owner = (struct owner){ (uid_t)-1, (gid_t)-1 };
	if (address->user[0])
		result = pipit_account_find_user(address->user, &owner->user, &own_group);
	if (result != 0)
		return fail_lookup(result, error, size, "user", address->user);
	if (address->group[0])
		result = pipit_account_find_group(address->group, &owner->group);
	return result == 0 ? 0 : fail_lookup(result, error, size, "group", address->group);
}

/* Through the path, which another process may have replaced by a link: neither call follows one. */
static int apply(const struct pipit_address *address, const struct owner *owner)
{
	if ((owner->user != (uid_t)-1 || owner->group != (gid_t)-1) &&
	    lchown(address->path, owner->user, owner->group) != 0)
		return -errno;
	return fchmodat(AT_FDCWD, address->path, address->mode, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

/* --- a file that is there ------------------------------------------------------------------------------------------- */

/* The directory's lock: between bind() and listen(), another process that starts would take this one's file for a stale one. */
static int lock_directory(const char *path)
{
	char directory[sizeof(((struct pipit_address *)0)->path)];
	const char *slash = strrchr(path, '/');
	size_t length = slash == path ? 1 : (size_t)(slash - path);
	int fd;

	memcpy(directory, path, length);
	directory[length] = '\0';
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_ATTEMPTS && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
		poll(NULL, 0, LOCK_PAUSE_MS);
	return fd;
}

static bool has_listener(const struct sockaddr_un *name, socklen_t length)
{
	int fd = new_socket(), error;

	if (fd < 0)
		return true;
	error = connect(fd, (const struct sockaddr *)name, length) == 0 ? 0 : errno;
	close(fd);
	return error != ECONNREFUSED && error != ENOENT;
}

static bool is_socket(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static int bind_socket(int fd, const struct pipit_address *address, const struct sockaddr_un *name, socklen_t length)
{
	if (bind(fd, (const struct sockaddr *)name, length) == 0)
		return 0;
	if (errno != EADDRINUSE || address->path[0] == '@')
		return -errno;
	if (!is_socket(address->path))
		return -EEXIST;
	if (has_listener(name, length))
		return -EADDRINUSE;
	if (unlink(address->path) == 0 || errno == ENOENT)
		return bind(fd, (const struct sockaddr *)name, length) == 0 ? 0 : -errno;
	return -errno;
}

static const char *advice_for(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another process listens there: use another path";
	case -EEXIST:
		return "the file is no socket: use another path";
	case -ENOENT:
	case -ENOTDIR:
		return "use a path in a directory that exists";
	case -EACCES:
	case -EROFS:
		return "use a path in a directory that this user may write to";
	case -EPERM:
		return "only root may set user=, and group= to a group that it is not in";
	default:
		return "use another path";
	}
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

static int keep_file(const struct pipit_address *address, struct pipit_unix_socket_file *file)
{
	file->descriptor = open(address->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file->descriptor < 0)
		return -errno;
	strcpy(file->path, address->path);
	file->owner = getpid();
	return 0;
}

static int listen_on(int fd, const struct pipit_address *address, const struct owner *owner, int backlog,
    struct pipit_unix_socket_file *file)
{
	int error = 0;

	if (address->path[0] != '@') {
		error = keep_file(address, file);
		if (error == 0)
			error = apply(address, owner);
	}
	if (error == 0 && listen(fd, backlog) != 0)
		error = -errno;
	if (error != 0)
		pipit_unix_socket_remove(file);
	return error;
}

int pipit_unix_socket_open(
    const struct pipit_address *address, int backlog, struct pipit_unix_socket_file *file, char *error, size_t size)
{
	bool has_file = address->path[0] != '@';
	struct owner owner;
	struct sockaddr_un name;
	socklen_t length = fill(&name, address);
	int result = find_owner(address, &owner, error, size), fd, lock;

	*file = (struct pipit_unix_socket_file){ .descriptor = -1 };
	if (result != 0)
		return result;
	fd = new_socket();
	if (fd < 0)
		return fail(fd, error, size, "use an IP address");
	lock = has_file ? lock_directory(address->path) : -1;
	result = bind_socket(fd, address, &name, length);
	if (result == 0)
		result = listen_on(fd, address, &owner, backlog, file);
	if (lock >= 0)
		close(lock);
	if (result == 0)
		return fd;
	close(fd);
	return fail(result, error, size, advice_for(result));
}

void pipit_unix_socket_remove(struct pipit_unix_socket_file *file)
{
	struct stat own, there;

	if (!file->path[0])
		return;
	if (file->owner == getpid() && fstat(file->descriptor, &own) == 0 && lstat(file->path, &there) == 0 &&
	    own.st_dev == there.st_dev && own.st_ino == there.st_ino && unlink(file->path) != 0)
		pipit_log(PIPIT_LOG_WARN, "cannot remove %s: %s; the next start does it", file->path, strerror(errno));
	close(file->descriptor);
	*file = (struct pipit_unix_socket_file){ .descriptor = -1 };
}
