/* SPDX-License-Identifier: MIT */
/*
 * A descriptor with a reference count, for example of a file that two replies send. The last release closes it. All
 * holders are on one worker.
 */
#ifndef PIPIT_SHARED_FD_H
#define PIPIT_SHARED_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipit_shared_fd {
	int fd;
	unsigned holders;
};

/* One reference, the caller's. Takes `fd`: when memory is short, closes it and returns NULL. */
struct pipit_shared_fd *pipit_shared_fd_new(int fd);

/* Add a reference. Returns `descriptor`. */
struct pipit_shared_fd *pipit_shared_fd_hold(struct pipit_shared_fd *descriptor);

/* Drop a reference. NULL is harmless. */
void pipit_shared_fd_release(struct pipit_shared_fd *descriptor);

/* Read `length` bytes from `offset`. False when the file is shorter, or a read fails. */
bool pipit_shared_fd_read(int fd, char *bytes, size_t length, uint64_t offset);

#endif
