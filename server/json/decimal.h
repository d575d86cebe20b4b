/* SPDX-License-Identifier: MIT */
/* Exact decimal numbers of JSON. Pure functions. */
#ifndef PIPIT_DECIMAL_H
#define PIPIT_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

/* Without the sign. */
struct pipit_decimal {
	const char *digit; /* the first that is not 0; a point may follow; `end`: the number is zero */
	const char *end;
	long long exponent; /* value = d.ddd… * 10^exponent */
};

/* text: valid; borrowed by the result. */
struct pipit_decimal pipit_decimal_read(const char *text, size_t length);

/* 17 digits, sign, exponent, NUL, and a point of up to 8 bytes. */
#define PIPIT_DECIMAL_TEXT_MAX 32

/* 15 digits, or 17 when 15 are read back as another double. Returns the length. */
size_t pipit_decimal_print(char text[PIPIT_DECIMAL_TEXT_MAX], double number);

bool pipit_decimal_is_zero(const struct pipit_decimal *decimal);

bool pipit_decimal_is_beyond_double(struct pipit_decimal decimal);

/* The nearest double. decimal: not beyond double. */
double pipit_decimal_value(struct pipit_decimal decimal);

/* The number survives a double printed with 15 digits. */
bool pipit_decimal_fits_double(struct pipit_decimal decimal);

/* Without signs. */
int pipit_decimal_compare_sizes(struct pipit_decimal one, struct pipit_decimal other);

#endif
