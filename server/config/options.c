/* SPDX-License-Identifier: MIT */
#include "config/options.h"

#include "base/slice.h"
#include "config/address.h"
#include "config/config.h"
#include "config/option.h"
#include "config/option_error.h"
#include "config/start_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096, UNENDED_MAX_BYTES = 1024 * 1024 };

/* A file accepts the lines that --check prints. */
_Static_assert(PIPIT_OPTION_NAME_MAX_BYTES + sizeof(" = \"\"") + PIPIT_OPTION_TEXT_MAX_BYTES <= LINE_MAX_BYTES,
    "the longest text fits into a line");

struct source {
	struct pipit_option_place place;
	struct pipit_option_origin *origin;
	bool has_begun[PIPIT_OPTION_TOTAL];    /* of a repeatable option: the next value is added */
	size_t first_line[PIPIT_OPTION_TOTAL]; /* line of each option in the file; 0: not set */
};

static void forget_lines(struct pipit_option_origin *origin, const struct pipit_option *option)
{
	size_t kept = 0;
	for (size_t i = 0; i < origin->line_count; i++) {
		if (origin->lines[i].option != option)
			origin->lines[kept++] = origin->lines[i];
	}
	origin->line_count = kept;
}

static void keep_lines(const struct source *source, const struct pipit_option *option, const char *value)
{
	struct pipit_option_origin *origin = source->origin;
	while (*value != '\0' && origin->line_count < PIPIT_OPTION_LINE_PLACES) {
		origin->lines[origin->line_count++] = (struct pipit_option_line_place){ option, source->place };
		value += strcspn(value, "\n");
		value += *value == '\n';
	}
}

static void keep_origin(const struct pipit_config *config, const struct source *source,
    const struct pipit_option *option, const char *value, bool replaces)
{
	source->origin->places[option - pipit_option_table] = source->place;
	if (option->kind == PIPIT_OPTION_LINES) {
		if (replaces)
			forget_lines(source->origin, option);
		keep_lines(source, option, value);
	}
	if (pipit_option_is_list(option))
		source->origin->items[option->list][pipit_option_item_count(config, option) - 1] = source->place;
}

/* The first valid value of a repeatable option replaces those of earlier sources. */
static int take(struct pipit_config *config, struct source *source, const struct pipit_option *option,
    const char *value, struct pipit_option_error *error)
{
	const struct pipit_config before = *config;
	bool *has_begun = &source->has_begun[option - pipit_option_table];
	bool replaces = pipit_option_is_repeatable(option) && !*has_begun;
	if (replaces)
		pipit_option_empty(config, option);
	enum pipit_fault fault = pipit_option_assign(config, option, value);
	bool *is_wrong = &source->origin->is_wrong[option - pipit_option_table];
	*is_wrong = fault != PIPIT_FAULT_NONE || (*is_wrong && pipit_option_is_repeatable(option));
	if (fault == PIPIT_FAULT_NONE) {
		*has_begun = true;
		keep_origin(config, source, option, value, replaces);
	} else if (replaces) {
		*config = before;
	}
	return pipit_option_error_report(&source->place, option, value, fault, error);
}

static void keep_result(int *result, int of_one)
{
	if (*result == 0)
		*result = of_one;
}

/* ---------------------------------------------------------------- the file */

static const struct pipit_command *find_command(const char *name, size_t length)
{
	for (size_t i = 0; i < PIPIT_COMMAND_TOTAL; i++) {
		if (strlen(pipit_commands[i].name) == length && memcmp(pipit_commands[i].name, name, length) == 0)
			return &pipit_commands[i];
	}
	return NULL;
}

static int report_line(const struct source *source, const char *fault, struct pipit_option_error *error)
{
	pipit_option_error_start_line(error);
	pipit_option_error_append_place(error, &source->place);
	pipit_option_error_append(error, "%s", fault);
	return -EINVAL;
}

/* "spa", "spa on" or "spa: on" in the place of "spa = on". Other lines are not shown: the file may be the wrong one. */
static int report_no_setting(const struct source *source, const char *line, struct pipit_option_error *error)
{
	size_t length = strcspn(line, " \t:=");
	const struct pipit_option *option = pipit_option_find(line, length);
	const char *value = line + length + strspn(line + length, " \t:");
	if (option == NULL)
		return report_line(source, "not a setting; use key = value", error);
	if (*value == '\0')
		value = option->is_switch ? "on" : option->operand;
	pipit_option_error_start_line(error);
	pipit_option_error_append_place(error, &source->place);
	pipit_option_error_append_shown(error, line, strlen(line));
	pipit_option_error_append(error, ": not a setting; use %s = ", option->name);
	pipit_option_error_append_shown(error, value, strlen(value));
	return -EINVAL;
}

static void report_unknown_key(const struct source *source, const char *key, struct pipit_option_error *error)
{
	const char *name = key + strspn(key, "-");
	if (find_command(key, strlen(key)) == NULL) {
		pipit_option_error_report_unknown(&source->place, key, name, strlen(name), "key", error);
		return;
	}
	pipit_option_error_start_line(error);
	pipit_option_error_append_place(error, &source->place);
	pipit_option_error_append(error, "%s: has no place in a file; use --%s on the command line", key, key);
}

/* There are no escapes. NULL: no closing quote. */
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

static int take_setting(struct pipit_config *config, struct source *source, const char *key, const char *value,
    struct pipit_option_error *error)
{
	const struct pipit_option *option = pipit_option_find(key, strlen(key));
	if (option == NULL) {
		report_unknown_key(source, key, error);
		return -EINVAL;
	}
	size_t *first_line = &source->first_line[option - pipit_option_table];
	if (*first_line != 0 && !pipit_option_is_repeatable(option)) {
		pipit_option_error_start_line(error);
		pipit_option_error_append_setting(error, &source->place, key, value);
		pipit_option_error_append(error, ": already set on line %zu; set it once", *first_line);
		return -EINVAL;
	}
	*first_line = source->place.number;
	return take(config, source, option, value, error);
}

static int take_line(
    struct pipit_config *config, struct source *source, char *text, size_t length, struct pipit_option_error *error)
{
	if (memchr(text, '\0', length) != NULL)
		return report_line(source, "contains a NUL byte; use plain text", error);
	if (length > 0 && text[length - 1] == '\r')
		length--;
	char *setting = pipit_slice_trim_in_place(text, text + length);
	if (*setting == '\0' || *setting == '#')
		return 0;
	char *equals = strchr(setting, '=');
	if (equals == NULL || equals == setting)
		return report_no_setting(source, setting, error);
	char *value = unquote(pipit_slice_trim_in_place(equals + 1, strchr(equals, '\0')));
	if (value == NULL)
		return report_line(source, "closing quote missing; end the value with \"", error);
	return take_setting(config, source, pipit_slice_trim_in_place(setting, equals), value, error);
}

/* text: LINE_MAX_BYTES + 1. -1: at the end; -2: the line is too long; -3: it may be endless, as /dev/zero is. */
static ssize_t read_line(FILE *in, char *text)
{
	size_t length = 0;
	int byte;
	while ((byte = getc(in)) != EOF && byte != '\n') {
		if (length < LINE_MAX_BYTES)
			text[length] = (char)byte;
		if (++length == UNENDED_MAX_BYTES)
			return -3;
	}
	if (length > LINE_MAX_BYTES)
		return -2;
	return byte == EOF && length == 0 ? -1 : (ssize_t)length;
}

/* Some editors begin UTF-8 with one. */
static void skip_byte_order_mark(char *text, ssize_t *length)
{
	static const char mark[] = { '\xEF', '\xBB', '\xBF' };
	if (*length < (ssize_t)sizeof(mark) || memcmp(text, mark, sizeof(mark)) != 0)
		return;
	*length -= (ssize_t)sizeof(mark);
	memmove(text, text + sizeof(mark), (size_t)*length);
}

static int take_lines(struct pipit_config *config, struct source *source, FILE *in, struct pipit_option_error *error)
{
	char text[LINE_MAX_BYTES + 1];
	int result = 0;
	for (ssize_t length; (length = read_line(in, text)) != -1;) {
		if (++source->place.number == 1)
			skip_byte_order_mark(text, &length);
		if (length == -3)
			return report_line(source, "has no end within 1 MiB; use a text file", error);
		keep_result(&result, length == -2 ? report_line(source, "line too long; use at most 4096 bytes", error)
						  : take_line(config, source, text, (size_t)length, error));
	}
	return result;
}

static int report_unreadable(
    const struct pipit_option_place *origin, const char *name, const char *reason, struct pipit_option_error *error)
{
	pipit_option_error_start_line(error);
	pipit_option_error_append_setting(error, origin, "config", name);
	pipit_option_error_append(error, ": cannot be read: %s; use a readable file", reason);
	return -EINVAL;
}

static int take_file(struct pipit_config *config, struct pipit_option_origin *options,
    const struct pipit_option_place *origin, const char *name, struct pipit_option_error *error)
{
	struct source source = { .place = { .kind = PIPIT_OPTION_PLACE_FILE, .file = name }, .origin = options };
	const char *reason;
	FILE *in = pipit_start_file_open(name, &reason);
	if (in == NULL)
		return report_unreadable(origin, name, reason, error);
	errno = 0;
	int result = take_lines(config, &source, in, error);
	if (result == 0 && ferror(in)) /* a directory: opening succeeds, reading fails */
		result = report_unreadable(origin, name, strerror(errno), error);
	fclose(in);
	return result;
}

/* ---------------------------------------------------------------- the environment */

static bool is_variable_of(const char *name, const char *variable, size_t length)
{
	char text[sizeof("PIPIT_") + PIPIT_OPTION_NAME_MAX_BYTES];
	struct pipit_option_error line = pipit_option_error_begin(text, sizeof(text));
	pipit_option_error_append_variable(&line, name);
	return line.length == length && memcmp(text, variable, length) == 0;
}

static const struct pipit_option *find_option_of_variable(const char *variable, size_t length)
{
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (is_variable_of(pipit_option_table[i].name, variable, length))
			return &pipit_option_table[i];
	}
	return NULL;
}

/* The properties of a UNIX socket stand behind commas, too. */
static char *next_item(char **list)
{
	char *item = *list, *end = item;
	if (item == NULL)
		return NULL;
	do {
		end = strchr(item == end ? end : end + 1, ',');
	} while (end != NULL && pipit_address_is_rest(end + 1));
	*list = end != NULL ? end + 1 : NULL;
	if (end != NULL)
		*end = '\0';
	return item;
}

static int take_list(struct pipit_config *config, struct source *source, const struct pipit_option *option,
    const char *value, struct pipit_option_error *error)
{
	char *list = strdup(value), *next = list, *item;
	int result =
	    list == NULL ? pipit_option_error_report(&source->place, option, value, PIPIT_FAULT_MEMORY, error) : 0;
	while (list != NULL && (item = next_item(&next)) != NULL)
		keep_result(
		    &result, take(config, source, option, pipit_slice_trim_in_place(item, strchr(item, '\0')), error));
	free(list);
	return result;
}

static bool has_suffix(const char *variable, size_t length, const char *suffix)
{
	size_t suffix_length = strlen(suffix);
	return length >= suffix_length && memcmp(variable + length - suffix_length, suffix, suffix_length) == 0;
}

/* "8080_TCP" and "8080_TCP_ADDR", what follows "PIPIT_PORT_" */
static bool is_service_port(const char *text, size_t length)
{
	static const char *const endings[] = { "", "_PROTO", "_PORT", "_ADDR" };
	static const char *const protocols[] = { "_TCP", "_UDP", "_SCTP" };
	size_t digits = strspn(text, "0123456789");
	for (size_t i = 0; digits > 0 && i < sizeof(endings) / sizeof(endings[0]); i++) {
		for (size_t j = 0; j < sizeof(protocols) / sizeof(protocols[0]); j++) {
			char rest[sizeof("_SCTP_PROTO")];
			size_t rest_length = (size_t)snprintf(rest, sizeof(rest), "%s%s", protocols[j], endings[i]);
			if (rest_length == length - digits && memcmp(text + digits, rest, rest_length) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Kubernetes puts these into every pod of the namespace for a Service called pipit or pipit-...:
 * PIPIT_SERVICE_HOST, PIPIT_SERVICE_PORT, PIPIT_SERVICE_PORT_HTTP, PIPIT_PORT=tcp://10.0.0.1:8080,
 * PIPIT_PORT_8080_TCP, PIPIT_PORT_8080_TCP_ADDR and so on.
 */
static bool is_of_service(const char *variable, size_t length, const char *value)
{
	const char *port = strstr(variable, "_SERVICE_PORT");
	if (has_suffix(variable, length, "_SERVICE_HOST"))
		return true;
	if (port != NULL && port < variable + length && strchr("_=", port[strlen("_SERVICE_PORT")]) != NULL)
		return true;
	if (has_suffix(variable, length, "_PORT") && strstr(value, "://") != NULL)
		return true;
	for (port = variable; (port = strstr(port, "_PORT_")) != NULL && port < variable + length;) {
		port += strlen("_PORT_");
		if (is_service_port(port, (size_t)(variable + length - port)))
			return true;
	}
	return false;
}

/* "PIPIT_NAME=VALUE" */
static int take_variable(
    struct pipit_config *config, struct source *source, const char *variable, struct pipit_option_error *error)
{
	size_t length = strcspn(variable, "="), prefix = strlen("PIPIT_");
	const char *value = variable[length] == '=' ? variable + length + 1 : "";
	const struct pipit_option *option = find_option_of_variable(variable, length);
	if (is_variable_of("config", variable, length) || (option == NULL && is_of_service(variable, length, value)))
		return 0;
	if (option == NULL) {
		pipit_option_error_report_unknown(
		    &source->place, variable, variable + prefix, length - prefix, "variable", error);
		return -EINVAL;
	}
	if (pipit_option_is_list(option))
		return take_list(config, source, option, value, error);
	return take(config, source, option, value, error);
}

static int take_environment(struct pipit_config *config, struct pipit_option_origin *origin, char *const *environment,
    struct pipit_option_error *error)
{
	struct source source = { .place = { .kind = PIPIT_OPTION_PLACE_ENVIRONMENT }, .origin = origin };
	int result = 0;
	for (; environment != NULL && *environment != NULL; environment++) {
		if (strncmp(*environment, "PIPIT_", strlen("PIPIT_")) == 0)
			keep_result(&result, take_variable(config, &source, *environment, error));
	}
	return result;
}

static const char *find_config_variable(char *const *environment)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		if (strncmp(*environment, "PIPIT_CONFIG=", strlen("PIPIT_CONFIG=")) == 0)
			return *environment + strlen("PIPIT_CONFIG=");
	}
	return NULL;
}

/* ---------------------------------------------------------------- the command line */

static const struct pipit_option_place command_line = { .kind = PIPIT_OPTION_PLACE_COMMAND_LINE };

struct arguments {
	int count;
	char *const *texts;
	int next;
	const struct pipit_option *bare_switch; /* just before, without a value; NULL: none */
};

struct argument {
	const struct pipit_option *option;
	const struct pipit_command *command;
	const char *value; /* "": none */
};

static const struct pipit_command *find_short(const char *text)
{
	for (size_t i = 0; i < PIPIT_COMMAND_TOTAL; i++) {
		if (pipit_commands[i].letter != 0 && text[0] == '-' && text[1] == pipit_commands[i].letter &&
		    text[2] == '\0')
			return &pipit_commands[i];
	}
	return NULL;
}

static int report_no_option(const char *text, struct pipit_option_error *error)
{
	const char *name = text + strspn(text, "-");
	if (text[0] == '-' && text[1] != '\0') {
		pipit_option_error_report_unknown(&command_line, text, name, strcspn(name, "="), "option", error);
		return -EINVAL;
	}
	pipit_option_error_start_line(error);
	pipit_option_error_append_shown(error, text, strlen(text));
	pipit_option_error_append(error, ": not an option; use --NAME VALUE, see --help");
	return -EINVAL;
}

/* "--…" is no value, except in "--name=--value". */
static const char *take_value(struct arguments *arguments)
{
	if (arguments->next >= arguments->count || strncmp(arguments->texts[arguments->next], "--", 2) == 0)
		return "";
	return arguments->texts[arguments->next++];
}

static const char *take_position(const struct pipit_option *option, struct arguments *arguments)
{
	for (const char *const *choice = option->choices; *choice != NULL; choice++) {
		if (arguments->next < arguments->count && strcmp(arguments->texts[arguments->next], *choice) == 0) {
			arguments->next++;
			return *choice;
		}
	}
	arguments->bare_switch = option;
	return "on";
}

static int report_needless_value(const struct argument *argument, struct pipit_option_error *error)
{
	pipit_option_error_start_line(error);
	pipit_option_error_append_setting(error, &command_line, argument->command->name, argument->value);
	pipit_option_error_append(error, ": takes no value; use --%s alone", argument->command->name);
	return -EINVAL;
}

/* An unknown option probably has a value, which is not another error. */
static int report_unknown_option(const char *text, struct arguments *arguments, const struct pipit_option *bare_switch,
    struct pipit_option_error *error)
{
	if (text[0] != '-' && bare_switch != NULL)
		return pipit_option_error_report(&command_line, bare_switch, text, PIPIT_FAULT_FORM, error);
	if (text[0] == '-' && strchr(text, '=') == NULL && arguments->next < arguments->count &&
	    arguments->texts[arguments->next][0] != '-')
		arguments->next++;
	return report_no_option(text, error);
}

/* 0 at the end. After an error, the next call goes on behind it. */
static int read_argument(struct arguments *arguments, struct argument *argument, struct pipit_option_error *error)
{
	if (arguments->next >= arguments->count)
		return 0;
	const char *text = arguments->texts[arguments->next++];
	const struct pipit_option *bare_switch = arguments->bare_switch;
	arguments->bare_switch = NULL;
	*argument = (struct argument){ NULL, find_short(text), "" };
	if (argument->command != NULL)
		return 1;
	if (strncmp(text, "--", 2) == 0) {
		argument->command = find_command(text + 2, strcspn(text + 2, "="));
		argument->option = pipit_option_find(text + 2, strcspn(text + 2, "="));
	}
	if (argument->command == NULL && argument->option == NULL)
		return report_unknown_option(text, arguments, bare_switch, error);
	const char *equals = strchr(text, '=');
	bool has_operand = argument->option != NULL || argument->command->operand[0] != '\0';
	if (equals != NULL)
		argument->value = equals + 1;
	else if (argument->option != NULL && argument->option->is_switch)
		argument->value = take_position(argument->option, arguments);
	else if (has_operand)
		argument->value = take_value(arguments);
	return equals != NULL && !has_operand ? report_needless_value(argument, error) : 1;
}

static int take_config(const char *name, const char **file, struct pipit_option_error *error)
{
	if (*file == NULL) {
		*file = name;
		return 0;
	}
	pipit_option_error_start_line(error);
	pipit_option_error_append_setting(error, &command_line, "config", name);
	pipit_option_error_append(error, ": a second file, after ");
	pipit_option_error_append_shown(error, *file, strlen(*file));
	pipit_option_error_append(error, "; use one");
	return -EINVAL;
}

static int take_test_certificate(const char *directory, struct pipit_options *options, struct pipit_option_error *error)
{
	options->test_certificate = directory;
	if (directory[0] != '\0')
		return 0;
	pipit_option_error_start_line(error);
	pipit_option_error_append(error, "--make-test-certificate: has no value; use a directory");
	return -EINVAL;
}

static int take_command(
    const struct argument *argument, struct pipit_options *options, const char **file, struct pipit_option_error *error)
{
	switch (argument->command - pipit_commands) {
	case PIPIT_COMMAND_CONFIG:
		return take_config(argument->value, file, error);
	case PIPIT_COMMAND_CHECK:
		options->check = true;
		break;
	case PIPIT_COMMAND_HEALTHCHECK:
		options->healthcheck = true;
		break;
	case PIPIT_COMMAND_MAKE_TEST_CERTIFICATE:
		return take_test_certificate(argument->value, options, error);
	case PIPIT_COMMAND_VERSION:
		options->version = true;
		break;
	case PIPIT_COMMAND_HELP:
		options->help = true;
		break;
	}
	return 0;
}

static int refuse_both_checks(const struct pipit_options *options, struct pipit_option_error *error)
{
	if (!options->check || !options->healthcheck)
		return 0;
	pipit_option_error_start_line(error);
	pipit_option_error_append(error, "--check: cannot be used with --healthcheck; use one of them");
	return -EINVAL;
}

/* First, because --config names the file, which is read before the options of the command line apply. */
static int take_commands(
    struct arguments arguments, struct pipit_options *options, const char **file, struct pipit_option_error *error)
{
	struct argument argument;
	int result = 0, of_one;
	while ((of_one = read_argument(&arguments, &argument, error)) != 0) {
		if (of_one > 0)
			of_one = argument.command != NULL ? take_command(&argument, options, file, error) : 0;
		keep_result(&result, of_one);
	}
	return result;
}

/* take_commands() has reported arguments that are no options. */
static int take_flags(struct pipit_config *config, struct pipit_option_origin *origin, struct arguments arguments,
    struct pipit_option_error *error)
{
	struct source source = { .place = command_line, .origin = origin };
	struct pipit_option_error reported = pipit_option_error_begin(NULL, 0);
	struct argument argument;
	int result = 0, of_one;
	while ((of_one = read_argument(&arguments, &argument, &reported)) != 0) {
		if (of_one > 0 && argument.option != NULL)
			keep_result(&result, take(config, &source, argument.option, argument.value, error));
	}
	return result;
}

/* ---------------------------------------------------------------- all sources */

static int take_named_file(struct pipit_config *config, struct pipit_options *options, struct pipit_option_error *error)
{
	struct pipit_option_place origin = command_line;
	if (!options->names_file)
		origin.kind = PIPIT_OPTION_PLACE_ENVIRONMENT;
	if (options->config_file == NULL)
		return 0;
	if (options->config_file[0] != '\0')
		return take_file(config, &options->origin, &origin, options->config_file, error);
	pipit_option_error_start_line(error);
	pipit_option_error_append_setting(error, &origin, "config", "");
	pipit_option_error_append(error, ": has no value; use a readable file");
	return -EINVAL;
}

int pipit_options_read(struct pipit_config *config, struct pipit_options *options, int argc, char *const *argv,
    char *const *environment, char *error, size_t size)
{
	struct pipit_option_error lines = pipit_option_error_begin(error, size);
	struct arguments arguments = { argc, argv, 1, NULL };
	const char *file = NULL;
	*options = (struct pipit_options){ 0 };
	config->origin = &options->origin;
	int result = take_commands(arguments, options, &file, &lines);
	keep_result(&result, refuse_both_checks(options, &lines));
	/* --help works beside wrong options */
	if (options->help || options->version)
		return result;
	options->names_file = file != NULL;
	options->config_file = file != NULL ? file : find_config_variable(environment);
	keep_result(&result, take_named_file(config, options, &lines));
	keep_result(&result, take_environment(config, &options->origin, environment, &lines));
	keep_result(&result, take_flags(config, &options->origin, arguments, &lines));
	/* A health check uses only the address; the other options may be those of another server. */
	if (!options->healthcheck)
		keep_result(&result, pipit_config_check_into(config, &lines));
	return result;
}

/* ---------------------------------------------------------------- places */

const struct pipit_option_place *pipit_options_place(const struct pipit_options *options, const char *name)
{
	return &options->origin.places[pipit_option_find(name, strlen(name)) - pipit_option_table];
}
