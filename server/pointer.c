/* SPDX-License-Identifier: MIT */
/* See pointer.h. */
#include "pointer.h"

#include <cjson/cJSON.h>
#include <stdint.h>

bool pipit_pointer_is_valid(struct pipit_slice pointer)
{
	if (pointer.length && pointer.data[0] != '/')
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
	const char *start, *slash;

	if (pointer->length == 0)
		return false;
	start = pointer->data + 1;
	slash = memchr(start, '/', pointer->length - 1);
	token->data = start;
	token->length = slash ? (size_t)(slash - start) : pointer->length - 1;
	pointer->data = start + token->length;
	pointer->length -= 1 + token->length;
	return true;
}

/* One byte of a token, unescaped. */
static char take_byte(const char **at)
{
	const char *text = *at;
	*at += *text == '~' ? 2 : 1;
	if (*text != '~')
		return *text;
	return text[1] == '1' ? '/' : '~';
}

size_t pipit_pointer_unescape(struct pipit_slice token, char *to)
{
	const char *at = token.data, *end = at + token.length;
	char *out = to;
	while (at < end)
		*out++ = take_byte(&at);
	return (size_t)(out - to);
}

bool pipit_pointer_names(struct pipit_slice token, const char *name)
{
	const char *at = token.data, *end = at + token.length;
	while (at < end && *name) {
		if (take_byte(&at) != *name++)
			return false;
	}
	return at == end && *name == '\0';
}

bool pipit_pointer_index(struct pipit_slice token, size_t *index)
{
	size_t number = 0;

	if (token.length == 0 || (token.data[0] == '0' && token.length > 1))
		return false;
	for (size_t i = 0; i < token.length; i++) {
		size_t digit = (size_t)(token.data[i] - '0');
		if (digit > 9 || number > (SIZE_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
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
		if (end - at < 1 + is_escaped)
			return NULL;
		if (is_escaped)
			*at++ = '~';
		*at++ = !is_escaped ? name.data[i] : name.data[i] == '/' ? '1' : '0';
	}
	return at;
}

static cJSON *find_element(const cJSON *array, struct pipit_slice token)
{
	size_t index;
	cJSON *item = array->child;

	if (!pipit_pointer_index(token, &index))
		return NULL;
	while (item && index--)
		item = item->next;
	return item;
}

static cJSON *find_member(const cJSON *object, struct pipit_slice token)
{
	cJSON *item = object->child;
	while (item && !(item->string && pipit_pointer_names(token, item->string)))
		item = item->next;
	return item;
}

cJSON *pipit_pointer_child(const cJSON *container, struct pipit_slice token)
{
	if (cJSON_IsObject(container))
		return find_member(container, token);
	return cJSON_IsArray(container) ? find_element(container, token) : NULL;
}

cJSON *pipit_pointer_find(const cJSON *doc, struct pipit_slice pointer)
{
	const cJSON *item = doc;
	struct pipit_slice token;

	while (item && pipit_pointer_next(&pointer, &token))
		item = pipit_pointer_child(item, token);
	return (cJSON *)item;
}

bool pipit_pointer_split(struct pipit_slice pointer, struct pipit_slice *parent, struct pipit_slice *last)
{
	size_t at = pointer.length;

	if (at == 0)
		return false;
	while (pointer.data[at - 1] != '/')
		at--;
	*parent = (struct pipit_slice){ pointer.data, at - 1 };
	*last = (struct pipit_slice){ pointer.data + at, pointer.length - at };
	return true;
}
