/* SPDX-License-Identifier: MIT */
#include "auth/protection.h"

#include "pipit.h"
#include "suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static struct pipit_protection protection;
static struct pipit_slice wrong;
static char error[256];

static void parse(const char *lines)
{
	int result = pipit_protection_parse(lines, &protection, &wrong, error, sizeof error);
	ck_assert_msg(result == 0, "%s: %s", lines, error);
}

static void clear(void)
{
	pipit_protection_clear(&protection);
}

static struct pipit_protection_match find(unsigned method, const char *path)
{
	char scratch[256];
	ck_assert_uint_lt(strlen(path), sizeof scratch);
	return pipit_protection_find(&protection, method, pipit_slice_of(path), scratch);
}

/* The prefixes of the rules that decide, with a blank between two; "" for none. */
static const char *deciding(unsigned method, const char *path)
{
	static char text[128];
	struct pipit_protection_match match = find(method, path);
	if (!match.rule)
		return "";
	snprintf(text, sizeof text, "%s%s%s", match.rule->prefix, match.also == match.rule ? "" : " ",
	    match.also == match.rule ? "" : match.also->prefix);
	return text;
}

START_TEST(the_longest_prefix_decides)
{
	static const struct {
		unsigned method;
		const char *path, *expected;
	} rows[] = {
		{ PIPIT_GET, "/", "/" },
		{ PIPIT_GET, "/apis", "/" },
		{ PIPIT_OPTIONS, "*", "/" },
		{ PIPIT_GET, "/api", "/api/" },
		{ PIPIT_GET, "/api/", "/api/" },
		{ PIPIT_GET, "/api/settings", "/api/" },
		{ PIPIT_PUT, "/api/settings", "/api/settings" },
		{ PIPIT_PATCH, "/api/settings/x", "/api/settings" },
		{ PIPIT_DELETE, "/api/settings/x", "/api/" },
		{ PIPIT_GET, "/only", "/only" },
		{ PIPIT_HEAD, "/only", "/only" },
		{ PIPIT_POST, "/only", "/" },
		{ PIPIT_GET, "/healthz", "" },
		{ PIPIT_GET, "/healthz/x", "" },
		{ PIPIT_GET, "/healthzz", "/" },
		/* other spellings */
		{ PIPIT_GET, "/%61pi/x", "/api/" },
		{ PIPIT_GET, "/api%2fx", "/api/" },
		{ PIPIT_GET, "//api//x", "/api/" },
		{ PIPIT_GET, "/./api/x", "/ /api/" },
		{ PIPIT_GET, "/x/../api/x", "/ /api/" },
		{ PIPIT_GET, "/api/../x", "/api/ /" },
		/* an exception holds for a path that lies there in both readings */
		{ PIPIT_GET, "/healthz/../x", "/" },
		{ PIPIT_GET, "/x/../healthz", "/" },
		{ PIPIT_GET, "/healthz/../api/x", "/api/" },
		{ PIPIT_GET, "/healthz%2f..%2fapi/x", "/api/" },
		{ PIPIT_GET, "/healthz/%2e%2e/api/x", "/api/" },
		{ PIPIT_GET, "/healthz/x/../y", "" },
	};
	parse("/ basic users\n/api/ basic users bearer tokens\n/api/settings PUT,PATCH basic admins\n"
	      "/only GET basic admins\n/healthz open");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(strcmp(deciding(rows[i].method, rows[i].path), rows[i].expected) == 0, "%s: %s, not %s",
		    rows[i].path, deciding(rows[i].method, rows[i].path), rows[i].expected);
	clear();
}
END_TEST

START_TEST(rules_share_files)
{
	parse("/a basic /etc/x/users\n/b  bearer\ttokens basic /etc/x/users\n/c bearer tokens");
	ck_assert_uint_eq(protection.file_count, 2);
	ck_assert_str_eq(protection.files[0].name, "/etc/x/users");
	ck_assert_str_eq(protection.files[0].realm, "users");
	ck_assert_str_eq(protection.files[1].realm, "tokens");
	ck_assert_uint_eq(protection.rules[1].files[PIPIT_SCHEME_BASIC], 0);
	ck_assert_uint_eq(protection.rules[1].files[PIPIT_SCHEME_BEARER], 1);
	ck_assert_uint_eq(protection.rules[2].files[PIPIT_SCHEME_BASIC], PIPIT_PROTECTION_NONE);
	clear();
}
END_TEST

static bool admits(size_t rule, const char *name)
{
	return pipit_protection_admits(&protection.rules[rule], PIPIT_SCHEME_BASIC, 0, name);
}

START_TEST(admits_users_of_its_file_and_names)
{
	parse("/a basic users\n/b basic users only ada,bob\n/c basic others\n/d basic users only bob");
	ck_assert(admits(0, "ada"));
	ck_assert(admits(0, "a,b"));
	ck_assert(admits(1, "ada"));
	ck_assert(admits(1, "bob"));
	ck_assert(!admits(1, "ad"));
	ck_assert(!admits(1, "da"));
	ck_assert(!admits(1, "adaa"));
	ck_assert(!admits(1, "ada,bob"));
	ck_assert(!admits(1, ","));
	ck_assert(!admits(1, ""));
	ck_assert(!admits(2, "ada"));
	ck_assert(admits(3, "bob"));
	ck_assert(!admits(3, "ada"));
	clear();
}
END_TEST

START_TEST(refuses_wrong_rules)
{
	static const struct {
		const char *line, *message;
	} rows[] = {
		{ "api basic x", "slash" },
		{ "basic x", "slash" },
		{ "/a?b basic x", "query" },
		{ "/%61 basic x", "percent-encoding" },
		{ "/a//b basic x", "empty or dot segments" },
		{ "/a/./b basic x", "empty or dot segments" },
		{ "/a/.. basic x", "empty or dot segments" },
		{ "/a", "no scheme" },
		{ "/a GET", "no scheme" },
		{ "/a GETT basic x", "unknown method" },
		{ "/a GET,FOO basic x", "unknown method" },
		{ "/a digest x", "unknown scheme" },
		{ "/a Basic x", "unknown method" },
		{ "/a basic", "no file" },
		{ "/a basic x bearer", "no file" },
		{ "/a basic x basic y", "twice" },
		{ "/a open x", "follows" },
		{ "/a basic x open", "unknown scheme" },
		{ "/a only x", "unknown scheme" },
		{ "/ basic x\n/a only x", "unknown scheme" },
		{ "/a basic x only", "names no user" },
		{ "/a basic x only ,", "names no user" },
		{ "/a basic x only b c", "follows the names" },
		{ "/a GET basic x\n/a/ GET basic y", "another rule" },
		{ "/a open\n/a HEAD basic y", "another rule" },
	};
	ck_assert_int_eq(pipit_protection_parse(rows[_i].line, &protection, &wrong, error, sizeof error), -EINVAL);
	ck_assert_msg(strstr(error, rows[_i].message) != NULL, "%s: %s", rows[_i].line, error);
	ck_assert_ptr_nonnull(strstr(error, "; use "));
	ck_assert_ptr_null(protection.rules);
	ck_assert_uint_eq(
	    wrong.length, strlen(strrchr(rows[_i].line, '\n') ? strrchr(rows[_i].line, '\n') + 1 : rows[_i].line));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("protection");
	TCase *tests = tcase_create("rules");
	tcase_add_test(tests, the_longest_prefix_decides);
	tcase_add_test(tests, rules_share_files);
	tcase_add_test(tests, admits_users_of_its_file_and_names);
	tcase_add_loop_test(tests, refuses_wrong_rules, 0, 25);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
