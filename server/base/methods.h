/* SPDX-License-Identifier: MIT */
/* Names of the methods, and their bits in enum pipit_method. */
#ifndef PIPIT_METHODS_H
#define PIPIT_METHODS_H

#include "base/slice.h"

#define PIPIT_METHODS_COUNT 7
/* all names with ", " and a NUL */
#define PIPIT_METHODS_LIST_SIZE 64

struct pipit_methods_entry {
	unsigned bit; /* of enum pipit_method */
	const char *name;
};

/* In the order of an Allow header. */
extern const struct pipit_methods_entry pipit_methods_table[PIPIT_METHODS_COUNT];

/* "GET" for PIPIT_GET. Static. */
const char *pipit_methods_name(unsigned bit);

/* Case-sensitive (RFC 9110 §9.1). 0: unknown. */
unsigned pipit_methods_find(struct pipit_slice name);

/* "GET, HEAD" for PIPIT_GET | PIPIT_HEAD. */
void pipit_methods_list(unsigned bits, char list[PIPIT_METHODS_LIST_SIZE]);

#endif
