/* SPDX-License-Identifier: MIT */
/*
 * What the workers of a server count together: connections, connections per client address, buffered bytes. Any thread. Only the table
 * of addresses has a lock.
 */
#ifndef PIPIT_LIMITS_H
#define PIPIT_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct pipit_limits;

/* max_per_address: 0: no limit, and no table. NULL when memory is short. */
struct pipit_limits *pipit_limits_new(uint64_t max_per_address);

/* NULL is harmless. */
void pipit_limits_free(struct pipit_limits *limits);

/* --- connections ---------------------------------------------------------------------------------------------------- */

/* Returns the number before. */
uint64_t pipit_limits_add_connection(struct pipit_limits *limits);
void pipit_limits_remove_connection(struct pipit_limits *limits);
uint64_t pipit_limits_connections(const struct pipit_limits *limits);

#define PIPIT_LIMITS_ADDRESS_BYTES 8

/* What counts as one client, see pipit_limits_add_address(). False: not limited. from: NULL is a UNIX socket. */
bool pipit_limits_read_address(const struct sockaddr *from, uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES]);

enum pipit_limits_answer { PIPIT_LIMITS_ADDED, PIPIT_LIMITS_TOO_MANY, PIPIT_LIMITS_NO_MEMORY };

/*
 * A client is an IPv4 address (an IPv4-mapped one, too) or an IPv6 /64, which is what one customer gets (RFC 6177). Other families are
 * not limited. ADDED is followed by one pipit_limits_remove_address().
 */
enum pipit_limits_answer pipit_limits_add_address(struct pipit_limits *limits, const struct sockaddr *client);
void pipit_limits_remove_address(struct pipit_limits *limits, const struct sockaddr *client);

/* --- buffered bytes ------------------------------------------------------------------------------------------------- */

/* Unused input, and everything else. */
enum pipit_limits_kind { PIPIT_LIMITS_INPUT, PIPIT_LIMITS_OTHER, PIPIT_LIMITS_KINDS };

/*
 * False, and nothing is taken, when there would be more than `limit` (0: none): of input, for input; else of both. So bodies and replies
 * never keep heads out, and heads keep out at most their own limit.
 */
bool pipit_limits_take_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes, uint64_t limit);

/* Beyond any limit. */
void pipit_limits_add_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes);
void pipit_limits_release_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes);

/* Of both kinds. */
uint64_t pipit_limits_bytes(const struct pipit_limits *limits);

#endif
