/* SPDX-License-Identifier: MIT */
/* Memory directly before an inaccessible page: an access one byte after it ends the test. */
#ifndef PIPIT_TESTS_GUARDED_H
#define PIPIT_TESTS_GUARDED_H

#include <check.h>
#include <string.h>
#include <sys/mman.h>

#define GUARDED_BYTES 32768

static char *guarded_end; /* the first forbidden byte */

/* Fixtures. */
static inline void guarded_set_up(void)
{
	char *pages = mmap(NULL, 2 * GUARDED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(pages, MAP_FAILED);
	guarded_end = pages + GUARDED_BYTES;
	ck_assert_int_eq(mprotect(guarded_end, GUARDED_BYTES, PROT_NONE), 0);
}

static inline void guarded_tear_down(void)
{
	munmap(guarded_end - GUARDED_BYTES, 2 * GUARDED_BYTES);
}

/* Exactly `length` bytes, valid until the next call of these functions. */
static inline char *guarded_room(size_t length)
{
	/* By if, because this runs a million times: every ck_assert() writes to a file, even if it holds. */
	if (length > GUARDED_BYTES)
		ck_abort_msg("%zu bytes are too many", length);
	return guarded_end - length;
}

static inline char *guarded_copy(const char *bytes, size_t length)
{
	return memcpy(guarded_room(length), bytes, length);
}

#endif
