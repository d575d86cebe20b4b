/* SPDX-License-Identifier: MIT */
/* See handler_queue.h. */
#include "http1/handler_queue.h"

/* Smaller bodies are parsed in about 1 ms. */
#define LARGE_BYTES (64 * 1024)

bool pipit_handler_queue_takes(const struct pipit_connection *connection)
{
	const struct pipit_exchange *exchange = &connection->exchange;
	return exchange->body && exchange->body_length > LARGE_BYTES;
}

void pipit_handler_queue_add(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	connection->exchange.body_state = PIPIT_BODY_QUEUED;
	connection->next_queued = NULL;
	if (net->queue)
		net->queue_last->next_queued = connection;
	else
		net->queue = connection;
	net->queue_last = connection;
	pipit_connection_plan_turn_end(net);
}

struct pipit_connection *pipit_handler_queue_next(struct pipit_net *net)
{
	struct pipit_connection *connection = net->queue;
	if (connection)
		net->queue = connection->next_queued;
	return connection;
}

void pipit_handler_queue_remove(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_connection **link = &net->queue, *before = NULL;

	while (*link != connection) {
		before = *link;
		link = &before->next_queued;
	}
	*link = connection->next_queued;
	if (net->queue_last == connection)
		net->queue_last = before;
}
