/* SPDX-License-Identifier: MIT */
/* See input.h. */
#include "net/input.h"

#include "net/budget.h"
#include "net/net.h"

#include <stdlib.h>

/* The first allocation; it doubles from there, never ahead of what has arrived. */
#define BODY_START_SIZE 4096

/* --- a head that is not whole, or requests behind one that is not answered ----------------------------------------- */

void pipit_input_drop(struct pipit_connection *connection)
{
	free(connection->pending);
	connection->pending = NULL;
	connection->pending_length = connection->pending_capacity = 0;
}

static enum pipit_refusal grow(struct pipit_connection *connection, size_t length)
{
	size_t capacity = length < 512 ? 512 : length + length / 2;
	char *pending;
	if (!pipit_budget_take(connection, PIPIT_LIMITS_INPUT, capacity - connection->pending_capacity))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	pending = realloc(connection->pending, capacity);
	if (!pending)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	connection->pending = pending;
	connection->pending_capacity = capacity;
	return PIPIT_REFUSAL_NONE;
}

enum pipit_refusal pipit_input_keep(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason =
	    length > connection->pending_capacity ? grow(connection, length) : PIPIT_REFUSAL_NONE;
	if (reason != PIPIT_REFUSAL_NONE)
		return reason;
	memcpy(connection->pending, bytes, length);
	connection->pending_length = length;
	return PIPIT_REFUSAL_NONE;
}

/* --- content that arrives in pieces ---------------------------------------------------------------------------------- */

void pipit_input_drop_content(struct pipit_connection *connection)
{
	free(connection->body);
	connection->body = NULL;
	connection->body_length = connection->body_capacity = 0;
	connection->retained_bytes = connection->handed_bytes = 0;
}

/* The most that the content of this request can be. */
static uint64_t content_bound(const struct pipit_connection *connection)
{
	if (connection->head->framing == PIPIT_FRAMING_LENGTH)
		return connection->body_bytes;
	return connection->body_limit ? connection->body_limit : UINT64_MAX - 1;
}

/* It doubles, but never beyond what the content can be. */
static enum pipit_refusal grow_body(struct pipit_connection *connection, size_t needed)
{
	size_t capacity = connection->body_capacity ? connection->body_capacity : BODY_START_SIZE;
	char *body;

	while (capacity < needed)
		capacity *= 2;
	if (capacity > content_bound(connection) + 1)
		capacity = (size_t)content_bound(connection) + 1;
	if (!pipit_budget_take(connection, PIPIT_LIMITS_CONTENT, capacity - connection->body_capacity))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	body = realloc(connection->body, capacity);
	if (!body)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	connection->body = body;
	connection->body_capacity = capacity;
	return PIPIT_REFUSAL_NONE;
}

enum pipit_refusal pipit_input_add_content(struct pipit_connection *connection, struct pipit_slice data)
{
	size_t needed = connection->body_length + data.length + 1;
	enum pipit_refusal reason =
	    needed > connection->body_capacity ? grow_body(connection, needed) : PIPIT_REFUSAL_NONE;
	if (reason != PIPIT_REFUSAL_NONE)
		return reason;
	memcpy(connection->body + connection->body_length, data.data, data.length);
	connection->body_length += data.length;
	return PIPIT_REFUSAL_NONE;
}
