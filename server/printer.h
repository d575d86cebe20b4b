/* SPDX-License-Identifier: MIT */
/*
 * The text of a cJSON document, without white space: what cJSON_PrintUnformatted() prints, at a fifth of its cost, and
 * numbers so that they read back as the same double (cJSON lets the last bit go, and prints the greatest as infinity), or as they
 * were read when a double cannot hold them (see pipit_json_parse()).
 */
#ifndef PIPIT_PRINTER_H
#define PIPIT_PRINTER_H

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

struct pipit_printer {
	char *bytes; /* not NUL-terminated; the caller's room at first, allocated when that is too small */
	size_t length, capacity;
	bool is_allocated;
};

/* Room of the caller's to begin with. */
static inline struct pipit_printer pipit_printer_in(char *room, size_t size)
{
	return (struct pipit_printer){ room, 0, size, false };
}

/*
 * Append the document. NaN and infinities, which JSON has not, become null. 0; -ENOMEM; -EINVAL when an item has no type, or
 * arrays and objects are nested more than CJSON_NESTING_LIMIT deep (or in a ring).
 */
int pipit_printer_print(struct pipit_printer *text, const struct cJSON *doc);

/* The same, as a text from malloc(), without a NUL. As above; on failure nothing is set. */
int pipit_printer_text(const struct cJSON *doc, char **text, size_t *length);

/* Free what was allocated. */
void pipit_printer_clear(struct pipit_printer *text);

#endif
