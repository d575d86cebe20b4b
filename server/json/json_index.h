/* SPDX-License-Identifier: MIT */
/*
 * An immutable JSON document: its text, and an index of the positions of its values. A value is found by its pointer and sent as it is in
 * the text, without a tree and without printing. Any number of threads may read it.
 */
#ifndef PIPIT_JSON_INDEX_H
#define PIPIT_JSON_INDEX_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Of the text: offsets have 32 bits. */
#define PIPIT_JSON_INDEX_BYTES_MAX (64 * 1024 * 1024)
/* Nesting of arrays and objects. */
#define PIPIT_JSON_INDEX_DEPTH_MAX 512
/* '"', 16 digits, '"', NUL. */
#define PIPIT_JSON_INDEX_ETAG_SIZE 19

struct pipit_json_index;

struct pipit_json_index_value {
	struct pipit_slice text;
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
};

/*
 * text: as pipit_printer_print() writes it, within the two limits above, without duplicate names in an object; from malloc(), taken on
 * success. NULL when memory is short.
 */
struct pipit_json_index *pipit_json_index_new(char *text, size_t length);

/* NULL is harmless. */
void pipit_json_index_free(struct pipit_json_index *index);

struct pipit_slice pipit_json_index_text(const struct pipit_json_index *index);

/* pointer: valid (see pointer.h). False when there is no such value. value->text lives as long as the index. */
bool pipit_json_index_find(
    const struct pipit_json_index *index, struct pipit_slice pointer, struct pipit_json_index_value *value);

/* The strong entity tag of a value with this text; the same in each process. */
void pipit_json_index_etag(struct pipit_slice text, char etag[PIPIT_JSON_INDEX_ETAG_SIZE]);

/* The text with a line for each value, indented by tabs, and a final line end. From malloc(), without a NUL; NULL when memory is short. */
char *pipit_json_index_indent(struct pipit_slice text, size_t *length);

#endif
