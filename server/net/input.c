/* SPDX-License-Identifier: MIT */
/* See input.h. */
#include "net/input.h"

#include "base/log.h"
#include "net/budget.h"
#include "net/net.h"

#include <netinet/in.h>
#include <stdlib.h>

/* The first allocation. */
#define BODY_START_SIZE 4096

/* --- unused input ---------------------------------------------------------------------------------------------------- */

void pipit_input_drop(struct pipit_connection *connection)
{
	free(connection->in.data);
	connection->in.data = NULL;
	connection->in.length = connection->in.capacity = 0;
}

static enum pipit_refusal grow(struct pipit_connection *connection, size_t length)
{
	size_t capacity = length < 512 ? 512 : length + length / 2;
	char *data;
	if (!pipit_budget_take(connection, PIPIT_LIMITS_INPUT, capacity - connection->in.capacity))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	data = realloc(connection->in.data, capacity);
	if (!data)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	connection->in.data = data;
	connection->in.capacity = capacity;
	return PIPIT_REFUSAL_NONE;
}

enum pipit_refusal pipit_input_keep(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason = length > connection->in.capacity ? grow(connection, length) : PIPIT_REFUSAL_NONE;
	if (reason != PIPIT_REFUSAL_NONE)
		return reason;
	memcpy(connection->in.data, bytes, length);
	connection->in.length = length;
	return PIPIT_REFUSAL_NONE;
}

/* --- TLS -------------------------------------------------------------------------------------------------------------- */

static void count_failure(const struct pipit_connection *connection, enum pipit_counters_tls_failure failure)
{
	char peer[INET6_ADDRSTRLEN];

	pipit_counters_tls_failure(connection->net->counters, failure);
	pipit_log(PIPIT_LOG_DEBUG, "the TLS handshake of %s failed: %s",
	    pipit_connection_peer(connection, peer, sizeof peer), pipit_counters_tls_failure_name(failure));
}

static void count_handshake(const struct pipit_connection *connection, const struct pipit_tls_received *received)
{
	struct pipit_counters *counters = connection->net->counters;

	if (received->failure != PIPIT_TLS_FAILURE_NONE)
		count_failure(connection, received->failure);
	if (!received->is_new)
		return;
	pipit_counters_add(counters, PIPIT_COUNT_TLS_HANDSHAKES, 1);
	if (received->is_resumed)
		pipit_counters_add(counters, PIPIT_COUNT_TLS_RESUMED, 1);
	if (pipit_tls_session_is_encrypted_by_kernel(connection->tls))
		pipit_counters_add(counters, PIPIT_COUNT_TLS_KERNEL, 1);
}

struct pipit_tls_received pipit_input_receive_tls(struct pipit_connection *connection, char *to, size_t size)
{
	struct pipit_net *net = connection->net;
	bool was_established = pipit_tls_session_is_established(connection->tls);
	struct pipit_tls_received received = pipit_tls_session_receive(connection->tls, to, size);

	pipit_counters_add(net->counters, PIPIT_COUNT_RECEIVED, received.received);
	pipit_counters_add(net->counters, PIPIT_COUNT_SENT, pipit_tls_session_take_sent(connection->tls));
	if (!was_established)
		count_handshake(connection, &received);
	/* Records without content must not keep a connection: outside of a body only content counts. */
	if (received.length > 0 || connection->state == PIPIT_CONNECTION_BODY) {
		connection->moved_ms = net->now_ms;
		connection->rate_bytes += received.received;
	}
	return received;
}

/* --- the body -------------------------------------------------------------------------------------------------------- */

void pipit_input_drop_body(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	free(exchange->body);
	exchange->body = NULL;
	exchange->body_length = exchange->body_capacity = 0;
	exchange->retained_bytes = exchange->handed_bytes = 0;
}

static uint64_t body_bound(const struct pipit_exchange *exchange)
{
	if (exchange->head->framing == PIPIT_FRAMING_LENGTH)
		return exchange->body_bytes;
	return exchange->body_limit ? exchange->body_limit : UINT64_MAX - 1;
}

static enum pipit_refusal grow_body(struct pipit_connection *connection, size_t needed)
{
	struct pipit_exchange *exchange = &connection->exchange;
	size_t capacity = exchange->body_capacity ? exchange->body_capacity : BODY_START_SIZE;
	char *body;

	while (capacity < needed)
		capacity *= 2;
	if (capacity > body_bound(exchange) + 1)
		capacity = (size_t)body_bound(exchange) + 1;
	if (!pipit_budget_take(connection, PIPIT_LIMITS_OTHER, capacity - exchange->body_capacity))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	body = realloc(exchange->body, capacity);
	if (!body)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	exchange->body = body;
	exchange->body_capacity = capacity;
	return PIPIT_REFUSAL_NONE;
}

enum pipit_refusal pipit_input_add_body(struct pipit_connection *connection, struct pipit_slice data)
{
	struct pipit_exchange *exchange = &connection->exchange;
	size_t needed = exchange->body_length + data.length + 1;
	enum pipit_refusal reason =
	    needed > exchange->body_capacity ? grow_body(connection, needed) : PIPIT_REFUSAL_NONE;
	if (reason != PIPIT_REFUSAL_NONE)
		return reason;
	memcpy(exchange->body + exchange->body_length, data.data, data.length);
	exchange->body_length += data.length;
	return PIPIT_REFUSAL_NONE;
}
