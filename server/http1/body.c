/* SPDX-License-Identifier: MIT */
/* See body.h. */
#include "http1/body.h"

#include "http1/exchange.h"
#include "net/budget.h"
#include "net/input.h"
#include "net/net.h"
#include "net/output.h"

static bool is_over_limit(const struct pipit_exchange *exchange, uint64_t length)
{
	return exchange->body_limit && length > exchange->body_limit;
}

static void send_continue(struct pipit_connection *connection)
{
	static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec piece = { line, sizeof line - 1 };
	pipit_output_write(connection, &piece, 1);
}

/* The head outlives the input that it lies in. */
static enum pipit_refusal begin_collecting(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	const struct pipit_guard_head *head = exchange->head;
	size_t head_bytes = pipit_exchange_head_bytes(head);

	exchange->body_bytes = head->content_length;
	exchange->chunked = (struct pipit_guard_chunked){ 0 };
	if (!pipit_budget_would_fit(connection, head_bytes + head->content_length) ||
	    !pipit_budget_take(connection, PIPIT_LIMITS_OTHER, head_bytes))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	if (!pipit_exchange_retain(connection)) {
		exchange->head = &connection->net->head;
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	}
	exchange->body_state = PIPIT_BODY_READING;
	/* An empty body has an address, too. */
	return pipit_input_add_body(connection, (struct pipit_slice){ "", 0 });
}

static enum pipit_body_result collect_length(
    struct pipit_connection *connection, char *bytes, size_t length, size_t *used, enum pipit_refusal *reason)
{
	struct pipit_exchange *exchange = &connection->exchange;
	uint64_t missing = exchange->body_bytes - exchange->body_length;
	struct pipit_slice data = { bytes, missing < length ? (size_t)missing : length };

	*used += data.length;
	*reason = pipit_input_add_body(connection, data);
	if (*reason != PIPIT_REFUSAL_NONE)
		return PIPIT_BODY_REFUSED;
	return exchange->body_length == exchange->body_bytes ? PIPIT_BODY_WHOLE : PIPIT_BODY_MORE;
}

static enum pipit_body_result collect_chunks(
    struct pipit_connection *connection, char *bytes, size_t length, size_t *used, enum pipit_refusal *reason)
{
	struct pipit_exchange *exchange = &connection->exchange;
	size_t at = 0, consumed = 0;

	*reason = PIPIT_REFUSAL_NONE;
	for (;;) {
		struct pipit_slice data;
		enum pipit_guard_chunk chunk = pipit_guard_chunked(&exchange->chunked, bytes + at, length - at,
		    &connection->net->guard_limits, &consumed, &data, reason);

		at += consumed;
		if (chunk == PIPIT_CHUNK_DATA && is_over_limit(exchange, exchange->body_length + data.length))
			*reason = PIPIT_REFUSAL_BODY_TOO_LARGE;
		else if (chunk == PIPIT_CHUNK_DATA)
			*reason = pipit_input_add_body(connection, data);
		if (chunk == PIPIT_CHUNK_END) {
			*used += at;
			return PIPIT_BODY_WHOLE;
		}
		if (chunk == PIPIT_CHUNK_MORE || *reason != PIPIT_REFUSAL_NONE) {
			*used += length;
			return chunk == PIPIT_CHUNK_MORE ? PIPIT_BODY_MORE : PIPIT_BODY_REFUSED;
		}
	}
}

enum pipit_body_result pipit_body_read(struct pipit_connection *connection, char *bytes, size_t length, size_t *used,
    struct pipit_slice *body, enum pipit_refusal *reason)
{
	struct pipit_exchange *exchange = &connection->exchange;
	const struct pipit_guard_head *head = exchange->head;
	enum pipit_body_result result;

	if (exchange->body_state != PIPIT_BODY_READING) {
		uint64_t wanted = head->framing == PIPIT_FRAMING_LENGTH ? head->content_length : 0;

		*reason = is_over_limit(exchange, wanted) ? PIPIT_REFUSAL_BODY_TOO_LARGE : PIPIT_REFUSAL_NONE;
		if (*reason != PIPIT_REFUSAL_NONE)
			return PIPIT_BODY_REFUSED;
		if (head->framing != PIPIT_FRAMING_CHUNKED && wanted <= length) {
			*body = (struct pipit_slice){ bytes, (size_t)wanted };
			*used += (size_t)wanted;
			return PIPIT_BODY_WHOLE;
		}
		*reason = begin_collecting(connection);
		if (*reason != PIPIT_REFUSAL_NONE)
			return PIPIT_BODY_REFUSED;
		if (head->expect_continue && length == 0)
			send_continue(connection);
	}
	result = exchange->head->framing == PIPIT_FRAMING_LENGTH
		     ? collect_length(connection, bytes, length, used, reason)
		     : collect_chunks(connection, bytes, length, used, reason);
	*body = (struct pipit_slice){ exchange->body, exchange->body_length };
	return result;
}
