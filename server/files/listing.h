/* SPDX-License-Identifier: MIT */
/* Content of a directory as a page or as JSON, without dotfiles, which are not served. */
#ifndef PIPIT_LISTING_H
#define PIPIT_LISTING_H

#include <stdbool.h>
#include <stddef.h>

/* further entries are replaced by a note */
#define PIPIT_LISTING_MAX 2000

/*
 * fd: of the directory, taken. path: decoded, for the page. The caller frees the result of *length bytes; NULL when
 * memory is short or the directory cannot be read. Blocks the worker while the file system reads.
 */
char *pipit_listing_render(int fd, const char *path, bool json, size_t *length);

#endif
