/* SPDX-License-Identifier: MIT */
/*
 * Results and messages of changes. After a failure the document is unchanged, byte for byte. The allocations of cJSON are counted: each
 * test ends with none in use.
 */
#include "json/patch.h"

#include "suite.h"
#include "json/json.h"
#include "json/pointer.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DEPTH 64

static const struct pipit_json_limits usual = { DEPTH, 0 };

static const struct pipit_patch_limits roomy = { .max_depth = DEPTH, .max_copied_bytes = 4096, .max_operations = 100 };

/* ---------------------------------------------------------------- memory */

static int in_use;
static int allocations_left;

static void *allocate(size_t size)
{
	void *memory = allocations_left-- > 0 ? malloc(size) : NULL;

	in_use += memory != NULL;
	return memory;
}

static void release(void *memory)
{
	in_use -= memory != NULL;
	free(memory);
}

static void set_up(void)
{
	cJSON_Hooks hooks = { allocate, release };

	in_use = 0;
	allocations_left = INT_MAX;
	cJSON_InitHooks(&hooks);
}

static void tear_down(void)
{
	ck_assert_int_eq(in_use, 0);
	cJSON_InitHooks(NULL);
}

/* ---------------------------------------------------------------- documents */

static cJSON *parse(const char *text)
{
	struct pipit_json_error error;
	cJSON *doc = NULL;

	/* Programs can build documents with duplicate names. */
	if (pipit_json_parse(text, strlen(text), &usual, &doc, &error) != 0 && strstr(error.message, "twice"))
		doc = cJSON_Parse(text);
	ck_assert_msg(doc != NULL, "%s", text);
	return doc;
}

static void expect_links(const cJSON *item)
{
	const cJSON *previous = NULL;

	for (const cJSON *child = item->child; child; child = child->next) {
		if (previous)
			ck_assert_ptr_eq(child->prev, previous);
		ck_assert_int_eq(child->string != NULL, cJSON_IsObject(item) != 0);
		expect_links(child);
		previous = child;
	}
	if (item->child)
		ck_assert_ptr_eq(item->child->prev, previous);
}

static void expect_text(const cJSON *doc, const char *expected)
{
	struct pipit_printer text = pipit_printer_in(NULL, 0);

	expect_links(doc);
	ck_assert_int_eq(pipit_printer_print(&text, doc), 0);
	ck_assert_msg(text.length == strlen(expected) && memcmp(text.bytes, expected, text.length) == 0,
	    "%.*s is not %s", (int)text.length, text.bytes, expected);
	pipit_printer_clear(&text);
}

enum change { PUT, REMOVE, MERGE, APPLY };

static int change_within(enum change change, cJSON **doc, const char *pointer, const char *text,
    const struct pipit_patch_limits *limits, struct pipit_patch_error *error)
{
	struct pipit_slice place = pipit_slice_of(pointer);
	cJSON *value = change == REMOVE ? NULL : parse(text);
	bool created;
	int result;

	memset(error, 0xa5, sizeof *error);
	if (change == PUT) {
		result = pipit_patch_put(doc, place, value, limits, &created, error);
		if (result == 0)
			return 0;
	} else if (change == REMOVE) {
		result = pipit_patch_remove(doc, place, error);
	} else if (change == MERGE) {
		result = pipit_patch_merge(doc, place, value, limits, error);
	} else {
		result = pipit_patch_apply(doc, place, value, limits, error);
	}
	cJSON_Delete(value);
	return result;
}

static void expect_change(
    enum change change, const char *before, const char *pointer, const char *text, const char *after)
{
	struct pipit_patch_limits limits = roomy;

	for (int i = 0; i < 2; i++) {
		struct pipit_patch_error error;
		cJSON *doc = parse(before);
		int result;
		limits.is_disposable = i == 1;
		result = change_within(change, &doc, pointer, text, &limits, &error);
		ck_assert_msg(result == 0, "%s", result == -EINVAL ? error.message : "");
		expect_text(doc, after);
		cJSON_Delete(doc);
	}
}

/* The same failure, after which the document is unchanged or deleted. */
static void expect_disposal(enum change change, const char *before, const char *pointer, const char *text,
    const struct pipit_patch_limits *limits, const char *message)
{
	struct pipit_patch_limits disposing = *limits;
	struct pipit_patch_error error;
	cJSON *doc = parse(before);

	disposing.is_disposable = true;
	ck_assert_int_eq(change_within(change, &doc, pointer, text, &disposing, &error), -EINVAL);
	ck_assert_str_eq(error.message, message);
	if (doc)
		expect_text(doc, before);
	cJSON_Delete(doc);
}

/* before: without white space, as printed. */
static void expect_failure(enum change change, const char *before, const char *pointer, const char *text,
    const struct pipit_patch_limits *limits, enum pipit_patch_fault fault, const char *message)
{
	struct pipit_patch_error error;
	cJSON *doc = parse(before), *same = doc;

	ck_assert_int_eq(change_within(change, &doc, pointer, text, limits, &error), -EINVAL);
	ck_assert_str_eq(error.message, message);
	ck_assert_int_eq(error.fault, fault);
	ck_assert_ptr_eq(doc, same);
	expect_text(doc, before);
	cJSON_Delete(doc);
	expect_disposal(change, before, pointer, text, limits, message);
}

/* ---------------------------------------------------------------- put */

static const struct {
	const char *before, *pointer, *value, *after;
	bool created;
} puts_done[] = {
	{ "{\"a\":1}", "", "[2]", "[2]", false },
	{ "7", "", "{}", "{}", false },
	{ "{\"a\":1}", "/b", "2", "{\"a\":1,\"b\":2}", true },
	{ "{\"a\":1,\"b\":2}", "/a", "{\"c\":[]}", "{\"a\":{\"c\":[]},\"b\":2}", false },
	{ "{\"a\":1,\"b\":2}", "/b", "3", "{\"a\":1,\"b\":3}", false },
	{ "{\"a\":1}", "/A", "2", "{\"a\":1,\"A\":2}", true },
	{ "{}", "/", "1", "{\"\":1}", true },
	{ "{}", "/a~1b~0c", "1", "{\"a/b~c\":1}", true },
	{ "{}", "/~01", "1", "{\"~1\":1}", true },
	{ "{}", "/0", "1", "{\"0\":1}", true },
	{ "{}", "/-", "1", "{\"-\":1}", true },
	{ "{\"a\":{\"b\":[{\"c\":1}]}}", "/a/b/0/c", "null", "{\"a\":{\"b\":[{\"c\":null}]}}", false },
	{ "[1,2,3]", "/0", "9", "[9,2,3]", false },
	{ "[1,2,3]", "/2", "9", "[1,2,9]", false },
	{ "[1,2,3]", "/3", "9", "[1,2,3,9]", true },
	{ "[1,2,3]", "/-", "9", "[1,2,3,9]", true },
	{ "[]", "/0", "9", "[9]", true },
	{ "[]", "/-", "9", "[9]", true },
	{ "[1]", "/0", "9", "[9]", false },
	{ "{\"a\":1,\"b\":2,\"a\":3}", "/a", "4", "{\"a\":4,\"b\":2}", false },
};

START_TEST(puts_a_value_at_its_pointer)
{
	struct pipit_patch_error error;
	cJSON *doc = parse(puts_done[_i].before), *value = parse(puts_done[_i].value);
	struct pipit_slice pointer = pipit_slice_of(puts_done[_i].pointer);
	bool created = !puts_done[_i].created;

	ck_assert_int_eq(pipit_patch_put(&doc, pointer, value, &roomy, &created, &error), 0);
	expect_text(doc, puts_done[_i].after);
	ck_assert_int_eq(created, puts_done[_i].created);
	if (!strchr(puts_done[_i].pointer, '-') || cJSON_IsObject(doc))
		ck_assert_ptr_eq(pipit_pointer_find(doc, pointer), value);
	cJSON_Delete(doc);
}
END_TEST

#define NOT_THERE ": expected the pointer of an existing value"
#define NO_PARENT ": expected an object or an array for the new value"
#define NO_CONTAINER " is neither an object nor an array: expected one for the new value"
#define NO_INDEX " names no element of an array: expected an index without leading zeros, or \"-\" for its end"
#define BEYOND " is beyond the end of the array: expected an index up to its length, "

static const struct failure {
	const char *before, *pointer, *text;
	enum pipit_patch_fault fault;
	const char *message;
} puts_refused[] = {
	{ "{\"a\":1}", "/b/c", "1", PIPIT_PATCH_CONFLICT, "there is no value at \"/b\"" NO_PARENT },
	{ "{\"a\":1}", "/b/c/d", "1", PIPIT_PATCH_CONFLICT, "there is no value at \"/b/c\"" NO_PARENT },
	{ "{\"a\":1}", "/a/b", "1", PIPIT_PATCH_CONFLICT, "\"/a\"" NO_CONTAINER },
	{ "null", "/a", "1", PIPIT_PATCH_CONFLICT, "\"\"" NO_CONTAINER },
	{ "[1]", "/2", "1", PIPIT_PATCH_CONFLICT, "\"/2\"" BEYOND "1" },
	{ "[]", "/1", "1", PIPIT_PATCH_CONFLICT, "\"/1\"" BEYOND "0" },
	{ "[1]", "/18446744073709551615", "1", PIPIT_PATCH_CONFLICT, "\"/18446744073709551615\"" BEYOND "1" },
	{ "[1]", "/18446744073709551616", "1", PIPIT_PATCH_CONFLICT, "\"/18446744073709551616\"" BEYOND "1" },
	{ "[1]", "/99999999999999999999999999", "1", PIPIT_PATCH_CONFLICT,
	    "\"/99999999999999999999999999\"" BEYOND "1" },
	{ "[1]", "/00", "1", PIPIT_PATCH_UNPROCESSABLE, "\"/00\"" NO_INDEX },
	{ "[1]", "/", "1", PIPIT_PATCH_UNPROCESSABLE, "\"/\"" NO_INDEX },
	{ "{\"a\":[1]}", "/a/x", "1", PIPIT_PATCH_UNPROCESSABLE, "\"/a/x\"" NO_INDEX },
	{ "[[1]]", "/-/0", "1", PIPIT_PATCH_CONFLICT, "there is no value at \"/-\"" NO_PARENT },
	{ "{}", "/a\xff", "1", PIPIT_PATCH_UNPROCESSABLE,
	    "the name at the end of \"/a?\" is invalid: expected UTF-8 without NUL" },
};

START_TEST(refuses_to_put_a_value_where_none_can_be)
{
	const struct failure *failure = &puts_refused[_i];

	expect_failure(PUT, failure->before, failure->pointer, failure->text, &roomy, failure->fault, failure->message);
}
END_TEST

START_TEST(refuses_a_name_with_a_nul)
{
	static const char pointer[] = { '/', 'a', '\0', 'b' };
	struct pipit_patch_error error;
	cJSON *doc = parse("{\"a\":1}"), *value = cJSON_CreateTrue();
	bool created;

	ck_assert_int_eq(
	    pipit_patch_put(&doc, (struct pipit_slice){ pointer, sizeof pointer }, value, &roomy, &created, &error),
	    -EINVAL);
	ck_assert_int_eq(error.fault, PIPIT_PATCH_UNPROCESSABLE);
	ck_assert_str_eq(error.message, "the name at the end of \"/a?b\" is invalid: expected UTF-8 without NUL");
	expect_text(doc, "{\"a\":1}");
	cJSON_Delete(value);
	cJSON_Delete(doc);
}
END_TEST

START_TEST(names_a_value_after_its_pointer)
{
	struct pipit_patch_error error;
	cJSON *doc = parse("{\"a\":1,\"l\":[]}"), *other = parse("{\"x\":1,\"y\":2,\"z\":3}");
	bool created;

	ck_assert_ptr_nonnull(cJSON_AddItemToObjectCS(other, "const", cJSON_CreateTrue()) ? other : NULL);
	ck_assert_int_eq(pipit_patch_put(&doc, pipit_slice_of("/a"), cJSON_DetachItemFromObject(other, "x"), &roomy,
			     &created, &error),
	    0);
	ck_assert_int_eq(pipit_patch_put(&doc, pipit_slice_of("/l/0"), cJSON_DetachItemFromObject(other, "y"), &roomy,
			     &created, &error),
	    0);
	ck_assert_int_eq(pipit_patch_put(&doc, pipit_slice_of("/c"), cJSON_DetachItemFromObject(other, "const"), &roomy,
			     &created, &error),
	    0);
	expect_text(doc, "{\"a\":1,\"l\":[2],\"c\":true}");
	ck_assert_int_eq(
	    pipit_patch_put(&doc, pipit_slice_of(""), cJSON_DetachItemFromObject(other, "z"), &roomy, &created, &error),
	    0);
	expect_text(doc, "3");
	ck_assert_ptr_null(doc->string);
	cJSON_Delete(other);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- remove */

static const struct {
	const char *before, *pointer, *after;
} removes_done[] = {
	{ "{\"a\":1,\"b\":2,\"c\":3}", "/a", "{\"b\":2,\"c\":3}" },
	{ "{\"a\":1,\"b\":2,\"c\":3}", "/b", "{\"a\":1,\"c\":3}" },
	{ "{\"a\":1,\"b\":2,\"c\":3}", "/c", "{\"a\":1,\"b\":2}" },
	{ "{\"a\":1}", "/a", "{}" },
	{ "[1,2,3]", "/0", "[2,3]" },
	{ "[1,2,3]", "/2", "[1,2]" },
	{ "[1]", "/0", "[]" },
	{ "{\"a\":{\"b\":[{\"c\":1,\"d\":2}]}}", "/a/b/0/c", "{\"a\":{\"b\":[{\"d\":2}]}}" },
	{ "{\"a\":1,\"b\":2,\"a\":3,\"a\":4}", "/a", "{\"b\":2}" },
	{ "{\"a\":1}", "", "{}" },
	{ "[1,2]", "", "{}" },
};

START_TEST(removes_only_the_named_value)
{
	expect_change(REMOVE, removes_done[_i].before, removes_done[_i].pointer, NULL, removes_done[_i].after);
}
END_TEST

static const struct failure removes_refused[] = {
	{ "{\"a\":1}", "/b", NULL, PIPIT_PATCH_CONFLICT, "there is no value at \"/b\"" NOT_THERE },
	{ "{\"a\":1}", "/a/b", NULL, PIPIT_PATCH_CONFLICT, "there is no value at \"/a/b\"" NOT_THERE },
	{ "{\"a\":1}", "/b/c", NULL, PIPIT_PATCH_CONFLICT, "there is no value at \"/b/c\"" NOT_THERE },
	{ "[1]", "/1", NULL, PIPIT_PATCH_CONFLICT, "there is no value at \"/1\"" NOT_THERE },
	{ "[1]", "/-", NULL, PIPIT_PATCH_CONFLICT, "there is no value at \"/-\"" NOT_THERE },
};

START_TEST(refuses_to_remove_an_absent_value)
{
	const struct failure *failure = &removes_refused[_i];

	expect_failure(REMOVE, failure->before, failure->pointer, NULL, &roomy, failure->fault, failure->message);
}
END_TEST

/* ---------------------------------------------------------------- merge */

static const struct {
	const char *before, *pointer, *patch, *after;
} merges[] = {
	/* RFC 7396 appendix A */
	{ "{\"a\":\"b\"}", "", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"b\"}", "", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
	{ "{\"a\":\"b\"}", "", "{\"a\":null}", "{}" },
	{ "{\"a\":\"b\",\"b\":\"c\"}", "", "{\"a\":null}", "{\"b\":\"c\"}" },
	{ "{\"a\":[\"b\"]}", "", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"c\"}", "", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
	{ "{\"a\":{\"b\":\"c\"}}", "", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
	{ "{\"a\":[{\"b\":\"c\"}]}", "", "{\"a\":[1]}", "{\"a\":[1]}" },
	{ "[\"a\",\"b\"]", "", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
	{ "{\"a\":\"b\"}", "", "[\"c\"]", "[\"c\"]" },
	{ "{\"a\":\"foo\"}", "", "null", "null" },
	{ "{\"a\":\"foo\"}", "", "\"bar\"", "\"bar\"" },
	{ "{\"e\":null}", "", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
	{ "[1,2]", "", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
	{ "{}", "", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	/* RFC 7396 §3 */
	{ "{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},\"tags\":[\"example\","
	  "\"sample\"],\"content\":\"This will be unchanged\"}",
	    "",
	    "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\",\"author\":{\"familyName\":null},\"tags\":["
	    "\"example\"]}",
	    "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[\"example\"],\"content\":\"This will "
	    "be "
	    "unchanged\",\"phoneNumber\":\"+01-123-456-7890\"}" },
	/* below the root */
	{ "{\"a\":{\"b\":[{\"c\":1}]},\"d\":2}", "/a/b/0", "{\"e\":3}", "{\"a\":{\"b\":[{\"c\":1,\"e\":3}]},\"d\":2}" },
	{ "{\"a\":{\"b\":1},\"c\":2}", "/a", "{\"b\":null}", "{\"a\":{},\"c\":2}" },
	{ "{\"a\":1,\"b\":2}", "/a", "null", "{\"a\":null,\"b\":2}" },
	{ "{\"a\":1,\"b\":2}", "/a", "{\"b\":null,\"c\":{\"d\":null}}", "{\"a\":{\"c\":{}},\"b\":2}" },
	{ "[1,2,3]", "/2", "{}", "[1,2,{}]" },
	/* members that stay, and their order */
	{ "{\"z\":1,\"a\":2,\"m\":3}", "", "{\"m\":4,\"z\":5,\"c\":6,\"b\":7}",
	    "{\"z\":5,\"a\":2,\"m\":4,\"c\":6,\"b\":7}" },
	{ "{\"a\":1}", "", "{}", "{\"a\":1}" },
	{ "{\"a\":1}", "", "{\"b\":null,\"A\":null}", "{\"a\":1}" },
	{ "{\"a\":1}", "", "{\"b\":[null,{\"c\":null}]}", "{\"a\":1,\"b\":[null,{\"c\":null}]}" },
	{ "{\"a\":1,\"b\":2}", "", "{\"a\":null,\"b\":null}", "{}" },
	{ "{\"\":1}", "", "{\"\":null,\"/\":1}", "{\"/\":1}" },
	/* duplicate names: the last of a patch counts, and one remains */
	{ "{\"a\":1}", "", "{\"a\":null,\"a\":2}", "{\"a\":2}" },
	{ "{\"a\":1}", "", "{\"a\":2,\"a\":null}", "{}" },
	{ "{}", "", "{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}" },
	{ "{\"a\":1,\"b\":2,\"a\":3}", "", "{\"a\":4}", "{\"a\":4,\"b\":2}" },
	{ "{\"a\":1,\"b\":2,\"a\":3}", "", "{\"a\":null}", "{\"b\":2}" },
	{ "{\"a\":{},\"b\":2,\"a\":3}", "/a", "{\"c\":4}", "{\"a\":{\"c\":4},\"b\":2}" },
};

START_TEST(merges_by_rfc_7396)
{
	expect_change(MERGE, merges[_i].before, merges[_i].pointer, merges[_i].patch, merges[_i].after);
	/* A second merge changes nothing. */
	if (merges[_i].pointer[0] == '\0')
		expect_change(MERGE, merges[_i].after, "", merges[_i].patch, merges[_i].after);
}
END_TEST

static const struct failure merges_refused[] = {
	{ "{\"a\":1}", "/b", "1", PIPIT_PATCH_CONFLICT, "there is no value at \"/b\"" NOT_THERE },
	{ "[{}]", "/-", "{}", PIPIT_PATCH_CONFLICT, "there is no value at \"/-\"" NOT_THERE },
	{ "{\"a\":1}", "/a/b", "{}", PIPIT_PATCH_CONFLICT, "there is no value at \"/a/b\"" NOT_THERE },
};

START_TEST(refuses_to_merge_into_an_absent_value)
{
	const struct failure *failure = &merges_refused[_i];

	expect_failure(
	    MERGE, failure->before, failure->pointer, failure->text, &roomy, failure->fault, failure->message);
}
END_TEST

static cJSON *object_of(int first, int count)
{
	cJSON *object = cJSON_CreateObject();
	char name[32];

	for (int i = first; i < first + count; i++) {
		snprintf(name, sizeof name, "%08x", (unsigned)i * 2654435761u);
		cJSON_AddItemToObject(object, name, cJSON_CreateNumber(i));
	}
	return object;
}

/* To compare each member with each would be 10^10 comparisons, and take minutes. */
START_TEST(merges_large_objects_without_comparing_all_names)
{
	struct pipit_patch_error error;
	cJSON *doc = object_of(0, 100000), *patch = object_of(50000, 100000);

	ck_assert_int_eq(pipit_patch_merge(&doc, pipit_slice_of(""), patch, &roomy, &error), 0);
	ck_assert_int_eq(cJSON_GetArraySize(doc), 150000);
	cJSON_Delete(patch);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- operations */

static const struct {
	const char *before, *pointer, *patch, *after;
} patches[] = {
	/* RFC 6902 appendix A.1 to A.7, A.10, A.11, A.14, A.16 */
	{ "{\"foo\":\"bar\"}", "", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
	    "{\"foo\":\"bar\",\"baz\":\"qux\"}" },
	{ "{\"foo\":[\"bar\",\"baz\"]}", "", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
	    "{\"foo\":[\"bar\",\"qux\",\"baz\"]}" },
	{ "{\"baz\":\"qux\",\"foo\":\"bar\"}", "", "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}" },
	{ "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
	    "{\"foo\":[\"bar\",\"baz\"]}" },
	{ "{\"baz\":\"qux\",\"foo\":\"bar\"}", "", "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
	    "{\"baz\":\"boo\",\"foo\":\"bar\"}" },
	{ "{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}", "",
	    "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
	    "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}" },
	{ "{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}", "",
	    "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
	    "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}" },
	{ "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}", "",
	    "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
	    "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}" },
	{ "{\"foo\":\"bar\"}", "", "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
	    "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}" },
	{ "{\"foo\":\"bar\"}", "", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
	    "{\"foo\":\"bar\",\"baz\":\"qux\"}" },
	{ "{\"/\":9,\"~1\":10}", "", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]", "{\"/\":9,\"~1\":10}" },
	{ "{\"foo\":[\"bar\"]}", "", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
	    "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}" },
	/* no operations; members in any order; unknown members */
	{ "{\"a\":1}", "", "[]", "{\"a\":1}" },
	{ "{\"a\":1}", "", "[{\"value\":2,\"from\":7,\"x\":1,\"x\":2,\"Op\":3,\"path\":\"/a\",\"op\":\"add\"}]",
	    "{\"a\":2}" },
	/* add */
	{ "{\"a\":1}", "", "[{\"op\":\"add\",\"path\":\"\",\"value\":[2]}]", "[2]" },
	{ "{\"a\":1}", "", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}" },
	{ "[1,2]", "", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]", "[0,1,2]" },
	{ "[1,2]", "", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":0}]", "[1,2,0]" },
	{ "[]", "", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0},{\"op\":\"add\",\"path\":\"/0\",\"value\":1}]",
	    "[1,0]" },
	{ "{}", "",
	    "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{}},{\"op\":\"add\",\"path\":\"/a/~1\",\"value\":[]},"
	    "{\"op\":\"add\",\"path\":\"/a/~1/-\",\"value\":1}]",
	    "{\"a\":{\"/\":[1]}}" },
	/* remove */
	{ "{\"a\":1,\"b\":2,\"a\":3}", "", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}" },
	{ "[1,2,3]", "", "[{\"op\":\"remove\",\"path\":\"/0\"},{\"op\":\"remove\",\"path\":\"/0\"}]", "[3]" },
	/* replace: elements of an array, and the whole document */
	{ "[1,2,3]", "", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":9}]", "[1,9,3]" },
	{ "[1,2,3]", "", "[{\"op\":\"replace\",\"path\":\"\",\"value\":\"x\"}]", "\"x\"" },
	{ "{\"a\":1,\"b\":2,\"a\":3}", "", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":4}]", "{\"a\":4,\"b\":2}" },
	/* move */
	{ "{\"a\":1,\"b\":2}", "", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"b\":1}" },
	{ "{\"a\":1,\"b\":2}", "", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":1,\"b\":2}" },
	{ "{\"a\":1}", "", "[{\"op\":\"move\",\"from\":\"\",\"path\":\"\"}]", "{\"a\":1}" },
	{ "{\"a\":{\"b\":{\"c\":1}}}", "", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/a\"}]",
	    "{\"a\":{\"c\":1}}" },
	{ "{\"a\":{\"b\":{\"c\":1}}}", "", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"\"}]", "{\"c\":1}" },
	{ "{\"a\":1}", "", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/aa\"}]", "{\"aa\":1}" },
	{ "[0,1,2]", "", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/2\"}]", "[1,2,0]" },
	{ "[0,1,2]", "", "[{\"op\":\"move\",\"from\":\"/2\",\"path\":\"/0\"}]", "[2,0,1]" },
	{ "[0,1,2]", "", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/-\"}]", "[1,2,0]" },
	{ "[[],0]", "", "[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0/0\"}]", "[[0]]" },
	{ "[0,1,[]]", "", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/1/0\"}]", "[1,[0]]" },
	{ "{\"a\":[1],\"b\":{}}", "",
	    "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/b/x\"},"
	    "{\"op\":\"move\",\"from\":\"/b/x\",\"path\":\"/a/0\"}]",
	    "{\"a\":[1],\"b\":{}}" },
	/* copy */
	{ "{\"a\":{\"b\":1}}", "",
	    "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"},"
	    "{\"op\":\"replace\",\"path\":\"/c/b\",\"value\":2}]",
	    "{\"a\":{\"b\":1},\"c\":{\"b\":2}}" },
	{ "{\"a\":1}", "", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b\"}]", "{\"a\":1,\"b\":{\"a\":1}}" },
	{ "{\"a\":{\"b\":1}}", "", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"\"}]", "{\"b\":1}" },
	{ "{\"a\":{\"b\":1}}", "", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
	    "{\"a\":{\"b\":{\"b\":1}}}" },
	{ "[1,2]", "", "[{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/0\"}]", "[1,1,2]" },
	{ "[1,2]", "", "[{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/-\"}]", "[1,2,1]" },
	/* test */
	{ "{\"a\":{\"b\":1,\"c\":[true,null]}}", "",
	    "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":{\"c\":[true,null],\"b\":1.0}}}]",
	    "{\"a\":{\"b\":1,\"c\":[true,null]}}" },
	/* below the root */
	{ "{\"x\":{\"y\":[{\"a\":1}]},\"z\":2}", "/x/y/0", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]",
	    "{\"x\":{\"y\":[{\"b\":1}]},\"z\":2}" },
	{ "{\"x\":{\"a\":1},\"z\":2}", "/x",
	    "[{\"op\":\"add\",\"path\":\"\",\"value\":[]},{\"op\":\"add\",\"path\":\"/-\",\"value\":3}]",
	    "{\"x\":[3],\"z\":2}" },
	{ "[1,{\"a\":2},3]", "/1", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"\"}]", "[1,2,3]" },
};

START_TEST(applies_operations_by_rfc_6902)
{
	expect_change(APPLY, patches[_i].before, patches[_i].pointer, patches[_i].patch, patches[_i].after);
}
END_TEST

#define OPS ": expected add, remove, replace, move, copy or test"
#define NO_POINTER " is not a JSON Pointer: expected '/' before each name, and '~' only in \"~0\" and \"~1\""

static const struct failure patches_refused[] = {
	/* not a patch */
	{ "{}", "", "{\"op\":\"add\",\"path\":\"/a\",\"value\":1}", PIPIT_PATCH_MALFORMED,
	    "the patch is not an array: expected an array of operations, for example "
	    "[{\"op\":\"remove\",\"path\":\"/name\"}]" },
	{ "{}", "", "[7]", PIPIT_PATCH_MALFORMED,
	    "operation 1: it is not an object: expected one, for example {\"op\":\"remove\",\"path\":\"/name\"}" },
	{ "{}", "", "[{}]", PIPIT_PATCH_MALFORMED, "operation 1: the member \"op\" is missing" OPS },
	{ "{}", "", "[{\"op\":null}]", PIPIT_PATCH_MALFORMED, "operation 1: the member \"op\" is not a string" OPS },
	{ "{}", "", "[{\"op\":\"frob\",\"path\":\"\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1: unknown operation \"frob\"" OPS },
	{ "{}", "", "[{\"op\":\"Add\",\"path\":\"\",\"value\":1}]", PIPIT_PATCH_MALFORMED,
	    "operation 1: unknown operation \"Add\"" OPS },
	{ "{}", "", "[{\"op\":\"add\",\"value\":1}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (add): the member \"path\" is missing: expected a JSON Pointer" },
	{ "{}", "", "[{\"op\":\"add\",\"path\":1,\"value\":1}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (add): the member \"path\" is not a string: expected a JSON Pointer" },
	{ "{}", "", "[{\"op\":\"remove\",\"path\":\"a/b\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (remove): \"a/b\"" NO_POINTER },
	{ "{}", "", "[{\"op\":\"remove\",\"path\":\"/a~2\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (remove): \"/a~2\"" NO_POINTER },
	{ "{}", "", "[{\"op\":\"move\",\"path\":\"/a\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (move): the member \"from\" is missing: expected a JSON Pointer" },
	{ "{}", "", "[{\"op\":\"copy\",\"path\":\"/a\",\"from\":[]}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (copy): the member \"from\" is not a string: expected a JSON Pointer" },
	{ "{}", "", "[{\"op\":\"copy\",\"path\":\"/a\",\"from\":\"~\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (copy): \"~\"" NO_POINTER },
	{ "{}", "", "[{\"op\":\"add\",\"path\":\"/a\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (add): the member \"value\" is missing: expected any value" },
	{ "{}", "", "[{\"op\":\"replace\",\"path\":\"/a\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (replace): the member \"value\" is missing: expected any value" },
	{ "{}", "", "[{\"op\":\"test\",\"path\":\"/a\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (test): the member \"value\" is missing: expected any value" },
	/* RFC 6902 appendix A.13 */
	{ "{\"foo\":\"bar\"}", "", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"op\":\"remove\"}]",
	    PIPIT_PATCH_MALFORMED, "operation 1: the member \"op\" occurs more than once: expected it once" },
	{ "{}", "", "[{\"op\":\"add\",\"path\":\"/a\",\"path\":\"/b\",\"value\":1}]", PIPIT_PATCH_MALFORMED,
	    "operation 1 (add): the member \"path\" occurs more than once: expected it once" },
	/* malformed after a conflict */
	{ "{}", "", "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"add\"}]", PIPIT_PATCH_MALFORMED,
	    "operation 2 (add): the member \"path\" is missing: expected a JSON Pointer" },
	{ "{}", "/x", "[{}]", PIPIT_PATCH_MALFORMED, "operation 1: the member \"op\" is missing" OPS },
	/* unprocessable */
	{ "{\"a\":1}", "", "[{\"op\":\"remove\",\"path\":\"\"}]", PIPIT_PATCH_UNPROCESSABLE,
	    "operation 1 (remove): the whole value cannot be removed: expected the path of a value in it" },
	{ "{\"a\":{}}", "", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]", PIPIT_PATCH_UNPROCESSABLE,
	    "operation 1 (move): \"/a/b\" is inside the moved value: expected a path outside of it" },
	{ "{\"a\":{}}", "", "[{\"op\":\"move\",\"from\":\"\",\"path\":\"/a\"}]", PIPIT_PATCH_UNPROCESSABLE,
	    "operation 1 (move): \"/a\" is inside the moved value: expected a path outside of it" },
	{ "[1]", "", "[{\"op\":\"add\",\"path\":\"/01\",\"value\":1}]", PIPIT_PATCH_UNPROCESSABLE,
	    "operation 1 (add): \"/01\"" NO_INDEX },
	{ "{\"a\":[1]}", "", "[{\"op\":\"move\",\"from\":\"/a/0\",\"path\":\"/a/x\"}]", PIPIT_PATCH_UNPROCESSABLE,
	    "operation 1 (move): \"/a/x\"" NO_INDEX },
	/* conflicts; the first is RFC 6902 appendix A.12 */
	{ "{\"foo\":\"bar\"}", "", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (add): there is no value at \"/baz\"" NO_PARENT },
	{ "{\"a\":1}", "", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (add): \"/a\"" NO_CONTAINER },
	{ "[1]", "", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":1}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (add): \"/2\"" BEYOND "1" },
	{ "{}", "", "[{\"op\":\"remove\",\"path\":\"/a\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (remove): there is no value at \"/a\"" NOT_THERE },
	{ "[1]", "", "[{\"op\":\"remove\",\"path\":\"/-\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (remove): there is no value at \"/-\"" NOT_THERE },
	{ "{\"a\":1}", "",
	    "[{\"op\":\"add\",\"path\":\"/b\",\"value\":1},{\"op\":\"replace\",\"path\":\"/c/d\",\"value\":1}]",
	    PIPIT_PATCH_CONFLICT, "operation 2 (replace): there is no value at \"/c/d\"" NOT_THERE },
	{ "[1]", "", "[{\"op\":\"replace\",\"path\":\"/-\",\"value\":1}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (replace): there is no value at \"/-\"" NOT_THERE },
	{ "[1]", "", "[{\"op\":\"test\",\"path\":\"/-\",\"value\":1}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (test): there is no value at \"/-\"" NOT_THERE },
	{ "{}", "", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (move): there is no value at \"/a\"" NOT_THERE },
	{ "{}", "", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (move): there is no value at \"/a\"" NOT_THERE },
	{ "[0,1]", "", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/2\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (move): \"/2\"" BEYOND "1" },
	{ "{}", "", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (copy): there is no value at \"/a\"" NOT_THERE },
	{ "{\"a\":1}", "", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b/c\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (copy): there is no value at \"/b\"" NO_PARENT },
	{ "{\"a\":1}", "/b", "[]", PIPIT_PATCH_CONFLICT, "there is no value at \"/b\"" NOT_THERE },
	{ "{\"a\":{}}", "/a", "[{\"op\":\"remove\",\"path\":\"/a\"}]", PIPIT_PATCH_CONFLICT,
	    "operation 1 (remove): there is no value at \"/a\"" NOT_THERE },
	/* tests; RFC 6902 appendix A.9 and A.15 */
	{ "{\"baz\":\"qux\"}", "", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", PIPIT_PATCH_TEST_FAILED,
	    "operation 1 (test): the value at \"/baz\" differs from that of the test" },
	{ "{\"/\":9,\"~1\":10}", "", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", PIPIT_PATCH_TEST_FAILED,
	    "operation 1 (test): the value at \"/~01\" differs from that of the test" },
	{ "{\"a\":[1,2]}", "", "[{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":[2,1]}}]", PIPIT_PATCH_TEST_FAILED,
	    "operation 1 (test): the value at \"\" differs from that of the test" },
};

START_TEST(refuses_a_patch_and_says_why)
{
	const struct failure *failure = &patches_refused[_i];

	expect_failure(
	    APPLY, failure->before, failure->pointer, failure->text, &roomy, failure->fault, failure->message);
}
END_TEST

#define GARDEN "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":[[],{}],\"e\":\"f\"}"

static const char *const steps[] = {
	"{\"op\":\"add\",\"path\":\"/a/b/1\",\"value\":[7]}",
	"{\"op\":\"add\",\"path\":\"\",\"value\":[7]}",
	"{\"op\":\"remove\",\"path\":\"/a\"}",
	"{\"op\":\"replace\",\"path\":\"/a\",\"value\":{\"x\":1}}",
	"{\"op\":\"replace\",\"path\":\"\",\"value\":\"x\"}",
	"{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/d/1/x\"}",
	"{\"op\":\"move\",\"from\":\"/d\",\"path\":\"\"}",
	"{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a/b/-\"}",
	"{\"op\":\"test\",\"path\":\"/e\",\"value\":\"f\"}",
};

START_TEST(undoes_all_operations_when_a_later_one_fails)
{
	char patch[256];

	snprintf(patch, sizeof patch, "[%s,{\"op\":\"test\",\"path\":\"\",\"value\":0}]", steps[_i]);
	expect_failure(APPLY, GARDEN, "", patch, &roomy, PIPIT_PATCH_TEST_FAILED,
	    "operation 2 (test): the value at \"\" differs from that of the test");
	snprintf(patch, sizeof patch, "[%s,{\"op\":\"remove\",\"path\":\"/no\"}]", steps[_i]);
	expect_failure(APPLY, "{\"in\":[" GARDEN "]}", "/in/0", patch, &roomy, PIPIT_PATCH_CONFLICT,
	    "operation 2 (remove): there is no value at \"/no\"" NOT_THERE);
}
END_TEST

/* ---------------------------------------------------------------- messages */

START_TEST(cuts_a_long_pointer_in_a_message)
{
	char pointer[400], expected[500];

	/* 99 bytes, and a character of two bytes across the limit of 100 */
	snprintf(pointer, sizeof pointer, "/%.98s\xc3\xa9%0200d",
	    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjjj", 0);
	snprintf(expected, sizeof expected, "there is no value at \"%.99s…\"" NOT_THERE, pointer);
	expect_failure(REMOVE, "{}", pointer, NULL, &roomy, PIPIT_PATCH_CONFLICT, expected);
	pointer[101] = '\0';
	snprintf(expected, sizeof expected, "there is no value at \"%.99s…\"" NOT_THERE, pointer);
	expect_failure(REMOVE, "{}", pointer, NULL, &roomy, PIPIT_PATCH_CONFLICT, expected);
	memmove(pointer + 1, pointer + 2, 100);
	snprintf(expected, sizeof expected, "there is no value at \"%s\"" NOT_THERE, pointer);
	expect_failure(REMOVE, "{}", pointer, NULL, &roomy, PIPIT_PATCH_CONFLICT, expected);
}
END_TEST

START_TEST(quotes_client_text_as_one_line_of_utf_8)
{
	expect_failure(REMOVE, "{}", "/\xc3\xa9\xff", NULL, &roomy, PIPIT_PATCH_CONFLICT,
	    "there is no value at \"/???\"" NOT_THERE);
	expect_failure(REMOVE, "{}", "/\xc3\xa9", NULL, &roomy, PIPIT_PATCH_CONFLICT,
	    "there is no value at \"/\xc3\xa9\"" NOT_THERE);
	expect_failure(
	    REMOVE, "{}", "/\x80", NULL, &roomy, PIPIT_PATCH_CONFLICT, "there is no value at \"/?\"" NOT_THERE);
	expect_failure(
	    REMOVE, "{}", "/a\x1f b", NULL, &roomy, PIPIT_PATCH_CONFLICT, "there is no value at \"/a? b\"" NOT_THERE);
	expect_failure(
	    REMOVE, "{}", "/a\nb\x7f", NULL, &roomy, PIPIT_PATCH_CONFLICT, "there is no value at \"/a?b?\"" NOT_THERE);
}
END_TEST

/* ---------------------------------------------------------------- limits */

static const struct pipit_patch_limits tight = { .max_depth = 3, .max_copied_bytes = 20, .max_operations = 2 };

static const struct {
	enum change change;
	const char *before, *pointer, *text, *after;
} within_limits[] = {
	{ PUT, "{\"a\":1}", "", "[[[]]]", "[[[]]]" },
	{ PUT, "{\"a\":{}}", "/a/b", "{}", "{\"a\":{\"b\":{}}}" },
	{ PUT, "[[[1]]]", "/0/0/0", "\"x\"", "[[[\"x\"]]]" },
	{ MERGE, "{\"a\":{}}", "/a", "{\"b\":{\"c\":1}}", "{\"a\":{\"b\":{\"c\":1}}}" },
	{ MERGE, "1", "", "{\"a\":[[]]}", "{\"a\":[[]]}" },
	{ MERGE, "[[1]]", "/0/0", "[]", "[[[]]]" },
	{ APPLY, "{\"a\":{\"x\":1}}", "/a",
	    "[{\"op\":\"add\",\"path\":\"/b\",\"value\":[]},{\"op\":\"test\",\"path\":\"/b\",\"value\":[]}]",
	    "{\"a\":{\"x\":1,\"b\":[]}}" },
	{ APPLY, "[[[]],[1]]", "", "[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0/0\"}]", "[[[1],[]]]" },
	{ APPLY, "[\"12345678\"]", "",
	    "[{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/0\"},{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/0\"}]",
	    "[\"12345678\",\"12345678\",\"12345678\"]" },
};

START_TEST(accepts_a_patch_at_the_limits)
{
	struct pipit_patch_error error;
	cJSON *doc = parse(within_limits[_i].before);
	int result = change_within(
	    within_limits[_i].change, &doc, within_limits[_i].pointer, within_limits[_i].text, &tight, &error);

	ck_assert_msg(result == 0, "%s", result == -EINVAL ? error.message : "");
	expect_text(doc, within_limits[_i].after);
	cJSON_Delete(doc);
}
END_TEST

#define DEEP ": expected at most 3 arrays and objects within each other"
#define DEEP_PATCH \
	"the patch is nested too deeply: expected at most 3 arrays and objects within each other in the document"

static const struct {
	enum change change;
	const char *before, *pointer, *text, *message;
} beyond_limits[] = {
	{ PUT, "{\"a\":1}", "", "[[[[]]]]", "the value is nested too deeply at \"\"" DEEP },
	{ PUT, "{\"a\":{}}", "/a/b", "[0,[]]", "the value is nested too deeply at \"/a/b\"" DEEP },
	{ PUT, "[[[1]]]", "/0/0/0", "[]", "the value is nested too deeply at \"/0/0/0\"" DEEP },
	{ MERGE, "{\"a\":{}}", "/a", "{\"b\":{\"c\":{}}}", DEEP_PATCH },
	{ MERGE, "{\"a\":{}}", "/a", "{\"b\":{\"c\":[]}}", DEEP_PATCH },
	{ MERGE, "{\"a\":{}}", "/a", "[[[]]]", DEEP_PATCH },
	{ MERGE, "{\"a\":1}", "", "{\"a\":2,\"b\":{\"c\":{\"d\":{\"e\":null}}}}", DEEP_PATCH },
	{ APPLY, "{\"a\":{\"x\":1}}", "/a", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":[[]]}]",
	    "operation 1 (add): the value is nested too deeply at \"/b\"" DEEP },
	{ APPLY, "{\"a\":{\"x\":1}}", "/a", "[{\"op\":\"replace\",\"path\":\"/x\",\"value\":[[]]}]",
	    "operation 1 (replace): the value is nested too deeply at \"/x\"" DEEP },
	{ APPLY, "[[[]],[[1]]]", "", "[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0/0\"}]",
	    "operation 1 (move): the value is nested too deeply at \"/0/0\"" DEEP },
	{ APPLY, "[[\"1234567890123\"]]", "", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/-\"}]",
	    "operation 1 (copy): too many bytes are copied, with the value at \"\": expected at most 20 bytes in one "
	    "patch" },
	{ APPLY, "[[[]]]", "", "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/-\"}]",
	    "operation 1 (copy): the value is nested too deeply at \"/-\"" DEEP },
	{ APPLY, "[\"123456789\"]", "",
	    "[{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/0\"},{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/0\"}]",
	    "operation 2 (copy): too many bytes are copied, with the value at \"/0\": expected at most 20 bytes in one "
	    "patch" },
	{ APPLY, "{}", "", "[1,2,3]", "the patch has too many operations: expected at most 2" },
};

START_TEST(refuses_a_patch_above_the_limits)
{
	expect_failure(beyond_limits[_i].change, beyond_limits[_i].before, beyond_limits[_i].pointer,
	    beyond_limits[_i].text, &tight, PIPIT_PATCH_TOO_LARGE, beyond_limits[_i].message);
}
END_TEST

/* Doubling a document thirty times would take 16 gigabytes. */
START_TEST(limits_the_memory_of_copies)
{
	struct pipit_patch_error error;
	struct pipit_patch_limits limits = { .max_depth = DEPTH, .max_copied_bytes = 100000, .max_operations = 30 };
	cJSON *doc = parse("[[\"0123456789\"]]"), *patch = cJSON_CreateArray();
	int peak = in_use;

	for (int i = 0; i < 30; i++)
		cJSON_AddItemToArray(patch, parse("{\"op\":\"copy\",\"from\":\"\",\"path\":\"/0/0\"}"));
	peak = in_use;
	allocations_left = 100000;
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &limits, &error), -EINVAL);
	ck_assert_int_eq(error.fault, PIPIT_PATCH_TOO_LARGE);
	ck_assert_int_eq(in_use, peak);
	expect_text(doc, "[[\"0123456789\"]]");
	cJSON_Delete(patch);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- numbers */

/* Give each number in a document a text. */
static void set_texts(cJSON *item, const char *text)
{
	if (cJSON_IsNumber(item)) {
		item->valuestring = cJSON_malloc(strlen(text) + 1);
		strcpy(item->valuestring, text);
	}
	for (cJSON *child = item->child; child; child = child->next)
		set_texts(child, text);
}

static void expect_texts(const cJSON *item, const char *text)
{
	if (cJSON_IsNumber(item)) {
		ck_assert_ptr_nonnull(item->valuestring);
		ck_assert_str_eq(item->valuestring, text);
	}
	for (const cJSON *child = item->child; child; child = child->next)
		expect_texts(child, text);
}

START_TEST(keeps_the_text_of_numbers)
{
	static const char text[] = "0.1000000000000000055511151231257827";
	struct pipit_patch_error error;
	cJSON *doc = parse("{\"a\":[1,2],\"b\":{\"c\":3}}");
	cJSON *patch =
	    parse("[{\"op\":\"add\",\"path\":\"/a/0\",\"value\":4},{\"op\":\"move\",\"from\":\"/b/c\",\"path\":\"/d\"},"
		  "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b/a\"},"
		  "{\"op\":\"replace\",\"path\":\"/a/1\",\"value\":5}]");
	cJSON *merge = parse("{\"a\":6,\"b\":{\"x\":[7]},\"y\":{\"z\":8}}"), *value = parse("[9]");
	bool created;

	set_texts(doc, text);
	set_texts(patch, text);
	set_texts(merge, text);
	set_texts(value, text);
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &roomy, &error), 0);
	expect_text(doc, "{\"a\":[4,5,2],\"b\":{\"a\":[4,1,2]},\"d\":3}");
	expect_texts(doc, text);
	ck_assert_int_eq(pipit_patch_merge(&doc, pipit_slice_of(""), merge, &roomy, &error), 0);
	ck_assert_int_eq(pipit_patch_put(&doc, pipit_slice_of("/v"), value, &roomy, &created, &error), 0);
	expect_text(doc, "{\"a\":6,\"b\":{\"a\":[4,1,2],\"x\":[7]},\"d\":3,\"y\":{\"z\":8},\"v\":[9]}");
	expect_texts(doc, text);
	cJSON_Delete(patch);
	cJSON_Delete(merge);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- out of memory */

static const struct {
	enum change change;
	const char *before, *pointer, *text, *after;
} costly[] = {
	{ PUT, "{\"a\":{}}", "/a/b", "{\"c\":[1,\"x\"]}", "{\"a\":{\"b\":{\"c\":[1,\"x\"]}}}" },
	{ REMOVE, "{\"a\":{}}", "", NULL, "{}" },
	{ MERGE, "{\"a\":{\"b\":1,\"c\":\"x\"},\"d\":[{}]}", "/a",
	    "{\"b\":{\"e\":{\"f\":[1,\"y\"],\"g\":null}},\"c\":null,\"h\":{\"i\":{}},\"j\":[1]}",
	    "{\"a\":{\"b\":{\"e\":{\"f\":[1,\"y\"]}},\"h\":{\"i\":{}},\"j\":[1]},\"d\":[{}]}" },
	{ MERGE, "{\"a\":1}", "/a", "{\"b\":[\"x\"]}", "{\"a\":{\"b\":[\"x\"]}}" },
	{ APPLY, "{\"a\":[1,{\"b\":\"x\"}],\"c\":{}}", "",
	    "[{\"op\":\"add\",\"path\":\"/c/d\",\"value\":{\"e\":[\"y\"]}},{\"op\":\"copy\",\"from\":\"/"
	    "a\",\"path\":\"/c/f\"},"
	    "{\"op\":\"move\",\"from\":\"/a/1\",\"path\":\"/g\"},{\"op\":\"replace\",\"path\":\"/c/"
	    "d\",\"value\":\"z\"},"
	    "{\"op\":\"move\",\"from\":\"/c\",\"path\":\"/a/-\"},{\"op\":\"remove\",\"path\":\"/a/0\"},"
	    "{\"op\":\"test\",\"path\":\"/g\",\"value\":{\"b\":\"x\"}},{\"op\":\"add\",\"path\":\"/a/"
	    "0\",\"value\":[]}]",
	    "{\"a\":[[],{\"d\":\"z\",\"f\":[1,{\"b\":\"x\"}]}],\"g\":{\"b\":\"x\"}}" },
	{ APPLY, "{\"a\":[{\"b\":1}]}", "/a/0",
	    "[{\"op\":\"add\",\"path\":\"\",\"value\":[\"x\"]},{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"\"}]",
	    "{\"a\":[\"x\"]}" },
};

/* One call with a limited number of allocations. value: taken as by pipit_patch_put(). */
static int try_with(int allocations, enum change change, cJSON **doc, struct pipit_slice pointer, cJSON *value)
{
	struct pipit_patch_error error;
	bool created;
	int result;

	allocations_left = allocations;
	if (change == PUT)
		result = pipit_patch_put(doc, pointer, value, &roomy, &created, &error);
	else if (change == REMOVE)
		result = pipit_patch_remove(doc, pointer, &error);
	else if (change == MERGE)
		result = pipit_patch_merge(doc, pointer, value, &roomy, &error);
	else
		result = pipit_patch_apply(doc, pointer, value, &roomy, &error);
	allocations_left = INT_MAX;
	return result;
}

START_TEST(changes_and_leaks_nothing_when_memory_is_short)
{
	enum change change = costly[_i].change;
	cJSON *doc = parse(costly[_i].before), *value = costly[_i].text ? parse(costly[_i].text) : NULL;
	int before = in_use, allocations = 0, result;

	while ((result = try_with(allocations, change, &doc, pipit_slice_of(costly[_i].pointer), value)) == -ENOMEM) {
		ck_assert_int_eq(in_use, before);
		expect_text(doc, costly[_i].before);
		ck_assert_int_lt(allocations++, 1000);
	}
	ck_assert_int_eq(result, 0);
	ck_assert_int_gt(allocations, 0);
	expect_text(doc, costly[_i].after);
	if (change != PUT)
		cJSON_Delete(value);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- many operations */

START_TEST(applies_a_thousand_operations_to_large_arrays_and_objects)
{
	struct pipit_patch_limits limits = { .max_depth = DEPTH, .max_copied_bytes = 100000, .max_operations = 1000 };
	struct pipit_patch_error error;
	cJSON *doc = cJSON_CreateObject(), *list = cJSON_CreateArray(), *patch = cJSON_CreateArray();

	for (int i = 0; i < 10000; i++)
		cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
	cJSON_AddItemToObject(doc, "list", list);
	cJSON_AddItemToObject(doc, "members", object_of(0, 10000));
	for (int i = 0; i < 250; i++) {
		cJSON_AddItemToArray(patch, parse("{\"op\":\"move\",\"from\":\"/list/9999\",\"path\":\"/list/0\"}"));
		cJSON_AddItemToArray(patch, parse("{\"op\":\"add\",\"path\":\"/list/-\",\"value\":0}"));
		cJSON_AddItemToArray(patch, parse("{\"op\":\"add\",\"path\":\"/members/x\",\"value\":0}"));
		cJSON_AddItemToArray(patch, parse("{\"op\":\"remove\",\"path\":\"/members/x\"}"));
	}
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &limits, &error), 0);
	ck_assert_int_eq(cJSON_GetArraySize(pipit_pointer_find(doc, pipit_slice_of("/list"))), 10250);
	ck_assert_int_eq(cJSON_GetArraySize(pipit_pointer_find(doc, pipit_slice_of("/members"))), 10000);
	cJSON_Delete(patch);
	cJSON_Delete(doc);
}
END_TEST

/* The second copy may lie where the array was, and is marked as that. */
START_TEST(finds_the_elements_of_an_array_that_took_the_place_of_another)
{
	struct pipit_patch_limits limits = { .max_depth = DEPTH, .max_copied_bytes = 100000, .max_operations = 100 };
	struct pipit_patch_error error;
	cJSON *doc = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(doc, "a"),
	      *patch = parse("[{\"op\":\"replace\",\"path\":\"/a/99\",\"value\":\"x\"},"
			     "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},"
			     "{\"op\":\"remove\",\"path\":\"/a\"},"
			     "{\"op\":\"copy\",\"from\":\"/b\",\"path\":\"/a\"},"
			     "{\"op\":\"replace\",\"path\":\"/a/98\",\"value\":\"y\"},"
			     "{\"op\":\"remove\",\"path\":\"/a/0\"}]");

	for (int i = 0; i < 100; i++)
		cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &limits, &error), 0);
	ck_assert_str_eq(pipit_pointer_find(doc, pipit_slice_of("/a/97"))->valuestring, "y");
	ck_assert_str_eq(pipit_pointer_find(doc, pipit_slice_of("/a/98"))->valuestring, "x");
	ck_assert_str_eq(pipit_pointer_find(doc, pipit_slice_of("/b/99"))->valuestring, "x");
	cJSON_Delete(patch);
	cJSON_Delete(doc);
}
END_TEST

static unsigned dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 1103515245u + 12345u;
	return (dice >> 16) % sides;
}

static void put_path(char path[64])
{
	switch (roll(6)) {
	case 0:
		snprintf(path, 64, "/list/-");
		break;
	case 1:
		snprintf(path, 64, "/list/%u", roll(300));
		break;
	case 2:
		snprintf(path, 64, "/list/%u/%u", roll(5), roll(120));
		break;
	case 3:
		snprintf(path, 64, "/members/%u", roll(300));
		break;
	case 4:
		snprintf(path, 64, "/members/~0~1%u", roll(30));
		break;
	default:
		snprintf(path, 64, "/members/%u/%u", roll(5), roll(120));
	}
}

static cJSON *random_operation(void)
{
	static const char *const names[] = { "add", "add", "remove", "replace", "move", "copy" };
	char path[64], from[64], text[300];

	put_path(path);
	put_path(from);
	snprintf(text, sizeof text, "{\"op\":\"%s\",\"path\":\"%s\",\"from\":\"%s\",\"value\":%u}", names[roll(6)],
	    path, from, roll(1000));
	return parse(text);
}

/* Each list has more children than are walked. */
static cJSON *document_of_lists(void)
{
	cJSON *doc = cJSON_CreateObject(), *list = cJSON_CreateArray(), *members = object_of(0, 100);

	for (int i = 0; i < 5; i++) {
		char name[8];
		cJSON *numbers = cJSON_CreateArray();
		for (int j = 0; j < 100; j++)
			cJSON_AddItemToArray(numbers, cJSON_CreateNumber(j));
		cJSON_AddItemToArray(list, numbers);
		snprintf(name, sizeof name, "%d", i);
		cJSON_AddItemToObject(members, name, object_of(0, 100));
	}
	for (int i = 0; i < 200; i++)
		cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
	cJSON_AddItemToObject(doc, "list", list);
	cJSON_AddItemToObject(doc, "members", members);
	return doc;
}

/* One patch keeps its indexes from operation to operation; patches of one operation do not. */
START_TEST(one_patch_is_as_many_patches_of_one_operation)
{
	struct pipit_patch_limits limits = { .max_depth = DEPTH, .max_copied_bytes = 1000000, .max_operations = 1000 };
	struct pipit_patch_error error;
	cJSON *one_by_one = document_of_lists(), *at_once = document_of_lists(), *patch = cJSON_CreateArray();
	char *expected, *found;

	dice = (unsigned)_i;
	for (int i = 0; i < 600; i++) {
		cJSON *single = cJSON_CreateArray(), *operation = random_operation();
		cJSON_AddItemToArray(single, operation);
		if (pipit_patch_apply(&one_by_one, pipit_slice_of(""), single, &limits, &error) == 0)
			cJSON_AddItemToArray(patch, cJSON_DetachItemFromArray(single, 0));
		cJSON_Delete(single);
	}
	ck_assert_int_gt(cJSON_GetArraySize(patch), 100);
	limits.is_disposable = _i % 2 == 0;
	ck_assert_msg(
	    pipit_patch_apply(&at_once, pipit_slice_of(""), patch, &limits, &error) == 0, "%s", error.message);
	expect_links(at_once);
	expected = cJSON_PrintUnformatted(one_by_one);
	found = cJSON_PrintUnformatted(at_once);
	ck_assert_str_eq(found, expected);
	cJSON_free(expected);
	cJSON_free(found);
	cJSON_Delete(patch);
	cJSON_Delete(one_by_one);
	cJSON_Delete(at_once);
}
END_TEST

START_TEST(limits_the_bytes_that_move_to_a_deeper_place)
{
	struct pipit_patch_limits limits = { .max_depth = DEPTH, .max_copied_bytes = 10, .max_operations = 10 };
	static const char up[] = "[{\"op\":\"move\",\"from\":\"/b/a\",\"path\":\"/c\"}]";
	static const char down[] = "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b/a\"},"
				   "{\"op\":\"move\",\"from\":\"/b/a\",\"path\":\"/a\"},"
				   "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b/a\"}]";
	struct pipit_patch_error error;
	cJSON *doc = parse("{\"b\":{\"a\":\"0123456789abcdef\"}}");

	ck_assert_int_eq(change_within(APPLY, &doc, "", up, &limits, &error), 0);
	expect_text(doc, "{\"b\":{},\"c\":\"0123456789abcdef\"}");
	cJSON_Delete(doc);
	expect_failure(APPLY, "{\"b\":{},\"a\":\"0123\"}", "", down, &limits, PIPIT_PATCH_TOO_LARGE,
	    "operation 3 (move): too many bytes are moved to a deeper place, with the value at \"/a\": expected at "
	    "most 10 "
	    "bytes in one patch");
}
END_TEST

static const char *const unequal[] = { "{\"value\":1}", "\"x\"", "[]" };

START_TEST(tests_large_objects_in_any_order)
{
	struct pipit_patch_error error;
	cJSON *doc = object_of(0, 30), *patch = parse("[{\"op\":\"test\",\"path\":\"\"}]"),
	      *reversed = cJSON_CreateObject();

	for (cJSON *member = doc->child->prev;; member = member->prev) {
		cJSON_AddItemToObject(reversed, member->string, cJSON_Duplicate(member, true));
		if (member == doc->child)
			break;
	}
	cJSON_AddItemToObject(patch->child, "value", reversed);
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &roomy, &error), 0);
	cJSON_ReplaceItemInObject(reversed, doc->child->string, parse(unequal[_i]));
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &roomy, &error), -EINVAL);
	cJSON_DeleteItemFromObject(reversed, doc->child->string);
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &roomy, &error), -EINVAL);
	cJSON_AddItemToObject(reversed, "another", cJSON_CreateNumber(0));
	ck_assert_int_eq(pipit_patch_apply(&doc, pipit_slice_of(""), patch, &roomy, &error), -EINVAL);
	ck_assert_int_eq(error.fault, PIPIT_PATCH_TEST_FAILED);
	cJSON_Delete(patch);
	cJSON_Delete(doc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("patch");
	TCase *tests = tcase_create("patch");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, puts_a_value_at_its_pointer, 0, COUNT(puts_done));
	tcase_add_loop_test(tests, refuses_to_put_a_value_where_none_can_be, 0, COUNT(puts_refused));
	tcase_add_test(tests, refuses_a_name_with_a_nul);
	tcase_add_test(tests, names_a_value_after_its_pointer);
	tcase_add_loop_test(tests, removes_only_the_named_value, 0, COUNT(removes_done));
	tcase_add_loop_test(tests, refuses_to_remove_an_absent_value, 0, COUNT(removes_refused));
	tcase_add_loop_test(tests, merges_by_rfc_7396, 0, COUNT(merges));
	tcase_add_loop_test(tests, refuses_to_merge_into_an_absent_value, 0, COUNT(merges_refused));
	tcase_add_test(tests, merges_large_objects_without_comparing_all_names);
	tcase_add_loop_test(tests, applies_operations_by_rfc_6902, 0, COUNT(patches));
	tcase_add_loop_test(tests, refuses_a_patch_and_says_why, 0, COUNT(patches_refused));
	tcase_add_loop_test(tests, undoes_all_operations_when_a_later_one_fails, 0, COUNT(steps));
	tcase_add_test(tests, cuts_a_long_pointer_in_a_message);
	tcase_add_test(tests, quotes_client_text_as_one_line_of_utf_8);
	tcase_add_loop_test(tests, accepts_a_patch_at_the_limits, 0, COUNT(within_limits));
	tcase_add_loop_test(tests, refuses_a_patch_above_the_limits, 0, COUNT(beyond_limits));
	tcase_add_test(tests, limits_the_memory_of_copies);
	tcase_add_test(tests, keeps_the_text_of_numbers);
	tcase_add_loop_test(tests, changes_and_leaks_nothing_when_memory_is_short, 0, COUNT(costly));
	tcase_add_test(tests, finds_the_elements_of_an_array_that_took_the_place_of_another);
	tcase_add_test(tests, applies_a_thousand_operations_to_large_arrays_and_objects);
	tcase_add_loop_test(tests, one_patch_is_as_many_patches_of_one_operation, 1, 20);
	tcase_add_test(tests, limits_the_bytes_that_move_to_a_deeper_place);
	tcase_add_loop_test(tests, tests_large_objects_in_any_order, 0, COUNT(unequal));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
