/* SPDX-License-Identifier: MIT */
/*
 * Cache of open files, one per worker. Entries are valid for one second, and evicted after ten without a request.
 * Absent files are not cached, except variants of a cached file.
 *
 * now_ms: monotonic clock, in milliseconds.
 */
#ifndef PIPIT_FILE_CACHE_H
#define PIPIT_FILE_CACHE_H

#include "base/shared_fd.h"
#include "files/files.h"
#include "http/response_head.h"

/* above these, the least recently used are evicted */
#define PIPIT_FILE_CACHE_FILES_MAX 256
#define PIPIT_FILE_CACHE_DESCRIPTORS_MAX 64
#define PIPIT_FILE_CACHE_BYTES_MAX (1024 * 1024) /* of content, paths and entries */
/* larger files have a descriptor */
#define PIPIT_FILE_CACHE_SMALL_BYTES (32 * 1024)
#define PIPIT_FILE_CACHE_PATH_MAX 255

/* time, size and digest in hex, quotes, W/ and NUL */
#define PIPIT_FILE_CACHE_ETAG_SIZE 56

struct pipit_file_cache;

struct pipit_file_cache_file {
	uint64_t size;   /* bytes */
	time_t modified; /* seconds */
	const char *content_type;
	bool is_compressible;
	const char *content;                /* valid until the next call; NULL: use `descriptor` */
	struct pipit_shared_fd *descriptor; /* a reference of the caller; NULL: use `content` */
	struct pipit_files_version version;
	bool is_index;   /* the path is a directory */
	unsigned absent; /* bits, see pipit_file_cache_note_absent() */
	size_t etag_length;
	char etag[PIPIT_FILE_CACHE_ETAG_SIZE];    /* weak while the file may change within its tick */
	char date[PIPIT_RESPONSE_HEAD_DATE_SIZE]; /* `modified` as HTTP-date */
};

/* NULL when memory is short. */
struct pipit_file_cache *pipit_file_cache_new(void);

/* Replies in flight keep their descriptors. NULL is harmless. */
void pipit_file_cache_free(struct pipit_file_cache *cache);

/* As pipit_files_open(); evicts descriptors when none is left. Sets *file on FOUND. */
enum pipit_files_result pipit_file_cache_find(struct pipit_file_cache *cache, const struct pipit_files *files,
    struct pipit_slice path, uint64_t now_ms, struct pipit_file_cache_file *file);

/* No two states of the file had this ETag (RFC 9110 §8.8.1). */
static inline bool pipit_file_cache_is_settled(const struct pipit_file_cache_file *file)
{
	return file->etag[0] == '"';
}

/* absent: the caller's bits, kept until the path is checked again. */
void pipit_file_cache_note_absent(
    struct pipit_file_cache *cache, const struct pipit_files *files, struct pipit_slice path, unsigned absent);

/* Call it several times a second. */
void pipit_file_cache_sweep(struct pipit_file_cache *cache, uint64_t now_ms);

/* False when there are none. */
bool pipit_file_cache_evict_descriptors(struct pipit_file_cache *cache);

size_t pipit_file_cache_file_count(const struct pipit_file_cache *cache);
size_t pipit_file_cache_descriptor_count(const struct pipit_file_cache *cache);
size_t pipit_file_cache_byte_count(const struct pipit_file_cache *cache);

#endif
