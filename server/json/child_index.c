/* SPDX-License-Identifier: MIT */
/*
 * Members: a hash table. Elements: chunks of the list, whose lengths are added up to find a number; a chunk grows and
 * shrinks with its elements.
 */
#include "json/child_index.h"

#include "base/bytes.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#define CHUNK_LENGTH 64
#define SLOTS_FIRST 32
#define CHUNKS_FIRST 8

struct slot {
	cJSON *member; /* NULL: never used; `removed`: free again */
	uint64_t hash;
};

struct chunk {
	cJSON *first;
	size_t length; /* 0: `first` is not valid */
};

struct pipit_child_index {
	struct slot *slots; /* of an object; owned */
	size_t mask, used;  /* slots that are or were in use */
	const cJSON *duplicate;
	struct chunk *chunks; /* of an array; owned; at least one */
	size_t chunk_count, chunk_capacity, length;
};

static cJSON removed;

/* --- SipHash-1-3 with a key of the process, because clients choose the names ----------------------------------------- */

static struct {
	pthread_once_t once;
	uint64_t words[2];
} key = { .once = PTHREAD_ONCE_INIT };

static void make_key(void)
{
	if (getrandom(key.words, sizeof key.words, GRND_NONBLOCK) != sizeof key.words)
		key.words[0] = (uintptr_t)&key, key.words[1] = (uintptr_t)__builtin_frame_address(0);
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

static uint64_t hash_of(struct pipit_slice name)
{
	uint64_t v[4] = { key.words[0] ^ 0x736f6d6570736575u, key.words[1] ^ 0x646f72616e646f6du,
		key.words[0] ^ 0x6c7967656e657261u, key.words[1] ^ 0x7465646279746573u };
	uint64_t last = (uint64_t)name.length << 56;
	size_t i = 0;

	for (; name.length - i >= 8; i += 8)
		sip_word(v, pipit_bytes_load(name.data + i));
	for (unsigned shift = 0; i < name.length; i++, shift += 8)
		last |= (uint64_t)(unsigned char)name.data[i] << shift;
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int i_final = 0; i_final < 3; i_final++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- members --------------------------------------------------------------------------------------------------------- */

/* The slot of the name, or the free slot where the search ends. */
static struct slot *find_slot(const struct pipit_child_index *index, struct pipit_slice name, uint64_t hash)
{
	struct slot *slot = &index->slots[hash & index->mask];

	while (slot->member) {
		if (slot->hash == hash && slot->member != &removed && pipit_slice_equals(name, slot->member->string))
			return slot;
		slot = slot == &index->slots[index->mask] ? index->slots : slot + 1;
	}
	return slot;
}

static struct slot *slot_of(const struct pipit_child_index *index, const cJSON *member)
{
	struct pipit_slice name = pipit_slice_of(member->string);
	return find_slot(index, name, hash_of(name));
}

cJSON *pipit_child_index_member(const struct pipit_child_index *index, struct pipit_slice name)
{
	return find_slot(index, name, hash_of(name))->member;
}

/* The hashes are kept, because a read of each member is slow. */
static bool grow(struct pipit_child_index *index)
{
	struct slot *old = index->slots, *end = old + index->mask + 1;
	size_t mask = 2 * index->mask + 1;

	index->slots = calloc(mask + 1, sizeof *index->slots);
	if (!index->slots) {
		index->slots = old;
		return false;
	}
	index->mask = mask;
	index->used = 0;
	for (struct slot *slot = old; slot < end; slot++) {
		size_t at = (size_t)slot->hash & mask;
		if (!slot->member || slot->member == &removed)
			continue;
		while (index->slots[at].member)
			at = (at + 1) & mask;
		index->slots[at] = *slot;
		index->used++;
	}
	free(old);
	return true;
}

static bool add_hashed(struct pipit_child_index *index, const cJSON *item, struct pipit_slice name, uint64_t hash)
{
	struct slot *slot = find_slot(index, name, hash);

	if (slot->member) {
		if (!index->duplicate)
			index->duplicate = item;
		return true;
	}
	index->used++;
	*slot = (struct slot){ (cJSON *)item, hash };
	return index->used <= index->mask - index->mask / 4 || grow(index);
}

bool pipit_child_index_add_member(struct pipit_child_index *index, const cJSON *item)
{
	struct pipit_slice name = pipit_slice_of(item->string);
	return add_hashed(index, item, name, hash_of(name));
}

void pipit_child_index_remove_member(struct pipit_child_index *index, const cJSON *old)
{
	slot_of(index, old)->member = &removed;
}

void pipit_child_index_replace_member(struct pipit_child_index *index, const cJSON *old, const cJSON *item)
{
	slot_of(index, old)->member = (cJSON *)item;
}

/* So many slots are fetched into the cache at a time. */
#define BATCH 16

/* *member: the first one, then that after the batch. */
static bool add_batch(struct pipit_child_index *index, const cJSON **member)
{
	struct {
		const cJSON *member;
		struct pipit_slice name;
		uint64_t hash;
	} batch[BATCH];
	size_t count = 0;

	for (; *member && count < BATCH; *member = (*member)->next, count++) {
		struct pipit_slice name = pipit_slice_of((*member)->string);
		uint64_t hash = hash_of(name);
		batch[count].member = *member;
		batch[count].name = name;
		batch[count].hash = hash;
		__builtin_prefetch(&index->slots[hash & index->mask], 1);
	}
	for (size_t i = 0; i < count; i++) {
		if (!add_hashed(index, batch[i].member, batch[i].name, batch[i].hash))
			return false;
	}
	return true;
}

static bool index_members(struct pipit_child_index *index, const cJSON *object)
{
	const cJSON *member = object->child;
	size_t count = 0, slots = SLOTS_FIRST;

	pthread_once(&key.once, make_key);
	/* Counting is cheaper than growing. */
	for (const cJSON *counted = member; counted; counted = counted->next)
		count++;
	while (slots - slots / 4 <= count)
		slots *= 2;
	index->mask = slots - 1;
	index->slots = calloc(slots, sizeof *index->slots);
	if (!index->slots)
		return false;
	while (member) {
		if (!add_batch(index, &member))
			return false;
	}
	return true;
}

/* --- elements -------------------------------------------------------------------------------------------------------- */

/* *number: within the chunk. The end of the array is in the last chunk. */
static struct chunk *find_chunk(const struct pipit_child_index *index, size_t *number)
{
	struct chunk *chunk = index->chunks, *last = chunk + index->chunk_count - 1;

	while (chunk < last && *number >= chunk->length) {
		*number -= chunk->length;
		chunk++;
	}
	return chunk;
}

cJSON *pipit_child_index_element(const struct pipit_child_index *index, size_t number)
{
	struct chunk *chunk;
	cJSON *element;

	if (number >= index->length)
		return NULL;
	chunk = find_chunk(index, &number);
	for (element = chunk->first; number > 0; number--)
		element = element->next;
	return element;
}

size_t pipit_child_index_length(const struct pipit_child_index *index)
{
	return index->length;
}

void pipit_child_index_insert_element(struct pipit_child_index *index, size_t number, cJSON *item)
{
	struct chunk *chunk = find_chunk(index, &number);

	if (number == 0)
		chunk->first = item;
	chunk->length++;
	index->length++;
}

void pipit_child_index_remove_element(struct pipit_child_index *index, size_t number)
{
	struct chunk *chunk = find_chunk(index, &number);

	if (number == 0)
		chunk->first = chunk->first->next;
	chunk->length--;
	index->length--;
}

void pipit_child_index_replace_element(struct pipit_child_index *index, size_t number, cJSON *item)
{
	struct chunk *chunk = find_chunk(index, &number);

	if (number == 0)
		chunk->first = item;
}

static struct chunk *add_chunk(struct pipit_child_index *index)
{
	size_t capacity = index->chunk_capacity ? 2 * index->chunk_capacity : CHUNKS_FIRST;
	struct chunk *chunks = index->chunks;

	if (index->chunk_count == index->chunk_capacity) {
		chunks = realloc(chunks, capacity * sizeof *chunks);
		if (!chunks)
			return NULL;
		index->chunks = chunks;
		index->chunk_capacity = capacity;
	}
	chunks[index->chunk_count] = (struct chunk){ NULL, 0 };
	return &chunks[index->chunk_count++];
}

/* In one walk: each element is a cache miss. */
static bool index_elements(struct pipit_child_index *index, const cJSON *array)
{
	struct chunk *chunk = add_chunk(index);

	for (cJSON *element = array->child; element && chunk; element = element->next, index->length++) {
		if (chunk->length == CHUNK_LENGTH)
			chunk = add_chunk(index);
		if (chunk && chunk->length++ == 0)
			chunk->first = element;
	}
	return chunk != NULL;
}

/* --- both ------------------------------------------------------------------------------------------------------------ */

struct pipit_child_index *pipit_child_index_new(const cJSON *container)
{
	struct pipit_child_index *index = calloc(1, sizeof *index);

	if (index && (cJSON_IsObject(container) ? index_members(index, container) : index_elements(index, container)))
		return index;
	pipit_child_index_free(index);
	return NULL;
}

void pipit_child_index_free(struct pipit_child_index *index)
{
	if (!index)
		return;
	free(index->slots);
	free(index->chunks);
	free(index);
}

const cJSON *pipit_child_index_duplicate(const struct pipit_child_index *index)
{
	return index->duplicate;
}
