/* SPDX-License-Identifier: MIT */
#include "proxy/proxy_protocol.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

/* --- version 1: a line ---------------------------------------------------------------------------------------------- */

static const char line_start[] = "PROXY ";

/* The bytes up to `end`, and what follows it becomes *at. False: there is no such end. */
static bool take(const char **at, const char *limit, char end, char *text, size_t size)
{
	const char *found = memchr(*at, end, (size_t)(limit - *at));
	size_t length = found ? (size_t)(found - *at) : size;

	if (length == 0 || length >= size || memchr(*at, '\0', length))
		return false;
	memcpy(text, *at, length);
	text[length] = '\0';
	*at = found + 1;
	return true;
}

/* Without leading zeros. */
static bool read_port(const char *text, in_port_t *port)
{
	size_t length = strlen(text);
	unsigned number = 0;

	if (length > 5 || strspn(text, "0123456789") != length || (text[0] == '0' && length > 1))
		return false;
	for (; *text; text++)
		number = number * 10 + (unsigned)(*text - '0');
	*port = htons((uint16_t)number);
	return number <= UINT16_MAX;
}

/* An IPv4 address at the end of an IPv6 one: only of a mapped one, as inet_ntop() writes it. */
static bool read_address(int family, const char *text, void *address)
{
	return inet_pton(family, text, address) == 1 &&
	       (family == AF_INET || !strchr(text, '.') || IN6_IS_ADDR_V4MAPPED((struct in6_addr *)address));
}

/* line: behind "TCP4 " or "TCP6 ", up to CR. */
static bool read_addresses(int family, const char *line, const char *cr, union pipit_client_address *client)
{
	char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN], source_port[6], target_port[6];
	struct in6_addr unused;
	in_port_t port, unused_port;

	memset(client, 0, sizeof *client);
	if (!take(&line, cr, ' ', source, sizeof source) || !take(&line, cr, ' ', target, sizeof target) ||
	    !take(&line, cr, ' ', source_port, sizeof source_port) ||
	    !take(&line, cr + 1, '\r', target_port, sizeof target_port) || !read_port(source_port, &port) ||
	    !read_port(target_port, &unused_port) || !read_address(family, target, &unused))
		return false;
	client->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		client->v4.sin_port = port;
		return read_address(family, source, &client->v4.sin_addr);
	}
	client->v6.sin6_port = port;
	return read_address(family, source, &client->v6.sin6_addr);
}

static bool begins_with(const char *at, const char *end, const char *text)
{
	size_t length = strlen(text);
	return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

static bool read_line(const char *line, const char *cr, struct pipit_proxy_protocol *header)
{
	static const char unknown[] = "UNKNOWN";
	const char *at = line + sizeof line_start - 1, *behind = at + sizeof unknown - 1;

	header->has_client = true;
	if (begins_with(at, cr, "TCP4 "))
		return read_addresses(AF_INET, at + 5, cr, &header->client);
	if (begins_with(at, cr, "TCP6 "))
		return read_addresses(AF_INET6, at + 5, cr, &header->client);
	/* The rest of the line is ignored. */
	header->has_client = false;
	return begins_with(at, cr, unknown) && (behind == cr || *behind == ' ');
}

static enum pipit_proxy_protocol_result parse_line(
    const char *bytes, size_t length, struct pipit_proxy_protocol *header)
{
	struct pipit_proxy_protocol read = { 0 };
	size_t limit = length < PIPIT_PROXY_PROTOCOL_LINE_MAX ? length : PIPIT_PROXY_PROTOCOL_LINE_MAX;
	const char *cr = memchr(bytes, '\r', limit), *lf = memchr(bytes, '\n', limit);

	/* Neither stands alone. */
	if (lf && lf != (cr ? cr + 1 : NULL))
		return PIPIT_PROXY_PROTOCOL_INVALID;
	if (!lf)
		return limit == PIPIT_PROXY_PROTOCOL_LINE_MAX || (cr && cr + 1 < bytes + limit)
			   ? PIPIT_PROXY_PROTOCOL_INVALID
			   : PIPIT_PROXY_PROTOCOL_MORE;
	if (!read_line(bytes, cr, &read))
		return PIPIT_PROXY_PROTOCOL_INVALID;
	read.length = (size_t)(lf + 1 - bytes);
	*header = read;
	return PIPIT_PROXY_PROTOCOL_DONE;
}

/* --- version 2: binary ---------------------------------------------------------------------------------------------- */

static const char signature[12] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

enum {
	BLOCK_START = 16, /* of the addresses */
	VERSION = 2,
	COMMAND_LOCAL = 0,
	COMMAND_PROXY = 1,
	FAMILY_UNSPEC = 0,
	FAMILY_INET = 1,
	FAMILY_INET6 = 2,
	FAMILY_UNIX = 3,
	PROTOCOL_UNSPEC = 0,
	PROTOCOL_STREAM = 1,
	PROTOCOL_DATAGRAM = 2,
};

/* Source and target addresses, then source and target ports. */
static void read_source(const char *block, unsigned family, union pipit_client_address *client)
{
	if (family == FAMILY_INET) {
		client->v4.sin_family = AF_INET;
		memcpy(&client->v4.sin_addr, block, 4);
		memcpy(&client->v4.sin_port, block + 8, 2);
	} else if (family == FAMILY_INET6) {
		client->v6.sin6_family = AF_INET6;
		memcpy(&client->v6.sin6_addr, block, 16);
		memcpy(&client->v6.sin6_port, block + 32, 2);
	} else {
		client->any.sa_family = AF_UNIX;
	}
}

static enum pipit_proxy_protocol_result parse_binary(
    const char *bytes, size_t length, struct pipit_proxy_protocol *header)
{
	static const size_t block_bytes[] = {
		[FAMILY_UNSPEC] = 0, [FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216
	};
	const unsigned char *octets = (const unsigned char *)bytes;
	unsigned command, family, protocol;
	size_t block;

	if (length > 12 && (octets[12] >> 4 != VERSION || (octets[12] & 15) > COMMAND_PROXY))
		return PIPIT_PROXY_PROTOCOL_INVALID;
	if (length < BLOCK_START)
		return PIPIT_PROXY_PROTOCOL_MORE;
	command = octets[12] & 15, family = octets[13] >> 4, protocol = octets[13] & 15;
	block = (size_t)octets[14] << 8 | octets[15];
	if (BLOCK_START + block > PIPIT_PROXY_PROTOCOL_MAX)
		return PIPIT_PROXY_PROTOCOL_INVALID;
	/* The family of LOCAL is ignored. */
	if (command == COMMAND_PROXY &&
	    (family > FAMILY_UNIX || protocol > PROTOCOL_DATAGRAM || block < block_bytes[family]))
		return PIPIT_PROXY_PROTOCOL_INVALID;
	if (length < BLOCK_START + block)
		return PIPIT_PROXY_PROTOCOL_MORE;
	*header = (struct pipit_proxy_protocol){ .length = BLOCK_START + block };
	header->has_client = command == COMMAND_PROXY && family != FAMILY_UNSPEC && protocol == PROTOCOL_STREAM;
	if (header->has_client)
		read_source(bytes + BLOCK_START, family, &header->client);
	return PIPIT_PROXY_PROTOCOL_DONE;
}

/* --- both ----------------------------------------------------------------------------------------------------------- */

static bool may_begin(const char *bytes, size_t length, const char *start, size_t start_length)
{
	return memcmp(bytes, start, length < start_length ? length : start_length) == 0;
}

enum pipit_proxy_protocol_result pipit_proxy_protocol_parse(
    const char *bytes, size_t length, struct pipit_proxy_protocol *header)
{
	if (length == 0)
		return PIPIT_PROXY_PROTOCOL_MORE;
	if (may_begin(bytes, length, signature, sizeof signature))
		return parse_binary(bytes, length, header);
	if (may_begin(bytes, length, line_start, sizeof line_start - 1))
		return parse_line(bytes, length, header);
	return PIPIT_PROXY_PROTOCOL_INVALID;
}
