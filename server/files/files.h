/* SPDX-License-Identifier: MIT */
/*
 * Opens a file by its path below a root: regular files only, no dotfiles, nothing outside the root.
 *
 * A path is percent-decoded once; NUL, backslash, paths above the root and segments that begin with a dot are refused;
 * dot segments are removed (RFC 3986 §5.2.4). The file is opened with openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS).
 * Without openat2 (ENOSYS, EPERM in a sandbox), each segment is opened with openat(O_NOFOLLOW), which refuses all
 * symbolic links.
 */
#ifndef PIPIT_FILES_H
#define PIPIT_FILES_H

#include "base/slice.h"
#include "http/media_types.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct pipit_files; /* an open directory */

/* 0 and *files, or a negative errno value (-ENOTDIR when `root` is not a directory). */
int pipit_files_open_root(const char *root, struct pipit_files **files);
void pipit_files_close_root(struct pipit_files *files);

/* Media types with priority over the built-in ones; borrowed until the root is closed. Before any file is opened. */
void pipit_files_set_media(struct pipit_files *files, const struct pipit_media_types *media);

/* For tests: do not use openat2. */
void pipit_files_set_walking(struct pipit_files *files, bool walking);

/* Equal versions are the same file in the same state, as far as the file system shows. */
struct pipit_files_version {
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct timespec modified, changed; /* st_mtim, st_ctim */
};

struct pipit_file {
	int fd;                   /* owned by the caller */
	uint64_t size;            /* bytes */
	time_t modified;          /* st_mtime, seconds */
	const char *content_type; /* by extension, see media_types.h */
	struct pipit_files_version version;
	bool is_index; /* the path is a directory, the file its index.html */
};

enum pipit_files_result {
	PIPIT_FILES_FOUND,
	PIPIT_FILES_REDIRECT, /* a directory with index.html, without the trailing slash */
	PIPIT_FILES_BAD_PATH, /* 400: NUL, backslash, bad encoding, above the root */
	PIPIT_FILES_NOT_FOUND, /* 404: also dotfiles, links out of the root, devices, FIFOs, directories without index.html */
	PIPIT_FILES_FORBIDDEN,  /* 403: not readable for this process */
	PIPIT_FILES_UNAVAILABLE /* 503: out of descriptors or memory */
};

/*
 * path: percent-encoded, begins with '/', without query. A directory (a path that ends in '/' or a dot segment) means
 * its index.html. Does not block on a FIFO.
 */
enum pipit_files_result pipit_files_open(
    const struct pipit_files *files, struct pipit_slice path, struct pipit_file *file);

/*
 * The name of the file below the root, "a/b.html" for "/a/./%62.html", with index.html for a directory. BAD_PATH or
 * NOT_FOUND when no file can have it. Does not read the file system.
 */
enum pipit_files_result pipit_files_name(struct pipit_slice path, char name[PATH_MAX]);

/*
 * Open a directory for a listing: FOUND and *fd, owned by the caller; REDIRECT without the trailing slash; otherwise as
 * pipit_files_open().
 */
enum pipit_files_result pipit_files_open_directory(const struct pipit_files *files, struct pipit_slice path, int *fd);

/* The current version of an open file; false when fstat() fails. */
bool pipit_files_read_version(int fd, struct pipit_files_version *version);
bool pipit_files_is_same_version(const struct pipit_files_version *one, const struct pipit_files_version *other);

#endif
