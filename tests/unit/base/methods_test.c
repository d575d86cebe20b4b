/* SPDX-License-Identifier: MIT */
/* Methods: from a bit to a name and back. */
#include "base/methods.h"

#include "pipit.h"
#include "suite.h"

START_TEST(finds_the_bit_of_each_name_and_the_name_of_each_bit)
{
	const struct pipit_methods_entry *entry = &pipit_methods_table[_i];
	ck_assert_uint_eq(pipit_methods_find(pipit_slice_of(entry->name)), entry->bit);
	ck_assert_str_eq(pipit_methods_name(entry->bit), entry->name);
}
END_TEST

START_TEST(has_each_bit_of_the_public_enum_once)
{
	unsigned seen = 0;
	for (size_t i = 0; i < PIPIT_METHODS_COUNT; i++) {
		ck_assert_uint_eq(seen & pipit_methods_table[i].bit, 0);
		seen |= pipit_methods_table[i].bit;
	}
	ck_assert_uint_eq(seen, PIPIT_ANY);
}
END_TEST

static const char *const unknown[] = { "", "get", "Get", "GE", "GETS", "TRACE", "CONNECT", "PROPFIND" };

START_TEST(finds_no_bit_of_another_name)
{
	ck_assert_uint_eq(pipit_methods_find(pipit_slice_of(unknown[_i])), 0);
}
END_TEST

static const struct {
	unsigned bits;
	const char *list;
} lists[] = {
	{ 0, "" },
	{ PIPIT_GET, "GET" },
	{ PIPIT_OPTIONS | PIPIT_GET | PIPIT_HEAD, "GET, HEAD, OPTIONS" },
	{ PIPIT_DELETE | PIPIT_PATCH, "PATCH, DELETE" },
	{ PIPIT_ANY, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" },
};

START_TEST(lists_names_with_commas_between_them)
{
	char list[PIPIT_METHODS_LIST_SIZE];
	pipit_methods_list(lists[_i].bits, list);
	ck_assert_str_eq(list, lists[_i].list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("methods");
	TCase *tests = tcase_create("methods");
	tcase_add_loop_test(tests, finds_the_bit_of_each_name_and_the_name_of_each_bit, 0, PIPIT_METHODS_COUNT);
	tcase_add_test(tests, has_each_bit_of_the_public_enum_once);
	tcase_add_loop_test(tests, finds_no_bit_of_another_name, 0, sizeof unknown / sizeof *unknown);
	tcase_add_loop_test(tests, lists_names_with_commas_between_them, 0, sizeof lists / sizeof *lists);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
