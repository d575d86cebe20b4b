/* SPDX-License-Identifier: MIT */
#include "config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	/* The owner and the group may connect, which takes the right to write. */
	MODE_DEFAULT = 0660,
	MODE_MAX = 0777,
	DESCRIPTOR_MAX = 1 << 20,
};

/* ---------------------------------------------------------------- IP */

static int parse_port(const char *text, unsigned *port)
{
	size_t length = strlen(text);
	unsigned number = 0;
	if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
		return -EINVAL;
	for (; *text != '\0'; text++)
		number = number * 10 + (unsigned)(*text - '0');
	if (number > 65535)
		return -EINVAL;
	*port = number;
	return 0;
}

/* ":PORT" is every address; other names need a resolver, whose answer changes. */
static const char *find_alias(const char *host)
{
	if (*host == '\0')
		return "::";
	return strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : NULL;
}

/* Of interfaces; the system knows whether there is such a one. */
static bool is_zone(const char *text)
{
	size_t length = strlen(text);
	return length > 0 && length < IF_NAMESIZE && strcspn(text, "/% \t") == length;
}

/* The kernel ignores the zone of other addresses. */
static bool is_v6(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;
	const char *zone = strchr(text, '%');
	size_t length = zone != NULL ? (size_t)(zone - text) : strlen(text);
	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET6, address, &parsed) != 1)
		return false;
	return zone == NULL || (IN6_IS_ADDR_LINKLOCAL(&parsed) && is_zone(zone + 1));
}

static bool is_v4(const char *text)
{
	struct in_addr parsed;
	return inet_pton(AF_INET, text, &parsed) == 1;
}

const char *pipit_address_skip_scheme(const char *text, bool *is_https)
{
	static const char scheme[] = "https://";
	*is_https = strncasecmp(text, scheme, sizeof(scheme) - 1) == 0;
	return *is_https ? text + sizeof(scheme) - 1 : text;
}

int pipit_address_split(const char *text, char *host, size_t host_size, unsigned *port)
{
	char address[PIPIT_ADDRESS_HOST_SIZE];
	unsigned number;
	bool is_https;
	text = pipit_address_skip_scheme(text, &is_https);
	bool in_brackets = text[0] == '[';
	const char *begin = in_brackets ? text + 1 : text;
	const char *end = strchr(begin, in_brackets ? ']' : ':');
	const char *colon = end != NULL && in_brackets ? end + 1 : end;
	if (colon == NULL || *colon != ':' || parse_port(colon + 1, &number) < 0)
		return -EINVAL;
	size_t length = (size_t)(end - begin);
	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, begin, length);
	address[length] = '\0';
	const char *alias = in_brackets ? NULL : find_alias(address), *numeric = alias != NULL ? alias : address;
	if (alias == NULL && !(in_brackets ? is_v6(address) : is_v4(address)))
		return -EINVAL;
	if (strlen(numeric) >= host_size)
		return -EINVAL;
	strcpy(host, numeric);
	*port = number;
	return 0;
}

/* ---------------------------------------------------------------- UNIX */

static int copy_part(char *copy, size_t size, const char *text, size_t length)
{
	if (length == 0 || length >= size)
		return -EINVAL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return 0;
}

static int parse_mode(const char *text, size_t length, mode_t *mode)
{
	mode_t number = 0;
	if (length == 0 || length > 4)
		return -ERANGE;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '7')
			return -ERANGE;
		number = number * 8 + (mode_t)(text[i] - '0');
	}
	*mode = number;
	return number <= MODE_MAX ? 0 : -ERANGE;
}

/* The value behind "NAME=", or NULL. */
static const char *value_of(const char *text, const char *name)
{
	size_t length = strlen(name);
	return strncmp(text, name, length) == 0 && text[length] == '=' ? text + length + 1 : NULL;
}

static int parse_property(const char *text, size_t length, struct pipit_address *address)
{
	const char *end = text + length, *value;
	if (memchr(text, ' ', length) != NULL)
		return -EINVAL;
	if ((value = value_of(text, "mode")) != NULL && value <= end)
		return parse_mode(value, (size_t)(end - value), &address->mode);
	if ((value = value_of(text, "user")) != NULL && value <= end)
		return copy_part(address->user, sizeof(address->user), value, (size_t)(end - value));
	if ((value = value_of(text, "group")) != NULL && value <= end)
		return copy_part(address->group, sizeof(address->group), value, (size_t)(end - value));
	return -EINVAL;
}

/* An abstract name has no owner and no mode. */
static int parse_unix(const char *text, struct pipit_address *address)
{
	size_t length = strcspn(text, ",");
	bool is_abstract = text[0] == '@';
	*address = (struct pipit_address){ .kind = PIPIT_ADDRESS_UNIX, .mode = MODE_DEFAULT };
	/* A line of the file loses blanks at its end. */
	if ((text[0] != '/' && !is_abstract) || length < 2 || text[length - 1] == ' ' ||
	    copy_part(address->path, sizeof(address->path), text, length) < 0 || (is_abstract && text[length] != '\0'))
		return -EINVAL;
	for (text += length; *text == ','; text += length) {
		length = strcspn(++text, ",");
		int result = parse_property(text, length, address);
		if (result < 0)
			return result;
	}
	return 0;
}

static const char proxy_protocol[] = ",proxy-protocol";

static bool is_proxy_protocol(const char *text)
{
	size_t length = sizeof(proxy_protocol) - 2;
	return strncmp(text, proxy_protocol + 1, length) == 0 && (text[length] == '\0' || text[length] == ',');
}

bool pipit_address_is_rest(const char *text)
{
	return is_proxy_protocol(text) || value_of(text, "mode") != NULL || value_of(text, "user") != NULL ||
	       value_of(text, "group") != NULL;
}

/* ---------------------------------------------------------------- inherited */

static int parse_inherited(const char *text, struct pipit_address *address)
{
	size_t length = strlen(text), digits = strspn(text, "0123456789");
	*address = (struct pipit_address){ .kind = PIPIT_ADDRESS_INHERITED, .descriptor = -1 };
	if (digits == 0 || digits < length)
		return strcspn(text, ": \t") == length ? copy_part(address->name, sizeof(address->name), text, length)
						       : -EINVAL;
	if (digits > 7 || atoi(text) > DESCRIPTOR_MAX)
		return -EINVAL;
	address->descriptor = atoi(text);
	return 0;
}

/* ---------------------------------------------------------------- all */

/* What follows the prefix, or NULL. */
static const char *behind(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int parse_address(const char *text, struct pipit_address *address)
{
	const char *rest;
	if ((rest = behind(text, "unix:")) != NULL)
		return parse_unix(rest, address);
	if ((rest = behind(text, "fd://")) != NULL)
		return parse_inherited(rest, address);
	*address = (struct pipit_address){ .kind = PIPIT_ADDRESS_IP };
	pipit_address_skip_scheme(text, &address->is_https);
	return pipit_address_split(text, address->host, sizeof(address->host), &address->port);
}

/* Where ",proxy-protocol" begins, at the end of the text; the end, if it is not there. */
static size_t find_proxy_protocol(const char *text)
{
	size_t length = strlen(text), suffix = sizeof(proxy_protocol) - 1;
	bool is_there = length >= suffix && strcmp(text + length - suffix, proxy_protocol) == 0;
	return is_there ? length - suffix : length;
}

bool pipit_address_is_proxied(const char *text)
{
	return text[find_proxy_protocol(text)] != '\0';
}

int pipit_address_parse(const char *text, struct pipit_address *address)
{
	char copy[PIPIT_ADDRESS_TEXT_SIZE];
	size_t length = find_proxy_protocol(text);
	int result;
	if (text[length] == '\0')
		return parse_address(text, address);
	snprintf(copy, sizeof(copy), "%.*s", (int)length, text);
	result = parse_address(copy, address);
	address->is_proxied = true;
	return length < sizeof(copy) ? result : -EINVAL;
}
