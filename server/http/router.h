/* SPDX-License-Identifier: MIT */
/*
 * From method and path to a route. Pure, without allocation. Const while the server runs: all workers share one.
 *
 * Patterns: literal segments, {name} for one non-empty segment, {name...} for the rest of the path (may be empty; last
 * segment only). Names: [A-Za-z_][A-Za-z0-9_]*, unique within a pattern. Literal wins over {name}, {name} over
 * {name...}, from left to right.
 */
#ifndef PIPIT_ROUTER_H
#define PIPIT_ROUTER_H

#include "base/slice.h"

#include <stddef.h>

#define PIPIT_ROUTER_PARAMETERS_MAX 16

struct pipit_router;

struct pipit_router_match {
	void *route; /* of pipit_router_add(); NULL unless found */
	/*
	 * For 405; with HEAD for GET, and OPTIONS. 0: no such path. When a route is found, methods of less specific
	 * ones may be missing.
	 */
	unsigned allow;
	size_t parameter_count;
	/* In the order of the pattern; percent-encoded slices of the path. */
	struct pipit_slice parameters[PIPIT_ROUTER_PARAMETERS_MAX];
};

struct pipit_router *pipit_router_new(void); /* NULL when memory is short */
void pipit_router_free(struct pipit_router *router);

/*
 * methods: bits of enum pipit_method. pattern: decoded. route: borrowed. 0; -EINVAL (bad pattern, no or unknown method,
 * more than PIPIT_ROUTER_PARAMETERS_MAX names); -EEXIST (another route matches the same request, neither is more
 * specific); -ENOMEM. On failure the router is unchanged, and `error` has one sentence.
 */
int pipit_router_add(
    struct pipit_router *router, unsigned methods, const char *pattern, void *route, char *error, size_t size);

/*
 * path: begins with '/', with valid percent-encoding. {name} does not match "", "." and ".." (nor %2e); "/a//b" and
 * "/a/" are not "/a/b" and "/a". HEAD finds GET if no route has HEAD. If the most specific pattern lacks the method, a
 * less specific one is found.
 */
enum pipit_router_result { PIPIT_ROUTER_FOUND, PIPIT_ROUTER_NOT_FOUND, PIPIT_ROUTER_METHOD_NOT_ALLOWED };
enum pipit_router_result pipit_router_find(
    const struct pipit_router *router, unsigned method, struct pipit_slice path, struct pipit_router_match *match);

/* For match->parameters; -1: no such name. */
int pipit_router_parameter_index(const char *pattern, const char *name);

#endif
