/* SPDX-License-Identifier: MIT */
/*
 * What all fuzzing targets share: the function that libFuzzer (or replay.c) calls with one input, a way to say that something
 * is wrong, and bytes whose bounds AddressSanitizer knows.
 */
#ifndef PIPIT_TESTS_FUZZ_H
#define PIPIT_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One input. Always 0; a broken promise ends the process, as a crash does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test. Not assert(), which a release build would leave out. */
#define REQUIRE(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* A copy that ends exactly where the bytes end, so that reading further is noticed; never NULL. To be freed. */
char *fuzz_copy(const void *bytes, size_t length);

/* The same with a NUL behind it. */
char *fuzz_copy_text(const void *bytes, size_t length);

/* Bytes that grow; zero-initialise, free `data`, which is not NULL once something was appended, be it nothing. */
struct fuzz_bytes {
	char *data;
	size_t length, capacity;
};

void fuzz_append(struct fuzz_bytes *bytes, const void *data, size_t length);

/* A folder of its own for this process, below /tmp, removed when the process ends; always the same one. */
const char *fuzz_folder(void);

/* A file (its folders are made) in fuzz_folder(), `length` bytes of a pattern in which no two neighbourhoods are alike. */
void fuzz_make_file(const char *name, size_t length);

#endif
