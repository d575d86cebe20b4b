/* SPDX-License-Identifier: MIT */
/*
 * The router against one router for each of its routes.
 *
 * The input is lines. "?Mpath" searches a path, M choosing the method; any other line is a route: one byte whose lower seven
 * bits are methods, and the pattern. All routes are added before the searches.
 *
 * Checked: an accepted route is found by a path made from its pattern; every search has the result of the single routers
 * together, the narrowest route winning; parameters lie in the path.
 */
#include "fuzz.h"

#include "http/router.h"
#include "pipit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 24
#define LOOKUPS_MAX 48

struct route {
	unsigned methods;
	char *pattern;
	struct pipit_router *alone;
};

static struct route routes[ROUTES_MAX];
static size_t route_count;

static void add_route(struct pipit_router *router, unsigned methods, const char *pattern)
{
	struct route *route = &routes[route_count];
	char error[200] = "";
	int result;

	if (route_count == ROUTES_MAX)
		return;
	result = pipit_router_add(router, methods, pattern, route, error, sizeof error);
	REQUIRE(result == 0 || result == -EINVAL || result == -EEXIST);
	if (result != 0) {
		REQUIRE(error[0] && memchr(error, '\0', sizeof error));
		return;
	}
	route->methods = methods;
	route->pattern = fuzz_copy_text(pattern, strlen(pattern));
	route->alone = pipit_router_new();
	REQUIRE(route->alone);
	REQUIRE(pipit_router_add(route->alone, methods, pattern, route, error, sizeof error) == 0);
	route_count++;
}

static void clear_routes(void)
{
	while (route_count > 0) {
		struct route *route = &routes[--route_count];
		pipit_router_free(route->alone);
		free(route->pattern);
	}
}

/* ---------------------------------------------------------------- the result of all of them */

/*
 * A segment's kind: literals are the narrowest. The kinds of a pattern, in order, decide which of two matching patterns is
 * narrower.
 */
static char kind_of(const char *segment)
{
	size_t length = strcspn(segment, "/");
	if (segment[0] != '{')
		return 'a';
	return memmem(segment, length, "...", 3) ? 'c' : 'b';
}

static bool is_narrower(const char *pattern, const char *other)
{
	while (*pattern && *other) {
		char kind = kind_of(++pattern), other_kind = kind_of(++other);
		if (kind != other_kind)
			return kind < other_kind;
		pattern += strcspn(pattern, "/");
		other += strcspn(other, "/");
	}
	return false;
}

static bool serves(const struct route *route, unsigned method)
{
	return (route->methods & method) || (method == PIPIT_HEAD && (route->methods & PIPIT_GET));
}

/* For two that match with this method: HEAD before GET serves HEAD. */
static bool is_better(const struct route *route, const struct route *other, unsigned method)
{
	if (!other || is_narrower(route->pattern, other->pattern))
		return true;
	return !is_narrower(other->pattern, route->pattern) && (route->methods & method) && !(other->methods & method);
}

static void check_parameters(const struct pipit_router_match *match, struct pipit_slice path)
{
	REQUIRE(match->parameter_count <= PIPIT_ROUTER_PARAMETERS_MAX);
	for (size_t i = 0; i < match->parameter_count; i++) {
		struct pipit_slice value = match->parameters[i];
		REQUIRE(value.data > path.data && value.data + value.length <= path.data + path.length);
		REQUIRE(value.data[-1] == '/');
	}
}

static bool same_parameters(const struct pipit_router_match *a, const struct pipit_router_match *b)
{
	if (a->parameter_count != b->parameter_count)
		return false;
	for (size_t i = 0; i < a->parameter_count; i++) {
		if (a->parameters[i].data != b->parameters[i].data ||
		    a->parameters[i].length != b->parameters[i].length)
			return false;
	}
	return true;
}

static enum pipit_router_result look_up(const struct pipit_router *router, unsigned method, struct pipit_slice path)
{
	struct pipit_router_match match, alone, best_match = { NULL, 0, 0, { { NULL, 0 } } };
	enum pipit_router_result result = pipit_router_find(router, method, path, &match);
	const struct route *best = NULL;
	unsigned allow = 0;

	for (size_t i = 0; i < route_count; i++) {
		enum pipit_router_result one = pipit_router_find(routes[i].alone, method, path, &alone);
		allow |= alone.allow;
		REQUIRE((one == PIPIT_ROUTER_NOT_FOUND) == (alone.allow == 0));
		REQUIRE((one == PIPIT_ROUTER_FOUND) == (alone.route == &routes[i]));
		REQUIRE((one == PIPIT_ROUTER_FOUND) == (alone.allow && serves(&routes[i], method)));
		if (one != PIPIT_ROUTER_FOUND || !is_better(&routes[i], best, method))
			continue;
		best = &routes[i];
		best_match = alone;
	}
	REQUIRE(best ? (match.allow & ~allow) == 0 && match.allow : match.allow == allow);
	REQUIRE(match.route == best);
	REQUIRE(result == (best       ? PIPIT_ROUTER_FOUND
			      : allow ? PIPIT_ROUTER_METHOD_NOT_ALLOWED
				      : PIPIT_ROUTER_NOT_FOUND));
	if (best) {
		check_parameters(&match, path);
		REQUIRE(same_parameters(&match, &best_match));
	}
	return result;
}

/* ---------------------------------------------------------------- paths */

/* A path that the pattern matches: literals encoded, names replaced. */
static char *make_path(const char *pattern, size_t *length)
{
	char *path = malloc(3 * strlen(pattern) + 1);
	size_t at = 0;
	REQUIRE(path);
	while (*pattern) {
		unsigned char byte = (unsigned char)*pattern;
		if (byte == '{') {
			path[at++] = 'v';
			pattern += strcspn(pattern, "}") + 1;
			continue;
		}
		if (byte == '/' || (byte >= 'a' && byte <= 'z'))
			path[at++] = (char)byte;
		else
			at += (size_t)sprintf(path + at, "%%%02X", byte);
		pattern++;
	}
	*length = at;
	return path;
}

static unsigned lowest_bit(unsigned bits)
{
	return bits & (~bits + 1);
}

static void find_every_route(const struct pipit_router *router)
{
	for (size_t i = 0; i < route_count; i++) {
		size_t length;
		char *text = make_path(routes[i].pattern, &length), *path = fuzz_copy(text, length);
		unsigned method = lowest_bit(routes[i].methods);
		struct pipit_router_match match;

		REQUIRE(look_up(router, method, (struct pipit_slice){ path, length }) == PIPIT_ROUTER_FOUND);
		REQUIRE(pipit_router_find(router, method, (struct pipit_slice){ path, length }, &match) ==
			PIPIT_ROUTER_FOUND);
		if (!strchr(routes[i].pattern, '{'))
			REQUIRE(match.route == &routes[i]);
		free(text);
		free(path);
	}
}

/* ---------------------------------------------------------------- lines */

/* Calls for each line with its bytes after the first. */
static void walk(struct pipit_router *router, const char *text, size_t size, bool are_lookups)
{
	const char *end = text + size;
	size_t lookups = 0;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((stop ? stop : end) - text);
		bool is_lookup = length > 0 && text[0] == '?';
		if (is_lookup && are_lookups && length > 1 && lookups++ < LOOKUPS_MAX) {
			char *path = fuzz_copy(text + 2, length - 2);
			look_up(router, 1u << (unsigned char)text[1] % 7, (struct pipit_slice){ path, length - 2 });
			free(path);
		} else if (!is_lookup && !are_lookups && length > 0) {
			char *pattern = fuzz_copy_text(text + 1, length - 1);
			add_route(router, (unsigned char)text[0] & PIPIT_ANY, pattern);
			free(pattern);
		}
		text += length + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipit_router *router = pipit_router_new();
	REQUIRE(router);
	walk(router, (const char *)data, size, false);
	find_every_route(router);
	walk(router, (const char *)data, size, true);
	pipit_router_free(router);
	clear_routes();
	return 0;
}
