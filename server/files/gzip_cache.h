/* SPDX-License-Identifier: MIT */
/*
 * Files compressed with gzip for clients that take it, where no compressed neighbour lies beside them; what was compressed lately
 * is kept. One per worker.
 *
 * Compressing keeps everybody of the worker waiting, at 256 KiB for about 8 ms: so larger files are left as they are, and every
 * file when a quarter of the current second has gone into it already.
 */
#ifndef PIPIT_GZIP_CACHE_H
#define PIPIT_GZIP_CACHE_H

#include "files/files.h"

/* Of a file that is worth it: below the first a packet is a packet. */
#define PIPIT_GZIP_CACHE_FILE_MIN 1024
#define PIPIT_GZIP_CACHE_FILE_MAX (256 * 1024)
/* Kept at most, by one worker. */
#define PIPIT_GZIP_CACHE_BYTES_MAX (1024 * 1024)
#define PIPIT_GZIP_CACHE_FILES_MAX 64

struct pipit_gzip_cache;

/* NULL when memory is short. Free: NULL is harmless. */
struct pipit_gzip_cache *pipit_gzip_cache_new(void);
void pipit_gzip_cache_free(struct pipit_gzip_cache *compressed);

/*
 * The gzip form of a file of that version, valid until the next call. content: its bytes, version->size of them, or NULL: they
 * are read from fd. False when the file is too small or too large, would hardly become smaller, changes meanwhile, or time or memory
 * is short: send it as it is.
 */
bool pipit_gzip_cache_get(struct pipit_gzip_cache *compressed, const struct pipit_files_version *version,
    const char *content, int fd, struct pipit_slice *gzip);

/* The plain form of gzip bytes that are known to be valid: `length` bytes in malloc'd memory, NULL when memory is short or
 * they are not. */
char *pipit_gzip_cache_undo(struct pipit_slice gzip, size_t length);

/* What is kept now. */
size_t pipit_gzip_cache_byte_count(const struct pipit_gzip_cache *compressed);

#endif
