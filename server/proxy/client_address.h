/* SPDX-License-Identifier: MIT */
/* The address of a client or a proxy. */
#ifndef PIPIT_CLIENT_ADDRESS_H
#define PIPIT_CLIENT_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>

/* By any.sa_family. Of AF_UNIX only the family counts. */
union pipit_client_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Numeric, in `text` (INET6_ADDRSTRLEN bytes), an IPv4-mapped one as IPv4; "unix:", or "-" for others. */
const char *pipit_client_address_print(const union pipit_client_address *address, char *text, size_t size);

#endif
