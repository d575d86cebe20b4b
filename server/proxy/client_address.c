/* SPDX-License-Identifier: MIT */
#include "proxy/client_address.h"

#include <arpa/inet.h>
#include <string.h>

/* Every access line needs it, and inet_ntop() calls printf(). */
static const char *put_v4(char *text, const struct in_addr *address)
{
	const unsigned char *octet = (const unsigned char *)&address->s_addr;
	char *at = text;

	for (int i = 0; i < 4; i++) {
		if (octet[i] >= 100)
			*at++ = (char)('0' + octet[i] / 100);
		if (octet[i] >= 10)
			*at++ = (char)('0' + octet[i] / 10 % 10);
		*at++ = (char)('0' + octet[i] % 10);
		*at++ = i < 3 ? '.' : '\0';
	}
	return text;
}

const char *pipit_client_address_print(const union pipit_client_address *address, char *text, size_t size)
{
	if (address->any.sa_family == AF_INET && size >= INET_ADDRSTRLEN)
		return put_v4(text, &address->v4.sin_addr);
	/* a client of [::]:PORT by IPv4 */
	if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr) &&
	    size >= INET_ADDRSTRLEN)
		return put_v4(text, (const struct in_addr *)&address->v6.sin6_addr.s6_addr[12]);
	if (address->any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &address->v6.sin6_addr, text, (socklen_t)size))
		return text;
	/* as nginx */
	if (address->any.sa_family == AF_UNIX && size >= sizeof "unix:")
		return strcpy(text, "unix:");
	return "-";
}
