/* SPDX-License-Identifier: MIT */
/* Input that is not used yet: a head that is not whole, or requests behind one that is not answered. */
#include "net/budget.h"
#include "net/connection.h"
#include "net/eviction.h"

#include <stdlib.h>

void pipit_connection_drop_pending(struct pipit_connection *connection)
{
	free(connection->pending);
	connection->pending = NULL;
	connection->pending_length = connection->pending_capacity = 0;
}

/* Of those that have not sent a whole head the oldest gives way; requests that wait behind another push out nobody. */
static bool take_for_pending(struct pipit_connection *connection, size_t more)
{
	return pipit_budget_take(connection, PIPIT_LIMITS_INPUT, more) ||
	       (connection->checked && pipit_eviction_free_bytes(connection) &&
		   pipit_budget_take(connection, PIPIT_LIMITS_INPUT, more));
}

static enum pipit_refusal grow_pending(struct pipit_connection *connection, size_t length)
{
	size_t capacity = length < 512 ? 512 : length + length / 2;
	char *pending;
	if (!take_for_pending(connection, capacity - connection->pending_capacity))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	pending = realloc(connection->pending, capacity);
	if (!pending)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	connection->pending = pending;
	connection->pending_capacity = capacity;
	return PIPIT_REFUSAL_NONE;
}

void pipit_connection_keep_pending(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason = PIPIT_REFUSAL_NONE;
	if (length == 0 || connection->closing) {
		pipit_connection_drop_pending(connection);
		return;
	}
	if (length > connection->pending_capacity)
		reason = grow_pending(connection, length);
	if (reason == PIPIT_REFUSAL_NONE) {
		memcpy(connection->pending, bytes, length);
		connection->pending_length = length;
	} else if (connection->checked) {
		pipit_connection_expect_little(connection, bytes, length);
		pipit_connection_refuse(connection, reason, pipit_connection_first_line(bytes, length));
	} else {
		/* A refusal would overtake the replies to earlier requests. */
		pipit_counters_reject(connection->net->counters, reason);
		connection->broken = true;
	}
}
