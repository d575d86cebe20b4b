/* SPDX-License-Identifier: MIT */
/* The member "errors" of a problem document (RFC 9457 §3). */
#ifndef PIPIT_PROBLEM_H
#define PIPIT_PROBLEM_H

#include "http/response_head.h"
#include "json/json.h"

#include <stdarg.h>

/* {"detail":"…","pointer":"#/network/mtu"}, from a JSON Pointer. */
struct cJSON *pipit_problem_error(const char *detail, const char *pointer);

/* Takes an array. Returns `,"errors":[…]`. */
char *pipit_problem_members(struct cJSON *errors);

/* Cut to the size of a document. NULL when `format` is. */
#define PIPIT_PROBLEM_TEXT_SIZE PIPIT_RESPONSE_HEAD_PROBLEM_MAX
const char *pipit_problem_format(char text[PIPIT_PROBLEM_TEXT_SIZE], const char *format, va_list arguments);

#define PIPIT_PROBLEM_DETAIL_SIZE 512
void pipit_problem_json_detail(const struct pipit_json_error *error, char detail[PIPIT_PROBLEM_DETAIL_SIZE]);

/* One error, with line, column and byte. */
char *pipit_problem_json_members(const struct pipit_json_error *error);

#endif
