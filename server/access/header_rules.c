/* SPDX-License-Identifier: MIT */
#include "access/header_rules.h"

#include "base/percent.h"
#include "request/request.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rule {
	const char *pattern, *name, *value; /* in `text` */
};

struct pipit_header_rules {
	char *text; /* owned */
	size_t count;
	struct rule rules[];
};

static char *skip_blanks(char *at)
{
	return at + strspn(at, " \t");
}

/* The line is cut in place. */
static int add_rule(struct pipit_header_rules *rules, char *line, char *error, size_t size)
{
	struct rule *rule = &rules->rules[rules->count];
	char *name = strstr(line, ": "), *value;

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
	if (!pipit_request_may_add_header(rule->name, rule->value)) {
		snprintf(error, size,
		    "header = \"%s: %s: %s\": a header that cannot be added; use another name, and a value without "
		    "controls",
		    rule->pattern, rule->name, rule->value);
		return -EINVAL;
	}
	rules->count++;
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

void pipit_header_rules_apply(const struct pipit_header_rules *rules, struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	char *path = malloc(head->path_length + 1);

	if (!path)
		return;
	path[pipit_percent_decode(pipit_guard_slice(head, head->path, head->path_length), path)] = '\0';
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rules[i];
		if (fnmatch(rule->pattern, path, 0) == 0)
			pipit_reply_header(request, rule->name, rule->value);
	}
	free(path);
}
