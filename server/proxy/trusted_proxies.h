/* SPDX-License-Identifier: MIT */
/* The proxies whose word about a client counts, and the client that they name. Constant; any thread. */
#ifndef PIPIT_TRUSTED_PROXIES_H
#define PIPIT_TRUSTED_PROXIES_H

#include "proxy/client_address.h"
#include "proxy/forwarded.h"

struct pipit_config;
struct pipit_guard_head;
struct pipit_trusted_proxies;

/* *proxies: NULL without trusted_proxy. 0; -EINVAL after a line that describes the error; -ENOMEM. */
int pipit_trusted_proxies_new(const struct pipit_config *config, struct pipit_trusted_proxies **proxies);
/* NULL is harmless. */
void pipit_trusted_proxies_free(struct pipit_trusted_proxies *proxies);

/* False for NULL proxies. */
bool pipit_trusted_proxies_contain(
    const struct pipit_trusted_proxies *proxies, const union pipit_client_address *address);

/*
 * The client of a request: the last address in trusted_header that is no trusted proxy, from right to left. An element without an address
 * ends the search: what stands before it may be made up, and the address behind it counts, which is that of a proxy.
 *
 * client: the address of the connection; receives the client's.
 * scheme: what the proxies say of it, or NO_SCHEME.
 */
void pipit_trusted_proxies_find_client(const struct pipit_trusted_proxies *proxies, const struct pipit_guard_head *head,
    union pipit_client_address *client, enum pipit_forwarded_scheme *scheme);

#endif
