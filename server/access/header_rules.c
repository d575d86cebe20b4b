/* SPDX-License-Identifier: MIT */
#include "access/header_rules.h"

#include "access/path_prefix.h"
#include "base/percent.h"
#include "http/response_head.h"
#include "request/request.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Handlers and CORS need the rest of PIPIT_RESPONSE_HEAD_FIELDS_MAX. */
#define BYTES_MAX 6000

struct rule {
	const char *pattern, *name, *value; /* in `text` */
};

struct pipit_header_rules {
	char *text; /* owned */
	size_t count;
	size_t bytes; /* of all headers */
	struct rule rules[];
};

/* NULL: none. */
static const char *find_fault(const char *name, const char *value)
{
	if (!pipit_guard_is_token(pipit_slice_of(name)))
		return "the name is not one of a header; use letters, digits and -";
	if (!pipit_response_head_is_value(value))
		return "the value has a control character, or a blank at its end; remove it";
	if (!pipit_request_may_add_header(name, value))
		return "pipit sets this header itself; use another name";
	return NULL;
}

static char *skip_blanks(char *at)
{
	return at + strspn(at, " \t");
}

/* The line is cut in place. */
static int add_rule(struct pipit_header_rules *rules, char *line, char *error, size_t size)
{
	struct rule *rule = &rules->rules[rules->count];
	char *name = strstr(line, ": "), *value;
	const char *fault;

	value = name ? strchr(name + 2, ':') : NULL;
	if (line[0] != '/' || !value) {
		snprintf(error, size,
		    "header = \"%s\": not a rule; use PATTERN: Name: value, for example /*: X-Frame-Options: DENY",
		    line);
		return -EINVAL;
	}
	*name = *value = '\0';
	rule->pattern = line;
	rule->name = skip_blanks(name + 2);
	rule->value = skip_blanks(value + 1);
	fault = find_fault(rule->name, rule->value);
	if (fault) {
		snprintf(error, size, "header = \"%s: %s: %s\": %s", rule->pattern, rule->name, rule->value, fault);
		return -EINVAL;
	}
	rules->count++;
	rules->bytes += strlen(rule->name) + strlen(rule->value) + 4;
	if (rules->bytes > BYTES_MAX) {
		snprintf(
		    error, size, "header: the rules have more than %d bytes; use fewer or shorter ones", BYTES_MAX);
		return -EINVAL;
	}
	return 0;
}

int pipit_header_rules_new(const char *lines, struct pipit_header_rules **rules, char *error, size_t size)
{
	size_t count = 1;
	struct pipit_header_rules *made;
	char *next;
	int result = 0;

	for (const char *at = lines; (at = strchr(at, '\n')); at++)
		count++;
	made = calloc(1, sizeof *made + count * sizeof *made->rules);
	if (made)
		made->text = strdup(lines);
	if (!made || !made->text) {
		free(made);
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	for (char *line = strtok_r(made->text, "\n", &next); line && result == 0; line = strtok_r(NULL, "\n", &next))
		result = add_rule(made, line, error, size);
	if (result != 0) {
		pipit_header_rules_free(made);
		return result;
	}
	*rules = made;
	return 0;
}

void pipit_header_rules_free(struct pipit_header_rules *rules)
{
	if (rules)
		free(rules->text);
	free(rules);
}

static void apply(
    const struct pipit_header_rules *rules, struct pipit_request *request, const char *path, const char *other)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rules[i];
		if (fnmatch(rule->pattern, path, 0) == 0 || fnmatch(rule->pattern, other, 0) == 0)
			pipit_reply_header(request, rule->name, rule->value);
	}
}

/* A file has many paths: the one that the client wrote, and the one that it means. */
void pipit_header_rules_apply(const struct pipit_header_rules *rules, struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);
	char *written = malloc(2 * (path.length + 2)), *meant = written + path.length + 2;
	size_t length;

	if (!written) {
		pipit_request_reply_short(request);
		return;
	}
	written[pipit_percent_decode(path, written)] = '\0';
	length = pipit_path_prefix_read(path, true, meant);
	/* The root, and a slash at the end. */
	if (length == 0 || written[strlen(written) - 1] == '/')
		meant[length++] = '/';
	meant[length] = '\0';
	apply(rules, request, written, meant);
	free(written);
}
