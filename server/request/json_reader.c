/* SPDX-License-Identifier: MIT */
#include "request/json_reader.h"

#include "request/problem.h"
#include "request/request.h"
#include "json/decimal.h"
#include "json/json.h"
#include "json/pointer.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* more are only counted */
#define LISTED_MAX 32

static void note(struct pipit_reader *reader, const char *pointer, const char *format, va_list arguments)
{
	char detail[300];
	cJSON *error;

	if (reader->violation_count++ >= LISTED_MAX)
		return;
	vsnprintf(detail, sizeof detail, format, arguments);
	if (!reader->violations)
		reader->violations = cJSON_CreateArray();
	/* without memory for its text, a violation still counts */
	error = pipit_problem_error(detail, pointer);
	if (!reader->violations || !cJSON_AddItemToArray(reader->violations, error))
		cJSON_Delete(error);
}

void pipit_read_refuse(struct pipit_reader *reader, const char *pointer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	note(reader, pointer, format, arguments);
	va_end(arguments);
}

void pipit_json_reader_clear(struct pipit_reader *reader)
{
	cJSON_Delete(reader->violations);
	reader->violations = NULL;
	reader->violation_count = 0;
}

char *pipit_json_reader_members(struct pipit_reader *reader)
{
	cJSON *errors = reader->violations;
	reader->violations = NULL;
	return pipit_problem_members(errors);
}

bool pipit_read_finish(struct pipit_reader *reader, struct pipit_request *request)
{
	size_t count = reader->violation_count;
	char detail[120], *members;

	if (count == 0)
		return true;
	members = pipit_json_reader_members(reader);
	if (count > LISTED_MAX)
		snprintf(
		    detail, sizeof detail, "%zu values are not valid; errors lists the first %d.", count, LISTED_MAX);
	else
		snprintf(
		    detail, sizeof detail, "%zu value%s not valid: see errors.", count, count == 1 ? " is" : "s are");
	pipit_request_reply_problem_with(
	    request, 422, detail, members ? pipit_slice_of(members) : (struct pipit_slice){ NULL, 0 });
	free(members);
	pipit_json_reader_clear(reader);
	return false;
}

static const cJSON *find(const struct pipit_reader *reader, const char *pointer)
{
	struct pipit_slice slice = pipit_slice_of(pointer);
	assert(pipit_pointer_is_valid(slice));
	return reader->doc ? pipit_pointer_find(reader->doc, slice) : NULL;
}

bool pipit_read_require(struct pipit_reader *reader, const char *pointer)
{
	if (find(reader, pointer))
		return true;
	pipit_read_refuse(reader, pointer, "is missing");
	return false;
}

const char *pipit_read_string(
    struct pipit_reader *reader, const char *pointer, const char *fallback, size_t min_bytes, size_t max_bytes)
{
	const cJSON *item = find(reader, pointer);
	size_t length;

	if (!item)
		return fallback;
	length = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
	if (cJSON_IsString(item) && length >= min_bytes && length <= max_bytes)
		return item->valuestring;
	pipit_read_refuse(reader, pointer, "must be a string of %zu to %zu bytes", min_bytes, max_bytes);
	return fallback;
}

/* Doubles from 2^63 on do not fit. */
static bool read_exactly(const cJSON *item, int64_t *number)
{
	const char *text = item->valuestring ? pipit_json_number_text(item) : NULL;
	char *end;

	if (!text) {
		if (!(fabs(item->valuedouble) < 9223372036854775808.0))
			return false;
		*number = (int64_t)item->valuedouble;
		return (double)*number == item->valuedouble;
	}
	/* a fraction or an exponent */
	errno = 0;
	*number = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0;
}

int64_t pipit_read_integer(struct pipit_reader *reader, const char *pointer, int64_t fallback, int64_t min, int64_t max)
{
	const cJSON *item = find(reader, pointer);
	int64_t number;

	if (!item)
		return fallback;
	if (cJSON_IsNumber(item) && read_exactly(item, &number) && number >= min && number <= max)
		return number;
	pipit_read_refuse(reader, pointer, "must be an integer from %" PRId64 " to %" PRId64, min, max);
	return fallback;
}

double pipit_read_number(struct pipit_reader *reader, const char *pointer, double fallback, double min, double max)
{
	const cJSON *item = find(reader, pointer);
	char from[PIPIT_DECIMAL_TEXT_MAX], to[PIPIT_DECIMAL_TEXT_MAX];

	if (!item)
		return fallback;
	if (cJSON_IsNumber(item) && item->valuedouble >= min && item->valuedouble <= max)
		return item->valuedouble;
	/* %g would follow the locale. */
	pipit_decimal_print(from, min);
	pipit_decimal_print(to, max);
	pipit_read_refuse(reader, pointer, "must be a number from %s to %s", from, to);
	return fallback;
}

bool pipit_read_boolean(struct pipit_reader *reader, const char *pointer, bool fallback)
{
	const cJSON *item = find(reader, pointer);

	if (!item)
		return fallback;
	if (cJSON_IsBool(item))
		return cJSON_IsTrue(item);
	pipit_read_refuse(reader, pointer, "must be true or false");
	return fallback;
}

static void refuse_choice(struct pipit_reader *reader, const char *pointer, const char *const *choices)
{
	char list[200] = "";
	size_t length = 0;
	for (; *choices && length < sizeof list - 1; choices++)
		length += (size_t)snprintf(list + length, sizeof list - length, "%s\"%s\"",
		    length == 0  ? ""
		    : choices[1] ? ", "
				 : " or ",
		    *choices);
	pipit_read_refuse(reader, pointer, "must be %s", list);
}

const char *pipit_read_choice(
    struct pipit_reader *reader, const char *pointer, const char *fallback, const char *const *choices)
{
	const cJSON *item = find(reader, pointer);

	if (!item)
		return fallback;
	for (size_t i = 0; choices[i] && cJSON_IsString(item); i++) {
		if (strcmp(item->valuestring, choices[i]) == 0)
			return choices[i];
	}
	refuse_choice(reader, pointer, choices);
	return fallback;
}

static bool is_listed(const char *const *names, const char *name)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

void pipit_read_only(struct pipit_reader *reader, const char *pointer, const char *const *names)
{
	const cJSON *item = find(reader, pointer);
	char deeper[512], *end;

	if (!item)
		return;
	if (!cJSON_IsObject(item)) {
		pipit_read_refuse(reader, pointer, "must be an object");
		return;
	}
	for (const cJSON *member = item->child; member; member = member->next) {
		if (is_listed(names, member->string))
			continue;
		snprintf(deeper, sizeof deeper, "%.200s", pointer);
		end = pipit_pointer_put(
		    deeper + strlen(deeper), deeper + sizeof deeper - 1, pipit_slice_of(member->string));
		if (end)
			*end = '\0';
		pipit_read_refuse(reader, end ? deeper : pointer, "is not known here");
	}
}
