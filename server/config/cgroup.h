/* SPDX-License-Identifier: MIT */
/* What the control groups of this process allow it to use. */
#ifndef PIPIT_CGROUP_H
#define PIPIT_CGROUP_H

#include <stdint.h>

/* 0: no limit */
struct pipit_cgroup_limits {
	uint64_t cpus; /* the quota, rounded up to whole ones */
	uint64_t memory_bytes;
};

/*
 * The lowest limits of the groups from this process's own up to the root, of cgroup v2 and v1. In a container the root that is
 * mounted is its own group.
 *
 * self: the file /proc/self/cgroup. mount: the directory /sys/fs/cgroup. Files that are not there limit nothing.
 */
struct pipit_cgroup_limits pipit_cgroup_read(const char *self, const char *mount);

/* Of this process. */
struct pipit_cgroup_limits pipit_cgroup_limits(void);

#endif
