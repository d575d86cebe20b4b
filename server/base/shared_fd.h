/* SPDX-License-Identifier: MIT */
/* A reference count: the last release closes the descriptor. All holders are on one worker. */
#ifndef PIPIT_SHARED_FD_H
#define PIPIT_SHARED_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipit_shared_fd {
	int fd;
	unsigned holders;
};

/* Takes `fd`: when memory is short, closes it and returns NULL. One reference. */
struct pipit_shared_fd *pipit_shared_fd_new(int fd);

struct pipit_shared_fd *pipit_shared_fd_hold(struct pipit_shared_fd *descriptor);

void pipit_shared_fd_release(struct pipit_shared_fd *descriptor);

/* False when the file is shorter, or a read fails. */
bool pipit_shared_fd_read(int fd, char *bytes, size_t length, uint64_t offset);

#endif
