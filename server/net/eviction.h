/* SPDX-License-Identifier: MIT */
/* Who comes in, and who leaves for it: new connections, the limits on their number, and room in a full limits. */
#ifndef PIPIT_EVICTION_H
#define PIPIT_EVICTION_H

#include "base/refusal.h"

#include <stdbool.h>

struct pipit_connection;
struct pipit_net;

/*
 * A connection was accepted: count it among the limits, and make room for it when they are reached. Its peer is known already.
 * PIPIT_REFUSAL_NONE, or why it is to be refused.
 */
enum pipit_refusal pipit_eviction_admit(struct pipit_connection *connection);

/*
 * The connection of this worker that can be spared best leaves. False when none can:
 * 1. one that has been answered and only has its late bytes thrown away, the oldest first;
 * 2. one that has not sent a whole head, or no byte, within a second, the oldest first;
 * 3. one that is kept alive between requests, the longest idle first;
 * 4. one whose content or reply is slower than the minimum rate after a second: in a full house nobody has the long grace;
 * 5. one that has come or begun its head within the last second, the oldest first: of many that trickle each gives way to a
 *    newcomer, and a newcomer that sends its head at once is served before its turn comes.
 * One whose bytes have arrived and are not read yet is not disturbed, unless there is nobody else and these are its first.
 */
bool pipit_eviction_evict(struct pipit_net *net);

/* One that has been answered and only lingers, if there is one. */
void pipit_eviction_evict_lingering(struct pipit_net *net);

/* The oldest connection that has not sent a whole head leaves, for the bytes that it has buffered; never `asking`. False when
 * there is none. */
bool pipit_eviction_free_bytes(struct pipit_connection *asking);

#endif
