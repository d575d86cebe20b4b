/* SPDX-License-Identifier: MIT */
/*
 * An open file that several hold at once, such as replies under way and the files that a worker remembers: it is closed when
 * the last of them lets go. They are all of one worker.
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

/* Held once, by the caller. Takes fd: when memory is short it is closed, and NULL returned. */
struct pipit_shared_fd *pipit_shared_fd_new(int fd);

/* Hold it once more; returns it. */
struct pipit_shared_fd *pipit_shared_fd_hold(struct pipit_shared_fd *descriptor);

/* Give up one hold. NULL is harmless. */
void pipit_shared_fd_release(struct pipit_shared_fd *descriptor);

/* Read `length` bytes of a file from `offset` on. False when the file is shorter, or cannot be read. */
bool pipit_shared_fd_read(int fd, char *bytes, size_t length, uint64_t offset);

#endif
