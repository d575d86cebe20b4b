/* SPDX-License-Identifier: MIT */
#include "config/option_error.h"

#include "config/address.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX_BYTES = 80 };

struct pipit_option_error pipit_option_error_begin(char *data, size_t size)
{
	if (data == NULL)
		size = 0;
	if (size > 0)
		data[0] = '\0';
	return (struct pipit_option_error){ data, size, 0 };
}

void pipit_option_error_append(struct pipit_option_error *line, const char *format, ...)
{
	size_t room = line->size - line->length;
	va_list arguments;
	if (room <= 1)
		return;
	va_start(arguments, format);
	int length = vsnprintf(line->data + line->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		line->length += (size_t)length < room ? (size_t)length : room - 1;
}

void pipit_option_error_start_line(struct pipit_option_error *error)
{
	if (error->length > 0)
		pipit_option_error_append(error, "\n");
}

void pipit_option_error_append_shown(struct pipit_option_error *line, const char *text, size_t length)
{
	for (size_t i = 0; i < length && i < SHOWN_MAX_BYTES; i++) {
		unsigned char byte = (unsigned char)text[i];
		pipit_option_error_append(line, byte < 0x20 || byte == 0x7F ? "\\x%02X" : "%c", byte);
	}
	if (length > SHOWN_MAX_BYTES)
		pipit_option_error_append(line, "...");
}

void pipit_option_error_append_place(struct pipit_option_error *line, const struct pipit_option_place *place)
{
	if (place->kind == PIPIT_OPTION_PLACE_ENVIRONMENT)
		pipit_option_error_append(line, "environment: ");
	if (place->kind != PIPIT_OPTION_PLACE_FILE)
		return;
	pipit_option_error_append_shown(line, place->file, strlen(place->file));
	pipit_option_error_append(line, ":%zu: ", place->number);
}

static char upper(char byte)
{
	return byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte;
}

void pipit_option_error_append_variable(struct pipit_option_error *line, const char *name)
{
	pipit_option_error_append(line, "PIPIT_");
	for (; *name != '\0'; name++)
		pipit_option_error_append(line, "%c", *name == '-' ? '_' : upper(*name));
}

static void append_name(struct pipit_option_error *line, const struct pipit_option_place *place, const char *name)
{
	if (place->kind == PIPIT_OPTION_PLACE_ENVIRONMENT)
		pipit_option_error_append_variable(line, name);
	else
		pipit_option_error_append(
		    line, "%s%s", place->kind == PIPIT_OPTION_PLACE_COMMAND_LINE ? "--" : "", name);
}

void pipit_option_error_append_setting(
    struct pipit_option_error *line, const struct pipit_option_place *place, const char *name, const char *value)
{
	pipit_option_error_append_place(line, place);
	append_name(line, place, name);
	if (*value == '\0')
		return;
	pipit_option_error_append(line, place->kind == PIPIT_OPTION_PLACE_COMMAND_LINE ? " " : " = \"");
	pipit_option_error_append_shown(line, value, strlen(value));
	pipit_option_error_append(line, place->kind == PIPIT_OPTION_PLACE_COMMAND_LINE ? "" : "\"");
}

static void append_choices(struct pipit_option_error *line, const struct pipit_option *option)
{
	for (const char *const *choice = option->choices; *choice != NULL; choice++)
		pipit_option_error_append(line, "%s%s", *choice,
		    choice[1] == NULL   ? ""
		    : choice[2] == NULL ? " or "
					: ", ");
}

static void append_range(struct pipit_option_error *line, const struct pipit_option *option)
{
	char min[PIPIT_OPTION_NUMBER_BYTES], max[PIPIT_OPTION_NUMBER_BYTES];
	pipit_option_error_append(line, "%s to %s", pipit_option_format_number(option, option->min, min),
	    pipit_option_format_number(option, option->max, max));
}

void pipit_option_error_append_wanted(struct pipit_option_error *line, const struct pipit_option *option)
{
	if (option->wanted != NULL)
		pipit_option_error_append(line, "%s", option->wanted);
	else if (option->kind == PIPIT_OPTION_CHOICE)
		append_choices(line, option);
	else
		append_range(line, option);
}

static void append_form(struct pipit_option_error *line, const struct pipit_option *option)
{
	switch (option->kind) {
	case PIPIT_OPTION_SIZE:
		pipit_option_error_append(
		    line, ": not a size; use a number with an optional k, m or g, for example 1m");
		return;
	case PIPIT_OPTION_DURATION:
		pipit_option_error_append(
		    line, ": not a duration; use a number with an optional ms, s, m or h, for example 10s");
		return;
	case PIPIT_OPTION_COUNT:
		pipit_option_error_append(line, ": not a number; use ");
		break;
	case PIPIT_OPTION_ADDRESSES:
	case PIPIT_OPTION_ADDRESS:
		pipit_option_error_append(line, ": not an address; use ");
		break;
	case PIPIT_OPTION_CHOICE:
	case PIPIT_OPTION_TEXT:
	case PIPIT_OPTION_FILES:
	case PIPIT_OPTION_LINES:
		pipit_option_error_append(line, ": unknown value; use ");
		break;
	}
	pipit_option_error_append_wanted(line, option);
}

static void append_fault(struct pipit_option_error *line, const struct pipit_option *option, enum pipit_fault fault)
{
	switch (fault) {
	case PIPIT_FAULT_FORM:
		append_form(line, option);
		return;
	case PIPIT_FAULT_UNIX:
		pipit_option_error_append(line,
		    ": not a UNIX socket; use unix:/PATH, optionally with ,mode=0660 ,user=NAME ,group=NAME, or "
		    "unix:@NAME, of at most %zu bytes without commas",
		    sizeof(((struct pipit_address *)0)->path) - 1);
		return;
	case PIPIT_FAULT_MODE:
		pipit_option_error_append(line, ": wrong mode; use octal digits up to 0777, for example mode=0660");
		return;
	case PIPIT_FAULT_DESCRIPTOR:
		pipit_option_error_append(
		    line, ": not an inherited socket; use fd:// and its number, or its name in LISTEN_FDNAMES");
		return;
	case PIPIT_FAULT_MEMORY:
		pipit_option_error_append(line, ": out of memory");
		return;
	case PIPIT_FAULT_LONG:
		pipit_option_error_append(line, ": too long; use at most %d bytes", PIPIT_OPTION_TEXT_MAX_BYTES);
		return;
	case PIPIT_FAULT_MANY:
		pipit_option_error_append(line, ": too many %s; use at most %d",
		    option->kind == PIPIT_OPTION_ADDRESSES ? "addresses" : "files", PIPIT_LISTEN_MAX);
		return;
	case PIPIT_FAULT_EMPTY:
		pipit_option_error_append(line, ": has no value; use ");
		break;
	case PIPIT_FAULT_CONTROL:
		pipit_option_error_append(line, ": contains a control character; use ");
		break;
	case PIPIT_FAULT_RANGE:
	case PIPIT_FAULT_NONE:
		pipit_option_error_append(line, ": out of range; use ");
		break;
	}
	pipit_option_error_append_wanted(line, option);
}

int pipit_option_error_report(const struct pipit_option_place *place, const struct pipit_option *option,
    const char *value, enum pipit_fault fault, struct pipit_option_error *error)
{
	if (fault == PIPIT_FAULT_NONE)
		return 0;
	pipit_option_error_start_line(error);
	pipit_option_error_append_setting(error, place, option->name, value);
	append_fault(error, option, fault);
	return fault == PIPIT_FAULT_MEMORY ? -ENOMEM : -EINVAL;
}

static unsigned min_of_three(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;
	return least < c ? least : c;
}

/* Levenshtein distance. */
static unsigned distance(const char *left, const char *right)
{
	unsigned row[PIPIT_OPTION_NAME_MAX_BYTES + 1];
	size_t width = strlen(right);
	for (size_t j = 0; j <= width; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; left[i] != '\0'; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < width; j++) {
			unsigned above = row[j + 1];
			row[j + 1] = min_of_three(above + 1, row[j] + 1, diagonal + (left[i] != right[j]));
			diagonal = above;
		}
	}
	return row[width];
}

static void prefer_nearer(const char *name, const char *candidate, const char **best, unsigned *least)
{
	unsigned between = distance(name, candidate);
	if (between < *least) {
		*best = candidate;
		*least = between;
	}
}

/* "tls-cert", "certificate" and "tls-certificate-file" for "tls-certificate". */
static bool is_part(const char *name, const char *option)
{
	size_t length = strlen(name), option_length = strlen(option);
	if (length >= option_length)
		return strncmp(name, option, option_length) == 0 && name[option_length] == '-';
	return strncmp(name, option, length) == 0 ||
	       (option[option_length - length - 1] == '-' && strcmp(option + option_length - length, name) == 0);
}

enum { SUGGESTED_MAX = 2 };

/* None if it is a part of more than SUGGESTED_MAX. */
static size_t find_parts(const char *name, const char *found[SUGGESTED_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL && name[0] != '\0'; i++) {
		if (!is_part(name, pipit_option_table[i].name))
			continue;
		if (count == SUGGESTED_MAX)
			return 0;
		found[count++] = pipit_option_table[i].name;
	}
	return count;
}

/* Returns how many: the nearest one, unless more than a third of the letters differ, or else those that it is a part of. */
static size_t suggest(const char *name, size_t length, bool with_commands, const char *found[SUGGESTED_MAX])
{
	char folded[PIPIT_OPTION_NAME_MAX_BYTES + 1];
	const char *best = NULL;
	unsigned least = (unsigned)length / 3 + 1;
	if (length > PIPIT_OPTION_NAME_MAX_BYTES)
		return 0;
	for (size_t i = 0; i < length; i++) {
		bool is_upper = name[i] >= 'A' && name[i] <= 'Z';
		folded[i] = is_upper ? (char)(name[i] - 'A' + 'a') : name[i] == '_' ? '-' : name[i];
	}
	folded[length] = '\0';
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++)
		prefer_nearer(folded, pipit_option_table[i].name, &best, &least);
	for (size_t i = 0; with_commands && i < PIPIT_COMMAND_TOTAL; i++)
		prefer_nearer(folded, pipit_commands[i].name, &best, &least);
	if (best == NULL)
		return find_parts(folded, found);
	found[0] = best;
	return 1;
}

void pipit_option_error_report_unknown(const struct pipit_option_place *place, const char *shown, const char *name,
    size_t length, const char *what, struct pipit_option_error *error)
{
	const char *found[SUGGESTED_MAX];
	size_t count = suggest(name, length, place->kind == PIPIT_OPTION_PLACE_COMMAND_LINE, found);
	pipit_option_error_start_line(error);
	pipit_option_error_append_place(error, place);
	pipit_option_error_append_shown(error, shown, (size_t)(name - shown) + length);
	pipit_option_error_append(error, ": unknown %s", what);
	for (size_t i = 0; i < count; i++) {
		pipit_option_error_append(error, i == 0 ? "; did you mean " : " or ");
		append_name(error, place, found[i]);
	}
	if (count > 0) {
		pipit_option_error_append(error, "?");
	} else if (place->kind != PIPIT_OPTION_PLACE_CALL) {
		pipit_option_error_append(error, "; see --help");
	}
}
