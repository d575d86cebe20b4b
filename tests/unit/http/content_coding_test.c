/* SPDX-License-Identifier: MIT */
/* Accept-Encoding: which of the available codings is chosen. */
#include "http/content_coding.h"

#include "asked.h"
#include "suite.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ALL ((1u << PIPIT_CODING_COUNT) - 1)
#define PLAIN (1u << PIPIT_CODING_IDENTITY)
#define GZIP (1u << PIPIT_CODING_GZIP)

static const struct {
	const char *fields;
	unsigned available;
	const char *chosen; /* "none": 406 */
} cases[] = {
	{ "", ALL, "identity" },
	{ "Accept-Encoding:\r\n", ALL, "identity" },
	{ "Accept-Encoding: gzip\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip\r\n", PLAIN, "identity" },
	{ "Accept-Encoding: x-gzip\r\n", ALL, "gzip" },
	{ "accept-encoding: GZIP\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip, deflate, br, zstd\r\n", ALL, "br" },
	{ "Accept-Encoding: gzip, deflate, br, zstd\r\n", GZIP | PLAIN, "gzip" },
	{ "Accept-Encoding: gzip, zstd\r\n", ALL, "zstd" },
	{ "Accept-Encoding: gzip;q=1.0, br;q=0.5\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip;q=0.5, br;q=0.501\r\n", ALL, "br" },
	{ "Accept-Encoding: br;q=0.5,gzip;Q=0.6\r\n", ALL, "gzip" },
	{ "Accept-Encoding: br ; q=0.5 ,\tgzip ;q=0.6\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip;q=0\r\n", ALL, "identity" },
	{ "Accept-Encoding: gzip;q=0.000\r\n", ALL, "identity" },
	{ "Accept-Encoding: gzip;q=0.001\r\n", GZIP | PLAIN, "gzip" },
	{ "Accept-Encoding: *\r\n", ALL, "br" },
	{ "Accept-Encoding: *\r\n", PLAIN, "identity" },
	{ "Accept-Encoding: *, br;q=0\r\n", ALL, "zstd" },
	{ "Accept-Encoding: br;q=0, *\r\n", ALL, "zstd" },
	{ "Accept-Encoding: *;q=0\r\n", ALL, "none" },
	{ "Accept-Encoding: *;q=0, gzip\r\n", ALL, "gzip" },
	{ "Accept-Encoding: *;q=0, gzip\r\n", PLAIN, "none" },
	{ "Accept-Encoding: *;q=0, identity;q=0.5\r\n", ALL, "identity" },
	{ "Accept-Encoding: identity\r\n", ALL, "identity" },
	{ "Accept-Encoding: identity;q=0\r\n", PLAIN, "none" },
	{ "Accept-Encoding: identity;q=0\r\n", ALL, "none" },
	{ "Accept-Encoding: identity;q=0, gzip;q=0.1\r\n", ALL, "gzip" },
	{ "Accept-Encoding: identity, gzip;q=0.9\r\n", ALL, "identity" },
	{ "Accept-Encoding: identity;q=0.5, gzip;q=0.5\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", ALL, "br" },
	{ "Accept-Encoding: deflate, compress\r\n", ALL, "identity" },
	{ "Accept-Encoding: gzipped, xgzip, gzi\r\n", ALL, "identity" },
	{ "Accept-Encoding: ,,gzip,,\r\n", ALL, "gzip" },
	{ "Accept-Encoding: ;q=1\r\n", ALL, "identity" },
	{ "Accept-Encoding: gzip;q=2\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip;q=1.5, br;q=0.9\r\n", ALL, "gzip" },
	{ "Accept-Encoding: gzip;level=9\r\n", ALL, "gzip" },
	{ "Accept-Encoding: br;q=0.1234567890123456789, gzip;q=0.2\r\n", ALL, "gzip" },
};

START_TEST(chooses_the_available_coding_that_the_client_prefers)
{
	struct pipit_content_codings codings = pipit_content_coding_read(asked(cases[_i].fields));
	enum pipit_content_coding chosen = pipit_content_coding_choose(&codings, cases[_i].available);
	const char *name = chosen == PIPIT_CODING_COUNT ? "none" : pipit_content_coding_name(chosen);
	ck_assert_msg(
	    strcmp(name, cases[_i].chosen) == 0, "%s: %s instead of %s", cases[_i].fields, name, cases[_i].chosen);
}
END_TEST

static const struct {
	const char *value;
	bool is_identity;
} contents[] = {
	{ "", true },
	{ "identity", true },
	{ "Identity", true },
	{ "identity, ,identity", true },
	{ "gzip", false },
	{ "identity, gzip", false },
	{ "identityx", false },
};

START_TEST(tells_a_coded_body)
{
	ck_assert_int_eq(
	    pipit_content_coding_is_identity(pipit_slice_of(contents[_i].value)), contents[_i].is_identity);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codings");
	TCase *tests = tcase_create("codings");
	tcase_add_loop_test(tests, chooses_the_available_coding_that_the_client_prefers, 0, COUNT_OF(cases));
	tcase_add_loop_test(tests, tells_a_coded_body, 0, COUNT_OF(contents));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
