/* SPDX-License-Identifier: MIT */
/*
 * A JSON document that does not change any more, as its text and the places of all values in it: a value is found by its pointer
 * and sent as it stands, without a tree and without printing. Any number of threads may read one.
 */
#ifndef PIPIT_DOCUMENT_H
#define PIPIT_DOCUMENT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a text, in bytes: places are 32 bits wide. */
#define PIPIT_DOCUMENT_BYTES_MAX (64 * 1024 * 1024)
/* Arrays and objects within each other. */
#define PIPIT_DOCUMENT_DEPTH_MAX 512
/* '"', 16 digits, '"' and its NUL. */
#define PIPIT_DOCUMENT_ETAG_SIZE 19

struct pipit_document;

struct pipit_document_value {
	struct pipit_slice text;
	char etag[PIPIT_DOCUMENT_ETAG_SIZE];
};

/*
 * text: as pipit_printer_print() writes it, without white space, at most PIPIT_DOCUMENT_BYTES_MAX long and
 * PIPIT_DOCUMENT_DEPTH_MAX deep, no name twice in an object; from malloc(), taken on success. NULL when memory is short.
 */
struct pipit_document *pipit_document_new(char *text, size_t length);

/* NULL is harmless. */
void pipit_document_free(struct pipit_document *document);

struct pipit_slice pipit_document_text(const struct pipit_document *document);

/* pointer: a valid one (see pointer.h). False when there is no such value; *value is untouched then. */
bool pipit_document_find(
    const struct pipit_document *document, struct pipit_slice pointer, struct pipit_document_value *value);

/* The strong entity tag of a value with this text: the same in every process. */
void pipit_document_etag(struct pipit_slice text, char etag[PIPIT_DOCUMENT_ETAG_SIZE]);

/* The same text for people: a line for each value, indented by tabs, with a line's end behind it. From malloc(); NULL when memory is short. */
char *pipit_document_indent(struct pipit_slice text, size_t *length);

#endif
