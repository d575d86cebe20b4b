/* SPDX-License-Identifier: MIT */
/*
 * Replaces the content of a file atomically and durably: after a crash, NAME holds the old or the new content.
 *
 * NAME.previous: the previous content; NAME.lock: against other processes; NAME.new: during a write. Not thread-safe.
 */
#ifndef PIPIT_ATOMIC_FILE_H
#define PIPIT_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_atomic_file;

/*
 * Also locks. The directory must exist. Follows a symbolic link once, here. Removes and logs what an interrupted write
 * left. 0 and *file; a negative errno value, and in `error` what is wrong and what would be right.
 */
int pipit_atomic_file_open(const char *name, struct pipit_atomic_file **file, char *error, size_t size);

void pipit_atomic_file_free(struct pipit_atomic_file *file);

const char *pipit_atomic_file_name(const struct pipit_atomic_file *file);

/* From malloc(), with a NUL. 0; -ENOENT; -EFBIG: above max_bytes; another negative errno value. */
int pipit_atomic_file_read(struct pipit_atomic_file *file, size_t max_bytes, char **bytes, size_t *length);

void pipit_atomic_file_accept(struct pipit_atomic_file *file);

/* 0: durable. A negative errno value: the old content is kept, unless the log says that it could not be restored. */
int pipit_atomic_file_write(struct pipit_atomic_file *file, const char *bytes, size_t length);

/* NAME becomes NAME.broken, NAME.previous NAME. 0; -ENOENT: no NAME.previous; another negative errno value. */
int pipit_atomic_file_restore(struct pipit_atomic_file *file);

/* Since the last accept or write. */
bool pipit_atomic_file_was_edited(const struct pipit_atomic_file *file);

#endif
