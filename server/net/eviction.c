/* SPDX-License-Identifier: MIT */
/* See eviction.h. */
#include "net/eviction.h"

#include "net/net.h"

/* In a full house a head must be there, and content and replies have the minimum rate, after so long. */
#define CROWDED_GRACE_MS 1000
/* After a look that has found nobody. */
#define BARREN_MS 20
/* Connections above the limit that are let in on another worker's word: it needs a moment to keep it. */
#define OVERBOOKED_MAX 32

/* --- who can be spared ---------------------------------------------------------------------------------------------- */

/* In the order of pipit_eviction_evict(). */
enum rank { ANSWERED, LATE, KEPT_ALIVE, SLOW, ARRIVING, INDISPENSABLE };

static uint64_t since_ms(const struct pipit_connection *connection)
{
	return connection->state == PIPIT_CONNECTION_IDLE ? connection->moved_ms : connection->since_ms;
}

static enum rank rank_of(const struct pipit_connection *connection)
{
	uint64_t now_ms = connection->net->now_ms;
	bool is_late = now_ms - since_ms(connection) > CROWDED_GRACE_MS;

	switch (connection->state) {
	case PIPIT_CONNECTION_LINGER:
		return ANSWERED;
	case PIPIT_CONNECTION_IDLE:
		return connection->requests ? KEPT_ALIVE : is_late ? LATE : ARRIVING;
	case PIPIT_CONNECTION_HEAD:
		return is_late ? LATE : ARRIVING;
	case PIPIT_CONNECTION_BODY:
	case PIPIT_CONNECTION_SENDING:
		return pipit_connection_is_too_slow(connection, now_ms, CROWDED_GRACE_MS) ? SLOW : INDISPENSABLE;
	default:
		return INDISPENSABLE;
	}
}

/* Rank first, then how long. */
static uint64_t key_of(const struct pipit_connection *connection)
{
	return (uint64_t)rank_of(connection) << 60 | since_ms(connection);
}

static bool is_indispensable(uint64_t key)
{
	return key >> 60 == INDISPENSABLE;
}

/* Into its place among the candidates, which are in ascending order; the last one falls out when there are too many. */
static void consider(struct pipit_net *net, struct pipit_connection *connection)
{
	struct pipit_candidate *candidates = net->candidates;
	struct pipit_candidate found = { connection, key_of(connection) };
	size_t place = net->candidate_count;

	if (is_indispensable(found.key))
		return;
	if (place == PIPIT_CANDIDATES_MAX && candidates[--place].key <= found.key)
		return;
	for (; place > 0 && candidates[place - 1].key > found.key; place--)
		candidates[place] = candidates[place - 1];
	candidates[place] = found;
	if (net->candidate_count < PIPIT_CANDIDATES_MAX)
		net->candidate_count++;
}

static void find_candidates(struct pipit_net *net, bool is_last_resort)
{
	net->candidate_at = net->candidate_count = 0;
	net->is_last_resort = is_last_resort;
	for (struct pipit_connection *at = net->all; at; at = at->next) {
		if (!pipit_connection_is_dead(at))
			consider(net, at);
	}
}

/* Its next bytes have arrived and are not read yet: of one that is kept alive they may be a whole request. */
static bool is_waiting_for_us(const struct pipit_connection *connection, bool is_last_resort)
{
	return connection->state == PIPIT_CONNECTION_IDLE && (connection->requests || !is_last_resort) &&
	       !pipit_connection_is_quiet(connection);
}

/* Something may have happened since the look. */
static bool can_still_be_spared(const struct pipit_candidate *candidate, bool is_last_resort)
{
	const struct pipit_connection *connection = candidate->connection;
	return connection && !pipit_connection_is_dead(connection) && key_of(connection) == candidate->key &&
	       !is_waiting_for_us(connection, is_last_resort);
}

/* The first of the candidates that were found who can still be spared, and has no worse a rank, leaves. Returns the rank;
 * INDISPENSABLE when there is none. */
static enum rank evict_candidate(struct pipit_net *net, enum rank worst)
{
	for (; net->candidate_at < net->candidate_count; net->candidate_at++) {
		struct pipit_candidate *candidate = &net->candidates[net->candidate_at];
		if (candidate->key >> 60 > worst)
			return INDISPENSABLE;
		if (!can_still_be_spared(candidate, net->is_last_resort))
			continue;
		pipit_connection_drop(candidate->connection);
		pipit_counters_add(net->counters, PIPIT_COUNT_EVICTED, 1);
		net->candidate_at++;
		return candidate->key >> 60;
	}
	return INDISPENSABLE;
}

static enum rank evict(struct pipit_net *net, enum rank worst)
{
	uint64_t *barren_until_ms = &net->barren_until_ms[worst == ANSWERED];
	enum rank rank = evict_candidate(net, worst);

	/* A crowd that nobody makes room for must not cost a look each. */
	if (rank != INDISPENSABLE || net->now_ms < *barren_until_ms)
		return rank;
	find_candidates(net, false);
	rank = evict_candidate(net, worst);
	if (rank == INDISPENSABLE && worst >= ARRIVING && net->candidate_count > 0) {
		find_candidates(net, true);
		rank = evict_candidate(net, worst);
	}
	if (rank == INDISPENSABLE)
		*barren_until_ms = net->now_ms + BARREN_MS;
	return rank;
}

bool pipit_eviction_evict(struct pipit_net *net)
{
	return evict(net, ARRIVING) != INDISPENSABLE;
}

void pipit_eviction_evict_lingering(struct pipit_net *net)
{
	evict(net, ANSWERED);
}

bool pipit_eviction_free_bytes(struct pipit_connection *asking)
{
	struct pipit_net *net = asking->net;
	struct pipit_connection *oldest = NULL;
	for (struct pipit_connection *at = net->all; at; at = at->next) {
		if (at == asking || at->state != PIPIT_CONNECTION_HEAD || pipit_connection_is_dead(at))
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

static bool has_lingering(const struct pipit_net *net)
{
	return pipit_counters_in_state(net->counters, PIPIT_STATE_CLOSING) > 0;
}

/* One in, one out. Whoever was refused and only lingers has been let in above the limit, so he makes room for nobody. */
static bool make_room_here(struct pipit_net *net, uint64_t excess)
{
	for (;;) {
		enum rank rank = evict(net, ARRIVING);
		if (rank == INDISPENSABLE)
			return false;
		if (rank != ANSWERED || excess-- == 0)
			return true;
	}
}

/*
 * Here, or at another worker: then there is one too many for a moment. Nobody has to leave while somebody only lingers, here or
 * there. One that has many more to spare is asked first, or the newcomers of a worker with few connections would push out each
 * other.
 */
static bool make_room(struct pipit_net *net, uint64_t excess)
{
	const struct pipit_handler_table *hooks = net->hooks;
	bool may_ask = excess < OVERBOOKED_MAX;
	if (may_ask && !has_lingering(net) && hooks->make_room_elsewhere(net->context, PIPIT_ROOM_LINGERING))
		return true;
	return (may_ask && hooks->make_room_elsewhere(net->context, PIPIT_ROOM_MANY)) || make_room_here(net, excess) ||
	       (may_ask && hooks->make_room_elsewhere(net->context, PIPIT_ROOM_ANY));
}

/* Why it cannot stay; PIPIT_REFUSAL_NONE when it can. */
static enum pipit_refusal judge(struct pipit_connection *connection, uint64_t others)
{
	struct pipit_net *net = connection->net;
	uint64_t limit = net->config->max_connections;
	bool is_full = limit && others >= limit;

	/* Of its own many first: a client does not push out others with connections that it may not have. */
	switch (pipit_limits_add_address(net->limits, &connection->peer.any)) {
	case PIPIT_LIMITS_TOO_MANY:
		/* To be told why, it may take the place of another that has been told. */
		if (is_full && evict(net, ANSWERED) == INDISPENSABLE)
			connection->end = PIPIT_ABORT;
		return PIPIT_REFUSAL_TOO_MANY_FROM_ADDRESS;
	case PIPIT_LIMITS_NO_MEMORY:
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	default:
		connection->slot = PIPIT_SLOT_GLOBAL_AND_ADDRESS;
	}
	return is_full && !make_room(net, others - limit) ? PIPIT_REFUSAL_TOO_MANY_CONNECTIONS : PIPIT_REFUSAL_NONE;
}

enum pipit_refusal pipit_eviction_admit(struct pipit_connection *connection)
{
	uint64_t others = pipit_limits_add_connection(connection->net->limits);
	connection->slot = PIPIT_SLOT_GLOBAL;
	return judge(connection, others);
}
