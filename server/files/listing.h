/* SPDX-License-Identifier: MIT */
/* Content of a directory as a page or as JSON, without dotfiles. */
#ifndef PIPIT_LISTING_H
#define PIPIT_LISTING_H

#include <stdbool.h>
#include <stddef.h>

/* further entries become a note */
#define PIPIT_LISTING_MAX 2000

/*
 * Takes fd. path: decoded. The caller frees the result; NULL when memory is short or the directory cannot be read.
 * Blocks the worker.
 */
char *pipit_listing_render(int fd, const char *path, bool json, size_t *length);

#endif
