/* SPDX-License-Identifier: MIT */
/*
 * From method and path to a route. Pure: no libevent, no allocation while finding; routes are added before the server runs
 * and const afterwards, so that all workers share one router without locks.
 *
 * Patterns: literal segments, {name} for one non-empty segment, {name...} for the rest of the path (may be empty; last
 * segment only). Names are [A-Za-z_][A-Za-z0-9_]*, unique within a pattern. More specific wins: literal before {name}
 * before {name...}, from left to right. Two patterns that could both match one path, with a method in common and neither
 * more specific (its paths a true subset of the other's), are refused when the second is added.
 */
#ifndef PIPIT_ROUTER_H
#define PIPIT_ROUTER_H

#include "base/slice.h"

#include <stddef.h>

#define PIPIT_ROUTER_PARAMETERS_MAX 16

struct pipit_router;

struct pipit_router_match {
	void *route; /* as given to pipit_router_add(); NULL unless found */
	/* Methods that the path has; HEAD with GET, OPTIONS always. For 405. 0: no such path. When a route was found, those of less
	 * specific patterns may be missing. */
	unsigned allow;
	size_t parameter_count;
	/* In the order of the pattern's names; percent-encoded, slices of the path that was searched. */
	struct pipit_slice parameters[PIPIT_ROUTER_PARAMETERS_MAX];
};

struct pipit_router *pipit_router_new(void); /* NULL when memory is short */
void pipit_router_free(struct pipit_router *router);

/*
 * methods: bits of enum pipit_method. route: kept, handed back by a match. Literal segments of the pattern are compared
 * with the percent-decoded segments of a path, so a pattern is written decoded ("/a b", not "/a%20b").
 * Returns 0; -EINVAL (bad pattern, no or unknown method, more than PIPIT_ROUTER_PARAMETERS_MAX names); -EEXIST (conflict);
 * -ENOMEM. On failure the router is unchanged and `error` holds one sentence, naming the other pattern for a conflict.
 */
int pipit_router_add(
    struct pipit_router *router, unsigned methods, const char *pattern, void *route, char *error, size_t size);

/*
 * path: begins with '/', percent-encoding already validated. A {name} never matches an empty segment, "." or ".." (also
 * when spelt %2e). Empty segments are significant: "/a//b" and "/a/" are not "/a/b" and "/a". HEAD finds a GET route where
 * no route has HEAD itself. Where the best pattern lacks the method a less specific one that has it is found.
 */
enum pipit_router_result { PIPIT_ROUTER_FOUND, PIPIT_ROUTER_NOT_FOUND, PIPIT_ROUTER_METHOD_NOT_ALLOWED };
enum pipit_router_result pipit_router_find(
    const struct pipit_router *router, unsigned method, struct pipit_slice path, struct pipit_router_match *match);

/* Number of the pattern's name `name` (to index match->parameters), or -1. For the pattern as it was added. */
int pipit_router_parameter_index(const char *pattern, const char *name);

#endif
