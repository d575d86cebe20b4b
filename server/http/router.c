/* SPDX-License-Identifier: MIT */
/*
 * A trie of path segments. One hash table has the literal children of all nodes, by parent and text, because a node may
 * have thousands. A second one has the patterns without names, which most requests match.
 *
 * A search enters each node at most once, so the routes bound its cost. Clients add no entries: the hashes need no
 * secret seed.
 *
 * Of two routes that match the same request, one contains the other. Where they first differ, the contained one has the
 * narrower segment: the search finds it first.
 */
#include "http/router.h"

#include "base/bytes.h"
#include "base/methods.h"
#include "base/percent.h"
#include "pipit.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Limits the stack of a search. */
#define SEGMENTS_MAX 64
#define TABLE_CAPACITY_FIRST 64

/* From narrow to wide, for compare_routes(). */
enum segment_kind { SEGMENT_LITERAL, SEGMENT_PARAMETER, SEGMENT_REST };

struct pattern_segment {
	enum segment_kind kind;
	struct pipit_slice text; /* literal, or name without braces and dots; points into the pattern */
};

struct route {
	struct route *next;
	unsigned methods;
	void *registered; /* of pipit_router_add(); may be NULL */
	char *pattern;    /* owned */
	size_t segment_count;
	struct pattern_segment segments[];
};

struct node {
	struct node *next; /* list of all nodes */
	const struct node *parent;
	struct node *parameter; /* {name} */
	struct node *rest;      /* {name...}; has no children */
	bool has_literals;
	unsigned methods;                                /* of the routes that end here; 0: none */
	const struct route *routes[PIPIT_METHODS_COUNT]; /* by bit number of the method */
	uint64_t number;                                 /* unique; part of the key of its children */
	uint64_t hash;
	size_t literal_length;
	char literal[];
};

struct whole {
	const char *path; /* the pattern; NULL: a free slot */
	size_t length;
	uint64_t hash;
	const struct node *node;
};

struct pipit_router {
	struct node *root;
	struct node *nodes;
	struct node **table;   /* open addressing, at most half full */
	size_t table_capacity; /* a power of two */
	size_t table_count;
	uint64_t node_count;
	struct whole *wholes;  /* as `table` */
	size_t whole_capacity; /* a power of two; 0 at first */
	size_t whole_count;
	struct route *routes;
	size_t deepest; /* most segments of a pattern */
};

struct path_segment {
	struct pipit_slice raw; /* percent-encoded */
	uint64_t hash;          /* of the decoded bytes */
	bool has_escapes;
	bool can_be_parameter;
};

struct search {
	const struct pipit_router *router;
	unsigned method;
	const char *path_end;
	struct path_segment segments[SEGMENTS_MAX];
	size_t segment_count;
	bool is_whole;
	bool is_found;
	struct pipit_router_match *match;
};

struct complaint {
	char *text;
	size_t size;
};

static int refuse(const struct complaint *complaint, int code, const char *format, ...) PIPIT_PRINTF(3, 4);

static int refuse(const struct complaint *complaint, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(complaint->text, complaint->size, format, arguments);
	va_end(arguments);
	return code;
}

/* FNV-1a: segments are short. */
static uint64_t hash_byte(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_text(struct pipit_slice text, bool has_escapes)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	const char *cursor = text.data;
	const char *end = text.data + text.length;

	if (!has_escapes) {
		while (cursor < end)
			hash = hash_byte(hash, (unsigned char)*cursor++);
		return hash;
	}
	while (cursor < end)
		hash = hash_byte(hash, pipit_percent_take(&cursor, end));
	return hash;
}

static bool equals_decoded(const struct path_segment *segment, const char *literal, size_t length)
{
	const char *cursor = segment->raw.data;
	const char *end = cursor + segment->raw.length;
	size_t matched = 0;

	if (!segment->has_escapes)
		return segment->raw.length == length && memcmp(cursor, literal, length) == 0;
	while (cursor < end && matched < length) {
		if (pipit_percent_take(&cursor, end) != (unsigned char)literal[matched++])
			return false;
	}
	return cursor == end && matched == length;
}

/* ---------------------------------------------------------------- patterns */

static bool is_name(struct pipit_slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		char byte = text.data[i];
		if (!pipit_bytes_is_letter(byte) && byte != '_' && !(i > 0 && pipit_bytes_is_digit(byte)))
			return false;
	}
	return text.length > 0;
}

/* Literals that no path can match are mistakes. */
static int check_literal(const char *pattern, struct pipit_slice text, const struct complaint *complaint)
{
	const char *end = text.data + text.length;

	if (pipit_slice_equals(text, ".") || pipit_slice_equals(text, ".."))
		return refuse(complaint, -EINVAL,
		    "pattern '%s': clients resolve the segments '.' and '..' before they send a path; leave them out",
		    pattern);
	for (const char *cursor = text.data; cursor < end; cursor++) {
		if ((unsigned char)*cursor < 0x20 || *cursor == 0x7f)
			return refuse(
			    complaint, -EINVAL, "pattern with a control character: literals are printable text");
		if (pipit_percent_is_escape(cursor, end))
			return refuse(complaint, -EINVAL,
			    "pattern '%s': literals are written decoded, without percent-encoding", pattern);
	}
	return 0;
}

static int parse_placeholder(const char *pattern, struct pattern_segment *segment, const struct complaint *complaint)
{
	struct pipit_slice name = { segment->text.data + 1, segment->text.length - 2 };

	segment->kind = SEGMENT_PARAMETER;
	if (name.length >= 3 && memcmp(name.data + name.length - 3, "...", 3) == 0) {
		segment->kind = SEGMENT_REST;
		name.length -= 3;
	}
	if (!is_name(name))
		return refuse(complaint, -EINVAL,
		    "pattern '%s': '%.*s' is not a name; names are letters, digits and '_', not beginning with a digit",
		    pattern, (int)name.length, name.data);
	segment->text = name;
	return 0;
}

static int parse_segment(const char *pattern, struct pattern_segment *segment, const struct complaint *complaint)
{
	struct pipit_slice text = segment->text;

	if (memchr(text.data, '{', text.length) == NULL && memchr(text.data, '}', text.length) == NULL) {
		segment->kind = SEGMENT_LITERAL;
		return check_literal(pattern, text, complaint);
	}
	if (text.length < 2 || text.data[0] != '{' || text.data[text.length - 1] != '}')
		return refuse(complaint, -EINVAL,
		    "pattern '%s': braces enclose a whole segment, as in /{name} or /{name...}", pattern);
	return parse_placeholder(pattern, segment, complaint);
}

static int check_order(
    const struct route *route, const struct pattern_segment *segment, const struct complaint *complaint)
{
	size_t names_before = 0;

	for (const struct pattern_segment *before = route->segments; before < segment; before++) {
		if (before->kind == SEGMENT_REST)
			return refuse(complaint, -EINVAL, "pattern '%s': {%.*s...} must be the last segment",
			    route->pattern, (int)before->text.length, before->text.data);
		if (before->kind == SEGMENT_LITERAL)
			continue;
		names_before++;
		if (segment->kind != SEGMENT_LITERAL && pipit_slice_is_same(before->text, segment->text))
			return refuse(complaint, -EINVAL, "pattern '%s': the name '%.*s' is used twice", route->pattern,
			    (int)segment->text.length, segment->text.data);
	}
	if (segment->kind != SEGMENT_LITERAL && names_before == PIPIT_ROUTER_PARAMETERS_MAX)
		return refuse(complaint, -EINVAL, "pattern '%s': more than %d names", route->pattern,
		    PIPIT_ROUTER_PARAMETERS_MAX);
	return 0;
}

static int parse_pattern(struct route *route, const struct complaint *complaint)
{
	const char *cursor = route->pattern;

	while (*cursor == '/') {
		struct pattern_segment *segment = &route->segments[route->segment_count];
		size_t length = strcspn(cursor + 1, "/");
		int failure;

		segment->text = (struct pipit_slice){ cursor + 1, length };
		failure = parse_segment(route->pattern, segment, complaint);
		if (!failure)
			failure = check_order(route, segment, complaint);
		if (failure)
			return failure;
		route->segment_count++;
		cursor += 1 + length;
	}
	return 0;
}

static size_t count_slashes(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '/';
	return count;
}

static void free_route(struct route *route)
{
	free(route->pattern);
	free(route);
}

static struct route *new_route(unsigned methods, const char *pattern, void *registered)
{
	struct route *route = calloc(1, sizeof *route + count_slashes(pattern) * sizeof route->segments[0]);

	if (route == NULL)
		return NULL;
	route->methods = methods;
	route->registered = registered;
	route->pattern = strdup(pattern);
	if (route->pattern == NULL) {
		free(route);
		return NULL;
	}
	return route;
}

/* ---------------------------------------------------------------- conflicts */

enum relation { PATHS_DISJOINT, PATHS_EQUAL, PATHS_CONTAINED, PATHS_CROSSING };

static bool are_disjoint(const struct pattern_segment *a, const struct pattern_segment *b)
{
	if (a->kind == SEGMENT_LITERAL && b->kind == SEGMENT_LITERAL)
		return !pipit_slice_is_same(a->text, b->text);
	/* {name} does not match the empty segment */
	if (a->kind == SEGMENT_LITERAL && b->kind == SEGMENT_PARAMETER)
		return a->text.length == 0;
	if (a->kind == SEGMENT_PARAMETER && b->kind == SEGMENT_LITERAL)
		return b->text.length == 0;
	return false;
}

static enum relation compare_routes(const struct route *a, const struct route *b)
{
	bool is_wider = false;
	bool is_narrower = false;

	for (size_t i = 0; i < a->segment_count || i < b->segment_count; i++) {
		if (i == a->segment_count || i == b->segment_count || are_disjoint(&a->segments[i], &b->segments[i]))
			return PATHS_DISJOINT;
		is_wider = is_wider || a->segments[i].kind > b->segments[i].kind;
		is_narrower = is_narrower || a->segments[i].kind < b->segments[i].kind;
		if (a->segments[i].kind == SEGMENT_REST || b->segments[i].kind == SEGMENT_REST)
			break;
	}
	if (is_wider && is_narrower)
		return PATHS_CROSSING;
	return is_wider || is_narrower ? PATHS_CONTAINED : PATHS_EQUAL;
}

static unsigned served_methods(unsigned methods)
{
	return methods & PIPIT_GET ? methods | PIPIT_HEAD : methods;
}

/*
 * On equal paths HEAD may have a route beside GET. On crossing paths the HEAD of GET counts, or the order of
 * registration would decide.
 */
static unsigned disputed_methods(const struct route *a, const struct route *b)
{
	switch (compare_routes(a, b)) {
	case PATHS_EQUAL:
		return a->methods & b->methods;
	case PATHS_CROSSING:
		return served_methods(a->methods) & served_methods(b->methods);
	case PATHS_DISJOINT:
	case PATHS_CONTAINED:
		break;
	}
	return 0;
}

/* Some milliseconds for 1,000 routes. */
static int check_conflicts(
    const struct pipit_router *router, const struct route *route, const struct complaint *complaint)
{
	for (const struct route *other = router->routes; other != NULL; other = other->next) {
		unsigned disputed = disputed_methods(route, other);
		if (disputed != 0)
			return refuse(complaint, -EEXIST,
			    "pattern '%s' conflicts with '%s': both serve %s, paths match both, and neither is more "
			    "specific",
			    route->pattern, other->pattern, pipit_methods_name(disputed & -disputed));
	}
	return 0;
}

/* ---------------------------------------------------------------- the trie */

/* The golden ratio spreads the small numbers of parents. */
static size_t table_place(const struct pipit_router *router, const struct node *parent, uint64_t hash)
{
	uint64_t mixed = (hash ^ parent->number) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(mixed ^ mixed >> 32) & (router->table_capacity - 1);
}

static void put_in_table(struct pipit_router *router, struct node *node)
{
	size_t place = table_place(router, node->parent, node->hash);

	while (router->table[place] != NULL)
		place = (place + 1) & (router->table_capacity - 1);
	router->table[place] = node;
}

static int reserve_table(struct pipit_router *router)
{
	struct node **old = router->table;
	size_t old_capacity = router->table_capacity;
	size_t capacity = old_capacity * 2;

	if ((router->table_count + 1) * 2 <= old_capacity)
		return 0;
	router->table = calloc(capacity, sizeof *router->table);
	if (router->table == NULL) {
		router->table = old;
		return -ENOMEM;
	}
	router->table_capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i] != NULL)
			put_in_table(router, old[i]);
	}
	free(old);
	return 0;
}

static struct node *find_literal(
    const struct pipit_router *router, const struct node *parent, const struct path_segment *segment)
{
	size_t place = table_place(router, parent, segment->hash);
	struct node *node;

	for (; (node = router->table[place]) != NULL; place = (place + 1) & (router->table_capacity - 1)) {
		if (node->parent == parent && node->hash == segment->hash &&
		    equals_decoded(segment, node->literal, node->literal_length))
			return node;
	}
	return NULL;
}

static struct node *new_node(struct pipit_router *router, const struct node *parent, struct pipit_slice literal)
{
	struct node *node = calloc(1, sizeof *node + literal.length);

	if (node == NULL)
		return NULL;
	node->parent = parent;
	node->number = router->node_count++;
	node->literal_length = literal.length;
	if (literal.length > 0)
		memcpy(node->literal, literal.data, literal.length);
	node->next = router->nodes;
	router->nodes = node;
	return node;
}

static struct node *find_or_add_literal(struct pipit_router *router, struct node *parent, struct pipit_slice literal)
{
	struct path_segment segment = { .raw = literal, .hash = hash_text(literal, false) };
	struct node *node = find_literal(router, parent, &segment);

	if (node != NULL)
		return node;
	if (reserve_table(router) != 0)
		return NULL;
	node = new_node(router, parent, literal);
	if (node == NULL)
		return NULL;
	node->hash = segment.hash;
	put_in_table(router, node);
	router->table_count++;
	parent->has_literals = true;
	return node;
}

static uint64_t hash_whole(const char *path, size_t length)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t hash = length * odd, word = 0;

	for (; length >= sizeof word; path += sizeof word, length -= sizeof word) {
		memcpy(&word, path, sizeof word);
		hash = (hash ^ word) * odd;
		hash ^= hash >> 32;
	}
	for (word = 0; length > 0; length--)
		word = word << 8 | (unsigned char)path[length - 1];
	hash = (hash ^ word) * odd;
	return hash ^ hash >> 32;
}

static struct whole *find_whole(struct whole *wholes, size_t capacity, struct pipit_slice path, uint64_t hash)
{
	for (size_t place = (size_t)hash & (capacity - 1);; place = (place + 1) & (capacity - 1)) {
		struct whole *whole = &wholes[place];
		if (whole->path == NULL || (whole->hash == hash && whole->length == path.length &&
					       memcmp(whole->path, path.data, path.length) == 0))
			return whole;
	}
}

static int reserve_wholes(struct pipit_router *router)
{
	size_t capacity = router->whole_capacity ? router->whole_capacity * 2 : TABLE_CAPACITY_FIRST;
	struct whole *wholes;

	if ((router->whole_count + 1) * 2 <= router->whole_capacity)
		return 0;
	wholes = calloc(capacity, sizeof *wholes);
	if (wholes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < router->whole_capacity; i++) {
		const struct whole *old = &router->wholes[i];
		if (old->path != NULL)
			*find_whole(wholes, capacity, (struct pipit_slice){ old->path, old->length }, old->hash) = *old;
	}
	free(router->wholes);
	router->wholes = wholes;
	router->whole_capacity = capacity;
	return 0;
}

static void put_whole(struct pipit_router *router, const struct route *route, const struct node *node)
{
	struct pipit_slice path = pipit_slice_of(route->pattern);
	uint64_t hash = hash_whole(path.data, path.length);
	struct whole *whole = find_whole(router->wholes, router->whole_capacity, path, hash);

	if (whole->path != NULL)
		return;
	*whole = (struct whole){ path.data, path.length, hash, node };
	router->whole_count++;
}

static struct node *find_or_add_child(
    struct pipit_router *router, struct node *parent, const struct pattern_segment *segment)
{
	struct node **child = segment->kind == SEGMENT_REST ? &parent->rest : &parent->parameter;

	if (segment->kind == SEGMENT_LITERAL)
		return find_or_add_literal(router, parent, segment->text);
	if (*child == NULL)
		*child = new_node(router, parent, (struct pipit_slice){ NULL, 0 });
	return *child;
}

/* Nodes without a route do not change matches. */
static int insert_route(struct pipit_router *router, const struct route *route)
{
	struct node *node = router->root;
	bool is_whole = true;

	if (reserve_wholes(router) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < route->segment_count; i++) {
		node = find_or_add_child(router, node, &route->segments[i]);
		if (node == NULL)
			return -ENOMEM;
		is_whole = is_whole && route->segments[i].kind == SEGMENT_LITERAL;
	}
	if (is_whole)
		put_whole(router, route, node);
	for (int i = 0; i < PIPIT_METHODS_COUNT; i++) {
		if (route->methods & 1u << i)
			node->routes[i] = route;
	}
	node->methods |= route->methods;
	return 0;
}

struct pipit_router *pipit_router_new(void)
{
	struct pipit_router *router = calloc(1, sizeof *router);

	if (router == NULL)
		return NULL;
	router->table_capacity = TABLE_CAPACITY_FIRST;
	router->table = calloc(router->table_capacity, sizeof *router->table);
	router->root = new_node(router, NULL, (struct pipit_slice){ NULL, 0 });
	if (router->table == NULL || router->root == NULL) {
		pipit_router_free(router);
		return NULL;
	}
	return router;
}

void pipit_router_free(struct pipit_router *router)
{
	if (router == NULL)
		return;
	while (router->routes != NULL) {
		struct route *route = router->routes;
		router->routes = route->next;
		free_route(route);
	}
	while (router->nodes != NULL) {
		struct node *node = router->nodes;
		router->nodes = node->next;
		free(node);
	}
	free(router->table);
	free(router->wholes);
	free(router);
}

static int check_arguments(unsigned methods, const char *pattern, const struct complaint *complaint)
{
	if (methods == 0)
		return refuse(complaint, -EINVAL, "pattern '%s': a route needs at least one method", pattern);
	if (methods & ~(unsigned)PIPIT_ANY)
		return refuse(
		    complaint, -EINVAL, "pattern '%s': 0x%x is not a method", pattern, methods & ~(unsigned)PIPIT_ANY);
	if (pattern[0] != '/')
		return refuse(complaint, -EINVAL, "pattern '%s' does not begin with '/'", pattern);
	if (count_slashes(pattern) > SEGMENTS_MAX)
		return refuse(
		    complaint, -EINVAL, "pattern '%.40s...' has more than %d segments", pattern, SEGMENTS_MAX);
	return 0;
}

int pipit_router_add(
    struct pipit_router *router, unsigned methods, const char *pattern, void *registered, char *error, size_t size)
{
	const struct complaint complaint = { error, size };
	struct route *route;
	int failure = check_arguments(methods, pattern, &complaint);

	if (failure)
		return failure;
	route = new_route(methods, pattern, registered);
	if (route == NULL)
		return refuse(&complaint, -ENOMEM, "pattern '%s': out of memory", pattern);
	failure = parse_pattern(route, &complaint);
	if (!failure)
		failure = check_conflicts(router, route, &complaint);
	if (!failure && insert_route(router, route) != 0)
		failure = refuse(&complaint, -ENOMEM, "pattern '%s': out of memory", pattern);
	if (failure) {
		free_route(route);
		return failure;
	}
	route->next = router->routes;
	router->routes = route;
	if (route->segment_count > router->deepest)
		router->deepest = route->segment_count;
	return 0;
}

/* ---------------------------------------------------------------- finding */

static struct path_segment measure_segment(const char *data, size_t length, bool path_has_escapes)
{
	struct path_segment segment = { .raw = { data, length } };

	segment.has_escapes = path_has_escapes && memchr(data, '%', length) != NULL;
	segment.hash = hash_text(segment.raw, segment.has_escapes);
	/* A handler may use it as a file name: ".." would leave the directory. */
	segment.can_be_parameter = length > 0;
	if (length > 0 && (*data == '.' || *data == '%'))
		segment.can_be_parameter = !equals_decoded(&segment, ".", 1) && !equals_decoded(&segment, "..", 2);
	return segment;
}

static void split_path(struct search *search, struct pipit_slice path)
{
	const char *cursor = path.data;
	const char *end = path.data + path.length;
	bool has_escapes = memchr(path.data, '%', path.length) != NULL;

	while (cursor < end && search->segment_count < search->router->deepest) {
		const char *start = cursor + 1;
		const char *stop = memchr(start, '/', (size_t)(end - start));
		if (stop == NULL)
			stop = end;
		search->segments[search->segment_count++] = measure_segment(start, (size_t)(stop - start), has_escapes);
		cursor = stop;
	}
	search->path_end = end;
	search->is_whole = cursor == end;
}

static void keep_parameter(struct search *search, size_t index, const char *data, size_t length)
{
	if (!search->is_found)
		search->match->parameters[index] = (struct pipit_slice){ data, length };
}

static const struct route *route_for(const struct node *node, unsigned method)
{
	if (node->methods & method)
		return node->routes[__builtin_ctz(method)];
	if (method == PIPIT_HEAD && node->methods & PIPIT_GET)
		return node->routes[__builtin_ctz(PIPIT_GET)];
	return NULL;
}

static void offer(struct search *search, const struct node *node, size_t parameter_count)
{
	const struct route *route = search->is_found ? NULL : route_for(node, search->method);

	search->match->allow |= served_methods(node->methods);
	if (route == NULL)
		return;
	search->is_found = true;
	search->match->route = route->registered;
	search->match->parameter_count = parameter_count;
}

/* Goes on after a match, for `allow`. */
static void visit(struct search *search, const struct node *node, size_t depth, size_t parameter_count)
{
	const struct path_segment *segment = &search->segments[depth];
	const struct node *literal;

	if (depth == search->segment_count) {
		if (search->is_whole)
			offer(search, node, parameter_count);
		return;
	}
	literal = node->has_literals ? find_literal(search->router, node, segment) : NULL;
	if (literal != NULL)
		visit(search, literal, depth + 1, parameter_count);
	if (node->parameter != NULL && segment->can_be_parameter) {
		keep_parameter(search, parameter_count, segment->raw.data, segment->raw.length);
		visit(search, node->parameter, depth + 1, parameter_count + 1);
	}
	if (node->rest != NULL) {
		keep_parameter(
		    search, parameter_count, segment->raw.data, (size_t)(search->path_end - segment->raw.data));
		offer(search, node->rest, parameter_count + 1);
	}
}

static const struct node *find_by_whole(const struct pipit_router *router, struct pipit_slice path)
{
	if (router->whole_capacity == 0)
		return NULL;
	return find_whole(router->wholes, router->whole_capacity, path, hash_whole(path.data, path.length))->node;
}

static enum pipit_router_result search_path(
    const struct pipit_router *router, unsigned method, struct pipit_slice path, struct pipit_router_match *match)
{
	struct search search; /* not cleared: that would cost more than most searches */

	search.router = router;
	search.method = method;
	search.segment_count = 0;
	search.is_found = false;
	search.match = match;
	split_path(&search, path);
	visit(&search, router->root, 0, 0);
	if (match->allow == 0)
		return PIPIT_ROUTER_NOT_FOUND;
	match->allow |= PIPIT_OPTIONS;
	return search.is_found ? PIPIT_ROUTER_FOUND : PIPIT_ROUTER_METHOD_NOT_ALLOWED;
}

enum pipit_router_result pipit_router_find(
    const struct pipit_router *router, unsigned method, struct pipit_slice path, struct pipit_router_match *match)
{
	const struct node *node;
	const struct route *route;

	assert(method != 0 && (method & (method - 1)) == 0);
	match->route = NULL;
	match->allow = 0;
	match->parameter_count = 0;
	if (path.length == 0 || path.data[0] != '/')
		return PIPIT_ROUTER_NOT_FOUND;
	node = find_by_whole(router, path);
	route = node ? route_for(node, method) : NULL;
	if (route == NULL)
		return search_path(router, method, path, match);
	match->route = route->registered;
	match->allow = served_methods(node->methods) | PIPIT_OPTIONS;
	return PIPIT_ROUTER_FOUND;
}

int pipit_router_parameter_index(const char *pattern, const char *name)
{
	struct pipit_slice wanted = pipit_slice_of(name);
	int index = 0;

	for (const char *brace = strchr(pattern, '{'); brace != NULL; brace = strchr(brace + 1, '{')) {
		struct pipit_slice found = { brace + 1, strcspn(brace + 1, ".}") };
		if (pipit_slice_is_same(found, wanted))
			return index;
		index++;
	}
	return -1;
}
