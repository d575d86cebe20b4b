/* SPDX-License-Identifier: MIT */
/* See limits.h. The table of addresses is a balanced tree (search.h): no client can choose addresses that make it slow. */
#include "net/limits.h"

#include <netinet/in.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct client {
	uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES];
	uint64_t connections;
};

struct pipit_limits {
	uint64_t max_per_address;
	_Atomic uint64_t connections;
	_Atomic uint64_t bytes[PIPIT_LIMITS_KINDS];
	pthread_mutex_t lock;
	void *clients; /* tree of struct client, owned */
};

struct pipit_limits *pipit_limits_new(uint64_t max_per_address)
{
	struct pipit_limits *limits = calloc(1, sizeof *limits);
	if (!limits)
		return NULL;
	limits->max_per_address = max_per_address;
	pthread_mutex_init(&limits->lock, NULL);
	return limits;
}

void pipit_limits_free(struct pipit_limits *limits)
{
	if (!limits)
		return;
	tdestroy(limits->clients, free);
	pthread_mutex_destroy(&limits->lock);
	free(limits);
}

/* --- connections ---------------------------------------------------------------------------------------------------- */

uint64_t pipit_limits_add_connection(struct pipit_limits *limits)
{
	return atomic_fetch_add_explicit(&limits->connections, 1, memory_order_relaxed);
}

void pipit_limits_remove_connection(struct pipit_limits *limits)
{
	atomic_fetch_sub_explicit(&limits->connections, 1, memory_order_relaxed);
}

uint64_t pipit_limits_connections(const struct pipit_limits *limits)
{
	return atomic_load_explicit(&limits->connections, memory_order_relaxed);
}

static int compare(const void *left, const void *right)
{
	return memcmp(((const struct client *)left)->address, ((const struct client *)right)->address,
	    sizeof((const struct client *)left)->address);
}

/* The first half of an IPv6 address, or an IPv4 address behind zeros, where no IPv6 client is (0::/32 is not routed). */
bool pipit_limits_read_address(const struct sockaddr *from, uint8_t address[PIPIT_LIMITS_ADDRESS_BYTES])
{
	const struct in6_addr *v6;

	memset(address, 0, PIPIT_LIMITS_ADDRESS_BYTES);
	if (!from)
		return false;
	v6 = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
	if (from->sa_family == AF_INET)
		memcpy(address + 4, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	else if (from->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6))
		memcpy(address + 4, v6->s6_addr + 12, 4);
	else if (from->sa_family == AF_INET6)
		memcpy(address, v6->s6_addr, 8);
	else
		return false;
	return true;
}

static bool read_client(const struct sockaddr *from, struct client *client)
{
	memset(client, 0, sizeof *client);
	return pipit_limits_read_address(from, client->address);
}

/* NULL when memory is short. */
static struct client *find_or_add(struct pipit_limits *limits, const struct client *wanted)
{
	struct client **found = tfind(wanted, &limits->clients, compare), *added;
	if (found)
		return *found;
	added = malloc(sizeof *added);
	if (!added)
		return NULL;
	*added = *wanted;
	if (tsearch(added, &limits->clients, compare))
		return added;
	free(added);
	return NULL;
}

enum pipit_limits_answer pipit_limits_add_address(struct pipit_limits *limits, const struct sockaddr *from)
{
	enum pipit_limits_answer answer = PIPIT_LIMITS_ADDED;
	struct client wanted, *client;

	if (!limits->max_per_address || !read_client(from, &wanted))
		return PIPIT_LIMITS_ADDED;
	pthread_mutex_lock(&limits->lock);
	client = find_or_add(limits, &wanted);
	if (!client)
		answer = PIPIT_LIMITS_NO_MEMORY;
	else if (client->connections == limits->max_per_address)
		answer = PIPIT_LIMITS_TOO_MANY;
	else
		client->connections++;
	pthread_mutex_unlock(&limits->lock);
	return answer;
}

void pipit_limits_remove_address(struct pipit_limits *limits, const struct sockaddr *from)
{
	struct client wanted, **found, *client;

	if (!limits->max_per_address || !read_client(from, &wanted))
		return;
	pthread_mutex_lock(&limits->lock);
	found = tfind(&wanted, &limits->clients, compare);
	client = found ? *found : NULL;
	if (client && --client->connections == 0) {
		tdelete(client, &limits->clients, compare);
		free(client);
	}
	pthread_mutex_unlock(&limits->lock);
}

/* --- buffered bytes ------------------------------------------------------------------------------------------------- */

bool pipit_limits_take_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes, uint64_t limit)
{
	uint64_t before = atomic_load_explicit(&limits->bytes[kind], memory_order_relaxed), others;
	do {
		others = kind == PIPIT_LIMITS_INPUT
			     ? 0
			     : atomic_load_explicit(&limits->bytes[PIPIT_LIMITS_INPUT], memory_order_relaxed);
		if (limit && before + others + bytes > limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &limits->bytes[kind], &before, before + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void pipit_limits_add_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes)
{
	atomic_fetch_add_explicit(&limits->bytes[kind], bytes, memory_order_relaxed);
}

void pipit_limits_release_bytes(struct pipit_limits *limits, enum pipit_limits_kind kind, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&limits->bytes[kind], bytes, memory_order_relaxed);
}

uint64_t pipit_limits_bytes(const struct pipit_limits *limits)
{
	uint64_t bytes = 0;
	for (int kind = 0; kind < PIPIT_LIMITS_KINDS; kind++)
		bytes += atomic_load_explicit(&limits->bytes[kind], memory_order_relaxed);
	return bytes;
}
