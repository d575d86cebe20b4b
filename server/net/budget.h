/* SPDX-License-Identifier: MIT */
/*
 * Counts the buffers of a connection against the server's memory limit: unused input, a body that is collected and its head, and
 * replies that wait for the socket. Growth asks first; settling finds what has shrunk.
 */
#ifndef PIPIT_BUDGET_H
#define PIPIT_BUDGET_H

#include "net/limits.h"

#include <stdbool.h>
#include <stddef.h>

struct pipit_connection;
struct pipit_net;

/* Before a buffer grows by `more` bytes. False: the limit has no room. Input may take half of it. */
bool pipit_budget_take(struct pipit_connection *connection, enum pipit_limits_kind kind, size_t more);

/* Takes nothing. */
bool pipit_budget_would_fit(const struct pipit_connection *connection, uint64_t bytes);

/*
 * Count the buffers as they are. evhttp_bytes: of an evhttp callback's reply, which grows without asking. False: it has grown beyond
 * the limit, and the connection is to be dropped.
 */
bool pipit_budget_settle(struct pipit_connection *connection, size_t evhttp_bytes);

/* The free memory of the heap goes back to the system. */
void pipit_budget_give_back(void);

/* After a burst: the heap goes back to the system, of which malloc() keeps as much as was in use at once. Call it now and then. */
void pipit_budget_trim(struct pipit_net *net, uint64_t now_ms);
bool pipit_budget_wants_trim(const struct pipit_net *net);

#endif
