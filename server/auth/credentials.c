/* SPDX-License-Identifier: MIT */
#include "auth/credentials.h"

#include <stdint.h>

#define DECODED_MAX (PIPIT_CREDENTIALS_NAME_MAX + 1 + PIPIT_CREDENTIALS_PASSWORD_MAX)

/* -1: none */
static int value_of(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Whole groups of four, the last one padded, unused bits zero: each text has one form. False: no such text, or too long for `out`. */
static bool decode_base64(struct pipit_slice text, char *out, size_t size, size_t *length)
{
	size_t padding = 0;

	while (padding < 2 && padding < text.length && text.data[text.length - 1 - padding] == '=')
		padding++;
	*length = text.length / 4 * 3 - padding;
	if (text.length == 0 || text.length % 4 != 0 || *length > size)
		return false;
	for (size_t i = 0, at = 0; i < text.length; i += 4) {
		uint32_t bits = 0;
		for (size_t j = i; j < i + 4; j++) {
			int value = j < text.length - padding ? value_of(text.data[j]) : 0;
			if (value < 0)
				return false;
			bits = bits << 6 | (uint32_t)value;
		}
		if (i + 4 == text.length && bits & ((1u << 8 * padding) - 1))
			return false;
		for (int shift = 16; shift >= 0 && at < *length; shift -= 8)
			out[at++] = (char)(bits >> shift);
	}
	return true;
}

static bool has_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	}
	return false;
}

/* RFC 7617 §2: no control characters; the name ends at the first colon. */
static bool read_basic(struct pipit_slice text, struct pipit_credentials *credentials)
{
	char decoded[DECODED_MAX];
	const char *colon = NULL;
	size_t length, name = 0, password = 0;
	bool is_read = decode_base64(text, decoded, sizeof decoded, &length) && !has_control(decoded, length);

	if (is_read) {
		colon = memchr(decoded, ':', length);
		name = colon ? (size_t)(colon - decoded) : 0;
		password = colon ? length - name - 1 : 0;
		is_read = colon && name <= PIPIT_CREDENTIALS_NAME_MAX && password <= PIPIT_CREDENTIALS_PASSWORD_MAX;
	}
	if (is_read) {
		memcpy(credentials->name, decoded, name);
		credentials->name[name] = '\0';
		memcpy(credentials->password, colon + 1, password);
		credentials->password[password] = '\0';
	}
	explicit_bzero(decoded, sizeof decoded);
	return is_read;
}

/* RFC 9110 §11.2: token68 */
static bool is_token68(struct pipit_slice text)
{
	size_t length = text.length;

	while (length > 0 && text.data[length - 1] == '=')
		length--;
	for (size_t i = 0; i < length; i++) {
		if (value_of(text.data[i]) < 0 && !memchr("-._~", text.data[i], 4))
			return false;
	}
	return length > 0;
}

void pipit_credentials_read(struct pipit_slice value, struct pipit_credentials *credentials)
{
	const char *blank = value.length ? memchr(value.data, ' ', value.length) : NULL;
	struct pipit_slice scheme = { value.data, blank ? (size_t)(blank - value.data) : value.length };
	struct pipit_slice rest = { value.data + scheme.length, value.length - scheme.length };
	bool is_read = false;

	while (rest.length > 0 && *rest.data == ' ') {
		rest.data++;
		rest.length--;
	}
	if (pipit_slice_equals_nocase(scheme, "Basic")) {
		credentials->scheme = PIPIT_SCHEME_BASIC;
		is_read = read_basic(rest, credentials);
	} else if (pipit_slice_equals_nocase(scheme, "Bearer")) {
		credentials->scheme = PIPIT_SCHEME_BEARER;
		credentials->token = rest;
		is_read = is_token68(rest);
	} else {
		credentials->scheme = PIPIT_SCHEME_UNKNOWN;
		return;
	}
	if (!is_read)
		credentials->scheme = PIPIT_SCHEME_MALFORMED;
}

void pipit_credentials_forget(struct pipit_credentials *credentials)
{
	explicit_bzero(credentials, sizeof *credentials);
}
