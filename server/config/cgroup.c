/* SPDX-License-Identifier: MIT */
#include "config/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 64 };

/* "memory.limit_in_bytes" without a limit: LONG_MAX, rounded down to a page. */
#define V1_MEMORY_UNLIMITED (UINT64_C(1) << 62)

static void lower(uint64_t *limit, uint64_t value)
{
	if (*limit == 0 || value < *limit)
		*limit = value;
}

/* The first line of a file. False: there is none. */
static bool read_value(const char *directory, const char *name, char value[VALUE_BYTES])
{
	char path[PATH_MAX];
	FILE *file;
	bool has_value;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return false;
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	has_value = fgets(value, VALUE_BYTES, file) != NULL;
	fclose(file);
	return has_value;
}

static void lower_cpus(struct pipit_cgroup_limits *limits, unsigned long long quota_us, unsigned long long period_us)
{
	if (quota_us > 0 && period_us > 0)
		lower(&limits->cpus, quota_us / period_us + (quota_us % period_us != 0));
}

static void read_v2(const char *directory, struct pipit_cgroup_limits *limits)
{
	char value[VALUE_BYTES];
	unsigned long long number, period_us;
	/* "max 100000" and "max" have no number */
	if (read_value(directory, "cpu.max", value) && sscanf(value, "%llu %llu", &number, &period_us) == 2)
		lower_cpus(limits, number, period_us);
	if (read_value(directory, "memory.max", value) && sscanf(value, "%llu", &number) == 1)
		lower(&limits->memory_bytes, number);
}

static void read_v1(const char *directory, struct pipit_cgroup_limits *limits)
{
	char value[VALUE_BYTES];
	long long quota_us, period_us;
	unsigned long long bytes;
	/* no quota is -1 */
	if (read_value(directory, "cpu.cfs_quota_us", value) && sscanf(value, "%lld", &quota_us) == 1 && quota_us > 0 &&
	    read_value(directory, "cpu.cfs_period_us", value) && sscanf(value, "%lld", &period_us) == 1 &&
	    period_us > 0)
		lower_cpus(limits, (unsigned long long)quota_us, (unsigned long long)period_us);
	if (read_value(directory, "memory.limit_in_bytes", value) && sscanf(value, "%llu", &bytes) == 1 &&
	    bytes < V1_MEMORY_UNLIMITED)
		lower(&limits->memory_bytes, bytes);
}

/* In each directory from `path`, below the `root_length` bytes of the root, up to the root. */
static void read_upwards(char *path, size_t root_length, bool is_v2, struct pipit_cgroup_limits *limits)
{
	char *slash;
	for (;;) {
		if (is_v2)
			read_v2(path, limits);
		else
			read_v1(path, limits);
		slash = strrchr(path + root_length, '/');
		if (slash == NULL)
			return;
		*slash = '\0';
	}
}

/* "0::/GROUP" of v2, "4:cpu,cpuacct:/GROUP" of v1 */
static void read_line(char *line, const char *mount, struct pipit_cgroup_limits *limits)
{
	char path[PATH_MAX], *controllers = strchr(line, ':');
	char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
	bool is_v2;
	int root_length;
	if (group == NULL)
		return;
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	is_v2 = *++controllers == '\0';
	root_length = snprintf(path, sizeof(path), "%s%s%s", mount, is_v2 ? "" : "/", controllers);
	if ((size_t)root_length + strlen(group) >= sizeof(path))
		return;
	strcpy(path + root_length, group);
	read_upwards(path, (size_t)root_length, is_v2, limits);
}

struct pipit_cgroup_limits pipit_cgroup_read(const char *self, const char *mount)
{
	struct pipit_cgroup_limits limits = { 0, 0 };
	FILE *file = fopen(self, "re");
	char *line = NULL;
	size_t size = 0;
	while (file != NULL && getline(&line, &size, file) > 0)
		read_line(line, mount, &limits);
	free(line);
	if (file != NULL)
		fclose(file);
	return limits;
}

struct pipit_cgroup_limits pipit_cgroup_limits(void)
{
	return pipit_cgroup_read("/proc/self/cgroup", "/sys/fs/cgroup");
}
