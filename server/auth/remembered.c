/* SPDX-License-Identifier: MIT */
#include "auth/remembered.h"

#include <pthread.h>
#include <stdlib.h>

#define SETS 256
#define WAYS 4

struct success {
	struct pipit_digest digest;
	uint64_t until_ms; /* 0: free */
};

/* A digest is in the set that its first byte names. */
struct pipit_remembered {
	pthread_mutex_t lock;
	struct success sets[SETS][WAYS];
};

struct pipit_remembered *pipit_remembered_new(void)
{
	struct pipit_remembered *remembered = calloc(1, sizeof *remembered);
	if (remembered)
		pthread_mutex_init(&remembered->lock, NULL);
	return remembered;
}

void pipit_remembered_free(struct pipit_remembered *remembered)
{
	if (!remembered)
		return;
	pthread_mutex_destroy(&remembered->lock);
	free(remembered);
}

static struct success *find(struct pipit_remembered *remembered, const struct pipit_digest *digest)
{
	struct success *set = remembered->sets[digest->bytes[0]];
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].until_ms && pipit_digest_is_same(&set[i].digest, digest))
			return &set[i];
	}
	return NULL;
}

static struct success *oldest(struct pipit_remembered *remembered, const struct pipit_digest *digest)
{
	struct success *set = remembered->sets[digest->bytes[0]], *best = set;
	for (size_t i = 1; i < WAYS; i++) {
		if (set[i].until_ms < best->until_ms)
			best = &set[i];
	}
	return best;
}

void pipit_remembered_add(struct pipit_remembered *remembered, const struct pipit_digest *digest, uint64_t now_ms)
{
	struct success *success;

	pthread_mutex_lock(&remembered->lock);
	success = find(remembered, digest);
	if (!success)
		success = oldest(remembered, digest);
	*success = (struct success){ *digest, now_ms + PIPIT_REMEMBERED_MS };
	pthread_mutex_unlock(&remembered->lock);
}

bool pipit_remembered_has(struct pipit_remembered *remembered, const struct pipit_digest *digest, uint64_t now_ms)
{
	const struct success *success;
	bool is_fresh;

	pthread_mutex_lock(&remembered->lock);
	success = find(remembered, digest);
	is_fresh = success && now_ms < success->until_ms;
	pthread_mutex_unlock(&remembered->lock);
	return is_fresh;
}
