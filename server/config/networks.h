/* SPDX-License-Identifier: MIT */
/* Networks of IPv4 and IPv6, and UNIX sockets, with a value for each. Pure. */
#ifndef PIPIT_NETWORKS_H
#define PIPIT_NETWORKS_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct pipit_networks;

/* What a list wants, for errors. */
#define PIPIT_NETWORKS_WANTED "addresses or networks, for example 10.0.0.0/8, 2001:db8::/32 or unix:"

/* NULL: out of memory. */
struct pipit_networks *pipit_networks_new(void);
void pipit_networks_free(struct pipit_networks *networks);

/*
 * list: addresses, networks as "10.0.0.0/8", "unix:" for clients of UNIX sockets, or "all" for all of these; separated by commas or blanks.
 * value: not 0. Returns 0; -EINVAL with a line in `error` that says what would be right; -ENOMEM. After an error, only this function, to find
 * more errors, and pipit_networks_free().
 */
int pipit_networks_add(
    struct pipit_networks *networks, struct pipit_slice list, int value, char *error, size_t error_size);

/* One of them has all addresses of IPv4, or all of IPv6. */
bool pipit_networks_have_every_address(const struct pipit_networks *networks);

/*
 * After the last one, and once, before the first search; searches may then run in all threads. Returns 0; -EEXIST with a network in `error`
 * that has two values; -ENOMEM.
 */
int pipit_networks_index(struct pipit_networks *networks, char *error, size_t error_size);

/*
 * The value of the smallest network that contains the address; 0: none does. address: NULL is a UNIX socket. An IPv4-mapped IPv6 address,
 * as clients of IPv4 have on [::], is one of IPv4: "::/0" does not contain it.
 */
int pipit_networks_find(const struct pipit_networks *networks, const struct sockaddr *address);

#endif
