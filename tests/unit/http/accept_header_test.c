/* SPDX-License-Identifier: MIT */
/* Accept: the weight of a type. */
#include "http/accept_header.h"

#include "asked.h"
#include "suite.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *fields;
	unsigned html, json; /* thousandths */
} cases[] = {
	{ "", 1000, 1000 },
	{ "Accept:\r\n", 0, 0 },
	{ "Accept: */*\r\n", 1000, 1000 },
	{ "Accept: text/html\r\n", 1000, 0 },
	{ "Accept: TEXT/HTML\r\n", 1000, 0 },
	{ "Accept: text/*\r\n", 1000, 0 },
	{ "Accept: text/html, application/json;q=0.9\r\n", 1000, 900 },
	{ "Accept: application/json;q=0.1, text/html\r\n", 1000, 100 },
	{ "Accept: application/json;q=0, */*\r\n", 1000, 0 },
	{ "Accept: */*;q=0.5, text/*;q=0.2, text/html;q=0.001\r\n", 1, 500 },
	{ "Accept: text/html;q=0.001, text/*;q=0.2, */*;q=0.5\r\n", 1, 500 },
	{ "Accept: text/html\r\nAccept: application/json\r\n", 1000, 1000 },
	{ "Accept: text/html;level=1;q=0.3\r\n", 300, 0 },
	{ "Accept: text/html ; Q=0.4 , application/json\t;q=0.5\r\n", 400, 500 },
	{ "Accept: application/jsonp, text/htmlx, text, html, */json\r\n", 0, 0 },
	{ "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n", 1000, 800 },
	{ "Accept-Encoding: text/html\r\n", 1000, 1000 },
};

START_TEST(weighs_by_the_most_specific_range)
{
	const struct pipit_guard_head *head = asked(cases[_i].fields);
	unsigned html = pipit_accept_header_media_type(head, "text/html"),
		 json = pipit_accept_header_media_type(head, "application/json");
	ck_assert_msg(
	    html == cases[_i].html && json == cases[_i].json, "%s: html %u, json %u", cases[_i].fields, html, json);
}
END_TEST

static const char *const types[] = { "text/plain; version=0.0.4", "application/json", "text/html;charset=utf-8" };

static const struct {
	const char *fields;
	int best;
} choices[] = {
	{ "", 0 },
	{ "Accept:\r\n", -1 },
	{ "Accept: */*\r\n", 0 },
	{ "Accept: image/png\r\n", -1 },
	{ "Accept: application/json\r\n", 1 },
	{ "Accept: text/*\r\n", 0 },
	{ "Accept: text/html, text/plain\r\n", 0 },
	{ "Accept: text/html, text/plain;q=0.999\r\n", 2 },
	{ "Accept: text/plain;q=0, */*;q=0.1\r\n", 1 },
	{ "Accept: text/plain;q=0, application/json;q=0, text/*;q=0.001\r\n", 2 },
	{ "Accept: text/plain;q=0.2, application/json;q=0.4\r\nAccept: text/html;q=0.3\r\n", 1 },
	{ "Accept: */*;q=0\r\n", -1 },
	{ "Accept: TEXT/PLAIN;version=1.0.0\r\n", 0 },
	{ "Accept: text/plain; version\r\n", 0 },
	{ "Accept: text, plain, /, text/, /plain, */\r\n", -1 },
};

START_TEST(chooses_by_weight_and_then_in_the_order_given)
{
	int best = pipit_accept_header_choose(asked(choices[_i].fields), types, COUNT_OF(types));
	ck_assert_msg(best == choices[_i].best, "%s: %d", choices[_i].fields, best);
}
END_TEST

START_TEST(chooses_nothing_from_an_empty_list)
{
	ck_assert_int_eq(pipit_accept_header_choose(asked(""), types, 0), -1);
	ck_assert_int_eq(pipit_accept_header_choose(asked("Accept: */*\r\n"), types, 0), -1);
}
END_TEST

/* For an error document. */
static const struct {
	const char *fields;
	bool is_html;
} forms[] = {
	{ "", false },
	{ "Accept:\r\n", false },
	{ "Accept: */*\r\n", false },
	{ "Accept: */*;q=0.1\r\n", false },
	{ "Accept: text/html\r\n", true },
	{ "Accept: TEXT/Html\r\n", true },
	{ "accept: text/html\r\n", true },
	{ "Accept: text/html;q=0\r\n", false },
	{ "Accept: text/html;q=0, */*\r\n", false },
	{ "Accept: text/html;q=0.001\r\n", true },
	{ "Accept: text/*\r\n", true },
	{ "Accept: text/*, text/html;q=0\r\n", false },
	{ "Accept: text/plain\r\n", false },
	{ "Accept: text/plain, text/html;q=0.5\r\n", true },
	{ "Accept: text/htm, text/htmlx, html\r\n", false },
	{ "Accept: application/xhtml+xml\r\n", false },
	/* Chrome and Firefox, Safari, an <img>, curl, axios. */
	{ "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n", true },
	{ "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n", true },
	{ "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n", false },
	{ "Accept: application/json, text/plain, */*\r\n", false },
	{ "Accept: application/json\r\n", false },
	{ "Accept: application/problem+json\r\n", false },
	{ "Accept: application/json, text/html\r\n", false },
	{ "Accept: text/html, application/problem+json\r\n", false },
	{ "Accept: text/html, application/json;q=0.9\r\n", true },
	{ "Accept: application/json;q=0.1, text/html\r\n", true },
	{ "Accept: application/problem+json;q=0.1, text/html\r\n", true },
	{ "Accept: application/problem+json;q=0.1, application/json, text/html\r\n", false },
	{ "Accept: text/html;q=0.4, application/json;q=0.5\r\n", false },
	{ "Accept: text/html;q=0.4, application/*;q=0.5\r\n", false },
	{ "Accept: text/html, application/vnd.api+json\r\n", true },
	{ "Accept: application/json;q=0.1\r\nAccept: text/html\r\n", true },
	{ "Accept: text/html\r\nX: y\r\nAccept: application/json\r\n", false },
	{ "Accept: text/html;q=0.2\r\nAccept: application/json;q=0.1\r\nAccept: */*;q=0.9\r\n", false },
	{ "Accept-Language: text/html\r\n", false },
};

START_TEST(sends_an_error_as_html_to_a_client_that_prefers_it_to_json)
{
	ck_assert_msg(
	    pipit_accept_header_prefers_html(asked(forms[_i].fields)) == forms[_i].is_html, "%s", forms[_i].fields);
}
END_TEST

/* As evhttp passes them. */
START_TEST(reads_values_separately)
{
	struct pipit_accept_header_form form = { .html = { 0 } };
	pipit_accept_header_read_form(&form, pipit_slice_of("application/json;q=0.1"));
	ck_assert(!pipit_accept_header_is_html(&form));
	pipit_accept_header_read_form(&form, pipit_slice_of("text/html"));
	ck_assert(pipit_accept_header_is_html(&form));
	pipit_accept_header_read_form(&form, pipit_slice_of("application/problem+json"));
	ck_assert(!pipit_accept_header_is_html(&form));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("accept");
	TCase *tests = tcase_create("accept");
	tcase_add_loop_test(tests, weighs_by_the_most_specific_range, 0, COUNT_OF(cases));
	tcase_add_loop_test(tests, chooses_by_weight_and_then_in_the_order_given, 0, COUNT_OF(choices));
	tcase_add_test(tests, chooses_nothing_from_an_empty_list);
	tcase_add_loop_test(tests, sends_an_error_as_html_to_a_client_that_prefers_it_to_json, 0, COUNT_OF(forms));
	tcase_add_test(tests, reads_values_separately);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
