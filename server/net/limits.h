/* SPDX-License-Identifier: MIT */
/*
 * The house: what all workers of a server share of its limits. How many connections there are, how many of one client's, and
 * how many bytes are buffered for all of them.
 *
 * Every function may be called from any thread. Counting connections and bytes takes no lock; the table of client addresses,
 * which is asked when a connection comes and goes, has one.
 */
#ifndef PIPIT_HOUSE_H
#define PIPIT_HOUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct pipit_house;

/* max_per_address: connections of one client; 0: any number, and no table is kept. NULL when memory is short. */
struct pipit_house *pipit_house_new(uint64_t max_per_address);

/* Everybody has left, or will not call again. NULL is harmless. */
void pipit_house_free(struct pipit_house *house);

/* --- connections ---------------------------------------------------------------------------------------------------- */

/* One more; returns how many there were. */
uint64_t pipit_house_enter(struct pipit_house *house);
void pipit_house_leave(struct pipit_house *house);
uint64_t pipit_house_connections(const struct pipit_house *house);

enum pipit_house_answer { PIPIT_HOUSE_WELCOME, PIPIT_HOUSE_TOO_MANY, PIPIT_HOUSE_NO_MEMORY };

/*
 * A connection of this client: an IPv4 address, or the /64 of an IPv6 address, which is what one customer is given
 * (RFC 6177); an IPv4-mapped address is the IPv4 address. Other families are always welcome. WELCOME must be followed by one
 * pipit_house_let_go(), unless max_per_address is 0: then neither does anything.
 */
enum pipit_house_answer pipit_house_let_in(struct pipit_house *house, const struct sockaddr *client);
void pipit_house_let_go(struct pipit_house *house, const struct sockaddr *client);

/* --- buffered bytes ------------------------------------------------------------------------------------------------- */

/* What is buffered: heads that are not whole and input behind them, and everything else. */
enum pipit_house_kind { PIPIT_HOUSE_INPUT, PIPIT_HOUSE_CONTENT, PIPIT_HOUSE_KINDS };

/*
 * So many bytes more. False, and nothing taken, when that would be more than `limit` (0: none): of input, when it is input,
 * else of all together. So neither content nor replies ever keep heads out, and heads keep out at most their own limit.
 */
bool pipit_house_take(struct pipit_house *house, enum pipit_house_kind kind, uint64_t bytes, uint64_t limit);

/* Whether there is room or not: they are there already. */
void pipit_house_overdraw(struct pipit_house *house, enum pipit_house_kind kind, uint64_t bytes);
void pipit_house_give_back(struct pipit_house *house, enum pipit_house_kind kind, uint64_t bytes);

/* Buffered now, of all kinds. */
uint64_t pipit_house_bytes(const struct pipit_house *house);

#endif
