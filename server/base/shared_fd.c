/* SPDX-License-Identifier: MIT */
#include "base/shared_fd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct pipit_shared_fd *pipit_shared_fd_new(int fd)
{
	struct pipit_shared_fd *descriptor = malloc(sizeof *descriptor);
	if (!descriptor) {
		close(fd);
		return NULL;
	}
	*descriptor = (struct pipit_shared_fd){ .fd = fd, .holders = 1 };
	return descriptor;
}

struct pipit_shared_fd *pipit_shared_fd_hold(struct pipit_shared_fd *descriptor)
{
	descriptor->holders++;
	return descriptor;
}

void pipit_shared_fd_release(struct pipit_shared_fd *descriptor)
{
	if (!descriptor || --descriptor->holders > 0)
		return;
	close(descriptor->fd);
	free(descriptor);
}

bool pipit_shared_fd_read(int fd, char *bytes, size_t length, uint64_t offset)
{
	size_t done = 0;
	while (done < length) {
		ssize_t count = pread(fd, bytes + done, length - done, (off_t)(offset + done));
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		done += (size_t)count;
	}
	return true;
}
