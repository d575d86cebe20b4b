/* SPDX-License-Identifier: MIT */
/*
 * Cache of open files: a repeated request needs no system call to find its file. Small files are cached with their
 * bytes, larger ones with an open descriptor.
 *
 * An entry is valid for one second. Then pipit_files_open() opens the path again, with all its checks. Absent files are
 * not cached, except variants of a cached file. Entries without a request for ten seconds are evicted, and the least
 * recently used ones when a limit below is reached.
 *
 * One cache per worker. now_ms: monotonic clock, in milliseconds.
 */
#ifndef PIPIT_FILE_CACHE_H
#define PIPIT_FILE_CACHE_H

#include "base/shared_fd.h"
#include "files/files.h"
#include "http/response_head.h"

/* limits of one cache */
#define PIPIT_FILE_CACHE_FILES_MAX 256
#define PIPIT_FILE_CACHE_DESCRIPTORS_MAX 64
#define PIPIT_FILE_CACHE_BYTES_MAX (1024 * 1024) /* of content, paths and entries */
/* up to this size, an entry has the bytes and no descriptor */
#define PIPIT_FILE_CACHE_SMALL_BYTES (32 * 1024)
/* longer paths are not cached */
#define PIPIT_FILE_CACHE_PATH_MAX 255

/* modification time, size and digest in hex, with quotes, W/ and NUL */
#define PIPIT_FILE_CACHE_ETAG_SIZE 56

struct pipit_file_cache;

struct pipit_file_cache_file {
	uint64_t size;            /* bytes */
	time_t modified;          /* seconds */
	const char *content_type; /* see media_types.h */
	bool is_compressible;
	const char *content;                /* valid until the next call; NULL: use `descriptor` */
	struct pipit_shared_fd *descriptor; /* a reference of the caller; NULL: use `content` */
	struct pipit_files_version version;
	bool is_index;   /* the path is a directory, the file its index.html */
	unsigned absent; /* bits from pipit_file_cache_note_absent() since the path was checked */
	size_t etag_length;
	char etag[PIPIT_FILE_CACHE_ETAG_SIZE];    /* weak while the file may change within one tick of its clock */
	char date[PIPIT_RESPONSE_HEAD_DATE_SIZE]; /* `modified` as HTTP-date */
};

/* NULL when memory is short. */
struct pipit_file_cache *pipit_file_cache_new(void);

/* Replies in flight keep their descriptors. NULL is harmless. */
void pipit_file_cache_free(struct pipit_file_cache *cache);

/*
 * As pipit_files_open(), but returns an entry that is less than a second old. Closes cached descriptors if none is left
 * for the file. Sets *file when the result is FOUND.
 */
enum pipit_files_result pipit_file_cache_find(struct pipit_file_cache *cache, const struct pipit_files *files,
    struct pipit_slice path, uint64_t now_ms, struct pipit_file_cache_file *file);

/* A strong ETag: no two states of the file had the same one (RFC 9110 §8.8.1). */
static inline bool pipit_file_cache_is_settled(const struct pipit_file_cache_file *file)
{
	return file->etag[0] == '"';
}

/* Store which variants of the file are absent, as bits of the caller, until its path is checked again. */
void pipit_file_cache_note_absent(
    struct pipit_file_cache *cache, const struct pipit_files *files, struct pipit_slice path, unsigned absent);

/* Evict entries without requests. Call it several times a second. */
void pipit_file_cache_sweep(struct pipit_file_cache *cache, uint64_t now_ms);

/* Evict all entries with a descriptor, when the process is short of descriptors. False when there are none. */
bool pipit_file_cache_evict_descriptors(struct pipit_file_cache *cache);

size_t pipit_file_cache_file_count(const struct pipit_file_cache *cache);
size_t pipit_file_cache_descriptor_count(const struct pipit_file_cache *cache);
size_t pipit_file_cache_byte_count(const struct pipit_file_cache *cache);

#endif
