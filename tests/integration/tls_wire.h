/* SPDX-License-Identifier: MIT */
/*
 * TLS under a test that knows none: with WIRE_TLS in the environment, wire_connect() gives one end of a socket pair, and a thread carries
 * its bytes over TLS to the daemon, which daemon_start() starts with an https address.
 */
#ifndef PIPIT_TESTS_TLS_WIRE_H
#define PIPIT_TESTS_TLS_WIRE_H

#include <stdbool.h>

/* WIRE_TLS is set. */
bool tls_wire_is_on(void);

/* Takes a connected socket; the handshake is the thread's. The first bytes go one by one, each in a record of its own. */
int tls_wire_wrap(int fd);

/* The files of a certificate for localhost, made by the daemon at that path. Static. */
struct tls_wire_files {
	char directory[64], certificate[96], key[96];
};
const struct tls_wire_files *tls_wire_files(const char *daemon);

#endif
