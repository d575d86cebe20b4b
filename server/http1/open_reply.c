/* SPDX-License-Identifier: MIT */
/* See open_reply.h. */
#include "http1/open_reply.h"

#include "net/budget.h"
#include "net/connection.h"
#include "net/output.h"

void pipit_streaming_open(struct pipit_streaming *streaming, struct pipit_connection *connection, int status,
    struct pipit_slice head, struct pipit_slice content)
{
	struct iovec pieces[2] = { { (void *)head.data, head.length }, { (void *)content.data, content.length } };

	streaming->connection = connection;
	streaming->is_waiting = false;
	connection->streaming = streaming;
	connection->status = status;
	/* Its end is the end of the connection (RFC 9112 §6.3). */
	if (connection->minor == 0)
		connection->keep_alive = false;
	pipit_output_write(connection, pieces, 2);
}

size_t pipit_streaming_write(struct pipit_streaming *streaming, struct pipit_slice bytes)
{
	size_t taken = pipit_output_offer(streaming->connection, bytes);
	streaming->is_waiting = taken < bytes.length;
	return taken;
}

static void part(struct pipit_streaming *streaming)
{
	streaming->connection->content_bytes = streaming->content_bytes;
	streaming->connection->streaming = NULL;
	streaming->connection = NULL;
}

void pipit_streaming_end(struct pipit_streaming *streaming)
{
	static char last_chunk[] = "0\r\n\r\n";
	struct pipit_connection *connection = streaming->connection;
	struct iovec piece = { last_chunk, sizeof last_chunk - 1 };

	part(streaming);
	connection->answered = true;
	if (connection->minor > 0)
		pipit_output_write(connection, &piece, 1);
}

void pipit_streaming_settle(struct pipit_connection *connection)
{
	/* The handler is running: the connection settles when it has returned. */
	if (connection->transport->current == connection)
		return;
	pipit_transport_read_clock(connection->transport);
	pipit_connection_conclude(connection);
	pipit_connection_settle(connection);
}

void pipit_streaming_close(struct pipit_streaming *streaming)
{
	pipit_connection_drop(streaming->connection);
}

void pipit_streaming_drop(struct pipit_streaming *streaming)
{
	pipit_counters_add(streaming->connection->transport->counters, PIPIT_COUNT_STREAMS_DROPPED, 1);
	pipit_streaming_close(streaming);
}

void pipit_streaming_count_refusal(struct pipit_connection *connection)
{
	pipit_counters_reject(connection->transport->counters, PIPIT_REFUSAL_TOO_MANY_STREAMS);
}

bool pipit_streaming_reserve(struct pipit_connection *connection, size_t bytes)
{
	if (!pipit_budget_take(connection, PIPIT_LIMITS_CONTENT, bytes))
		return false;
	/* Given back with the request's content. */
	connection->handed_bytes += bytes;
	return true;
}

bool pipit_streaming_is_draining(const struct pipit_connection *connection)
{
	return connection->transport->draining;
}

bool pipit_streaming_lose(struct pipit_connection *connection)
{
	struct pipit_streaming *streaming = connection->streaming;
	bool is_complete;
	if (!streaming)
		return false;
	is_complete = !streaming->is_finite;
	part(streaming);
	streaming->hooks->lost(streaming);
	return is_complete;
}

void pipit_streaming_drain(struct pipit_transport *transport)
{
	struct pipit_connection *next;
	for (struct pipit_connection *at = transport->all; at; at = next) {
		next = at->next;
		if (at->streaming)
			at->streaming->hooks->drain(at->streaming);
	}
}
