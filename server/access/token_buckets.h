/* SPDX-License-Identifier: MIT */
/*
 * A token bucket for each client address, in a table of fixed size. Any thread.
 *
 * When the table has no room for a new address, the fullest bucket of a few is replaced: its client has the least to gain. Addresses are
 * spread by a secret hash, and a new address begins with a full bucket, so that many addresses cost no memory and lock no one out.
 */
#ifndef PIPIT_TOKEN_BUCKETS_H
#define PIPIT_TOKEN_BUCKETS_H

#include "net/limits.h"

enum { PIPIT_TOKEN_BUCKETS_ADDRESSES = 16384 };

struct pipit_token_buckets;

/* A token comes every interval_ns; a bucket holds `burst` of them, at least 1. NULL: out of memory. */
struct pipit_token_buckets *pipit_token_buckets_new(uint64_t interval_ns, uint64_t burst);
void pipit_token_buckets_free(struct pipit_token_buckets *buckets);

/* Takes a token: 0. Or says after how many nanoseconds there is one. now_ns: monotonic, above 0. */
uint64_t pipit_token_buckets_take(
    struct pipit_token_buckets *buckets, const uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES], uint64_t now_ns);

#endif
