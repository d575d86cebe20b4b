/* SPDX-License-Identifier: MIT */
/* See shared_fd.h. */
#include "base/shared_fd.h"

#include <stdlib.h>
#include <unistd.h>

struct pipit_descriptor *pipit_descriptor_new(int fd)
{
	struct pipit_descriptor *descriptor = malloc(sizeof *descriptor);
	if (!descriptor) {
		close(fd);
		return NULL;
	}
	*descriptor = (struct pipit_descriptor){ .fd = fd, .holders = 1 };
	return descriptor;
}

struct pipit_descriptor *pipit_descriptor_hold(struct pipit_descriptor *descriptor)
{
	descriptor->holders++;
	return descriptor;
}

void pipit_descriptor_release(struct pipit_descriptor *descriptor)
{
	if (!descriptor || --descriptor->holders > 0)
		return;
	close(descriptor->fd);
	free(descriptor);
}
