/* SPDX-License-Identifier: MIT */
/*
 * What kind of content a file has, by the ending of its name: a built-in table, which a file in the form of /etc/mime.types
 * can extend.
 */
#ifndef PIPIT_MEDIA_TYPES_H
#define PIPIT_MEDIA_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct pipit_media_types; /* types that were read from a file */

/*
 * Read a file of lines "type/subtype ending ending …", '#' begins a comment. A text type without a charset gets UTF-8. 0 and
 * *media; -EINVAL, -ENOMEM or another negative errno value after one line in `error` (`size` bytes) that names file and line,
 * and says what would be right.
 */
int pipit_media_types_read(const char *name, struct pipit_media_types **media, char *error, size_t size);
void pipit_media_types_free(struct pipit_media_types *media);

/*
 * The media type for a file's name. media: asked first; may be NULL. "application/octet-stream" when the ending is unknown; a
 * string that lives as long as `media`.
 */
const char *pipit_media_types_types_find(const struct pipit_media_types *media, const char *name);

/* Whether content of this type, with or without parameters, usually becomes much smaller when it is compressed. */
bool pipit_media_types_is_compressible(const char *type);

#endif
