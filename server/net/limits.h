/* SPDX-License-Identifier: MIT */
/*
 * The house: what all workers of a server share of its limits. How many connections there are, how many of one client's, and
 * how many bytes are buffered for all of them.
 *
 * Every function may be called from any thread. Counting connections and bytes takes no lock; the table of client addresses,
 * which is asked when a connection comes and goes, has one.
 */
#ifndef PIPIT_LIMITS_H
#define PIPIT_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct pipit_limits;

/* max_per_address: connections of one client; 0: any number, and no table is kept. NULL when memory is short. */
struct pipit_limits *pipit_limits_new(uint64_t max_per_address);

/* Everybody has left, or will not call again. NULL is harmless. */
void pipit_limits_free(struct pipit_limits *limits);

/* --- connections ---------------------------------------------------------------------------------------------------- */

/* One more; returns how many there were. */
uint64_t pipit_limits_add_connection(struct pipit_limits *limits);
void pipit_limits_remove_connection(struct pipit_limits *limits);
uint64_t pipit_limits_connections(const struct pipit_limits *limits);

enum pipit_limits_answer { PIPIT_LIMITS_ADDED, PIPIT_LIMITS_TOO_MANY, PIPIT_LIMITS_NO_MEMORY };

/*
 * A connection of this client: an IPv4 address, or the /64 of an IPv6 address, which is what one customer is given
 * (RFC 6177); an IPv4-mapped address is the IPv4 address. Other families are always welcome. WELCOME must be followed by one
 * pipit_limits_remove_address(), unless max_per_address is 0: then neither does anything.
 */
enum pipit_limits_answer pipit_limits_add_address(struct pipit_limits *limits, const struct sockaddr *client);
void pipit_limits_remove_address(struct pipit_limits *limits, const struct sockaddr *client);

/* --- buffered bytes ------------------------------------------------------------------------------------------------- */

/* What is buffered: heads that are not whole and input behind them, and everything else. */
enum pipit_limits_kind { PIPIT_LIMITS_INPUT, PIPIT_LIMITS_CONTENT, PIPIT_LIMITS_KINDS };

/*
 * So many bytes more. False, and nothing taken, when that would be more than `limit` (0: none): of input, when it is input,
 * else of all together. So neither content nor replies ever keep heads out, and heads keep out at most their own limit.
 */
bool pipit_limits_take_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes, uint64_t limit);

/* Whether there is room or not: they are there already. */
void pipit_limits_add_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes);
void pipit_limits_release_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes);

/* Buffered now, of all kinds. */
uint64_t pipit_limits_bytes(const struct pipit_limits *limits);

#endif
