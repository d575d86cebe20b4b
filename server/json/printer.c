/* SPDX-License-Identifier: MIT */
/* Room is reserved once per item, so that loops over bytes need no check. */
#include "json/printer.h"

#include "base/bytes.h"
#include "json/decimal.h"
#include "json/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* sign, 17 digits, point, "e-308" (or 20 digits), and a mark */
#define NUMBER_BYTES_MAX PIPIT_DECIMAL_TEXT_MAX
/* "\u001f" */
#define ESCAPE_BYTES 6
#define CAPACITY_FIRST 256

static int grow(struct pipit_printer *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : CAPACITY_FIRST;
	char *bytes;

	if (more > SIZE_MAX / 4 - text->length)
		return -ENOMEM;
	while (capacity - text->length < more)
		capacity *= 2;
	bytes = text->is_allocated ? realloc(text->bytes, capacity) : malloc(capacity);
	if (!bytes)
		return -ENOMEM;
	if (!text->is_allocated && text->length)
		memcpy(bytes, text->bytes, text->length);
	text->bytes = bytes;
	text->capacity = capacity;
	text->is_allocated = true;
	return 0;
}

static int reserve(struct pipit_printer *text, size_t more)
{
	return text->capacity - text->length < more ? grow(text, more) : 0;
}

/* Leaves room for a mark (quotation mark, colon or comma): put_mark() does not check. */
static int put(struct pipit_printer *text, const char *bytes, size_t length)
{
	if (reserve(text, length + 1) != 0)
		return -ENOMEM;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	return 0;
}

static int put_byte(struct pipit_printer *text, char byte)
{
	if (reserve(text, 2) != 0)
		return -ENOMEM;
	text->bytes[text->length++] = byte;
	return 0;
}

static void put_mark(struct pipit_printer *text, char byte)
{
	text->bytes[text->length++] = byte;
}

static size_t plain_length(const char *at, size_t length)
{
	static const bool is_plain[256] = { [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 255] = true };
	size_t i = 0;

	for (; length - i >= 8; i += 8) {
		uint64_t marks = pipit_bytes_json_special(pipit_bytes_load(at + i));
		if (marks)
			return i + pipit_bytes_first(marks);
	}
	while (i < length && is_plain[(unsigned char)at[i]])
		i++;
	return i;
}

static char *put_escape(char *at, unsigned char byte)
{
	static const char shorts[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
	const char *found = memchr(shorts, byte, sizeof shorts - 1);

	*at++ = '\\';
	if (found) {
		*at++ = letters[found - shorts];
		return at;
	}
	return pipit_bytes_put_hex(PIPIT_BYTES_PUT(at, "u00"), byte, 2);
}

/* Leaves room for two marks. */
static int put_escaped(struct pipit_printer *text, const char *string, size_t length)
{
	char *at;

	if (length > SIZE_MAX / ESCAPE_BYTES - 2)
		return -ENOMEM;
	/* most strings have no escapes */
	if (reserve(text, length + 2) != 0)
		return -ENOMEM;
	while (length > 0) {
		size_t plain = plain_length(string, length);
		memcpy(text->bytes + text->length, string, plain);
		text->length += plain;
		string += plain;
		length -= plain;
		if (length == 0)
			break;
		if (reserve(text, length * ESCAPE_BYTES + 2) != 0)
			return -ENOMEM;
		at = put_escape(text->bytes + text->length, (unsigned char)*string++);
		text->length = (size_t)(at - text->bytes);
		length--;
	}
	return 0;
}

static int put_string(struct pipit_printer *text, const char *string)
{
	size_t length = string ? strlen(string) : 0;
	int error;

	if (text->limit && length > text->limit)
		return -E2BIG;
	error = put_byte(text, '"');
	if (error == 0)
		error = put_escaped(text, string, length);
	if (error == 0)
		put_mark(text, '"');
	return error;
}

static size_t render_whole(char *start, uint64_t number, bool is_negative)
{
	char *at = start;
	if (is_negative)
		*at++ = '-';
	return (size_t)(pipit_bytes_put_number(at, number) - start);
}

/* In this range printf() prints 15 digits without an exponent. */
#define PLAIN_MIN 1e-4
#define PLAIN_MAX 1e15

/*
 * Like "%1.15g" in a twentieth of the time. A double holds the digits and the power of ten exactly, so the text is read
 * back as their quotient. 0 for other numbers.
 */
static size_t render_short(char *at, double number)
{
	double size = fabs(number), power = 10;
	size_t places = 1, length;
	uint64_t digits = 0, whole;

	if (size < PLAIN_MIN || size >= PLAIN_MAX)
		return 0;
	for (; size * power < PLAIN_MAX; power *= 10, places++) {
		digits = (uint64_t)(size * power + 0.5);
		if ((double)digits / power == size)
			break;
	}
	if (size * power >= PLAIN_MAX)
		return 0;
	whole = digits / (uint64_t)power;
	length = render_whole(at, whole, number < 0);
	at[length++] = '.';
	digits -= whole * (uint64_t)power;
	for (size_t i = places; i > 0; i--, digits /= 10)
		at[length + i - 1] = (char)('0' + digits % 10);
	return length + places;
}

static size_t render_fraction(char *at, double number)
{
	size_t length = render_short(at, number);
	return length ? length : pipit_decimal_print(at, number);
}

static int put_number(struct pipit_printer *text, const cJSON *item)
{
	double number = item->valuedouble, size = fabs(number);
	const char *exact = item->valuestring ? pipit_json_number_text(item) : NULL;

	if (exact)
		return put(text, exact, strlen(exact));
	if (!isfinite(number))
		return put(text, "null", 4);
	if (reserve(text, NUMBER_BYTES_MAX) != 0)
		return -ENOMEM;
	/* Like cJSON: an exponent from 16 digits on. */
	if (size < 1e15 && size == (double)(int64_t)size && (size > 0 || !signbit(number)))
		text->length += render_whole(text->bytes + text->length, (uint64_t)size, number < 0);
	else
		text->length += render_fraction(text->bytes + text->length, number);
	return 0;
}

static int put_value(struct pipit_printer *text, const cJSON *item, unsigned depth);

static int put_name(struct pipit_printer *text, const char *name)
{
	int error = put_string(text, name);
	if (error == 0)
		put_mark(text, ':');
	return error;
}

static int put_members(struct pipit_printer *text, const cJSON *container, bool has_names, unsigned depth)
{
	int error = depth >= CJSON_NESTING_LIMIT ? -EINVAL : put_byte(text, has_names ? '{' : '[');

	for (const cJSON *item = container->child; item && error == 0; item = item->next) {
		if (item != container->child)
			put_mark(text, ',');
		if (has_names)
			error = put_name(text, item->string);
		if (error == 0)
			error = put_value(text, item, depth + 1);
	}
	return error != 0 ? error : put_byte(text, has_names ? '}' : ']');
}

static int put_value(struct pipit_printer *text, const cJSON *item, unsigned depth)
{
	if (text->limit && text->length > text->limit)
		return -E2BIG;
	switch (item->type & 0xff) {
	case cJSON_String:
		return put_string(text, item->valuestring);
	case cJSON_Number:
		return put_number(text, item);
	case cJSON_Object:
		return put_members(text, item, true, depth);
	case cJSON_Array:
		return put_members(text, item, false, depth);
	case cJSON_True:
		return put(text, "true", 4);
	case cJSON_False:
		return put(text, "false", 5);
	case cJSON_NULL:
		return put(text, "null", 4);
	case cJSON_Raw:
		return item->valuestring ? put(text, item->valuestring, strlen(item->valuestring)) : -EINVAL;
	default:
		return -EINVAL;
	}
}

int pipit_printer_print(struct pipit_printer *text, const cJSON *doc)
{
	return put_value(text, doc, 0);
}

int pipit_printer_text(const cJSON *doc, char **text, size_t *length)
{
	struct pipit_printer printer = pipit_printer_in(NULL, 0);
	int result = pipit_printer_print(&printer, doc);

	if (result != 0) {
		pipit_printer_clear(&printer);
		return result;
	}
	*text = printer.bytes;
	*length = printer.length;
	return 0;
}

void pipit_printer_clear(struct pipit_printer *text)
{
	if (text->is_allocated)
		free(text->bytes);
	*text = pipit_printer_in(NULL, 0);
}

/* --- printing in pieces ---------------------------------------------------------------------------------------------- */

/* one step */
#define STRING_PIECE 4096
#define STEP_BYTES_MAX (STRING_PIECE * ESCAPE_BYTES + NUMBER_BYTES_MAX)

struct pipit_printing {
	const cJSON *item;    /* NULL: continue the open one */
	const char *string;   /* the rest; NULL: none */
	bool is_raw, is_name; /* not escaped; before a colon */
	size_t depth;
	struct level {
		const cJSON *next; /* NULL: print the closing bracket */
		bool has_names, is_begun;
	} levels[CJSON_NESTING_LIMIT];
};

static bool is_printable(const cJSON *item, unsigned depth)
{
	int type = item->type & 0xff;

	if (type == cJSON_Raw)
		return item->valuestring != NULL;
	if (type != cJSON_Array && type != cJSON_Object)
		return type == cJSON_String || type == cJSON_Number || type == cJSON_True || type == cJSON_False ||
		       type == cJSON_NULL;
	if (depth >= CJSON_NESTING_LIMIT)
		return false;
	for (const cJSON *child = item->child; child; child = child->next) {
		if (!is_printable(child, depth + 1))
			return false;
	}
	return true;
}

/* With the overhead of malloc(). */
static size_t block_bytes(const char *string)
{
	return string ? strlen(string) + 24 : 0;
}

size_t pipit_printing_tree_bytes(const cJSON *doc, bool *has_references)
{
	size_t bytes = sizeof *doc + 16 + block_bytes(doc->string) + block_bytes(doc->valuestring);

	*has_references |= (doc->type & cJSON_IsReference) != 0;
	for (const cJSON *child = doc->child; child; child = child->next)
		bytes += pipit_printing_tree_bytes(child, has_references);
	return bytes;
}

int pipit_printing_new(const cJSON *doc, struct pipit_printing **result)
{
	struct pipit_printing *printing;

	if (!is_printable(doc, 0))
		return -EINVAL;
	printing = malloc(sizeof *printing);
	if (!printing)
		return -ENOMEM;
	printing->item = doc;
	printing->string = NULL;
	printing->depth = 0;
	*result = printing;
	return 0;
}

void pipit_printing_free(struct pipit_printing *printing)
{
	free(printing);
}

static void begin_text(
    struct pipit_printing *printing, struct pipit_printer *text, const char *string, bool is_raw, bool is_name)
{
	printing->string = string ? string : "";
	printing->is_raw = is_raw;
	printing->is_name = is_name;
	if (!is_raw)
		put_byte(text, '"');
}

static void print_text(struct pipit_printing *printing, struct pipit_printer *text)
{
	size_t length = strnlen(printing->string, STRING_PIECE);

	if (printing->is_raw)
		put(text, printing->string, length);
	else
		put_escaped(text, printing->string, length);
	printing->string += length;
	if (*printing->string != '\0')
		return;
	printing->string = NULL;
	if (!printing->is_raw)
		put_byte(text, '"');
	if (printing->is_name)
		put_byte(text, ':');
}

static void begin_item(struct pipit_printing *printing, struct pipit_printer *text)
{
	const cJSON *item = printing->item;
	const char *exact = cJSON_IsNumber(item) && item->valuestring ? pipit_json_number_text(item) : NULL;

	printing->item = NULL;
	if (cJSON_IsString(item)) {
		begin_text(printing, text, item->valuestring, false, false);
	} else if (cJSON_IsRaw(item) || exact) {
		begin_text(printing, text, exact ? exact : item->valuestring, true, false);
	} else if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
		printing->levels[printing->depth++] = (struct level){ item->child, cJSON_IsObject(item), false };
		put_byte(text, cJSON_IsObject(item) ? '{' : '[');
	} else {
		put_value(text, item, 0);
	}
}

static void print_next(struct pipit_printing *printing, struct pipit_printer *text)
{
	struct level *level = &printing->levels[printing->depth - 1];
	const cJSON *next = level->next;

	if (!next) {
		put_byte(text, level->has_names ? '}' : ']');
		printing->depth--;
		return;
	}
	if (level->is_begun)
		put_byte(text, ',');
	level->is_begun = true;
	level->next = next->next;
	printing->item = next;
	if (level->has_names)
		begin_text(printing, text, next->string, false, true);
}

size_t pipit_printing_next(struct pipit_printing *printing, char *room, size_t size)
{
	struct pipit_printer text = pipit_printer_in(room, size);

	while (size - text.length >= STEP_BYTES_MAX && (printing->string || printing->item || printing->depth)) {
		if (printing->string)
			print_text(printing, &text);
		else if (printing->item)
			begin_item(printing, &text);
		else
			print_next(printing, &text);
	}
	return text.length;
}
