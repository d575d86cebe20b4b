/* SPDX-License-Identifier: MIT */
/*
 * evhttp, kept away from the socket.
 *
 * evhttp is handed a filter bufferevent over a socket bufferevent whose reading and writing stay disabled: nothing is
 * registered with epoll, and evhttp's own enable and disable calls change flags only. It is shown whole canonical messages
 * in the filter's input buffer; a classic callback's reply is taken from the output buffer. Public functions of libevent
 * 2.1 only.
 */
#ifndef PIPIT_ENGINE_H
#define PIPIT_ENGINE_H

#include "connection.h"

/* Make evhttp for a transport and put a spare connection in stock. 0 or -ENOMEM. */
int pipit_engine_open(struct pipit_transport *transport);

/* Free evhttp and the spare. Connections must have been closed. */
void pipit_engine_close(struct pipit_transport *transport);

/* True when a spare is in stock; tries to make one. */
bool pipit_engine_has_spare(struct pipit_transport *transport);

/* True when evhttp has let the connection go: its memory lives only until the end of this loop turn. */
bool pipit_engine_is_gone(const struct pipit_connection *connection);

/*
 * Show evhttp the current request; its callback (the hook `handle`) runs before this returns.
 * False when memory was short or evhttp refused the message; no handler has run then.
 */
bool pipit_engine_show(struct pipit_connection *connection, struct pipit_slice body);

/* A native request has been answered: let evhttp finish it, without a byte. */
void pipit_engine_end(struct pipit_connection *connection);

/* Move a classic reply towards the socket. True when the reply is complete. */
bool pipit_engine_pump(struct pipit_connection *connection);

/* Bytes of a classic reply that the socket did not take. */
size_t pipit_engine_waiting(const struct pipit_connection *connection);

/* Give the connection back to evhttp, which frees it. */
void pipit_engine_drop(struct pipit_connection *connection);

#endif
