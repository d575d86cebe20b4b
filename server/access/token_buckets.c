/* SPDX-License-Identifier: MIT */
/*
 * A bucket is the time at which it is full again; the number of its tokens follows from that (the generic cell rate algorithm). A time in
 * the past is a full bucket, which needs no place in the table.
 *
 * Each set of the table has a lock of its own, held for a walk over 8 entries: workers meet there only for one client, or for the few that
 * the secret hash puts together, and a client slows down its own requests at most. Two atomic words would have to change together.
 */
#include "access/token_buckets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 8
#define SETS (PIPIT_TOKEN_BUCKETS_ADDRESSES / WAYS)

_Static_assert((SETS & (SETS - 1)) == 0, "a hash chooses a set");

struct entry {
	uint64_t address;
	uint64_t full_ns; /* when the bucket is full; 0: free */
};

struct set {
	pthread_mutex_t lock;
	struct entry entries[WAYS];
};

struct pipit_token_buckets {
	uint64_t interval_ns, burst_ns; /* burst_ns: from an empty bucket to a full one */
	uint64_t factors[3];            /* secret */
	struct set sets[SETS];
};

struct pipit_token_buckets *pipit_token_buckets_new(uint64_t interval_ns, uint64_t burst)
{
	struct pipit_token_buckets *buckets = calloc(1, sizeof *buckets);

	if (!buckets)
		return NULL;
	buckets->interval_ns = interval_ns;
	buckets->burst_ns = interval_ns * burst;
	/* Early in the boot of a machine there are none; then addresses that share a set can be found, to no great profit. */
	if (getrandom(buckets->factors, sizeof buckets->factors, GRND_NONBLOCK) != sizeof buckets->factors)
		memset(buckets->factors, 0x5A, sizeof buckets->factors);
	for (size_t i = 0; i < SETS; i++)
		pthread_mutex_init(&buckets->sets[i].lock, NULL);
	return buckets;
}

void pipit_token_buckets_free(struct pipit_token_buckets *buckets)
{
	if (!buckets)
		return;
	for (size_t i = 0; i < SETS; i++)
		pthread_mutex_destroy(&buckets->sets[i].lock);
	free(buckets);
}

/*
 * Pair-multiply-shift (Thorup, "High Speed Hashing for Integers and Strings"): two addresses share a set with a chance of 1 in SETS. With
 * some factors, addresses in a row would fill few sets: mixed, as MurmurHash3 ends, they fill all.
 */
static struct set *set_of(struct pipit_token_buckets *buckets, uint64_t address)
{
	uint64_t low = (uint32_t)address, high = address >> 32;
	uint64_t hash = (buckets->factors[0] + low) * (buckets->factors[1] + high) + buckets->factors[2];

	hash ^= hash >> 33;
	hash *= 0xFF51AFD7ED558CCD;
	hash ^= hash >> 33;
	return &buckets->sets[(hash >> 32) % SETS];
}

/* The entry of the address, or the one that it may replace: a free one, or the fullest bucket. */
static struct entry *find(struct set *set, uint64_t address)
{
	struct entry *fullest = &set->entries[0];

	for (size_t i = 0; i < WAYS; i++) {
		struct entry *entry = &set->entries[i];
		if (entry->full_ns && entry->address == address)
			return entry;
		if (entry->full_ns < fullest->full_ns)
			fullest = entry;
	}
	return fullest;
}

uint64_t pipit_token_buckets_take(
    struct pipit_token_buckets *buckets, const uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES], uint64_t now_ns)
{
	uint64_t number, full_ns = now_ns, wait_ns = 0;
	struct entry *entry;
	struct set *set;

	memcpy(&number, address, sizeof number);
	set = set_of(buckets, number);
	pthread_mutex_lock(&set->lock);
	entry = find(set, number);
	if (entry->address == number && entry->full_ns > now_ns)
		full_ns = entry->full_ns;
	full_ns += buckets->interval_ns;
	if (full_ns - now_ns > buckets->burst_ns)
		wait_ns = full_ns - now_ns - buckets->burst_ns;
	else
		*entry = (struct entry){ number, full_ns };
	pthread_mutex_unlock(&set->lock);
	return wait_ns;
}
