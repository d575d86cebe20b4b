/* SPDX-License-Identifier: MIT */
/*
 * From text to struct pipit_config, see config.h. One table, `knobs`, says everything about every knob; the three
 * sources, the checks, --help and the printed forms only walk over it. What a knob does is left to its readers.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_MAX_BYTES = 4096,
	TEXT_MAX_BYTES = 4000, /* a printed "key = value" line stays under LINE_MAX_BYTES */
	SHOWN_MAX_BYTES = 80,  /* how much of a wrong value an error repeats */
	NAME_MAX_BYTES = 32,   /* names longer than this resemble none of ours */
	NUMBER_TEXT_BYTES = 32,
};

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define SECOND_MS UINT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)

/* ---------------------------------------------------------------- the table of knobs */

enum kind { KIND_COUNT, KIND_SIZE, KIND_DURATION, KIND_TEXT, KIND_CHOICE, KIND_ADDRESSES };

enum group { GROUP_SERVE, GROUP_LIMITS, GROUP_DEADLINES, GROUP_OTHER, GROUP_COUNT };

struct knob {
	const char *name; /* the flag without its dashes, the key of the file */
	enum kind kind;
	enum group group;
	size_t offset;              /* of the field; of the first address for KIND_ADDRESSES */
	uint64_t initial;           /* default of a number: a count, bytes or milliseconds */
	uint64_t min, max;          /* of a number, both allowed; a limit or deadline that takes 0 is then off */
	const char *initial_text;   /* default of the other kinds; NULL: not set */
	const char *const *choices; /* of KIND_CHOICE, ended by NULL */
	const char *operand;        /* how --help calls the value */
	const char *wanted;         /* what an error asks for; NULL: the range or the choices */
	const char *help;           /* one line of at most 50 columns with its default */
};

static const char *const log_formats[] = { "combined", "json", NULL };
static const char *const log_levels[] = { "error", "warn", "info", "debug", NULL };

/* Compared as a pointer: an address that is given replaces this one, and is added to any other. */
static const char default_address[] = "127.0.0.1:8080";

#define FIELD(name) offsetof(struct pipit_config, name)

/* In the order of --help. A knob is a paragraph: the formatter would give each member a line of its own. */
/* clang-format off */
static const struct knob knobs[] = {
	{ .name = "listen", .kind = KIND_ADDRESSES, .group = GROUP_SERVE, .offset = FIELD(listen),
	    .initial_text = default_address, .operand = "ADDR:PORT",
	    .wanted = "ADDR:PORT or [ADDR]:PORT with a numeric address, for example 127.0.0.1:8080",
	    .help = "address, repeatable; [v6]:PORT too" },
	{ .name = "root", .kind = KIND_TEXT, .group = GROUP_SERVE, .offset = FIELD(root), .operand = "DIR",
	    .wanted = "a directory", .help = "directory of static files" },
	{ .name = "workers", .kind = KIND_COUNT, .group = GROUP_SERVE, .offset = FIELD(workers), .max = 256,
	    .operand = "N", .help = "threads; 0: one per core" },

	{ .name = "max-connections", .kind = KIND_COUNT, .group = GROUP_LIMITS, .offset = FIELD(max_connections),
	    .initial = 10000, .max = 1000000, .operand = "N", .help = "connections at once" },
	{ .name = "listen-backlog", .kind = KIND_COUNT, .group = GROUP_LIMITS, .offset = FIELD(listen_backlog),
	    .initial = 1024, .min = 1, .max = 65535, .operand = "N", .help = "connections waiting to be accepted" },
	{ .name = "max-head-bytes", .kind = KIND_SIZE, .group = GROUP_LIMITS, .offset = FIELD(max_head_bytes),
	    .initial = 16 * KIB, .min = 256, .max = 64 * KIB, .operand = "SIZE",
	    .help = "request line and header fields" },
	{ .name = "max-fields", .kind = KIND_COUNT, .group = GROUP_LIMITS, .offset = FIELD(max_fields),
	    .initial = 100, .min = 1, .max = 256, .operand = "N", .help = "header fields of a request" },
	{ .name = "max-target-bytes", .kind = KIND_SIZE, .group = GROUP_LIMITS, .offset = FIELD(max_target_bytes),
	    .initial = 8 * KIB, .min = 16, .max = 65000, .operand = "SIZE", .help = "request target" },
	{ .name = "max-body-bytes", .kind = KIND_SIZE, .group = GROUP_LIMITS, .offset = FIELD(max_body_bytes),
	    .initial = MIB, .max = TIB, .operand = "SIZE", .help = "content of a request" },
	{ .name = "max-json-depth", .kind = KIND_COUNT, .group = GROUP_LIMITS, .offset = FIELD(max_json_depth),
	    .initial = 64, .min = 1, .max = 512, .operand = "N", .help = "nesting of arrays and objects" },

	{ .name = "head-timeout", .kind = KIND_DURATION, .group = GROUP_DEADLINES, .offset = FIELD(head_timeout_ms),
	    .initial = 10 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "from a head's first byte to its end" },
	{ .name = "read-timeout", .kind = KIND_DURATION, .group = GROUP_DEADLINES, .offset = FIELD(read_timeout_ms),
	    .initial = 30 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "without a byte of content arriving" },
	{ .name = "write-timeout", .kind = KIND_DURATION, .group = GROUP_DEADLINES, .offset = FIELD(write_timeout_ms),
	    .initial = 30 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "without a byte of a response leaving" },
	{ .name = "min-rate-bytes", .kind = KIND_SIZE, .group = GROUP_DEADLINES, .offset = FIELD(min_rate_bytes),
	    .initial = KIB, .max = GIB, .operand = "SIZE", .help = "slowest average, bytes per second" },
	{ .name = "rate-grace", .kind = KIND_DURATION, .group = GROUP_DEADLINES, .offset = FIELD(rate_grace_ms),
	    .initial = 10 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "before that rate is asked for" },
	{ .name = "idle-timeout", .kind = KIND_DURATION, .group = GROUP_DEADLINES, .offset = FIELD(idle_timeout_ms),
	    .initial = 60 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "of a connection between requests" },
	{ .name = "drain-timeout", .kind = KIND_DURATION, .group = GROUP_DEADLINES, .offset = FIELD(drain_timeout_ms),
	    .initial = 8 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "for requests in flight at the end" },

	{ .name = "access-log", .kind = KIND_TEXT, .group = GROUP_OTHER, .offset = FIELD(access_log),
	    .initial_text = "off", .operand = "off|-|FILE", .wanted = "off, - or a file",
	    .help = "where requests are logged; -: stdout" },
	{ .name = "log-format", .kind = KIND_CHOICE, .group = GROUP_OTHER, .offset = FIELD(log_format),
	    .initial_text = "combined", .choices = log_formats, .operand = "FORM",
	    .help = "of access lines: combined or json" },
	{ .name = "log-level", .kind = KIND_CHOICE, .group = GROUP_OTHER, .offset = FIELD(log_level),
	    .initial_text = "info", .choices = log_levels, .operand = "LEVEL",
	    .help = "messages: error, warn, info or debug" },
};
/* clang-format on */

enum { KNOB_COUNT = sizeof(knobs) / sizeof(knobs[0]) };

/* What the command line takes besides knobs; --config is told apart by its operand. */
struct command {
	const char *name;
	char letter;   /* of the short form; 0: none */
	size_t offset; /* in struct pipit_options; not used for --config */
	const char *operand;
	const char *help;
};

static const struct command commands[] = {
	{ "config", 0, 0, "FILE", "read \"key = value\" lines first" },
	{ "check", 0, offsetof(struct pipit_options, check), "", "check and print the configuration, then exit" },
	{ "healthcheck", 0, offsetof(struct pipit_options, healthcheck), "",
	    "ask the running server for /healthz, then exit" },
	{ "version", 'V', offsetof(struct pipit_options, version), "", "print the version, then exit" },
	{ "help", 'h', offsetof(struct pipit_options, help), "", "print this text, then exit" },
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct knob *find_knob(const char *name, size_t length)
{
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (strlen(knobs[i].name) == length && memcmp(knobs[i].name, name, length) == 0)
			return &knobs[i];
	}
	return NULL;
}

static const struct command *find_command(const char *name, size_t length)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strlen(commands[i].name) == length && memcmp(commands[i].name, name, length) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Fields are reached through their offsets; memcpy() keeps that free of casts that would hide a wrong one. */
static uint64_t get_number(const struct pipit_config *config, const struct knob *knob)
{
	uint64_t number;
	memcpy(&number, (const char *)config + knob->offset, sizeof(number));
	return number;
}

static void set_number(struct pipit_config *config, const struct knob *knob, uint64_t number)
{
	memcpy((char *)config + knob->offset, &number, sizeof(number));
}

static const char *get_text(const struct pipit_config *config, const struct knob *knob)
{
	const char *text;
	memcpy(&text, (const char *)config + knob->offset, sizeof(text));
	return text;
}

static void set_text(struct pipit_config *config, const struct knob *knob, const char *text)
{
	memcpy((char *)config + knob->offset, &text, sizeof(text));
}

static bool is_number(const struct knob *knob)
{
	return knob->kind == KIND_COUNT || knob->kind == KIND_SIZE || knob->kind == KIND_DURATION;
}

/* ---------------------------------------------------------------- numbers and their units */

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* The largest first, as printing takes the first that divides; each table's last entry divides everything. */
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit size_units[] = { { "g", GIB }, { "m", MIB }, { "k", KIB }, { "", 1 }, { NULL, 0 } };
static const struct unit duration_units[] = { { "h", 3600 * SECOND_MS }, { "m", 60 * SECOND_MS }, { "s", SECOND_MS },
	{ "", SECOND_MS }, { "ms", 1 }, { NULL, 0 } };

static const struct unit *units_of(const struct knob *knob)
{
	if (knob->kind == KIND_SIZE)
		return size_units;
	return knob->kind == KIND_DURATION ? duration_units : count_units;
}

/* The number with the largest unit that divides it, as parse_number() takes it. `out`: NUMBER_TEXT_BYTES. */
static const char *format_number(const struct knob *knob, uint64_t number, char *out)
{
	const struct unit *unit = units_of(knob);
	if (number == 0)
		return strcpy(out, "0");
	while (number % unit->factor != 0)
		unit++;
	snprintf(out, NUMBER_TEXT_BYTES, "%llu%s", (unsigned long long)(number / unit->factor), unit->suffix);
	return out;
}

/* What can be wrong with a value. */
enum fault {
	FAULT_NONE,
	FAULT_EMPTY,   /* no value, or an empty one */
	FAULT_FORM,    /* not of the knob's kind */
	FAULT_RANGE,   /* a number, but not one for this knob */
	FAULT_CONTROL, /* text with a control character: it could not be written to a file again */
	FAULT_LONG,    /* text over TEXT_MAX_BYTES */
	FAULT_MANY,    /* one address more than PIPIT_LISTEN_MAX */
	FAULT_MEMORY,
};

static enum fault check_number(const struct knob *knob, uint64_t number)
{
	return number >= knob->min && number <= knob->max ? FAULT_NONE : FAULT_RANGE;
}

static const struct unit *find_unit(const struct unit *units, const char *suffix)
{
	while (units->suffix != NULL && strcmp(units->suffix, suffix) != 0)
		units++;
	return units->suffix != NULL ? units : NULL;
}

/* Digits and a unit. No strtoull(): it takes spaces and signs, and turns "-1" into a large number. */
static enum fault parse_number(const struct knob *knob, const char *text, uint64_t *number)
{
	bool is_negative = *text == '-', is_too_large = false;
	const char *digits = is_negative ? text + 1 : text, *p = digits;
	uint64_t value = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');
		if (value > (UINT64_MAX - digit) / 10)
			is_too_large = true;
		else
			value = value * 10 + digit;
	}
	const struct unit *unit = find_unit(units_of(knob), p);
	if (p == digits || unit == NULL)
		return FAULT_FORM;
	if (is_negative || is_too_large || value > UINT64_MAX / unit->factor)
		return FAULT_RANGE;
	*number = value * unit->factor;
	return check_number(knob, *number);
}

/* ---------------------------------------------------------------- texts, choices, addresses */

static enum fault check_text(const char *text)
{
	size_t length = strlen(text);
	if (length == 0)
		return FAULT_EMPTY;
	if (length > TEXT_MAX_BYTES)
		return FAULT_LONG;
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7F)
			return FAULT_CONTROL;
	}
	return FAULT_NONE;
}

/* The knob's own string, which lives for ever, or NULL. */
static const char *find_choice(const struct knob *knob, const char *text)
{
	for (const char *const *choice = knob->choices; *choice != NULL; choice++) {
		if (strcmp(*choice, text) == 0)
			return *choice;
	}
	return NULL;
}

static int parse_port(const char *text, unsigned *port)
{
	size_t length = strlen(text);
	unsigned number = 0;
	if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
		return -EINVAL;
	for (; *text != '\0'; text++)
		number = number * 10 + (unsigned)(*text - '0');
	if (number > 65535)
		return -EINVAL;
	*port = number;
	return 0;
}

int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;
	unsigned number;
	bool is_v6 = text[0] == '[';
	const char *begin = is_v6 ? text + 1 : text;
	const char *end = strchr(begin, is_v6 ? ']' : ':');
	const char *colon = end != NULL && is_v6 ? end + 1 : end;
	if (colon == NULL || *colon != ':' || parse_port(colon + 1, &number) < 0)
		return -EINVAL;
	size_t length = (size_t)(end - begin);
	if (length >= sizeof(address) || length >= host_size)
		return -EINVAL;
	memcpy(address, begin, length);
	address[length] = '\0';
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address, &parsed) != 1)
		return -EINVAL;
	memcpy(host, address, length + 1);
	*port = number;
	return 0;
}

static enum fault check_address(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	unsigned port;
	if (text[0] == '\0')
		return FAULT_EMPTY;
	return pipit_config_split_address(text, host, sizeof(host), &port) < 0 ? FAULT_FORM : FAULT_NONE;
}

/* ---------------------------------------------------------------- setting one knob */

/* A link of pipit_config.owned: replaced strings stay until pipit_config_clear(), others may still point at them. */
struct owned_string {
	struct owned_string *next;
	char text[];
};

static const char *copy_string(struct pipit_config *config, const char *text)
{
	size_t length = strlen(text);
	struct owned_string *copy = malloc(sizeof(*copy) + length + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy->text, text, length + 1);
	copy->next = config->owned;
	config->owned = copy;
	return copy->text;
}

static enum fault add_address(struct pipit_config *config, const char *text)
{
	bool is_default = config->listen_count == 1 && config->listen[0] == default_address;
	size_t count = is_default ? 0 : config->listen_count;
	enum fault fault = check_address(text);
	if (fault != FAULT_NONE)
		return fault;
	if (count >= PIPIT_LISTEN_MAX)
		return FAULT_MANY;
	const char *copy = copy_string(config, text);
	if (copy == NULL)
		return FAULT_MEMORY;
	config->listen[count] = copy;
	config->listen_count = count + 1;
	return FAULT_NONE;
}

static enum fault assign_text(struct pipit_config *config, const struct knob *knob, const char *text)
{
	enum fault fault = check_text(text);
	if (fault != FAULT_NONE)
		return fault;
	const char *kept = knob->kind == KIND_CHOICE ? find_choice(knob, text) : copy_string(config, text);
	if (kept == NULL)
		return knob->kind == KIND_CHOICE ? FAULT_FORM : FAULT_MEMORY;
	set_text(config, knob, kept);
	return FAULT_NONE;
}

static enum fault assign_number(struct pipit_config *config, const struct knob *knob, const char *text)
{
	uint64_t number;
	if (*text == '\0')
		return FAULT_EMPTY;
	enum fault fault = parse_number(knob, text, &number);
	if (fault == FAULT_NONE)
		set_number(config, knob, number);
	return fault;
}

/* `config` is unchanged unless FAULT_NONE is returned. */
static enum fault assign(struct pipit_config *config, const struct knob *knob, const char *text)
{
	if (is_number(knob))
		return assign_number(config, knob, text);
	return knob->kind == KIND_ADDRESSES ? add_address(config, text) : assign_text(config, knob, text);
}

/* ---------------------------------------------------------------- the line that says what is wrong */

/* A line that grows and is cut at its buffer's end. */
struct line {
	char *data; /* NULL when size is 0 */
	size_t size, length;
};

static void append(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(struct line *line, const char *format, ...)
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

/* Somebody's text, kept on one line and short: it may come from a file that is no configuration at all. */
static void append_shown(struct line *line, const char *text, size_t length)
{
	for (size_t i = 0; i < length && i < SHOWN_MAX_BYTES; i++) {
		unsigned char byte = (unsigned char)text[i];
		append(line, byte < 0x20 || byte == 0x7F ? "\\x%02X" : "%c", byte);
	}
	if (length > SHOWN_MAX_BYTES)
		append(line, "...");
}

enum source_kind { SOURCE_CALL, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAGS };

/* Where values come from, and what it has given so far. */
struct source {
	enum source_kind kind;
	const char *file;              /* SOURCE_FILE: its name */
	size_t number;                 /* SOURCE_FILE: the line that is being read, from 1 */
	bool has_listen;               /* an address of this source was taken: the next one is added */
	size_t first_line[KNOB_COUNT]; /* SOURCE_FILE: where a knob was given; 0: not yet */
};

static void append_place(struct line *line, const struct source *source)
{
	if (source->kind == SOURCE_ENVIRONMENT)
		append(line, "environment: ");
	if (source->kind != SOURCE_FILE)
		return;
	append_shown(line, source->file, strlen(source->file));
	append(line, ":%zu: ", source->number);
}

/* A variable's name: PIPIT_MAX_FIELDS for max-fields. */
static void append_variable(struct line *line, const char *name)
{
	append(line, "PIPIT_");
	for (; *name != '\0'; name++)
		append(line, "%c", *name == '-' ? '_' : *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
}

static void append_name(struct line *line, const struct source *source, const char *name)
{
	if (source->kind == SOURCE_ENVIRONMENT)
		append_variable(line, name);
	else
		append(line, "%s%s", source->kind == SOURCE_FLAGS ? "--" : "", name);
}

/* The setting as it stood in its source. */
static void append_setting(struct line *line, const struct source *source, const char *name, const char *value)
{
	append_place(line, source);
	append_name(line, source, name);
	if (*value == '\0')
		return;
	append(line, source->kind == SOURCE_FLAGS ? " " : " = \"");
	append_shown(line, value, strlen(value));
	append(line, source->kind == SOURCE_FLAGS ? "" : "\"");
}

static void append_choices(struct line *line, const struct knob *knob)
{
	for (const char *const *choice = knob->choices; *choice != NULL; choice++)
		append(line, "%s%s", *choice, choice[1] == NULL ? "" : choice[2] == NULL ? " or " : ", ");
}

/* "1 to 256", "256 to 64k", "0 to 24h" */
static void append_range(struct line *line, const struct knob *knob)
{
	char min[NUMBER_TEXT_BYTES], max[NUMBER_TEXT_BYTES];
	append(line, "%s to %s", format_number(knob, knob->min, min), format_number(knob, knob->max, max));
}

static void append_wanted(struct line *line, const struct knob *knob)
{
	if (knob->wanted != NULL)
		append(line, "%s", knob->wanted);
	else if (knob->kind == KIND_CHOICE)
		append_choices(line, knob);
	else
		append_range(line, knob);
}

/* What a value of the wrong form should have been. */
static void append_form(struct line *line, const struct knob *knob)
{
	switch (knob->kind) {
	case KIND_SIZE:
		append(line, ": not a size; use a number with an optional k, m or g, for example 1m");
		return;
	case KIND_DURATION:
		append(line, ": not a duration; use a number with an optional ms, s, m or h, for example 10s");
		return;
	case KIND_COUNT:
		append(line, ": not a number; use ");
		break;
	case KIND_ADDRESSES:
		append(line, ": not an address; use ");
		break;
	case KIND_CHOICE:
	case KIND_TEXT:
		append(line, ": not known; use ");
		break;
	}
	append_wanted(line, knob);
}

static void append_fault(struct line *line, const struct knob *knob, enum fault fault)
{
	switch (fault) {
	case FAULT_FORM:
		append_form(line, knob);
		return;
	case FAULT_MEMORY:
		append(line, ": out of memory");
		return;
	case FAULT_LONG:
		append(line, ": too long; use at most %d bytes", TEXT_MAX_BYTES);
		return;
	case FAULT_MANY:
		append(line, ": too many addresses; use at most %d", PIPIT_LISTEN_MAX);
		return;
	case FAULT_EMPTY:
		append(line, ": needs a value: ");
		break;
	case FAULT_CONTROL:
		append(line, ": holds a control character; use ");
		break;
	case FAULT_RANGE:
	case FAULT_NONE:
		append(line, ": out of range; use ");
		break;
	}
	append_wanted(line, knob);
}

/* 0, or a negative errno value after a line that says why. */
static int report(
    const struct source *source, const struct knob *knob, const char *value, enum fault fault, struct line *error)
{
	if (fault == FAULT_NONE)
		return 0;
	append_setting(error, source, knob->name, value);
	append_fault(error, knob, fault);
	return fault == FAULT_MEMORY ? -ENOMEM : -EINVAL;
}

/* ---------------------------------------------------------------- unknown names */

static unsigned min_of_three(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;
	return least < c ? least : c;
}

/* Levenshtein: how many letters to insert, delete or replace. Names of at most NAME_MAX_BYTES. */
static unsigned distance(const char *left, const char *right)
{
	unsigned row[NAME_MAX_BYTES + 1];
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

/* Takes `candidate` as the better suggestion when it is nearer. */
static void prefer_nearer(const char *name, const char *candidate, const char **best, unsigned *least)
{
	unsigned between = distance(name, candidate);
	if (between < *least) {
		*best = candidate;
		*least = between;
	}
}

/* The known name that `name` was probably meant to be, or NULL. A third of its letters may be wrong. */
static const char *suggest(const char *name, size_t length, bool with_commands)
{
	char folded[NAME_MAX_BYTES + 1];
	const char *best = NULL;
	unsigned least = (unsigned)length / 3 + 1;
	if (length > NAME_MAX_BYTES)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		bool is_upper = name[i] >= 'A' && name[i] <= 'Z';
		folded[i] = is_upper ? (char)(name[i] - 'A' + 'a') : name[i] == '_' ? '-' : name[i];
	}
	folded[length] = '\0';
	for (size_t i = 0; i < KNOB_COUNT; i++)
		prefer_nearer(folded, knobs[i].name, &best, &least);
	for (size_t i = 0; with_commands && i < COMMAND_COUNT; i++)
		prefer_nearer(folded, commands[i].name, &best, &least);
	return best;
}

/* `shown` is the name as it was given; its part [name, name + length) is compared. `what`: "key", "option" … */
static void report_unknown(const struct source *source, const char *shown, const char *name, size_t length,
    const char *what, struct line *error)
{
	const char *nearest = suggest(name, length, source->kind == SOURCE_FLAGS);
	append_place(error, source);
	append_shown(error, shown, (size_t)(name - shown) + length);
	append(error, ": unknown %s", what);
	if (nearest != NULL) {
		append(error, "; did you mean ");
		append_name(error, source, nearest);
		append(error, "?");
	} else if (source->kind != SOURCE_CALL) {
		append(error, "; --help lists all");
	}
}

/* ---------------------------------------------------------------- the library's interface */

static struct line begin_line(char *data, size_t size)
{
	if (data == NULL)
		size = 0;
	if (size > 0)
		data[0] = '\0';
	return (struct line){ data, size, 0 };
}

void pipit_config_init(struct pipit_config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (is_number(&knobs[i]))
			set_number(config, &knobs[i], knobs[i].initial);
		else
			set_text(config, &knobs[i], knobs[i].initial_text);
	}
	config->listen_count = 1;
}

int pipit_config_set(struct pipit_config *config, const char *key, const char *value, char *error, size_t size)
{
	static const struct source call = { .kind = SOURCE_CALL };
	struct line line = begin_line(error, size);
	const struct knob *knob = find_knob(key, strlen(key));
	if (knob == NULL) {
		report_unknown(&call, key, key, strlen(key), "key", &line);
		return -ENOENT;
	}
	return report(&call, knob, value, assign(config, knob, value), &line);
}

void pipit_config_clear(struct pipit_config *config)
{
	struct owned_string *string = config->owned;
	while (string != NULL) {
		struct owned_string *next = string->next;
		free(string);
		string = next;
	}
	config->owned = NULL;
}

/* ---------------------------------------------------------------- checking what was set by other means */

static enum fault check_chosen(const struct knob *knob, const char *text)
{
	if (text == NULL)
		return knob->initial_text == NULL ? FAULT_NONE : FAULT_EMPTY;
	enum fault fault = check_text(text);
	if (fault == FAULT_NONE && knob->kind == KIND_CHOICE && find_choice(knob, text) == NULL)
		return FAULT_FORM;
	return fault;
}

static int check_addresses(
    const struct pipit_config *config, const struct source *source, const struct knob *knob, struct line *error)
{
	if (config->listen_count == 0)
		return report(source, knob, "", FAULT_EMPTY, error);
	if (config->listen_count > PIPIT_LISTEN_MAX)
		return report(source, knob, "", FAULT_MANY, error);
	for (size_t i = 0; i < config->listen_count; i++) {
		const char *address = config->listen[i] == NULL ? "" : config->listen[i];
		int result = report(source, knob, address, check_address(address), error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int check_knob(
    const struct pipit_config *config, const struct source *source, const struct knob *knob, struct line *error)
{
	char text[NUMBER_TEXT_BYTES];
	if (knob->kind == KIND_ADDRESSES)
		return check_addresses(config, source, knob, error);
	if (is_number(knob)) {
		uint64_t number = get_number(config, knob);
		return report(source, knob, format_number(knob, number, text), check_number(knob, number), error);
	}
	const char *chosen = get_text(config, knob);
	return report(source, knob, chosen == NULL ? "" : chosen, check_chosen(knob, chosen), error);
}

/* A target that long could never arrive: its request would be refused for its head, with the wrong status. */
static int check_target_against_head(const struct pipit_config *config, const struct source *source, struct line *error)
{
	char target[NUMBER_TEXT_BYTES], head[NUMBER_TEXT_BYTES];
	const struct knob *knob = find_knob("max-target-bytes", strlen("max-target-bytes"));
	if (config->max_target_bytes < config->max_head_bytes)
		return 0;
	append_setting(error, source, knob->name, format_number(knob, config->max_target_bytes, target));
	append(error, ": too large; use less than max-head-bytes, which is %s",
	    format_number(knob, config->max_head_bytes, head));
	return -EINVAL;
}

int pipit_config_check(const struct pipit_config *config, char *error, size_t size)
{
	static const struct source call = { .kind = SOURCE_CALL };
	struct line line = begin_line(error, size);
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		int result = check_knob(config, &call, &knobs[i], &line);
		if (result < 0)
			return result;
	}
	return check_target_against_head(config, &call, &line);
}

/* ---------------------------------------------------------------- sources */

/* Set a knob from a source; its first address replaces those of earlier sources. */
static int take(
    struct pipit_config *config, struct source *source, const struct knob *knob, const char *value, struct line *error)
{
	if (knob->kind == KIND_ADDRESSES && !source->has_listen) {
		config->listen_count = 0;
		source->has_listen = true;
	}
	return report(source, knob, value, assign(config, knob, value), error);
}

/* ---------------------------------------------------------------- the file */

static int report_line(const struct source *source, const char *fault, struct line *error)
{
	append_place(error, source);
	append(error, "%s", fault);
	return -EINVAL;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Cuts blanks (and the CR of a CRLF) off both ends of [text, end); terminates it. */
static char *trim(char *text, char *end)
{
	while (text < end && is_blank(*text))
		text++;
	while (text < end && is_blank(end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* Takes the quotes off "…". What stands between them is taken as it is, without escapes. NULL: no closing quote. */
static char *unquote(char *value)
{
	size_t length = strlen(value);
	if (value[0] != '"')
		return value;
	if (length < 2 || value[length - 1] != '"')
		return NULL;
	value[length - 1] = '\0';
	return value + 1;
}

static int take_setting(
    struct pipit_config *config, struct source *source, const char *key, const char *value, struct line *error)
{
	const struct knob *knob = find_knob(key, strlen(key));
	if (knob == NULL) {
		report_unknown(source, key, key, strlen(key), "key", error);
		return -EINVAL;
	}
	size_t *first_line = &source->first_line[knob - knobs];
	if (*first_line != 0 && knob->kind != KIND_ADDRESSES) {
		append_setting(error, source, key, value);
		append(error, ": given twice; line %zu has it too", *first_line);
		return -EINVAL;
	}
	*first_line = source->number;
	return take(config, source, knob, value, error);
}

static int take_line(struct pipit_config *config, struct source *source, char *text, size_t length, struct line *error)
{
	if (memchr(text, '\0', length) != NULL)
		return report_line(source, "holds a NUL byte; use plain text", error);
	char *setting = trim(text, text + length);
	if (*setting == '\0' || *setting == '#')
		return 0;
	char *equals = strchr(setting, '=');
	if (equals == NULL || equals == setting)
		return report_line(source, "not a setting; use key = value", error);
	char *value = unquote(trim(equals + 1, strchr(equals, '\0')));
	if (value == NULL)
		return report_line(source, "a quote is not closed; end the value with \"", error);
	return take_setting(config, source, trim(setting, equals), value, error);
}

/* One line without its newline into `text` (LINE_MAX_BYTES + 1). Its length; -1 at the end; -2 when it is too long. */
static ssize_t read_line(FILE *in, char *text)
{
	ssize_t length = 0;
	int byte;
	while ((byte = getc(in)) != EOF && byte != '\n') {
		if (length == LINE_MAX_BYTES)
			return -2;
		text[length++] = (char)byte;
	}
	return byte == EOF && length == 0 ? -1 : length;
}

static int take_lines(struct pipit_config *config, struct source *source, FILE *in, struct line *error)
{
	char text[LINE_MAX_BYTES + 1];
	int result = 0;
	while (result == 0) {
		ssize_t length = read_line(in, text);
		if (length == -1)
			break;
		source->number++;
		if (length == -2)
			result = report_line(source, "line too long; use at most 4096 bytes", error);
		else
			result = take_line(config, source, text, (size_t)length, error);
	}
	return result;
}

/* `origin`: where the file's name was given. */
static int report_unreadable(const struct source *origin, const char *name, int reason, struct line *error)
{
	append_setting(error, origin, "config", name);
	append(error, ": cannot be read: %s; use a readable file", strerror(reason));
	return -EINVAL;
}

static int take_file(struct pipit_config *config, const struct source *origin, const char *name, struct line *error)
{
	struct source source = { .kind = SOURCE_FILE, .file = name };
	FILE *in = fopen(name, "re");
	if (in == NULL)
		return report_unreadable(origin, name, errno, error);
	errno = 0;
	int result = take_lines(config, &source, in, error);
	if (result == 0 && ferror(in)) /* a directory opens, and fails here */
		result = report_unreadable(origin, name, errno, error);
	fclose(in);
	return result;
}

/* ---------------------------------------------------------------- the environment */

static bool is_variable_of(const char *name, const char *variable, size_t length)
{
	char text[sizeof("PIPIT_") + NAME_MAX_BYTES];
	struct line line = begin_line(text, sizeof(text));
	append_variable(&line, name);
	return line.length == length && memcmp(text, variable, length) == 0;
}

static const struct knob *find_knob_of_variable(const char *variable, size_t length)
{
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (is_variable_of(knobs[i].name, variable, length))
			return &knobs[i];
	}
	return NULL;
}

/* Addresses separated by commas, blanks around them allowed. */
static int take_address_list(
    struct pipit_config *config, struct source *source, const struct knob *knob, const char *value, struct line *error)
{
	char *list = strdup(value), *next = list, *address;
	int result = list == NULL ? report(source, knob, value, FAULT_MEMORY, error) : 0;
	while (result == 0 && (address = strsep(&next, ",")) != NULL)
		result = take(config, source, knob, trim(address, strchr(address, '\0')), error);
	free(list);
	return result;
}

/* `variable`: NAME=VALUE, where NAME begins with PIPIT_. */
static int take_variable(struct pipit_config *config, struct source *source, const char *variable, struct line *error)
{
	size_t length = strcspn(variable, "="), prefix = strlen("PIPIT_");
	const char *value = variable[length] == '=' ? variable + length + 1 : "";
	const struct knob *knob = find_knob_of_variable(variable, length);
	if (is_variable_of("config", variable, length))
		return 0;
	if (knob == NULL) {
		report_unknown(source, variable, variable + prefix, length - prefix, "variable", error);
		return -EINVAL;
	}
	if (knob->kind == KIND_ADDRESSES)
		return take_address_list(config, source, knob, value, error);
	return take(config, source, knob, value, error);
}

static int take_environment(struct pipit_config *config, char *const *environment, struct line *error)
{
	struct source source = { .kind = SOURCE_ENVIRONMENT };
	int result = 0;
	for (; result == 0 && environment != NULL && *environment != NULL; environment++) {
		if (strncmp(*environment, "PIPIT_", strlen("PIPIT_")) == 0)
			result = take_variable(config, &source, *environment, error);
	}
	return result;
}

/* PIPIT_CONFIG's value, or NULL. */
static const char *find_config_variable(char *const *environment)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		if (strncmp(*environment, "PIPIT_CONFIG=", strlen("PIPIT_CONFIG=")) == 0)
			return *environment + strlen("PIPIT_CONFIG=");
	}
	return NULL;
}

/* ---------------------------------------------------------------- the command line */

struct arguments {
	int count;
	char *const *texts;
	int next;
};

/* One option with its value; either `knob` or `command` is set. */
struct argument {
	const struct knob *knob;
	const struct command *command;
	const char *value; /* "" when there is none */
};

static const struct command *find_short(const char *text)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (commands[i].letter != 0 && text[0] == '-' && text[1] == commands[i].letter && text[2] == '\0')
			return &commands[i];
	}
	return NULL;
}

static int report_no_option(const struct source *source, const char *text, struct line *error)
{
	const char *name = text + strspn(text, "-");
	if (text[0] == '-' && text[1] != '\0') {
		report_unknown(source, text, name, strcspn(name, "="), "option", error);
		return -EINVAL;
	}
	append_shown(error, text, strlen(text));
	append(error, ": not an option; use --name value, --help lists all");
	return -EINVAL;
}

/* The next argument, unless it is an option itself: then the value was forgotten. "--name=--value" says it is not. */
static const char *take_value(struct arguments *arguments)
{
	if (arguments->next >= arguments->count || strncmp(arguments->texts[arguments->next], "--", 2) == 0)
		return "";
	return arguments->texts[arguments->next++];
}

static int report_needless_value(const struct source *source, const struct argument *argument, struct line *error)
{
	append_setting(error, source, argument->command->name, argument->value);
	append(error, ": takes no value; use --%s alone", argument->command->name);
	return -EINVAL;
}

/* 1 and an argument, 0 at the end, or -EINVAL. */
static int read_argument(
    struct arguments *arguments, const struct source *source, struct argument *argument, struct line *error)
{
	if (arguments->next >= arguments->count)
		return 0;
	const char *text = arguments->texts[arguments->next++];
	*argument = (struct argument){ NULL, find_short(text), "" };
	if (argument->command != NULL)
		return 1;
	if (strncmp(text, "--", 2) == 0) {
		argument->command = find_command(text + 2, strcspn(text + 2, "="));
		argument->knob = find_knob(text + 2, strcspn(text + 2, "="));
	}
	if (argument->command == NULL && argument->knob == NULL)
		return report_no_option(source, text, error);
	const char *equals = strchr(text, '=');
	bool has_operand = argument->knob != NULL || argument->command->operand[0] != '\0';
	if (equals != NULL)
		argument->value = equals + 1;
	else if (has_operand)
		argument->value = take_value(arguments);
	return equals != NULL && !has_operand ? report_needless_value(source, argument, error) : 1;
}

/* Everything of the command line but the knobs: those follow after the file and the environment. */
static int take_commands(struct arguments arguments, const struct source *source, struct pipit_options *options,
    const char **file, struct line *error)
{
	struct argument argument;
	int result;
	while ((result = read_argument(&arguments, source, &argument, error)) > 0) {
		if (argument.command == NULL)
			continue;
		if (argument.command->operand[0] == '\0')
			*(bool *)((char *)options + argument.command->offset) = true;
		else
			*file = argument.value;
	}
	return result;
}

static int take_flags(
    struct pipit_config *config, struct arguments arguments, struct source *source, struct line *error)
{
	struct argument argument;
	int result;
	while ((result = read_argument(&arguments, source, &argument, error)) > 0) {
		if (argument.knob != NULL)
			result = take(config, source, argument.knob, argument.value, error);
		if (result < 0)
			break;
	}
	return result;
}

/* The file that --config names, else PIPIT_CONFIG; none is fine. */
static int take_named_file(struct pipit_config *config, const char *name, char *const *environment, struct line *error)
{
	struct source origin = { .kind = SOURCE_FLAGS };
	if (name == NULL) {
		origin.kind = SOURCE_ENVIRONMENT;
		name = find_config_variable(environment);
	}
	if (name == NULL)
		return 0;
	if (name[0] != '\0')
		return take_file(config, &origin, name, error);
	append_setting(error, &origin, "config", "");
	append(error, ": needs a value: a file");
	return -EINVAL;
}

int pipit_config_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size)
{
	struct line line = begin_line(error, size);
	struct arguments arguments = { argc, argv, 1 };
	struct source flags = { .kind = SOURCE_FLAGS };
	const char *file = NULL;
	*options = (struct pipit_options){ 0 };
	if (take_commands(arguments, &flags, options, &file, &line) < 0)
		return -EINVAL;
	/* Who asks for help may be about to repair the rest. */
	if (options->help || options->version)
		return 0;
	if (take_named_file(config, file, environment, &line) < 0 || take_environment(config, environment, &line) < 0 ||
	    take_flags(config, arguments, &flags, &line) < 0)
		return -EINVAL;
	return pipit_config_check(config, error, size);
}

/* ---------------------------------------------------------------- printing */

static const char *format_default(const struct knob *knob, char *out)
{
	if (is_number(knob))
		return format_number(knob, knob->initial, out);
	return knob->initial_text != NULL ? knob->initial_text : "own pages";
}

static void print_option(FILE *out, const char *name, const char *operand, char letter, const char *help)
{
	char option[48];
	int length = snprintf(option, sizeof(option), "--%s %s", name, operand);
	if (letter != 0)
		snprintf(option + length, sizeof(option) - (size_t)length, "(-%c)", letter);
	fprintf(out, "  %-24s %s", option, help);
}

static void print_group(FILE *out, enum group group)
{
	static const char *const titles[GROUP_COUNT] = { "What to serve:", "Limits:", "Deadlines:", "Other:" };
	char text[NUMBER_TEXT_BYTES];
	fprintf(out, "\n%s\n", titles[group]);
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (knobs[i].group != group)
			continue;
		print_option(out, knobs[i].name, knobs[i].operand, 0, knobs[i].help);
		fprintf(out, " [%s]\n", format_default(&knobs[i], text));
	}
}

void pipit_config_print_help(FILE *out)
{
	fputs("Usage: pipit [OPTION]...\n"
	      "Serve files, JSON and metrics over HTTP/1.1 until SIGTERM or SIGINT.\n",
	    out);
	for (int group = 0; group < GROUP_COUNT; group++)
		print_group(out, (enum group)group);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		print_option(out, commands[i].name, commands[i].operand, commands[i].letter, commands[i].help);
		fputc('\n', out);
	}
	fputs("\nSIZE is in bytes, or with k, m or g. TIME is in seconds, or with ms, s, m or h.\n"
	      "0 switches a limit or a deadline off, except listen-backlog, max-head-bytes,\n"
	      "max-fields, max-target-bytes and max-json-depth, which are never off.\n"
	      "Every option but the last four is also a variable (PIPIT_MAX_FIELDS) and, but\n"
	      "config, a line of the file (max-fields = 50): file < environment < options.\n"
	      "Exit status: 0 clean stop, 1 could not run, 2 wrong configuration.\n",
	    out);
}

static void print_value(const struct pipit_config *config, const struct knob *knob, FILE *out)
{
	char text[NUMBER_TEXT_BYTES];
	if (is_number(knob))
		fprintf(out, "%s = %s\n", knob->name, format_number(knob, get_number(config, knob), text));
	else if (get_text(config, knob) == NULL)
		fprintf(out, "# %s is not set\n", knob->name);
	else if (knob->kind == KIND_TEXT) /* quoted: blanks at its ends count */
		fprintf(out, "%s = \"%s\"\n", knob->name, get_text(config, knob));
	else
		fprintf(out, "%s = %s\n", knob->name, get_text(config, knob));
}

void pipit_config_print(const struct pipit_config *config, FILE *out)
{
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		if (knobs[i].kind != KIND_ADDRESSES)
			print_value(config, &knobs[i], out);
		for (size_t j = 0; knobs[i].kind == KIND_ADDRESSES && j < config->listen_count; j++)
			fprintf(out, "%s = %s\n", knobs[i].name, config->listen[j]);
	}
}

void pipit_config_print_markdown(FILE *out)
{
	fputs("| Option | Default | Takes | Meaning |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < KNOB_COUNT; i++) {
		char text[NUMBER_TEXT_BYTES], wanted[128];
		struct line line = begin_line(wanted, sizeof(wanted));
		append_wanted(&line, &knobs[i]);
		fprintf(out, "| `--%s` | %s | %s | %s |\n", knobs[i].name, format_default(&knobs[i], text), wanted,
		    knobs[i].help);
	}
}
