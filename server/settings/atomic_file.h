/* SPDX-License-Identifier: MIT */
/*
 * A file whose content is replaced whole or not at all, and is on the disk when that is reported.
 *
 * Beside NAME there are NAME.previous, the content before, NAME.lock, which keeps other processes out, and while it is
 * replaced NAME.new. Whatever moment the process or the machine ends at, NAME holds the old or the new content.
 *
 * One thread at a time; only the file is shared with others.
 */
#ifndef PIPIT_ATOMIC_FILE_H
#define PIPIT_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_atomic_file;

/*
 * Take hold of the file, which need not be there yet; its directory must. A symbolic link is followed once, here. What an
 * interrupted change left is cleared away, and said in the log. 0 and *durable; a negative errno value, and one line in `error` that says
 * what is wrong and what would be right.
 */
int pipit_atomic_file_open(const char *name, struct pipit_atomic_file **durable, char *error, size_t size);

/* NULL is harmless. */
void pipit_atomic_file_free(struct pipit_atomic_file *durable);

/* As it was given, for messages. */
const char *pipit_atomic_file_name(const struct pipit_atomic_file *durable);

/* All of it, with a NUL behind it that does not count; from malloc(). 0; -ENOENT; -EFBIG more than max_bytes; -ENOMEM or another errno value. */
int pipit_atomic_file_read(struct pipit_atomic_file *durable, size_t max_bytes, char **bytes, size_t *length);

/* What was read last is taken: from now on it counts as what the file holds. */
void pipit_atomic_file_accept(struct pipit_atomic_file *durable);

/*
 * Replace it. 0: the new content is durable. A negative errno value: the old content stays. Should that fail too, which takes two
 * failures of the file system in a row, there is a line in the log.
 */
int pipit_atomic_file_write(struct pipit_atomic_file *durable, const char *bytes, size_t length);

/* Put what is there aside as NAME.broken, and the content before in its place. 0; -ENOENT there is none; another errno value. */
int pipit_atomic_file_restore(struct pipit_atomic_file *durable);

/* Somebody else has written to it since it was last accepted or written here. */
bool pipit_atomic_file_was_edited(const struct pipit_atomic_file *durable);

#endif
