/* SPDX-License-Identifier: MIT */
/* What the writer thread keeps of the document between changes. */
#include "settings/working_copy.h"

#include "suite.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* A text between quotes, of `length` bytes with them. */
static char *text_of(size_t length)
{
	char *text = malloc(length);
	memset(text, 'a', length);
	text[0] = text[length - 1] = '"';
	return text;
}

static const struct {
	size_t length;
	bool keeps_tree;
} texts[] = { { 2, true }, { 64 * 1024 - 1, true }, { 64 * 1024, true }, { 64 * 1024 + 1, false } };

START_TEST(drops_a_large_tree_between_batches)
{
	struct pipit_working_copy copy = { .limits.json = { .max_depth = 64, .max_values = 100 } };

	pipit_working_copy_set_text(&copy, text_of(texts[_i].length), texts[_i].length);
	ck_assert_int_eq(pipit_working_copy_need_tree(&copy), 0);
	ck_assert_ptr_nonnull(copy.tree);
	pipit_working_copy_rest(&copy);
	ck_assert_int_eq(copy.tree != NULL, texts[_i].keeps_tree);
	/* The text stays: the next change makes a tree of it again. */
	ck_assert_int_eq(pipit_working_copy_need_tree(&copy), 0);
	ck_assert_uint_eq(strlen(copy.tree->valuestring), texts[_i].length - 2);
	pipit_working_copy_reset(&copy);
	ck_assert_ptr_null(copy.tree);
	ck_assert_ptr_null(copy.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("working_copy");
	TCase *tests = tcase_create("working_copy");
	tcase_add_loop_test(tests, drops_a_large_tree_between_batches, 0, sizeof texts / sizeof *texts);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
