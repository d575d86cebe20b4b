/* SPDX-License-Identifier: MIT */
#include "request/problem.h"

#include "base/percent.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAGMENT_MAX (3 * 256 + 8)

/* RFC 6901 §6; a long one is cut. */
static void write_fragment(const char *pointer, char fragment[FRAGMENT_MAX])
{
	const char *end = fragment + FRAGMENT_MAX - 1;
	*fragment = '#';
	*pipit_percent_encode(fragment + 1, end, pipit_slice_of(pointer), PIPIT_PERCENT_FRAGMENT) = '\0';
}

cJSON *pipit_problem_error(const char *detail, const char *pointer)
{
	char fragment[FRAGMENT_MAX];
	cJSON *error = cJSON_CreateObject();

	write_fragment(pointer, fragment);
	if (cJSON_AddStringToObject(error, "detail", detail) && cJSON_AddStringToObject(error, "pointer", fragment))
		return error;
	cJSON_Delete(error);
	return NULL;
}

char *pipit_problem_members(cJSON *errors)
{
	static const char start[] = ",\"errors\":";
	struct pipit_printer text = pipit_printer_in(NULL, 0);
	char *members = NULL;

	if (errors && pipit_printer_print(&text, errors) == 0)
		members = malloc(sizeof start + text.length);
	if (members) {
		memcpy(members, start, sizeof start - 1);
		memcpy(members + sizeof start - 1, text.bytes, text.length);
		members[sizeof start - 1 + text.length] = '\0';
	}
	pipit_printer_clear(&text);
	cJSON_Delete(errors);
	return members;
}

const char *pipit_problem_format(char text[PIPIT_PROBLEM_TEXT_SIZE], const char *format, va_list arguments)
{
	if (!format)
		return NULL;
	vsnprintf(text, PIPIT_PROBLEM_TEXT_SIZE, format, arguments);
	return text;
}

void pipit_problem_json_detail(const struct pipit_json_error *error, char detail[PIPIT_PROBLEM_DETAIL_SIZE])
{
	snprintf(detail, PIPIT_PROBLEM_DETAIL_SIZE, "Invalid JSON at line %zu, column %zu (byte %zu)%s%s: %s.",
	    error->line, error->column, error->byte, *error->pointer ? ", at " : "", error->pointer, error->message);
}

char *pipit_problem_json_members(const struct pipit_json_error *error)
{
	cJSON *errors = cJSON_CreateArray(), *place = pipit_problem_error(error->message, error->pointer);

	cJSON_AddNumberToObject(place, "line", (double)error->line);
	cJSON_AddNumberToObject(place, "column", (double)error->column);
	cJSON_AddNumberToObject(place, "byte", (double)error->byte);
	if (!errors || !cJSON_AddItemToArray(errors, place))
		cJSON_Delete(place);
	return pipit_problem_members(errors);
}
