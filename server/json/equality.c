/* SPDX-License-Identifier: MIT */
#include "json/equality.h"

#include "json/decimal.h"
#include "json/json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 17 digits, sign, point, exponent, NUL. */
#define DOUBLE_TEXT 40

static const char *text_of(const cJSON *number, char room[DOUBLE_TEXT])
{
	const char *text = pipit_json_number_text(number);
	char *point;
	if (text != NULL)
		return text;
	/* as the printer */
	snprintf(room, DOUBLE_TEXT, "%.15g", number->valuedouble);
	if (strtod(room, NULL) != number->valuedouble)
		snprintf(room, DOUBLE_TEXT, "%.17g", number->valuedouble);
	point = strpbrk(room, ",");
	if (point != NULL)
		*point = '.';
	return room;
}

static bool equal_numbers(const cJSON *one, const cJSON *other)
{
	char rooms[2][DOUBLE_TEXT];
	const char *text = text_of(one, rooms[0]), *other_text = text_of(other, rooms[1]);
	struct pipit_decimal decimal, other_decimal;

	if (text == rooms[0] && other_text == rooms[1])
		return one->valuedouble == other->valuedouble;
	decimal = pipit_decimal_read(text, strlen(text));
	other_decimal = pipit_decimal_read(other_text, strlen(other_text));
	return pipit_decimal_compare_sizes(decimal, other_decimal) == 0 &&
	       (pipit_decimal_is_zero(&decimal) || (*text == '-') == (*other_text == '-'));
}

/* Most objects have their members in the same order. */
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

static bool equal_children(const cJSON *one, const cJSON *other, bool have_names)
{
	const cJSON *match = other->child;

	if (cJSON_GetArraySize(one) != cJSON_GetArraySize(other))
		return false;
	for (const cJSON *child = one->child; child; child = child->next) {
		if (have_names)
			match = find_member(other, match, child->string);
		if (!match || !pipit_json_equals(child, match))
			return false;
		match = match->next;
	}
	return true;
}

bool pipit_json_equals(const cJSON *one, const cJSON *other)
{
	if ((one->type & 0xff) != (other->type & 0xff))
		return false;
	if (cJSON_IsNumber(one))
		return equal_numbers(one, other);
	if (cJSON_IsString(one))
		return strcmp(one->valuestring, other->valuestring) == 0;
	return equal_children(one, other, cJSON_IsObject(one));
}
