/* SPDX-License-Identifier: MIT */
#include "base/methods.h"

#include "base/bytes.h"
#include "pipit.h"

#include <assert.h>

const struct pipit_methods_entry pipit_methods_table[PIPIT_METHODS_COUNT] = {
	{ PIPIT_GET, "GET" },
	{ PIPIT_HEAD, "HEAD" },
	{ PIPIT_POST, "POST" },
	{ PIPIT_PUT, "PUT" },
	{ PIPIT_PATCH, "PATCH" },
	{ PIPIT_DELETE, "DELETE" },
	{ PIPIT_OPTIONS, "OPTIONS" },
};
_Static_assert(PIPIT_ANY == (1 << PIPIT_METHODS_COUNT) - 1, "the table has every bit of enum pipit_method");

const char *pipit_methods_name(unsigned bit)
{
	const struct pipit_methods_entry *entry = pipit_methods_table;
	assert(bit && (bit & PIPIT_ANY) == bit && (bit & (bit - 1)) == 0);
	while (entry->bit != bit)
		entry++;
	return entry->name;
}

unsigned pipit_methods_find(struct pipit_slice name)
{
	for (size_t i = 0; i < PIPIT_METHODS_COUNT; i++) {
		if (pipit_slice_equals(name, pipit_methods_table[i].name))
			return pipit_methods_table[i].bit;
	}
	return 0;
}

void pipit_methods_list(unsigned bits, char list[PIPIT_METHODS_LIST_SIZE])
{
	char *at = list;
	for (size_t i = 0; i < PIPIT_METHODS_COUNT; i++) {
		const char *name = pipit_methods_table[i].name;
		if (!(bits & pipit_methods_table[i].bit))
			continue;
		if (at > list)
			at = PIPIT_BYTES_PUT(at, ", ");
		at = pipit_bytes_put(at, name, strlen(name));
	}
	*at = '\0';
}
