/* SPDX-License-Identifier: MIT */
#include "config/config.h"

#include "config/option.h"
#include "config/option_error.h"

#include <errno.h>
#include <string.h>

static const struct pipit_option_place call = { .kind = PIPIT_OPTION_PLACE_CALL };

void pipit_config_init(struct pipit_config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++)
		pipit_option_reset(config, &pipit_option_table[i]);
}

int pipit_config_set(struct pipit_config *config, const char *key, const char *value, char *error, size_t size)
{
	struct pipit_option_error line = pipit_option_error_begin(error, size);
	const struct pipit_option *option = pipit_option_find(key, strlen(key));
	if (option == NULL) {
		pipit_option_error_report_unknown(&call, key, key, strlen(key), "key", &line);
		return -ENOENT;
	}
	return pipit_option_error_report(&call, option, value, pipit_option_assign(config, option, value), &line);
}

void pipit_config_clear(struct pipit_config *config)
{
	pipit_option_free_copies(config);
}

int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config)
{
	*copy = *config;
	copy->owned = NULL;
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (!pipit_option_copy_text(copy, &pipit_option_table[i])) {
			pipit_config_clear(copy);
			return -ENOMEM;
		}
	}
	return 0;
}

int pipit_config_split_address(const char *text, char *host, size_t host_size, unsigned *port)
{
	return pipit_option_split_address(text, host, host_size, port);
}

static int check_text(const struct pipit_option *option, const char *text, struct pipit_option_error *error)
{
	return pipit_option_error_report(
	    &call, option, text == NULL ? "" : text, pipit_option_check_text(option, text), error);
}

static int check_number(const struct pipit_option *option, uint64_t number, struct pipit_option_error *error)
{
	char text[PIPIT_OPTION_NUMBER_BYTES];
	const char *value = pipit_option_format_number(option, number, text);
	return pipit_option_error_report(&call, option, value, pipit_option_check_number(option, number), error);
}

static int check_addresses(
    const struct pipit_config *config, const struct pipit_option *option, struct pipit_option_error *error)
{
	if (config->listen_count == 0)
		return pipit_option_error_report(&call, option, "", PIPIT_FAULT_EMPTY, error);
	if (config->listen_count > PIPIT_LISTEN_MAX)
		return pipit_option_error_report(&call, option, "", PIPIT_FAULT_MANY, error);
	for (size_t i = 0; i < config->listen_count; i++) {
		int result = check_text(option, config->listen[i], error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int check_option(
    const struct pipit_config *config, const struct pipit_option *option, struct pipit_option_error *error)
{
	if (option->kind == PIPIT_OPTION_ADDRESSES)
		return check_addresses(config, option, error);
	if (pipit_option_is_number(option))
		return check_number(option, pipit_option_get_number(config, option), error);
	return check_text(option, pipit_option_get_text(config, option), error);
}

/* Otherwise such a target gets 431 instead of 414. */
static int check_target_against_head(const struct pipit_config *config, struct pipit_option_error *error)
{
	char target[PIPIT_OPTION_NUMBER_BYTES], head[PIPIT_OPTION_NUMBER_BYTES];
	const struct pipit_option *option = pipit_option_find("max-target-bytes", strlen("max-target-bytes"));
	if (config->max_target_bytes < config->max_head_bytes)
		return 0;
	pipit_option_error_append_setting(
	    error, &call, option->name, pipit_option_format_number(option, config->max_target_bytes, target));
	pipit_option_error_append(error, ": too large; use less than max-head-bytes, which is %s",
	    pipit_option_format_number(option, config->max_head_bytes, head));
	return -EINVAL;
}

/* Otherwise such a body always gets 503. */
static int check_body_against_memory(const struct pipit_config *config, struct pipit_option_error *error)
{
	char body[PIPIT_OPTION_NUMBER_BYTES], memory[PIPIT_OPTION_NUMBER_BYTES];
	const struct pipit_option *option = pipit_option_find("max-body-bytes", strlen("max-body-bytes"));
	if (!config->memory_limit || config->max_body_bytes <= config->memory_limit)
		return 0;
	pipit_option_error_append_setting(
	    error, &call, option->name, pipit_option_format_number(option, config->max_body_bytes, body));
	pipit_option_error_append(error, ": too large; use at most memory-limit, which is %s, or raise memory-limit",
	    pipit_option_format_number(option, config->memory_limit, memory));
	return -EINVAL;
}

int pipit_config_check(const struct pipit_config *config, char *error, size_t size)
{
	struct pipit_option_error line = pipit_option_error_begin(error, size);
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		int result = check_option(config, &pipit_option_table[i], &line);
		if (result < 0)
			return result;
	}
	if (check_target_against_head(config, &line) < 0)
		return -EINVAL;
	return check_body_against_memory(config, &line);
}

static const char *format_default(const struct pipit_option *option, char *out)
{
	if (pipit_option_is_number(option))
		return pipit_option_format_number(option, option->initial, out);
	return option->initial_text != NULL ? option->initial_text : option->unset;
}

static void print_option(FILE *out, const char *name, const char *operand, char letter, const char *help)
{
	char option[48];
	int length = snprintf(option, sizeof(option), "--%s %s", name, operand);
	if (letter != 0)
		snprintf(option + length, sizeof(option) - (size_t)length, "(-%c)", letter);
	fprintf(out, length > 24 ? "  %s\n%27s%s" : "  %-24s%s%s", option, length > 24 ? "" : " ", help);
}

static void print_group(FILE *out, enum pipit_option_group group)
{
	static const char *const titles[PIPIT_GROUP_TOTAL] = { "What to serve:", "Limits:", "Deadlines:", "Other:" };
	char text[PIPIT_OPTION_NUMBER_BYTES];
	fprintf(out, "\n%s\n", titles[group]);
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (pipit_option_table[i].group != group)
			continue;
		print_option(
		    out, pipit_option_table[i].name, pipit_option_table[i].operand, 0, pipit_option_table[i].help);
		fprintf(out, " [%s]\n", format_default(&pipit_option_table[i], text));
	}
}

void pipit_config_print_help(FILE *out)
{
	fputs("Usage: pipit [OPTION]...\n"
	      "Serve files, JSON and metrics over HTTP/1.1 until SIGTERM or SIGINT.\n",
	    out);
	for (int group = 0; group < PIPIT_GROUP_TOTAL; group++)
		print_group(out, (enum pipit_option_group)group);
	for (size_t i = 0; i < PIPIT_COMMAND_TOTAL; i++) {
		print_option(out, pipit_commands[i].name, pipit_commands[i].operand, pipit_commands[i].letter,
		    pipit_commands[i].help);
		fputc('\n', out);
	}
	fputs("\nSIZE is in bytes, or with k, m or g. TIME is in seconds, or with ms, s, m or h.\n"
	      "0 switches a limit or a deadline off (not workers or rate-grace). Options that\n"
	      "need a limit refuse 0. A switch without a value is on: --spa means --spa on.\n"
	      "\n"
	      "The file and the environment set the same options: max-fields = 50 in the file,\n"
	      "PIPIT_MAX_FIELDS=50 in the environment, where PIPIT_CONFIG names the file. The\n"
	      "environment overrides the file, and the command line overrides both.\n"
	      "\n"
	      "Exit status: 0 clean stop, 1 could not run, 2 wrong configuration.\n",
	    out);
}

static void print_value(const struct pipit_config *config, const struct pipit_option *option, FILE *out)
{
	char text[PIPIT_OPTION_NUMBER_BYTES];
	if (pipit_option_is_number(option))
		fprintf(out, "%s = %s\n", option->name,
		    pipit_option_format_number(option, pipit_option_get_number(config, option), text));
	else if (pipit_option_get_text(config, option) == NULL)
		fprintf(out, "# %s is not set\n", option->name);
	else if (option->kind == PIPIT_OPTION_TEXT) /* keeps blanks at its ends */
		fprintf(out, "%s = \"%s\"\n", option->name, pipit_option_get_text(config, option));
	else
		fprintf(out, "%s = %s\n", option->name, pipit_option_get_text(config, option));
}

void pipit_config_print(const struct pipit_config *config, FILE *out)
{
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (pipit_option_table[i].kind != PIPIT_OPTION_ADDRESSES)
			print_value(config, &pipit_option_table[i], out);
		for (size_t j = 0; pipit_option_table[i].kind == PIPIT_OPTION_ADDRESSES && j < config->listen_count;
		     j++)
			fprintf(out, "%s = %s\n", pipit_option_table[i].name, config->listen[j]);
	}
}

void pipit_config_print_markdown(FILE *out)
{
	fputs("| Option | Default | Takes | Meaning |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		char text[PIPIT_OPTION_NUMBER_BYTES], wanted[128];
		struct pipit_option_error line = pipit_option_error_begin(wanted, sizeof(wanted));
		pipit_option_error_append_wanted(&line, &pipit_option_table[i]);
		fprintf(out, "| `--%s` | %s | %s | %s |\n", pipit_option_table[i].name,
		    format_default(&pipit_option_table[i], text), wanted, pipit_option_table[i].help);
	}
}
