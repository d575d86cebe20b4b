/* SPDX-License-Identifier: MIT */
/*
 * Opens regular files by path below a root. No dotfiles, except below /.well-known (RFC 8615).
 *
 * Paths are percent-decoded once and lose dot segments (RFC 3986 §5.2.4). Names without symbolic links are opened by
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), or without it (ENOSYS, EPERM in a sandbox) segment by segment with
 * O_NOFOLLOW. Links are resolved first, and lead where they lead if that is inside.
 *
 * No descriptor of the root is kept: it may be replaced, or unmounted.
 */
#ifndef PIPIT_FILES_H
#define PIPIT_FILES_H

#include "base/slice.h"
#include "files/file_status.h"
#include "files/media_types.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pipit_files;

/* -ENOTDIR: no directory. A relative path is made absolute. */
int pipit_files_open_root(const char *root, struct pipit_files **files);
void pipit_files_close_root(struct pipit_files *files);

/* Overrides built-in types; borrowed while the root is open. Before any file is opened. */
void pipit_files_set_media(struct pipit_files *files, const struct pipit_media_types *media);

/* For tests: no openat2. */
void pipit_files_set_walking(struct pipit_files *files, bool walking);

/* Whether a file of the system, which need not exist yet, lies below the root. False when either cannot be resolved. */
bool pipit_files_contains(const char *root, const char *file);

struct pipit_files_version {
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct pipit_file_time modified, changed; /* ctime */
};

struct pipit_file {
	int fd;
	uint64_t size;
	int64_t modified; /* seconds */
	const char *content_type;
	struct pipit_files_version version;
	bool is_index;
	bool is_gzip; /* its content is coded */
};

enum pipit_files_result {
	PIPIT_FILES_FOUND,
	PIPIT_FILES_REDIRECT, /* add a slash */
	PIPIT_FILES_BAD_PATH, /* 400: NUL, bad encoding, above the root */
	PIPIT_FILES_NOT_FOUND, /* 404: also dotfiles, links out of the root, devices, FIFOs, directories without index.html */
	PIPIT_FILES_FORBIDDEN,  /* 403 */
	PIPIT_FILES_UNAVAILABLE /* 503: no descriptor or memory */
};

/* path: percent-encoded, begins with '/', without query. A directory means its index.html. */
enum pipit_files_result pipit_files_open(
    const struct pipit_files *files, struct pipit_slice path, struct pipit_file *file);

/*
 * "a/b.html" for "/a/./%62.html". BAD_PATH or NOT_FOUND when no file can have the name. Does not read the file system.
 */
enum pipit_files_result pipit_files_name(struct pipit_slice path, char name[PATH_MAX]);

/* As pipit_files_open(). The caller owns *fd. */
enum pipit_files_result pipit_files_open_directory(const struct pipit_files *files, struct pipit_slice path, int *fd);

/* Whether the path leads to this version: one stat(). Without the check that it is inside. */
bool pipit_files_has_version(
    const struct pipit_files *files, struct pipit_slice path, const struct pipit_files_version *version);

/*
 * Of what workers have seen below the root; thread-safe. A worker that has found something new makes the next one
 * before its reply, and gets the last. A version that was checked in this generation is not older than what any client
 * has seen.
 */
unsigned pipit_files_generation(const struct pipit_files *files);
unsigned pipit_files_next_generation(struct pipit_files *files);

/* Of a file or directory that is served; name: not encoded, below the root. Follows links. */
bool pipit_files_read_status(const struct pipit_files *files, const char *name, struct pipit_file_status *status);

bool pipit_files_read_version(int fd, struct pipit_files_version *version);
bool pipit_files_is_same_version(const struct pipit_files_version *one, const struct pipit_files_version *other);

#endif
