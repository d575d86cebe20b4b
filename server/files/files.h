/* SPDX-License-Identifier: MIT */
/*
 * From a path under a root to an open file: nothing outside of the root, no dotfiles, regular files only.
 *
 * Safety by construction: percent-decode once, refuse NUL and backslash, remove dot segments (RFC 3986 §5.2.4; climbing
 * above the root is refused), refuse segments that begin with a dot, then openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS).
 * Where the kernel or a sandbox has no openat2 (ENOSYS, EPERM), the path is walked segment by segment with
 * openat(O_NOFOLLOW), which also refuses symbolic links that would have stayed inside.
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

struct pipit_files; /* an open root */

/* 0 and *files, or a negative errno value (-ENOTDIR when `root` is no directory). */
int pipit_files_open_root(const char *root, struct pipit_files **files);
void pipit_files_close_root(struct pipit_files *files);

/* Media types that are asked before the built-in ones; kept, and outlives the root. Before anything is opened. */
void pipit_files_set_media(struct pipit_files *files, const struct pipit_media_types *media);

/* For tests: use the walk instead of openat2. */
void pipit_files_set_walking(struct pipit_files *files, bool walking);

/* Which state of which file: two that are equal are the same file, unchanged as far as the file system can tell. */
struct pipit_files_version {
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct timespec modified, changed; /* st_mtim, st_ctim */
};

struct pipit_file {
	int fd;                   /* the caller's to close */
	uint64_t size;            /* bytes */
	time_t modified;          /* st_mtime, seconds */
	const char *content_type; /* by the file name's ending, see media_types.h */
	struct pipit_files_version version;
	bool is_index; /* it is index.html, and the path that of its directory */
};

enum pipit_files_result {
	PIPIT_FILES_FOUND,
	PIPIT_FILES_REDIRECT, /* a directory that has an index.html was asked for without the trailing slash */
	PIPIT_FILES_BAD_PATH, /* 400: NUL, backslash, bad encoding, climbing above the root */
	PIPIT_FILES_NOT_FOUND, /* 404: also dotfiles, links that lead out, devices, FIFOs, directories without index.html */
	PIPIT_FILES_FORBIDDEN,  /* 403: there, but not readable for this process */
	PIPIT_FILES_UNAVAILABLE /* 503: out of descriptors or memory */
};

/*
 * path: percent-encoded, begins with '/', without query. A path that ends in '/' (or whose dot segments leave a directory)
 * serves index.html of that directory. Never blocks on a FIFO.
 */
enum pipit_files_result pipit_files_open(
    const struct pipit_files *files, struct pipit_slice path, struct pipit_file *file);

/*
 * The name below the root that such a path means, index.html included where it ends in '/': "a/b.html" for "/a/./%62.html".
 * BAD_PATH or NOT_FOUND when it cannot be one; what there is in the file system is not looked at.
 */
enum pipit_files_result pipit_files_name(struct pipit_slice path, char name[PATH_MAX]);

/* A directory to be listed: FOUND and *fd, the caller's to close; REDIRECT when the path lacks its trailing slash; or as above. */
enum pipit_files_result pipit_files_open_directory(const struct pipit_files *files, struct pipit_slice path, int *fd);

/* The version that a descriptor's file has now; false when the system does not say. */
bool pipit_files_read_version(int fd, struct pipit_files_version *version);
bool pipit_files_is_same_version(const struct pipit_files_version *one, const struct pipit_files_version *other);

#endif
