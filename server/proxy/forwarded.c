/* SPDX-License-Identifier: MIT */
#include "proxy/forwarded.h"

#include <arpa/inet.h>
#include <string.h>

/* --- lists ---------------------------------------------------------------------------------------------------------- */

/* An odd number of backslashes stands before it. */
static bool is_escaped(const char *text, size_t at)
{
	size_t backslashes = 0;
	while (backslashes < at && text[at - backslashes - 1] == '\\')
		backslashes++;
	return backslashes % 2;
}

/* Of the quoted string that ends before `end`; 0 may also mean that there is none. */
static size_t find_quote(const char *text, size_t end)
{
	while (end > 0 && (text[end - 1] != '"' || is_escaped(text, end - 1)))
		end--;
	return end ? end - 1 : 0;
}

/* From the right: a quote that a client has opened cannot swallow what a proxy has appended. */
static size_t find_last_element(struct pipit_slice list)
{
	size_t at = list.length;
	while (at > 0 && list.data[at - 1] != ',') {
		at--;
		if (list.data[at] == '"')
			at = find_quote(list.data, at);
	}
	return at;
}

bool pipit_forwarded_take_last(struct pipit_slice *list, struct pipit_slice *element)
{
	while (list->length) {
		size_t start = find_last_element(*list);
		*element = pipit_slice_trim((struct pipit_slice){ list->data + start, list->length - start });
		list->length = start ? start - 1 : 0;
		if (element->length)
			return true;
	}
	return false;
}

/* --- addresses ------------------------------------------------------------------------------------------------------ */

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_alpha(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool copy(struct pipit_slice text, char *to, size_t size)
{
	if (text.length == 0 || text.length >= size || memchr(text.data, '\0', text.length))
		return false;
	memcpy(to, text.data, text.length);
	to[text.length] = '\0';
	return true;
}

static bool read_v4(struct pipit_slice text, union pipit_client_address *address)
{
	union pipit_client_address read = { .v4.sin_family = AF_INET };
	char copied[INET_ADDRSTRLEN];

	if (!copy(text, copied, sizeof copied) || inet_pton(AF_INET, copied, &read.v4.sin_addr) != 1)
		return false;
	*address = read;
	return true;
}

static bool read_v6(struct pipit_slice text, union pipit_client_address *address)
{
	union pipit_client_address read = { .v6.sin6_family = AF_INET6 }, v4 = { .v4.sin_family = AF_INET };
	char copied[INET6_ADDRSTRLEN];

	if (!copy(text, copied, sizeof copied) || inet_pton(AF_INET6, copied, &read.v6.sin6_addr) != 1)
		return false;
	memcpy(&v4.v4.sin_addr, read.v6.sin6_addr.s6_addr + 12, sizeof v4.v4.sin_addr);
	*address = IN6_IS_ADDR_V4MAPPED(&read.v6.sin6_addr) ? v4 : read;
	return true;
}

static bool is_number_of_port(struct pipit_slice text)
{
	unsigned number = 0;
	for (size_t i = 0; i < text.length; i++) {
		if (i == 5 || !is_digit(text.data[i]))
			return false;
		number = number * 10 + (unsigned)(text.data[i] - '0');
	}
	return text.length > 0 && number <= 65535;
}

/* "_hidden" (RFC 7239 §6.3) */
static bool is_obfuscated(struct pipit_slice text)
{
	for (size_t i = 1; i < text.length; i++) {
		if (!is_alpha(text.data[i]) && !is_digit(text.data[i]) &&
		    !(text.data[i] && strchr("._-", text.data[i])))
			return false;
	}
	return text.length > 1 && text.data[0] == '_';
}

/* rest: behind the address. */
static bool is_port(struct pipit_slice rest, bool may_be_obfuscated)
{
	struct pipit_slice port;
	if (rest.length == 0)
		return true;
	port = (struct pipit_slice){ rest.data + 1, rest.length - 1 };
	return rest.data[0] == ':' && (is_number_of_port(port) || (may_be_obfuscated && is_obfuscated(port)));
}

static struct pipit_slice behind(struct pipit_slice text, const char *at)
{
	return (struct pipit_slice){ at, (size_t)(text.data + text.length - at) };
}

static bool read_in_brackets(struct pipit_slice text, bool may_be_obfuscated, union pipit_client_address *address)
{
	const char *end = memchr(text.data, ']', text.length);
	return end && is_port(behind(text, end + 1), may_be_obfuscated) &&
	       read_v6((struct pipit_slice){ text.data + 1, (size_t)(end - text.data - 1) }, address);
}

static bool read_v4_with_port(struct pipit_slice text, bool may_be_obfuscated, union pipit_client_address *address)
{
	const char *colon = memchr(text.data, ':', text.length);
	return is_port(colon ? behind(text, colon) : (struct pipit_slice){ "", 0 }, may_be_obfuscated) &&
	       read_v4((struct pipit_slice){ text.data, colon ? (size_t)(colon - text.data) : text.length }, address);
}

bool pipit_forwarded_read_address(struct pipit_slice element, union pipit_client_address *address)
{
	if (element.length && element.data[0] == '[')
		return read_in_brackets(element, false, address);
	return read_v4_with_port(element, false, address) || read_v6(element, address);
}

enum pipit_forwarded_scheme pipit_forwarded_read_scheme(struct pipit_slice element)
{
	if (pipit_slice_equals_nocase(element, "https"))
		return PIPIT_FORWARDED_HTTPS;
	return pipit_slice_equals_nocase(element, "http") ? PIPIT_FORWARDED_HTTP : PIPIT_FORWARDED_NO_SCHEME;
}

/* --- Forwarded ------------------------------------------------------------------------------------------------------ */

enum {
	/* Of a "for" or "proto" with an address: longer ones are none. */
	VALUE_SIZE = 128,
	/* An element with more is refused. */
	PAIRS_MAX = 16
};

static bool is_token_byte(char byte)
{
	return is_alpha(byte) || is_digit(byte) || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static struct pipit_slice take_token(struct pipit_slice *text)
{
	struct pipit_slice token = { text->data, 0 };
	while (token.length < text->length && is_token_byte(text->data[token.length]))
		token.length++;
	text->data += token.length;
	text->length -= token.length;
	return token;
}

static bool take_byte(struct pipit_slice *text, char byte)
{
	if (!text->length || text->data[0] != byte)
		return false;
	text->data++, text->length--;
	return true;
}

/* Behind the quote, unescaped. What does not fit is left out: no value that counts is so long. */
static bool take_quoted(struct pipit_slice *text, char *value, size_t size, size_t *length)
{
	for (*length = 0; text->length && text->data[0] != '"'; text->data++, text->length--) {
		if (text->data[0] == '\\' && text->length > 1)
			text->data++, text->length--;
		if (*length < size)
			value[*length] = text->data[0];
		*length += 1;
	}
	if (*length > size)
		*length = size;
	return take_byte(text, '"');
}

struct value {
	char text[VALUE_SIZE];
	size_t length;
};

static bool take_value(struct pipit_slice *text, struct value *value)
{
	struct pipit_slice token;

	if (take_byte(text, '"'))
		return take_quoted(text, value->text, sizeof value->text, &value->length);
	token = take_token(text);
	value->length = token.length < sizeof value->text ? token.length : sizeof value->text;
	memcpy(value->text, token.data, value->length);
	return token.length > 0;
}

static struct pipit_slice slice_of(const struct value *value)
{
	return (struct pipit_slice){ value->text, value->length };
}

/* RFC 7239 §6. */
static bool read_node(struct pipit_slice node, union pipit_client_address *address)
{
	return node.length && node.data[0] == '[' ? read_in_brackets(node, true, address)
						  : read_v4_with_port(node, true, address);
}

/* Each parameter once. */
static bool is_new(const struct pipit_slice *names, size_t count)
{
	const struct pipit_slice *name = &names[count];
	for (size_t i = 0; i < count; i++) {
		if (names[i].length == name->length && strncasecmp(names[i].data, name->data, name->length) == 0)
			return false;
	}
	return true;
}

bool pipit_forwarded_read_element(
    struct pipit_slice element, union pipit_client_address *address, enum pipit_forwarded_scheme *scheme)
{
	struct pipit_slice names[PAIRS_MAX];
	enum pipit_forwarded_scheme read_scheme = PIPIT_FORWARDED_NO_SCHEME;
	union pipit_client_address read;
	struct value value;
	bool has_address = false;
	size_t count = 0;

	for (struct pipit_slice at = pipit_slice_trim(element);; at = pipit_slice_trim(at)) {
		if (at.length && at.data[0] != ';') {
			if (count == PAIRS_MAX)
				return false;
			names[count] = take_token(&at);
			if (names[count].length == 0 || !take_byte(&at, '=') || !take_value(&at, &value) ||
			    !is_new(names, count))
				return false;
			if (pipit_slice_equals_nocase(names[count], "for"))
				has_address = read_node(slice_of(&value), &read);
			else if (pipit_slice_equals_nocase(names[count], "proto"))
				read_scheme = pipit_forwarded_read_scheme(slice_of(&value));
			count++;
		}
		at = pipit_slice_trim(at);
		if (at.length == 0)
			break;
		if (!take_byte(&at, ';'))
			return false;
	}
	if (!has_address)
		return false;
	*address = read;
	*scheme = read_scheme;
	return true;
}
