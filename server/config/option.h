/* SPDX-License-Identifier: MIT */
/*
 * The options: one table that says everything about every one of them, and what can be done with one: find it, check, assign
 * and format its value, and say in one line what is wrong and what would be right. Private to config.c and options.c, which
 * only walk over the table; what a option does is left to its readers.
 */
#ifndef PIPIT_OPTION_H
#define PIPIT_OPTION_H

#include "pipit.h"

#include <stdbool.h>

enum {
	PIPIT_OPTION_TOTAL = 36,            /* options in the table */
	PIPIT_OPTION_NAME_MAX_BYTES = 32,   /* no name of ours is longer */
	PIPIT_OPTION_TEXT_MAX_BYTES = 4000, /* of a text's value, so that its line in a file is not too long */
	PIPIT_OPTION_NUMBER_BYTES = 32,     /* room for a formatted number and its NUL */
};

/* ---------------------------------------------------------------- the tables */

/* In memory the first three are a uint64_t, a text and a choice a const char *, addresses the array `listen`. */
enum pipit_option_kind {
	PIPIT_OPTION_COUNT,
	PIPIT_OPTION_SIZE,
	PIPIT_OPTION_DURATION,
	PIPIT_OPTION_TEXT,
	PIPIT_OPTION_CHOICE,
	PIPIT_OPTION_ADDRESSES,
};

/* The paragraphs of --help. */
enum pipit_option_group {
	PIPIT_GROUP_SERVE,
	PIPIT_GROUP_LIMITS,
	PIPIT_GROUP_DEADLINES,
	PIPIT_GROUP_OTHER,
	PIPIT_GROUP_TOTAL,
};

struct pipit_option {
	const char *name; /* the flag without its dashes, the key of the file */
	enum pipit_option_kind kind;
	enum pipit_option_group group;
	size_t offset;              /* of the field; of the first address for PIPIT_OPTION_ADDRESSES */
	uint64_t initial;           /* default of a number: a count, bytes or milliseconds */
	uint64_t min, max;          /* of a number, both allowed; a limit or deadline that takes 0 is then off */
	const char *initial_text;   /* default of the other kinds; NULL: not set */
	const char *unset;          /* how --help calls that */
	const char *const *choices; /* of PIPIT_OPTION_CHOICE, ended by NULL */
	bool is_switch;             /* a choice of "off" and "on": its flag without a value means "on" */
	const char *operand;        /* how --help calls the value */
	const char *wanted;         /* what an error asks for; NULL: the range or the choices */
	const char *help;           /* one line of at most 50 columns with its default */
};

/* PIPIT_OPTION_TOTAL of them, in the order of --help. */
extern const struct pipit_option pipit_option_table[];

/* What the command line takes besides options: a name that is suggested or listed may be one of either table. */
struct pipit_command {
	const char *name;
	char letter;         /* of the short form; 0: none */
	const char *operand; /* "": takes no value */
	const char *help;
};

/* The places in pipit_commands[]. */
enum {
	PIPIT_COMMAND_CONFIG,
	PIPIT_COMMAND_CHECK,
	PIPIT_COMMAND_HEALTHCHECK,
	PIPIT_COMMAND_VERSION,
	PIPIT_COMMAND_HELP,
	PIPIT_COMMAND_TOTAL,
};

extern const struct pipit_command pipit_commands[PIPIT_COMMAND_TOTAL];

/* NULL: no such option. */
const struct pipit_option *pipit_option_find(const char *name, size_t length);

/* ---------------------------------------------------------------- values */

/* What can be wrong with a value. */
enum pipit_fault {
	PIPIT_FAULT_NONE,
	PIPIT_FAULT_EMPTY,   /* no value, or an empty one */
	PIPIT_FAULT_FORM,    /* not of the option's kind */
	PIPIT_FAULT_RANGE,   /* a number, but not one for this option */
	PIPIT_FAULT_CONTROL, /* text with a control character: it could not be written to a file again */
	PIPIT_FAULT_LONG,    /* text over PIPIT_OPTION_TEXT_MAX_BYTES */
	PIPIT_FAULT_MANY,    /* one address more than PIPIT_LISTEN_MAX */
	PIPIT_FAULT_MEMORY,
};

bool pipit_option_is_number(const struct pipit_option *option);

/* The field of a number. */
uint64_t pipit_option_get_number(const struct pipit_config *config, const struct pipit_option *option);

/* The field of any other kind, for addresses the first of them; may be NULL. */
const char *pipit_option_get_text(const struct pipit_config *config, const struct pipit_option *option);

/* The number with the largest unit that divides it, as pipit_option_assign() takes it. Returns `out`: PIPIT_OPTION_NUMBER_BYTES. */
const char *pipit_option_format_number(const struct pipit_option *option, uint64_t number, char *out);

enum pipit_fault pipit_option_check_number(const struct pipit_option *option, uint64_t number);

/* Of the other kinds; one address of PIPIT_OPTION_ADDRESSES. NULL is right for a option that is not set by default. */
enum pipit_fault pipit_option_check_text(const struct pipit_option *option, const char *text);

/* Set a option to its default; for addresses that is the only one then. */
void pipit_option_reset(struct pipit_config *config, const struct pipit_option *option);

/* Set a option from text, which is copied; an address is added. `config` is unchanged unless PIPIT_FAULT_NONE is returned. */
enum pipit_fault pipit_option_assign(struct pipit_config *config, const struct pipit_option *option, const char *text);

/* Copy the field's strings, of every address too. Whether there was memory; the fields are the copies as far as there was. */
bool pipit_option_copy_text(struct pipit_config *config, const struct pipit_option *option);

/* Free every copy made for `config`. The fields still point at them. */
void pipit_option_free_copies(struct pipit_config *config);

/* See pipit_config_split_address(). */
int pipit_option_split_address(const char *text, char *host, size_t host_size, unsigned *port);

/* ---------------------------------------------------------------- the line that says what is wrong */

/* A line that grows and is cut at its buffer's end. */
struct pipit_line {
	char *data; /* NULL when size is 0 */
	size_t size, length;
};

enum pipit_place_kind { PIPIT_PLACE_CALL, PIPIT_PLACE_FILE, PIPIT_PLACE_ENVIRONMENT, PIPIT_PLACE_FLAGS };

/* Where a setting stands: it decides how its name is written, and what stands before it. */
struct pipit_place {
	enum pipit_place_kind kind;
	const char *file; /* PIPIT_PLACE_FILE: its name */
	size_t number;    /* PIPIT_PLACE_FILE: the line, from 1 */
};

/* An empty line in `data`, which may be NULL. */
struct pipit_line pipit_option_begin_line(char *data, size_t size);

void pipit_option_append(struct pipit_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Somebody's text, kept on one line and short: it may come from a file that is no configuration at all. */
void pipit_option_append_shown(struct pipit_line *line, const char *text, size_t length);

/* "FILE:LINE: ", "environment: " or nothing. */
void pipit_option_append_place(struct pipit_line *line, const struct pipit_place *place);

/* A variable's name: PIPIT_MAX_FIELDS for max-fields. */
void pipit_option_append_variable(struct pipit_line *line, const char *name);

/* The setting as it stood in its place; `value` may be "". */
void pipit_option_append_setting(
    struct pipit_line *line, const struct pipit_place *place, const char *name, const char *value);

/* What the option takes: "1 to 256", "combined or json" … */
void pipit_option_append_wanted(struct pipit_line *line, const struct pipit_option *option);

/* 0, or -EINVAL or -ENOMEM after a line that says why. */
int pipit_option_report(const struct pipit_place *place, const struct pipit_option *option, const char *value,
    enum pipit_fault fault, struct pipit_line *error);

/*
 * Say that a name is unknown, and which one was probably meant. `shown` is the name as it was given; its part
 * [name, name + length) is compared. `what`: "key", "option" …
 */
void pipit_option_report_unknown(const struct pipit_place *place, const char *shown, const char *name, size_t length,
    const char *what, struct pipit_line *error);

#endif
