/* SPDX-License-Identifier: MIT */
/* Tokens are compared escaped, without memory. */
#include "json/pointer.h"

#include <cjson/cJSON.h>
#include <stdint.h>

bool pipit_pointer_is_valid(struct pipit_slice pointer)
{
	if (pointer.length > 0 && pointer.data[0] != '/')
		return false;
	for (size_t i = 0; i < pointer.length; i++) {
		if (pointer.data[i] != '~')
			continue;
		if (i + 1 == pointer.length || (pointer.data[i + 1] != '0' && pointer.data[i + 1] != '1'))
			return false;
	}
	return true;
}

bool pipit_pointer_next(struct pipit_slice *pointer, struct pipit_slice *token)
{
	size_t end = 1;

	if (pointer->length == 0)
		return false;
	while (end < pointer->length && pointer->data[end] != '/')
		end++;
	*token = (struct pipit_slice){ pointer->data + 1, end - 1 };
	*pointer = (struct pipit_slice){ pointer->data + end, pointer->length - end };
	return true;
}

static char take_byte(const char **at)
{
	char byte = *(*at)++;

	if (byte != '~')
		return byte;
	return *(*at)++ == '0' ? '~' : '/';
}

size_t pipit_pointer_unescape(struct pipit_slice token, char *to)
{
	const char *at = token.data, *end = at + token.length;
	size_t length = 0;

	while (at < end)
		to[length++] = take_byte(&at);
	return length;
}

bool pipit_pointer_index(struct pipit_slice token, size_t *index)
{
	size_t number = 0;

	if (token.length == 0 || (token.data[0] == '0' && token.length > 1))
		return false;
	for (size_t i = 0; i < token.length; i++) {
		size_t digit = (size_t)(token.data[i] - '0');
		if (token.data[i] < '0' || token.data[i] > '9')
			return false;
		number = number > (SIZE_MAX - digit) / 10 ? SIZE_MAX : number * 10 + digit;
	}
	*index = number;
	return true;
}

char *pipit_pointer_put(char *at, const char *end, struct pipit_slice name)
{
	if (at == end)
		return NULL;
	*at++ = '/';
	for (size_t i = 0; i < name.length; i++) {
		bool is_escaped = name.data[i] == '~' || name.data[i] == '/';
		if ((size_t)(end - at) < 1 + (size_t)is_escaped)
			return NULL;
		*at++ = is_escaped ? '~' : name.data[i];
		if (is_escaped)
			*at++ = name.data[i] == '~' ? '0' : '1';
	}
	return at;
}

/* A token with a NUL matches no name of cJSON. */
static bool is_name(struct pipit_slice token, const char *name)
{
	const char *at = token.data, *end = at + token.length;

	for (; at < end; name++) {
		if (*name == '\0' || take_byte(&at) != *name)
			return false;
	}
	return *name == '\0';
}

static const cJSON *find_member(const cJSON *object, struct pipit_slice token)
{
	for (const cJSON *member = object->child; member; member = member->next) {
		if (member->string && is_name(token, member->string))
			return member;
	}
	return NULL;
}

/* cJSON_GetArrayItem() takes an int. */
static const cJSON *find_element(const cJSON *array, struct pipit_slice token)
{
	const cJSON *element = array->child;
	size_t index;

	if (!pipit_pointer_index(token, &index))
		return NULL;
	while (element && index-- > 0)
		element = element->next;
	return element;
}

struct cJSON *pipit_pointer_find(const struct cJSON *doc, struct pipit_slice pointer)
{
	struct pipit_slice token;

	while (doc && pipit_pointer_next(&pointer, &token)) {
		if (cJSON_IsObject(doc))
			doc = find_member(doc, token);
		else
			doc = cJSON_IsArray(doc) ? find_element(doc, token) : NULL;
	}
	return (cJSON *)doc;
}
