/* SPDX-License-Identifier: MIT */
#include "files/gzip_cache.h"

#include "suite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pipit_gzip_cache *compressed;
static char content[PIPIT_GZIP_CACHE_FILE_MAX + 1];

static void set_up(void)
{
	compressed = pipit_gzip_cache_new();
	ck_assert_ptr_nonnull(compressed);
}

static void tear_down(void)
{
	pipit_gzip_cache_free(compressed);
}

static void fill(size_t length, unsigned seed, unsigned variety)
{
	for (size_t i = 0; i < length; i++) {
		seed = seed * 1664525u + 1013904223u;
		content[i] = (char)('a' + (seed >> 16) % variety);
	}
}

static struct pipit_files_version version_of(uint64_t inode, uint64_t size)
{
	return (struct pipit_files_version){ .inode = inode, .size = size };
}

START_TEST(output_decompresses_to_the_input)
{
	static const size_t sizes[] = { PIPIT_GZIP_CACHE_FILE_MIN, 5000, 100000, PIPIT_GZIP_CACHE_FILE_MAX };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct pipit_files_version version = version_of(i, sizes[i]);
		struct pipit_slice gzip;
		char *plain;
		fill(sizes[i], (unsigned)i, 8);
		ck_assert(pipit_gzip_cache_get(compressed, &version, content, -1, &gzip));
		ck_assert_uint_lt(gzip.length, sizes[i] * 9 / 10 + 1);
		plain = pipit_gzip_cache_decompress(gzip, sizes[i]);
		ck_assert_ptr_nonnull(plain);
		ck_assert_mem_eq(plain, content, sizes[i]);
		free(plain);
		ck_assert_ptr_null(pipit_gzip_cache_decompress(gzip, sizes[i] - 1));
		ck_assert_ptr_null(pipit_gzip_cache_decompress(gzip, sizes[i] + 1));
		gzip.length--;
		ck_assert_ptr_null(pipit_gzip_cache_decompress(gzip, sizes[i]));
	}
}
END_TEST

START_TEST(skips_files_that_hardly_become_smaller)
{
	struct pipit_files_version small = version_of(1, PIPIT_GZIP_CACHE_FILE_MIN - 1),
				   large = version_of(2, PIPIT_GZIP_CACHE_FILE_MAX + 1), dense = version_of(3, 50000);
	struct pipit_slice gzip;
	fill(sizeof content, 1, 2);
	ck_assert(!pipit_gzip_cache_get(compressed, &small, content, -1, &gzip));
	ck_assert(!pipit_gzip_cache_get(compressed, &large, content, -1, &gzip));
	fill(sizeof content, 1, 256);
	ck_assert(!pipit_gzip_cache_get(compressed, &dense, content, -1, &gzip));
	/* not compressed again */
	fill(sizeof content, 1, 2);
	ck_assert(!pipit_gzip_cache_get(compressed, &dense, content, -1, &gzip));
	ck_assert_uint_eq(pipit_gzip_cache_byte_count(compressed), 0);
}
END_TEST

START_TEST(keeps_versions_apart)
{
	struct pipit_files_version one = version_of(1, 5000), other = version_of(1, 5000);
	struct pipit_slice gzip;
	char *plain;
	other.modified.nanosecond = 1;
	fill(5000, 1, 4);
	ck_assert(pipit_gzip_cache_get(compressed, &one, content, -1, &gzip));
	fill(5000, 2, 4);
	ck_assert(pipit_gzip_cache_get(compressed, &other, content, -1, &gzip));
	plain = pipit_gzip_cache_decompress(gzip, 5000);
	ck_assert_mem_eq(plain, content, 5000);
	free(plain);
	ck_assert(pipit_gzip_cache_get(compressed, &one, content, -1, &gzip));
	fill(5000, 1, 4);
	plain = pipit_gzip_cache_decompress(gzip, 5000);
	ck_assert_mem_eq(plain, content, 5000);
	free(plain);
}
END_TEST

START_TEST(keeps_no_more_than_the_limits)
{
	struct pipit_slice gzip;
	for (uint64_t i = 0; i < 300; i++) {
		struct pipit_files_version version = version_of(i, 40000 + i);
		fill((size_t)version.size, (unsigned)i, 100);
		/* false when a quarter of the second is spent */
		pipit_gzip_cache_get(compressed, &version, content, -1, &gzip);
		ck_assert_uint_le(pipit_gzip_cache_byte_count(compressed), PIPIT_GZIP_CACHE_BYTES_MAX);
	}
	ck_assert_uint_gt(pipit_gzip_cache_byte_count(compressed), 0);
}
END_TEST

/* Whether the compressed bytes of an earlier call are found; otherwise these are compressed now. */
static bool is_cached(uint64_t inode)
{
	struct pipit_files_version version = version_of(inode, PIPIT_GZIP_CACHE_FILE_MIN);
	struct pipit_slice gzip;
	char *plain;
	bool is_earlier;
	memset(content, 'n', PIPIT_GZIP_CACHE_FILE_MIN);
	ck_assert(pipit_gzip_cache_get(compressed, &version, content, -1, &gzip));
	plain = pipit_gzip_cache_decompress(gzip, PIPIT_GZIP_CACHE_FILE_MIN);
	ck_assert_ptr_nonnull(plain);
	is_earlier = plain[0] == 'e';
	free(plain);
	return is_earlier;
}

START_TEST(keeps_as_many_files_as_the_limit)
{
	struct pipit_slice gzip;
	for (uint64_t i = 0; i < PIPIT_GZIP_CACHE_FILES_MAX; i++) {
		struct pipit_files_version version = version_of(i, PIPIT_GZIP_CACHE_FILE_MIN);
		memset(content, 'e', PIPIT_GZIP_CACHE_FILE_MIN);
		ck_assert(pipit_gzip_cache_get(compressed, &version, content, -1, &gzip));
	}
	/* From the oldest on: each becomes the newest. */
	for (uint64_t i = 0; i < PIPIT_GZIP_CACHE_FILES_MAX; i++)
		ck_assert(is_cached(i));
	ck_assert(!is_cached(PIPIT_GZIP_CACHE_FILES_MAX));
	ck_assert(is_cached(1));
	ck_assert(!is_cached(0));
}
END_TEST

START_TEST(compresses_a_file_unless_it_has_changed)
{
	char name[] = "/tmp/compressed_test.XXXXXX";
	struct pipit_files_version version;
	struct pipit_slice gzip;
	char *plain;
	int fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	unlink(name);
	fill(60000, 7, 6);
	ck_assert_int_eq(write(fd, content, 60000), 60000);
	ck_assert(pipit_files_read_version(fd, &version));
	ck_assert(pipit_gzip_cache_get(compressed, &version, NULL, fd, &gzip));
	plain = pipit_gzip_cache_decompress(gzip, 60000);
	ck_assert_mem_eq(plain, content, 60000);
	free(plain);
	version.size--;
	ck_assert(!pipit_gzip_cache_get(compressed, &version, NULL, fd, &gzip));
	version.size += 2;
	ck_assert(!pipit_gzip_cache_get(compressed, &version, NULL, fd, &gzip));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compressed");
	TCase *tests = tcase_create("compressed");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, output_decompresses_to_the_input);
	tcase_add_test(tests, skips_files_that_hardly_become_smaller);
	tcase_add_test(tests, keeps_versions_apart);
	tcase_add_test(tests, keeps_no_more_than_the_limits);
	tcase_add_test(tests, keeps_as_many_files_as_the_limit);
	tcase_add_test(tests, compresses_a_file_unless_it_has_changed);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
