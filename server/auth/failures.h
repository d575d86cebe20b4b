/* SPDX-License-Identifier: MIT */
/*
 * Attempts and failures per client address: an IPv4 address or an IPv6 /64 network. A table of fixed size; any thread.
 *
 * A failure delays its reply, and the delay doubles up to five seconds. An address has a bounded number of attempts in progress, and those
 * that wait for their delayed reply count: connections beside each other do not guess faster.
 */
#ifndef PIPIT_FAILURES_H
#define PIPIT_FAILURES_H

#include "auth/digest.h"

enum {
	PIPIT_FAILURES_ADDRESSES = 4096,
	PIPIT_FAILURES_ATTEMPTS_MAX = 16, /* of one address at a time */
	PIPIT_FAILURES_FIRST_DELAY_MS = 250,
	PIPIT_FAILURES_DELAY_MAX_MS = 5000,
	PIPIT_FAILURES_FORGOTTEN_MS = 300000, /* without a further failure */
};

struct pipit_failures;

struct pipit_failures_address {
	uint8_t bytes[8];
};

/* peer: numeric. Those that are no address ("-") are one. */
struct pipit_failures_address pipit_failures_read_address(const char *peer);

/* key: copied. NULL when memory is short. */
struct pipit_failures *pipit_failures_new(const struct pipit_digest_key *key);
void pipit_failures_free(struct pipit_failures *failures);

/* False: the address, or the table's part for it, has too many attempts. Otherwise pipit_failures_end() must follow. */
bool pipit_failures_begin(struct pipit_failures *failures, struct pipit_failures_address address, uint64_t now_ms);

/* Of an attempt that has begun. Returns the delay in milliseconds; *count: failures until now. */
unsigned pipit_failures_add(
    struct pipit_failures *failures, struct pipit_failures_address address, uint64_t now_ms, unsigned *count);

void pipit_failures_end(struct pipit_failures *failures, struct pipit_failures_address address);

#endif
