/* SPDX-License-Identifier: MIT */
/* See budget.h. */
#include "net/budget.h"

#include "net/net.h"

#include <malloc.h>

/* Released since the last trim, and the least time between two: trimming costs up to a millisecond, and the next requests page faults. */
#define TRIM_BYTES (1024 * 1024)
#define TRIM_PAUSE_MS 5000
/* Buffered by all connections: the burst is not over. */
#define BUSY_BYTES (4 * 1024 * 1024)

static uint64_t input_limit(uint64_t limit)
{
	return limit / 2 + limit % 2;
}

/* Taking nothing is refused above the limit. */
static bool is_input_within(struct pipit_limits *limits, uint64_t limit)
{
	return pipit_limits_take_bytes(limits, PIPIT_LIMITS_INPUT, 0, input_limit(limit));
}

bool pipit_budget_take(struct pipit_connection *connection, enum pipit_limits_kind kind, size_t more)
{
	uint64_t limit = connection->net->config->memory_limit;
	if (kind == PIPIT_LIMITS_INPUT)
		limit = input_limit(limit);
	if (!pipit_limits_take_bytes(connection->net->limits, kind, more, limit))
		return false;
	connection->charged[kind] += more;
	return true;
}

bool pipit_budget_would_fit(const struct pipit_connection *connection, uint64_t bytes)
{
	uint64_t limit = connection->net->config->memory_limit;
	uint64_t used = pipit_limits_bytes(connection->net->limits);
	return !limit || (used <= limit && bytes <= limit - used);
}

bool pipit_budget_wants_trim(const struct pipit_net *net)
{
	return net->released_bytes >= TRIM_BYTES;
}

void pipit_budget_give_back(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void pipit_budget_trim(struct pipit_net *net, uint64_t now_ms)
{
	if (net->released_bytes < TRIM_BYTES || now_ms < net->trimmed_ms + TRIM_PAUSE_MS ||
	    pipit_limits_bytes(net->limits) > BUSY_BYTES)
		return;
	net->trimmed_ms = now_ms;
	net->released_bytes = 0;
	pipit_budget_give_back();
}

static void set(struct pipit_connection *connection, enum pipit_limits_kind kind, uint64_t buffered)
{
	struct pipit_limits *limits = connection->net->limits;
	uint64_t charged = connection->charged[kind];

	if (buffered == charged)
		return;
	if (buffered > charged) {
		pipit_limits_add_bytes(limits, kind, buffered - charged);
	} else {
		pipit_limits_release_bytes(limits, kind, charged - buffered);
		connection->net->released_bytes += charged - buffered;
	}
	connection->charged[kind] = buffered;
}

static void settle(struct pipit_connection *connection, size_t input_bytes, size_t other_bytes)
{
	const struct pipit_exchange *exchange = &connection->exchange;

	set(connection, PIPIT_LIMITS_INPUT, connection->in.capacity + input_bytes);
	set(connection, PIPIT_LIMITS_OTHER,
	    exchange->body_capacity + exchange->retained_bytes + exchange->handed_bytes + connection->out.length +
		other_bytes);
}

/* A partial record is input, and what the socket did not take output that cannot be refused before, as that of evhttp. */
__attribute__((noinline)) static bool settle_tls(struct pipit_connection *connection, size_t evhttp_bytes)
{
	struct pipit_limits *limits = connection->net->limits;
	uint64_t limit = connection->net->config->memory_limit, before = connection->charged[PIPIT_LIMITS_OTHER];
	size_t partial = pipit_tls_session_partial(connection->tls);
	size_t unsent = pipit_tls_session_unsent(connection->tls) + evhttp_bytes;

	settle(connection, partial, unsent);
	if (partial && !is_input_within(limits, limit))
		return false;
	return !limit || unsent == 0 || connection->charged[PIPIT_LIMITS_OTHER] <= before ||
	       pipit_limits_bytes(limits) <= limit;
}

bool pipit_budget_settle(struct pipit_connection *connection, size_t evhttp_bytes)
{
	uint64_t limit = connection->net->config->memory_limit, before = connection->charged[PIPIT_LIMITS_OTHER];

	if (connection->tls)
		return settle_tls(connection, evhttp_bytes);
	settle(connection, 0, evhttp_bytes);
	return !limit || evhttp_bytes == 0 || connection->charged[PIPIT_LIMITS_OTHER] <= before ||
	       pipit_limits_bytes(connection->net->limits) <= limit;
}
