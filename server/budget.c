/* SPDX-License-Identifier: MIT */
/* See budget.h. */
#include "budget.h"

/* evhttp does not tell bytes of a file from bytes in memory: a classic reply counts up to here. */
#define CLASSIC_BYTES_MAX (1024 * 1024)

static bool take(struct pipit_connection *connection, size_t more, uint64_t limit)
{
	if (!pipit_house_take(connection->transport->house, more, limit))
		return false;
	connection->charged += more;
	return true;
}

bool pipit_budget_take(struct pipit_connection *connection, size_t more)
{
	return take(connection, more, connection->transport->config->memory_limit);
}

bool pipit_budget_take_for_head(struct pipit_connection *connection, size_t more)
{
	uint64_t limit = connection->transport->config->memory_limit;
	return take(connection, more, limit / 2 + limit % 2);
}

bool pipit_budget_would_fit(const struct pipit_connection *connection, uint64_t bytes)
{
	uint64_t limit = connection->transport->config->memory_limit;
	uint64_t used = pipit_house_bytes(connection->transport->house);
	return !limit || (used <= limit && bytes <= limit - used);
}

void pipit_budget_settle(struct pipit_connection *connection, size_t classic_bytes)
{
	struct pipit_house *house = connection->transport->house;
	uint64_t buffered = connection->pending_capacity + connection->body_capacity + connection->retained_bytes +
			    connection->out_length +
			    (classic_bytes < CLASSIC_BYTES_MAX ? classic_bytes : CLASSIC_BYTES_MAX);

	if (buffered == connection->charged)
		return;
	if (buffered > connection->charged)
		pipit_house_overdraw(house, buffered - connection->charged);
	else
		pipit_house_give_back(house, connection->charged - buffered);
	connection->charged = buffered;
}

void pipit_budget_close(struct pipit_connection *connection)
{
	pipit_house_give_back(connection->transport->house, connection->charged);
	connection->charged = 0;
}
