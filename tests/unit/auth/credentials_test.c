/* SPDX-License-Identifier: MIT */
#include "auth/credentials.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

static struct pipit_credentials credentials;

/* A copy that ends where the text ends, so that AddressSanitizer sees a read behind it. */
static enum pipit_scheme read_bytes(const char *text, size_t length)
{
	static char *copy;
	free(copy);
	copy = malloc(length ? length : 1);
	memcpy(copy, text, length);
	memset(&credentials, 'x', sizeof credentials);
	pipit_credentials_read((struct pipit_slice){ copy, length }, &credentials);
	return credentials.scheme;
}

static enum pipit_scheme read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

START_TEST(reads_a_name_and_a_password)
{
	static const struct {
		const char *value, *name, *password;
	} rows[] = {
		/* RFC 7617 §2, §2.1 */
		{ "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame" },
		{ "Basic dGVzdDoxMjPCow==", "test", "123\xc2\xa3" },
		{ "bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame" },
		{ "Basic YTo=", "a", "" },
		{ "Basic OmE=", "", "a" },
		{ "Basic YTpiOmM=", "a", "b:c" },
		{ "Basic YTo9", "a", "=" },
		{ "Basic fn5+Pz8/Oj4+Pj8/Pw==", "~~~???", ">>>???" },
	};
	ck_assert_int_eq(read_text(rows[_i].value), PIPIT_SCHEME_BASIC);
	ck_assert_str_eq(credentials.name, rows[_i].name);
	ck_assert_str_eq(credentials.password, rows[_i].password);
}
END_TEST

START_TEST(refuses_what_is_not_basic)
{
	static const char *const rows[] = {
		"Basic",
		"Basic ",
		"Basic =",
		"Basic ==",
		"Basic ====",
		"Basic YQ==",                       /* no colon */
		"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", /* no padding */
		"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=",
		"Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", /* bits behind the end */
		"Basic YT o=",
		"Basic YTo= ",
		"Basic YTo=YTo=",
		"Basic YT=o",
		"Basic Y===",
		"Basic fn5-Pz8_Oj4-Pj8_Pw==", /* base64url */
		"Basic YToA",                 /* NUL */
		"Basic YToK",                 /* LF */
		"Basic YTp/",                 /* DEL */
		"Basic YTo\xc3\xa9",
		"Basic Zm9vOmJhcg==,realm=x",
	};
	ck_assert_msg(read_text(rows[_i]) == PIPIT_SCHEME_MALFORMED, "%s", rows[_i]);
}
END_TEST

static void encode(const char *text, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i += 3) {
		unsigned bits = 0;
		for (size_t j = i; j < i + 3; j++)
			bits = bits << 8 | (j < length ? (unsigned char)text[j] : 0);
		for (size_t j = 0; j < 4; j++)
			*out++ = i + j <= length ? digits[bits >> (18 - 6 * j) & 63] : '=';
	}
	*out = '\0';
}

START_TEST(takes_names_and_passwords_up_to_their_limits)
{
	char text[1024], value[2048] = "Basic ";
	int name = PIPIT_CREDENTIALS_NAME_MAX, password = PIPIT_CREDENTIALS_PASSWORD_MAX;

	snprintf(text, sizeof text, "%0*d:%0*d", name, 1, password, 2);
	encode(text, value + 6);
	ck_assert_int_eq(read_text(value), PIPIT_SCHEME_BASIC);
	ck_assert_int_eq((int)strlen(credentials.name), name);
	ck_assert_int_eq((int)strlen(credentials.password), password);
	snprintf(text, sizeof text, "%0*d:%0*d", name + 1, 1, password - 1, 2);
	encode(text, value + 6);
	ck_assert_int_eq(read_text(value), PIPIT_SCHEME_MALFORMED);
	snprintf(text, sizeof text, "%0*d:%0*d", name - 1, 1, password + 1, 2);
	encode(text, value + 6);
	ck_assert_int_eq(read_text(value), PIPIT_SCHEME_MALFORMED);
	snprintf(text, sizeof text, "%0*d:%0*d", name, 1, password + 100, 2);
	encode(text, value + 6);
	ck_assert_int_eq(read_text(value), PIPIT_SCHEME_MALFORMED);
}
END_TEST

START_TEST(reads_a_token)
{
	static const char *const right[] = { "Bearer a", "bearer abc-._~+/09==", "BEARER   mF_9.B5f-4.1JqM" };
	static const char *const wrong[] = { "Bearer", "Bearer ", "Bearer =", "Bearer a b", "Bearer a,b", "Bearer a=b",
		"Bearer \"a\"", "Bearer \xc3\xa9" };
	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		ck_assert_int_eq(read_text(right[i]), PIPIT_SCHEME_BEARER);
		ck_assert(pipit_slice_equals(credentials.token, strrchr(right[i], ' ') + 1));
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(read_text(wrong[i]) == PIPIT_SCHEME_MALFORMED, "%s", wrong[i]);
	ck_assert_int_eq(read_bytes("Bearer a\0b", 10), PIPIT_SCHEME_MALFORMED);
}
END_TEST

START_TEST(knows_no_other_scheme)
{
	static const char *const rows[] = { "", " ", "Digest username=\"a\"", "Basi c",
		"Basicc YTo=", "Negotiate YTo=", "Basic\tYTo=" };
	ck_assert_msg(read_text(rows[_i]) == PIPIT_SCHEME_UNKNOWN, "%s", rows[_i]);
}
END_TEST

/* No part of a text is read as the whole. */
START_TEST(every_cut_is_refused_or_another_text)
{
	static const char whole[] = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
	for (size_t length = 0; length < strlen(whole); length++) {
		enum pipit_scheme scheme = read_bytes(whole, length);
		if (scheme == PIPIT_SCHEME_BASIC)
			ck_assert_str_ne(credentials.password, "open sesame");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tests = tcase_create("reading");
	tcase_add_loop_test(tests, reads_a_name_and_a_password, 0, 8);
	tcase_add_loop_test(tests, refuses_what_is_not_basic, 0, 20);
	tcase_add_test(tests, takes_names_and_passwords_up_to_their_limits);
	tcase_add_test(tests, reads_a_token);
	tcase_add_loop_test(tests, knows_no_other_scheme, 0, 7);
	tcase_add_test(tests, every_cut_is_refused_or_another_text);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
