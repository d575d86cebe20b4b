/* SPDX-License-Identifier: MIT */
/* One request over TLS to a server on this machine, for the health check. Its certificate is not verified. */
#ifndef PIPIT_TLS_CLIENT_H
#define PIPIT_TLS_CLIENT_H

#include <stddef.h>

/*
 * fd: connected, with timeouts. reply: receives up to size - 1 bytes of it, and a NUL. 0; -1 with errno of the socket; -2: the handshake
 * failed, or this build has no TLS; -3: the server wants a certificate.
 */
int pipit_tls_client_ask(int fd, const char *request, size_t length, char *reply, size_t size);

#endif
