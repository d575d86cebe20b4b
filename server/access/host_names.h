/* SPDX-License-Identifier: MIT */
/* The names that a server answers to, and whether a page of another origin sent a request. Pure. */
#ifndef PIPIT_HOST_NAMES_H
#define PIPIT_HOST_NAMES_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct pipit_host_names;

/*
 * list: names, "*.example.com" for all below, separated by commas or blanks; "*": every name; NULL: none. own: the name of this machine;
 * NULL: unknown. 0; -EINVAL with a line in `error`; -ENOMEM.
 */
int pipit_host_names_new(const char *list, const char *own, struct pipit_host_names **names, char *error, size_t size);
void pipit_host_names_free(struct pipit_host_names *names);

/* "*" is in the list. */
bool pipit_host_names_have_every(const struct pipit_host_names *names);

enum pipit_host_name {
	PIPIT_HOST_NAME_LISTED,   /* in the list */
	PIPIT_HOST_NAME_LOOPBACK, /* localhost, or below it (RFC 6761 §6.3), or an IP literal of this machine alone */
	/*
	 * Another IP literal, a name without a dot, or that of this machine: a foreign site cannot point such a name to this server (DNS
	 * rebinding), because it owns none.
	 */
	PIPIT_HOST_NAME_LOCAL,
	PIPIT_HOST_NAME_FOREIGN,
};

/* host: as in the Host header, valid, perhaps with a port. */
enum pipit_host_name pipit_host_names_find(const struct pipit_host_names *names, struct pipit_slice host);

/* origin: as in the Origin header. Whether its authority is that of the request; "null" and what is no origin are not. */
bool pipit_host_names_is_same_origin(struct pipit_slice origin, struct pipit_slice host);

#endif
