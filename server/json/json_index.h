/* SPDX-License-Identifier: MIT */
/* An immutable document. Values are found by pointer and sent as they are in the text. Any thread may read. */
#ifndef PIPIT_JSON_INDEX_H
#define PIPIT_JSON_INDEX_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Offsets have 32 bits. */
#define PIPIT_JSON_INDEX_BYTES_MAX (64 * 1024 * 1024)
#define PIPIT_JSON_INDEX_DEPTH_MAX 512
/* 16 digits, quotation marks, NUL */
#define PIPIT_JSON_INDEX_ETAG_SIZE 19

struct pipit_json_index;

struct pipit_json_index_value {
	struct pipit_slice text;
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
};

/* text: from pipit_printer_print(), within these limits, without duplicate names; from malloc(), taken on success. */
struct pipit_json_index *pipit_json_index_new(char *text, size_t length);

void pipit_json_index_free(struct pipit_json_index *index);

struct pipit_slice pipit_json_index_text(const struct pipit_json_index *index);

/* pointer: valid. value->text lives as long as the index. */
bool pipit_json_index_find(
    const struct pipit_json_index *index, struct pipit_slice pointer, struct pipit_json_index_value *value);

/* Strong; the same in each process. */
void pipit_json_index_etag(struct pipit_slice text, char etag[PIPIT_JSON_INDEX_ETAG_SIZE]);

/* A line for each value, tabs, a final line end; no NUL. */
char *pipit_json_index_indent(struct pipit_slice text, size_t *length);

#endif
