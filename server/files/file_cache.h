/* SPDX-License-Identifier: MIT */
/*
 * Files that a worker has opened lately, so that the next request for one needs no system call to find it: a small one is
 * remembered with its bytes, a larger one with its open descriptor.
 *
 * What is remembered is at most a second old: then the path is opened anew by pipit_files_open(), with all that it refuses, and
 * what is found there counts. That a file is absent is remembered only of neighbours of one that is there. What nobody has asked for during ten
 * seconds is forgotten, and so is what was used least recently when room runs out (PIPIT_FILE_CACHE_… below).
 *
 * One per worker. now_ms is of a monotonic clock, in milliseconds.
 */
#ifndef PIPIT_FILE_CACHE_H
#define PIPIT_FILE_CACHE_H

#include "base/shared_fd.h"
#include "files/files.h"
#include "http/response_head.h"

/* Remembered at most, by one worker. */
#define PIPIT_FILE_CACHE_FILES_MAX 256
#define PIPIT_FILE_CACHE_DESCRIPTORS_MAX 64
#define PIPIT_FILE_CACHE_BYTES_MAX (1024 * 1024) /* of content and paths, and what it takes to remember them */
/* A file up to this size is remembered with its bytes, and needs no descriptor. */
#define PIPIT_FILE_CACHE_SMALL_BYTES (32 * 1024)
/* Only a path up to this length is remembered. */
#define PIPIT_FILE_CACHE_PATH_MAX 255

/* '"', time of modification, size and a digest of the rest of the version in hex, '"', and its NUL. */
#define PIPIT_FILE_CACHE_ETAG_SIZE 56

struct pipit_file_cache; /* the files of one worker */

struct pipit_file_cache_file {
	uint64_t size;                      /* bytes */
	time_t modified;                    /* seconds */
	const char *content_type;           /* see media_types.h */
	bool is_compressible;               /* content of that type is */
	const char *content;                /* its bytes, until the next call; NULL: they are in `descriptor` */
	struct pipit_shared_fd *descriptor; /* held for the caller; NULL when there is `content` */
	struct pipit_files_version version;
	bool is_index;   /* it is index.html of the path, which is a directory's */
	unsigned absent; /* bits that pipit_file_cache_note_absent() has set since the path was looked at */
	size_t etag_length;
	char etag
	    [PIPIT_FILE_CACHE_ETAG_SIZE]; /* weak, W/"…", while the file may change again within a tick of its clock */
	char date[PIPIT_RESPONSE_HEAD_DATE_SIZE]; /* `modified` as Last-Modified tells it */
};

/* NULL when memory is short. */
struct pipit_file_cache *pipit_file_cache_new(void);

/* Replies under way keep their descriptors. NULL is harmless. */
void pipit_file_cache_free(struct pipit_file_cache *opened);

/*
 * As pipit_files_open(), but for the file that was found less than a second ago. Descriptors of files that are remembered make
 * room when there is none for another. *file is set when the result is FOUND.
 */
enum pipit_files_result pipit_file_cache_find(struct pipit_file_cache *opened, const struct pipit_files *files,
    struct pipit_slice path, uint64_t now_ms, struct pipit_file_cache_file *file);

/* Whether the tag is strong: two states of the file never had the same one (RFC 9110 §8.8.1). */
static inline bool pipit_file_cache_is_settled(const struct pipit_file_cache_file *file)
{
	return file->etag[0] == '"';
}

/*
 * Files that were looked for beside this one and are not there, as bits of the caller's: told with the file until its path is
 * looked at again, within a second.
 */
void pipit_file_cache_note_absent(
    struct pipit_file_cache *opened, const struct pipit_files *files, struct pipit_slice path, unsigned absent);

/* Forget what nobody has asked for in a while: a few times a second. */
void pipit_file_cache_sweep(struct pipit_file_cache *opened, uint64_t now_ms);

/* The process is short of descriptors: forget the files that have one. False when there are none. */
bool pipit_file_cache_give_up_descriptors(struct pipit_file_cache *opened);

/* What is remembered now. */
size_t pipit_file_cache_file_count(const struct pipit_file_cache *opened);
size_t pipit_file_cache_descriptor_count(const struct pipit_file_cache *opened);
size_t pipit_file_cache_byte_count(const struct pipit_file_cache *opened);

#endif
