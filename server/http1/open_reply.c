/* SPDX-License-Identifier: MIT */
/* See open_reply.h. */
#include "http1/open_reply.h"

#include "net/budget.h"
#include "net/net.h"
#include "net/output.h"

void pipit_open_reply_begin(struct pipit_open_reply *open_reply, struct pipit_connection *connection, int status,
    struct pipit_slice head, struct pipit_slice framed)
{
	struct pipit_exchange *exchange = &connection->exchange;
	struct iovec pieces[2] = { { (void *)head.data, head.length }, { (void *)framed.data, framed.length } };

	open_reply->connection = connection;
	open_reply->is_waiting = false;
	exchange->open_reply = open_reply;
	exchange->status = status;
	/* The end of the connection ends the body (RFC 9112 §6.3). */
	if (exchange->minor == 0)
		exchange->keep_alive = false;
	pipit_output_write(connection, pieces, 2);
}

static size_t overlap(struct pipit_slice one, struct pipit_slice other)
{
	const char *begin = one.data > other.data ? one.data : other.data;
	const char *one_end = one.data + one.length, *other_end = other.data + other.length;
	const char *end = one_end < other_end ? one_end : other_end;
	return begin < end ? (size_t)(end - begin) : 0;
}

size_t pipit_open_reply_write(struct pipit_open_reply *open_reply, struct pipit_slice bytes, struct pipit_slice content)
{
	size_t taken = pipit_output_offer(open_reply->connection, bytes);
	open_reply->is_waiting = taken < bytes.length;
	open_reply->content_bytes += overlap((struct pipit_slice){ bytes.data, taken }, content);
	return taken;
}

static void part(struct pipit_open_reply *open_reply)
{
	struct pipit_exchange *exchange = &open_reply->connection->exchange;
	exchange->given = open_reply->content_bytes;
	exchange->open_reply = NULL;
	open_reply->connection = NULL;
}

void pipit_open_reply_end(struct pipit_open_reply *open_reply)
{
	static char last_chunk[] = "0\r\n\r\n";
	struct pipit_connection *connection = open_reply->connection;
	struct iovec piece = { last_chunk, sizeof last_chunk - 1 };

	part(open_reply);
	connection->exchange.reply = PIPIT_REPLY_WHOLE;
	if (connection->exchange.minor > 0)
		pipit_output_write(connection, &piece, 1);
}

void pipit_open_reply_close(struct pipit_open_reply *open_reply)
{
	pipit_connection_drop(open_reply->connection);
}

void pipit_open_reply_drop(struct pipit_open_reply *open_reply)
{
	pipit_counters_add(open_reply->connection->net->counters, PIPIT_COUNT_STREAMS_DROPPED, 1);
	pipit_open_reply_close(open_reply);
}

void pipit_open_reply_count_refusal(struct pipit_connection *connection)
{
	pipit_counters_reject(connection->net->counters, PIPIT_REFUSAL_TOO_MANY_STREAMS);
}

bool pipit_open_reply_reserve(struct pipit_connection *connection, size_t bytes)
{
	if (!pipit_budget_take(connection, PIPIT_LIMITS_OTHER, bytes))
		return false;
	/* Released with the request's body. */
	connection->exchange.handed_bytes += bytes;
	return true;
}

bool pipit_open_reply_is_draining(const struct pipit_connection *connection)
{
	return connection->net->draining;
}

bool pipit_open_reply_lose(struct pipit_connection *connection)
{
	struct pipit_open_reply *open_reply = connection->exchange.open_reply;
	bool is_complete;
	if (!open_reply)
		return false;
	is_complete = !open_reply->is_finite;
	part(open_reply);
	open_reply->hooks->lost(open_reply);
	return is_complete;
}

void pipit_open_reply_drain(struct pipit_net *net)
{
	struct pipit_connection *next;
	for (struct pipit_connection *at = net->all; at; at = next) {
		struct pipit_open_reply *open_reply = at->exchange.open_reply;
		next = at->next;
		if (open_reply)
			open_reply->hooks->drain(open_reply);
	}
}
