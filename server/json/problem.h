/* SPDX-License-Identifier: MIT */
/* The member "errors" of a problem document (RFC 9457 §3): what is wrong in a JSON document, and where. */
#ifndef PIPIT_PROBLEM_H
#define PIPIT_PROBLEM_H

#include "http/response_head.h"
#include "json/json.h"

#include <stdarg.h>

/* An error: {"detail":"…","pointer":"#/network/mtu"}. pointer: a JSON Pointer. NULL when memory is short. */
struct cJSON *pipit_problem_error(const char *detail, const char *pointer);

/* Takes an array of errors. Returns `,"errors":[…]`, to append to other members; freed by the caller. NULL when memory is short. */
char *pipit_problem_members(struct cJSON *errors);

/*
 * The detail of a problem document, as printf() prints it; NULL when `format` is. `text` is not shorter than the document, which cuts
 * between characters.
 */
#define PIPIT_PROBLEM_TEXT_SIZE PIPIT_RESPONSE_HEAD_PROBLEM_MAX
const char *pipit_problem_format(char text[PIPIT_PROBLEM_TEXT_SIZE], const char *format, va_list arguments);

/* The sentence for an error in a JSON text. */
#define PIPIT_PROBLEM_DETAIL_SIZE 512
void pipit_problem_json_detail(const struct pipit_json_error *error, char detail[PIPIT_PROBLEM_DETAIL_SIZE]);

/* The same as pipit_problem_members(): one error, with line, column and byte. */
char *pipit_problem_json_members(const struct pipit_json_error *error);

#endif
