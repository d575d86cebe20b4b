/* SPDX-License-Identifier: MIT */
/*
 * Digests, by nettle: HMAC-SHA-256 under a random key of the process, and SHA-256. Pure, any thread.
 *
 * Secrets are looked up by their keyed digests: no client can choose a secret whose digest it knows, so the time of a search
 * says nothing about the secrets that it compares.
 */
#ifndef PIPIT_DIGEST_H
#define PIPIT_DIGEST_H

#include "base/slice.h"

#include <stdint.h>

#define PIPIT_DIGEST_SIZE 32

struct pipit_digest {
	uint8_t bytes[PIPIT_DIGEST_SIZE];
};

struct pipit_digest_key {
	uint8_t bytes[PIPIT_DIGEST_SIZE];
};

/* Random. 0 or a negative errno value. */
int pipit_digest_new_key(struct pipit_digest_key *key);

/* Of the parts and their lengths: ("a", "bc") and ("ab", "c") differ. */
struct pipit_digest pipit_digest_keyed(
    const struct pipit_digest_key *key, const struct pipit_slice *parts, size_t count);

struct pipit_digest pipit_digest_sha256(struct pipit_slice text);

/* In constant time. */
bool pipit_digest_is_same(const struct pipit_digest *one, const struct pipit_digest *other);

/* In constant time, for texts of the same length. */
bool pipit_digest_is_same_text(const char *one, const char *other);

#endif
