/* SPDX-License-Identifier: MIT */
/* The last release closes the descriptor. All holders are on one worker. */
#ifndef PIPIT_SHARED_FD_H
#define PIPIT_SHARED_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipit_shared_fd {
	int fd;
	unsigned holders;
};

/* Takes `fd`; closes it when memory is short. */
struct pipit_shared_fd *pipit_shared_fd_new(int fd);

struct pipit_shared_fd *pipit_shared_fd_hold(struct pipit_shared_fd *descriptor);

void pipit_shared_fd_release(struct pipit_shared_fd *descriptor);

bool pipit_shared_fd_read(int fd, char *bytes, size_t length, uint64_t offset);

#endif
