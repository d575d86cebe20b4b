/* SPDX-License-Identifier: MIT */
/*
 * Replaces a file atomically and durably: after a crash, NAME holds the old or the new content.
 *
 * NAME.previous: the previous content; NAME.lock: against other processes; NAME.new: during a write. Not thread-safe.
 */
#ifndef PIPIT_ATOMIC_FILE_H
#define PIPIT_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_atomic_file;

/*
 * Locks. The directory must exist. Follows a symbolic link once, here. Removes and logs what an interrupted write left.
 */
int pipit_atomic_file_open(const char *name, struct pipit_atomic_file **file, char *error, size_t size);

/* If opening has made it. The next write makes it again. */
void pipit_atomic_file_remove_new_lock(struct pipit_atomic_file *file);

void pipit_atomic_file_free(struct pipit_atomic_file *file);

const char *pipit_atomic_file_name(const struct pipit_atomic_file *file);

/* With a NUL. -ENOENT; -EFBIG: above max_bytes; others. */
int pipit_atomic_file_read(struct pipit_atomic_file *file, size_t max_bytes, char **bytes, size_t *length);

void pipit_atomic_file_accept(struct pipit_atomic_file *file);

/*
 * 0: durable. -ESTALE: the path leads to another directory now; -EBUSY: the file is a mount point, or another process
 * has taken the lock. On failure the old content is kept, unless the log says that it could not be restored. */
int pipit_atomic_file_write(struct pipit_atomic_file *file, const char *bytes, size_t length);

/* Why a write failed. Lives as long as the file, or as strerror(). */
const char *pipit_atomic_file_explain(const struct pipit_atomic_file *file, int error);

/* NAME becomes NAME.broken, NAME.previous NAME. -ENOENT: no NAME.previous. */
int pipit_atomic_file_restore(struct pipit_atomic_file *file);

/* Since the last accept or write. */
bool pipit_atomic_file_was_edited(const struct pipit_atomic_file *file);

#endif
