/* SPDX-License-Identifier: MIT */
/* The scan_… functions move past what they are named after. They return false after fail(). */
#include "json/json.h"

#include "base/bytes.h"
#include "pipit.h"
#include "json/child_index.h"
#include "json/decimal.h"
#include "json/pointer.h"
#include "json/tree.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_LIMIT 512

enum expected {
	VALUE,
	VALUE_OR_END, /* after '[' */
	NAME,
	NAME_OR_END, /* after '{' */
	COMMA_OR_END /* after a value; at depth 0: the end */
};

struct scanner {
	const char *text;
	size_t length;
	size_t at;
	size_t depth;
	size_t max_depth;
	size_t members;
	size_t values, max_values;
	enum expected expected;
	unsigned char is_object[DEPTH_LIMIT / 8]; /* per level */
	bool is_in_object;
	const char *message;
};

static bool fail(struct scanner *scanner, size_t at, const char *message)
{
	scanner->at = at;
	scanner->message = message;
	return false;
}

static int peek(const struct scanner *scanner)
{
	return scanner->at < scanner->length ? (unsigned char)scanner->text[scanner->at] : -1;
}

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip_space(struct scanner *scanner)
{
	size_t at = scanner->at;

	while (at < scanner->length && is_space(scanner->text[at]))
		at++;
	scanner->at = at;
}

/* ---------------------------------------------------------------- numbers */

static bool skip_digits(struct scanner *scanner)
{
	size_t start = scanner->at, at = start;

	while (at < scanner->length && pipit_bytes_is_digit(scanner->text[at]))
		at++;
	scanner->at = at;
	return at > start;
}

static bool scan_integer(struct scanner *scanner)
{
	if (peek(scanner) == '-')
		scanner->at++;
	if (peek(scanner) != '0')
		return skip_digits(scanner) || fail(scanner, scanner->at, "expected a digit after '-'");
	scanner->at++;
	if (pipit_bytes_is_digit(peek(scanner)))
		return fail(scanner, scanner->at,
		    "a number has no leading zeros: expected '.', 'e' or the end of the number after 0");
	return true;
}

static bool scan_fraction(struct scanner *scanner)
{
	if (peek(scanner) != '.')
		return true;
	scanner->at++;
	return skip_digits(scanner) || fail(scanner, scanner->at, "expected a digit after the decimal point");
}

static bool scan_exponent(struct scanner *scanner)
{
	if (peek(scanner) != 'e' && peek(scanner) != 'E')
		return true;
	scanner->at++;
	if (peek(scanner) == '+' || peek(scanner) == '-')
		scanner->at++;
	return skip_digits(scanner) || fail(scanner, scanner->at, "expected a digit in the exponent");
}

/* Numbers with fewer characters and no exponent are within the range of double. */
#define DIGITS_BEYOND_DOUBLE 309

static bool scan_number(struct scanner *scanner)
{
	size_t start = scanner->at, digits_end;
	const char *text = scanner->text + start;

	if (!scan_integer(scanner) || !scan_fraction(scanner))
		return false;
	digits_end = scanner->at;
	if (!scan_exponent(scanner))
		return false;
	if (scanner->at == digits_end && digits_end - start < DIGITS_BEYOND_DOUBLE)
		return true;
	if (pipit_decimal_is_beyond_double(pipit_decimal_read(text, scanner->at - start)))
		return fail(scanner, start,
		    "the number is too large: expected one within the range of a double, up to 1.79e308");
	return true;
}

/* ---------------------------------------------------------------- strings */

static bool scan_hex4(struct scanner *scanner, unsigned *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++) {
		int digit = pipit_bytes_hex_value(peek(scanner));
		if (digit < 0)
			return fail(scanner, scanner->at, "expected four hexadecimal digits after \\u");
		*unit = *unit * 16 + (unsigned)digit;
		scanner->at++;
	}
	return true;
}

static bool scan_low_surrogate(struct scanner *scanner, size_t start)
{
	static const char expected[] = "\\u";
	unsigned unit;

	for (size_t i = 0; i < 2; i++) {
		if (peek(scanner) < 0)
			return fail(
			    scanner, scanner->at, "the text ends after a high surrogate: expected \\uDC00 to \\uDFFF");
		if (peek(scanner) != expected[i])
			return fail(scanner, start,
			    "a high surrogate stands alone: expected \\uDC00 to \\uDFFF right after it");
		scanner->at++;
	}
	if (!scan_hex4(scanner, &unit))
		return false;
	if (unit < 0xdc00 || unit > 0xdfff)
		return fail(
		    scanner, start, "a high surrogate stands alone: expected \\uDC00 to \\uDFFF right after it");
	return true;
}

/* Behind "\u". start: of the escape. */
static bool scan_unicode_escape(struct scanner *scanner, size_t start)
{
	unsigned unit;

	if (!scan_hex4(scanner, &unit))
		return false;
	/* cJSON would lose the rest of the string. */
	if (unit == 0)
		return fail(scanner, start, "\\u0000 is not supported in strings: expected any other character");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(
		    scanner, start, "a low surrogate stands alone: expected \\uD800 to \\uDBFF right before it");
	if (unit >= 0xd800 && unit <= 0xdbff)
		return scan_low_surrogate(scanner, start);
	return true;
}

static bool scan_escape(struct scanner *scanner)
{
	size_t start = scanner->at++;
	int byte = peek(scanner);

	if (byte < 0)
		return fail(
		    scanner, scanner->at, "the text ends within an escape: expected one of \" \\ / b f n r t u");
	if (byte == '\0' || strchr("\"\\/bfnrtu", byte) == NULL)
		return fail(scanner, scanner->at, "expected one of \" \\ / b f n r t u after a backslash");
	scanner->at++;
	return byte != 'u' || scan_unicode_escape(scanner, start);
}

static bool scan_utf8(struct scanner *scanner)
{
	static const char message[] = "invalid UTF-8: expected a well-formed character (RFC 3629)";
	size_t start = scanner->at;
	struct pipit_utf8_form form = pipit_bytes_utf8_form(peek(scanner));

	if (form.following == 0)
		return fail(scanner, start, message);
	for (scanner->at++; form.following > 0; form.following--) {
		int byte = peek(scanner);
		if (byte < 0)
			return fail(scanner, scanner->at,
			    "the text ends within a UTF-8 character: expected its remaining bytes");
		if (byte < form.low || byte > form.high)
			return fail(scanner, start, message);
		form.low = 0x80;
		form.high = 0xbf;
		scanner->at++;
	}
	return true;
}

static bool scan_character(struct scanner *scanner)
{
	int byte = peek(scanner);

	if (byte < 0)
		return fail(scanner, scanner->at, "the text ends within a string: expected '\"'");
	if (byte < 0x20)
		return fail(
		    scanner, scanner->at, "control character in a string: expected an escape, such as \\n or \\u001f");
	if (byte == '\\')
		return scan_escape(scanner);
	if (byte >= 0x80)
		return scan_utf8(scanner);
	scanner->at++;
	return true;
}

static void skip_plain(struct scanner *scanner)
{
	size_t at = scanner->at;

	for (; scanner->length - at >= 8; at += 8) {
		uint64_t word = pipit_bytes_load(scanner->text + at);
		uint64_t marks = pipit_bytes_json_special(word) | pipit_bytes_above_ascii(word);
		if (marks) {
			at += pipit_bytes_first(marks);
			break;
		}
	}
	scanner->at = at;
}

static bool scan_string(struct scanner *scanner)
{
	scanner->at++;
	skip_plain(scanner);
	while (peek(scanner) != '"') {
		if (!scan_character(scanner))
			return false;
		skip_plain(scanner);
	}
	scanner->at++;
	return true;
}

/* ---------------------------------------------------------------- values, arrays, objects */

static bool open_container(struct scanner *scanner, bool is_object)
{
	size_t level = scanner->depth;
	unsigned char bit = (unsigned char)(1u << level % 8);

	if (level == scanner->max_depth)
		return fail(
		    scanner, scanner->at, "nested too deeply: expected fewer arrays and objects within each other");
	if (is_object)
		scanner->is_object[level / 8] |= bit;
	else
		scanner->is_object[level / 8] &= (unsigned char)~bit;
	scanner->is_in_object = is_object;
	scanner->depth++;
	scanner->at++;
	scanner->expected = is_object ? NAME_OR_END : VALUE_OR_END;
	return true;
}

static bool close_container(struct scanner *scanner)
{
	size_t level;

	scanner->depth--;
	scanner->at++;
	scanner->expected = COMMA_OR_END;
	if (scanner->depth == 0)
		return true;
	level = scanner->depth - 1;
	scanner->is_in_object = scanner->is_object[level / 8] >> level % 8 & 1;
	return true;
}

static bool scan_word(struct scanner *scanner, const char *word, const char *message)
{
	for (; *word != '\0'; word++) {
		if (peek(scanner) != *word)
			return fail(scanner, scanner->at, message);
		scanner->at++;
	}
	return true;
}

static bool fail_value(struct scanner *scanner)
{
	int byte = peek(scanner);
	const char *message = "expected a value: an object, array, string, number, true, false or null";

	if (byte < 0)
		message = scanner->depth == 0 ? "the text is empty: expected a value"
					      : "the text ends too early: expected a value";
	else if (byte == ']' && scanner->depth > 0 && !scanner->is_in_object)
		message = "expected a value after ',': an array does not end with a comma";
	else if (scanner->expected == VALUE_OR_END)
		message = "expected a value or ']' after '['";
	else if (byte == '\'')
		message = "expected a value: strings are in double quotes";
	else if (byte == '/' || byte == '#')
		message = "expected a value: JSON has no comments";
	else if (byte == '+' || byte == '.')
		message = "expected a value: a number begins with a digit or '-'";
	else if (pipit_bytes_is_letter(byte))
		message = "expected a value: the only words are true, false and null";
	return fail(scanner, scanner->at, message);
}

static bool scan_scalar(struct scanner *scanner)
{
	int byte = peek(scanner);

	scanner->expected = COMMA_OR_END;
	if (byte == '"')
		return scan_string(scanner);
	if (byte == 't')
		return scan_word(scanner, "true", "expected 'true'");
	if (byte == 'f')
		return scan_word(scanner, "false", "expected 'false'");
	if (byte == 'n')
		return scan_word(scanner, "null", "expected 'null'");
	return scan_number(scanner);
}

static bool scan_value(struct scanner *scanner)
{
	int byte = peek(scanner);

	if (byte == ']' && scanner->expected == VALUE_OR_END)
		return close_container(scanner);
	/* each costs an allocation, at as little as two bytes of text */
	if (++scanner->values > scanner->max_values && scanner->max_values)
		return fail(scanner, scanner->at, "too many values: expected fewer in the whole document");
	if (byte == '{' || byte == '[')
		return open_container(scanner, byte == '{');
	if (byte == '"' || byte == 't' || byte == 'f' || byte == 'n' || byte == '-' || pipit_bytes_is_digit(byte))
		return scan_scalar(scanner);
	return fail_value(scanner);
}

static bool fail_name(struct scanner *scanner)
{
	int byte = peek(scanner);
	const char *message = "expected a name in double quotes";

	if (byte < 0)
		message = "the text ends within an object: expected a name in double quotes";
	else if (scanner->expected == NAME_OR_END)
		message = "expected a name in double quotes or '}' after '{'";
	else if (byte == '}')
		message = "expected a name after ',': an object does not end with a comma";
	return fail(scanner, scanner->at, message);
}

static bool scan_name(struct scanner *scanner)
{
	if (peek(scanner) == '}' && scanner->expected == NAME_OR_END)
		return close_container(scanner);
	if (peek(scanner) != '"')
		return fail_name(scanner);
	scanner->members++;
	if (!scan_string(scanner))
		return false;
	skip_space(scanner);
	if (peek(scanner) != ':')
		return fail(scanner, scanner->at, "expected ':' after a member's name");
	scanner->at++;
	scanner->expected = VALUE;
	return true;
}

static bool scan_separator(struct scanner *scanner)
{
	bool is_object = scanner->is_in_object;
	int byte = peek(scanner);

	if (scanner->depth == 0)
		return fail(scanner, scanner->at, "expected nothing but white space after the value");
	if (byte == (is_object ? '}' : ']'))
		return close_container(scanner);
	if (byte != ',')
		return fail(scanner, scanner->at,
		    is_object ? "expected ',' or '}' after a member's value"
			      : "expected ',' or ']' after an array element");
	scanner->at++;
	scanner->expected = is_object ? NAME : VALUE;
	return true;
}

static bool scan_next(struct scanner *scanner)
{
	switch (scanner->expected) {
	case VALUE:
	case VALUE_OR_END:
		return scan_value(scanner);
	case NAME:
	case NAME_OR_END:
		return scan_name(scanner);
	case COMMA_OR_END:
		break;
	}
	return scan_separator(scanner);
}

static bool is_complete(const struct scanner *scanner)
{
	return scanner->at == scanner->length && scanner->expected == COMMA_OR_END && scanner->depth == 0;
}

static bool scan_text(struct scanner *scanner)
{
	if (scanner->length >= 3 && memcmp(scanner->text, "\xef\xbb\xbf", 3) == 0)
		return fail(scanner, 0,
		    "the text begins with a byte order mark: expected a value first (RFC 8259 section 8.1)");
	for (;;) {
		skip_space(scanner);
		if (is_complete(scanner))
			return true;
		if (!scan_next(scanner))
			return false;
	}
}

/* ---------------------------------------------------------------- the position of an error */

struct level {
	bool is_object, has_name;
	size_t index;
	struct pipit_slice name; /* in the text, with quotation marks */
};

struct path {
	struct level levels[DEPTH_LIMIT];
	size_t depth;
};

static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		at += *at == '\\';
	return at < end ? at + 1 : end;
}

/* text: valid up to `end`. */
static void find_path(struct path *path, const char *text, const char *end)
{
	path->depth = 0;
	for (const char *at = text, *next; at < end; at = next) {
		struct level *level = path->depth ? &path->levels[path->depth - 1] : NULL;
		next = *at == '"' ? skip_string(at, end) : at + 1;
		if (*at == '{' || *at == '[')
			path->levels[path->depth++] = (struct level){ .is_object = *at == '{' };
		else if ((*at == '}' || *at == ']') && level)
			path->depth--;
		else if (*at == ',' && level)
			level->has_name = false, level->index++;
		else if (*at == '"' && level && level->is_object && !level->has_name)
			*level = (struct level){ true, true, 0, { at, (size_t)(next - at) } };
	}
}

static char *put_level(char *at, const char *end, const struct level *level)
{
	char digits[24];
	cJSON *name;

	if (!level->is_object) {
		snprintf(digits, sizeof digits, "%zu", level->index);
		return pipit_pointer_put(at, end, pipit_slice_of(digits));
	}
	name = cJSON_ParseWithLengthOpts(level->name.data, level->name.length, NULL, false);
	at = cJSON_IsString(name) ? pipit_pointer_put(at, end, pipit_slice_of(name->valuestring)) : NULL;
	cJSON_Delete(name);
	return at;
}

static void write_pointer(const char *text, size_t length, char pointer[PIPIT_JSON_POINTER_SIZE])
{
	static const char cut[] = "/…";
	struct path *path = malloc(sizeof *path);
	char *at = pointer, *end = pointer + PIPIT_JSON_POINTER_SIZE - sizeof cut;

	if (path)
		find_path(path, text, text + length);
	for (size_t i = 0; path && i < path->depth && at; i++) {
		const struct level *level = &path->levels[i];
		char *next;
		if (level->is_object && !level->has_name)
			break;
		next = put_level(at, end, level);
		if (!next)
			memcpy(at, cut, sizeof cut - 1), at += sizeof cut - 1;
		else
			at = next;
		if (!next)
			break;
	}
	*at = '\0';
	free(path);
}

static void locate(const char *text, size_t length, size_t at, const char *message, struct pipit_json_error *error)
{
	size_t line_start = 0;

	error->message = message;
	error->byte = at;
	error->line = 1;
	for (size_t i = 0; i < at; i++) {
		bool is_before_lf = i + 1 < length && text[i + 1] == '\n';
		if (text[i] == '\n' || (text[i] == '\r' && !is_before_lf)) {
			error->line++;
			line_start = i + 1;
		}
	}
	error->column = at - line_start + 1;
	write_pointer(text, at, error->pointer);
}

static int scan(const char *text, size_t length, const struct pipit_json_limits *limits, struct scanner *scanner,
    struct pipit_json_error *error)
{
	*scanner = (struct scanner){ .text = text,
		.length = length,
		.max_depth = limits->max_depth,
		.max_values = limits->max_values,
		.expected = VALUE };

	assert(limits->max_depth >= 1 && limits->max_depth <= DEPTH_LIMIT);
	if (scan_text(scanner))
		return 0;
	locate(text, length, scanner->at, scanner->message, error);
	return -EINVAL;
}

int pipit_json_check(
    const char *text, size_t length, const struct pipit_json_limits *limits, struct pipit_json_error *error)
{
	struct scanner scanner;

	return scan(text, length, limits, &scanner, error);
}

/* ---------------------------------------------------------------- numbers that a double cannot hold */

const char *pipit_json_number_text(const cJSON *number)
{
	const char *text = number->valuestring;
	double value;

	if (text == NULL)
		return NULL;
	/* A program may have changed valuedouble. */
	value = pipit_decimal_value(pipit_decimal_read(text, strlen(text)));
	return number->valuedouble == (*text == '-' ? -value : value) ? text : NULL;
}

/* ---------------------------------------------------------------- duplicate names */

#define FEW_MEMBERS 16

static const cJSON *find_duplicate_of_few(const cJSON *object)
{
	for (const cJSON *member = object->child; member; member = member->next) {
		for (const cJSON *before = object->child; before != member; before = before->next) {
			if (*before->string == *member->string && strcmp(before->string, member->string) == 0)
				return member;
		}
	}
	return NULL;
}

/* *found: the first member with an earlier name. */
static int find_duplicate_of_many(const cJSON *object, const cJSON **found)
{
	struct pipit_child_index *index = pipit_child_index_new(object);

	if (!index)
		return -ENOMEM;
	*found = pipit_child_index_duplicate(index);
	pipit_child_index_free(index);
	return 0;
}

static bool has_many_members(const cJSON *object)
{
	const cJSON *member = object->child;
	for (int i = 0; member && i < FEW_MEMBERS; i++)
		member = member->next;
	return member;
}

static int find_duplicate(const cJSON *item, const cJSON **found)
{
	int result = 0;

	if (!cJSON_IsObject(item))
		*found = NULL;
	else if (has_many_members(item))
		result = find_duplicate_of_many(item, found);
	else
		*found = find_duplicate_of_few(item);
	for (const cJSON *child = item->child; child && result == 0 && *found == NULL; child = child->next) {
		if (child->child)
			result = find_duplicate(child, found);
	}
	return result;
}

/* Adds the names up to `wanted`. True when found. */
static bool count_names(const cJSON *item, const cJSON *wanted, size_t *count)
{
	for (const cJSON *child = item->child; child; child = child->next) {
		*count += child->string != NULL;
		if (child == wanted || count_names(child, wanted, count))
			return true;
	}
	return false;
}

/* *name_end: behind the quotation mark. */
static const char *find_name(const char *text, const char *end, size_t count, const char **name_end)
{
	for (const char *at = text;;) {
		const char *next = *at == '"' ? skip_string(at, end) : at + 1, *colon = next;
		while (colon < end && strchr(" \t\r\n", *colon))
			colon++;
		if (*at == '"' && colon < end && *colon == ':' && --count == 0) {
			*name_end = next;
			return at;
		}
		at = next;
	}
}

static int check_names(const char *text, size_t length, const cJSON *doc, struct pipit_json_error *error)
{
	const cJSON *found = NULL;
	const char *start, *name_end;
	size_t count = 0;

	if (find_duplicate(doc, &found) != 0)
		return -ENOMEM;
	if (found == NULL)
		return 0;
	count_names(doc, found, &count);
	start = find_name(text, text + length, count, &name_end);
	locate(
	    text, length, (size_t)(start - text), "a name occurs twice in an object: expected each name once", error);
	write_pointer(text, (size_t)(name_end - text), error->pointer);
	return -EINVAL;
}

/* ---------------------------------------------------------------- parsing */

int pipit_json_parse(const char *text, size_t length, const struct pipit_json_limits *limits, cJSON **doc,
    struct pipit_json_error *error)
{
	struct scanner scanner;
	cJSON *parsed;
	int failure = scan(text, length, limits, &scanner, error);

	if (failure)
		return failure;
	parsed = pipit_tree_build(text, length);
	if (parsed == NULL)
		return -ENOMEM;
	if (scanner.members > 1)
		failure = check_names(text, length, parsed, error);
	if (failure) {
		cJSON_Delete(parsed);
		return failure;
	}
	*doc = parsed;
	return 0;
}

bool pipit_is_utf8(const char *text, size_t length)
{
	struct scanner scanner = { .text = text, .length = length };
	while (scanner.at < length) {
		if ((unsigned char)text[scanner.at] < 0x80)
			scanner.at++;
		else if (!scan_utf8(&scanner))
			return false;
	}
	return true;
}
