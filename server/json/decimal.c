/* SPDX-License-Identifier: MIT */
/* Independent of the locale: digits are compared as text, strtod() gets no decimal point, and that of printf() is replaced. */
#include "json/decimal.h"

#include <float.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2^1024 - 2^970: from here on strtod() returns infinity. */
static const char infinity_digits[] =
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070"
    "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447"
    "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904"
    "174497792";
#define INFINITY_EXPONENT 308

/* 0 after the last digit. */
static char take_digit(struct pipit_decimal *decimal)
{
	if (decimal->digit < decimal->end && *decimal->digit == '.')
		decimal->digit++;
	return decimal->digit < decimal->end ? *decimal->digit++ : '0';
}

/* At most about 10^16: no overflow, and beyond every double. */
static long long read_exponent(const char *text, const char *end)
{
	long long exponent = 0;
	bool is_negative = *text == '-';

	if (*text == '-' || *text == '+')
		text++;
	for (; text < end && exponent < 1000000000000000; text++)
		exponent = exponent * 10 + (*text - '0');
	return is_negative ? -exponent : exponent;
}

struct pipit_decimal pipit_decimal_read(const char *text, size_t length)
{
	struct pipit_decimal decimal = { NULL, NULL, 0 };
	const char *end = text + length;
	const char *at = text + (*text == '-');
	bool is_fraction = false;

	for (; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			is_fraction = true;
			continue;
		}
		/* The exponent is that of the first significant digit. */
		if (decimal.digit != NULL)
			decimal.exponent += !is_fraction;
		else
			decimal.exponent -= is_fraction;
		if (decimal.digit == NULL && *at != '0')
			decimal.digit = at;
	}
	decimal.end = at;
	if (decimal.digit == NULL)
		decimal.digit = at;
	if (at < end)
		decimal.exponent += read_exponent(at + 1, end);
	return decimal;
}

bool pipit_decimal_is_zero(const struct pipit_decimal *decimal)
{
	return decimal->digit == decimal->end;
}

bool pipit_decimal_is_beyond_double(struct pipit_decimal decimal)
{
	if (pipit_decimal_is_zero(&decimal) || decimal.exponent != INFINITY_EXPONENT)
		return !pipit_decimal_is_zero(&decimal) && decimal.exponent > INFINITY_EXPONENT;
	for (const char *limit = infinity_digits; *limit != '\0'; limit++) {
		char digit = take_digit(&decimal);
		if (digit != *limit)
			return digit > *limit;
	}
	return true;
}

/* DBL_DIG: so many digits of a normal number survive a double. */
#define DIGITS_OF_DOUBLE 15
#define EXPONENT_OF_NORMAL (-307)

bool pipit_decimal_fits_double(struct pipit_decimal decimal)
{
	if (pipit_decimal_is_zero(&decimal))
		return true;
	if (decimal.exponent < EXPONENT_OF_NORMAL)
		return false;
	if (decimal.end - decimal.digit <= DIGITS_OF_DOUBLE)
		return true;
	for (int i = 0; i < DIGITS_OF_DOUBLE; i++)
		take_digit(&decimal);
	while (decimal.digit < decimal.end) {
		if (take_digit(&decimal) != '0')
			return false;
	}
	return true;
}

int pipit_decimal_compare_sizes(struct pipit_decimal one, struct pipit_decimal other)
{
	if (pipit_decimal_is_zero(&one) || pipit_decimal_is_zero(&other))
		return pipit_decimal_is_zero(&other) - pipit_decimal_is_zero(&one);
	if (one.exponent != other.exponent)
		return one.exponent < other.exponent ? -1 : 1;
	while (one.digit < one.end || other.digit < other.end) {
		char digit = take_digit(&one), other_digit = take_digit(&other);
		if (digit != other_digit)
			return digit < other_digit ? -1 : 1;
	}
	return 0;
}

/*
 * A point half way between two doubles has at most 767 digits. One more, and whether others follow, decides the
 * rounding.
 */
#define DIGITS_KEPT 768
/* The least double is 5e-324. */
#define EXPONENT_OF_ZERO (-400)

/*
 * A double holds 15 digits and these powers of ten exactly: one operation rounds once (Clinger, "How to Read Floating
 * Point Numbers Accurately"). False for others, and where wider intermediate results would be rounded twice.
 */
static bool read_short(struct pipit_decimal decimal, double *value)
{
	static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
		1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	const long long power_max = sizeof powers / sizeof *powers - 1;
	uint64_t digits = 0;
	long long power = decimal.exponent + 1;

	if (FLT_EVAL_METHOD != 0 || decimal.end - decimal.digit > DIGITS_OF_DOUBLE + 1)
		return false;
	for (; decimal.digit < decimal.end; power--)
		digits = digits * 10 + (uint64_t)(take_digit(&decimal) - '0');
	if (digits >= UINT64_C(1000000000000000) || power < -power_max || power > power_max)
		return false;
	*value = power < 0 ? (double)digits / powers[-power] : (double)digits * powers[power];
	return true;
}

/* A 1 stands for the digits cut off: a number above the half way point stays above it. */
static double read_long(struct pipit_decimal decimal)
{
	char text[DIGITS_KEPT + sizeof "1e-1168"];
	size_t count = 0;

	while (count < DIGITS_KEPT && decimal.digit < decimal.end)
		text[count++] = take_digit(&decimal);
	while (count == DIGITS_KEPT && decimal.digit < decimal.end) {
		if (take_digit(&decimal) != '0')
			text[count++] = '1';
	}
	snprintf(text + count, sizeof text - count, "e%lld", decimal.exponent + 1 - (long long)count);
	return strtod(text, NULL);
}

double pipit_decimal_value(struct pipit_decimal decimal)
{
	double value;
	if (pipit_decimal_is_zero(&decimal) || decimal.exponent < EXPONENT_OF_ZERO)
		return 0;
	return read_short(decimal, &value) ? value : read_long(decimal);
}

size_t pipit_decimal_print(char text[PIPIT_DECIMAL_TEXT_MAX], double number)
{
	const char *point = localeconv()->decimal_point;
	int length = snprintf(text, PIPIT_DECIMAL_TEXT_MAX, "%.15g", number);
	char *found;

	if (strtod(text, NULL) != number)
		length = snprintf(text, PIPIT_DECIMAL_TEXT_MAX, "%.17g", number);
	found = *point == '.' ? NULL : strstr(text, point);
	if (found) {
		size_t skip = strlen(point) - 1;
		*found = '.';
		memmove(found + 1, found + 1 + skip, strlen(found + 1 + skip) + 1);
		length -= (int)skip;
	}
	return (size_t)length;
}
