/* SPDX-License-Identifier: MIT */
/* See limits.h. The table of addresses is the C library's search tree: no client can choose addresses that make it slow. */
#include "net/limits.h"

#include <netinet/in.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct client {
	uint8_t address[8]; /* see read_address() */
	uint64_t connections;
};

struct pipit_house {
	uint64_t max_per_address;
	_Atomic uint64_t connections;
	_Atomic uint64_t bytes[PIPIT_HOUSE_KINDS];
	pthread_mutex_t lock; /* of clients */
	void *clients;        /* tree of struct client, owned */
};

struct pipit_house *pipit_house_new(uint64_t max_per_address)
{
	struct pipit_house *house = calloc(1, sizeof *house);
	if (!house)
		return NULL;
	house->max_per_address = max_per_address;
	pthread_mutex_init(&house->lock, NULL);
	return house;
}

void pipit_house_free(struct pipit_house *house)
{
	if (!house)
		return;
	tdestroy(house->clients, free);
	pthread_mutex_destroy(&house->lock);
	free(house);
}

/* --- connections ---------------------------------------------------------------------------------------------------- */

uint64_t pipit_house_enter(struct pipit_house *house)
{
	return atomic_fetch_add_explicit(&house->connections, 1, memory_order_relaxed);
}

void pipit_house_leave(struct pipit_house *house)
{
	atomic_fetch_sub_explicit(&house->connections, 1, memory_order_relaxed);
}

uint64_t pipit_house_connections(const struct pipit_house *house)
{
	return atomic_load_explicit(&house->connections, memory_order_relaxed);
}

static int compare(const void *left, const void *right)
{
	return memcmp(((const struct client *)left)->address, ((const struct client *)right)->address,
	    sizeof((const struct client *)left)->address);
}

/* The first half of an IPv6 address; an IPv4 address behind zeros, where no IPv6 client is (0::/32 is not routed). False for
 * other families. */
static bool read_address(const struct sockaddr *from, struct client *client)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;

	memset(client, 0, sizeof *client);
	if (from->sa_family == AF_INET)
		memcpy(client->address + 4, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	else if (from->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6))
		memcpy(client->address + 4, v6->s6_addr + 12, 4);
	else if (from->sa_family == AF_INET6)
		memcpy(client->address, v6->s6_addr, 8);
	else
		return false;
	return true;
}

/* The client's entry, made when there was none; NULL when memory is short. */
static struct client *find_or_add(struct pipit_house *house, const struct client *wanted)
{
	struct client **found = tfind(wanted, &house->clients, compare), *added;
	if (found)
		return *found;
	added = malloc(sizeof *added);
	if (!added)
		return NULL;
	*added = *wanted;
	if (tsearch(added, &house->clients, compare))
		return added;
	free(added);
	return NULL;
}

enum pipit_house_answer pipit_house_let_in(struct pipit_house *house, const struct sockaddr *from)
{
	enum pipit_house_answer answer = PIPIT_HOUSE_WELCOME;
	struct client wanted, *client;

	if (!house->max_per_address || !read_address(from, &wanted))
		return PIPIT_HOUSE_WELCOME;
	pthread_mutex_lock(&house->lock);
	client = find_or_add(house, &wanted);
	if (!client)
		answer = PIPIT_HOUSE_NO_MEMORY;
	else if (client->connections == house->max_per_address)
		answer = PIPIT_HOUSE_TOO_MANY;
	else
		client->connections++;
	pthread_mutex_unlock(&house->lock);
	return answer;
}

void pipit_house_let_go(struct pipit_house *house, const struct sockaddr *from)
{
	struct client wanted, **found, *client;

	if (!house->max_per_address || !read_address(from, &wanted))
		return;
	pthread_mutex_lock(&house->lock);
	found = tfind(&wanted, &house->clients, compare);
	client = found ? *found : NULL;
	if (client && --client->connections == 0) {
		tdelete(client, &house->clients, compare);
		free(client);
	}
	pthread_mutex_unlock(&house->lock);
}

/* --- buffered bytes ------------------------------------------------------------------------------------------------- */

bool pipit_house_take(struct pipit_house *house, enum pipit_house_kind kind, uint64_t bytes, uint64_t limit)
{
	uint64_t before = atomic_load_explicit(&house->bytes[kind], memory_order_relaxed), others;
	do {
		others = kind == PIPIT_HOUSE_INPUT
			     ? 0
			     : atomic_load_explicit(&house->bytes[PIPIT_HOUSE_INPUT], memory_order_relaxed);
		if (limit && before + others + bytes > limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &house->bytes[kind], &before, before + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void pipit_house_overdraw(struct pipit_house *house, enum pipit_house_kind kind, uint64_t bytes)
{
	atomic_fetch_add_explicit(&house->bytes[kind], bytes, memory_order_relaxed);
}

void pipit_house_give_back(struct pipit_house *house, enum pipit_house_kind kind, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&house->bytes[kind], bytes, memory_order_relaxed);
}

uint64_t pipit_house_bytes(const struct pipit_house *house)
{
	uint64_t bytes = 0;
	for (int kind = 0; kind < PIPIT_HOUSE_KINDS; kind++)
		bytes += atomic_load_explicit(&house->bytes[kind], memory_order_relaxed);
	return bytes;
}
