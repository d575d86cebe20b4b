/* SPDX-License-Identifier: MIT */
/* Percent-encoding: decoding and encoding. */
#include "base/percent.h"

#include "suite.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Behind the text stands what would make a decoder that reads too far see an escape. */
static struct pipit_slice in_front_of_digits(const char *text, char bytes[64])
{
	size_t length = strlen(text);
	memcpy(bytes, text, length);
	memcpy(bytes + length, "4141", 4);
	return (struct pipit_slice){ bytes, length };
}

static const struct {
	const char *encoded, *decoded;
	size_t length;
} texts[] = {
	{ "", "", 0 },
	{ "plain", "plain", 5 },
	{ "%41", "A", 1 },
	{ "%2f%2F", "//", 2 },
	{ "a%20b", "a b", 3 },
	{ "%00", "\0", 1 },
	{ "%ff%FE", "\xff\xfe", 2 },
	{ "%2541", "%41", 3 },
	{ "%", "%", 1 },
	{ "%4", "%4", 2 },
	{ "%%41", "%A", 2 },
	{ "%4g%g4%-1%+1% 1%0x", "%4g%g4%-1%+1% 1%0x", 18 },
	{ "+", "+", 1 },
};

START_TEST(decodes_escapes_and_leaves_the_rest)
{
	char bytes[64], decoded[64];
	struct pipit_slice encoded = in_front_of_digits(texts[_i].encoded, bytes);
	ck_assert_uint_eq(pipit_percent_decode(encoded, decoded), texts[_i].length);
	ck_assert_mem_eq(decoded, texts[_i].decoded, texts[_i].length);
	/* In place. */
	ck_assert_uint_eq(pipit_percent_decode(encoded, bytes), texts[_i].length);
	ck_assert_mem_eq(bytes, texts[_i].decoded, texts[_i].length);
}
END_TEST

START_TEST(decodes_what_it_encodes)
{
	char byte = (char)_i, encoded[3] = "", decoded[3];
	const char *end = pipit_percent_encode(encoded, encoded + sizeof encoded, (struct pipit_slice){ &byte, 1 }, "");
	ck_assert_uint_eq(pipit_percent_decode((struct pipit_slice){ encoded, (size_t)(end - encoded) }, decoded), 1);
	ck_assert_int_eq(*decoded, byte);
	ck_assert(end - encoded == 1 || (end - encoded == 3 && pipit_percent_is_escape(encoded, end)));
}
END_TEST

static const struct {
	const char *text, *also, *encoded;
} plain[] = {
	{ "aZ09-._~", "", "aZ09-._~" },
	{ "a/b c", "", "a%2Fb%20c" },
	{ "a/b c", "/", "a/b%20c" },
	{ "#?/%[]\"<>\\^`{|}", PIPIT_PERCENT_FRAGMENT, "%23?/%25%5B%5D%22%3C%3E%5C%5E%60%7B%7C%7D" },
	{ "!$&'()*+,;=:@/", PIPIT_PERCENT_SEGMENT, "!$&'()*+,;=:@%2F" },
	{ "\xc3\xa9", "", "%C3%A9" },
};

START_TEST(encodes_all_but_unreserved_characters_and_those_named)
{
	char encoded[64] = "";
	*pipit_percent_encode(encoded, encoded + 63, pipit_slice_of(plain[_i].text), plain[_i].also) = '\0';
	ck_assert_str_eq(encoded, plain[_i].encoded);
}
END_TEST

START_TEST(does_not_cut_an_escape)
{
	char encoded[9] = "########";
	ck_assert_ptr_eq(pipit_percent_encode(encoded, encoded + 8, pipit_slice_of("///"), ""), encoded + 6);
	ck_assert_str_eq(encoded, "%2F%2F##");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("percent");
	TCase *tests = tcase_create("percent");
	tcase_add_loop_test(tests, decodes_escapes_and_leaves_the_rest, 0, COUNT_OF(texts));
	tcase_add_loop_test(tests, decodes_what_it_encodes, 0, 256);
	tcase_add_loop_test(tests, encodes_all_but_unreserved_characters_and_those_named, 0, COUNT_OF(plain));
	tcase_add_test(tests, does_not_cut_an_escape);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
