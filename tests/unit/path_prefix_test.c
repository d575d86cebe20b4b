/* SPDX-License-Identifier: MIT */
#include "access/path_prefix.h"

#include "suite.h"

#include <string.h>

static const struct {
	const char *prefix, *path;
	bool matches;
} cases[] = {
	{ "/", "/", true },
	{ "/", "/x", true },
	{ "/", "//", true },
	{ "/api", "/api", true },
	{ "/api/", "/api", true },
	{ "/api/", "/api/", true },
	{ "/api", "/api/x", true },
	{ "/api", "/apis", false },
	{ "/api", "/ap", false },
	{ "/api", "/", false },
	{ "/api", "/x/api", false },
	{ "/api", "/%61pi", true },
	{ "/api", "/api%2fx", true },
	{ "/api", "/api%2Fx", true },
	{ "/api", "//api", true },
	{ "/api", "/%2f/api", true },
	{ "/a/b", "/a//b", true },
	{ "/a/b", "/a/./b", true },
	{ "/a/b", "/a/%2e/b", true },
	{ "/a/b", "/a/x/../b", true },
	{ "/a/b", "/x/%2e%2e/a/b", true },
	{ "/a/b", "/../../a/b", true },
	{ "/a/b", "/a/b/../c", true }, /* a route of /a/b/{rest...} would get it */
	{ "/a/b", "/a/b/../../c", true },
	{ "/a/b", "/a/x/../../b", false },
	{ "/a/b", "/a", false },
	{ "/a/b", "/a/...", false },
	{ "/a/b", "/a/b...", false },
};

START_TEST(finds_every_spelling_of_a_path)
{
	ck_assert_msg(pipit_path_prefix_matches(cases[_i].prefix, pipit_slice_of(cases[_i].path)) == cases[_i].matches,
	    "%s %s", cases[_i].prefix, cases[_i].path);
}
END_TEST

static const struct {
	const char *prefix, *fault;
} prefixes[] = {
	{ "/", NULL },
	{ "/api", NULL },
	{ "/api/", NULL },
	{ "/api//", NULL },
	{ "/a/b.c/..d", NULL },
	{ "", "the prefix does not begin with a slash" },
	{ "api", "the prefix does not begin with a slash" },
	{ "/a?b", "the prefix has a query or percent-encoding" },
	{ "/a%2fb", "the prefix has a query or percent-encoding" },
	{ "//a", "the prefix has empty or dot segments" },
	{ "/api/*", "the prefix is a pattern; a prefix covers all below it, without *" },
	{ "/a//b", "the prefix has empty or dot segments" },
	{ "/.", "the prefix has empty or dot segments" },
	{ "/a/./b", "the prefix has empty or dot segments" },
	{ "/a/..", "the prefix has empty or dot segments" },
	{ "/../a", "the prefix has empty or dot segments" },
};

START_TEST(says_what_is_wrong_with_a_prefix)
{
	const char *fault = pipit_path_prefix_fault(pipit_slice_of(prefixes[_i].prefix));
	ck_assert_msg(!fault == !prefixes[_i].fault, "%s: %s", prefixes[_i].prefix, fault ? fault : "right");
	if (fault)
		ck_assert_str_eq(fault, prefixes[_i].fault);
}
END_TEST

START_TEST(knows_paths_of_every_length)
{
	static char path[2000];
	for (size_t length = 500; length < 520; length++) {
		memset(path, 'x', length);
		memcpy(path, "/api/", 5);
		ck_assert(pipit_path_prefix_matches("/api", (struct pipit_slice){ path, length }));
		ck_assert(!pipit_path_prefix_matches("/apx", (struct pipit_slice){ path, length }));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("path_prefix");
	TCase *tests = tcase_create("match");
	tcase_add_loop_test(tests, finds_every_spelling_of_a_path, 0, sizeof cases / sizeof *cases);
	tcase_add_loop_test(tests, says_what_is_wrong_with_a_prefix, 0, sizeof prefixes / sizeof *prefixes);
	tcase_add_test(tests, knows_paths_of_every_length);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
