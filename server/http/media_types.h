/* SPDX-License-Identifier: MIT */
/* The media type of a file by its extension: a built-in table, and a file in the form of /etc/mime.types. */
#ifndef PIPIT_MEDIA_TYPES_H
#define PIPIT_MEDIA_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_media_types; /* types that were read from a file */

/*
 * Read lines "type/subtype extension extension …"; '#' begins a comment. Text types without a charset get utf-8.
 * Returns 0; -EINVAL, -ENOMEM or another negative errno value with one line in `error`: file, line and what would be
 * right.
 */
int pipit_media_types_read(const char *name, struct pipit_media_types **media, char *error, size_t size);
void pipit_media_types_free(struct pipit_media_types *media);

/*
 * The media type of a file name: from `media` (may be NULL), else from the built-in table, else
 * "application/octet-stream". Lives as long as `media`.
 */
const char *pipit_media_types_types_find(const struct pipit_media_types *media, const char *name);

/* Whether files of this type are worth compressing. Parameters are ignored. */
bool pipit_media_types_is_compressible(const char *type);

#endif
