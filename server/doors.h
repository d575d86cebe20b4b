/* SPDX-License-Identifier: MIT */
/* Listening sockets of a worker, and a connection's first and last moment. */
#ifndef PIPIT_DOORS_H
#define PIPIT_DOORS_H

#include "connection.h"

/* accept() failed on one of a worker's doors, which is to be closed until pipit_doors_set(): `listener` where evhttp accepts; NULL:
 * it is closed already. `context` says nothing of value: evhttp's doors have evhttp there. */
typedef void pipit_doors_error(struct evconnlistener *listener, void *context);

/* Accept from a listening socket; takes it. At most PIPIT_LISTEN_MAX. 0 or -ENOMEM. */
int pipit_doors_add(struct pipit_transport *transport, int fd, pipit_doors_error *on_error);

/* The next can be let in: there is a connection in stock for him; tries to make one. */
bool pipit_doors_are_ready(struct pipit_transport *transport);

/* Accept from now on, or for a while not. False when not all could be opened. */
bool pipit_doors_set(struct pipit_transport *transport, bool open);

/* Somebody has been accepted in this turn: take the connection up. */
void pipit_doors_adopt(struct pipit_connection *connection);

/* Stop listening, for good. */
void pipit_doors_remove(struct pipit_transport *transport);

#endif
