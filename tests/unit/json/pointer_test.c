/* SPDX-License-Identifier: MIT */
/* Valid pointers, tokens, and lookup. Each pointer ends before an inaccessible page. */
#include "json/pointer.h"

#include "guarded.h"
#include "suite.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct pipit_slice guarded(const char *text)
{
	return (struct pipit_slice){ guarded_copy(text, strlen(text)), strlen(text) };
}

/* ---------------------------------------------------------------- valid pointers */

static const char *const valid[] = { "", "/", "//", "/a", "/a/b", "/a~0", "/~1", "/~01", "/a/~0/~1/-", "/ ", "/\xff",
	"/0/00" };
static const char *const invalid[] = { "a", "a/", " /a", "~0", "/~", "/a~", "/~/a", "/~2", "/~~0", "/a/~0~", "#/a" };

START_TEST(accepts_tokens_that_begin_with_a_slash)
{
	ck_assert(pipit_pointer_is_valid(guarded(valid[_i])));
}
END_TEST

START_TEST(refuses_invalid_pointers)
{
	ck_assert(!pipit_pointer_is_valid(guarded(invalid[_i])));
}
END_TEST

START_TEST(accepts_an_absent_pointer_as_empty)
{
	struct pipit_slice pointer = { NULL, 0 }, token;
	cJSON *doc = cJSON_CreateNull();

	ck_assert(pipit_pointer_is_valid(pointer));
	ck_assert(!pipit_pointer_next(&pointer, &token));
	ck_assert_ptr_eq(pipit_pointer_find(doc, pointer), doc);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- tokens */

START_TEST(returns_each_token_also_empty_ones)
{
	static const char *const tokens[] = { "", "a~1b", "", "~01", "" };
	struct pipit_slice pointer = guarded("//a~1b//~01/"), token;

	for (size_t i = 0; i < COUNT(tokens); i++) {
		ck_assert(pipit_pointer_next(&pointer, &token));
		ck_assert(pipit_slice_equals(token, tokens[i]));
	}
	ck_assert(!pipit_pointer_next(&pointer, &token));
	ck_assert_uint_eq(pointer.length, 0);
}
END_TEST

static const struct {
	const char *token, *text;
} escapes[] = { { "", "" }, { "a", "a" }, { "~0", "~" }, { "~1", "/" }, { "~01", "~1" }, { "~10", "/0" },
	{ "~00", "~0" }, { "a~1b~0c", "a/b~c" }, { "~1~1~0~0", "//~~" } };

START_TEST(unescapes_a_token_once)
{
	char text[16];
	size_t length = pipit_pointer_unescape(guarded(escapes[_i].token), text);

	ck_assert_uint_eq(length, strlen(escapes[_i].text));
	ck_assert_mem_eq(text, escapes[_i].text, length);
}
END_TEST

START_TEST(appends_an_escaped_name_never_beyond_the_end)
{
	char expected[32], room[32];
	size_t length = (size_t)sprintf(expected, "/%s", escapes[_i].token);

	for (size_t size = 0; size <= sizeof room; size++) {
		char *end;
		memset(room, '#', sizeof room);
		end = pipit_pointer_put(room, room + size, guarded(escapes[_i].text));
		if (size < length) {
			ck_assert_ptr_null(end);
		} else {
			ck_assert_ptr_eq(end, room + length);
			ck_assert_mem_eq(room, expected, length);
		}
		for (size_t i = size < length ? size : length; i < sizeof room; i++)
			ck_assert_int_eq(room[i], '#');
	}
}
END_TEST

START_TEST(reads_an_index_up_to_the_greatest_size)
{
	char text[32];
	size_t index = 7;

	ck_assert(pipit_pointer_index(guarded("0"), &index));
	ck_assert_uint_eq(index, 0);
	ck_assert(pipit_pointer_index(guarded("10"), &index));
	ck_assert_uint_eq(index, 10);
	snprintf(text, sizeof text, "%zu", SIZE_MAX);
	ck_assert(pipit_pointer_index(guarded(text), &index));
	ck_assert_uint_eq(index, SIZE_MAX);
}
END_TEST

static const char *const no_indices[] = { "", "-", "00", "01", "-1", "+1", "1 ", " 1", "1.0", "1e0", "a", "1a", "0x1",
	"\xd9\xa1" };

/* On every machine: beyond the end of every array. */
static const char *const great_indices[] = { "18446744073709551616", "99999999999999999999", "184467440737095516150",
	"184467440737095516151000000000000000000000000000000" };

START_TEST(reads_an_index_above_the_greatest_size_as_that)
{
	size_t index = 7;

	ck_assert(pipit_pointer_index(guarded(great_indices[_i]), &index));
	ck_assert_uint_eq(index, SIZE_MAX);
}
END_TEST

START_TEST(refuses_invalid_indexes)
{
	size_t index = 7;

	ck_assert(!pipit_pointer_index(guarded(no_indices[_i]), &index));
	ck_assert_uint_eq(index, 7);
}
END_TEST

/* ---------------------------------------------------------------- finding */

/* RFC 6901 §5. */
static const char example[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,"
			      "\"k\\\"l\":6,\" \":7,\"m~n\":8}";

static const struct {
	const char *document, *pointer, *value; /* value: NULL for none */
} lookups[] = {
	{ example, "/foo", "[\"bar\",\"baz\"]" },
	{ example, "/foo/0", "\"bar\"" },
	{ example, "/", "0" },
	{ example, "/a~1b", "1" },
	{ example, "/c%d", "2" },
	{ example, "/e^f", "3" },
	{ example, "/g|h", "4" },
	{ example, "/i\\j", "5" },
	{ example, "/k\"l", "6" },
	{ example, "/ ", "7" },
	{ example, "/m~0n", "8" },
	{ "{\"~1\":1,\"/\":2,\"~\":3}", "/~01", "1" },
	{ "{\"~1\":1,\"/\":2,\"~\":3}", "/~1", "2" },
	{ "{\"~1\":1,\"/\":2,\"~\":3}", "/~0", "3" },
	{ "{\"\":{\"\":[4]}}", "///0", "4" },
	{ "{\"0\":1,\"-\":2,\"01\":3}", "/0", "1" },
	{ "{\"0\":1,\"-\":2,\"01\":3}", "/-", "2" },
	{ "{\"0\":1,\"-\":2,\"01\":3}", "/01", "3" },
	{ "{\"a\":1,\"A\":2,\"aa\":3}", "/A", "2" },
	{ "{\"a\":1,\"A\":2,\"aa\":3}", "/aa", "3" },
	{ "{\"a\":1,\"a\":2}", "/a", "1" },
	{ "[[1],[2,{\"x\":null}]]", "/1/1/x", "null" },
	{ "[1,2]", "/2", NULL },
	{ "[1,2]", "/-", NULL },
	{ "[1,2]", "/01", NULL },
	{ "[1,2]", "/", NULL },
	{ "[1,2]", "/18446744073709551615", NULL },
	{ "[1,2]", "/4294967296", NULL },
	{ "[1,2]", "/18446744073709551616", NULL },
	{ "[]", "/0", NULL },
	{ "{}", "/", NULL },
	{ "{\"a\":1}", "/A", NULL },
	{ "{\"a\":1}", "/aa", NULL },
	{ "{\"ab\":1}", "/a", NULL },
	{ "{\"a\":1}", "/a/0", NULL },
	{ "{\"a\":1}", "/b/a", NULL },
	{ "\"text\"", "/0", NULL },
	{ "null", "/", NULL },
};

START_TEST(finds_the_named_value_or_none)
{
	cJSON *doc = cJSON_Parse(lookups[_i].document);
	cJSON *item = pipit_pointer_find(doc, guarded(lookups[_i].pointer));
	char *text = item ? cJSON_PrintUnformatted(item) : NULL;

	ck_assert_ptr_nonnull(doc);
	ck_assert_msg(!item == !lookups[_i].value, "%s in %s", lookups[_i].pointer, lookups[_i].document);
	if (lookups[_i].value)
		ck_assert_str_eq(text, lookups[_i].value);
	cJSON_free(text);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(finds_the_whole_document_at_the_empty_pointer)
{
	cJSON *doc = cJSON_Parse(example);

	ck_assert_ptr_nonnull(doc);
	ck_assert_ptr_eq(pipit_pointer_find(doc, guarded("")), doc);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(finds_no_member_by_a_name_with_a_nul)
{
	cJSON *doc = cJSON_Parse("{\"\":0,\"a\":1}");
	static const char after[] = { '/', 'a', '\0' }, alone[] = { '/', '\0' }, amid[] = { '/', 'a', '\0', 'b' };

	ck_assert_ptr_null(pipit_pointer_find(doc, (struct pipit_slice){ after, sizeof after }));
	ck_assert_ptr_null(pipit_pointer_find(doc, (struct pipit_slice){ alone, sizeof alone }));
	ck_assert_ptr_null(pipit_pointer_find(doc, (struct pipit_slice){ amid, sizeof amid }));
	cJSON_Delete(doc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pointer");
	TCase *tests = tcase_create("pointer");

	tcase_add_checked_fixture(tests, guarded_set_up, guarded_tear_down);
	tcase_add_loop_test(tests, accepts_tokens_that_begin_with_a_slash, 0, COUNT(valid));
	tcase_add_loop_test(tests, refuses_invalid_pointers, 0, COUNT(invalid));
	tcase_add_test(tests, accepts_an_absent_pointer_as_empty);
	tcase_add_test(tests, returns_each_token_also_empty_ones);
	tcase_add_loop_test(tests, unescapes_a_token_once, 0, COUNT(escapes));
	tcase_add_loop_test(tests, appends_an_escaped_name_never_beyond_the_end, 0, COUNT(escapes));
	tcase_add_test(tests, reads_an_index_up_to_the_greatest_size);
	tcase_add_loop_test(tests, reads_an_index_above_the_greatest_size_as_that, 0, COUNT(great_indices));
	tcase_add_loop_test(tests, refuses_invalid_indexes, 0, COUNT(no_indices));
	tcase_add_loop_test(tests, finds_the_named_value_or_none, 0, COUNT(lookups));
	tcase_add_test(tests, finds_the_whole_document_at_the_empty_pointer);
	tcase_add_test(tests, finds_no_member_by_a_name_with_a_nul);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
