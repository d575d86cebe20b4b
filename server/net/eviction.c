/* SPDX-License-Identifier: MIT */
/* See eviction.h. */
#include "net/eviction.h"

#include "net/net.h"

/* The age of a head, and the grace of the minimum rate. */
#define AT_LIMIT_GRACE_MS 1000
/* After a scan without a candidate; and the age at which the candidates of a scan are no longer used. */
#define SCAN_PAUSE_MS 20
/* Connections above the limit while another worker evicts. */
#define EXCESS_MAX 32

/* --- priorities ----------------------------------------------------------------------------------------------------- */

/* In the order of eviction.h. */
enum rank { LINGERING, LATE, KEPT_ALIVE, SLOW, ARRIVING, PROTECTED };

static uint64_t since_ms(const struct pipit_connection *connection)
{
	return connection->state == PIPIT_CONNECTION_IDLE ? connection->moved_ms : connection->since_ms;
}

static enum rank rank_of(const struct pipit_connection *connection)
{
	uint64_t now_ms = connection->net->now_ms;
	bool is_late = now_ms - since_ms(connection) > AT_LIMIT_GRACE_MS;

	switch (connection->state) {
	case PIPIT_CONNECTION_LINGER:
		return LINGERING;
	case PIPIT_CONNECTION_IDLE:
		return connection->requests ? KEPT_ALIVE : is_late ? LATE : ARRIVING;
	case PIPIT_CONNECTION_PROXY:
	case PIPIT_CONNECTION_HEAD:
		return is_late ? LATE : ARRIVING;
	case PIPIT_CONNECTION_BODY:
	case PIPIT_CONNECTION_SENDING:
		return pipit_connection_is_too_slow(connection, now_ms, AT_LIMIT_GRACE_MS) ? SLOW : PROTECTED;
	default:
		return PROTECTED;
	}
}

/* rank, then time */
static uint64_t key_of(const struct pipit_connection *connection)
{
	return (uint64_t)rank_of(connection) << 60 | since_ms(connection);
}

static bool is_protected(uint64_t key)
{
	return key >> 60 == PROTECTED;
}

/* In ascending order; the last candidate is dropped when there are too many. */
static void consider(struct pipit_net *net, struct pipit_connection *connection)
{
	struct pipit_candidate *candidates = net->candidates;
	struct pipit_candidate found = { connection, key_of(connection) };
	size_t place = net->candidate_count;

	if (is_protected(found.key))
		return;
	if (place == PIPIT_CANDIDATES_MAX && candidates[--place].key <= found.key)
		return;
	for (; place > 0 && candidates[place - 1].key > found.key; place--)
		candidates[place] = candidates[place - 1];
	candidates[place] = found;
	if (net->candidate_count < PIPIT_CANDIDATES_MAX)
		net->candidate_count++;
}

static void find_candidates(struct pipit_net *net, bool with_unread)
{
	net->candidate_at = net->candidate_count = 0;
	net->scanned_ms = net->now_ms;
	net->with_unread = with_unread;
	for (struct pipit_connection *at = net->all; at; at = at->next)
		consider(net, at);
}

/* Unread bytes of a connection that is kept alive may be a whole request. */
static bool is_kept_for_unread_bytes(const struct pipit_connection *connection, bool with_unread)
{
	return connection->state == PIPIT_CONNECTION_IDLE && (connection->requests || !with_unread) &&
	       !pipit_connection_is_quiet(connection);
}

static bool is_still_evictable(const struct pipit_candidate *candidate, bool with_unread)
{
	const struct pipit_connection *connection = candidate->connection;
	return connection && key_of(connection) == candidate->key && !is_kept_for_unread_bytes(connection, with_unread);
}

/* Returns the rank of what was evicted; PROTECTED: none up to `worst`. */
static enum rank evict_candidate(struct pipit_net *net, enum rank worst)
{
	for (; net->candidate_at < net->candidate_count; net->candidate_at++) {
		struct pipit_candidate *candidate = &net->candidates[net->candidate_at];
		if (candidate->key >> 60 > worst)
			return PROTECTED;
		if (!is_still_evictable(candidate, net->with_unread))
			continue;
		pipit_connection_drop(candidate->connection);
		pipit_counters_add(net->counters, PIPIT_COUNT_EVICTED, 1);
		net->candidate_at++;
		return candidate->key >> 60;
	}
	return PROTECTED;
}

static bool has_lingering(const struct pipit_net *net)
{
	return pipit_counters_in_state(net->counters, PIPIT_STATE_CLOSING) > 0;
}

/* Since the scan others may have got a lower priority than the candidates that are left: by time, or because they linger. */
static bool is_outdated(const struct pipit_net *net)
{
	if (net->candidate_at == net->candidate_count)
		return false;
	return net->now_ms - net->scanned_ms >= SCAN_PAUSE_MS ||
	       (net->candidates[net->candidate_at].key >> 60 != LINGERING && has_lingering(net));
}

static enum rank evict(struct pipit_net *net, enum rank worst)
{
	uint64_t *no_scan_until_ms = &net->no_scan_until_ms[worst == LINGERING];
	enum rank rank;

	if (is_outdated(net))
		find_candidates(net, net->with_unread);
	rank = evict_candidate(net, worst);

	/* Rate-limit scans that found nothing to evict. */
	if (rank != PROTECTED || net->now_ms < *no_scan_until_ms)
		return rank;
	find_candidates(net, false);
	rank = evict_candidate(net, worst);
	if (rank == PROTECTED && worst >= ARRIVING && net->candidate_count > 0) {
		find_candidates(net, true);
		rank = evict_candidate(net, worst);
	}
	if (rank == PROTECTED)
		*no_scan_until_ms = net->now_ms + SCAN_PAUSE_MS;
	return rank;
}

bool pipit_eviction_evict(struct pipit_net *net)
{
	return evict(net, ARRIVING) != PROTECTED;
}

void pipit_eviction_evict_lingering(struct pipit_net *net)
{
	evict(net, LINGERING);
}

static bool has_part_of_proxy_header(const struct pipit_connection *connection)
{
	return connection->state == PIPIT_CONNECTION_PROXY && connection->in.data;
}

bool pipit_eviction_free_bytes(struct pipit_connection *asking)
{
	struct pipit_net *net = asking->net;
	struct pipit_connection *oldest = NULL;
	for (struct pipit_connection *at = net->all; at; at = at->next) {
		/* A TLS handshake may have none. */
		if (at == asking || (at->state != PIPIT_CONNECTION_HEAD && !has_part_of_proxy_header(at)) ||
		    !at->charged[PIPIT_LIMITS_INPUT])
			continue;
		if (!oldest || at->since_ms < oldest->since_ms)
			oldest = at;
	}
	if (!oldest)
		return false;
	pipit_connection_drop(oldest);
	pipit_counters_add(net->counters, PIPIT_COUNT_EVICTED, 1);
	return true;
}

/* --- new connections ------------------------------------------------------------------------------------------------ */

/* A lingering connection may have been accepted above the limit: its eviction makes no room. */
static bool evict_here(struct pipit_net *net, uint64_t excess)
{
	for (;;) {
		enum rank rank = evict(net, ARRIVING);
		if (rank == PROTECTED)
			return false;
		if (rank != LINGERING || excess-- == 0)
			return true;
	}
}

/*
 * Lingering connections first, at any worker. Then a worker with many more evictable ones, or the new connections of a worker with few
 * would evict each other. Until another worker evicts, there is one connection too many.
 */
static bool evict_for_new(struct pipit_net *net, uint64_t excess)
{
	const struct pipit_handler_table *handlers = net->handlers;
	bool may_ask = excess < EXCESS_MAX;
	if (may_ask && !has_lingering(net) && handlers->evict_elsewhere(net->context, PIPIT_EVICTABLE_LINGERING))
		return true;
	return (may_ask && handlers->evict_elsewhere(net->context, PIPIT_EVICTABLE_MANY)) || evict_here(net, excess) ||
	       (may_ask && handlers->evict_elsewhere(net->context, PIPIT_EVICTABLE_ANY));
}

/* A trusted proxy's address is that of many clients. */
static enum pipit_refusal count_address(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	if (pipit_trusted_proxies_contain(net->trusted_proxies, &connection->peer))
		return PIPIT_REFUSAL_NONE;
	switch (pipit_limits_add_address(net->limits, &connection->peer.any)) {
	case PIPIT_LIMITS_TOO_MANY:
		return PIPIT_REFUSAL_TOO_MANY_FROM_ADDRESS;
	case PIPIT_LIMITS_NO_MEMORY:
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	default:
		connection->slot = PIPIT_SLOT_GLOBAL_AND_ADDRESS;
		return PIPIT_REFUSAL_NONE;
	}
}

static enum pipit_refusal judge(struct pipit_connection *connection, uint64_t others)
{
	struct pipit_net *net = connection->net;
	uint64_t limit = net->config->max_connections;
	bool is_full = limit && others >= limit;
	/* First: a client at its own limit must not evict the connections of others. */
	enum pipit_refusal reason = connection->is_proxied ? PIPIT_REFUSAL_NONE : count_address(connection);

	/* A refusal with a reply takes the place of an earlier one. */
	if (reason == PIPIT_REFUSAL_TOO_MANY_FROM_ADDRESS && is_full && evict(net, LINGERING) == PROTECTED)
		pipit_connection_end(connection, PIPIT_ABORT);
	if (reason != PIPIT_REFUSAL_NONE)
		return reason;
	return is_full && !evict_for_new(net, others - limit) ? PIPIT_REFUSAL_TOO_MANY_CONNECTIONS : PIPIT_REFUSAL_NONE;
}

enum pipit_refusal pipit_eviction_admit(struct pipit_connection *connection)
{
	uint64_t others = pipit_limits_add_connection(connection->net->limits);
	connection->slot = PIPIT_SLOT_GLOBAL;
	return judge(connection, others);
}

enum pipit_refusal pipit_eviction_admit_client(struct pipit_connection *connection)
{
	return count_address(connection);
}
