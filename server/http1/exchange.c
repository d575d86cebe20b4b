/* SPDX-License-Identifier: MIT */
/* See exchange.h. */
#include "http1/exchange.h"

#include "http/accept_header.h"
#include "http/response_head.h"
#include "http1/evhttp_lane.h"
#include "http1/open_reply.h"
#include "net/input.h"
#include "net/net.h"
#include "net/output.h"

static void clear(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	if (exchange->body || exchange->retained_bytes || exchange->handed_bytes)
		pipit_input_drop_body(connection);
	memset(exchange, 0, offsetof(struct pipit_exchange, body));
}

/* --- refusals -------------------------------------------------------------------------------------------------------- */

/* With the headers of filters behind the status line. */
static void write_refusal(struct pipit_connection *connection, char *reply, size_t length)
{
	const struct pipit_net *net = connection->net;
	struct pipit_slice fields = { NULL, 0 };
	size_t line;

	if (net->handlers->reply_fields && connection->exchange.request)
		fields = net->handlers->reply_fields(net->context, connection);
	if (!fields.length) {
		pipit_output_write(connection, &(struct iovec){ reply, length }, 1);
		return;
	}
	line = (size_t)((char *)memchr(reply, '\n', length) + 1 - reply);
	pipit_output_write(connection,
	    (struct iovec[]){
		{ reply, line }, { (void *)fields.data, fields.length }, { reply + line, length - line } },
	    3);
}

void pipit_exchange_refuse(
    struct pipit_connection *connection, enum pipit_refusal reason, struct pipit_slice line, bool prefers_html)
{
	struct pipit_net *net = connection->net;
	char reply[PIPIT_RESPONSE_HEAD_MAX + PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	size_t content_bytes;
	size_t length = pipit_response_head_refusal(
	    reply, reason, pipit_net_date(net), connection->exchange.is_head, prefers_html, &content_bytes);

	write_refusal(connection, reply, length);
	pipit_connection_end(connection, PIPIT_CLOSE_LINGER);
	pipit_counters_reject(net->counters, reason);
	net->handlers->refused(net->context, connection, reason, line, content_bytes);
	clear(connection);
}

void pipit_exchange_refuse_head(
    struct pipit_connection *connection, enum pipit_refusal reason, const char *bytes, size_t length, bool prefers_html)
{
	if (!connection->exchange.started_ns)
		connection->exchange.started_ns = connection->net->now_ns;
	pipit_exchange_refuse(connection, reason, pipit_connection_first_line(bytes, length), prefers_html);
}

void pipit_exchange_refuse_partial_head(
    struct pipit_connection *connection, enum pipit_refusal reason, const char *bytes, size_t length)
{
	static const char method[] = "HEAD ";
	/* The first TLS record has not ended. */
	if (!bytes)
		bytes = "";
	/* an empty line before it (RFC 9112 §2.2) */
	size_t skip = length >= 2 && bytes[0] == '\r' ? 2 : 0;
	connection->exchange.is_head =
	    length - skip >= sizeof method - 1 && memcmp(bytes + skip, method, sizeof method - 1) == 0;
	pipit_exchange_refuse_head(connection, reason, bytes, length, false);
}

void pipit_exchange_refuse_request(struct pipit_connection *connection, enum pipit_refusal reason)
{
	const struct pipit_guard_head *head = connection->exchange.head;
	pipit_exchange_refuse(connection, reason, pipit_connection_first_line(head->bytes, head->length),
	    pipit_accept_header_prefers_html(head));
}

/* --- the reply ------------------------------------------------------------------------------------------------------- */

size_t pipit_exchange_head_bytes(const struct pipit_guard_head *head)
{
	return sizeof *head - sizeof head->fields + head->field_count * sizeof head->fields[0] + head->length;
}

bool pipit_exchange_retain(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;

	if (!exchange->retained_bytes)
		exchange->retained_bytes = pipit_exchange_head_bytes(exchange->head);
	exchange->head = net->handlers->retain(net->context, connection);
	return exchange->head != NULL;
}

bool pipit_exchange_is_deferred(const struct pipit_connection *connection)
{
	const struct pipit_exchange *exchange = &connection->exchange;
	return exchange->request && exchange->reply == PIPIT_REPLY_NONE && exchange->body_state != PIPIT_BODY_READING &&
	       exchange->body_state != PIPIT_BODY_QUEUED;
}

void pipit_exchange_defer(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;

	/* A kept request, or evhttp, has copied the body: the memory is counted without asking. */
	if (!exchange->body && !exchange->handed_bytes)
		exchange->handed_bytes = (size_t)exchange->body_bytes;
	if (exchange->lane == PIPIT_LANE_NATIVE) {
		if (!exchange->retained_bytes)
			exchange->retained_bytes = pipit_exchange_head_bytes(exchange->head);
		return;
	}
	/* evhttp has a copy of its own; this one is for the log. */
	exchange->handed_bytes += exchange->head->length;
	if (!pipit_exchange_retain(connection))
		pipit_output_abort(connection);
	pipit_evhttp_lane_defer(connection);
}

bool pipit_exchange_conclude(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;

	if (exchange->reply == PIPIT_REPLY_NONE) {
		if (exchange->lane == PIPIT_LANE_NATIVE || !pipit_evhttp_lane_pump(connection))
			return false;
		exchange->reply = PIPIT_REPLY_WHOLE;
	}
	if (!pipit_connection_may_stay(connection))
		pipit_connection_end(
		    connection, exchange->body_state == PIPIT_BODY_UNREAD ? PIPIT_CLOSE_LINGER : PIPIT_CLOSE);
	return true;
}

void pipit_exchange_count(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	if (connection->exchange.reply == PIPIT_REPLY_COUNTED)
		return;
	connection->exchange.reply = PIPIT_REPLY_COUNTED;
	net->handlers->count(net->context, connection);
}

void pipit_exchange_finish(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	pipit_exchange_count(connection);
	net->handlers->finished(net->context, connection, true);
	clear(connection);
}

void pipit_exchange_lose(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	/* An endless reply has no other end. */
	bool is_complete = pipit_open_reply_lose(connection);

	if (!connection->exchange.request || !net->handlers)
		return;
	connection->exchange.given = pipit_output_sent_content(connection);
	if (is_complete)
		pipit_exchange_count(connection);
	net->handlers->finished(net->context, connection, is_complete);
	clear(connection);
}
