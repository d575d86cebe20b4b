/* SPDX-License-Identifier: MIT */
/*
 * Authentication: the first byte chooses a password file, a token file, an Authorization header or rules of `protect`.
 *
 * Checked: a file is accepted, or refused with one printable line that shows nothing of it; an accepted one has a hash for every name, and
 * none is longer than the file; a header that was read is what its name and password are encoded to; each rule that was accepted is
 * accepted alone, and decides for its own prefix unless a longer one does.
 */
#include "fuzz.h"

#include "auth/protection.h"
#include "auth/user_file.h"
#include "pipit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct pipit_digest_key key;

static void check_error(const char *error)
{
	REQUIRE(*error != '\0');
	for (; *error; error++)
		REQUIRE((unsigned char)*error >= 0x20 && (unsigned char)*error < 0x7f);
}

static void check_file(enum pipit_scheme scheme, const char *text, size_t length)
{
	struct pipit_user_file *file = NULL;
	char error[256] = "";
	int result =
	    pipit_user_file_parse(scheme, (struct pipit_slice){ text, length }, &key, &file, error, sizeof error);
	bool is_known;

	if (result != 0) {
		REQUIRE(result == -EINVAL && !file);
		check_error(error);
		return;
	}
	REQUIRE(pipit_user_file_count(file) <= length);
	if (scheme == PIPIT_SCHEME_BASIC) {
		const char *hash = pipit_user_file_hash(file, &key, "alice", &is_known);
		REQUIRE((hash != NULL) == (pipit_user_file_count(file) > 0));
		REQUIRE(!hash || memmem(text, length, hash, strlen(hash)));
	} else {
		const char *owner = pipit_user_file_owner(file, &key, (struct pipit_slice){ "abc", 3 });
		REQUIRE(!owner || memmem(text, length, owner, strlen(owner)));
	}
	pipit_user_file_free(file);
}

static void encode(const char *text, size_t length, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < length; i += 3) {
		unsigned bits = 0;
		for (size_t j = i; j < i + 3; j++)
			bits = bits << 8 | (j < length ? (unsigned char)text[j] : 0);
		for (size_t j = 0; j < 4; j++)
			*out++ = i + j <= length ? digits[bits >> (18 - 6 * j) & 63] : '=';
	}
	*out = '\0';
}

static void check_header(const char *text, size_t length)
{
	struct pipit_credentials credentials;
	char plain[sizeof credentials.name + sizeof credentials.password], coded[2 * sizeof plain];
	size_t name, password;

	pipit_credentials_read((struct pipit_slice){ text, length }, &credentials);
	if (credentials.scheme != PIPIT_SCHEME_BASIC)
		return;
	name = strlen(credentials.name);
	password = strlen(credentials.password);
	memcpy(plain, credentials.name, name);
	plain[name] = ':';
	memcpy(plain + name + 1, credentials.password, password);
	encode(plain, name + 1 + password, coded);
	REQUIRE(length > strlen(coded));
	REQUIRE(memcmp(text + length - strlen(coded), coded, strlen(coded)) == 0);
}

static void check_rule(const struct pipit_protection *protection, const struct pipit_protection_rule *rule)
{
	struct pipit_protection alone;
	struct pipit_slice wrong, path = pipit_slice_of(rule->prefix);
	char error[256], *scratch = fuzz_copy(rule->prefix, path.length);
	unsigned method = rule->methods & -rule->methods;
	struct pipit_protection_match match = pipit_protection_find(protection, method, path, scratch);

	free(scratch);
	REQUIRE(pipit_protection_parse(rule->line, &alone, &wrong, error, sizeof error) == 0);
	REQUIRE(alone.rule_count == 1 && alone.rules[0].methods == rule->methods);
	pipit_protection_clear(&alone);
	/* Two rules have no prefix and method in common. */
	REQUIRE(!match.rule || (match.rule == rule && match.also == rule));
}

static void check_rules(const char *text)
{
	struct pipit_protection protection;
	struct pipit_slice wrong = { NULL, 0 };
	char error[256] = "";
	int result = pipit_protection_parse(text, &protection, &wrong, error, sizeof error);

	if (result != 0) {
		REQUIRE(result == -EINVAL && wrong.data);
		check_error(error);
		return;
	}
	for (size_t i = 0; i < protection.rule_count; i++)
		check_rule(&protection, &protection.rules[i]);
	pipit_protection_clear(&protection);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = fuzz_copy_text(data + 1, size - 1);
	if (data[0] % 4 == 3) {
		check_rules(text);
	} else {
		char *bytes = fuzz_copy(text, size - 1);
		if (data[0] % 4 == 2)
			check_header(bytes, size - 1);
		else
			check_file(data[0] % 4 ? PIPIT_SCHEME_BEARER : PIPIT_SCHEME_BASIC, bytes, size - 1);
		free(bytes);
	}
	free(text);
	return 0;
}
