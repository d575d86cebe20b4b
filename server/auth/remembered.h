/* SPDX-License-Identifier: MIT */
/*
 * Passwords that were right, for a minute, as keyed digests: a hash that takes 100 ms is computed once a minute and user. Bounded: a new
 * one may replace an old one. Any thread.
 */
#ifndef PIPIT_REMEMBERED_H
#define PIPIT_REMEMBERED_H

#include "auth/digest.h"

#define PIPIT_REMEMBERED_MS 60000

struct pipit_remembered;

/* NULL when memory is short. */
struct pipit_remembered *pipit_remembered_new(void);
void pipit_remembered_free(struct pipit_remembered *remembered);

/* digest: of all that makes the password right. now_ms: monotonic. */
void pipit_remembered_add(struct pipit_remembered *remembered, const struct pipit_digest *digest, uint64_t now_ms);
bool pipit_remembered_has(struct pipit_remembered *remembered, const struct pipit_digest *digest, uint64_t now_ms);

#endif
