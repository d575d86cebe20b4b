/* SPDX-License-Identifier: MIT */
#include "files/file_status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#ifndef STATX_BASIC_STATS
#include <linux/stat.h> /* musl before 1.2.5 */
#endif

/* musl before 1.2.5 has no function of that name. */
static int call_statx(int directory, const char *name, int flags, unsigned wanted, struct statx *status)
{
	return (int)syscall(SYS_statx, directory, name, flags, wanted, status);
}

static struct pipit_file_time time_of_statx(const struct statx_timestamp *time)
{
	return (struct pipit_file_time){ time->tv_sec, time->tv_nsec };
}

static int read_wide(int directory, const char *name, int flags, struct pipit_file_status *status)
{
	struct statx wide;
	if (call_statx(directory, name, flags, STATX_BASIC_STATS, &wide) != 0)
		return -1;
	*status = (struct pipit_file_status){
		.device = makedev(wide.stx_dev_major, wide.stx_dev_minor),
		.inode = (ino_t)wide.stx_ino,
		.mode = wide.stx_mode,
		.size = wide.stx_size,
		.modified = time_of_statx(&wide.stx_mtime),
		.changed = time_of_statx(&wide.stx_ctime),
	};
	return 0;
}

static struct pipit_file_time time_of_stat(const struct timespec *time)
{
	return (struct pipit_file_time){ time->tv_sec, (uint32_t)time->tv_nsec };
}

static void convert(const struct stat *native, struct pipit_file_status *status)
{
	*status = (struct pipit_file_status){
		.device = native->st_dev,
		.inode = native->st_ino,
		.mode = native->st_mode,
		.size = (uint64_t)native->st_size,
		.modified = time_of_stat(&native->st_mtim),
		.changed = time_of_stat(&native->st_ctim),
	};
}

/* statx(): Linux 4.11; a sandbox may refuse it. */
static bool is_read_wide(int result)
{
	return result == 0 || (errno != ENOSYS && errno != EPERM);
}

int pipit_file_status_of(int fd, struct pipit_file_status *status)
{
	struct stat native;
	int result;

	if (sizeof(time_t) < sizeof(int64_t)) {
		result = read_wide(fd, "", AT_EMPTY_PATH, status);
		if (is_read_wide(result))
			return result;
	}
	result = fstat(fd, &native);
	if (result == 0)
		convert(&native, status);
	return result;
}

int pipit_file_status_at(int directory, const char *name, int flags, struct pipit_file_status *status)
{
	struct stat native;
	int result;

	if (sizeof(time_t) < sizeof(int64_t)) {
		result = read_wide(directory, name, flags, status);
		if (is_read_wide(result))
			return result;
	}
	result = fstatat(directory, name, &native, flags);
	if (result == 0)
		convert(&native, status);
	return result;
}

bool pipit_file_status_is_mount_point(int directory, const char *name)
{
	struct statx status;
	return call_statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_INO, &status) == 0 &&
	       (status.stx_attributes & status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
}
