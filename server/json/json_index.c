/* SPDX-License-Identifier: MIT */
/* A hash table leads from a parent's place and a token to a place. Names are compared escaped. The text is valid. */
#include "json/json_index.h"

#include "base/bytes.h"
#include "json/pointer.h"

#include <endian.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define NO_PLACE UINT32_MAX

/* Offsets into the text. */
struct place {
	uint32_t parent; /* NO_PLACE: the document */
	uint32_t start, end;
	uint32_t name;           /* after the quotation mark; of an element: its index */
	uint32_t name_end;       /* at the closing quotation mark; 0: an element */
	_Atomic uint64_t digest; /* 0: not computed yet */
};

struct pipit_json_index {
	char *text; /* owned */
	size_t length;
	struct place *places; /* owned */
	uint32_t place_count;
	uint32_t *table; /* owned; NO_PLACE: free */
	uint32_t mask;
	uint64_t seed; /* secret, because clients choose the names */
};

/* --- digests --------------------------------------------------------------------------------------------------------- */

#define MULTIPLIER 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * MULTIPLIER;
	return hash ^ hash >> 29;
}

/* Never 0. Not cryptographic: a writer gains nothing from a collision. */
static uint64_t digest_of(struct pipit_slice text)
{
	uint64_t hash = mix(0x6a09e667f3bcc908u, text.length);
	size_t i = 0;

	for (; text.length - i >= 8; i += 8)
		hash = mix(hash, pipit_bytes_load(text.data + i));
	for (; i < text.length; i++)
		hash = mix(hash, (unsigned char)text.data[i]);
	hash = mix(hash, hash >> 32);
	return hash ? hash : 1;
}

static void put_etag(char etag[PIPIT_JSON_INDEX_ETAG_SIZE], uint64_t digest)
{
	char *at = etag;
	*at++ = '"';
	at = pipit_bytes_put_hex(at, digest, 16);
	*at++ = '"';
	*at = '\0';
}

void pipit_json_index_etag(struct pipit_slice text, char etag[PIPIT_JSON_INDEX_ETAG_SIZE])
{
	put_etag(etag, digest_of(text));
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

/* Knows the escapes that the printer writes. */
static unsigned char take_name_byte(const char **at)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const char *text = *at, *found;

	if (*text != '\\') {
		*at += 1;
		return (unsigned char)*text;
	}
	if (text[1] == 'u') {
		unsigned unit = 0;
		*at += 6;
		sscanf(text + 2, "%4x", &unit);
		return (unsigned char)unit;
	}
	*at += 2;
	found = strchr(letters, text[1]);
	return (unsigned char)(found ? meanings[found - letters] : text[1]);
}

static unsigned char take_token_byte(const char **at)
{
	const char *text = *at;
	if (*text != '~') {
		*at += 1;
		return (unsigned char)*text;
	}
	*at += 2;
	return text[1] == '1' ? '/' : '~';
}

static uint32_t fold(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t hash_number(const struct pipit_json_index *index, uint32_t parent, size_t number)
{
	return fold(mix(mix(index->seed, parent), number));
}

/* hash_plain() and hash_escaped() agree: eight unescaped bytes at a time, little-endian. */

static uint32_t hash_plain(uint64_t hash, const char *at, size_t length)
{
	uint64_t word = 0;
	size_t i = 0;

	for (; length - i >= 8; i += 8)
		hash = mix(hash, le64toh(pipit_bytes_load(at + i)));
	for (size_t shift = 0; i < length; i++, shift += 8)
		word |= (uint64_t)(unsigned char)at[i] << shift;
	return fold(mix(mix(hash, word), length));
}

static uint32_t hash_escaped(
    uint64_t hash, const char *at, const char *end, unsigned char (*take_byte)(const char **at))
{
	uint64_t word = 0;
	size_t length = 0;

	while (at < end) {
		word |= (uint64_t)take_byte(&at) << length % 8 * 8;
		if (++length % 8 == 0) {
			hash = mix(hash, word);
			word = 0;
		}
	}
	return fold(mix(mix(hash, word), length));
}

static uint32_t hash_name(const struct pipit_json_index *index, uint32_t parent, const char *at, const char *end)
{
	uint64_t hash = mix(index->seed, parent);
	size_t length = (size_t)(end - at);
	return memchr(at, '\\', length) ? hash_escaped(hash, at, end, take_name_byte) : hash_plain(hash, at, length);
}

static bool is_escaped(struct pipit_slice token)
{
	return token.length && memchr(token.data, '~', token.length);
}

static uint32_t hash_token(const struct pipit_json_index *index, uint32_t parent, struct pipit_slice token)
{
	uint64_t hash = mix(index->seed, parent);
	return is_escaped(token) ? hash_escaped(hash, token.data, token.data + token.length, take_token_byte)
				 : hash_plain(hash, token.data, token.length);
}

static bool is_named(const struct pipit_json_index *index, const struct place *place, struct pipit_slice token)
{
	const char *name = index->text + place->name, *name_end = index->text + place->name_end;
	const char *at = token.data, *end = token.data + token.length;

	/* "~" and "\\" escape differently: equal bytes are one name only without escapes. */
	if ((size_t)(name_end - name) == token.length && memcmp(name, at, token.length) == 0)
		return !is_escaped(token) && !memchr(name, '\\', token.length);
	while (at < end && name < name_end) {
		if (take_token_byte(&at) != take_name_byte(&name))
			return false;
	}
	return at == end && name == name_end;
}

/*
 * --- finding ---------------------------------------------------------------------------------------------------------
 */

static uint32_t find_element(const struct pipit_json_index *index, uint32_t parent, struct pipit_slice token)
{
	size_t number;
	uint32_t slot, found;

	if (!pipit_pointer_index(token, &number))
		return NO_PLACE;
	slot = hash_number(index, parent, number) & index->mask;
	while ((found = index->table[slot]) != NO_PLACE) {
		const struct place *place = &index->places[found];
		if (place->parent == parent && place->name == number)
			return found;
		slot = (slot + 1) & index->mask;
	}
	return NO_PLACE;
}

static uint32_t find_member(const struct pipit_json_index *index, uint32_t parent, struct pipit_slice token)
{
	uint32_t slot = hash_token(index, parent, token), found;

	while ((found = index->table[slot &= index->mask]) != NO_PLACE) {
		const struct place *place = &index->places[found];
		if (place->parent == parent && is_named(index, place, token))
			return found;
		slot++;
	}
	return NO_PLACE;
}

static uint32_t find_place(const struct pipit_json_index *index, struct pipit_slice pointer)
{
	struct pipit_slice token;
	uint32_t at = 0;

	while (at != NO_PLACE && pipit_pointer_next(&pointer, &token)) {
		char first = index->text[index->places[at].start];
		if (first == '{')
			at = find_member(index, at, token);
		else if (first == '[')
			at = find_element(index, at, token);
		else
			return NO_PLACE;
	}
	return at;
}

bool pipit_json_index_find(
    const struct pipit_json_index *index, struct pipit_slice pointer, struct pipit_json_index_value *value)
{
	uint32_t found = find_place(index, pointer);
	struct place *place;
	uint64_t digest;

	if (found == NO_PLACE)
		return false;
	place = &index->places[found];
	value->text = (struct pipit_slice){ index->text + place->start, place->end - place->start };
	/* Several threads may compute it. */
	digest = atomic_load_explicit(&place->digest, memory_order_relaxed);
	if (digest == 0) {
		digest = digest_of(value->text);
		atomic_store_explicit(&place->digest, digest, memory_order_relaxed);
	}
	put_etag(value->etag, digest);
	return true;
}

/* --- building the index ---------------------------------------------------------------------------------------------- */

static size_t string_end(const char *text, size_t at)
{
	while (text[++at] != '"')
		at += text[at] == '\\';
	return at;
}

/* An upper bound. */
static size_t count_values(const char *text, size_t length)
{
	size_t count = 1;
	for (size_t at = 0; at < length; at++) {
		if (text[at] == '"')
			at = string_end(text, at);
		else
			count += text[at] == ',' || text[at] == '{' || text[at] == '[';
	}
	return count;
}

static void enter(struct pipit_json_index *index, uint32_t number)
{
	const struct place *place = &index->places[number];
	uint32_t slot;

	if (place->parent == NO_PLACE)
		return;
	slot = place->name_end
		   ? hash_name(index, place->parent, index->text + place->name, index->text + place->name_end)
		   : hash_number(index, place->parent, place->name);
	while (index->table[slot &= index->mask] != NO_PLACE)
		slot++;
	index->table[slot] = number;
}

struct walk {
	size_t at;
	uint32_t open[PIPIT_JSON_INDEX_DEPTH_MAX]; /* places */
	uint32_t number[PIPIT_JSON_INDEX_DEPTH_MAX];
	size_t depth;
	uint32_t name, name_end; /* name_end 0: none */
};

static uint32_t add_place(struct pipit_json_index *index, struct walk *walk)
{
	uint32_t number = index->place_count++;
	struct place *place = &index->places[number];

	place->parent = walk->depth ? walk->open[walk->depth - 1] : NO_PLACE;
	place->start = (uint32_t)walk->at;
	place->name = walk->name_end || !walk->depth ? walk->name : walk->number[walk->depth - 1]++;
	place->name_end = walk->name_end;
	atomic_init(&place->digest, 0);
	walk->name = walk->name_end = 0;
	return number;
}

static bool is_name(const struct pipit_json_index *index, const struct walk *walk)
{
	return walk->depth && !walk->name_end && index->text[index->places[walk->open[walk->depth - 1]].start] == '{';
}

static void walk_string(struct pipit_json_index *index, struct walk *walk)
{
	size_t end = string_end(index->text, walk->at);

	if (is_name(index, walk)) {
		walk->name = (uint32_t)walk->at + 1;
		walk->name_end = (uint32_t)end;
	} else {
		index->places[add_place(index, walk)].end = (uint32_t)end + 1;
	}
	walk->at = end + 1;
}

static void walk_word(struct pipit_json_index *index, struct walk *walk)
{
	uint32_t number = add_place(index, walk);
	while (walk->at < index->length && !strchr(",]}", index->text[walk->at]))
		walk->at++;
	index->places[number].end = (uint32_t)walk->at;
}

static void walk_text(struct pipit_json_index *index, struct walk *walk)
{
	while (walk->at < index->length) {
		switch (index->text[walk->at]) {
		case '{':
		case '[':
			walk->number[walk->depth] = 0;
			walk->open[walk->depth] = add_place(index, walk);
			walk->depth++;
			walk->at++;
			break;
		case '}':
		case ']':
			index->places[walk->open[--walk->depth]].end = (uint32_t)++walk->at;
			break;
		case ',':
		case ':':
			walk->at++;
			break;
		case '"':
			walk_string(index, walk);
			break;
		default:
			walk_word(index, walk);
		}
	}
}

static bool allocate(struct pipit_json_index *index, size_t values)
{
	size_t slots = 4;
	while (slots < 2 * values)
		slots *= 2;
	index->places = malloc(values * sizeof *index->places);
	index->table = malloc(slots * sizeof *index->table);
	if (!index->places || !index->table)
		return false;
	memset(index->table, 0xff, slots * sizeof *index->table);
	index->mask = (uint32_t)slots - 1;
	if (getrandom(&index->seed, sizeof index->seed, GRND_NONBLOCK) < 0)
		index->seed = (uintptr_t)index;
	return true;
}

struct pipit_json_index *pipit_json_index_new(char *text, size_t length)
{
	struct pipit_json_index *index = calloc(1, sizeof *index);
	struct walk *walk = calloc(1, sizeof *walk);

	if (!index || !walk || !allocate(index, count_values(text, length))) {
		free(walk);
		pipit_json_index_free(index);
		return NULL;
	}
	index->text = text;
	index->length = length;
	walk_text(index, walk);
	for (uint32_t i = 0; i < index->place_count; i++)
		enter(index, i);
	free(walk);
	return index;
}

void pipit_json_index_free(struct pipit_json_index *index)
{
	if (!index)
		return;
	free(index->text);
	free(index->places);
	free(index->table);
	free(index);
}

struct pipit_slice pipit_json_index_text(const struct pipit_json_index *index)
{
	return (struct pipit_slice){ index->text, index->length };
}

/* --- the indented text ----------------------------------------------------------------------------------------------- */

/* at: NULL while the length is counted. */
struct page {
	char *at;
	size_t length, depth;
};

static void put(struct page *page, const char *bytes, size_t length)
{
	if (page->at)
		page->at = pipit_bytes_put(page->at, bytes, length);
	page->length += length;
}

static void new_line(struct page *page)
{
	put(page, "\n", 1);
	for (size_t i = 0; i < page->depth; i++)
		put(page, "\t", 1);
}

static size_t put_bracket(struct page *page, const char *text, size_t at)
{
	bool is_open = text[at] == '{' || text[at] == '[', is_empty = is_open && text[at + 1] == text[at] + 2;

	if (is_empty) {
		put(page, text + at, 2);
		return at + 1;
	}
	page->depth += is_open ? 1 : (size_t)-1;
	if (!is_open)
		new_line(page);
	put(page, text + at, 1);
	if (is_open)
		new_line(page);
	return at;
}

static void put_indented(struct page *page, struct pipit_slice text)
{
	for (size_t at = 0; at < text.length; at++) {
		size_t start = at;
		switch (text.data[at]) {
		case '{':
		case '[':
		case '}':
		case ']':
			at = put_bracket(page, text.data, at);
			break;
		case ',':
			put(page, ",", 1);
			new_line(page);
			break;
		case ':':
			put(page, ": ", 2);
			break;
		case '"':
			at = string_end(text.data, at);
			put(page, text.data + start, at + 1 - start);
			break;
		default:
			put(page, text.data + at, 1);
		}
	}
	put(page, "\n", 1);
}

char *pipit_json_index_indent(struct pipit_slice text, size_t *length)
{
	struct page page = { NULL, 0, 0 };
	char *bytes;

	put_indented(&page, text);
	bytes = malloc(page.length);
	if (!bytes)
		return NULL;
	*length = page.length;
	page = (struct page){ bytes, 0, 0 };
	put_indented(&page, text);
	return bytes;
}
