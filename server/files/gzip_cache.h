/* SPDX-License-Identifier: MIT */
/*
 * Compresses files with gzip for clients that accept it, if no precompressed variant exists, and caches the results.
 * One cache per worker.
 *
 * Compression blocks the worker, about 8 ms for 256 KiB. So larger files are not cache, and no file while the
 * current second has spent a quarter on compression.
 */
#ifndef PIPIT_GZIP_CACHE_H
#define PIPIT_GZIP_CACHE_H

#include "files/files.h"

/* smaller files fit into one packet anyway */
#define PIPIT_GZIP_CACHE_FILE_MIN 1024
#define PIPIT_GZIP_CACHE_FILE_MAX (256 * 1024)
/* limits of one cache */
#define PIPIT_GZIP_CACHE_BYTES_MAX (1024 * 1024)
#define PIPIT_GZIP_CACHE_FILES_MAX 64

struct pipit_gzip_cache;

/* NULL when memory is short. pipit_gzip_cache_free(NULL) is harmless. */
struct pipit_gzip_cache *pipit_gzip_cache_new(void);
void pipit_gzip_cache_free(struct pipit_gzip_cache *cache);

/*
 * gzip data of a file version, valid until the next call. content: version->size bytes; NULL: read them from fd. False
 * when the file should be sent uncompressed: too small, too large, hardly compressible, changed meanwhile, or no time
 * or memory.
 */
bool pipit_gzip_cache_get(struct pipit_gzip_cache *cache, const struct pipit_files_version *version,
    const char *content, int fd, struct pipit_slice *gzip);

/*
 * Decompress valid gzip data to `length` bytes, freed by the caller. NULL when memory is short or the data is not
 * valid.
 */
char *pipit_gzip_cache_decompress(struct pipit_slice gzip, size_t length);

size_t pipit_gzip_cache_byte_count(const struct pipit_gzip_cache *cache);

#endif
