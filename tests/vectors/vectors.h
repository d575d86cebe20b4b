/* SPDX-License-Identifier: MIT */
/* Loads the vectors of a folder. README.md describes a vector. PIPIT_VECTORS is the folder of this file. */
#ifndef PIPIT_TESTS_VECTORS_H
#define PIPIT_TESTS_VECTORS_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits for all vectors. */
#define VECTORS_HEAD_BYTES 1024
#define VECTORS_TARGET_BYTES 200
#define VECTORS_FIELDS 10
#define VECTORS_FIELD_BYTES 300
#define VECTORS_BODY_BYTES 500

/* With fewer, the folder is the wrong one. */
#define VECTORS_AT_LEAST 250

#define VECTORS_MAX 1024
#define VECTOR_BYTES_MAX 2048

struct vector {
	char name[128]; /* name of the file, without ".http" */
	int status;     /* at the beginning of the name */
	size_t length;
	char bytes[VECTOR_BYTES_MAX];
};

struct vectors {
	size_t count;
	struct vector all[VECTORS_MAX]; /* sorted by name */
};

static inline int vectors_compare(const void *a, const void *b)
{
	return strcmp(((const struct vector *)a)->name, ((const struct vector *)b)->name);
}

/* Runs before any test, so that no test can fail instead. */
static inline void vectors_give_up(const char *path, const char *why)
{
	fprintf(stderr, "%s: %s\n", path, why);
	exit(EXIT_FAILURE);
}

static inline void vectors_read(struct vector *vector, const char *folder, const char *file)
{
	char path[1024];
	FILE *in;

	snprintf(path, sizeof path, "%s/%s", folder, file);
	snprintf(vector->name, sizeof vector->name, "%.*s", (int)(strlen(file) - strlen(".http")), file);
	vector->status = atoi(file);
	in = fopen(path, "rb");
	if (!in)
		vectors_give_up(path, "cannot be read");
	vector->length = fread(vector->bytes, 1, sizeof vector->bytes, in);
	fclose(in);
	if (vector->length == 0 || vector->length == sizeof vector->bytes)
		vectors_give_up(path, "is empty, or too long for a vector");
	if (vector->status < 200 || vector->status > 599 || file[3] != '-')
		vectors_give_up(path, "is not named STATUS-idea.http");
}

/* kind: "accept" or "reject". Ends the process on an error. */
static inline void vectors_load(struct vectors *vectors, const char *kind)
{
	char folder[512];
	const struct dirent *entry;
	DIR *directory;

	snprintf(folder, sizeof folder, "%s/guard/%s", PIPIT_VECTORS, kind);
	directory = opendir(folder);
	if (!directory)
		vectors_give_up(folder, "cannot be read");
	while ((entry = readdir(directory))) {
		const char *end = strrchr(entry->d_name, '.');
		if (!end || strcmp(end, ".http") != 0)
			continue;
		if (vectors->count == VECTORS_MAX)
			vectors_give_up(folder, "holds more vectors than there is room for");
		vectors_read(&vectors->all[vectors->count++], folder, entry->d_name);
	}
	closedir(directory);
	qsort(vectors->all, vectors->count, sizeof vectors->all[0], vectors_compare);
}

#endif
