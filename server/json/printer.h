/* SPDX-License-Identifier: MIT */
/*
 * Prints like cJSON_PrintUnformatted() in a fifth of the time. Numbers are read back as the same double (cJSON loses
 * the last bit, and prints the greatest double as infinity), or keep their text (pipit_json_parse()).
 */
#ifndef PIPIT_PRINTER_H
#define PIPIT_PRINTER_H

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

struct pipit_printer {
	char *bytes; /* no NUL; the caller's, or allocated when that is too small */
	size_t length, capacity;
	bool is_allocated;
	size_t limit; /* exceeded by at most a string; 0: none */
};

/* room: may be NULL with size 0. */
static inline struct pipit_printer pipit_printer_in(char *room, size_t size)
{
	return (struct pipit_printer){ room, 0, size, false, 0 };
}

/*
 * NaN and infinity become null. -EINVAL: an item has no type, or nesting exceeds CJSON_NESTING_LIMIT (or is a cycle);
 * -E2BIG: above the limit.
 */
int pipit_printer_print(struct pipit_printer *text, const struct cJSON *doc);

/* *text: without a NUL. Fails as above. */
int pipit_printer_text(const struct cJSON *doc, char **text, size_t *length);

void pipit_printer_clear(struct pipit_printer *text);

#define PIPIT_PRINTER_PIECE_MIN (32 * 1024)

struct pipit_printing;

/* Borrows `doc`, which must not change, until pipit_printing_free(). -EINVAL as above. */
int pipit_printing_new(const struct cJSON *doc, struct pipit_printing **printing);

/* Bytes, roughly. *has_references: there is a cJSON_IsReference. doc: within CJSON_NESTING_LIMIT. */
size_t pipit_printing_tree_bytes(const struct cJSON *doc, bool *has_references);

/* size: at least PIPIT_PRINTER_PIECE_MIN. 0 at the end. */
size_t pipit_printing_next(struct pipit_printing *printing, char *room, size_t size);

void pipit_printing_free(struct pipit_printing *printing);

#endif
