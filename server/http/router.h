/* SPDX-License-Identifier: MIT */
/*
 * From method and path to a route. Pure, and no allocation in a search. Routes are added before the server runs and
 * are const afterwards, so that all workers share one router without locks.
 *
 * Patterns: literal segments, {name} for one non-empty segment, {name...} for the rest of the path (may be empty; last
 * segment only). Names are [A-Za-z_][A-Za-z0-9_]*, unique within a pattern. The more specific route wins: literal
 * before {name} before {name...}, from left to right. A route is refused if another one with the same method could
 * match the same path and neither is more specific.
 */
#ifndef PIPIT_ROUTER_H
#define PIPIT_ROUTER_H

#include "base/slice.h"

#include <stddef.h>

#define PIPIT_ROUTER_PARAMETERS_MAX 16

struct pipit_router;

struct pipit_router_match {
	void *route; /* the argument of pipit_router_add(); NULL unless found */
	/* Methods of the path, with HEAD for GET, and OPTIONS; for 405. 0: no such path. When a route is found,
	 * methods of less specific patterns may be missing. */
	unsigned allow;
	size_t parameter_count;
	/* In the order of the names in the pattern; percent-encoded slices of the path. */
	struct pipit_slice parameters[PIPIT_ROUTER_PARAMETERS_MAX];
};

struct pipit_router *pipit_router_new(void); /* NULL when memory is short */
void pipit_router_free(struct pipit_router *router);

/*
 * methods: bits of enum pipit_method. pattern: decoded ("/a b", not "/a%20b"). route: borrowed, returned by a match.
 * Returns 0; -EINVAL (bad pattern, no or unknown method, more than PIPIT_ROUTER_PARAMETERS_MAX names); -EEXIST
 * (conflict); -ENOMEM. On failure the router is unchanged, and `error` has one sentence, with the other pattern of a
 * conflict.
 */
int pipit_router_add(
    struct pipit_router *router, unsigned methods, const char *pattern, void *route, char *error, size_t size);

/*
 * path: begins with '/', with valid percent-encoding. {name} matches no empty segment, no "." and no ".." (nor %2e).
 * Empty segments count: "/a//b" and "/a/" are not "/a/b" and "/a". HEAD finds a GET route if no route has HEAD. If the
 * most specific pattern lacks the method, a less specific one is found.
 */
enum pipit_router_result { PIPIT_ROUTER_FOUND, PIPIT_ROUTER_NOT_FOUND, PIPIT_ROUTER_METHOD_NOT_ALLOWED };
enum pipit_router_result pipit_router_find(
    const struct pipit_router *router, unsigned method, struct pipit_slice path, struct pipit_router_match *match);

/* Index of a name in the pattern, for match->parameters; -1: no such name. */
int pipit_router_parameter_index(const char *pattern, const char *name);

#endif
