/* SPDX-License-Identifier: MIT */
/*
 * Prints a cJSON document without white space, like cJSON_PrintUnformatted() in a fifth of the time. Numbers are read back as the same
 * double (cJSON loses the last bit, and prints the greatest double as infinity); a number that a double cannot hold is printed with its
 * text (see pipit_json_parse()).
 */
#ifndef PIPIT_PRINTER_H
#define PIPIT_PRINTER_H

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

struct pipit_printer {
	char *bytes; /* not NUL-terminated; the caller's buffer, or allocated when that is too small */
	size_t length, capacity;
	bool is_allocated;
	size_t limit; /* of `length`, roughly: at most one string more is printed; 0: none */
};

/* Start with a buffer of the caller; room: may be NULL with size 0. */
static inline struct pipit_printer pipit_printer_in(char *room, size_t size)
{
	return (struct pipit_printer){ room, 0, size, false, 0 };
}

/*
 * Append the document. NaN and infinity are printed as null. 0; -ENOMEM; -EINVAL: an item has no type, or the nesting exceeds
 * CJSON_NESTING_LIMIT (or is a cycle); -E2BIG: the text exceeds the limit.
 */
int pipit_printer_print(struct pipit_printer *text, const struct cJSON *doc);

/* Print to *text, from malloc(), without a NUL. Returns as above. */
int pipit_printer_text(const struct cJSON *doc, char **text, size_t *length);

/* Free the text, and start again with an empty one. */
void pipit_printer_clear(struct pipit_printer *text);

/* --- printing in pieces ---------------------------------------------------------------------------------------------- */

/* The least size of the buffer for a piece. */
#define PIPIT_PRINTER_PIECE_MIN (32 * 1024)

struct pipit_printing;

/* Begin to print. doc: borrowed, and not changed, until pipit_printing_free(). 0; -EINVAL as above; -ENOMEM. */
int pipit_printing_new(const struct cJSON *doc, struct pipit_printing **printing);

/* The memory of a document in bytes, roughly. *has_references: set to true if an item is a cJSON_IsReference. doc: nested at most
 * CJSON_NESTING_LIMIT deep. */
size_t pipit_printing_tree_bytes(const struct cJSON *doc, bool *has_references);

/* Write the next bytes to `room`. size: at least PIPIT_PRINTER_PIECE_MIN. Returns their number; 0 at the end. */
size_t pipit_printing_next(struct pipit_printing *printing, char *room, size_t size);

/* NULL is harmless. */
void pipit_printing_free(struct pipit_printing *printing);

#endif
