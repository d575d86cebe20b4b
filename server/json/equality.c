/* SPDX-License-Identifier: MIT */
#include "json/equality.h"

#include "json/child_index.h"
#include "json/decimal.h"
#include "json/json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const cJSON *number, char room[PIPIT_DECIMAL_TEXT_MAX])
{
	const char *text = pipit_json_number_text(number);
	if (text != NULL)
		return text;
	/* as the printer */
	pipit_decimal_print(room, number->valuedouble);
	return room;
}

static bool equal_numbers(const cJSON *one, const cJSON *other)
{
	char rooms[2][PIPIT_DECIMAL_TEXT_MAX];
	const char *text, *other_text;
	struct pipit_decimal decimal, other_decimal;

	if (!pipit_json_number_text(one) && !pipit_json_number_text(other))
		return one->valuedouble == other->valuedouble;
	text = text_of(one, rooms[0]);
	other_text = text_of(other, rooms[1]);
	decimal = pipit_decimal_read(text, strlen(text));
	other_decimal = pipit_decimal_read(other_text, strlen(other_text));
	return pipit_decimal_compare_sizes(decimal, other_decimal) == 0 &&
	       (pipit_decimal_is_zero(&decimal) || (*text == '-') == (*other_text == '-'));
}

/* Also in objects with duplicate names. */
static const cJSON *find_member(const cJSON *object, const cJSON *start, const char *name)
{
	for (const cJSON *member = start; member; member = member->next) {
		if (strcmp(member->string, name) == 0)
			return member;
	}
	for (const cJSON *member = object->child; member && member != start; member = member->next) {
		if (strcmp(member->string, name) == 0)
			return member;
	}
	return NULL;
}

/* one: the first member that is left. Without memory for an index, and with duplicate names, walks the list. */
static bool equal_in_any_order(const cJSON *one, const cJSON *object)
{
	struct pipit_child_index *index = pipit_child_index_new(object);
	const cJSON *start = object->child;
	bool has_index = index && !pipit_child_index_duplicate(index);

	for (; one; one = one->next) {
		const cJSON *match = has_index ? pipit_child_index_member(index, pipit_slice_of(one->string))
					       : find_member(object, start, one->string);
		if (!match || !pipit_json_equals(one, match))
			break;
		start = match->next;
	}
	pipit_child_index_free(index);
	return !one;
}

static bool equal_members(const cJSON *one, const cJSON *other)
{
	const cJSON *child = one->child, *match = other->child;

	while (child && match && strcmp(child->string, match->string) == 0) {
		if (!pipit_json_equals(child, match))
			return false;
		child = child->next;
		match = match->next;
	}
	if (!child || !match)
		return !child && !match;
	return cJSON_GetArraySize(one) == cJSON_GetArraySize(other) && equal_in_any_order(child, other);
}

static bool equal_elements(const cJSON *one, const cJSON *other)
{
	const cJSON *child = one->child, *match = other->child;

	while (child && match && pipit_json_equals(child, match)) {
		child = child->next;
		match = match->next;
	}
	return !child && !match;
}

bool pipit_json_equals(const cJSON *one, const cJSON *other)
{
	if ((one->type & 0xff) != (other->type & 0xff))
		return false;
	if (cJSON_IsNumber(one))
		return equal_numbers(one, other);
	if (cJSON_IsString(one))
		return strcmp(one->valuestring, other->valuestring) == 0;
	return cJSON_IsObject(one) ? equal_members(one, other) : equal_elements(one, other);
}
