/* SPDX-License-Identifier: MIT */
/*
 * The header that a proxy sends before the bytes of its client: the PROXY protocol, versions 1 and 2
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Pure: the caller reads the bytes, and judges who may send them.
 */
#ifndef PIPIT_PROXY_PROTOCOL_H
#define PIPIT_PROXY_PROTOCOL_H

#include "proxy/client_address.h"

#include <stdbool.h>
#include <stddef.h>

/* Of version 1, with CRLF. */
#define PIPIT_PROXY_PROTOCOL_LINE_MAX 107
/* Of version 2, whose longest addresses need 232 bytes; the rest is for TLVs. */
#define PIPIT_PROXY_PROTOCOL_MAX 4096

/* What a proxy sends before a request of its own. */
#define PIPIT_PROXY_PROTOCOL_LOCAL "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
#define PIPIT_PROXY_PROTOCOL_LOCAL_BYTES 16

enum pipit_proxy_protocol_result {
	PIPIT_PROXY_PROTOCOL_MORE, /* all bytes belong to a header that is not complete */
	PIPIT_PROXY_PROTOCOL_DONE,
	PIPIT_PROXY_PROTOCOL_INVALID
};

struct pipit_proxy_protocol {
	/* False: the connection's own address is the client's: the proxy's health check (LOCAL), or an unknown protocol. */
	bool has_client;
	union pipit_client_address client; /* zero without one */
	size_t length;                     /* of the header, in bytes */
};

/* *header is set on DONE only. */
enum pipit_proxy_protocol_result pipit_proxy_protocol_parse(
    const char *bytes, size_t length, struct pipit_proxy_protocol *header);

#endif
