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
	size_t limit; /* of `length`, roughly: more than that, and a string, is never printed; 0: none */
};

/* Room of the caller's to begin with. */
static inline struct pipit_printer pipit_printer_in(char *room, size_t size)
{
	return (struct pipit_printer){ room, 0, size, false, 0 };
}

/*
 * Append the document. NaN and infinities, which JSON has not, become null. 0; -ENOMEM; -EINVAL when an item has no type, or
 * arrays and objects are nested more than CJSON_NESTING_LIMIT deep (or in a ring); -E2BIG when there is a limit and the text is longer.
 */
int pipit_printer_print(struct pipit_printer *text, const struct cJSON *doc);

/* The same, as a text from malloc(), without a NUL. As above; on failure nothing is set. */
int pipit_printer_text(const struct cJSON *doc, char **text, size_t *length);

/* --- a text in pieces ------------------------------------------------------------------------------------------------ */

/* Of a piece, at least. */
#define PIPIT_PRINTER_PIECE_MIN (32 * 1024)

struct pipit_printing;

/* Begin to print a document, which is borrowed until the end and may not change. 0; -EINVAL as above; -ENOMEM. */
int pipit_printing_new(const struct cJSON *doc, struct pipit_printing **printing);

/* What the document takes in memory, roughly, and whether it refers to what belongs to somebody else (cJSON_IsReference). It is not
 * nested more than CJSON_NESTING_LIMIT deep. */
size_t pipit_printing_tree_bytes(const struct cJSON *doc, bool *has_references);

/* The next bytes, into `room` of PIPIT_PRINTER_PIECE_MIN bytes or more. Returns how many there are: 0 at the end. */
size_t pipit_printing_next(struct pipit_printing *printing, char *room, size_t size);

/* NULL is harmless. */
void pipit_printing_free(struct pipit_printing *printing);

/* Free what was allocated. */
void pipit_printer_clear(struct pipit_printer *text);

#endif
