/* SPDX-License-Identifier: MIT */
/* Conversion to double, compared with strtod(). json_test.c tests the rest of decimal.h. */
#include "json/decimal.h"

#include "comma_locale.h"
#include "suite.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double value_of(const char *text)
{
	return pipit_decimal_value(pipit_decimal_read(text, strlen(text)));
}

static void expect_as_strtod(const char *text)
{
	double expected = strtod(text, NULL), value = value_of(text);
	ck_assert_msg(
	    memcmp(&value, &expected, sizeof value) == 0, "%s is %.17g and was read as %.17g", text, expected, value);
}

static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(dice >> 33) % sides;
}

/* The point is at any place after the first digit, or absent. */
static void write_number(char *at, size_t digits, int exponent)
{
	size_t point = roll((unsigned)digits) + 1;
	for (size_t i = 0; i < digits; i++) {
		if (i == point)
			*at++ = '.';
		*at++ = (char)('0' + roll(10));
	}
	if (exponent)
		sprintf(at, "e%d", exponent);
	else
		*at = '\0';
}

/* Around 15 digits and 10^22, the limits of the fast conversion. */
START_TEST(reads_short_numbers_like_strtod)
{
	char text[64];
	dice = 20261130;
	for (int i = 0; i < 300000; i++) {
		write_number(text, 1 + roll(18), roll(2) ? (int)roll(80) - 40 : 0);
		expect_as_strtod(text);
	}
}
END_TEST

START_TEST(reads_long_numbers_like_strtod)
{
	char text[2048];
	dice = 4711;
	for (int i = 0; i < 20000; i++) {
		write_number(text, 16 + roll(60), (int)roll(550) - 330);
		expect_as_strtod(text);
	}
	for (int i = 0; i < 500; i++) {
		write_number(text, 700 + roll(1000), (int)roll(300) - 2000);
		expect_as_strtod(text);
	}
}
END_TEST

/* Exactly half way between two doubles, and beside it by one late digit. */
START_TEST(a_late_digit_decides_the_rounding)
{
	char text[2048];
	dice = 815;
	for (int i = 0; i < 2000; i++) {
		double low = ldexp(1 + roll(1u << 31) / 2147483648.0, (int)roll(1000) - 1000), high = nextafter(low, 1);
		size_t length = (size_t)snprintf(text, sizeof text, "%.*Lf", 1100, ((long double)low + high) / 2);
		expect_as_strtod(text);
		strcpy(text + length, "0000000000000000000000000000000001");
		expect_as_strtod(text);
	}
}
END_TEST

START_TEST(zero_and_tiny_numbers_are_zero)
{
	static const char *const nothing[] = { "0", "0.000", "0e99", "0.0e-99", "1e-401", "1e-999999999999", "2e-324" };
	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
		ck_assert(value_of(nothing[i]) == 0);
	ck_assert(value_of("3e-324") == 4.9e-324);
	ck_assert(value_of("1.7976931348623157e308") == 1.7976931348623157e308);
}
END_TEST

/* In a locale where strtod() expects a comma. */
START_TEST(the_locale_does_not_matter)
{
	if (!set_comma_locale())
		return;
	ck_assert(value_of("3.14159265358979323846") == 3.14159265358979323846);
}
END_TEST

static const struct {
	double number;
	const char *text;
} printed[] = { { 1.5, "1.5" }, { -0.1, "-0.1" }, { 0.1 + 0.2, "0.30000000000000004" }, { 1e300, "1e+300" }, { 3, "3" },
	{ -2.2250738585072014e-308, "-2.2250738585072014e-308" } };

static void expect_printed(void)
{
	for (size_t i = 0; i < sizeof printed / sizeof printed[0]; i++) {
		char text[PIPIT_DECIMAL_TEXT_MAX];
		ck_assert_uint_eq(pipit_decimal_print(text, printed[i].number), strlen(printed[i].text));
		ck_assert_str_eq(text, printed[i].text);
	}
}

START_TEST(prints_numbers_with_a_point)
{
	expect_printed();
	set_comma_locale();
	expect_printed();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decimal");
	TCase *tcase = tcase_create("decimal");

	tcase_add_test(tcase, reads_short_numbers_like_strtod);
	tcase_add_test(tcase, reads_long_numbers_like_strtod);
	tcase_add_test(tcase, a_late_digit_decides_the_rounding);
	tcase_add_test(tcase, zero_and_tiny_numbers_are_zero);
	tcase_add_test(tcase, the_locale_does_not_matter);
	tcase_add_test(tcase, prints_numbers_with_a_point);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
