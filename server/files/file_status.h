/* SPDX-License-Identifier: MIT */
/*
 * The status of a file, with dates of 64 bits. Where time_t has 32, stat() fails with EOVERFLOW for a file of 2045, and statx()
 * does not. The program cannot choose a wider time_t alone: libevent's functions take a struct timeval, so that its build decides.
 */
#ifndef PIPIT_FILE_STATUS_H
#define PIPIT_FILE_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pipit_file_time {
	int64_t second; /* since 1970 */
	uint32_t nanosecond;
};

struct pipit_file_status {
	dev_t device;
	ino_t inode;
	mode_t mode;
	uint64_t size;
	struct pipit_file_time modified, changed; /* ctime */
};

/* As fstat(). */
int pipit_file_status_of(int fd, struct pipit_file_status *status);

/* As fstatat(). */
int pipit_file_status_at(int directory, const char *name, int flags, struct pipit_file_status *status);

/* Linux 5.8; before, never. */
bool pipit_file_status_is_mount_point(int directory, const char *name);

static inline bool pipit_file_status_is_same_time(
    const struct pipit_file_time *one, const struct pipit_file_time *other)
{
	return one->second == other->second && one->nanosecond == other->nanosecond;
}

static inline bool pipit_file_status_is_same_file(
    const struct pipit_file_status *one, const struct pipit_file_status *other)
{
	return one->device == other->device && one->inode == other->inode;
}

#endif
