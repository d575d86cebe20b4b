/* SPDX-License-Identifier: MIT */
/*
 * Shared by all fuzzing targets: the function that libFuzzer (or replay.c) calls with one input, a check, and bytes whose
 * bounds AddressSanitizer knows.
 */
#ifndef PIPIT_TESTS_FUZZ_H
#define PIPIT_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs one input. Returns 0; a failed check ends the process, as a crash does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checks a property of the code under test. Not assert(), which a release build would leave out. */
#define REQUIRE(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* A copy that ends exactly where the bytes end, so that reading further is detected; never NULL. The caller frees it. */
char *fuzz_copy(const void *bytes, size_t length);

/* The same with a NUL after it. */
char *fuzz_copy_text(const void *bytes, size_t length);

/* Growing bytes; zero-initialise, free `data`, which is not NULL after the first append, even of nothing. */
struct fuzz_bytes {
	char *data;
	size_t length, capacity;
};

void fuzz_append(struct fuzz_bytes *bytes, const void *data, size_t length);

/* A folder of this process below /tmp, removed when the process ends. */
const char *fuzz_folder(void);

/* Creates a file, and its folders, in fuzz_folder(): `length` bytes of a pattern without local repetition. */
void fuzz_make_file(const char *name, size_t length);

#endif
