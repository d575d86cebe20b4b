/* SPDX-License-Identifier: MIT */
/*
 * Classic evhttp callbacks behind our transport. A server that has any gives each client a connection of evhttp, because a
 * callback may ask it for the client's address, or hold its request for long: evhttp accepts, and holds a bufferevent that
 * sleeps: reading and writing its socket stay disabled. A callback is shown everything; its reply is taken from the output buffer.
 */
#ifndef PIPIT_CLASSIC_H
#define PIPIT_CLASSIC_H

#include "connection.h"

/* Make evhttp for a transport. 0 or -ENOMEM. */
int pipit_classic_open(struct pipit_transport *transport);

/* Free evhttp. Connections must have been closed. */
void pipit_classic_close(struct pipit_transport *transport);

/* Give a new connection the bufferevent that evhttp is going to hold. False when memory is short. */
bool pipit_classic_attach(struct pipit_connection *connection);

/*
 * Show evhttp the current request; its callback (the hook `handle`) runs before this returns.
 * False when memory was short or evhttp refused the message; no handler has run then.
 */
bool pipit_classic_show(struct pipit_connection *connection, struct pipit_slice body);

/* Move the reply towards the socket. True when it is complete. */
bool pipit_classic_pump(struct pipit_connection *connection);

/* Bytes of the reply that the socket did not take. */
size_t pipit_classic_waiting(const struct pipit_connection *connection);

/* Give the connection back to evhttp, which frees it. */
void pipit_classic_drop(struct pipit_connection *connection);

#endif
