/* SPDX-License-Identifier: MIT */
/*
 * Files compressed with gzip, one cache per worker. 256 KiB block the worker for about 8 ms: compression gets a quarter
 * of each second.
 */
#ifndef PIPIT_GZIP_CACHE_H
#define PIPIT_GZIP_CACHE_H

#include "files/files.h"

/* smaller files fit into one packet */
#define PIPIT_GZIP_CACHE_FILE_MIN 1024
#define PIPIT_GZIP_CACHE_FILE_MAX (256 * 1024)
/* of one cache */
#define PIPIT_GZIP_CACHE_BYTES_MAX (1024 * 1024)
#define PIPIT_GZIP_CACHE_FILES_MAX 64

struct pipit_gzip_cache;

struct pipit_gzip_cache *pipit_gzip_cache_new(void);
void pipit_gzip_cache_free(struct pipit_gzip_cache *cache);

/*
 * *gzip is valid until the next call. content: version->size bytes; NULL: read from fd. False: send the file
 * uncompressed.
 */
bool pipit_gzip_cache_get(struct pipit_gzip_cache *cache, const struct pipit_files_version *version,
    const char *content, int fd, struct pipit_slice *gzip);

/* length: of the decompressed bytes. NULL also for invalid data. */
char *pipit_gzip_cache_decompress(struct pipit_slice gzip, size_t length);

size_t pipit_gzip_cache_byte_count(const struct pipit_gzip_cache *cache);

#endif
