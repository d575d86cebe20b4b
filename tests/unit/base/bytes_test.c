/* SPDX-License-Identifier: MIT */
/* Digits: hexadecimal ones read and written. */
#include "base/bytes.h"

#include "suite.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

START_TEST(knows_digits_and_letters_as_the_c_library_does)
{
	ck_assert_int_eq(pipit_bytes_is_digit(_i), isdigit(_i) != 0);
	ck_assert_int_eq(pipit_bytes_is_letter(_i), isalpha(_i) != 0);
	ck_assert_int_eq(pipit_bytes_hex_value(_i) >= 0, isxdigit(_i) != 0);
	if (isxdigit(_i))
		ck_assert_int_eq(pipit_bytes_hex_value(_i), strtol((char[]){ (char)_i, '\0' }, NULL, 16));
}
END_TEST

static const uint64_t numbers[] = { 0, 1, 9, 10, 15, 16, 0xff, 0x100, 0xfffffff, 0x10000000, 0xffffffff, 0x100000000,
	0x123456789abcdef, 0x7fffffffffffffff, UINT64_MAX };

START_TEST(prints_as_many_hexadecimal_digits_as_a_number_has)
{
	char expected[17], text[17];
	snprintf(expected, sizeof expected, "%" PRIx64, numbers[_i]);
	ck_assert_uint_eq(pipit_bytes_hex_digits(numbers[_i]), strlen(expected));
	*pipit_bytes_put_hex(text, numbers[_i], strlen(expected)) = '\0';
	ck_assert_str_eq(text, expected);
	snprintf(expected, sizeof expected, "%016" PRIx64, numbers[_i]);
	*pipit_bytes_put_hex(text, numbers[_i], 16) = '\0';
	ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(prints_a_byte_in_two_capital_digits)
{
	char expected[3], text[3];
	snprintf(expected, sizeof expected, "%02X", (unsigned)_i);
	*pipit_bytes_put_hex_byte(text, (unsigned char)_i) = '\0';
	ck_assert_str_eq(text, expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bytes");
	TCase *tests = tcase_create("bytes");
	tcase_add_loop_test(tests, knows_digits_and_letters_as_the_c_library_does, -1, 256);
	tcase_add_loop_test(
	    tests, prints_as_many_hexadecimal_digits_as_a_number_has, 0, sizeof numbers / sizeof *numbers);
	tcase_add_loop_test(tests, prints_a_byte_in_two_capital_digits, 0, 256);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
