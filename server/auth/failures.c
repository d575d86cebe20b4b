/* SPDX-License-Identifier: MIT */
#include "auth/failures.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#define WAYS 8
#define SETS (PIPIT_FAILURES_ADDRESSES / WAYS)

struct entry {
	struct pipit_failures_address address;
	unsigned attempts; /* in progress */
	unsigned failures;
	uint64_t used_ms; /* the last failure, or the first attempt; 0: free */
};

/* The key decides the set: no client can choose addresses that fall into one. */
struct pipit_failures {
	pthread_mutex_t lock;
	struct pipit_digest_key key;
	struct entry sets[SETS][WAYS];
};

/* As limits.c. */
struct pipit_failures_address pipit_failures_read_address(const char *peer)
{
	struct pipit_failures_address address = { { 0 } };
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, peer, &v4) == 1) {
		memcpy(address.bytes + 4, &v4, 4);
	} else {
		char text[INET6_ADDRSTRLEN] = "";
		/* without a zone */
		size_t length = strcspn(peer, "%");
		if (length < sizeof text)
			memcpy(text, peer, length);
		if (inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6))
			memcpy(address.bytes + 4, v6.s6_addr + 12, 4);
		else if (text[0] != '\0' && inet_pton(AF_INET6, text, &v6) == 1)
			memcpy(address.bytes, v6.s6_addr, 8);
	}
	return address;
}

struct pipit_failures *pipit_failures_new(const struct pipit_digest_key *key)
{
	struct pipit_failures *failures = calloc(1, sizeof *failures);
	if (!failures)
		return NULL;
	failures->key = *key;
	pthread_mutex_init(&failures->lock, NULL);
	return failures;
}

void pipit_failures_free(struct pipit_failures *failures)
{
	if (!failures)
		return;
	pthread_mutex_destroy(&failures->lock);
	free(failures);
}

static struct entry *set_of(struct pipit_failures *failures, const struct pipit_failures_address *address)
{
	struct pipit_slice part = { (const char *)address->bytes, sizeof address->bytes };
	struct pipit_digest digest = pipit_digest_keyed(&failures->key, &part, 1);
	return failures->sets[(digest.bytes[0] | digest.bytes[1] << 8) % SETS];
}

static struct entry *find(struct entry *set, const struct pipit_failures_address *address)
{
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].used_ms && memcmp(set[i].address.bytes, address->bytes, sizeof address->bytes) == 0)
			return &set[i];
	}
	return NULL;
}

/* The one that was used longest ago; NULL: all have attempts in progress. */
static struct entry *replace(struct entry *set, const struct pipit_failures_address *address)
{
	struct entry *best = NULL;
	for (size_t i = 0; i < WAYS; i++) {
		if (!set[i].attempts && (!best || set[i].used_ms < best->used_ms))
			best = &set[i];
	}
	if (best)
		*best = (struct entry){ .address = *address };
	return best;
}

bool pipit_failures_begin(struct pipit_failures *failures, struct pipit_failures_address address, uint64_t now_ms)
{
	struct entry *set = set_of(failures, &address), *entry;
	bool may_begin;

	pthread_mutex_lock(&failures->lock);
	entry = find(set, &address);
	if (!entry)
		entry = replace(set, &address);
	may_begin = entry && entry->attempts < PIPIT_FAILURES_ATTEMPTS_MAX;
	if (may_begin) {
		entry->attempts++;
		if (!entry->used_ms)
			entry->used_ms = now_ms + 1;
	}
	pthread_mutex_unlock(&failures->lock);
	return may_begin;
}

static unsigned delay_of(unsigned failures)
{
	unsigned delay = PIPIT_FAILURES_FIRST_DELAY_MS;
	while (--failures > 0 && delay < PIPIT_FAILURES_DELAY_MAX_MS)
		delay *= 2;
	return delay < PIPIT_FAILURES_DELAY_MAX_MS ? delay : PIPIT_FAILURES_DELAY_MAX_MS;
}

unsigned pipit_failures_add(
    struct pipit_failures *failures, struct pipit_failures_address address, uint64_t now_ms, unsigned *count)
{
	struct entry *set = set_of(failures, &address), *entry;

	pthread_mutex_lock(&failures->lock);
	entry = find(set, &address);
	assert(entry && entry->attempts);
	if (now_ms + 1 > entry->used_ms + PIPIT_FAILURES_FORGOTTEN_MS)
		entry->failures = 0;
	entry->used_ms = now_ms + 1;
	*count = ++entry->failures;
	pthread_mutex_unlock(&failures->lock);
	return delay_of(*count);
}

void pipit_failures_end(struct pipit_failures *failures, struct pipit_failures_address address)
{
	struct entry *set = set_of(failures, &address), *entry;

	pthread_mutex_lock(&failures->lock);
	entry = find(set, &address);
	assert(entry && entry->attempts);
	entry->attempts--;
	pthread_mutex_unlock(&failures->lock);
}
