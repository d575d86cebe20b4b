/* SPDX-License-Identifier: MIT */
/* See budget.h. */
#include "net/budget.h"

bool pipit_budget_take(struct pipit_connection *connection, enum pipit_house_kind kind, size_t more)
{
	uint64_t limit = connection->transport->config->memory_limit;
	if (kind == PIPIT_HOUSE_INPUT)
		limit = limit / 2 + limit % 2;
	if (!pipit_house_take(connection->transport->house, kind, more, limit))
		return false;
	connection->charged[kind] += more;
	return true;
}

bool pipit_budget_would_fit(const struct pipit_connection *connection, uint64_t bytes)
{
	uint64_t limit = connection->transport->config->memory_limit;
	uint64_t used = pipit_house_bytes(connection->transport->house);
	return !limit || (used <= limit && bytes <= limit - used);
}

static void set(struct pipit_connection *connection, enum pipit_house_kind kind, uint64_t buffered)
{
	struct pipit_house *house = connection->transport->house;
	uint64_t charged = connection->charged[kind];

	if (buffered == charged)
		return;
	if (buffered > charged)
		pipit_house_overdraw(house, kind, buffered - charged);
	else
		pipit_house_give_back(house, kind, charged - buffered);
	connection->charged[kind] = buffered;
}

bool pipit_budget_settle(struct pipit_connection *connection, size_t evhttp_bytes)
{
	const struct pipit_transport *transport = connection->transport;
	uint64_t limit = transport->config->memory_limit, before = connection->charged[PIPIT_HOUSE_CONTENT];

	set(connection, PIPIT_HOUSE_INPUT, connection->pending_capacity);
	set(connection, PIPIT_HOUSE_CONTENT,
	    connection->body_capacity + connection->retained_bytes + connection->handed_bytes + connection->out_length +
		evhttp_bytes);
	return !limit || evhttp_bytes == 0 || connection->charged[PIPIT_HOUSE_CONTENT] <= before ||
	       pipit_house_bytes(transport->house) <= limit;
}

void pipit_budget_close(struct pipit_connection *connection)
{
	set(connection, PIPIT_HOUSE_INPUT, 0);
	set(connection, PIPIT_HOUSE_CONTENT, 0);
}
