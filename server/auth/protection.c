/* SPDX-License-Identifier: MIT */
#include "auth/protection.h"

#include "access/path_prefix.h"
#include "base/methods.h"
#include "pipit.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* --- parsing ------------------------------------------------------------------------------------------------------------ */

struct parser {
	struct pipit_protection *protection;
	struct pipit_protection_rule *rule;
	struct pipit_slice rest; /* of the line */
	char *error;
	size_t size;
};

static int refuse(const struct parser *parser, const char *why)
{
	snprintf(parser->error, parser->size, "%s; use " PIPIT_PROTECTION_FORM, why);
	return -EINVAL;
}

static int out_of_memory(const struct parser *parser)
{
	snprintf(parser->error, parser->size, "out of memory");
	return -ENOMEM;
}

static int read_prefix(struct parser *parser)
{
	struct pipit_slice word = pipit_slice_take_word(&parser->rest);
	struct pipit_protection_rule *rule = parser->rule;
	const char *fault = pipit_path_prefix_fault(word);

	if (fault)
		return refuse(parser, fault);
	rule->prefix = strndup(word.data, word.length);
	if (!rule->prefix)
		return out_of_memory(parser);
	rule->prefix_length = pipit_path_prefix_length(word);
	return 0;
}

static bool is_upper(char byte)
{
	return byte >= 'A' && byte <= 'Z';
}

/* HEAD gets what GET gets. */
static int read_methods(struct parser *parser)
{
	struct pipit_slice rest = parser->rest, word = pipit_slice_take_word(&parser->rest), member;

	parser->rule->methods = PIPIT_ANY;
	if (word.length == 0 || !is_upper(word.data[0])) {
		parser->rest = rest;
		return 0;
	}
	parser->rule->methods = 0;
	while (pipit_slice_next_member(&word, &member)) {
		unsigned bit = pipit_methods_find(member);
		if (!bit)
			return refuse(parser, "an unknown method");
		parser->rule->methods |= bit == PIPIT_GET ? PIPIT_GET | PIPIT_HEAD : bit;
	}
	return 0;
}

static int add_file(struct parser *parser, enum pipit_scheme scheme, struct pipit_slice name)
{
	struct pipit_protection *protection = parser->protection;
	struct pipit_protection_file *files;
	size_t number = 0;

	while (number < protection->file_count && !(protection->files[number].scheme == scheme &&
						      pipit_slice_equals(name, protection->files[number].name)))
		number++;
	if (number == protection->file_count) {
		const char *slash;
		files = realloc(protection->files, (number + 1) * sizeof *files);
		if (!files)
			return out_of_memory(parser);
		protection->files = files;
		files[number].name = strndup(name.data, name.length);
		if (!files[number].name)
			return out_of_memory(parser);
		slash = strrchr(files[number].name, '/');
		files[number].realm = slash ? slash + 1 : files[number].name;
		files[number].scheme = scheme;
		protection->file_count++;
	}
	parser->rule->files[scheme] = number;
	return 0;
}

static int read_names(struct parser *parser)
{
	struct pipit_slice word = pipit_slice_take_word(&parser->rest), member;
	char *at = malloc(word.length + 3);

	if (!at)
		return out_of_memory(parser);
	parser->rule->only = at;
	*at++ = ',';
	while (pipit_slice_next_member(&word, &member)) {
		memcpy(at, member.data, member.length);
		at += member.length;
		*at++ = ',';
	}
	*at = '\0';
	if (parser->rule->only[1] == '\0')
		return refuse(parser, "\"only\" names no user");
	return pipit_slice_take_word(&parser->rest).length == 0 ? 0 : refuse(parser, "something follows the names");
}

static int read_scheme(struct parser *parser, enum pipit_scheme scheme)
{
	struct pipit_slice name = pipit_slice_take_word(&parser->rest);

	if (parser->rule->files[scheme] != PIPIT_PROTECTION_NONE)
		return refuse(parser, "the scheme occurs twice");
	return name.length ? add_file(parser, scheme, name) : refuse(parser, "the scheme has no file");
}

static bool is_open(const struct pipit_protection_rule *rule)
{
	return rule->files[PIPIT_SCHEME_BASIC] == PIPIT_PROTECTION_NONE &&
	       rule->files[PIPIT_SCHEME_BEARER] == PIPIT_PROTECTION_NONE;
}

/* After prefix and methods. */
static int read_schemes(struct parser *parser)
{
	struct pipit_slice word = pipit_slice_take_word(&parser->rest);
	int error = 0;

	if (word.length == 0)
		return refuse(parser, "the rule has no scheme");
	if (pipit_slice_equals(word, "open"))
		return pipit_slice_take_word(&parser->rest).length == 0 ? 0
									: refuse(parser, "something follows \"open\"");
	for (; word.length > 0 && error == 0; word = pipit_slice_take_word(&parser->rest)) {
		if (pipit_slice_equals(word, "basic"))
			error = read_scheme(parser, PIPIT_SCHEME_BASIC);
		else if (pipit_slice_equals(word, "bearer"))
			error = read_scheme(parser, PIPIT_SCHEME_BEARER);
		else if (pipit_slice_equals(word, "only") && !is_open(parser->rule))
			return read_names(parser);
		else
			return refuse(parser, "an unknown scheme");
	}
	return error;
}

static bool has_prefix(const struct pipit_protection_rule *rule, const struct pipit_protection_rule *other)
{
	return rule->prefix_length == other->prefix_length &&
	       memcmp(rule->prefix, other->prefix, rule->prefix_length) == 0;
}

static int check_others(struct parser *parser)
{
	for (const struct pipit_protection_rule *rule = parser->protection->rules; rule < parser->rule; rule++) {
		if (has_prefix(rule, parser->rule) && rule->methods & parser->rule->methods) {
			snprintf(
			    parser->error, parser->size, "another rule has this prefix and method; use one of them");
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_line(struct parser *parser, struct pipit_slice line)
{
	struct pipit_protection *protection = parser->protection;
	struct pipit_protection_rule *rules = realloc(protection->rules, (protection->rule_count + 1) * sizeof *rules);
	int error;

	if (!rules)
		return out_of_memory(parser);
	protection->rules = rules;
	parser->rule = &rules[protection->rule_count++];
	*parser->rule = (struct pipit_protection_rule){ .files = { PIPIT_PROTECTION_NONE, PIPIT_PROTECTION_NONE } };
	parser->rest = line;
	parser->rule->line = strndup(line.data, line.length);
	error = parser->rule->line ? 0 : out_of_memory(parser);
	if (error == 0)
		error = read_prefix(parser);
	if (error == 0)
		error = read_methods(parser);
	if (error == 0)
		error = read_schemes(parser);
	return error == 0 ? check_others(parser) : error;
}

int pipit_protection_parse(
    const char *lines, struct pipit_protection *protection, struct pipit_slice *wrong, char *error, size_t size)
{
	struct parser parser = { .protection = protection, .error = error, .size = size };
	int result = 0;

	*protection = (struct pipit_protection){ 0 };
	while (*lines != '\0' && result == 0) {
		*wrong = (struct pipit_slice){ lines, strcspn(lines, "\n") };
		result = parse_line(&parser, *wrong);
		lines += wrong->length + (lines[wrong->length] == '\n');
	}
	if (result != 0)
		pipit_protection_clear(protection);
	return result;
}

void pipit_protection_clear(struct pipit_protection *protection)
{
	for (size_t i = 0; i < protection->rule_count; i++) {
		free(protection->rules[i].line);
		free(protection->rules[i].prefix);
		free(protection->rules[i].only);
	}
	for (size_t i = 0; i < protection->file_count; i++)
		free(protection->files[i].name);
	free(protection->rules);
	free(protection->files);
	*protection = (struct pipit_protection){ 0 };
}

/* --- requests ----------------------------------------------------------------------------------------------------------- */

static const struct pipit_protection_rule *find(
    const struct pipit_protection *protection, unsigned method, struct pipit_slice read)
{
	const struct pipit_protection_rule *best = NULL;

	for (size_t i = 0; i < protection->rule_count; i++) {
		const struct pipit_protection_rule *rule = &protection->rules[i];
		if (rule->methods & method && (!best || rule->prefix_length > best->prefix_length) &&
		    pipit_path_prefix_covers(rule->prefix, read))
			best = rule;
	}
	return best && is_open(best) ? NULL : best;
}

struct pipit_protection_match pipit_protection_find(
    const struct pipit_protection *protection, unsigned method, struct pipit_slice path, char *scratch)
{
	const struct pipit_protection_rule *rules[2];

	for (int resolves = 0; resolves < 2; resolves++) {
		size_t length = pipit_path_prefix_read(path, resolves, scratch);
		rules[resolves] = find(protection, method, (struct pipit_slice){ scratch, length });
	}
	return rules[0] ? (struct pipit_protection_match){ rules[0], rules[1] ? rules[1] : rules[0] }
			: (struct pipit_protection_match){ rules[1], rules[1] };
}

bool pipit_protection_admits(
    const struct pipit_protection_rule *rule, enum pipit_scheme scheme, size_t file, const char *name)
{
	size_t length = strlen(name);

	if (rule->files[scheme] != file)
		return false;
	if (!rule->only)
		return true;
	if (length == 0 || strchr(name, ','))
		return false;
	for (const char *at = rule->only; (at = strstr(at, name)) != NULL; at++) {
		if (at[-1] == ',' && at[length] == ',')
			return true;
	}
	return false;
}
