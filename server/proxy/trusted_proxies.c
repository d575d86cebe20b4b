/* SPDX-License-Identifier: MIT */
#include "proxy/trusted_proxies.h"

#include "base/log.h"
#include "base/slice.h"
#include "config/config.h"
#include "config/networks.h"
#include "config/option.h"
#include "http/guard.h"
#include "pipit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct pipit_trusted_proxies {
	struct pipit_networks *networks;
	bool reads_forwarded; /* not X-Forwarded-For */
};

/* --- the networks ---------------------------------------------------------------------------------------------------- */

static void warn_of_every_address(const struct pipit_config *config, struct pipit_slice list)
{
	char message[PIPIT_OPTION_TEXT_MAX_BYTES + 256], located[PIPIT_OPTION_TEXT_MAX_BYTES + 512];

	snprintf(message, sizeof message,
	    "trusted-proxy = \"%.*s\": every client may then say which address it has; use the networks of the proxies",
	    (int)list.length, list.data);
	pipit_config_locate(config, message, located, sizeof located);
	pipit_log(PIPIT_LOG_WARN, "%s", located);
}

/* Logs each wrong line. */
static int add_lines(struct pipit_trusted_proxies *proxies, const struct pipit_config *config)
{
	const char *line = config->trusted_proxy;
	char why[512] = "out of memory";
	bool has_warned = false;
	int result = 0;

	while (*line) {
		struct pipit_slice list = { line, strcspn(line, "\n") };
		int error = pipit_networks_add(proxies->networks, list, 1, why, sizeof why);
		if (error != 0) {
			pipit_config_log_error(
			    config, "trusted-proxy = \"%.*s\": %s", (int)list.length, list.data, why);
			result = result ? result : error;
		} else if (!has_warned && pipit_networks_have_every_address(proxies->networks)) {
			warn_of_every_address(config, list);
			has_warned = true;
		}
		line += list.length + (line[list.length] == '\n');
	}
	if (result == 0 && (result = pipit_networks_index(proxies->networks, why, sizeof why)) != 0)
		pipit_config_log_error(config, "trusted-proxy: %s", why);
	return result;
}

int pipit_trusted_proxies_new(const struct pipit_config *config, struct pipit_trusted_proxies **proxies)
{
	struct pipit_trusted_proxies *made;
	int result = -ENOMEM;

	*proxies = NULL;
	if (!config->trusted_proxy)
		return 0;
	made = calloc(1, sizeof *made);
	if (!made)
		return -ENOMEM;
	made->reads_forwarded = strcmp(config->trusted_header, "forwarded") == 0;
	made->networks = pipit_networks_new();
	if (made->networks)
		result = add_lines(made, config);
	if (result == 0)
		*proxies = made;
	else
		pipit_trusted_proxies_free(made);
	return result;
}

void pipit_trusted_proxies_free(struct pipit_trusted_proxies *proxies)
{
	if (!proxies)
		return;
	pipit_networks_free(proxies->networks);
	free(proxies);
}

bool pipit_trusted_proxies_contain(
    const struct pipit_trusted_proxies *proxies, const union pipit_client_address *address)
{
	if (!proxies || address->any.sa_family == AF_UNSPEC)
		return false;
	return pipit_networks_find(proxies->networks, address->any.sa_family == AF_UNIX ? NULL : &address->any) != 0;
}

/* --- the client ------------------------------------------------------------------------------------------------------ */

/* The elements of all headers of a name, from the last to the first. */
struct walk {
	const struct pipit_guard_head *head;
	const char *name;
	size_t next; /* header behind the one to be looked at */
	struct pipit_slice list;
};

static bool take_last(struct walk *walk, struct pipit_slice *element)
{
	while (!pipit_forwarded_take_last(&walk->list, element)) {
		const struct pipit_guard_field *field;

		if (walk->next == 0)
			return false;
		field = &walk->head->fields[--walk->next];
		if (pipit_slice_equals_nocase(
			pipit_guard_slice(walk->head, field->name, field->name_length), walk->name))
			walk->list = pipit_guard_slice(walk->head, field->value, field->value_length);
	}
	return true;
}

static struct walk begin_walk(const struct pipit_guard_head *head, const char *name)
{
	return (struct walk){ .head = head, .name = name, .next = head->field_count, .list = { "", 0 } };
}

static void walk_forwarded(const struct pipit_trusted_proxies *proxies, struct walk walk,
    union pipit_client_address *client, enum pipit_forwarded_scheme *scheme)
{
	struct pipit_slice element;
	while (pipit_trusted_proxies_contain(proxies, client) && take_last(&walk, &element) &&
	       pipit_forwarded_read_element(element, client, scheme))
		continue;
}

/* Returns how many elements were read. */
static size_t walk_addresses(
    const struct pipit_trusted_proxies *proxies, struct walk walk, union pipit_client_address *client)
{
	struct pipit_slice element;
	size_t count = 0;
	while (pipit_trusted_proxies_contain(proxies, client) && take_last(&walk, &element) &&
	       pipit_forwarded_read_address(element, client))
		count++;
	return count;
}

/* Each proxy appends its scheme, or the last one sets a single one: that of the client's element counts, or else the first. */
static enum pipit_forwarded_scheme read_scheme(struct walk walk, size_t count)
{
	enum pipit_forwarded_scheme scheme = PIPIT_FORWARDED_NO_SCHEME;
	struct pipit_slice element;

	do {
		if (!take_last(&walk, &element))
			return scheme;
		scheme = pipit_forwarded_read_scheme(element);
	} while (count-- > 1);
	return scheme;
}

void pipit_trusted_proxies_find_client(const struct pipit_trusted_proxies *proxies, const struct pipit_guard_head *head,
    union pipit_client_address *client, enum pipit_forwarded_scheme *scheme)
{
	size_t count;

	*scheme = PIPIT_FORWARDED_NO_SCHEME;
	if (!pipit_trusted_proxies_contain(proxies, client))
		return;
	if (proxies->reads_forwarded) {
		walk_forwarded(proxies, begin_walk(head, "Forwarded"), client, scheme);
		return;
	}
	count = walk_addresses(proxies, begin_walk(head, "X-Forwarded-For"), client);
	*scheme = read_scheme(begin_walk(head, "X-Forwarded-Proto"), count);
}
