/* SPDX-License-Identifier: MIT */
#include "access/host_names.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS ", \t"

struct pipit_host_names {
	const char *own; /* in `text`; NULL: unknown */
	char *text;      /* owned */
	bool has_every;
	size_t count;
	const char *names[]; /* in `text`; "*.example.com" is ".example.com" */
};

/* --- hosts ------------------------------------------------------------------------------------------------------------ */

static struct pipit_slice without_port(struct pipit_slice host)
{
	const char *end = host.data + host.length, *at = end;
	while (at > host.data && pipit_bytes_is_digit(at[-1]))
		at--;
	if (at > host.data && at[-1] == ':')
		end = at - 1;
	return (struct pipit_slice){ host.data, (size_t)(end - host.data) };
}

/* The root's dot at the end is left out. */
static struct pipit_slice name_of(struct pipit_slice host)
{
	struct pipit_slice name = without_port(host);
	if (name.length > 1 && name.data[name.length - 1] == '.')
		name.length--;
	return name;
}

/* No top-level domain is a number (RFC 3696 §2), and browsers read such a host as an IPv4 address (URL Standard §3.5). */
static bool is_number(struct pipit_slice label)
{
	for (size_t i = 0; i < label.length; i++) {
		if (!pipit_bytes_is_digit(label.data[i]))
			return false;
	}
	return label.length > 0;
}

static struct pipit_slice last_label(struct pipit_slice name)
{
	const char *dot = memrchr(name.data, '.', name.length);
	const char *start = dot ? dot + 1 : name.data;
	return (struct pipit_slice){ start, (size_t)(name.data + name.length - start) };
}

static bool ends_with(struct pipit_slice name, const char *suffix)
{
	size_t length = strlen(suffix);
	return name.length > length && strncasecmp(name.data + name.length - length, suffix, length) == 0;
}

static bool is_listed(const struct pipit_host_names *names, struct pipit_slice name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (names->names[i][0] == '.' ? ends_with(name, names->names[i])
					      : pipit_slice_equals_nocase(name, names->names[i]))
			return true;
	}
	return false;
}

enum pipit_host_name pipit_host_names_find(const struct pipit_host_names *names, struct pipit_slice host)
{
	struct pipit_slice name = name_of(host), label = last_label(name);

	if (names->has_every || (names->count && is_listed(names, name)))
		return PIPIT_HOST_NAME_LISTED;
	if (name.length > 0 && name.data[0] == '[')
		return pipit_slice_equals(name, "[::1]") ? PIPIT_HOST_NAME_LOOPBACK : PIPIT_HOST_NAME_LOCAL;
	if (is_number(label))
		return strncmp(name.data, "127.", 4) == 0 ? PIPIT_HOST_NAME_LOOPBACK : PIPIT_HOST_NAME_LOCAL;
	if (pipit_slice_equals_nocase(label, "localhost"))
		return PIPIT_HOST_NAME_LOOPBACK;
	if (label.length == name.length || (names->own && pipit_slice_equals_nocase(name, names->own)))
		return PIPIT_HOST_NAME_LOCAL;
	return PIPIT_HOST_NAME_FOREIGN;
}

/* --- origins ---------------------------------------------------------------------------------------------------------- */

static struct pipit_slice without_default_port(struct pipit_slice authority, const char *port)
{
	struct pipit_slice name = without_port(authority);
	struct pipit_slice rest = { name.data + name.length, authority.length - name.length };
	return rest.length <= 1 || pipit_slice_equals(rest, port) ? name : authority;
}

bool pipit_host_names_is_same_origin(struct pipit_slice origin, struct pipit_slice host)
{
	static const struct {
		const char *scheme, *port;
	} schemes[] = { { "http://", ":80" }, { "https://", ":443" } };

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t length = strlen(schemes[i].scheme);
		struct pipit_slice left, right;
		if (origin.length <= length || strncasecmp(origin.data, schemes[i].scheme, length) != 0)
			continue;
		left = without_default_port(
		    (struct pipit_slice){ origin.data + length, origin.length - length }, schemes[i].port);
		right = without_default_port(host, schemes[i].port);
		return left.length > 0 && left.length == right.length &&
		       strncasecmp(left.data, right.data, left.length) == 0;
	}
	return false;
}

/* --- the list --------------------------------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	if (name[0] == '[')
		return name[length - 1] == ']' && strspn(name + 1, "0123456789abcdefABCDEF:.") == length - 2;
	if (name[0] == '*' && name[1] == '.')
		name += 2;
	for (const char *at = name; *at; at++) {
		bool is_label = pipit_bytes_is_letter(*at) || pipit_bytes_is_digit(*at) || *at == '-' || *at == '_';
		if (!is_label && !(*at == '.' && at > name && at[-1] != '.' && at[1]))
			return false;
	}
	return *name != '\0';
}

static int add_name(struct pipit_host_names *names, const char *name, char *error, size_t size)
{
	if (strcmp(name, "*") == 0) {
		names->has_every = true;
		return 0;
	}
	if (!is_name(name)) {
		snprintf(error, size,
		    "\"%s\" is not a name; use names without a port, for example nas.example.com or *.example.com, or "
		    "*",
		    name);
		return -EINVAL;
	}
	names->names[names->count++] = name[0] == '*' ? name + 1 : name;
	return 0;
}

int pipit_host_names_new(const char *list, const char *own, struct pipit_host_names **names, char *error, size_t size)
{
	size_t length = list ? strlen(list) : 0, own_length = own ? strlen(own) : 0;
	struct pipit_host_names *made = calloc(1, sizeof *made + (length / 2 + 1) * sizeof *made->names);
	char *at = NULL, *next;
	int result = 0;

	if (made)
		made->text = malloc(length + own_length + 2);
	if (!made || !made->text) {
		free(made);
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	memcpy(made->text, list ? list : "", length + 1);
	if (own_length) {
		memcpy(made->text + length + 1, own, own_length + 1);
		made->own = made->text + length + 1;
	}
	for (at = strtok_r(made->text, SEPARATORS, &next); at && result == 0; at = strtok_r(NULL, SEPARATORS, &next))
		result = add_name(made, at, error, size);
	if (result == 0 && list && made->count == 0 && !made->has_every) {
		snprintf(error, size, "no name; use names, for example nas.example.com, or *");
		result = -EINVAL;
	}
	if (result != 0) {
		pipit_host_names_free(made);
		return result;
	}
	*names = made;
	return 0;
}

bool pipit_host_names_have_every(const struct pipit_host_names *names)
{
	return names->has_every;
}

void pipit_host_names_free(struct pipit_host_names *names)
{
	if (names)
		free(names->text);
	free(names);
}
