/* SPDX-License-Identifier: MIT */
/* Which paths and methods need which users: the rules of `protect`. Constant once read. */
#ifndef PIPIT_PROTECTION_H
#define PIPIT_PROTECTION_H

#include "auth/credentials.h"

#define PIPIT_PROTECTION_NONE SIZE_MAX

/* Rules share files. */
struct pipit_protection_file {
	enum pipit_scheme scheme;
	char *name;        /* owned */
	const char *realm; /* the last part of the name */
};

struct pipit_protection_rule {
	char *line;                  /* owned, as configured */
	char *prefix;                /* owned */
	size_t prefix_length;        /* without slashes at its end */
	unsigned methods;            /* bits of enum pipit_method */
	size_t files[PIPIT_SCHEMES]; /* by scheme; an index, or PIPIT_PROTECTION_NONE; all NONE: open */
	char *only;                  /* owned; names with a comma before and after each; NULL: every user */
};

struct pipit_protection {
	struct pipit_protection_rule *rules;
	size_t rule_count;
	struct pipit_protection_file *files;
	size_t file_count;
};

#define PIPIT_PROTECTION_FORM \
	"PREFIX [METHODS] basic FILE, bearer FILE, or open; for example: /api/ basic /etc/pipit/users"

/*
 * lines: "PREFIX [METHOD,...] open" or "PREFIX [METHOD,...] (basic|bearer) FILE [bearer|basic FILE] [only NAME,...]". Fails with -EINVAL or
 * -ENOMEM; `error` gets the reason and what would be right, and *wrong the line.
 */
int pipit_protection_parse(
    const char *lines, struct pipit_protection *protection, struct pipit_slice *wrong, char *error, size_t size);

void pipit_protection_clear(struct pipit_protection *protection);

/*
 * What a request must satisfy. As routes read the path, and as files are found; both rules are often the same. Of those whose prefix and
 * method match, the one with the longest prefix decides. NULL: none, or open.
 */
struct pipit_protection_match {
	const struct pipit_protection_rule *rule, *also;
};

/* path: as sent. scratch: path.length bytes. */
struct pipit_protection_match pipit_protection_find(
    const struct pipit_protection *protection, unsigned method, struct pipit_slice path, char *scratch);

/* A user of that file may do it. */
bool pipit_protection_admits(
    const struct pipit_protection_rule *rule, enum pipit_scheme scheme, size_t file, const char *name);

#endif
