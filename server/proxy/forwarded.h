/* SPDX-License-Identifier: MIT */
/*
 * The lists in which proxies name the clients before them: X-Forwarded-For, X-Forwarded-Proto, and Forwarded (RFC 7239). Each proxy appends:
 * read from right to left, from what the nearest proxy wrote to what a client may have made up. Pure.
 */
#ifndef PIPIT_FORWARDED_H
#define PIPIT_FORWARDED_H

#include "base/slice.h"
#include "proxy/client_address.h"

#include <stdbool.h>

enum pipit_forwarded_scheme { PIPIT_FORWARDED_NO_SCHEME, PIPIT_FORWARDED_HTTP, PIPIT_FORWARDED_HTTPS };

/*
 * The last element of a list, which is cut off *list. Empty elements are skipped. A quoted comma is part of its element; where an
 * element is quoted wrongly, it is the whole rest of the list. False: no element is left.
 */
bool pipit_forwarded_take_last(struct pipit_slice *list, struct pipit_slice *element);

/*
 * An element of X-Forwarded-For: an IPv4 or IPv6 address, which may have brackets, and then a port. An IPv4-mapped one becomes IPv4.
 * False, and *address is unchanged: it is no address ("unknown", a name, a mistake).
 */
bool pipit_forwarded_read_address(struct pipit_slice element, union pipit_client_address *address);

/* An element of X-Forwarded-Proto; NO_SCHEME: it is none of these. */
enum pipit_forwarded_scheme pipit_forwarded_read_scheme(struct pipit_slice element);

/*
 * An element of Forwarded. False, and nothing is changed: it has no "for" with an address ("unknown", an obfuscated identifier), or it
 * breaks RFC 7239. *scheme: its "proto".
 */
bool pipit_forwarded_read_element(
    struct pipit_slice element, union pipit_client_address *address, enum pipit_forwarded_scheme *scheme);

#endif
