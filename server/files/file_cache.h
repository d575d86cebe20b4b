/* SPDX-License-Identifier: MIT */
/*
 * Open files, one cache per worker. A file is compared by stat() when that was last done 10 ms ago, or when a worker
 * has found something new since; its path is looked up again after a second. Entries are evicted after ten seconds
 * without a request, descriptors after one. Absent files are not cached, except variants of a cached file.
 *
 * now_ms: monotonic clock.
 */
#ifndef PIPIT_FILE_CACHE_H
#define PIPIT_FILE_CACHE_H

#include "base/shared_fd.h"
#include "files/files.h"
#include "http/date.h"

/* above these, the least recently used is evicted */
#define PIPIT_FILE_CACHE_FILES_MAX 256
#define PIPIT_FILE_CACHE_DESCRIPTORS_MAX 64
#define PIPIT_FILE_CACHE_BYTES_MAX (1024 * 1024) /* of content, paths and entries */
/* larger files keep a descriptor */
#define PIPIT_FILE_CACHE_SMALL_BYTES (32 * 1024)
#define PIPIT_FILE_CACHE_PATH_MAX 255

/* time, size and digest in hex, quotes, W/, NUL */
#define PIPIT_FILE_CACHE_ETAG_SIZE 56

struct pipit_file_cache;

struct pipit_file_cache_file {
	uint64_t size;
	int64_t modified; /* seconds */
	const char *content_type;
	bool is_gzip;
	bool is_compressible;               /* not is_gzip */
	const char *content;                /* valid until the next call; NULL: use `descriptor` */
	struct pipit_shared_fd *descriptor; /* a reference for the caller; NULL: use `content` */
	struct pipit_files_version version;
	bool is_index;
	unsigned absent; /* bits, see pipit_file_cache_note_absent() */
	size_t etag_length;
	char etag[PIPIT_FILE_CACHE_ETAG_SIZE]; /* weak while the file may change within its tick */
	char date[PIPIT_DATE_SIZE];            /* `modified` */
};

struct pipit_file_cache *pipit_file_cache_new(void);

/* Replies in flight keep their descriptors. */
void pipit_file_cache_free(struct pipit_file_cache *cache);

/* As pipit_files_open(). Evicts descriptors when none is left. */
enum pipit_files_result pipit_file_cache_find(struct pipit_file_cache *cache, struct pipit_files *files,
    struct pipit_slice path, uint64_t now_ms, struct pipit_file_cache_file *file);

/* No other state of the file had this ETag (RFC 9110 §8.8.1). */
static inline bool pipit_file_cache_is_settled(const struct pipit_file_cache_file *file)
{
	return file->etag[0] == '"';
}

/* absent: the caller's bits, kept until the path is checked again. */
void pipit_file_cache_note_absent(
    struct pipit_file_cache *cache, const struct pipit_files *files, struct pipit_slice path, unsigned absent);

/* Several times a second. */
void pipit_file_cache_sweep(struct pipit_file_cache *cache, uint64_t now_ms);

bool pipit_file_cache_evict_descriptors(struct pipit_file_cache *cache);

size_t pipit_file_cache_file_count(const struct pipit_file_cache *cache);
size_t pipit_file_cache_descriptor_count(const struct pipit_file_cache *cache);
size_t pipit_file_cache_byte_count(const struct pipit_file_cache *cache);

#endif
