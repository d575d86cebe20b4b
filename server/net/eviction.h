/* SPDX-License-Identifier: MIT */
/* The limits on the number of connections, and which connections are evicted for a new one. */
#ifndef PIPIT_EVICTION_H
#define PIPIT_EVICTION_H

#include "base/refusal.h"

#include <stdbool.h>

struct pipit_connection;
struct pipit_net;

/*
 * Take a slot for an accepted connection, whose peer is known; evict another when a limit is reached. PIPIT_REFUSAL_NONE, or the reason
 * to refuse it.
 */
enum pipit_refusal pipit_eviction_admit(struct pipit_connection *connection);

/*
 * Evict the connection of this worker with the lowest priority. False when there is none:
 * 1. one that is answered and lingers, the oldest first;
 * 2. one that has not sent a whole head, or no byte, within a second, the oldest first;
 * 3. one that is idle between requests, the longest idle first;
 * 4. one whose content or reply is slower than the minimum rate after a second: at the limit the grace is short;
 * 5. one that was accepted or began its head within the last second, the oldest first: clients that trickle evict each other, and a
 *    client that sends its head at once is served before.
 * A connection with unread bytes is spared, unless there is no other and these are its first.
 */
bool pipit_eviction_evict(struct pipit_net *net);

/* Only a connection that is answered and lingers. */
void pipit_eviction_evict_lingering(struct pipit_net *net);

/* Evict the oldest connection with a partial head, for its input buffer; never `asking`. False when there is none. */
bool pipit_eviction_free_bytes(struct pipit_connection *asking);

#endif
