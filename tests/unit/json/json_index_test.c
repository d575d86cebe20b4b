/* SPDX-License-Identifier: MIT */
/* Each value of a document is found by its pointer, with its text and its entity tag. */
#include "json/json_index.h"

#include "suite.h"
#include "json/json.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pipit_json_index *document_of(const char *text)
{
	struct pipit_json_index *document = pipit_json_index_new(strdup(text), strlen(text));
	ck_assert_ptr_nonnull(document);
	return document;
}

static void assert_finds(const struct pipit_json_index *document, const char *pointer, const char *wanted)
{
	struct pipit_json_index_value value;
	bool found = pipit_json_index_find(document, pipit_slice_of(pointer), &value);

	if (found != (wanted != NULL))
		ck_abort_msg("%s was %sfound", pointer, found ? "" : "not ");
	if (found && !pipit_slice_equals(value.text, wanted))
		ck_abort_msg("%s is %.*s, not %s", pointer, (int)value.text.length, value.text.data, wanted);
}

#define EXAMPLE                                                                                                        \
	"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7," \
	"\"m~n\":8,\"\\u0001\\n\":[[],{},[{\"x\":-1e5}]],\"t\":true,\"n\":null}"

static const struct {
	const char *pointer, *value;
} cases[] = {
	{ "", EXAMPLE },
	{ "/foo", "[\"bar\",\"baz\"]" },
	{ "/foo/0", "\"bar\"" },
	{ "/foo/1", "\"baz\"" },
	{ "/", "0" },
	{ "/a~1b", "1" },
	{ "/c%d", "2" },
	{ "/e^f", "3" },
	{ "/g|h", "4" },
	{ "/i\\j", "5" },
	{ "/k\"l", "6" },
	{ "/ ", "7" },
	{ "/m~0n", "8" },
	{ "/\001\n", "[[],{},[{\"x\":-1e5}]]" },
	{ "/\001\n/0", "[]" },
	{ "/\001\n/1", "{}" },
	{ "/\001\n/2/0", "{\"x\":-1e5}" },
	{ "/\001\n/2/0/x", "-1e5" },
	{ "/t", "true" },
	{ "/n", "null" },
	{ "/foo/2", NULL },
	{ "/foo/01", NULL },
	{ "/foo/-", NULL },
	{ "/foo/", NULL },
	{ "/foo/0/0", NULL },
	{ "/fo", NULL },
	{ "/fooo", NULL },
	{ "/t/x", NULL },
	{ "/n/0", NULL },
	{ "/\001\n/0/0", NULL },
	{ "/\001\n/2/0/x/y", NULL },
	{ "/foo/18446744073709551616", NULL },
	{ "//", NULL },
};

START_TEST(finds_each_value_by_its_pointer)
{
	struct pipit_json_index *document = document_of(EXAMPLE);
	assert_finds(document, cases[_i].pointer, cases[_i].value);
	pipit_json_index_free(document);
}
END_TEST

START_TEST(a_scalar_is_a_document_too)
{
	static const char *const scalars[] = { "1", "\"a,]}{\"", "true", "\"\"", "[]", "{}" };
	for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
		struct pipit_json_index *document = document_of(scalars[i]);
		assert_finds(document, "", scalars[i]);
		assert_finds(document, "/0", NULL);
		pipit_json_index_free(document);
	}
}
END_TEST

START_TEST(only_equal_values_have_equal_tags)
{
	struct pipit_json_index *document =
	    document_of("{\"a\":{\"x\":1},\"b\":{\"x\":1},\"c\":{\"x\":2},\"d\":[1,2],\"e\":[2,1]}");
	struct pipit_json_index_value a, b, c, d, e, again;
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];

	ck_assert(pipit_json_index_find(document, pipit_slice_of("/a"), &a));
	ck_assert(pipit_json_index_find(document, pipit_slice_of("/b"), &b));
	ck_assert(pipit_json_index_find(document, pipit_slice_of("/c"), &c));
	ck_assert(pipit_json_index_find(document, pipit_slice_of("/d"), &d));
	ck_assert(pipit_json_index_find(document, pipit_slice_of("/e"), &e));
	ck_assert_str_eq(a.etag, b.etag);
	ck_assert_str_ne(a.etag, c.etag);
	ck_assert_str_ne(d.etag, e.etag);
	ck_assert_uint_eq(strlen(a.etag), PIPIT_JSON_INDEX_ETAG_SIZE - 1);
	ck_assert(a.etag[0] == '"' && a.etag[PIPIT_JSON_INDEX_ETAG_SIZE - 2] == '"');
	/* The tag from the text is the same, and so is the tag of a second call. */
	pipit_json_index_etag(pipit_slice_of("{\"x\":1}"), etag);
	ck_assert_str_eq(a.etag, etag);
	ck_assert(pipit_json_index_find(document, pipit_slice_of("/a"), &again));
	ck_assert_str_eq(again.etag, etag);
	pipit_json_index_free(document);
}
END_TEST

/* Clients keep tags: if the function changed, all their copies would be out of date. */
START_TEST(tags_are_the_same_in_every_process)
{
	char etag[PIPIT_JSON_INDEX_ETAG_SIZE];
	pipit_json_index_etag(pipit_slice_of("{\"hostname\":\"camera-1\"}"), etag);
	ck_assert_str_eq(etag, "\"1f1517fc9ea49d42\"");
}
END_TEST

START_TEST(indents_the_text)
{
	static const char text[] = "{\"a\":[1,{\"b\":\"x,{:\\\"\"}],\"c\":{},\"d\":[],\"e\":[[]]}";
	static const char wanted[] =
	    "{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": \"x,{:\\\"\"\n\t\t}\n\t],\n\t\"c\": {},\n\t\"d\": [],\n"
	    "\t\"e\": [\n\t\t[]\n\t]\n}\n";
	size_t length;
	char *page = pipit_json_index_indent(pipit_slice_of(text), &length);

	ck_assert_ptr_nonnull(page);
	ck_assert_uint_eq(length, strlen(wanted));
	ck_assert_mem_eq(page, wanted, length);
	free(page);
}
END_TEST

/* --- random documents -------------------------------------------------------------------------------------------------- */

static uint32_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % sides;
}

static cJSON *random_value(unsigned depth)
{
	static const char *const texts[] = { "", "a", "a/b", "~", "\"", "\\", "\n\t\x01", "ä€𝄞", "0", "-",
		"long name of a member" };
	unsigned kind = roll(depth < 5 ? 6 : 4);
	cJSON *value;

	if (kind == 0)
		return cJSON_CreateNumber((double)roll(1000) / 8);
	if (kind == 1)
		return cJSON_CreateString(texts[roll(11)]);
	if (kind < 4)
		return cJSON_CreateBool(kind == 2);
	value = kind == 4 ? cJSON_CreateArray() : cJSON_CreateObject();
	for (unsigned i = roll(12); i > 0; i--) {
		const char *name = texts[roll(11)];
		if (kind == 4)
			cJSON_AddItemToArray(value, random_value(depth + 1));
		else if (!cJSON_GetObjectItemCaseSensitive(value, name))
			cJSON_AddItemToObject(value, name, random_value(depth + 1));
	}
	return value;
}

static void assert_finds_all(const struct pipit_json_index *document, const cJSON *item, char *pointer, char *at)
{
	const char *end = pointer + 4096;
	struct pipit_printer text = pipit_printer_in(NULL, 0);
	struct pipit_json_index_value value;
	size_t number = 0;

	ck_assert_int_eq(pipit_printer_print(&text, item), 0);
	ck_assert(pipit_json_index_find(document, (struct pipit_slice){ pointer, (size_t)(at - pointer) }, &value));
	ck_assert_uint_eq(value.text.length, text.length);
	ck_assert_mem_eq(value.text.data, text.bytes, text.length);
	pipit_printer_clear(&text);
	for (const cJSON *child = item->child; child; child = child->next, number++) {
		char digits[24];
		snprintf(digits, sizeof digits, "%zu", number);
		assert_finds_all(document, child, pointer,
		    pipit_pointer_put(at, end, pipit_slice_of(child->string ? child->string : digits)));
	}
}

START_TEST(finds_every_value_of_random_documents)
{
	char pointer[4096];
	for (dice = 1; dice < 400; dice++) {
		uint32_t before = dice;
		cJSON *doc = random_value(0);
		struct pipit_printer text = pipit_printer_in(NULL, 0);
		struct pipit_json_index *document;
		struct pipit_json_limits limits = { 64, 0 };
		struct pipit_json_error error;
		size_t length;
		char *page;

		ck_assert_int_eq(pipit_printer_print(&text, doc), 0);
		/* The indented text is the same document. */
		page = pipit_json_index_indent((struct pipit_slice){ text.bytes, text.length }, &length);
		ck_assert_int_eq(pipit_json_check(page, length, &limits, &error), 0);
		free(page);
		document = pipit_json_index_new(text.bytes, text.length);
		assert_finds_all(document, doc, pointer, pointer);
		pipit_json_index_free(document);
		cJSON_Delete(doc);
		dice = before;
	}
}
END_TEST

START_TEST(finds_a_member_among_many_without_a_search)
{
	enum { MANY = 100000 };
	char *text = malloc(MANY * 20 + 3), *at = text;
	struct pipit_json_index *document;
	struct pipit_json_index_value value;
	char pointer[16], wanted[16];

	*at++ = '{';
	for (int i = 0; i < MANY; i++)
		at += sprintf(at, "%s\"m%d\":%d", i ? "," : "", i, i);
	*at++ = '}';
	document = pipit_json_index_new(text, (size_t)(at - text));
	ck_assert_ptr_nonnull(document);
	for (int i = 0; i < MANY; i++) {
		sprintf(pointer, "/m%d", i);
		sprintf(wanted, "%d", i);
		ck_assert(pipit_json_index_find(document, pipit_slice_of(pointer), &value));
		ck_assert(pipit_slice_equals(value.text, wanted));
	}
	pipit_json_index_free(document);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("document");
	TCase *tests = tcase_create("document");
	tcase_add_loop_test(tests, finds_each_value_by_its_pointer, 0, sizeof cases / sizeof *cases);
	tcase_add_test(tests, a_scalar_is_a_document_too);
	tcase_add_test(tests, only_equal_values_have_equal_tags);
	tcase_add_test(tests, tags_are_the_same_in_every_process);
	tcase_add_test(tests, indents_the_text);
	tcase_add_test(tests, finds_every_value_of_random_documents);
	tcase_add_test(tests, finds_a_member_among_many_without_a_search);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
