/* SPDX-License-Identifier: MIT */
/* Listening sockets of a worker, and a connection's first and last moment. */
#ifndef PIPIT_ACCEPTOR_H
#define PIPIT_ACCEPTOR_H

#include "net/connection.h"

/*
 * accept() failed on one of a worker's doors, which is to be closed until pipit_acceptor_set(). listener: where evhttp accepts;
 * `context` is the evhttp then. NULL: we do; it is closed already, and `context` is that of the connection layer.
 */
typedef void pipit_acceptor_error(struct evconnlistener *listener, void *context);

/* Accept from a listening socket; takes it. 0; -ENOMEM; -ENOSPC when there are PIPIT_LISTEN_MAX. *bound receives evhttp's handle
 * where evhttp accepts, else NULL; may be NULL. */
int pipit_acceptor_add(
    struct pipit_net *net, int fd, pipit_acceptor_error *on_error, struct evhttp_bound_socket **bound);

/* Have it told, too, of sockets that a program has bound to its guarded evhttp. */
void pipit_acceptor_watch_errors(struct pipit_net *net, pipit_acceptor_error *on_error);

/* The next can be let in: there is a connection in stock for him; tries to make one. */
bool pipit_acceptor_are_ready(struct pipit_net *net);

/* Accept from now on, or for a while not. False when not all could be opened. */
bool pipit_acceptor_set(struct pipit_net *net, bool open);

/* A connection has been accepted in this turn: take it up. False when evhttp could not hold it: it is freed. */
bool pipit_acceptor_adopt(struct pipit_connection *connection);

/* Stop listening, for good. */
void pipit_acceptor_remove(struct pipit_net *net);

#endif
