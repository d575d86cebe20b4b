/* SPDX-License-Identifier: MIT */
/* Names of enum pipit_method. */
#ifndef PIPIT_METHODS_H
#define PIPIT_METHODS_H

#include "base/slice.h"

#define PIPIT_METHODS_COUNT 7
#define PIPIT_METHODS_LIST_SIZE 64

struct pipit_methods_entry {
	unsigned bit;
	const char *name;
};

/* In the order of Allow. */
extern const struct pipit_methods_entry pipit_methods_table[PIPIT_METHODS_COUNT];

const char *pipit_methods_name(unsigned bit);

/* RFC 9110 §9.1: case-sensitive. 0: unknown. */
unsigned pipit_methods_find(struct pipit_slice name);

void pipit_methods_list(unsigned bits, char list[PIPIT_METHODS_LIST_SIZE]);

#endif
