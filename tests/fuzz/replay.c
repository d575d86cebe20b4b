/* SPDX-License-Identifier: MIT */
/*
 * Runs a target on inputs from files, without libFuzzer: earlier findings are tried again in every run of the tests, by every
 * compiler and sanitizer. Each argument is a file or a folder of files; a missing folder has none. The name of an input is
 * printed before it is tried, so that the last one is the one that failed.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count;

static void run_file(const char *name)
{
	FILE *file = fopen(name, "re");
	struct fuzz_bytes input = { 0 };
	char piece[4096];
	char *exact;
	size_t length;

	if (!file) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		exit(EXIT_FAILURE);
	}
	while ((length = fread(piece, 1, sizeof piece, file)) > 0)
		fuzz_append(&input, piece, length);
	fclose(file);
	puts(name);
	fflush(stdout);
	exact = fuzz_copy(input.data, input.length);
	LLVMFuzzerTestOneInput((const uint8_t *)exact, input.length);
	free(exact);
	free(input.data);
	count++;
}

/* Sorted, so that all runs are alike. Hidden files keep empty folders in the repository. */
static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run(const char *name)
{
	struct dirent **entries;
	int total = scandir(name, &entries, is_shown, alphasort);
	if (total < 0 && errno == ENOENT)
		return;
	if (total < 0) {
		run_file(name);
		return;
	}
	for (int i = 0; i < total; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", name, entries[i]->d_name);
		run_file(path);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("%zu inputs\n", count);
	return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
