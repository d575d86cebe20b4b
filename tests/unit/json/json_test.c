/* SPDX-License-Identifier: MIT */
/* Valid and invalid texts, error positions, and the tree. Each text ends before an inaccessible page. */
#include "pipit.h"
#include "json/json.h"

#include "guarded.h"
#include "suite.h"
#include "json/equality.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DEPTH 64

static const struct pipit_json_limits usual = { DEPTH, 0 };

static void tear_down(void)
{
	cJSON_InitHooks(NULL);
	guarded_tear_down();
}

static int check(const char *text, size_t length, struct pipit_json_error *error)
{
	memset(error, 0xa5, sizeof *error);
	return pipit_json_check(guarded_copy(text, length), length, &usual, error);
}

static void expect_valid(const char *text, size_t length, size_t max_depth)
{
	const struct pipit_json_limits limits = { max_depth, 0 };
	struct pipit_json_error error;
	cJSON *doc = NULL;

	ck_assert_msg(pipit_json_check(guarded_copy(text, length), length, &limits, &error) == 0, "%s: %s at %zu", text,
	    error.message, error.byte);
	ck_assert_int_eq(pipit_json_parse(guarded_copy(text, length), length, &limits, &doc, &error), 0);
	ck_assert_ptr_nonnull(doc);
	cJSON_Delete(doc);
}

static cJSON *parse(const char *text)
{
	struct pipit_json_error error;
	cJSON *doc = NULL;

	ck_assert_int_eq(pipit_json_parse(guarded_copy(text, strlen(text)), strlen(text), &usual, &doc, &error), 0);
	return doc;
}

/* ---------------------------------------------------------------- valid texts */

static const char *const valid[] = { "{}", "[]", "0", "-0", "1", "-1", "10", "1234567890", "0.5", "-0.0", "1.25e2",
	"1E+2", "1e-2", "0e0", "0E99999", "0.000e99999999999999999999999999", "-0e1000", "1e308",
	"-1.7976931348623157e308", "1e-400", "1e-99999999999999999999999999", "0.00000000000000000001e327",
	"123456789012345678901234567890", "true", "false", "null", "\"\"", "\"a\"", " \t\r\n1 \t\r\n", "[1,2,3]",
	"[ 1 , 2 , 3 ]", "[[],{},[[]]]", "[\n\n]", "{ \n }", "{\"a\":1}", "{ \"a\" : 1 , \"b\" : [ { } ] }", "{\"\":0}",
	"{\"a\":1,\"A\":2}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0001\"", "\"\\u00e9\\u00E9\\uABCD\\uabcd\"",
	"\"\\uD834\\uDD1E\"", "\"\\udbff\\udfff\"", "\"\\ud800\\udc00x\"", "\"\\uD7FF\\uE000\"", "\"\\uFFFF\\uFEFF\"",
	"\"\\\\u0000\"", "\"/\"", "\"\x7f\"", "\"\xc2\x80\"", "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"",
	"\"\xee\x80\x80\"", "\"\xef\xbb\xbf\"", "\"\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"", "\"\xf3\xbf\xbf\xbf\"",
	"\"\xf4\x8f\xbf\xbf\"", "[\"\xc3\xa9\",\"\xf0\x9f\x90\xa6\"]", "[true,false,null,-1.5e-3,\"x\"]",
	"{\"a\":{\"b\":{\"c\":[1,[2,{\"d\":null}]]}}}" };

START_TEST(accepts_what_rfc_8259_allows)
{
	expect_valid(valid[_i], strlen(valid[_i]), DEPTH);
}
END_TEST

/* ---------------------------------------------------------------- invalid texts */

#define VALUE_MESSAGE "expected a value: an object, array, string, number, true, false or null"
#define WORDS_MESSAGE "expected a value: the only words are true, false and null"
#define QUOTES_MESSAGE "expected a value: strings are in double quotes"
#define COMMENT_MESSAGE "expected a value: JSON has no comments"
#define DIGIT_MESSAGE "expected a value: a number begins with a digit or '-'"
#define ENDS_MESSAGE "the text ends too early: expected a value"
#define EMPTY_MESSAGE "the text is empty: expected a value"
#define AFTER_MESSAGE "expected nothing but white space after the value"
#define ELEMENT_MESSAGE "expected ',' or ']' after an array element"
#define MEMBER_MESSAGE "expected ',' or '}' after a member's value"
#define COLON_MESSAGE "expected ':' after a member's name"
#define NAME_MESSAGE "expected a name in double quotes"
#define FIRST_NAME_MESSAGE "expected a name in double quotes or '}' after '{'"
#define NAME_ENDS_MESSAGE "the text ends within an object: expected a name in double quotes"
#define OBJECT_COMMA_MESSAGE "expected a name after ',': an object does not end with a comma"
#define ARRAY_COMMA_MESSAGE "expected a value after ',': an array does not end with a comma"
#define FIRST_ELEMENT_MESSAGE "expected a value or ']' after '['"
#define ZEROS_MESSAGE "a number has no leading zeros: expected '.', 'e' or the end of the number after 0"
#define MINUS_MESSAGE "expected a digit after '-'"
#define POINT_MESSAGE "expected a digit after the decimal point"
#define EXPONENT_MESSAGE "expected a digit in the exponent"
#define RANGE_MESSAGE "the number is too large: expected one within the range of a double, up to 1.79e308"
#define STRING_ENDS_MESSAGE "the text ends within a string: expected '\"'"
#define CONTROL_MESSAGE "control character in a string: expected an escape, such as \\n or \\u001f"
#define ESCAPE_MESSAGE "expected one of \" \\ / b f n r t u after a backslash"
#define ESCAPE_ENDS_MESSAGE "the text ends within an escape: expected one of \" \\ / b f n r t u"
#define HEX_MESSAGE "expected four hexadecimal digits after \\u"
#define NUL_MESSAGE "\\u0000 is not supported in strings: expected any other character"
#define HIGH_MESSAGE "a high surrogate stands alone: expected \\uDC00 to \\uDFFF right after it"
#define HIGH_ENDS_MESSAGE "the text ends after a high surrogate: expected \\uDC00 to \\uDFFF"
#define LOW_MESSAGE "a low surrogate stands alone: expected \\uD800 to \\uDBFF right before it"
#define UTF8_MESSAGE "invalid UTF-8: expected a well-formed character (RFC 3629)"
#define UTF8_ENDS_MESSAGE "the text ends within a UTF-8 character: expected its remaining bytes"
#define BOM_MESSAGE "the text begins with a byte order mark: expected a value first (RFC 8259 section 8.1)"

/* Texts may contain NUL. */
#define TEXT(literal) (literal), sizeof(literal) - 1

static const struct {
	const char *text;
	size_t length;
	size_t byte;
	size_t line;
	size_t column;
	const char *message;
} invalid[] = {
	{ TEXT(""), 0, 1, 1, EMPTY_MESSAGE },
	{ TEXT(" "), 1, 1, 2, EMPTY_MESSAGE },
	{ TEXT("\n\n"), 2, 3, 1, EMPTY_MESSAGE },
	{ TEXT("\r\n\r\n "), 5, 3, 2, EMPTY_MESSAGE },
	{ TEXT("\r\r"), 2, 3, 1, EMPTY_MESSAGE },
	{ TEXT("\n\r\n\r"), 4, 4, 1, EMPTY_MESSAGE },
	{ TEXT("\r\n?"), 2, 2, 1, VALUE_MESSAGE },
	{ TEXT("\xef\xbb\xbf{}"), 0, 1, 1, BOM_MESSAGE },
	{ TEXT("\xef\xbb\xbf"), 0, 1, 1, BOM_MESSAGE },
	{ TEXT(" \xef\xbb\xbf{}"), 1, 1, 2, VALUE_MESSAGE },
	{ TEXT("\0"), 0, 1, 1, VALUE_MESSAGE },
	{ TEXT("1\0"), 1, 1, 2, AFTER_MESSAGE },
	{ TEXT("\v1"), 0, 1, 1, VALUE_MESSAGE },
	{ TEXT("\f1"), 0, 1, 1, VALUE_MESSAGE },
	{ TEXT("\xc2\xa0"
	       "1"),
	    0, 1, 1, VALUE_MESSAGE },
	{ TEXT(","), 0, 1, 1, VALUE_MESSAGE },
	{ TEXT(":"), 0, 1, 1, VALUE_MESSAGE },
	{ TEXT("]"), 0, 1, 1, VALUE_MESSAGE },
	{ TEXT("}"), 0, 1, 1, VALUE_MESSAGE },
	/* after the value */
	{ TEXT("1 2"), 2, 1, 3, AFTER_MESSAGE },
	{ TEXT("{}\n{}"), 3, 2, 1, AFTER_MESSAGE },
	{ TEXT("[]]"), 2, 1, 3, AFTER_MESSAGE },
	{ TEXT("{}}"), 2, 1, 3, AFTER_MESSAGE },
	{ TEXT("1,"), 1, 1, 2, AFTER_MESSAGE },
	{ TEXT("truee"), 4, 1, 5, AFTER_MESSAGE },
	{ TEXT("\"a\"b"), 3, 1, 4, AFTER_MESSAGE },
	{ TEXT("{} // note"), 3, 1, 4, AFTER_MESSAGE },
	/* words */
	{ TEXT("tru"), 3, 1, 4, "expected 'true'" },
	{ TEXT("tRue"), 1, 1, 2, "expected 'true'" },
	{ TEXT("[fals]"), 5, 1, 6, "expected 'false'" },
	{ TEXT("nul\0"), 3, 1, 4, "expected 'null'" },
	{ TEXT("nan"), 1, 1, 2, "expected 'null'" },
	{ TEXT("True"), 0, 1, 1, WORDS_MESSAGE },
	{ TEXT("NULL"), 0, 1, 1, WORDS_MESSAGE },
	{ TEXT("[NaN]"), 1, 1, 2, FIRST_ELEMENT_MESSAGE },
	{ TEXT("[1,NaN]"), 3, 1, 4, WORDS_MESSAGE },
	{ TEXT("Infinity"), 0, 1, 1, WORDS_MESSAGE },
	{ TEXT("{\"a\":undefined}"), 5, 1, 6, WORDS_MESSAGE },
	/* extensions of other languages */
	{ TEXT("'a'"), 0, 1, 1, QUOTES_MESSAGE },
	{ TEXT("/* a */ 1"), 0, 1, 1, COMMENT_MESSAGE },
	{ TEXT("// a\n1"), 0, 1, 1, COMMENT_MESSAGE },
	{ TEXT("# a\n1"), 0, 1, 1, COMMENT_MESSAGE },
	/* numbers */
	{ TEXT("-"), 1, 1, 2, MINUS_MESSAGE },
	{ TEXT("--1"), 1, 1, 2, MINUS_MESSAGE },
	{ TEXT("-a"), 1, 1, 2, MINUS_MESSAGE },
	{ TEXT("-Infinity"), 1, 1, 2, MINUS_MESSAGE },
	{ TEXT("-.5"), 1, 1, 2, MINUS_MESSAGE },
	{ TEXT("+1"), 0, 1, 1, DIGIT_MESSAGE },
	{ TEXT(".5"), 0, 1, 1, DIGIT_MESSAGE },
	{ TEXT("1."), 2, 1, 3, POINT_MESSAGE },
	{ TEXT("[1.]"), 3, 1, 4, POINT_MESSAGE },
	{ TEXT("1.e5"), 2, 1, 3, POINT_MESSAGE },
	{ TEXT("1e"), 2, 1, 3, EXPONENT_MESSAGE },
	{ TEXT("1e+"), 3, 1, 4, EXPONENT_MESSAGE },
	{ TEXT("1E-x"), 3, 1, 4, EXPONENT_MESSAGE },
	{ TEXT("1e1.5"), 3, 1, 4, AFTER_MESSAGE },
	{ TEXT("00"), 1, 1, 2, ZEROS_MESSAGE },
	{ TEXT("-01"), 2, 1, 3, ZEROS_MESSAGE },
	{ TEXT("012"), 1, 1, 2, ZEROS_MESSAGE },
	{ TEXT("0x1F"), 1, 1, 2, AFTER_MESSAGE },
	{ TEXT("1_000"), 1, 1, 2, AFTER_MESSAGE },
	{ TEXT("[1 000]"), 3, 1, 4, ELEMENT_MESSAGE },
	{ TEXT("1,5"), 1, 1, 2, AFTER_MESSAGE },
	{ TEXT("1e999"), 0, 1, 1, RANGE_MESSAGE },
	{ TEXT("[0,\n -1e309]"), 5, 2, 2, RANGE_MESSAGE },
	{ TEXT("1e99999999999999999999999999"), 0, 1, 1, RANGE_MESSAGE },
	{ TEXT("1.7976931348623159e308"), 0, 1, 1, RANGE_MESSAGE },
	{ TEXT("0.0001e313"), 0, 1, 1, RANGE_MESSAGE },
	/* strings */
	{ TEXT("\""), 1, 1, 2, STRING_ENDS_MESSAGE },
	{ TEXT("\"a"), 2, 1, 3, STRING_ENDS_MESSAGE },
	{ TEXT("\"\\\""), 3, 1, 4, STRING_ENDS_MESSAGE },
	{ TEXT("[\"a]"), 4, 1, 5, STRING_ENDS_MESSAGE },
	{ TEXT("\"a\nb\""), 2, 1, 3, CONTROL_MESSAGE },
	{ TEXT("\"a\rb\""), 2, 1, 3, CONTROL_MESSAGE },
	{ TEXT("\"\t\""), 1, 1, 2, CONTROL_MESSAGE },
	{ TEXT("\"\0\""), 1, 1, 2, CONTROL_MESSAGE },
	{ TEXT("\"\x1f\""), 1, 1, 2, CONTROL_MESSAGE },
	{ TEXT("{\"a\x01\":1}"), 3, 1, 4, CONTROL_MESSAGE },
	{ TEXT("\"\\"), 2, 1, 3, ESCAPE_ENDS_MESSAGE },
	{ TEXT("\"\\a\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\'\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\x41\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\U0041\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\\0\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\\n\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\\xc3\xa9\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\u"), 3, 1, 4, HEX_MESSAGE },
	{ TEXT("\"\\u12"), 5, 1, 6, HEX_MESSAGE },
	{ TEXT("\"\\u123\""), 6, 1, 7, HEX_MESSAGE },
	{ TEXT("\"\\u12g4\""), 5, 1, 6, HEX_MESSAGE },
	{ TEXT("\"\\u+123\""), 3, 1, 4, HEX_MESSAGE },
	{ TEXT("\"\\u 123\""), 3, 1, 4, HEX_MESSAGE },
	{ TEXT("\"ab\\u0000\""), 3, 1, 4, NUL_MESSAGE },
	{ TEXT("{\"\\u0000\":1}"), 2, 1, 3, NUL_MESSAGE },
	{ TEXT("\"\\uD834\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834x\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834\\n\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834\\u0041\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834\\uD834\\uDD1E\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834\\uE000\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834\\uDBFF\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\uD834\\uDDxx\""), 11, 1, 12, HEX_MESSAGE },
	{ TEXT("\"\\uD834"), 7, 1, 8, HIGH_ENDS_MESSAGE },
	{ TEXT("\"\\uD834\\"), 8, 1, 9, HIGH_ENDS_MESSAGE },
	{ TEXT("\"\\uD834\\u"), 9, 1, 10, HEX_MESSAGE },
	{ TEXT("\"a\\uDD1E\""), 2, 1, 3, LOW_MESSAGE },
	{ TEXT("\"\\uDFFF\\uD800\""), 1, 1, 2, LOW_MESSAGE },
	/* UTF-8, RFC 3629 */
	{ TEXT("\"\x80\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xbf\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xc0\x80\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xc1\xbf\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"a\xe9\""), 2, 1, 3, UTF8_MESSAGE },
	{ TEXT("\"\xc3(\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xe0\x9f\xbf\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xed\xa0\x80\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xed\xbf\xbf\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xe2\x82(\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xf0\x8f\xbf\xbf\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xf0\x9f\x90\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xf4\x90\x80\x80\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xf5\x80\x80\x80\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xfe\xff\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xff\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\xc3"), 2, 1, 3, UTF8_ENDS_MESSAGE },
	{ TEXT("\"\xe2\x82"), 3, 1, 4, UTF8_ENDS_MESSAGE },
	{ TEXT("\"\xf0\x9f\x90"), 4, 1, 5, UTF8_ENDS_MESSAGE },
	/* arrays */
	{ TEXT("["), 1, 1, 2, ENDS_MESSAGE },
	{ TEXT("[1"), 2, 1, 3, ELEMENT_MESSAGE },
	{ TEXT("[1,"), 3, 1, 4, ENDS_MESSAGE },
	{ TEXT("[1,]"), 3, 1, 4, ARRAY_COMMA_MESSAGE },
	{ TEXT("[,1]"), 1, 1, 2, FIRST_ELEMENT_MESSAGE },
	{ TEXT("[1,,2]"), 3, 1, 4, VALUE_MESSAGE },
	{ TEXT("[1 2]"), 3, 1, 4, ELEMENT_MESSAGE },
	{ TEXT("[1:2]"), 2, 1, 3, ELEMENT_MESSAGE },
	{ TEXT("[1}"), 2, 1, 3, ELEMENT_MESSAGE },
	{ TEXT("[}"), 1, 1, 2, FIRST_ELEMENT_MESSAGE },
	{ TEXT("[\n  1,\n  2\n  3\n]"), 13, 4, 3, ELEMENT_MESSAGE },
	{ TEXT("[\r\n  1,\r\n  2\r\n  3\r\n]"), 16, 4, 3, ELEMENT_MESSAGE },
	{ TEXT("[\r  1,\r  2\r  3\r]"), 13, 4, 3, ELEMENT_MESSAGE },
	{ TEXT("[\"\xc3\xa9\" 1]"), 6, 1, 7, ELEMENT_MESSAGE },
	/* objects */
	{ TEXT("{"), 1, 1, 2, NAME_ENDS_MESSAGE },
	{ TEXT("{\"a"), 3, 1, 4, STRING_ENDS_MESSAGE },
	{ TEXT("{\"a\""), 4, 1, 5, COLON_MESSAGE },
	{ TEXT("{\"a\":"), 5, 1, 6, ENDS_MESSAGE },
	{ TEXT("{\"a\":1"), 6, 1, 7, MEMBER_MESSAGE },
	{ TEXT("{\"a\":1,"), 7, 1, 8, NAME_ENDS_MESSAGE },
	{ TEXT("{\"a\":1,}"), 7, 1, 8, OBJECT_COMMA_MESSAGE },
	{ TEXT("{,}"), 1, 1, 2, FIRST_NAME_MESSAGE },
	{ TEXT("{a:1}"), 1, 1, 2, FIRST_NAME_MESSAGE },
	{ TEXT("{'a':1}"), 1, 1, 2, FIRST_NAME_MESSAGE },
	{ TEXT("{1:1}"), 1, 1, 2, FIRST_NAME_MESSAGE },
	{ TEXT("{\"a\":1,b:2}"), 7, 1, 8, NAME_MESSAGE },
	{ TEXT("{\"a\":1,,}"), 7, 1, 8, NAME_MESSAGE },
	{ TEXT("{\"a\" 1}"), 5, 1, 6, COLON_MESSAGE },
	{ TEXT("{\"a\"}"), 4, 1, 5, COLON_MESSAGE },
	{ TEXT("{\"a\",1}"), 4, 1, 5, COLON_MESSAGE },
	{ TEXT("{\"a\"=1}"), 4, 1, 5, COLON_MESSAGE },
	{ TEXT("{\"a\"::1}"), 5, 1, 6, VALUE_MESSAGE },
	{ TEXT("{\"a\":}"), 5, 1, 6, VALUE_MESSAGE },
	{ TEXT("{\"a\":]"), 5, 1, 6, VALUE_MESSAGE },
	{ TEXT("{\"a\":1]"), 6, 1, 7, MEMBER_MESSAGE },
	{ TEXT("{\"a\":1 \"b\":2}"), 7, 1, 8, MEMBER_MESSAGE },
	{ TEXT("{\n\t\"a\": 1,\n\t\"b\": x\n}"), 17, 3, 7, WORDS_MESSAGE },
	{ TEXT("{\"a\":[{}],\"b\":[}"), 15, 1, 16, FIRST_ELEMENT_MESSAGE },
	{ TEXT("[{\"a\":1},{]"), 10, 1, 11, FIRST_NAME_MESSAGE },
	{ TEXT("{\"a\":1,\0"), 7, 1, 8, "expected a name in double quotes" },
	{ TEXT("\"\\\0\""), 2, 1, 3, ESCAPE_MESSAGE },
	{ TEXT("\"\\ud800\0\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\\ud800\\\0\""), 1, 1, 2, HIGH_MESSAGE },
	{ TEXT("\"\xc3\0\""), 1, 1, 2, UTF8_MESSAGE },
	{ TEXT("\"\\udc00\""), 1, 1, 2, LOW_MESSAGE },
	{ TEXT("\"\\udfff\""), 1, 1, 2, LOW_MESSAGE },
	{ TEXT("{\"a\":[1],]"), 9, 1, 10, NAME_MESSAGE },
};

START_TEST(says_what_is_wrong_and_where)
{
	struct pipit_json_error error;
	cJSON *doc = (cJSON *)&error;

	ck_assert_int_eq(check(invalid[_i].text, invalid[_i].length, &error), -EINVAL);
	ck_assert_str_eq(error.message, invalid[_i].message);
	ck_assert_uint_eq(error.byte, invalid[_i].byte);
	ck_assert_uint_eq(error.line, invalid[_i].line);
	ck_assert_uint_eq(error.column, invalid[_i].column);

	memset(&error, 0xa5, sizeof error);
	ck_assert_int_eq(pipit_json_parse(guarded_copy(invalid[_i].text, invalid[_i].length), invalid[_i].length,
			     &usual, &doc, &error),
	    -EINVAL);
	ck_assert_uint_eq(error.byte, invalid[_i].byte);
	ck_assert_ptr_eq(doc, &error);
}
END_TEST

START_TEST(reports_an_absent_text_as_empty)
{
	struct pipit_json_error error;

	ck_assert_int_eq(pipit_json_check(NULL, 0, &usual, &error), -EINVAL);
	ck_assert_uint_eq(error.byte, 0);
	ck_assert_uint_eq(error.line, 1);
	ck_assert_uint_eq(error.column, 1);
}
END_TEST

/* Each is complete only with its last byte. */
static const char *const documents[] = {
	"{\"name\":\"pipit\",\"list\":[0,-1.5e+10,1e-7],\"t\":true,\"f\":false,\"n\":null,\"o\":{\"a\":[[]]}}",
	"[\"\\u00e9\\uD834\\uDD1E\\n\",\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6\",{},[],\"\"]",
	"\"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\\\ \\/ \\\"\"",
	" [ 1 ,\r\n 2 ,\r 3 ,\n { \"a\" : 1 , \"b\" : null } ]",
	"[-0.0000000000000000000000000000000000000000000000000000000000000000000000000000000000001e-20]",
};

START_TEST(reports_the_end_of_a_text_that_is_cut_anywhere)
{
	size_t length = strlen(documents[_i]);
	struct pipit_json_error error;

	for (size_t cut = 0; cut < length; cut++) {
		ck_assert_int_eq(check(documents[_i], cut, &error), -EINVAL);
		ck_assert_uint_eq(error.byte, cut);
	}
	expect_valid(documents[_i], length, DEPTH);
}
END_TEST

/* ---------------------------------------------------------------- depth */

/* Write arrays and objects, alternately, nested `depth` times around a zero. Returns the length. */
static size_t nest(char *text, size_t depth, const char *first, const char *second)
{
	size_t length = 0;

	for (size_t i = 0; i < depth; i++)
		length += (size_t)sprintf(text + length, "%s", i % 2 ? second : first);
	text[length++] = '0';
	for (size_t i = depth; i > 0; i--)
		text[length++] = (i % 2 ? first : second)[0] == '[' ? ']' : '}';
	return length;
}

static const size_t depths[] = { 1, 2, 7, 8, 9, 64, 511, 512 };

START_TEST(accepts_nesting_up_to_the_limit_only)
{
	static const char *const kinds[][2] = { { "[", "[" }, { "{\"a\":", "{\"a\":" }, { "[", "{\"a\":" },
		{ "{\"a\":", "[" } };
	struct pipit_json_limits limits = { 0, 0 };
	char text[GUARDED_BYTES];
	struct pipit_json_error error;

	for (size_t i = 0; i < COUNT(kinds); i++) {
		size_t depth = depths[_i];
		size_t length = nest(text, depth, kinds[i][0], kinds[i][1]);
		size_t offset = (size_t)(strchr(text, '0') - text);
		expect_valid(text, length, depth);

		length = nest(text, depth + 1, kinds[i][0], kinds[i][1]);
		limits.max_depth = depth;
		ck_assert_int_eq(pipit_json_check(guarded_copy(text, length), length, &limits, &error), -EINVAL);
		ck_assert_str_eq(
		    error.message, "nested too deeply: expected fewer arrays and objects within each other");
		ck_assert_uint_eq(error.byte, offset);
		ck_assert_uint_eq(error.column, offset + 1);
	}
}
END_TEST

START_TEST(counts_depth_and_not_arrays_and_objects)
{
	const struct pipit_json_limits two = { 2, 0 };
	struct pipit_json_error error;

	expect_valid("[[],{},[],{\"a\":0},[]]", 21, 2);
	ck_assert_int_eq(pipit_json_check("[[],{},[[]]]", 12, &two, &error), -EINVAL);
	ck_assert_uint_eq(error.byte, 8);
}
END_TEST

START_TEST(knows_at_each_level_whether_an_array_or_an_object_is_open)
{
	char text[GUARDED_BYTES];
	struct pipit_json_error error;

	for (size_t depth = 1; depth <= 40; depth++) {
		size_t length = nest(text, depth, "[", "{\"a\":");
		size_t zero = (size_t)(strchr(text, '0') - text);
		for (size_t at = zero + 1; at < length; at++) {
			char right = text[at];
			text[at] = right == ']' ? '}' : ']';
			ck_assert_int_eq(check(text, length, &error), -EINVAL);
			ck_assert_uint_eq(error.byte, at);
			ck_assert_str_eq(error.message, right == ']' ? ELEMENT_MESSAGE : MEMBER_MESSAGE);
			text[at] = right;
		}
	}
}
END_TEST

/* ---------------------------------------------------------------- numbers */

/* The integer half way between the greatest double and the next power of two, which strtod() rounds to infinity. */
#define HALF_WAY                                                                                                  \
	"1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963" \
	"3028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027" \
	"0069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792"
#define BELOW_HALF_WAY                                                                                            \
	"1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963" \
	"3028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027" \
	"0069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497791"
#define ZEROS_50 "00000000000000000000000000000000000000000000000000"
#define ZEROS_100 ZEROS_50 ZEROS_50
#define NINES_50 "99999999999999999999999999999999999999999999999999"

static const struct {
	const char *text;
	double value; /* INFINITY: refused */
} numbers[] = {
	{ "0", 0 },
	{ "-0", -0.0 },
	{ "0.1", 0.1 },
	{ "1.7976931348623157e308", DBL_MAX },
	{ "-1.7976931348623157e308", -DBL_MAX },
	{ "17976931348623157e292", DBL_MAX },
	{ "0.00017976931348623157e312", DBL_MAX },
	{ "1.7976931348623158e308", DBL_MAX },
	{ "1.7976931348623159e308", INFINITY },
	{ "-1.7976931348623159e308", INFINITY },
	{ "179769313486231590000e288", INFINITY },
	{ "4.9e-324", 4.9e-324 },
	{ "2e-324", 0 },
	{ "-1e-999999999999999999999999", -0.0 },
	{ "0e999999999999999999999999", 0 },
	/* exactly half way rounds to even, which is infinity */
	{ HALF_WAY, INFINITY },
	{ "-" HALF_WAY ".0", INFINITY },
	{ "0." HALF_WAY "e309", INFINITY },
	{ HALF_WAY "0e-1", INFINITY },
	{ HALF_WAY ".0001", INFINITY },
	{ BELOW_HALF_WAY, DBL_MAX },
	{ "-" BELOW_HALF_WAY ".99999999999", -DBL_MAX },
	{ "0.0" BELOW_HALF_WAY "e310", DBL_MAX },
	{ "2" ZEROS_100 ZEROS_100 ZEROS_100 "00000000", INFINITY },
	{ "1" ZEROS_100 ZEROS_100 ZEROS_100 "00000000", 1e308 },
	/* cJSON silently cuts a number after 63 characters: 62, 63, 64 characters */
	{ "123456789012" ZEROS_50, 123456789012e50 },
	{ "1234567890123" ZEROS_50, 1234567890123e50 },
	{ "12345678901234" ZEROS_50, 12345678901234e50 },
	{ "-1234567890123" ZEROS_50, -1234567890123e50 },
	{ "1" ZEROS_100, 1e100 },
	{ "1" ZEROS_100 "." ZEROS_100, 1e100 },
	{ "-1." ZEROS_100, -1 },
	{ "1." ZEROS_100 "e-10", 1e-10 },
	{ "0.25" ZEROS_100 "E+3", 250 },
	{ "0." ZEROS_100 "1", 1e-101 },
	{ "-0." ZEROS_50 "000000000000000000000000000001", -1e-80 },
	{ "0." ZEROS_100 ZEROS_100 "1e+201", 1 },
	{ "0." ZEROS_100 ZEROS_100 ZEROS_100 ZEROS_100 "1", 0 },
	{ "0." ZEROS_100 ZEROS_100 ZEROS_100 "0000000000000000000000049", 4.9e-324 },
	{ "-0." ZEROS_100, -0.0 },
	{ "0." ZEROS_100 "e99999999999999999999", 0 },
	{ "-1" ZEROS_50 "00000000000000e-99999999999999999999", -0.0 },
	{ "1e" ZEROS_100 "7", 1e7 },
	{ "1e-" ZEROS_100 "7", 1e-7 },
	{ "0." NINES_50 NINES_50, 1 },
	{ "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899", 3.141592653589793 },
	/* 1 + 2^-53 is half way between 1 and the next double: a late digit decides */
	{ "1.00000000000000011102230246251565404236316680908203125000000000000000000000000000", 1 },
	{ "1.00000000000000011102230246251565404236316680908203125000000000000000000000000001", 1.0000000000000002 },
	{ "1.00000000000000011102230246251565404236316680908203124999999999999999999999999999", 1 },
};

static void expect_number(const char *number, double expected)
{
	char text[2048];
	cJSON *doc;
	cJSON *element;

	snprintf(text, sizeof text, "[7,%s,{\"a\\\"0\":%s},\"%s\"]", number, number, number);
	doc = parse(text);
	ck_assert_int_eq(cJSON_GetArraySize(doc), 4);
	element = cJSON_GetArrayItem(doc, 1);
	ck_assert_msg(element->valuedouble == expected, "%s: %.17g", number, element->valuedouble);
	ck_assert_int_eq(signbit(element->valuedouble) != 0, signbit(expected) != 0);
	ck_assert(cJSON_GetObjectItem(cJSON_GetArrayItem(doc, 2), "a\"0")->valuedouble == expected);
	ck_assert_str_eq(cJSON_GetArrayItem(doc, 3)->valuestring, number);
	cJSON_Delete(doc);

	doc = parse(number);
	ck_assert(doc->valuedouble == expected);
	cJSON_Delete(doc);
}

START_TEST(reads_every_number_as_its_double_or_refuses_it)
{
	const char *number = numbers[_i].text;
	struct pipit_json_error error;

	if (isfinite(numbers[_i].value)) {
		expect_number(number, numbers[_i].value);
		return;
	}
	ck_assert_int_eq(check(number, strlen(number), &error), -EINVAL);
	ck_assert_str_eq(error.message, RANGE_MESSAGE);
	ck_assert_uint_eq(error.byte, 0);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

START_TEST(agrees_with_strtod_on_random_numbers)
{
	uint32_t seed = 0x2545f491;
	struct pipit_json_error error;

	for (int i = 0; i < 2000; i++) {
		char text[256];
		size_t length = (size_t)sprintf(text, "%s%u.", i % 2 ? "-" : "", 1 + next_random(&seed) % 999);
		size_t digits = 1 + next_random(&seed) % 120;
		double expected;
		while (digits-- > 0)
			text[length++] = (char)('0' + next_random(&seed) % 10);
		length += (size_t)sprintf(text + length, "e%d", (int)(next_random(&seed) % 660) - 345);
		expected = strtod(text, NULL);
		if (isfinite(expected))
			expect_number(text, expected);
		else
			ck_assert_int_eq(check(text, length, &error), -EINVAL);
	}
}
END_TEST

/* ---------------------------------------------------------------- the tree */

START_TEST(builds_the_tree_that_the_text_describes)
{
	cJSON *doc = parse("{\"name\":\"\\ud83d\\udc26 caf\\u00e9\",\"list\":[1,2.5,true,false,null],\"\":{}}");
	cJSON *list = cJSON_GetObjectItemCaseSensitive(doc, "list");

	ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(doc, "name")->valuestring, "\xf0\x9f\x90\xa6 caf\xc3\xa9");
	ck_assert_int_eq(cJSON_GetArraySize(list), 5);
	ck_assert(cJSON_GetArrayItem(list, 1)->valuedouble == 2.5);
	ck_assert(cJSON_IsTrue(cJSON_GetArrayItem(list, 2)));
	ck_assert(cJSON_IsFalse(cJSON_GetArrayItem(list, 3)));
	ck_assert(cJSON_IsNull(cJSON_GetArrayItem(list, 4)));
	ck_assert(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(doc, "")));
	cJSON_Delete(doc);
}
END_TEST

START_TEST(does_not_change_the_text)
{
	static const char text[] = "[1" ZEROS_100 ",2]";
	char copy[sizeof text];

	memcpy(copy, text, sizeof text);
	cJSON_Delete(parse(text));
	ck_assert_mem_eq(copy, guarded_end - strlen(text), strlen(text));
}
END_TEST

/* ---------------------------------------------------------------- numbers that a double cannot hold */

static void assert_printed(const char *text, const char *wanted)
{
	cJSON *doc = parse(text), *copy = cJSON_Duplicate(doc, true);
	struct pipit_printer printed = pipit_printer_in(NULL, 0);

	cJSON_Delete(doc);
	ck_assert_int_eq(pipit_printer_print(&printed, copy), 0);
	if (printed.length != strlen(wanted) || memcmp(printed.bytes, wanted, printed.length) != 0)
		ck_abort_msg("%s became %.*s", text, (int)printed.length, printed.bytes);
	pipit_printer_clear(&printed);
	cJSON_Delete(copy);
}

static const struct {
	const char *text, *printed;
} exact[] = {
	{ "9007199254740993", "9007199254740993" },
	{ "-9007199254740993", "-9007199254740993" },
	{ "18446744073709551615", "18446744073709551615" },
	{ "0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827" },
	{ "1e-400", "1e-400" },
	{ "4.9406564584124654e-324", "4.9406564584124654e-324" },
	{ "0." ZEROS_100 ZEROS_100 ZEROS_100 ZEROS_100 "1", "0." ZEROS_100 ZEROS_100 ZEROS_100 ZEROS_100 "1" },
	{ "1" ZEROS_100 "1e-101", "1" ZEROS_100 "1e-101" },
	{ "[1,\"2\",123456789012345678,{\"3\":[4,1234567890123456789]}]",
	    "[1,\"2\",123456789012345678,{\"3\":[4,1234567890123456789]}]" },
	{ "[\"9\\\"9\",-0.12345678901234567,\"\\\\\",1]", "[\"9\\\"9\",-0.12345678901234567,\"\\\\\",1]" },
	/* A number that a double holds is printed from the double. */
	{ "1.0", "1" },
	{ "100000000000000000000", "1e+20" },
	{ "0.1", "0.1" },
	{ "123456789012345", "123456789012345" },
	{ "1.50e3", "1500" },
};

START_TEST(numbers_keep_all_their_digits)
{
	assert_printed(exact[_i].text, exact[_i].printed);
}
END_TEST

START_TEST(a_number_with_a_new_value_loses_its_digits)
{
	cJSON *doc = parse("9007199254740993");
	ck_assert_str_eq(pipit_json_number_text(doc), "9007199254740993");
	cJSON_SetNumberValue(doc, 7);
	ck_assert_ptr_null(pipit_json_number_text(doc));
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- duplicate names */

static const struct {
	const char *text;
	size_t byte;
	const char *pointer;
} twice[] = {
	{ "{\"a\":1,\"a\":2}", 7, "/a" },
	{ "{\"a\":1,\"b\":2,\"\\u0061\":3}", 13, "/a" },
	{ "[0,{\"x\":{\"a\":{},\"b\":[],\"a\":0}}]", 23, "/1/x/a" },
	{ "{\"\":1,\"\":2}", 6, "/" },
	{ "{\"a/b~\":1, \"a/b~\" :2}", 11, "/a~1b~0" },
	{ "{\"x\":{\"x\":{\"x\":1,\"y\":\"x:\",\"x\":1}}}", 26, "/x/x/x" },
	{ "{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1,\"5\":1,\"2\":1}", 55, "/5" },
};

START_TEST(refuses_duplicate_names)
{
	const char *text = twice[_i].text;
	struct pipit_json_error error;
	cJSON *doc = NULL;

	ck_assert_int_eq(
	    pipit_json_parse(guarded_copy(text, strlen(text)), strlen(text), &usual, &doc, &error), -EINVAL);
	ck_assert_str_eq(error.message, "a name occurs twice in an object: expected each name once");
	ck_assert_uint_eq(error.byte, twice[_i].byte);
	ck_assert_uint_eq(error.column, twice[_i].byte + 1);
	ck_assert_str_eq(error.pointer, twice[_i].pointer);
	ck_assert_ptr_null(doc);
}
END_TEST

START_TEST(accepts_one_name_in_several_objects)
{
	cJSON_Delete(parse("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}],\"A\":1}"));
}
END_TEST

START_TEST(finds_a_duplicate_among_very_many_names)
{
	enum { MANY = 50000 };
	char *text = malloc(MANY * 16 + 64), *at = text;
	struct pipit_json_error error;
	cJSON *doc = NULL;

	*at++ = '{';
	for (int i = 0; i < MANY; i++)
		at += sprintf(at, "\"n%d\":0,", i);
	sprintf(at, "\"n7\":1}");
	ck_assert_int_eq(pipit_json_parse(text, strlen(text), &usual, &doc, &error), -EINVAL);
	ck_assert_uint_eq(error.byte, (size_t)(at - text));
	sprintf(at, "\"m7\":1}");
	ck_assert_int_eq(pipit_json_parse(text, strlen(text), &usual, &doc, &error), 0);
	cJSON_Delete(doc);
	free(text);
}
END_TEST

START_TEST(counts_all_values)
{
	static const char text[] = "{\"a\":{\"b\":1},\"c\":[[],\"x\",{\"d\":1}]}";
	struct pipit_json_limits limits = { DEPTH, 8 };
	struct pipit_json_error error;

	ck_assert_int_eq(pipit_json_check(text, strlen(text), &limits, &error), 0);
	limits.max_values = 9;
	ck_assert_int_eq(pipit_json_check(text, strlen(text), &limits, &error), 0);
	limits.max_values = 7;
	ck_assert_int_eq(pipit_json_check(text, strlen(text), &limits, &error), -EINVAL);
	ck_assert_str_eq(error.message, "too many values: expected fewer in the whole document");
	ck_assert_uint_eq(error.byte, (size_t)(strchr(text, 'd') + 3 - text));
	ck_assert_str_eq(error.pointer, "/c/2/d");
}
END_TEST

START_TEST(a_value_is_counted_before_it_is_parsed)
{
	const struct pipit_json_limits limits = { DEPTH, 3 };
	struct pipit_json_error error;

	/* the array and two elements are within the limit */
	ck_assert_int_eq(pipit_json_check("[1,1]", 5, &limits, &error), 0);
	ck_assert_int_eq(pipit_json_check("[1,1,1]", 7, &limits, &error), -EINVAL);
	ck_assert_uint_eq(error.byte, 5);
	ck_assert_int_eq(pipit_json_check("[[],[[[[", 8, &limits, &error), -EINVAL);
	ck_assert_uint_eq(error.byte, 5);
}
END_TEST

/* ---------------------------------------------------------------- pointers to errors */

static const struct {
	const char *text, *pointer;
} pointed[] = {
	{ "", "" },
	{ "x", "" },
	{ "{", "" },
	{ "{1", "" },
	{ "{\"a\" 1", "/a" },
	{ "{\"a\":", "/a" },
	{ "{\"a\":x", "/a" },
	{ "{\"a\":1 x", "/a" },
	{ "{\"a\":1,x", "" },
	{ "{\"a\":{\"b\":[1,2,{\"c\":tru", "/a/b/2/c" },
	{ "{\"a\":[1,2],\"b\":[x", "/b/0" },
	{ "[[],[],[1,", "/2/1" },
	{ "[\"a,b\",\"\\\",[\",x", "/2" },
	{ "{\"a/b\":{\"m~n\":{\"\\u00e4\\n\":[}", "/a~1b/m~0n/ä\n/0" },
	{ "{\"\":{\"\":x", "//" },
	{ "1 2", "" },
};

START_TEST(points_to_the_value_where_an_error_is)
{
	struct pipit_json_error error;
	ck_assert_int_eq(check(pointed[_i].text, strlen(pointed[_i].text), &error), -EINVAL);
	ck_assert_str_eq(error.pointer, pointed[_i].pointer);
}
END_TEST

START_TEST(cuts_a_long_pointer_between_two_names)
{
	char text[2000] = "", *at = text;
	struct pipit_json_error error;

	for (int i = 0; i < 20; i++)
		at += sprintf(at, "{\"a member with a name of 40 bytes, no. %02d\":", i);
	ck_assert_int_eq(check(text, strlen(text), &error), -EINVAL);
	ck_assert_str_eq(error.pointer,
	    "/a member with a name of 40 bytes, no. 00/a member with a name of 40 bytes, no. 01"
	    "/a member with a name of 40 bytes, no. 02/a member with a name of 40 bytes, no. 03"
	    "/a member with a name of 40 bytes, no. 04/a member with a name of 40 bytes, no. 05/…");
}
END_TEST

/* ---------------------------------------------------------------- equality */

static const struct {
	const char *one, *other;
	bool is_equal;
} compared[] = {
	{ "1", "1.0", true },
	{ "100", "1e2", true },
	{ "1", "\"1\"", false },
	{ "0", "-0", true },
	{ "0", "1e-400", false },
	{ "-1", "1", false },
	{ "9007199254740993", "9007199254740993", true },
	{ "9007199254740993", "9007199254740992", false },
	{ "9007199254740993", "9007199254740993.000", true },
	{ "-9007199254740993", "9007199254740993", false },
	{ "9007199254740993", "9.007199254740993e15", true },
	{ "0.1", "0.1000000000000000055511151231257827", false },
	{ "0.1", "0.10000000000000000000000000000000000", true },
	{ "12345678901234567890", "12345678901234567891", false },
	{ "[1,2]", "[1,2]", true },
	{ "[1,2]", "[2,1]", false },
	{ "[1,2]", "[1,2,3]", false },
	{ "[]", "{}", false },
	{ "{\"a\":1,\"b\":{\"c\":[null,true]}}", "{\"b\":{\"c\":[null,true]},\"a\":1}", true },
	{ "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false },
	{ "{\"a\":1}", "{\"A\":1}", false },
	{ "{\"a\":1}", "{\"a\":1,\"b\":1}", false },
	{ "true", "false", false },
	{ "null", "null", true },
	{ "\"a\"", "\"\\u0061\"", true },
	{ "\"a\"", "\"A\"", false },
};

START_TEST(compares_documents_by_value)
{
	cJSON *one = parse(compared[_i].one), *other = parse(compared[_i].other);
	ck_assert_int_eq(pipit_json_equals(one, other), compared[_i].is_equal);
	ck_assert_int_eq(pipit_json_equals(other, one), compared[_i].is_equal);
	cJSON_Delete(one);
	cJSON_Delete(other);
}
END_TEST

static int allocations_left;

static void *allocate_sometimes(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

START_TEST(reports_that_memory_is_short)
{
	static const char text[] = "{\"a\":[1,\"b\",0." ZEROS_100 "1,9007199254740993],\"b\":{}}";
	cJSON_Hooks hooks = { allocate_sometimes, free };
	struct pipit_json_error error;
	cJSON *doc = NULL;
	int count = 0;
	int result;

	cJSON_InitHooks(&hooks);
	do {
		allocations_left = count++;
		result = pipit_json_parse(text, strlen(text), &usual, &doc, &error);
		if (result != 0)
			ck_assert_ptr_null(doc);
		ck_assert_int_le(count, 100);
	} while (result == -ENOMEM);
	ck_assert_int_eq(result, 0);
	ck_assert_int_gt(count, 5);
	cJSON_Delete(doc);
}
END_TEST

/* ---------------------------------------------------------------- random mutations */

static size_t mutate(char *text, size_t length, uint32_t *seed)
{
	static const char favourites[] = "{}[],:\"\\/0123456789.-+eEtrufalsn \t\r\n\0\x80\xbf\xc3\xed\xf0\xff";
	size_t at = next_random(seed) % length;
	char byte = favourites[next_random(seed) % (sizeof favourites - 1)];

	switch (next_random(seed) % 4) {
	case 0:
		text[at] = byte;
		return length;
	case 1:
		memmove(text + at + 1, text + at, length - at);
		text[at] = byte;
		return length + 1;
	case 2:
		memmove(text + at, text + at + 1, length - at - 1);
		return length - 1;
	default:
		text[at] = (char)(text[at] ^ 1 << next_random(seed) % 8);
		return length;
	}
}

START_TEST(builds_each_mutated_text_that_it_accepts)
{
	const char *document = documents[_i];
	uint32_t seed = 0xdecafbad + (uint32_t)_i;
	int valid_count = 0;

	for (int i = 0; i < 10000; i++) {
		char text[256];
		struct pipit_json_error error;
		cJSON *doc = NULL;
		size_t length = strlen(document);
		memcpy(text, document, length);
		for (uint32_t changes = 1 + next_random(&seed) % 4; changes > 0; changes--)
			length = mutate(text, length, &seed);
		if (check(text, length, &error) == 0) {
			if (pipit_json_parse(guarded_copy(text, length), length, &usual, &doc, &error) != 0)
				ck_assert_ptr_nonnull(strstr(error.message, "twice"));
			cJSON_Delete(doc);
			valid_count++;
		} else {
			ck_assert_uint_le(error.byte, length);
			ck_assert_uint_le(error.column, error.byte + 1);
			ck_assert_uint_le(error.line, error.byte + 1);
			ck_assert_ptr_nonnull(error.message);
		}
	}
	ck_assert_int_gt(valid_count, 100);
}
END_TEST

static const struct {
	const char *text;
	size_t length;
	bool is_utf8;
} utf8[] = {
	{ TEXT(""), true },
	{ TEXT("a\0\x7f"), true },
	{ TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6."), true },
	{ TEXT("\x80"), false },
	{ TEXT("a\xc3"), false },
	{ TEXT("\xc3 "), false },
	{ TEXT("\xed\xa0\x80"), false },
};

START_TEST(tells_utf_8_from_other_bytes)
{
	ck_assert_int_eq(
	    pipit_is_utf8(guarded_copy(utf8[_i].text, utf8[_i].length), utf8[_i].length), utf8[_i].is_utf8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("json");

	tcase_add_checked_fixture(tests, guarded_set_up, tear_down);
	tcase_add_loop_test(tests, accepts_what_rfc_8259_allows, 0, COUNT(valid));
	tcase_add_loop_test(tests, says_what_is_wrong_and_where, 0, COUNT(invalid));
	tcase_add_test(tests, reports_an_absent_text_as_empty);
	tcase_add_loop_test(tests, reports_the_end_of_a_text_that_is_cut_anywhere, 0, COUNT(documents));
	tcase_add_loop_test(tests, accepts_nesting_up_to_the_limit_only, 0, COUNT(depths));
	tcase_add_test(tests, counts_depth_and_not_arrays_and_objects);
	tcase_add_test(tests, knows_at_each_level_whether_an_array_or_an_object_is_open);
	tcase_add_loop_test(tests, reads_every_number_as_its_double_or_refuses_it, 0, COUNT(numbers));
	tcase_add_test(tests, agrees_with_strtod_on_random_numbers);
	tcase_add_test(tests, builds_the_tree_that_the_text_describes);
	tcase_add_test(tests, does_not_change_the_text);
	tcase_add_loop_test(tests, numbers_keep_all_their_digits, 0, COUNT(exact));
	tcase_add_test(tests, a_number_with_a_new_value_loses_its_digits);
	tcase_add_loop_test(tests, refuses_duplicate_names, 0, COUNT(twice));
	tcase_add_test(tests, accepts_one_name_in_several_objects);
	tcase_add_test(tests, finds_a_duplicate_among_very_many_names);
	tcase_add_test(tests, counts_all_values);
	tcase_add_test(tests, a_value_is_counted_before_it_is_parsed);
	tcase_add_loop_test(tests, points_to_the_value_where_an_error_is, 0, COUNT(pointed));
	tcase_add_test(tests, cuts_a_long_pointer_between_two_names);
	tcase_add_loop_test(tests, compares_documents_by_value, 0, COUNT(compared));
	tcase_add_test(tests, reports_that_memory_is_short);
	tcase_add_loop_test(tests, builds_each_mutated_text_that_it_accepts, 0, COUNT(documents));
	tcase_add_loop_test(tests, tells_utf_8_from_other_bytes, 0, COUNT(utf8));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
