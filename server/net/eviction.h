/* SPDX-License-Identifier: MIT */
/* The limits on connections, and which connection is evicted for a new one. */
#ifndef PIPIT_EVICTION_H
#define PIPIT_EVICTION_H

#include "base/refusal.h"

#include <stdbool.h>

struct pipit_connection;
struct pipit_net;

/*
 * Take a slot for an accepted connection, whose peer is set; evict another when the limit is reached. PIPIT_REFUSAL_NONE, or the reason
 * to refuse it.
 */
enum pipit_refusal pipit_eviction_admit(struct pipit_connection *connection);

/*
 * The client is known by its PROXY header: it counts against the limit per address, instead of its proxy. PIPIT_REFUSAL_NONE, or the
 * reason to refuse it.
 */
enum pipit_refusal pipit_eviction_admit_client(struct pipit_connection *connection);

/*
 * Evict the connection of this worker with the lowest priority, within a rank the oldest. False when there is none:
 * 1. answered, lingers;
 * 2. no byte, or no whole head, within a second;
 * 3. idle between requests;
 * 4. body or reply below the minimum rate after a second: at the limit the grace is short;
 * 5. accepted, or began its head, within the last second: clients that trickle evict each other; a client that sends its head at once
 *    is served before.
 * A connection with unread bytes is not evicted, unless there is no other and these are its first.
 */
bool pipit_eviction_evict(struct pipit_net *net);

/* Rank 1 only. */
void pipit_eviction_evict_lingering(struct pipit_net *net);

/* Evict the oldest connection with a partial head, for its input buffer; never `asking`. False when there is none. */
bool pipit_eviction_free_bytes(struct pipit_connection *asking);

#endif
