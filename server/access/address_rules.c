/* SPDX-License-Identifier: MIT */
#include "access/address_rules.h"

#include "access/path_prefix.h"
#include "config/networks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DENIED = 1, ALLOWED };

#define WANTED "[PREFIX] and " PIPIT_NETWORKS_WANTED

struct rule {
	char *prefix;  /* owned */
	size_t length; /* without slashes at its end */
	bool has_allow;
	struct pipit_networks *networks; /* owned; DENIED or ALLOWED */
};

struct pipit_address_rules {
	struct rule *rules; /* once indexed, the longest prefix first */
	size_t count;
};

struct pipit_address_rules *pipit_address_rules_new(void)
{
	return calloc(1, sizeof(struct pipit_address_rules));
}

static void free_rule(struct rule *rule)
{
	free(rule->prefix);
	pipit_networks_free(rule->networks);
}

void pipit_address_rules_free(struct pipit_address_rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->count; i++)
		free_rule(&rules->rules[i]);
	free(rules->rules);
	free(rules);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

/* NULL: out of memory. */
static struct rule *find_or_add(struct pipit_address_rules *rules, struct pipit_slice prefix)
{
	size_t length = pipit_path_prefix_length(prefix);
	struct rule *grown, *rule;

	for (size_t i = 0; i < rules->count; i++) {
		rule = &rules->rules[i];
		if (rule->length == length && memcmp(rule->prefix, prefix.data, length) == 0)
			return rule;
	}
	grown = reallocarray(rules->rules, rules->count + 1, sizeof *grown);
	if (!grown)
		return NULL;
	rules->rules = grown;
	rule = &grown[rules->count];
	*rule = (struct rule){ .prefix = strndup(prefix.data, prefix.length), .length = length };
	rule->networks = pipit_networks_new();
	if (!rule->prefix || !rule->networks) {
		free_rule(rule);
		return NULL;
	}
	rules->count++;
	return rule;
}

int pipit_address_rules_add(
    struct pipit_address_rules *rules, struct pipit_slice line, bool allows, char *error, size_t error_size)
{
	struct pipit_slice networks = pipit_slice_trim(line), prefix = { "/", 1 };
	const char *fault = NULL;
	struct rule *rule;
	int result = -ENOMEM;

	if (networks.length > 0 && networks.data[0] == '/') {
		pipit_slice_next_member(&networks, &prefix);
		fault = pipit_path_prefix_fault(prefix);
	}
	if (fault) {
		snprintf(error, error_size, "%s; use " WANTED, fault);
		return -EINVAL;
	}
	rule = find_or_add(rules, prefix);
	if (rule)
		result = pipit_networks_add(rule->networks, networks, allows ? ALLOWED : DENIED, error, error_size);
	else
		snprintf(error, error_size, "out of memory");
	if (result == 0 && allows)
		rule->has_allow = true;
	return result;
}

static int compare_lengths(const void *left, const void *right)
{
	const struct rule *one = left, *other = right;
	return (one->length < other->length) - (one->length > other->length);
}

int pipit_address_rules_index(struct pipit_address_rules *rules, char *error, size_t error_size)
{
	int result = 0;

	if (rules->count > 0)
		qsort(rules->rules, rules->count, sizeof *rules->rules, compare_lengths);
	for (size_t i = 0; i < rules->count && result == 0; i++) {
		char why[128];
		result = pipit_networks_index(rules->rules[i].networks, why, sizeof why);
		if (result == -EEXIST)
			snprintf(error, error_size, "%s is allowed and denied for %s; use one of both", why,
			    rules->rules[i].prefix);
		else if (result != 0)
			snprintf(error, error_size, "%s", why);
	}
	return result == -EEXIST ? -EINVAL : result;
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static bool may_pass(const struct pipit_address_rules *rules, const struct sockaddr *client, struct pipit_slice path)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rules[i];
		int decision;
		if (!pipit_path_prefix_covers(rule->prefix, path))
			continue;
		decision = pipit_networks_find(rule->networks, client);
		if (decision != 0 || rule->has_allow)
			return decision == ALLOWED;
	}
	return true;
}

int pipit_address_rules_check(
    const struct pipit_address_rules *rules, const struct sockaddr *client, struct pipit_slice path)
{
	struct pipit_path_readings readings;
	bool passes;

	if (!pipit_path_readings_read(&readings, path))
		return -ENOMEM;
	passes = may_pass(rules, client, readings.paths[0]) && may_pass(rules, client, readings.paths[1]);
	pipit_path_readings_free(&readings);
	return passes ? 0 : -EACCES;
}
