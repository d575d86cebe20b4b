/* SPDX-License-Identifier: MIT */
/* What is in a directory, as a page or as JSON. Dotfiles are left out, because they are not served either. */
#ifndef PIPIT_LISTING_H
#define PIPIT_LISTING_H

#include <stdbool.h>
#include <stddef.h>

/* Entries of one listing; behind them it says that there are more. */
#define PIPIT_LISTING_MAX 2000

/*
 * fd: of the directory; takes it. path: as the page names it, decoded. *length bytes in malloc'd memory; NULL when memory is
 * short or the directory cannot be read. Reading it keeps the worker waiting, as long as the file system takes.
 */
char *pipit_listing_render(int fd, const char *path, bool json, size_t *length);

#endif
