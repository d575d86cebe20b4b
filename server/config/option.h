/* SPDX-License-Identifier: MIT */
/*
 * One table with all properties of every option, and what can be done with one option: find, check, assign and format
 * its value. Private to this folder.
 */
#ifndef PIPIT_OPTION_H
#define PIPIT_OPTION_H

#include "pipit.h"

#include <stdbool.h>

enum {
	PIPIT_OPTION_TOTAL = 36,
	PIPIT_OPTION_NAME_MAX_BYTES = 32,
	PIPIT_OPTION_TEXT_MAX_BYTES = 4000, /* longest text value: its line fits into a configuration file */
	PIPIT_OPTION_NUMBER_BYTES = 32,     /* of a formatted number, with its NUL */
};

/* ---------------------------------------------------------------- the tables */

/*
 * Type of the field: uint64_t for COUNT, SIZE and DURATION, const char * for TEXT and CHOICE, the array `listen` for
 * ADDRESSES.
 */
enum pipit_option_kind {
	PIPIT_OPTION_COUNT,
	PIPIT_OPTION_SIZE,
	PIPIT_OPTION_DURATION,
	PIPIT_OPTION_TEXT,
	PIPIT_OPTION_CHOICE,
	PIPIT_OPTION_ADDRESSES,
};

enum pipit_option_group {
	PIPIT_GROUP_SERVE,
	PIPIT_GROUP_LIMITS,
	PIPIT_GROUP_DEADLINES,
	PIPIT_GROUP_OTHER,
	PIPIT_GROUP_TOTAL,
};

struct pipit_option {
	const char *name; /* command line without dashes, and key of the file */
	enum pipit_option_kind kind;
	enum pipit_option_group group;
	size_t offset;              /* of the field; ADDRESSES: of the first address */
	uint64_t initial;           /* default number: a count, bytes or milliseconds */
	uint64_t min, max;          /* inclusive range of a number; 0 switches a limit or deadline off */
	const char *initial_text;   /* default of other kinds; NULL: not set */
	const char *unset;          /* shown by --help for a default of NULL */
	const char *const *choices; /* of CHOICE, NULL at the end */
	bool is_switch;             /* choices are "off" and "on"; the option without a value means "on" */
	const char *operand;        /* shown by --help for the value */
	const char *wanted;         /* shown by errors after "use"; NULL: the range or the choices */
	const char *help;           /* at most 50 columns with its default */
};

/* PIPIT_OPTION_TOTAL entries, in the order of --help. */
extern const struct pipit_option pipit_option_table[];

/* An option of the command line only. */
struct pipit_command {
	const char *name;
	char letter; /* short form; 0: none */
	const char *operand;
	const char *help;
};

enum {
	PIPIT_COMMAND_CONFIG,
	PIPIT_COMMAND_CHECK,
	PIPIT_COMMAND_HEALTHCHECK,
	PIPIT_COMMAND_VERSION,
	PIPIT_COMMAND_HELP,
	PIPIT_COMMAND_TOTAL,
};

extern const struct pipit_command pipit_commands[PIPIT_COMMAND_TOTAL];

const struct pipit_option *pipit_option_find(const char *name, size_t length);

/* ---------------------------------------------------------------- values */

enum pipit_fault {
	PIPIT_FAULT_NONE,
	PIPIT_FAULT_EMPTY,
	PIPIT_FAULT_FORM, /* not of the option's kind */
	PIPIT_FAULT_RANGE,
	PIPIT_FAULT_CONTROL, /* a control character in text, which a configuration file cannot hold */
	PIPIT_FAULT_LONG,
	PIPIT_FAULT_MANY,
	PIPIT_FAULT_MEMORY,
};

bool pipit_option_is_number(const struct pipit_option *option);

/* For options with pipit_option_is_number(). */
uint64_t pipit_option_get_number(const struct pipit_config *config, const struct pipit_option *option);

/* For other options; the first address of ADDRESSES. May be NULL. */
const char *pipit_option_get_text(const struct pipit_config *config, const struct pipit_option *option);

/* The number with its largest exact unit. Returns `out`, which has PIPIT_OPTION_NUMBER_BYTES. */
const char *pipit_option_format_number(const struct pipit_option *option, uint64_t number, char *out);

enum pipit_fault pipit_option_check_number(const struct pipit_option *option, uint64_t number);

/* For other options; one address of ADDRESSES. NULL is valid when the option is not set by default. */
enum pipit_fault pipit_option_check_text(const struct pipit_option *option, const char *text);

void pipit_option_reset(struct pipit_config *config, const struct pipit_option *option);

/* Set an option from text, which is copied; adds an address. Changes `config` only on PIPIT_FAULT_NONE. */
enum pipit_fault pipit_option_assign(struct pipit_config *config, const struct pipit_option *option, const char *text);

/* Replace all strings by copies. False when memory is short: not all are copies. */
bool pipit_option_copy_text(struct pipit_config *config, const struct pipit_option *option);

/* Free all copies of `config`. Its fields still point to them. */
void pipit_option_free_copies(struct pipit_config *config);

/* See pipit_config_split_address(). */
int pipit_option_split_address(const char *text, char *host, size_t host_size, unsigned *port);

#endif
