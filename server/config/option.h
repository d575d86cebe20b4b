/* SPDX-License-Identifier: MIT */
/* All properties of every option. */
#ifndef PIPIT_OPTION_H
#define PIPIT_OPTION_H

#include "pipit.h"

#include <stdbool.h>

enum {
	PIPIT_OPTION_TOTAL = 70,
	PIPIT_OPTION_LISTS = 4,
	PIPIT_OPTION_NAME_MAX_BYTES = 32,
	PIPIT_OPTION_TEXT_MAX_BYTES = 4000, /* fits a line of the file */
	PIPIT_OPTION_NUMBER_BYTES = 32,
	PIPIT_OPTION_LINE_PLACES = 256,
};

/*
 * Fields: uint64_t for COUNT, SIZE and DURATION; const char * for TEXT, LINES, CHOICE and ADDRESS; for ADDRESSES and FILES, which are
 * lists, an array of PIPIT_LISTEN_MAX such pointers and the number of those in use (size_t) behind it.
 */
enum pipit_option_kind {
	PIPIT_OPTION_COUNT,
	PIPIT_OPTION_SIZE,
	PIPIT_OPTION_DURATION,
	PIPIT_OPTION_TEXT,
	PIPIT_OPTION_LINES, /* repeatable; the field has a line for each, the variable may have several */
	PIPIT_OPTION_CHOICE,
	PIPIT_OPTION_ADDRESSES,
	PIPIT_OPTION_FILES,
	PIPIT_OPTION_ADDRESS,
};

enum pipit_option_group {
	PIPIT_GROUP_SERVE,
	PIPIT_GROUP_TLS,
	PIPIT_GROUP_ACCESS,
	PIPIT_GROUP_LIMITS,
	PIPIT_GROUP_DEADLINES,
	PIPIT_GROUP_OTHER,
	PIPIT_GROUP_TOTAL,
};

struct pipit_option {
	const char *name; /* without dashes */
	enum pipit_option_kind kind;
	enum pipit_option_group group;
	size_t offset;              /* lists: of the first */
	unsigned list;              /* lists: number among them, for their places */
	uint64_t initial;           /* count, bytes or milliseconds */
	uint64_t min, max;          /* inclusive; 0 switches a limit off */
	const char *initial_text;   /* of other kinds; NULL: not set */
	const char *unset;          /* what --help prints for NULL */
	const char *const *choices; /* NULL at the end */
	bool is_switch;             /* "off" and "on"; without a value "on" */
	const char *operand;
	const char *wanted; /* after "use" in errors; NULL: the range or the choices */
	const char *help;   /* a sentence that needs no other line */
};

/* In the order of --help. */
extern const struct pipit_option pipit_option_table[];

/* On the command line only. */
struct pipit_command {
	const char *name;
	char letter; /* 0: none */
	const char *operand;
	const char *help;
};

enum {
	PIPIT_COMMAND_CONFIG,
	PIPIT_COMMAND_CHECK,
	PIPIT_COMMAND_HEALTHCHECK,
	PIPIT_COMMAND_MAKE_TEST_CERTIFICATE,
	PIPIT_COMMAND_VERSION,
	PIPIT_COMMAND_HELP,
	PIPIT_COMMAND_TOTAL,
};

extern const struct pipit_command pipit_commands[PIPIT_COMMAND_TOTAL];

const struct pipit_option *pipit_option_find(const char *name, size_t length);

enum pipit_fault {
	PIPIT_FAULT_NONE,
	PIPIT_FAULT_EMPTY,
	PIPIT_FAULT_FORM,       /* wrong kind */
	PIPIT_FAULT_UNIX,       /* of an address that begins with "unix:" */
	PIPIT_FAULT_MODE,       /* of a UNIX socket */
	PIPIT_FAULT_DESCRIPTOR, /* of one that begins with "fd://" */
	PIPIT_FAULT_RANGE,
	PIPIT_FAULT_CONTROL, /* a file cannot hold these */
	PIPIT_FAULT_LONG,
	PIPIT_FAULT_MANY,
	PIPIT_FAULT_MEMORY,
};

enum pipit_option_place_kind {
	PIPIT_OPTION_PLACE_CALL, /* a default, or set by the program */
	PIPIT_OPTION_PLACE_FILE,
	PIPIT_OPTION_PLACE_ENVIRONMENT,
	PIPIT_OPTION_PLACE_COMMAND_LINE
};

struct pipit_option_place {
	enum pipit_option_place_kind kind;
	const char *file;
	size_t number; /* from 1 */
};

/* Of a line of LINES. */
struct pipit_option_line_place {
	const struct pipit_option *option;
	struct pipit_option_place place;
};

/* Where a configuration was set. */
struct pipit_option_origin {
	struct pipit_option_place places[PIPIT_OPTION_TOTAL]; /* lists: see `items`; LINES: of the last value */
	/* Those of one option in the order of its lines; more lines than fit have that of the last value. */
	struct pipit_option_line_place lines[PIPIT_OPTION_LINE_PLACES];
	size_t line_count;
	struct pipit_option_place items[PIPIT_OPTION_LISTS][PIPIT_LISTEN_MAX];
	bool is_wrong[PIPIT_OPTION_TOTAL]; /* has been reported; the field has an earlier value */
};

bool pipit_option_is_number(const struct pipit_option *option);

bool pipit_option_is_list(const struct pipit_option *option);

/* Of a list: its first item, and where their number is. */
const char **pipit_option_items(struct pipit_config *config, const struct pipit_option *option, size_t **count);
size_t pipit_option_item_count(const struct pipit_config *config, const struct pipit_option *option);
const char *pipit_option_item(const struct pipit_config *config, const struct pipit_option *option, size_t index);
/* A source may set it several times: what it sets first replaces what earlier sources have set. */
bool pipit_option_is_repeatable(const struct pipit_option *option);

uint64_t pipit_option_get_number(const struct pipit_config *config, const struct pipit_option *option);

/* Of other kinds; the first of a list. May be NULL. */
const char *pipit_option_get_text(const struct pipit_config *config, const struct pipit_option *option);

/* With the largest exact unit. Returns `out`, of PIPIT_OPTION_NUMBER_BYTES. */
const char *pipit_option_format_number(const struct pipit_option *option, uint64_t number, char *out);

enum pipit_fault pipit_option_check_number(const struct pipit_option *option, uint64_t number);

/* Of other kinds; one of a list. NULL is valid when it is the default. */
enum pipit_fault pipit_option_check_text(const struct pipit_option *option, const char *text);

/* A repeatable one, before its first value is added. */
void pipit_option_empty(struct pipit_config *config, const struct pipit_option *option);

void pipit_option_reset(struct pipit_config *config, const struct pipit_option *option);

/* Copies the text; adds to a list, or lines. Changes `config` only on PIPIT_FAULT_NONE. */
enum pipit_fault pipit_option_assign(struct pipit_config *config, const struct pipit_option *option, const char *text);

/* Replaces strings by copies. False: not all are copies. */
bool pipit_option_copy_text(struct pipit_config *config, const struct pipit_option *option);

/* The fields still point to them. */
void pipit_option_free_copies(struct pipit_config *config);

#endif
