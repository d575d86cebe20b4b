/* SPDX-License-Identifier: MIT */
/*
 * The route of a method and path. Pure, without allocation; const while the server runs, for all workers.
 *
 * Patterns: as for pipit_route(), with names [A-Za-z_][A-Za-z0-9_]*. From left to right a literal wins over {name},
 * {name} over {name...}.
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
	/* In the order of the pattern, percent-encoded. */
	struct pipit_slice parameters[PIPIT_ROUTER_PARAMETERS_MAX];
};

struct pipit_router *pipit_router_new(void);
void pipit_router_free(struct pipit_router *router);

/* pattern: decoded. route: borrowed. Fails as pipit_route(). */
int pipit_router_add(
    struct pipit_router *router, unsigned methods, const char *pattern, void *route, char *error, size_t size);

/*
 * path: begins with '/', with valid percent-encoding. {name} does not match "", "." and ".." (nor %2e); "/a//b" and
 * "/a/" are not "/a/b" and "/a". HEAD finds GET if no route has HEAD. A less specific pattern is found if the most
 * specific one lacks the method.
 */
enum pipit_router_result { PIPIT_ROUTER_FOUND, PIPIT_ROUTER_NOT_FOUND, PIPIT_ROUTER_METHOD_NOT_ALLOWED };
enum pipit_router_result pipit_router_find(
    const struct pipit_router *router, unsigned method, struct pipit_slice path, struct pipit_router_match *match);

/* -1: no such name. */
int pipit_router_parameter_index(const char *pattern, const char *name);

#endif
