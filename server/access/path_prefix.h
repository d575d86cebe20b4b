/* SPDX-License-Identifier: MIT */
/* Whether a path lies under a prefix, however it is written: a rule of access must hold for every spelling of a path. */
#ifndef PIPIT_PATH_PREFIX_H
#define PIPIT_PATH_PREFIX_H

#include "base/slice.h"

#include <stdbool.h>

/* What is wrong with a prefix of a rule; NULL: nothing. Paths are read as below: one of another form would match none. */
const char *pipit_path_prefix_fault(struct pipit_slice prefix);

/* Without slashes at its end: of equal prefixes, these bytes are the same. */
size_t pipit_path_prefix_length(struct pipit_slice prefix);

/*
 * prefix: decoded, begins with '/'; "/api" and "/api/" match "/api", "/api/" and "/api/x", not "/apis"; "/" matches all. path: as sent.
 * Percent-encoding is decoded, also of slashes; several slashes are one. Matches if the path lies under the prefix with its segments "."
 * and ".." resolved, as files are found, or unresolved, as routes are. Also when memory is short.
 */
bool pipit_path_prefix_matches(const char *prefix, struct pipit_slice path);

/*
 * For rules that make exceptions of others, which must decide for each of the two readings of a path. Decoded, with one slash before each
 * segment and none at the end: "" is the root, and "*". out: path.length bytes. Returns the length.
 */
size_t pipit_path_prefix_read(struct pipit_slice path, bool resolves, char *out);

/* Both readings of a path: [0] with its segments as they are, [1] resolved. */
struct pipit_path_readings {
	struct pipit_slice paths[2];
	char *large; /* owned */
	char small[1024];
};

/* False: memory is short. After true, pipit_path_readings_free() must follow. */
bool pipit_path_readings_read(struct pipit_path_readings *readings, struct pipit_slice path);
void pipit_path_readings_free(struct pipit_path_readings *readings);

/* Whether a path that was read lies under the prefix. */
bool pipit_path_prefix_covers(const char *prefix, struct pipit_slice read);

#endif
