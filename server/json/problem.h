/* SPDX-License-Identifier: MIT */
/* The member "errors" of a problem document (RFC 9457 §3): what is wrong in a document, and where. Pure but for memory. */
#ifndef PIPIT_PROBLEM_H
#define PIPIT_PROBLEM_H

#include "http/response_head.h"
#include "json/json.h"

#include <stdarg.h>

/* One of them: {"detail":"…","pointer":"#/network/mtu"}. pointer: a JSON Pointer. NULL when memory is short. */
struct cJSON *pipit_problem_error(const char *detail, const char *pointer);

/* Takes an array of them. Returns `,"errors":[…]`, to be put behind other members; the caller's to free, NULL when memory is short. */
char *pipit_problem_members(struct cJSON *errors);

/* A detail as printf() has it; cut where the document would cut it, between two characters. NULL when format is. */
#define PIPIT_PROBLEM_TEXT_SIZE PIPIT_RESPONSE_HEAD_PROBLEM_MAX
const char *pipit_problem_format(char text[PIPIT_PROBLEM_TEXT_SIZE], const char *format, va_list arguments);

/* What was wrong in a JSON text, for people. */
#define PIPIT_PROBLEM_DETAIL_SIZE 512
void pipit_problem_json_detail(const struct pipit_json_error *error, char detail[PIPIT_PROBLEM_DETAIL_SIZE]);

/* The same for programs: an array with one error, which has members for its line, column and byte. As pipit_problem_members(). */
char *pipit_problem_json_members(const struct pipit_json_error *error);

#endif
