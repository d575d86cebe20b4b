/* SPDX-License-Identifier: MIT */
#include "access/host_names.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static enum pipit_host_name find(const char *list, const char *host)
{
	struct pipit_host_names *names;
	enum pipit_host_name found;
	char error[256] = "";
	ck_assert_msg(pipit_host_names_new(list, "nas.home.example", &names, error, sizeof error) == 0, "%s", error);
	found = pipit_host_names_find(names, pipit_slice_of(host));
	pipit_host_names_free(names);
	return found;
}

static const struct {
	const char *list, *host;
	enum pipit_host_name kind;
} hosts[] = {
	{ NULL, "127.0.0.1", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "127.0.0.1:8080", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "127.1.2.3", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "[::1]:8080", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "localhost", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "LocalHost.:80", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "a.localhost", PIPIT_HOST_NAME_LOOPBACK },
	{ NULL, "192.168.1.1", PIPIT_HOST_NAME_LOCAL },
	{ NULL, "[fe80::1]", PIPIT_HOST_NAME_LOCAL },
	{ NULL, "nas", PIPIT_HOST_NAME_LOCAL },
	{ NULL, "nas:8080", PIPIT_HOST_NAME_LOCAL },
	{ NULL, "nas.home.example", PIPIT_HOST_NAME_LOCAL },
	{ NULL, "NAS.home.example.:1", PIPIT_HOST_NAME_LOCAL },
	{ NULL, "home.example", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "evil.example", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "127.0.0.1.evil.example", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "1.2.3.4x", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "localhost.evil.example", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "xlocalhost.e", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "127.evil", PIPIT_HOST_NAME_FOREIGN },
	{ NULL, "", PIPIT_HOST_NAME_LOCAL },
	{ "evil.example", "evil.example:1", PIPIT_HOST_NAME_LISTED },
	{ "evil.example", "EVIL.example.", PIPIT_HOST_NAME_LISTED },
	{ "evil.example", "a.evil.example", PIPIT_HOST_NAME_FOREIGN },
	{ "a.example, *.b.example\t[::2] 10.0.0.1", "x.b.example", PIPIT_HOST_NAME_LISTED },
	{ "a.example, *.b.example\t[::2] 10.0.0.1", "x.y.B.example", PIPIT_HOST_NAME_LISTED },
	{ "a.example, *.b.example\t[::2] 10.0.0.1", "b.example", PIPIT_HOST_NAME_FOREIGN },
	{ "a.example, *.b.example\t[::2] 10.0.0.1", "xb.example", PIPIT_HOST_NAME_FOREIGN },
	{ "a.example, *.b.example\t[::2] 10.0.0.1", "[::2]:80", PIPIT_HOST_NAME_LISTED },
	{ "a.example, *.b.example\t[::2] 10.0.0.1", "10.0.0.1", PIPIT_HOST_NAME_LISTED },
	{ "a.example", "10.0.0.1", PIPIT_HOST_NAME_LOCAL },
	{ "*", "evil.example", PIPIT_HOST_NAME_LISTED },
};

START_TEST(tells_names_that_a_foreign_site_may_own)
{
	ck_assert_msg(
	    find(hosts[_i].list, hosts[_i].host) == hosts[_i].kind, "%s in %s", hosts[_i].host, hosts[_i].list);
}
END_TEST

static const struct {
	const char *origin, *host;
	bool is_same;
} origins[] = {
	{ "http://a.example", "a.example", true },
	{ "http://a.example", "A.example:80", true },
	{ "http://a.example:80", "a.example", true },
	{ "http://a.example:8080", "a.example:8080", true },
	{ "HTTP://A.EXAMPLE:8080", "a.example:8080", true },
	{ "https://a.example", "a.example:443", true },
	{ "https://a.example", "a.example", true },
	{ "http://[::1]:8080", "[::1]:8080", true },
	{ "http://[::1]", "[::1]", true },
	{ "http://a.example", "a.example:8080", false },
	{ "http://a.example:8080", "a.example", false },
	{ "http://a.example", "a.example:443", false },
	{ "https://a.example", "a.example:80", false },
	{ "http://b.example", "a.example", false },
	{ "http://a.example.evil", "a.example", false },
	{ "http://a", "a.example", false },
	{ "null", "a.example", false },
	{ "null", "null", false },
	{ "", "", false },
	{ "http://", "", false },
	{ "http://:80", "", false },
	{ "http://:", "", false },
	{ "ftp://a.example", "a.example", false },
	{ "http://a.example/", "a.example", false },
};

START_TEST(compares_the_origin_with_the_host)
{
	ck_assert_msg(pipit_host_names_is_same_origin(
			  pipit_slice_of(origins[_i].origin), pipit_slice_of(origins[_i].host)) == origins[_i].is_same,
	    "%s %s", origins[_i].origin, origins[_i].host);
}
END_TEST

static const char *const wrong[] = { "a.example:80", "http://a.example", "a..example", ".example", "a.example.", "*.",
	"a*.example", "[::1", "a/b", "a,b,c:1" };

START_TEST(refuses_what_is_not_a_name)
{
	struct pipit_host_names *names = NULL;
	char error[256] = "";
	ck_assert_int_eq(pipit_host_names_new(wrong[_i], NULL, &names, error, sizeof error), -EINVAL);
	ck_assert_ptr_null(names);
	ck_assert_ptr_nonnull(strstr(error, "is not a name; use names without a port"));
}
END_TEST

START_TEST(refuses_a_list_without_a_name)
{
	struct pipit_host_names *names = NULL;
	char error[256] = "";
	ck_assert_int_eq(pipit_host_names_new(", ,", NULL, &names, error, sizeof error), -EINVAL);
	ck_assert_str_eq(error, "no name; use names, for example nas.example.com, or *");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_names");
	TCase *tests = tcase_create("names");
	tcase_add_loop_test(tests, tells_names_that_a_foreign_site_may_own, 0, sizeof hosts / sizeof *hosts);
	tcase_add_loop_test(tests, compares_the_origin_with_the_host, 0, sizeof origins / sizeof *origins);
	tcase_add_loop_test(tests, refuses_what_is_not_a_name, 0, sizeof wrong / sizeof *wrong);
	tcase_add_test(tests, refuses_a_list_without_a_name);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
