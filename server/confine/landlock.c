/* SPDX-License-Identifier: MIT */
/* The constants are those of linux/landlock.h, whose version on the build machine may be older than the kernel. */
#include "confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_OF_FILES (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)

#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* By version, from 1: all rights to files that it knows. */
static const uint64_t fs_of_version[] = { 0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff };
#define FS_VERSIONS (sizeof fs_of_version / sizeof *fs_of_version)

static struct ruleset rights_of(int version)
{
	struct ruleset rights = { .fs = fs_of_version[version < (int)FS_VERSIONS ? version : (int)FS_VERSIONS - 1] };
	/* With other C libraries, evhttp connections come from a listener on loopback, see http1/evhttp_link.c. */
#ifdef __GLIBC__
	if (version >= 4)
		rights.net = NET_BIND_TCP | NET_CONNECT_TCP;
#endif
	if (version >= 6)
		rights.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return rights;
}

static size_t size_of(int version)
{
	return version >= 6 ? sizeof(struct ruleset) : version >= 4 ? 16 : 8;
}

static int allow(int ruleset, const char *path, uint64_t rights, const char **wrong)
{
	struct stat status;
	struct path_rule rule = { .allowed = rights, .fd = open(path, O_PATH | O_CLOEXEC) };
	int error = 0;

	if (rule.fd < 0) {
		*wrong = path;
		return -errno;
	}
	/* EOVERFLOW: a file of 2045, where time_t has 32 bits */
	if (fstat(rule.fd, &status) == 0 ? !S_ISDIR(status.st_mode) : errno == EOVERFLOW)
		rule.allowed &= FS_OF_FILES;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
		error = -errno;
	close(rule.fd);
	return error;
}

static int allow_all(int ruleset, const char *const *paths, uint64_t rights, const char **wrong)
{
	int error = 0;
	for (; paths && *paths && error == 0; paths++)
		error = allow(ruleset, *paths, rights, wrong);
	return error;
}

int pipit_landlock_restrict(const char *const *readable, const char *const *writable, const char **wrong)
{
	static const uint64_t read = FS_READ_FILE | FS_READ_DIR;
	static const char *const own[] = { "/proc/self", NULL };
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION), ruleset, error;
	struct ruleset rights;
	const char *ignored;
	uint64_t write;

	if (version < 1)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	rights = rights_of(version);
	write = (read | FS_WRITE_FILE | FS_MAKE_REG | FS_REMOVE_FILE | FS_TRUNCATE) & rights.fs;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rights, size_of(version), 0);
	if (ruleset < 0)
		return -errno;
	error = allow_all(ruleset, readable, read, wrong);
	if (error == 0)
		error = allow_all(ruleset, writable, write, wrong);
	/* A container may have no /proc. */
	allow_all(ruleset, own, read, &ignored);
	if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		error = -errno;
	close(ruleset);
	return error == 0 ? version : error;
}
