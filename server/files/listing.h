/* SPDX-License-Identifier: MIT */
/* A directory as a page or as JSON, without dotfiles. */
#ifndef PIPIT_LISTING_H
#define PIPIT_LISTING_H

#include <stdbool.h>
#include <stddef.h>

/* more become a note */
#define PIPIT_LISTING_MAX 2000

/* Takes fd. path: decoded. NULL also when the directory cannot be read. Blocks the worker. */
char *pipit_listing_render(int fd, const char *path, bool json, size_t *length);

#endif
