/* SPDX-License-Identifier: MIT */
/* Media types by extension, built in or from a file like /etc/mime.types. */
#ifndef PIPIT_MEDIA_TYPES_H
#define PIPIT_MEDIA_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_media_types; /* types from a file */

/* Text types without a charset get utf-8. */
int pipit_media_types_read(const char *name, struct pipit_media_types **media, char *error, size_t size);
void pipit_media_types_free(struct pipit_media_types *media);

/* From `media` (may be NULL), else built in, else "application/octet-stream". Lives as long as `media`. */
const char *pipit_media_types_types_find(const struct pipit_media_types *media, const char *name);

/* Whether the extension is known. */
bool pipit_media_types_has(const struct pipit_media_types *media, const char *name);

/* "svgz": served with Content-Encoding: gzip. */
bool pipit_media_types_is_gzip(const char *name);

/* Parameters are ignored. */
bool pipit_media_types_is_compressible(const char *type);

#endif
