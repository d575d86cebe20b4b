/* SPDX-License-Identifier: MIT */
/* Patterns, precedence, conflicts and decoding. Every path ends directly before an inaccessible page. */
#include "http/router.h"

#include "guarded.h"
#include "pipit.h"
#include "suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct pipit_router *router;
static char error[256];

static void set_up(void)
{
	guarded_set_up();
	router = pipit_router_new();
	ck_assert_ptr_nonnull(router);
	strcpy(error, "untouched");
}

static void tear_down(void)
{
	pipit_router_free(router);
	guarded_tear_down();
}

/* The registered value of a route is its pattern. */
static void add(unsigned methods, const char *pattern)
{
	int result = pipit_router_add(router, methods, pattern, (void *)(uintptr_t)pattern, error, sizeof error);

	ck_assert_msg(result == 0, "%s: %s", pattern, error);
}

static struct pipit_slice guard(const char *text, size_t length)
{
	return (struct pipit_slice){ guarded_copy(text, length), length };
}

static enum pipit_router_result find(unsigned method, const char *path, struct pipit_router_match *match)
{
	memset(match, 0xa5, sizeof *match); /* the result must not depend on earlier contents */
	return pipit_router_find(router, method, guard(path, strlen(path)), match);
}

static void expect_found(unsigned method, const char *path, const char *pattern)
{
	struct pipit_router_match match;

	ck_assert_msg(find(method, path, &match) == PIPIT_ROUTER_FOUND, "%s not found", path);
	ck_assert_str_eq((const char *)match.route, pattern);
}

static void expect_not_found(const char *path)
{
	struct pipit_router_match match;

	ck_assert_msg(find(PIPIT_GET, path, &match) == PIPIT_ROUTER_NOT_FOUND, "%s found", path);
	ck_assert_ptr_null(match.route);
	ck_assert_uint_eq(match.allow, 0);
	ck_assert_uint_eq(match.parameter_count, 0);
}

/* ---------------------------------------------------------------- precedence */

static const char *const precedence_patterns[] = { "/", "/a", "/a/", "/a//b", "/a/b", "/{one}", "/a/{two}",
	"/a/{two}/c", "/a/b/d", "/files/{path...}", "/files/fixed", "/files/{name}", "/files/{name}/meta", "/x/{p}/{q}",
	"/x/{p}/{q...}", "/x/y/{q}", "/x/y/z", "/a b", "/caf\xc3\xa9/{x}", "/100%", "/%zz" };

static const struct {
	const char *path;
	const char *pattern; /* NULL: no such path */
	const char *parameters[3];
} precedence_cases[] = {
	{ "/", "/", { NULL } },
	{ "/a", "/a", { NULL } },
	{ "/a/", "/a/", { NULL } },
	{ "/a//b", "/a//b", { NULL } },
	{ "/a/b", "/a/b", { NULL } },
	{ "/b", "/{one}", { "b" } },
	{ "/A", "/{one}", { "A" } },
	{ "/aa", "/{one}", { "aa" } },
	{ "/b/", NULL, { NULL } },
	{ "//", NULL, { NULL } },
	{ "//a", NULL, { NULL } },
	{ "/a/x", "/a/{two}", { "x" } },
	/* the literal b has no child c: back to {two} */
	{ "/a/b/c", "/a/{two}/c", { "b" } },
	{ "/a/b/d", "/a/b/d", { NULL } },
	{ "/a/x/d", NULL, { NULL } },
	{ "/a/b/", NULL, { NULL } },
	{ "/a//c", NULL, { NULL } },
	{ "/a///b", NULL, { NULL } },
	{ "/files", "/{one}", { "files" } },
	{ "/files/", "/files/{path...}", { "" } },
	{ "/files/fixed", "/files/fixed", { NULL } },
	{ "/files/other", "/files/{name}", { "other" } },
	{ "/files/fixed/", "/files/{path...}", { "fixed/" } },
	{ "/files/fixed/meta", "/files/{name}/meta", { "fixed" } },
	{ "/files/fixed/metal", "/files/{path...}", { "fixed/metal" } },
	{ "/files//meta", "/files/{path...}", { "/meta" } },
	{ "/files///", "/files/{path...}", { "//" } },
	{ "/files/a/b/c/d/e", "/files/{path...}", { "a/b/c/d/e" } },
	{ "/x/y/z", "/x/y/z", { NULL } },
	{ "/x/y/w", "/x/y/{q}", { "w" } },
	{ "/x/w/z", "/x/{p}/{q}", { "w", "z" } },
	{ "/x/y/z/z", "/x/{p}/{q...}", { "y", "z/z" } },
	{ "/x/y/", "/x/{p}/{q...}", { "y", "" } },
	{ "/x/y", NULL, { NULL } },
	/* dot segments do not match {name}, in any encoding; {name...} matches them */
	{ "/.", NULL, { NULL } },
	{ "/..", NULL, { NULL } },
	{ "/%2e", NULL, { NULL } },
	{ "/%2E%2e", NULL, { NULL } },
	{ "/.%2e", NULL, { NULL } },
	{ "/%2E.", NULL, { NULL } },
	{ "/...", "/{one}", { "..." } },
	{ "/%2e%2e%2e", "/{one}", { "%2e%2e%2e" } },
	{ "/.a", "/{one}", { ".a" } },
	{ "/..%2f", "/{one}", { "..%2f" } },
	{ "/a/../c", NULL, { NULL } },
	{ "/a/..", NULL, { NULL } },
	{ "/x/../z", NULL, { NULL } },
	{ "/x/w/..", "/x/{p}/{q...}", { "w", ".." } },
	{ "/files/../meta", "/files/{path...}", { "../meta" } },
	/* literals compare decoded, parameters stay encoded */
	{ "/%61", "/a", { NULL } },
	{ "/%61/%62", "/a/b", { NULL } },
	{ "/a/b/%63", "/a/{two}/c", { "b" } },
	{ "/%66iles/x%20y", "/files/{name}", { "x%20y" } },
	{ "/a%20b", "/a b", { NULL } },
	{ "/a+b", "/{one}", { "a+b" } },
	{ "/caf%C3%A9/1", "/caf\xc3\xa9/{x}", { "1" } },
	{ "/caf%c3%a9/%31", "/caf\xc3\xa9/{x}", { "%31" } },
	{ "/caf\xc3\xa9/1", "/caf\xc3\xa9/{x}", { "1" } },
	{ "/100%25", "/100%", { NULL } },
	{ "/a%2Fb", "/{one}", { "a%2Fb" } },
	{ "/a/b%2fc", "/a/{two}", { "b%2fc" } },
	{ "/a/b%2Fc", "/a/{two}", { "b%2Fc" } },
	{ "/%2F", "/{one}", { "%2F" } },
	{ "/..%2F", "/{one}", { "..%2F" } },
	{ "/files%2Ffixed", "/{one}", { "files%2Ffixed" } },
	{ "/x/y%2Fz/", "/x/{p}/{q...}", { "y%2Fz", "" } },
	{ "/a%2525", "/{one}", { "a%2525" } },
	{ "/a%00", "/{one}", { "a%00" } },
	{ "/%00", "/{one}", { "%00" } },
	/* an invalid encoding, which the caller should have refused, is read literally, within the path */
	{ "/%zz", "/%zz", { NULL } },
	{ "/b%", "/{one}", { "b%" } },
	{ "/b%4", "/{one}", { "b%4" } },
	{ "/a/%6", "/a/{two}", { "%6" } },
	/* invalid paths */
	{ "", NULL, { NULL } },
	{ "*", NULL, { NULL } },
	{ "a", NULL, { NULL } },
};

START_TEST(finds_the_most_specific_pattern)
{
	const char *path = precedence_cases[_i].path;
	struct pipit_router_match match;
	size_t count = 0;

	for (size_t i = 0; i < COUNT(precedence_patterns); i++)
		add(PIPIT_GET, precedence_patterns[i]);
	if (precedence_cases[_i].pattern == NULL) {
		expect_not_found(path);
		return;
	}
	ck_assert_msg(find(PIPIT_GET, path, &match) == PIPIT_ROUTER_FOUND, "%s not found", path);
	ck_assert_str_eq((const char *)match.route, precedence_cases[_i].pattern);
	ck_assert_uint_eq(match.allow, PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS);
	for (; count < 3 && precedence_cases[_i].parameters[count] != NULL; count++) {
		ck_assert(pipit_slice_equals(match.parameters[count], precedence_cases[_i].parameters[count]));
		/* slices of the path itself */
		ck_assert(match.parameters[count].data + match.parameters[count].length <= guarded_end);
		ck_assert(match.parameters[count].data >= guarded_end - strlen(path));
	}
	ck_assert_uint_eq(match.parameter_count, count);
}
END_TEST

START_TEST(finds_nothing_in_an_empty_router)
{
	expect_not_found("/");
	expect_not_found("/a");
	expect_not_found("/a/b/c");
}
END_TEST

START_TEST(returns_a_null_route_as_found)
{
	struct pipit_router_match match;

	ck_assert_int_eq(pipit_router_add(router, PIPIT_GET, "/a", NULL, error, sizeof error), 0);
	ck_assert_int_eq(find(PIPIT_GET, "/a", &match), PIPIT_ROUTER_FOUND);
	ck_assert_ptr_null(match.route);
	ck_assert_int_eq(find(PIPIT_PUT, "/a", &match), PIPIT_ROUTER_METHOD_NOT_ALLOWED);
}
END_TEST

START_TEST(copies_the_pattern)
{
	char pattern[] = "/a/{x}";
	char registered[] = "registered";

	ck_assert_int_eq(pipit_router_add(router, PIPIT_GET, pattern, registered, error, sizeof error), 0);
	memset(pattern, '#', sizeof pattern - 1);
	expect_found(PIPIT_GET, "/a/1", registered);
	ck_assert_int_eq(pipit_router_add(router, PIPIT_GET, "/a/{y}", NULL, error, sizeof error), -EEXIST);
	ck_assert_ptr_nonnull(strstr(error, "'/a/{x}'"));
}
END_TEST

/* ---------------------------------------------------------------- methods */

static const struct {
	unsigned method;
	const char *path;
	const char *pattern; /* NULL: method not allowed */
	unsigned allow;
} method_cases[] = {
	{ PIPIT_GET, "/get", "/get", PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_HEAD, "/get", "/get", PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_POST, "/get", NULL, PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_OPTIONS, "/get", NULL, PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_POST, "/post", "/post", PIPIT_POST | PIPIT_OPTIONS },
	{ PIPIT_HEAD, "/post", NULL, PIPIT_POST | PIPIT_OPTIONS },
	{ PIPIT_GET, "/head", NULL, PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_HEAD, "/head", "/head", PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_OPTIONS, "/options", "/options", PIPIT_OPTIONS },
	{ PIPIT_GET, "/options", NULL, PIPIT_OPTIONS },
	{ PIPIT_PATCH, "/any", "/any", PIPIT_ANY },
	{ PIPIT_OPTIONS, "/any", "/any", PIPIT_ANY },
	/* one path, three routes, two names for the same parameter */
	{ PIPIT_GET, "/thing/1", "/thing/{id}", PIPIT_GET | PIPIT_HEAD | PIPIT_PUT | PIPIT_OPTIONS },
	{ PIPIT_HEAD, "/thing/1", "/thing/{head}", PIPIT_GET | PIPIT_HEAD | PIPIT_PUT | PIPIT_OPTIONS },
	{ PIPIT_PUT, "/thing/1", "/thing/{name}", PIPIT_GET | PIPIT_HEAD | PIPIT_PUT | PIPIT_OPTIONS },
	{ PIPIT_DELETE, "/thing/1", NULL, PIPIT_GET | PIPIT_HEAD | PIPIT_PUT | PIPIT_OPTIONS },
	/* the most specific pattern lacks the method: a wider one has it; allow is the sum of all */
	{ PIPIT_GET, "/deep/a/b", "/deep/a/b", PIPIT_ANY & ~PIPIT_PATCH },
	{ PIPIT_POST, "/deep/a/b", "/deep/a/{y}", PIPIT_ANY & ~PIPIT_PATCH },
	{ PIPIT_PUT, "/deep/a/b", "/deep/{x}/b", PIPIT_ANY & ~PIPIT_PATCH },
	{ PIPIT_DELETE, "/deep/a/b", "/deep/{all...}", PIPIT_ANY & ~PIPIT_PATCH },
	{ PIPIT_PATCH, "/deep/a/b", NULL, PIPIT_ANY & ~PIPIT_PATCH },
	{ PIPIT_PATCH, "/deep/a/c", NULL, PIPIT_POST | PIPIT_DELETE | PIPIT_OPTIONS },
	{ PIPIT_GET, "/deep/a/c", NULL, PIPIT_POST | PIPIT_DELETE | PIPIT_OPTIONS },
	{ PIPIT_PUT, "/deep/c/b", "/deep/{x}/b", PIPIT_PUT | PIPIT_DELETE | PIPIT_OPTIONS },
	/* a more specific GET serves HEAD before a wider HEAD does */
	{ PIPIT_HEAD, "/h/a", "/h/a", PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_HEAD, "/h/b", "/h/{x}", PIPIT_HEAD | PIPIT_OPTIONS },
	{ PIPIT_GET, "/h/b", NULL, PIPIT_HEAD | PIPIT_OPTIONS },
};

START_TEST(chooses_by_method_and_collects_the_allowed_methods)
{
	struct pipit_router_match match;
	enum pipit_router_result result;

	add(PIPIT_GET, "/get");
	add(PIPIT_POST, "/post");
	add(PIPIT_HEAD, "/head");
	add(PIPIT_OPTIONS, "/options");
	add(PIPIT_ANY, "/any");
	add(PIPIT_GET, "/thing/{id}");
	add(PIPIT_PUT, "/thing/{name}");
	add(PIPIT_HEAD, "/thing/{head}");
	add(PIPIT_GET, "/deep/a/b");
	add(PIPIT_POST, "/deep/a/{y}");
	add(PIPIT_PUT, "/deep/{x}/b");
	add(PIPIT_DELETE, "/deep/{all...}");
	add(PIPIT_HEAD, "/h/{x}");
	add(PIPIT_GET, "/h/a");
	result = find(method_cases[_i].method, method_cases[_i].path, &match);
	if (method_cases[_i].pattern == NULL) {
		ck_assert_uint_eq(match.allow, method_cases[_i].allow);
		ck_assert_int_eq(result, PIPIT_ROUTER_METHOD_NOT_ALLOWED);
		ck_assert_ptr_null(match.route);
		ck_assert_uint_eq(match.parameter_count, 0);
		return;
	}
	ck_assert_int_eq(result, PIPIT_ROUTER_FOUND);
	ck_assert_uint_eq(match.allow & ~method_cases[_i].allow, 0);
	ck_assert_uint_ne(match.allow & method_cases[_i].method, 0);
	ck_assert_str_eq((const char *)match.route, method_cases[_i].pattern);
}
END_TEST

START_TEST(keeps_the_parameters_of_the_route_that_was_found)
{
	struct pipit_router_match match;

	/* the search continues, for allow, through patterns with other parameters */
	add(PIPIT_GET, "/{a}/x/{b}");
	add(PIPIT_PUT, "/{a}/{b}/{c}");
	add(PIPIT_POST, "/{all...}");
	ck_assert_int_eq(find(PIPIT_GET, "/1/x/3", &match), PIPIT_ROUTER_FOUND);
	ck_assert_uint_eq(match.parameter_count, 2);
	ck_assert(pipit_slice_equals(match.parameters[0], "1"));
	ck_assert(pipit_slice_equals(match.parameters[1], "3"));
	ck_assert_uint_eq(match.allow, PIPIT_GET | PIPIT_HEAD | PIPIT_PUT | PIPIT_POST | PIPIT_OPTIONS);
	ck_assert_int_eq(find(PIPIT_POST, "/1/x/3", &match), PIPIT_ROUTER_FOUND);
	ck_assert_uint_eq(match.parameter_count, 1);
	ck_assert(pipit_slice_equals(match.parameters[0], "1/x/3"));
}
END_TEST

/* ---------------------------------------------------------------- refusals */

#define NAMES_16 "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}"
#define SLASHES_16 "////////////////"

static const struct {
	unsigned methods;
	const char *pattern;
	const char *message;
} refusals[] = {
	{ 0, "/a", "pattern '/a': a route needs at least one method" },
	{ 1 << 7, "/a", "pattern '/a': 0x80 is not a method" },
	{ PIPIT_GET | 1 << 9, "/a", "pattern '/a': 0x200 is not a method" },
	{ PIPIT_GET, "", "pattern '' does not begin with '/'" },
	{ PIPIT_GET, "a/b", "pattern 'a/b' does not begin with '/'" },
	{ PIPIT_GET, "*", "pattern '*' does not begin with '/'" },
	{ PIPIT_GET, SLASHES_16 SLASHES_16 SLASHES_16 SLASHES_16 "/",
	    "pattern '////////////////////////////////////////...' has more than 64 segments" },
	{ PIPIT_GET, "/.",
	    "pattern '/.': clients resolve the segments '.' and '..' before they send a path; leave them out" },
	{ PIPIT_GET, "/a/../b",
	    "pattern '/a/../b': clients resolve the segments '.' and '..' before they send a path; leave them out" },
	{ PIPIT_GET, "/a%20b", "pattern '/a%20b': literals are written decoded, without percent-encoding" },
	{ PIPIT_GET, "/b/%c3%A9", "pattern '/b/%c3%A9': literals are written decoded, without percent-encoding" },
	{ PIPIT_GET, "/a\nb", "pattern with a control character: literals are printable text" },
	{ PIPIT_GET, "/a\x7f", "pattern with a control character: literals are printable text" },
	{ PIPIT_GET, "/a{b}", "pattern '/a{b}': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/{a}b", "pattern '/{a}b': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/{a", "pattern '/{a': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/a}", "pattern '/a}': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/{", "pattern '/{': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/}{", "pattern '/}{': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/{a/b}", "pattern '/{a/b}': braces enclose a whole segment, as in /{name} or /{name...}" },
	{ PIPIT_GET, "/{}",
	    "pattern '/{}': '' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{...}",
	    "pattern '/{...}': '' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{1a}",
	    "pattern '/{1a}': '1a' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{a-b}",
	    "pattern '/{a-b}': 'a-b' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{a..}",
	    "pattern '/{a..}': 'a..' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{a....}",
	    "pattern '/{a....}': 'a.' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{a}{b}",
	    "pattern '/{a}{b}': 'a}{b' is not a name; names are letters, digits and '_', not beginning with a digit" },
	{ PIPIT_GET, "/{\xc3\xa9}",
	    "pattern '/{\xc3\xa9}': '\xc3\xa9' is not a name; names are letters, digits and '_', not beginning with a "
	    "digit" },
	{ PIPIT_GET, "/{rest...}/a", "pattern '/{rest...}/a': {rest...} must be the last segment" },
	{ PIPIT_GET, "/{rest...}/", "pattern '/{rest...}/': {rest...} must be the last segment" },
	{ PIPIT_GET, "/{id}/a/{id}", "pattern '/{id}/a/{id}': the name 'id' is used twice" },
	{ PIPIT_GET, "/{id}/{id...}", "pattern '/{id}/{id...}': the name 'id' is used twice" },
	{ PIPIT_GET, NAMES_16 "/{q}", "pattern '" NAMES_16 "/{q}': more than 16 names" },
	{ PIPIT_GET, NAMES_16 "/x/{q...}", "pattern '" NAMES_16 "/x/{q...}': more than 16 names" },
};

START_TEST(refuses_invalid_patterns)
{
	add(PIPIT_GET, "/kept/{x}");
	ck_assert_int_eq(
	    pipit_router_add(router, refusals[_i].methods, refusals[_i].pattern, NULL, error, sizeof error), -EINVAL);
	ck_assert_str_eq(error, refusals[_i].message);
	expect_found(PIPIT_GET, "/kept/1", "/kept/{x}");
	expect_not_found("/a");
	expect_not_found("/a/b");
}
END_TEST

static const char *const odd_patterns[] = { "/{_}", "/{_1}", "/{A_z9...}", "/...", "/.a", "/a..", "/%", "/%4", "/%zz",
	"//", "/a//", "/a?b", "/caf\xc3\xa9", "/a b", NAMES_16, NAMES_16 "/literal",
	SLASHES_16 SLASHES_16 SLASHES_16 SLASHES_16 };

START_TEST(accepts_unusual_patterns)
{
	add(PIPIT_GET, odd_patterns[_i]);
	ck_assert_str_eq(error, "untouched");
}
END_TEST

START_TEST(truncates_a_message_that_does_not_fit)
{
	char brief[8];

	ck_assert_int_eq(pipit_router_add(router, PIPIT_GET, "no slash", NULL, brief, sizeof brief), -EINVAL);
	ck_assert_str_eq(brief, "pattern");
	ck_assert_int_eq(pipit_router_add(router, PIPIT_GET, "no slash", NULL, NULL, 0), -EINVAL);
}
END_TEST

static const struct {
	unsigned methods;
	const char *pattern;
	unsigned other_methods;
	const char *other;
	const char *disputed; /* NULL: both are accepted */
} conflicts[] = {
	{ PIPIT_GET, "/a", PIPIT_GET, "/a", "GET" },
	{ PIPIT_GET, "/a", PIPIT_POST, "/a", NULL },
	{ PIPIT_GET, "/a", PIPIT_HEAD, "/a", NULL },
	{ PIPIT_GET, "/a", PIPIT_GET, "/a/", NULL },
	{ PIPIT_GET, "/a/b", PIPIT_GET, "/a//b", NULL },
	{ PIPIT_GET | PIPIT_HEAD, "/a", PIPIT_HEAD, "/a", "HEAD" },
	{ PIPIT_GET | PIPIT_PUT, "/a", PIPIT_PUT | PIPIT_PATCH, "/a", "PUT" },
	{ PIPIT_ANY, "/a", PIPIT_OPTIONS, "/a", "OPTIONS" },
	{ PIPIT_DELETE, "/{x}", PIPIT_DELETE, "/{y}", "DELETE" },
	{ PIPIT_POST, "/{x...}", PIPIT_POST, "/{y...}", "POST" },
	{ PIPIT_PATCH, "/a/{x}/c", PIPIT_PATCH, "/a/{y}/c", "PATCH" },
	{ PIPIT_GET, "/a", PIPIT_GET, "/{x}", NULL },
	{ PIPIT_GET, "/{x}", PIPIT_GET, "/{y...}", NULL },
	{ PIPIT_GET, "/", PIPIT_GET, "/{x}", NULL },
	{ PIPIT_GET, "/", PIPIT_GET, "/{x...}", NULL },
	{ PIPIT_GET, "/a", PIPIT_GET, "/a/{x...}", NULL },
	{ PIPIT_GET, "/a/{x}", PIPIT_GET, "/{y}/b", "GET" },
	{ PIPIT_GET, "/a/{x}", PIPIT_PUT, "/{y}/b", NULL },
	{ PIPIT_GET, "/a/{x}", PIPIT_HEAD, "/{y}/b", "HEAD" },
	{ PIPIT_HEAD, "/a/{x}", PIPIT_GET, "/{y}/b", "HEAD" },
	{ PIPIT_HEAD, "/a/{x}", PIPIT_GET, "/{y}/{z}", NULL },
	{ PIPIT_GET, "/a/{x}/c", PIPIT_GET, "/{y}/b/d", NULL },
	{ PIPIT_GET, "/a/{x...}", PIPIT_GET, "/{y}/b", "GET" },
	{ PIPIT_GET, "/a/{x...}", PIPIT_GET, "/{y}/{z}", "GET" },
	{ PIPIT_GET, "/a/{x...}", PIPIT_GET, "/{y}", NULL },
	{ PIPIT_GET, "/a/{x...}", PIPIT_GET, "/{y...}", NULL },
	{ PIPIT_GET, "/a/{x...}", PIPIT_GET, "/a/b/c/d/e", NULL },
	{ PIPIT_GET, "/{x}/", PIPIT_GET, "/a/{y}", NULL },
	{ PIPIT_GET, "/{x}/", PIPIT_GET, "/a/{y...}", "GET" },
};

START_TEST(refuses_a_route_when_neither_is_more_specific)
{
	const char *first = _i % 2 ? conflicts[_i / 2].pattern : conflicts[_i / 2].other;
	const char *second = _i % 2 ? conflicts[_i / 2].other : conflicts[_i / 2].pattern;
	unsigned first_methods = _i % 2 ? conflicts[_i / 2].methods : conflicts[_i / 2].other_methods;
	unsigned second_methods = _i % 2 ? conflicts[_i / 2].other_methods : conflicts[_i / 2].methods;
	const char *disputed = conflicts[_i / 2].disputed;
	char message[256];

	add(PIPIT_ANY, "/unrelated/{x}/{y}/{z}");
	add(first_methods, first);
	if (disputed == NULL) {
		add(second_methods, second);
		return;
	}
	ck_assert_int_eq(pipit_router_add(router, second_methods, second, NULL, error, sizeof error), -EEXIST);
	snprintf(message, sizeof message,
	    "pattern '%s' conflicts with '%s': both serve %s, paths match both, and neither is more specific", second,
	    first, disputed);
	ck_assert_str_eq(error, message);
}
END_TEST

START_TEST(is_unchanged_by_a_refused_conflict)
{
	struct pipit_router_match match;

	add(PIPIT_GET, "/a");
	ck_assert_int_eq(pipit_router_add(router, PIPIT_GET | PIPIT_PUT, "/a", NULL, error, sizeof error), -EEXIST);
	ck_assert_int_eq(find(PIPIT_PUT, "/a", &match), PIPIT_ROUTER_METHOD_NOT_ALLOWED);
	ck_assert_uint_eq(match.allow, PIPIT_GET | PIPIT_HEAD | PIPIT_OPTIONS);
	add(PIPIT_PUT, "/a");
	expect_found(PIPIT_PUT, "/a", "/a");
}
END_TEST

/* ---------------------------------------------------------------- against a model */

/*
 * The model has no trie: it matches one pattern at a time. All patterns of one to three segments from a, b, the empty literal,
 * {name} and {name...} against all paths of one to four segments from a, b, c and the empty one.
 */
#define MODEL_PATTERNS_MAX 200
#define MODEL_PATHS_MAX 400

static char model_patterns[MODEL_PATTERNS_MAX][32];
static size_t model_pattern_count;
static char model_paths[MODEL_PATHS_MAX][16];
static size_t model_path_count;
static bool model_matches[MODEL_PATTERNS_MAX][MODEL_PATHS_MAX];

static bool model_match(const char *pattern, const char *path)
{
	while (*pattern == '/' && *path == '/') {
		size_t length = strcspn(pattern + 1, "/");
		size_t path_length = strcspn(path + 1, "/");
		if (length > 1 && strstr(pattern + 1, "...") != NULL && strchr(pattern + 1, '/') == NULL)
			return true;
		if (pattern[1] == '{' ? path_length == 0
				      : length != path_length || strncmp(pattern + 1, path + 1, length) != 0)
			return false;
		pattern += 1 + length;
		path += 1 + path_length;
	}
	return *pattern == '\0' && *path == '\0';
}

static void list_patterns(const char *start, int depth)
{
	static const char *const kinds[] = { "a", "b", "", "{", "{..." };
	char pattern[32];

	for (size_t i = 0; i < COUNT(kinds); i++) {
		int length = kinds[i][0] == '{'
				 ? snprintf(pattern, sizeof pattern, "%s/{p%d%s}", start, depth, kinds[i] + 1)
				 : snprintf(pattern, sizeof pattern, "%s/%s", start, kinds[i]);
		ck_assert_int_lt(length, (int)sizeof pattern);
		ck_assert_uint_lt(model_pattern_count, MODEL_PATTERNS_MAX);
		strcpy(model_patterns[model_pattern_count++], pattern);
		if (depth < 3 && strcmp(kinds[i], "{...") != 0)
			list_patterns(pattern, depth + 1);
	}
}

static void list_paths(const char *start, int depth)
{
	static const char *const segments[] = { "a", "b", "c", "" };
	char path[16];

	for (size_t i = 0; i < COUNT(segments); i++) {
		ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", start, segments[i]), (int)sizeof path);
		ck_assert_uint_lt(model_path_count, MODEL_PATHS_MAX);
		strcpy(model_paths[model_path_count++], path);
		if (depth < 4)
			list_paths(path, depth + 1);
	}
}

static void build_model(void)
{
	model_pattern_count = 0;
	model_path_count = 0;
	list_patterns("", 1);
	list_paths("", 1);
	for (size_t i = 0; i < model_pattern_count; i++) {
		for (size_t j = 0; j < model_path_count; j++)
			model_matches[i][j] = model_match(model_patterns[i], model_paths[j]);
	}
}

static bool model_conflict(size_t first, size_t second)
{
	bool is_overlap = false;
	bool is_first_only = false;
	bool is_second_only = false;

	for (size_t j = 0; j < model_path_count; j++) {
		bool a = model_matches[first][j];
		bool b = model_matches[second][j];
		is_overlap = is_overlap || (a && b);
		is_first_only = is_first_only || (a && !b);
		is_second_only = is_second_only || (b && !a);
	}
	return is_overlap && is_first_only == is_second_only;
}

START_TEST(refuses_exactly_the_pairs_that_a_model_refuses)
{
	build_model();
	for (size_t i = 0; i < model_pattern_count; i++) {
		for (size_t j = 0; j < model_pattern_count; j++) {
			int expected = model_conflict(i, j) ? -EEXIST : 0;
			struct pipit_router *pair = pipit_router_new();
			ck_assert_int_eq(
			    pipit_router_add(pair, PIPIT_GET, model_patterns[i], NULL, error, sizeof error), 0);
			ck_assert_msg(
			    pipit_router_add(pair, PIPIT_GET, model_patterns[j], NULL, error, sizeof error) == expected,
			    "%s and %s", model_patterns[i], model_patterns[j]);
			pipit_router_free(pair);
		}
	}
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Literal, then {name}, then {name...}: as text, 'literal' would not always sort first. */
static int rank(const char *segment)
{
	size_t length = strcspn(segment, "/");

	return segment[0] != '{' ? 0 : segment[length - 2] != '.' ? 1 : 2;
}

static bool is_before(const char *pattern, const char *other)
{
	while (*pattern == '/' && *other == '/') {
		if (rank(pattern + 1) != rank(other + 1))
			return rank(pattern + 1) < rank(other + 1);
		pattern += 1 + strcspn(pattern + 1, "/");
		other += 1 + strcspn(other + 1, "/");
	}
	return false;
}

static void compare_with_model(const unsigned *methods, unsigned method, size_t path)
{
	struct pipit_router_match match;
	enum pipit_router_result result = find(method, model_paths[path], &match);
	const char *best = NULL;
	unsigned allow = 0;

	for (size_t i = 0; i < model_pattern_count; i++) {
		unsigned served = methods[i] | (methods[i] & PIPIT_GET ? PIPIT_HEAD : 0);
		if (!model_matches[i][path] || methods[i] == 0)
			continue;
		allow |= served | PIPIT_OPTIONS;
		if (served & method && (best == NULL || is_before(model_patterns[i], best)))
			best = model_patterns[i];
	}
	ck_assert_uint_eq(best ? match.allow & ~allow : match.allow, best ? 0 : allow);
	ck_assert_uint_eq(match.allow & method, best ? method : 0);
	if (best == NULL) {
		ck_assert_int_eq(result, allow ? PIPIT_ROUTER_METHOD_NOT_ALLOWED : PIPIT_ROUTER_NOT_FOUND);
		return;
	}
	ck_assert_int_eq(result, PIPIT_ROUTER_FOUND);
	ck_assert_msg(match.route == best, "%s: %s instead of %s", model_paths[path], (const char *)match.route, best);
}

START_TEST(finds_what_a_model_finds)
{
	uint32_t seed = 0x9e3779b9u + (uint32_t)_i;
	unsigned methods[MODEL_PATTERNS_MAX] = { 0 };

	build_model();
	for (int tries = 0; tries < 60; tries++) {
		size_t i = next_random(&seed) % model_pattern_count;
		unsigned wanted = next_random(&seed) & (PIPIT_GET | PIPIT_HEAD | PIPIT_PUT | PIPIT_DELETE);
		if (wanted == 0 || methods[i] != 0)
			continue;
		if (pipit_router_add(router, wanted, model_patterns[i], model_patterns[i], error, sizeof error) == 0)
			methods[i] = wanted;
	}
	for (size_t j = 0; j < model_path_count; j++) {
		compare_with_model(methods, PIPIT_GET, j);
		compare_with_model(methods, PIPIT_HEAD, j);
		compare_with_model(methods, PIPIT_PUT, j);
	}
}
END_TEST

/* ---------------------------------------------------------------- size */

START_TEST(holds_a_thousand_routes)
{
	static char patterns[1000][40];
	char path[40];
	struct pipit_router_match match;

	for (int i = 0; i < 1000; i++) {
		snprintf(patterns[i], sizeof patterns[i], i % 2 ? "/item%d" : "/item%d/{x}/end", i);
		add(PIPIT_GET, patterns[i]);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof path, i % 2 ? "/item%d" : "/item%d/value/end", i);
		expect_found(PIPIT_GET, path, patterns[i]);
		snprintf(path, sizeof path, i % 2 ? "/%%69tem%d" : "/it%%65m%d/va%%20lue/end", i);
		ck_assert_int_eq(find(PIPIT_GET, path, &match), PIPIT_ROUTER_FOUND);
		ck_assert_ptr_eq(match.route, patterns[i]);
	}
	expect_not_found("/item1000");
	expect_not_found("/item1/end");
	expect_not_found("/item");
}
END_TEST

START_TEST(holds_the_same_literal_under_many_parents)
{
	static char patterns[300][40];
	char path[40];

	for (int i = 0; i < 300; i++) {
		snprintf(patterns[i], sizeof patterns[i], "/p%d/same/{x}/same", i);
		add(PIPIT_GET, patterns[i]);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof path, "/p%d/same/same/same", i);
		expect_found(PIPIT_GET, path, patterns[i]);
		snprintf(path, sizeof path, "/same/p%d/same/same", i);
		expect_not_found(path);
	}
}
END_TEST

START_TEST(fills_all_sixteen_parameters)
{
	struct pipit_router_match match;
	char expected[2] = "0";

	add(PIPIT_GET, NAMES_16);
	ck_assert_int_eq(find(PIPIT_GET, "/0/1/2/3/4/5/6/7/8/9/:/;/</=/>/?", &match), PIPIT_ROUTER_FOUND);
	ck_assert_uint_eq(match.parameter_count, 16);
	for (size_t i = 0; i < 16; i++) {
		ck_assert(pipit_slice_equals(match.parameters[i], expected));
		expected[0]++;
	}
}
END_TEST

START_TEST(matches_the_deepest_pattern_and_nothing_deeper)
{
	char pattern[2 * 64 + 1] = "";
	char path[2 * 65 + 1];

	for (int i = 0; i < 64; i++)
		strcat(pattern, "/a");
	add(PIPIT_GET, pattern);
	expect_found(PIPIT_GET, pattern, pattern);
	snprintf(path, sizeof path, "%s/a", pattern);
	expect_not_found(path);
	expect_not_found(path + 4);
}
END_TEST

/*
 * Every segment but the last is `a` or a parameter: 512 patterns that cannot conflict, as their last literals differ. A path of
 * a's makes the search visit all of them. With a cost exponential in the path, the second half would not end.
 */
START_TEST(backtracks_through_all_patterns_but_not_beyond)
{
	static char patterns[512][64];
	char path[GUARDED_BYTES];
	struct pipit_router_match match;

	for (unsigned i = 0; i < 512; i++) {
		size_t length = 0;
		for (unsigned level = 0; level < 9; level++)
			length += (size_t)sprintf(patterns[i] + length, i & 1u << level ? "/a" : "/{p%u}", level);
		sprintf(patterns[i] + length, "/end%u", i);
		add(PIPIT_GET, patterns[i]);
	}
	add(PIPIT_GET, NAMES_16);
	expect_not_found("/a/a/a/a/a/a/a/a/a/none");
	expect_found(PIPIT_GET, "/a/a/a/a/a/a/a/a/a/end511", patterns[511]);
	expect_found(PIPIT_GET, "/a/a/a/a/a/a/a/a/a/end0", patterns[0]);
	expect_not_found("/a/a/a/a/b/a/a/a/a/end511");
	for (size_t i = 0; i < sizeof path; i++)
		path[i] = i % 2 ? 'a' : '/';
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(
		    pipit_router_find(router, PIPIT_GET, guard(path, sizeof path), &match), PIPIT_ROUTER_NOT_FOUND);
}
END_TEST

START_TEST(searches_paths_of_thousands_of_segments)
{
	char path[GUARDED_BYTES];
	struct pipit_router_match match;

	add(PIPIT_GET, "/{a}/{b}/{c}");
	add(PIPIT_PUT, "/{rest...}");
	memset(path, '/', sizeof path);
	ck_assert_int_eq(
	    pipit_router_find(router, PIPIT_GET, guard(path, sizeof path), &match), PIPIT_ROUTER_METHOD_NOT_ALLOWED);
	ck_assert_int_eq(pipit_router_find(router, PIPIT_PUT, guard(path, sizeof path), &match), PIPIT_ROUTER_FOUND);
	ck_assert_uint_eq(match.parameters[0].length, sizeof path - 1);
	memset(path + 1, '%', sizeof path - 1);
	ck_assert_int_eq(pipit_router_find(router, PIPIT_PUT, guard(path, sizeof path), &match), PIPIT_ROUTER_FOUND);
}
END_TEST

START_TEST(reads_no_byte_beyond_a_path_cut_anywhere)
{
	static const char path[] = "/files/%2e%2E/a%2Fb//c%";
	struct pipit_router_match match;

	add(PIPIT_GET, "/files/{path...}");
	add(PIPIT_GET, "/files/a long literal/{x}");
	for (size_t length = 0; length < sizeof path; length++) {
		enum pipit_router_result result = pipit_router_find(router, PIPIT_GET, guard(path, length), &match);
		ck_assert_int_eq(result, length < strlen("/files/") ? PIPIT_ROUTER_NOT_FOUND : PIPIT_ROUTER_FOUND);
	}
}
END_TEST

/* ---------------------------------------------------------------- names */

START_TEST(numbers_the_names_of_a_pattern)
{
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "id"), 0);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "part"), 1);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "rest"), 2);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "things"), -1);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "i"), -1);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "idx"), -1);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", "rest..."), -1);
	ck_assert_int_eq(pipit_router_parameter_index("/things/{id}/{part}/x/{rest...}", ""), -1);
	ck_assert_int_eq(pipit_router_parameter_index("/things", "things"), -1);
	ck_assert_int_eq(pipit_router_parameter_index(NAMES_16, "p"), 15);
}
END_TEST

START_TEST(accepts_null_in_free)
{
	pipit_router_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("router");
	TCase *tests = tcase_create("router");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, finds_the_most_specific_pattern, 0, COUNT(precedence_cases));
	tcase_add_test(tests, finds_nothing_in_an_empty_router);
	tcase_add_test(tests, returns_a_null_route_as_found);
	tcase_add_test(tests, copies_the_pattern);
	tcase_add_loop_test(tests, chooses_by_method_and_collects_the_allowed_methods, 0, COUNT(method_cases));
	tcase_add_test(tests, keeps_the_parameters_of_the_route_that_was_found);
	tcase_add_loop_test(tests, refuses_invalid_patterns, 0, COUNT(refusals));
	tcase_add_loop_test(tests, accepts_unusual_patterns, 0, COUNT(odd_patterns));
	tcase_add_test(tests, truncates_a_message_that_does_not_fit);
	tcase_add_loop_test(tests, refuses_a_route_when_neither_is_more_specific, 0, 2 * COUNT(conflicts));
	tcase_add_test(tests, is_unchanged_by_a_refused_conflict);
	tcase_add_test(tests, refuses_exactly_the_pairs_that_a_model_refuses);
	tcase_add_loop_test(tests, finds_what_a_model_finds, 0, 20);
	tcase_add_test(tests, holds_a_thousand_routes);
	tcase_add_test(tests, holds_the_same_literal_under_many_parents);
	tcase_add_test(tests, fills_all_sixteen_parameters);
	tcase_add_test(tests, matches_the_deepest_pattern_and_nothing_deeper);
	tcase_add_test(tests, backtracks_through_all_patterns_but_not_beyond);
	tcase_add_test(tests, searches_paths_of_thousands_of_segments);
	tcase_add_test(tests, reads_no_byte_beyond_a_path_cut_anywhere);
	tcase_add_test(tests, numbers_the_names_of_a_pattern);
	tcase_add_test(tests, accepts_null_in_free);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
