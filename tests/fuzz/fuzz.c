/* SPDX-License-Identifier: MIT */
/* See fuzz.h. */
#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, condition);
	abort();
}

char *fuzz_copy(const void *bytes, size_t length)
{
	char *copy = malloc(length);
	REQUIRE(copy || length == 0);
	if (length)
		memcpy(copy, bytes, length);
	return copy ? copy : calloc(1, 1);
}

char *fuzz_copy_text(const void *bytes, size_t length)
{
	char *copy = malloc(length + 1);
	REQUIRE(copy);
	if (length)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

void fuzz_append(struct fuzz_bytes *bytes, const void *data, size_t length)
{
	if (!bytes->data || bytes->length + length > bytes->capacity) {
		bytes->capacity = 2 * (bytes->length + length) + 256;
		bytes->data = realloc(bytes->data, bytes->capacity);
		REQUIRE(bytes->data);
	}
	if (length)
		memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
}

/* ---------------------------------------------------------------- files */

static char folder[] = "/tmp/pipit-fuzz-XXXXXX";
static bool has_folder;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
	if (!has_folder) {
		REQUIRE(mkdtemp(folder));
		has_folder = true;
		atexit(remove_folder);
	}
	return folder;
}

static void make_folders_of(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

void fuzz_make_file(const char *name, size_t length)
{
	char path[256];
	FILE *file;
	snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
	make_folders_of(path);
	file = fopen(path, "we");
	REQUIRE(file);
	for (size_t i = 0; i < length; i++)
		putc((int)('a' + (i * 7 + (i >> 8)) % 26), file);
	REQUIRE(fclose(file) == 0);
}
