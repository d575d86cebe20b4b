/* SPDX-License-Identifier: MIT */
/* The index finds what a walk of the list finds, also after changes. */
#include "json/child_index.h"

#include "suite.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static const int lengths[] = { 0, 1, 63, 64, 65, 127, 128, 129, 1000 };

static cJSON *array_of(int count)
{
	cJSON *array = cJSON_CreateArray();
	for (int i = 0; i < count; i++)
		cJSON_AddItemToArray(array, cJSON_CreateNumber(i));
	return array;
}

static void expect_elements(const struct pipit_child_index *index, const cJSON *array)
{
	size_t number = 0;
	for (const cJSON *element = array->child; element; element = element->next)
		ck_assert_ptr_eq(pipit_child_index_element(index, number++), element);
	ck_assert_uint_eq(pipit_child_index_length(index), number);
	ck_assert_ptr_null(pipit_child_index_element(index, number));
	ck_assert_ptr_null(pipit_child_index_element(index, SIZE_MAX));
}

START_TEST(finds_every_element)
{
	cJSON *array = array_of(lengths[_i]);
	struct pipit_child_index *index = pipit_child_index_new(array);

	expect_elements(index, array);
	pipit_child_index_free(index);
	cJSON_Delete(array);
}
END_TEST

/* By hand, because cJSON_InsertItemInArray() of cJSON 1.7.15 refuses any place but the first. */
static void insert(struct pipit_child_index *index, cJSON *array, int number)
{
	cJSON *item = cJSON_CreateTrue(), *next = cJSON_GetArrayItem(array, number);

	if (!next) {
		cJSON_AddItemToArray(array, item);
	} else {
		item->next = next;
		item->prev = next->prev;
		if (next == array->child)
			array->child = item;
		else
			next->prev->next = item;
		next->prev = item;
	}
	pipit_child_index_insert_element(index, (size_t)number, item);
}

static void take(struct pipit_child_index *index, cJSON *array, int number)
{
	pipit_child_index_remove_element(index, (size_t)number);
	cJSON_DeleteItemFromArray(array, number);
}

START_TEST(follows_elements_that_come_and_go)
{
	cJSON *array = array_of(lengths[_i]);
	struct pipit_child_index *index = pipit_child_index_new(array);
	unsigned dice = 1;

	for (int i = 0; i < 500; i++) {
		int length = cJSON_GetArraySize(array);
		dice = dice * 1103515245u + 12345u;
		if (length == 0 || dice >> 16 & 1)
			insert(index, array, (int)(dice >> 17) % (length + 1));
		else
			take(index, array, (int)(dice >> 17) % length);
		if (i % 16 == 0)
			expect_elements(index, array);
	}
	while (array->child)
		take(index, array, 0);
	expect_elements(index, array);
	for (int i = 0; i < 200; i++)
		insert(index, array, i / 2);
	expect_elements(index, array);
	while (array->child)
		take(index, array, cJSON_GetArraySize(array) - 1);
	expect_elements(index, array);
	pipit_child_index_free(index);
	cJSON_Delete(array);
}
END_TEST

START_TEST(follows_replaced_elements)
{
	cJSON *array = array_of(lengths[_i]);
	struct pipit_child_index *index = pipit_child_index_new(array);

	for (int i = 0; i < lengths[_i]; i++) {
		cJSON *item = cJSON_CreateTrue();
		cJSON_ReplaceItemInArray(array, i, item);
		pipit_child_index_replace_element(index, (size_t)i, item);
	}
	expect_elements(index, array);
	pipit_child_index_free(index);
	cJSON_Delete(array);
}
END_TEST

static void add(struct pipit_child_index *index, cJSON *object, const char *name)
{
	cJSON_AddNumberToObject(object, name, 0);
	ck_assert(pipit_child_index_add_member(index, object->child->prev));
}

static void expect_members(const struct pipit_child_index *index, const cJSON *object)
{
	for (const cJSON *member = object->child; member; member = member->next)
		ck_assert_ptr_eq(pipit_child_index_member(index, pipit_slice_of(member->string)), member);
	ck_assert_ptr_null(pipit_child_index_member(index, pipit_slice_of("absent")));
	ck_assert_ptr_null(pipit_child_index_member(index, (struct pipit_slice){ "m1\0", 3 }));
	ck_assert_ptr_null(pipit_child_index_duplicate(index));
}

START_TEST(finds_every_member)
{
	cJSON *object = cJSON_CreateObject();
	struct pipit_child_index *index = pipit_child_index_new(object), *later;
	char name[40];

	add(index, object, "");
	for (int i = 0; i < lengths[_i]; i++) {
		/* of all lengths modulo eight */
		snprintf(name, sizeof name, "m%.*s%d", i % 9, "xxxxxxxxx", i);
		add(index, object, name);
	}
	expect_members(index, object);
	later = pipit_child_index_new(object);
	expect_members(later, object);
	pipit_child_index_free(later);
	pipit_child_index_free(index);
	cJSON_Delete(object);
}
END_TEST

START_TEST(follows_members_that_come_and_go)
{
	cJSON *object = cJSON_CreateObject();
	struct pipit_child_index *index = pipit_child_index_new(object);
	char name[24];

	/* more names than slots at first: removed ones are forgotten when the table grows */
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "m%d", i);
		add(index, object, name);
		if (i >= 50) {
			snprintf(name, sizeof name, "m%d", i - 50);
			pipit_child_index_remove_member(index, cJSON_GetObjectItemCaseSensitive(object, name));
			cJSON_DeleteItemFromObjectCaseSensitive(object, name);
			ck_assert_ptr_null(pipit_child_index_member(index, pipit_slice_of(name)));
		}
	}
	expect_members(index, object);
	pipit_child_index_free(index);
	cJSON_Delete(object);
}
END_TEST

START_TEST(tells_the_first_duplicate_name)
{
	cJSON *object = cJSON_Parse("{\"a\":1,\"b\":2,\"c\":3,\"b\":4,\"a\":5}");
	struct pipit_child_index *index = pipit_child_index_new(object);

	ck_assert_ptr_eq(pipit_child_index_duplicate(index), cJSON_GetArrayItem(object, 3));
	ck_assert_ptr_eq(pipit_child_index_member(index, pipit_slice_of("b")), cJSON_GetArrayItem(object, 1));
	pipit_child_index_free(index);
	cJSON_Delete(object);
}
END_TEST

int main(void)
{
	const int count = sizeof lengths / sizeof *lengths;
	Suite *suite = suite_create("child_index");
	TCase *tests = tcase_create("child_index");

	tcase_add_loop_test(tests, finds_every_element, 0, count);
	tcase_add_loop_test(tests, follows_elements_that_come_and_go, 0, count);
	tcase_add_loop_test(tests, follows_replaced_elements, 0, count);
	tcase_add_loop_test(tests, finds_every_member, 0, count);
	tcase_add_test(tests, follows_members_that_come_and_go);
	tcase_add_test(tests, tells_the_first_duplicate_name);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
