/* SPDX-License-Identifier: MIT */
/*
 * What a connection has buffered, counted against the house's budget: input that is not used yet, content that is being
 * collected and its head, and replies that the socket did not take. Whoever lets a buffer grow asks before; buffers that
 * have shrunk are found when the connection settles.
 */
#ifndef PIPIT_BUDGET_H
#define PIPIT_BUDGET_H

#include "net/limits.h"

#include <stdbool.h>
#include <stddef.h>

struct pipit_connection;

/* A buffer of this connection is going to grow by so many bytes: input that is not used yet, or anything else. False when the
 * budget has not got them; input may have half of it, whatever else there is. */
bool pipit_budget_take(struct pipit_connection *connection, enum pipit_limits_kind kind, size_t more);

/* Nothing has been taken for it, but such a content would fit now. */
bool pipit_budget_would_fit(const struct pipit_connection *connection, uint64_t bytes);

/*
 * Bring the account in line with the buffers as they are. evhttp_bytes: what the reply of an evhttp callback has buffered, which
 * grows without asking. False when it has grown and the budget has not got it: the connection must go.
 */
bool pipit_budget_settle(struct pipit_connection *connection, size_t evhttp_bytes);

#endif
