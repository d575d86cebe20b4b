/* SPDX-License-Identifier: MIT */
/* Numbers of JSON as they are written: the double of one, whether it can hold it, and which of two is the larger. Pure, and exact. */
#ifndef PIPIT_DECIMAL_H
#define PIPIT_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

/* A number that follows the grammar, as digits and a power of ten. */
struct pipit_decimal {
	const char
	    *digit;      /* from the first that is not 0 on, with the point among them; `end` when the number is zero */
	const char *end; /* of the digits: where the exponent begins, or the number ends */
	long long exponent; /* value = d.ddd… * 10^exponent */
};

/* Of a text that follows the grammar, into which the result points. */
struct pipit_decimal pipit_decimal_read(const char *text, size_t length);

/* The next digit, from the first that is not 0 on; they never end: zeros follow the last. */
char pipit_decimal_take_digit(struct pipit_decimal *decimal);

bool pipit_decimal_is_zero(const struct pipit_decimal *decimal);

/* strtod() would give infinity. */
bool pipit_decimal_is_beyond_double(struct pipit_decimal decimal);

/* The double that is nearest, to the last bit; without a sign. Of a number that is not beyond double. */
double pipit_decimal_value(struct pipit_decimal decimal);

/* By way of a double, printed with up to 15 digits, it is the same number again. */
bool pipit_decimal_fits_double(struct pipit_decimal decimal);

/* Without their signs: -1, 0 or 1, as with strcmp(). */
int pipit_decimal_compare_sizes(struct pipit_decimal one, struct pipit_decimal other);

#endif
