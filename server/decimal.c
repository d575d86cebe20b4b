/* SPDX-License-Identifier: MIT */
/* See decimal.h. Digits are compared as text: neither strtod() nor the locale has a say. */
#include "decimal.h"

/*
 * 2^1024 - 2^970, half way between the greatest double and what would be the next: from here on strtod() gives
 * infinity. The scanner compares digits instead of asking strtod(), which wants a NUL and the decimal point of the
 * host's locale.
 */
static const char infinity_digits[] =
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070"
    "9633028641669288791094655554785194040263065748867150582068190890200070838367627385484581771153176447"
    "5730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904"
    "174497792";
#define INFINITY_EXPONENT 308

/* The digits never end: zeros follow the last. */
char pipit_decimal_take_digit(struct pipit_decimal *decimal)
{
	if (decimal->digit < decimal->end && *decimal->digit == '.')
		decimal->digit++;
	return decimal->digit < decimal->end ? *decimal->digit++ : '0';
}

/* Cut at 10^15: far beyond every double, whatever number of digits a text in memory puts in front, and no overflow. */
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
		/* The exponent is the first significant digit's: places behind it count up, zeros in front down. */
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
		char digit = pipit_decimal_take_digit(&decimal);
		if (digit != *limit)
			return digit > *limit;
	}
	return true;
}

/* Every number of so many digits, but for the least, is read and printed by way of a double as it was. */
#define DIGITS_OF_DOUBLE 15
#define EXPONENT_OF_NORMAL (-307)

bool pipit_decimal_fits_double(struct pipit_decimal decimal)
{
	if (pipit_decimal_is_zero(&decimal))
		return true;
	if (decimal.exponent < EXPONENT_OF_NORMAL)
		return false;
	for (int i = 0; i < DIGITS_OF_DOUBLE; i++)
		pipit_decimal_take_digit(&decimal);
	while (decimal.digit < decimal.end) {
		if (pipit_decimal_take_digit(&decimal) != '0')
			return false;
	}
	return true;
}

/* -1, 0 or 1, as with strcmp(). */
int pipit_decimal_compare_sizes(struct pipit_decimal one, struct pipit_decimal other)
{
	if (pipit_decimal_is_zero(&one) || pipit_decimal_is_zero(&other))
		return pipit_decimal_is_zero(&other) - pipit_decimal_is_zero(&one);
	if (one.exponent != other.exponent)
		return one.exponent < other.exponent ? -1 : 1;
	while (one.digit < one.end || other.digit < other.end) {
		char digit = pipit_decimal_take_digit(&one), other_digit = pipit_decimal_take_digit(&other);
		if (digit != other_digit)
			return digit < other_digit ? -1 : 1;
	}
	return 0;
}
