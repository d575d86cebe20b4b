/* SPDX-License-Identifier: MIT */
/*
 * A JSON document that does not change any more, as its text and the places of all values in it: a value is found by its pointer
 * and sent as it stands, without a tree and without printing. Any number of threads may read one.
 */
#ifndef PIPIT_JSON_INDEX_H
#define PIPIT_JSON_INDEX_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a text, in bytes: places are 32 bits wide. */
#define PIPIT_JSON_INDEX_BYTES_MAX (64 * 1024 * 1024)
/* Arrays and objects within each other. */
#define PIPIT_JSON_INDEX_DEPTH_MAX 512
/* '"', 16 digits, '"' and its NUL. */
#define PIPIT_JSON_INDEX_ETAG_SIZE 19

struct pipit_json_index;

struct pipit_json_index_value {
	struct pipit_slice text;
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
};

/*
 * text: as pipit_printer_print() writes it, without white space, at most PIPIT_JSON_INDEX_BYTES_MAX long and
 * PIPIT_JSON_INDEX_DEPTH_MAX deep, no name twice in an object; from malloc(), taken on success. NULL when memory is short.
 */
struct pipit_json_index *pipit_json_index_new(char *text, size_t length);

/* NULL is harmless. */
void pipit_json_index_free(struct pipit_json_index *document);

struct pipit_slice pipit_json_index_text(const struct pipit_json_index *document);

/* pointer: a valid one (see pointer.h). False when there is no such value; *value is untouched then. */
bool pipit_json_index_find(
    const struct pipit_json_index *document, struct pipit_slice pointer, struct pipit_json_index_value *value);

/* The strong entity tag of a value with this text: the same in every process. */
void pipit_json_index_etag(struct pipit_slice text, char etag[PIPIT_JSON_INDEX_ETAG_SIZE]);

/* The same text for people: a line for each value, indented by tabs, with a line's end behind it. From malloc(); NULL when memory is short. */
char *pipit_json_index_indent(struct pipit_slice text, size_t *length);

#endif
