/* SPDX-License-Identifier: MIT */
/*
 * The buffers of a connection, counted against the server's memory limit: unused input, content that is being collected and its head,
 * and replies that wait for the socket. Growth is asked for before; shrinkage is found when the connection settles.
 */
#ifndef PIPIT_BUDGET_H
#define PIPIT_BUDGET_H

#include "net/limits.h"

#include <stdbool.h>
#include <stddef.h>

struct pipit_connection;

/* Before a buffer grows by so many bytes. False when the limit has no room: input may have half of it, whatever the rest takes. */
bool pipit_budget_take(struct pipit_connection *connection, enum pipit_limits_kind kind, size_t more);

/* Such a content would fit now; nothing is taken. */
bool pipit_budget_would_fit(const struct pipit_connection *connection, uint64_t bytes);

/*
 * Count the buffers as they are. evhttp_bytes: of an evhttp callback's reply, which grows without asking. False when that has grown
 * beyond the limit: the connection is to be dropped.
 */
bool pipit_budget_settle(struct pipit_connection *connection, size_t evhttp_bytes);

#endif
