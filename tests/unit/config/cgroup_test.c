/* SPDX-License-Identifier: MIT */
/* Trees of files as the kernel has them. */
#include "config/cgroup.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

static char directory[64], self[96];

static void set_up(void)
{
	strcpy(directory, "/tmp/pipit-cgroup-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(self, sizeof(self), "%s/self", directory);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status, (void)kind, (void)place;
	return remove(path);
}

static void tear_down(void)
{
	ck_assert_int_eq(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* With the directories above it. */
static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	for (char *slash = path + strlen(directory) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void assert_limits(uint64_t cpus, uint64_t memory_bytes)
{
	struct pipit_cgroup_limits limits = pipit_cgroup_read(self, directory);
	ck_assert_uint_eq(limits.cpus, cpus);
	ck_assert_uint_eq(limits.memory_bytes, memory_bytes);
}

START_TEST(has_no_limits_without_the_files)
{
	assert_limits(0, 0);
	write_file("self", "");
	assert_limits(0, 0);
	write_file("self", "0::/group\n");
	assert_limits(0, 0);
	write_file("self", "nonsense\n1:\n::\n");
	assert_limits(0, 0);
}
END_TEST

static const struct {
	const char *text;
	uint64_t cpus;
} quotas[] = {
	{ "max 100000\n", 0 },
	{ "50000 100000\n", 1 },
	{ "100000 100000\n", 1 },
	{ "100001 100000\n", 2 },
	{ "150000 100000\n", 2 },
	{ "200000 100000\n", 2 },
	{ "1000 1000000\n", 1 },
	{ "0 100000\n", 0 },
	{ "100000 0\n", 0 },
	{ "100000\n", 0 },
	{ "\n", 0 },
	{ "", 0 },
};

START_TEST(rounds_the_quota_of_v2_up)
{
	write_file("self", "0::/\n");
	write_file("cpu.max", quotas[_i].text);
	assert_limits(quotas[_i].cpus, 0);
}
END_TEST

START_TEST(reads_the_memory_limit_of_v2)
{
	write_file("self", "0::/\n");
	write_file("memory.max", "max\n");
	assert_limits(0, 0);
	write_file("memory.max", "33554432\n");
	assert_limits(0, 33554432);
}
END_TEST

/* A limit of a group holds for the groups in it. */
START_TEST(takes_the_lowest_limit_up_to_the_root)
{
	write_file("self", "0::/pods/pod1/pipit\n");
	write_file("pods/pod1/pipit/cpu.max", "400000 100000\n");
	write_file("pods/pod1/pipit/memory.max", "1000\n");
	write_file("pods/pod1/cpu.max", "max 100000\n");
	write_file("pods/pod1/memory.max", "3000\n");
	write_file("pods/cpu.max", "250000 100000\n");
	write_file("pods/memory.max", "max\n");
	write_file("pods/other/cpu.max", "1000 100000\n");
	assert_limits(3, 1000);
	write_file("cpu.max", "100000 100000\n");
	assert_limits(1, 1000);
}
END_TEST

/* A container sees its own group as the root, but may read the name that the group has outside. */
START_TEST(reads_the_root_when_the_group_is_not_mounted)
{
	write_file("self", "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n0::/../outside\n");
	write_file("memory/memory.limit_in_bytes", "50331648\n");
	write_file("cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
	write_file("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	assert_limits(1, 50331648);
}
END_TEST

START_TEST(reads_the_limits_of_v1)
{
	write_file("self", "9:name=systemd:/\n4:memory:/a\n1:cpu:/a\n0::/\n");
	write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
	write_file("cpu/cpu.cfs_quota_us", "-1\n");
	write_file("cpu/cpu.cfs_period_us", "100000\n");
	assert_limits(0, 0);
	write_file("memory/a/memory.limit_in_bytes", "1048576\n");
	write_file("cpu/a/cpu.cfs_quota_us", "350000\n");
	assert_limits(0, 1048576);
	write_file("cpu/a/cpu.cfs_period_us", "100000\n");
	assert_limits(4, 1048576);
}
END_TEST

START_TEST(skips_names_that_are_too_long)
{
	static char line[2 * PATH_MAX] = "0::/";
	memset(line + 4, 'a', sizeof(line) - 5);
	write_file("self", line);
	write_file("cpu.max", "100000 100000\n");
	assert_limits(0, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgroup");
	TCase *tests = tcase_create("limits");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, has_no_limits_without_the_files);
	tcase_add_loop_test(tests, rounds_the_quota_of_v2_up, 0, sizeof(quotas) / sizeof(quotas[0]));
	tcase_add_test(tests, reads_the_memory_limit_of_v2);
	tcase_add_test(tests, takes_the_lowest_limit_up_to_the_root);
	tcase_add_test(tests, reads_the_root_when_the_group_is_not_mounted);
	tcase_add_test(tests, reads_the_limits_of_v1);
	tcase_add_test(tests, skips_names_that_are_too_long);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
