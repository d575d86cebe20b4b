/* SPDX-License-Identifier: MIT */
/*
 * A file whose content is replaced atomically and durably.
 *
 * Beside NAME there are NAME.previous (the previous content), NAME.lock (locked against other processes) and, during a write, NAME.new.
 * After a crash at any moment, NAME holds the old or the new content.
 *
 * Not thread-safe.
 */
#ifndef PIPIT_ATOMIC_FILE_H
#define PIPIT_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_atomic_file;

/*
 * Open and lock the file. The file need not exist; its directory must. A symbolic link is followed once, here. What an interrupted
 * write left is removed, with a line in the log. Returns 0 and *file; or a negative errno value, and in `error` one line that says what is
 * wrong and what would be right.
 */
int pipit_atomic_file_open(const char *name, struct pipit_atomic_file **file, char *error, size_t size);

/* NULL is harmless. */
void pipit_atomic_file_free(struct pipit_atomic_file *file);

/* The name as given, for messages. */
const char *pipit_atomic_file_name(const struct pipit_atomic_file *file);

/* The content, from malloc(), with a NUL after *length bytes. 0; -ENOENT; -EFBIG: above max_bytes; another negative errno value. */
int pipit_atomic_file_read(struct pipit_atomic_file *file, size_t max_bytes, char **bytes, size_t *length);

/* What was read last is in use: pipit_atomic_file_was_edited() compares with it. */
void pipit_atomic_file_accept(struct pipit_atomic_file *file);

/* 0: the new content is durable. A negative errno value: the old content is kept, unless the log says that it could not be restored. */
int pipit_atomic_file_write(struct pipit_atomic_file *file, const char *bytes, size_t length);

/* Rename the file to NAME.broken, and NAME.previous to NAME. 0; -ENOENT: no NAME.previous; another negative errno value. */
int pipit_atomic_file_restore(struct pipit_atomic_file *file);

/* By another program, since the last accept or write. */
bool pipit_atomic_file_was_edited(const struct pipit_atomic_file *file);

#endif
