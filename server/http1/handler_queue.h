/* SPDX-License-Identifier: MIT */
/*
 * Requests with large bodies wait here for their handlers, which may need milliseconds to parse one. A turn of the loop runs one of them,
 * so that requests with small bodies, which are handled as soon as they are read, wait for one such handler and not for all.
 */
#ifndef PIPIT_HANDLER_QUEUE_H
#define PIPIT_HANDLER_QUEUE_H

#include "net/net.h"

/* The collected body of the current request is large. */
bool pipit_handler_queue_takes(const struct pipit_connection *connection);

void pipit_handler_queue_add(struct pipit_connection *connection);

/* The oldest, removed; NULL: none. */
struct pipit_connection *pipit_handler_queue_next(struct pipit_net *net);

/* Of a connection that ends. */
void pipit_handler_queue_remove(struct pipit_connection *connection);

#endif
