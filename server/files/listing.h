/* SPDX-License-Identifier: MIT */
/* A directory as a page or as JSON, without what is not served: dotfiles, links that lead out, unreadable files. */
#ifndef PIPIT_LISTING_H
#define PIPIT_LISTING_H

#include "files/files.h"

#include <stdbool.h>
#include <stddef.h>

/* more become a note; so do more than a tenth of it of links, or twice as many entries that are not served */
#define PIPIT_LISTING_MAX 2000

/* Takes fd. path: decoded, with a slash at both ends. NULL also when the directory cannot be read. Blocks the worker. */
char *pipit_listing_render(const struct pipit_files *files, int fd, const char *path, bool json, size_t *length);

#endif
