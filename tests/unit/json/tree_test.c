/* SPDX-License-Identifier: MIT */
/* The tree is that of cJSON's own parser. Each text ends before an inaccessible page. */
#include "json/tree.h"

#include "guarded.h"
#include "suite.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_text(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

/* All fields that a handler may read, and the links that cJSON's functions use. */
static bool same_tree(const cJSON *one, const cJSON *other)
{
	if (one->type != other->type || one->valueint != other->valueint || one->valuedouble != other->valuedouble)
		return false;
	if (!same_text(one->string, other->string) || !same_text(one->valuestring, other->valuestring))
		return false;
	if (!one->child != !other->child || (one->child && one->child->prev->next))
		return false;
	for (one = one->child, other = other->child; one && other; one = one->next, other = other->next) {
		if (!same_tree(one, other) || (one->next && one->next->prev != one))
			return false;
	}
	return !one && !other;
}

static void expect_same(const char *text, size_t length)
{
	cJSON *theirs = cJSON_ParseWithLength(text, length);
	cJSON *ours = pipit_tree_build(guarded_copy(text, length), length);

	ck_assert_msg(theirs && ours && same_tree(ours, theirs), "%.*s", (int)length, text);
	cJSON_Delete(theirs);
	cJSON_Delete(ours);
}

static const char *const documents[] = {
	"null",
	"true",
	" false\r\n",
	"0",
	"-0",
	"-0.5e-3",
	"123456789012345",
	"-123456789012345",
	"1234567.5",
	"12345678901",
	"-12345678901",
	"1e300",
	"\"\"",
	"[]",
	"{}",
	" [ ] ",
	"{\t}",
	"[[],{},[[{}]]]",
	"[1,2.5 , -3E+2,true,false,null,\"\"]",
	"{\"a\":1,\"b\" : [ ], \"\" : {\"c\":null} }",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	"\"\\\\\"",
	"[\"\\\\\",\"\\\"\",\"01234567\\\\\",\"0123456\\\"7\"]",
	"{\"\\u0041\\n\":\"\\u00e4\\u20AC\\uD83D\\uDE00x\"}",
	"{\"caf\xc3\xa9\":\"\xf0\x9f\x90\xa6\"}",
};

START_TEST(builds_the_same_tree_as_cjson)
{
	expect_same(documents[_i], strlen(documents[_i]));
}
END_TEST

START_TEST(reads_an_escape_of_each_character)
{
	for (unsigned code = 1; code < 0x110000; code += code < 0x3000 ? 1 : 97) {
		char text[64];
		unsigned half = code - 0x10000;
		if (code >= 0xd800 && code < 0xe000)
			continue;
		if (code < 0x10000)
			sprintf(text, "\"a\\u%04x\\u%04XAf\"", code, code);
		else
			sprintf(text, "\"\\u%04x\\u%04X\"", 0xd800 | half >> 10, 0xdc00 | (half & 0x3ff));
		expect_same(text, strlen(text));
	}
}
END_TEST

/* At each place of strings of each length around eight, the bytes that are read together. */
START_TEST(reads_an_escape_at_each_place)
{
	for (size_t length = 0; length <= 20; length++) {
		for (size_t at = 0; at <= length; at++) {
			char text[64];
			size_t size = (size_t)sprintf(text, "[\"%.*s\\n%.*s\"]", (int)at, "abcdefghijklmnopqrstu",
			    (int)(length - at) & ~1,
			    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
			expect_same(text, size);
		}
	}
}
END_TEST

static uint32_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % sides;
}

static cJSON *random_value(unsigned depth)
{
	char name[24];
	unsigned kind = roll(depth < 5 ? 5 : 3);
	cJSON *value;

	if (kind == 0)
		return cJSON_CreateNumber(((double)roll(1000000) - 500000) / (1u << roll(9)));
	if (kind == 1) {
		for (size_t i = 0; i < sizeof name; i++)
			name[i] = (char)(1 + roll(127));
		name[roll(sizeof name)] = '\0';
		return cJSON_CreateString(name);
	}
	if (kind == 2)
		return roll(2) ? cJSON_CreateNull() : cJSON_CreateBool((int)roll(2));
	value = kind == 3 ? cJSON_CreateArray() : cJSON_CreateObject();
	for (unsigned i = roll(8); i > 0; i--) {
		sprintf(name, "%u\n%u", i, roll(1000));
		if (kind == 3)
			cJSON_AddItemToArray(value, random_value(depth + 1));
		else
			cJSON_AddItemToObject(value, name, random_value(depth + 1));
	}
	return value;
}

START_TEST(builds_random_documents_like_cjson)
{
	for (uint32_t seed = 1; seed <= 2000; seed++) {
		char *text;
		cJSON *doc;

		dice = seed * 7919;
		doc = random_value(0);
		text = seed % 2 ? cJSON_Print(doc) : cJSON_PrintUnformatted(doc);
		expect_same(text, strlen(text));
		cJSON_free(text);
		cJSON_Delete(doc);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tcase = tcase_create("tree");

	tcase_add_checked_fixture(tcase, guarded_set_up, guarded_tear_down);
	tcase_add_loop_test(tcase, builds_the_same_tree_as_cjson, 0, sizeof documents / sizeof *documents);
	tcase_add_test(tcase, reads_an_escape_of_each_character);
	tcase_add_test(tcase, reads_an_escape_at_each_place);
	tcase_add_test(tcase, builds_random_documents_like_cjson);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
