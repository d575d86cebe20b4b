/* SPDX-License-Identifier: MIT */
/* The text is valid: the first character tells the kind of a value. */
#include "json/tree.h"

#include "base/bytes.h"
#include "base/slice.h"
#include "json/decimal.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

struct builder {
	const char *at, *end;
};

static void skip_space(struct builder *builder)
{
	const char *at = builder->at;

	while (at < builder->end && (unsigned char)*at <= ' ')
		at++;
	builder->at = at;
}

static const char *find_mark(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t word = pipit_bytes_load(at);
		uint64_t found = pipit_bytes_equal_either(word, '"', '\\');
		if (found)
			return at + pipit_bytes_first(found);
		at += 8;
	}
	while (*at != '"' && *at != '\\')
		at++;
	return at;
}

static unsigned hex4(const char *at)
{
	unsigned unit = 0;
	for (int i = 0; i < 4; i++)
		unit = unit << 4 | (unsigned)pipit_bytes_hex_value(at[i]);
	return unit;
}

static char *put_utf8(char *to, unsigned code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (char)(0xe0 | code >> 12);
		} else {
			*to++ = (char)(0xf0 | code >> 18);
			*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (code & 0x3f));
	return to;
}

static const char *take_escape(const char *at, char **to)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const char *letter;
	unsigned code;

	if (at[1] != 'u') {
		letter = strchr(letters, at[1]);
		*(*to)++ = letter ? meanings[letter - letters] : at[1];
		return at + 2;
	}
	code = hex4(at + 2);
	at += 6;
	if (code >= 0xd800 && code <= 0xdbff) {
		code = 0x10000 + ((code & 0x3ff) << 10 | (hex4(at + 2) & 0x3ff));
		at += 6;
	}
	*to = put_utf8(*to, code);
	return at;
}

static const char *find_string_end(const char *mark, const char *end)
{
	while (*mark != '"')
		mark = find_mark(mark + 2, end);
	return mark + 1;
}

/* From the first backslash on. No escape is shorter than its character. */
static void unescape(const char *mark, const char *end, char *to)
{
	while (*mark != '"') {
		const char *plain = take_escape(mark, &to);
		mark = find_mark(plain, end);
		to = pipit_bytes_put(to, plain, (size_t)(mark - plain));
	}
	*to = '\0';
}

static char *take_string(struct builder *builder)
{
	const char *start = builder->at + 1, *mark = find_mark(start, builder->end);
	size_t plain = (size_t)(mark - start);
	char *string;

	builder->at = find_string_end(mark, builder->end);
	string = cJSON_malloc((size_t)(builder->at - start));
	if (!string)
		return NULL;
	memcpy(string, start, plain);
	unescape(mark, builder->end, string + plain);
	return string;
}

#define SHORT_DIGITS 15

static bool is_of_number(char byte)
{
	return pipit_bytes_is_digit(byte) || byte == '.' || byte == '-' || byte == '+' || (byte | 0x20) == 'e';
}

static char *copy(struct pipit_slice text)
{
	char *bytes = cJSON_malloc(text.length + 1);
	if (!bytes)
		return NULL;
	memcpy(bytes, text.data, text.length);
	bytes[text.length] = '\0';
	return bytes;
}

/* At most 15 digits, which a double holds; else takes nothing. */
static bool take_short_whole(struct builder *builder, double *value)
{
	const char *at = builder->at, *digits;
	uint64_t whole = 0;
	bool is_negative = *at == '-';

	at += is_negative;
	for (digits = at; at < builder->end && pipit_bytes_is_digit(*at); at++)
		whole = whole * 10 + (uint64_t)(*at - '0');
	if (at - digits > SHORT_DIGITS || (at < builder->end && is_of_number(*at)))
		return false;
	builder->at = at;
	*value = is_negative ? -(double)whole : (double)whole;
	return true;
}

static struct pipit_slice take_number(struct builder *builder)
{
	const char *text = builder->at, *at = text;

	while (at < builder->end && is_of_number(*at))
		at++;
	builder->at = at;
	return (struct pipit_slice){ text, (size_t)(at - text) };
}

static bool build_number(struct builder *builder, cJSON *item)
{
	struct pipit_slice text;
	struct pipit_decimal decimal;
	double value;

	item->type = cJSON_Number;
	/* Also sets valueint. */
	if (take_short_whole(builder, &value)) {
		cJSON_SetNumberHelper(item, value);
		return true;
	}
	text = take_number(builder);
	decimal = pipit_decimal_read(text.data, text.length);
	value = pipit_decimal_value(decimal);
	cJSON_SetNumberHelper(item, *text.data == '-' ? -value : value);
	if (pipit_decimal_fits_double(decimal))
		return true;
	item->valuestring = copy(text);
	return item->valuestring != NULL;
}

static bool build_value(struct builder *builder, cJSON *item);

/* The scanner limits the recursion. */
static bool build_children(struct builder *builder, cJSON *parent, char closing)
{
	builder->at++;
	skip_space(builder);
	while (*builder->at != closing) {
		/* linked before it is filled, so that the tree frees it */
		cJSON *item = cJSON_CreateNull();
		if (!item || !cJSON_AddItemToArray(parent, item))
			return false;
		if (parent->type == cJSON_Object) {
			item->string = take_string(builder);
			if (!item->string)
				return false;
			skip_space(builder);
			builder->at++;
			skip_space(builder);
		}
		if (!build_value(builder, item))
			return false;
		skip_space(builder);
		if (*builder->at != ',')
			break;
		builder->at++;
		skip_space(builder);
	}
	builder->at++;
	return true;
}

/* item: from cJSON_CreateNull(). */
static bool build_value(struct builder *builder, cJSON *item)
{
	switch (*builder->at) {
	case '{':
		item->type = cJSON_Object;
		return build_children(builder, item, '}');
	case '[':
		item->type = cJSON_Array;
		return build_children(builder, item, ']');
	case '"':
		item->type = cJSON_String;
		item->valuestring = take_string(builder);
		return item->valuestring != NULL;
	case 't':
		item->type = cJSON_True;
		item->valueint = 1;
		builder->at += sizeof "true" - 1;
		return true;
	case 'f':
		item->type = cJSON_False;
		builder->at += sizeof "false" - 1;
		return true;
	case 'n':
		builder->at += sizeof "null" - 1;
		return true;
	default:
		return build_number(builder, item);
	}
}

cJSON *pipit_tree_build(const char *text, size_t length)
{
	struct builder builder = { text, text + length };
	cJSON *doc = cJSON_CreateNull();

	skip_space(&builder);
	if (doc && build_value(&builder, doc))
		return doc;
	cJSON_Delete(doc);
	return NULL;
}
