/* SPDX-License-Identifier: MIT */
/* JSON numbers in decimal: conversion to double, whether a double can hold one, and comparison. Pure functions, exact. */
#ifndef PIPIT_DECIMAL_H
#define PIPIT_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

/* The digits of a number, and a power of ten, without the sign. */
struct pipit_decimal {
	const char *digit;  /* the first that is not 0; a point may follow; equal to `end`: the number is zero */
	const char *end;    /* of the digits */
	long long exponent; /* value = d.ddd… * 10^exponent */
};

/* text: a valid JSON number; the result points into it. */
struct pipit_decimal pipit_decimal_read(const char *text, size_t length);

/* Take the next digit. After the last digit, 0 for ever. */
char pipit_decimal_take_digit(struct pipit_decimal *decimal);

bool pipit_decimal_is_zero(const struct pipit_decimal *decimal);

/* Whether strtod() would return infinity. */
bool pipit_decimal_is_beyond_double(struct pipit_decimal decimal);

/* The nearest double, without the sign. decimal: not beyond double. */
double pipit_decimal_value(struct pipit_decimal decimal);

/* Whether the number survives conversion to a double and printing with 15 digits. */
bool pipit_decimal_fits_double(struct pipit_decimal decimal);

/* Compare without signs: -1, 0 or 1. */
int pipit_decimal_compare_sizes(struct pipit_decimal one, struct pipit_decimal other);

#endif
