/* SPDX-License-Identifier: MIT */
/* The registered routes of a server, and its fallback. */
#ifndef PIPIT_ROUTES_H
#define PIPIT_ROUTES_H

#include "http/router.h"
#include "request/request.h"

struct pipit_routes {
	struct pipit_router *router;
	struct pipit_route *newest; /* by time of registration */
	struct pipit_route *fallback;
	size_t count;
	const char **names; /* by index: patterns, then "fallback" and "none"; NULL before pipit_routes_name() */
	int error;          /* of the first failed registration; 0: none */
};

/* 0 or -ENOMEM; pipit_routes_clear() frees it also after a failure. */
int pipit_routes_init(struct pipit_routes *routes);
void pipit_routes_clear(struct pipit_routes *routes);

/* Log why a registration failed, and store the first error. Returns `error`. */
int pipit_routes_fail(struct pipit_routes *routes, const char *pattern, int error, const char *why);

/* Register a copy of `content` with its options checked. memory_limit: of the server; 0: none. As pipit_route(). */
int pipit_routes_add(
    struct pipit_routes *routes, uint64_t memory_limit, const char *pattern, const struct pipit_route *content);

/* Replace the fallback with a copy of `content`. As pipit_fallback(). */
int pipit_routes_set_fallback(struct pipit_routes *routes, const struct pipit_route *content);

/* Set `names`, when all routes are registered. 0 or -ENOMEM. */
int pipit_routes_name(struct pipit_routes *routes);

/* Render the OpenAPI description of each route with this handler. 0, or -EINVAL or -ENOMEM after a message. */
int pipit_routes_describe(const struct pipit_routes *routes, pipit_handler *handler, const char *version);

/* The mode that all evhttp callbacks need. */
enum pipit_evhttp_mode pipit_routes_evhttp_mode(const struct pipit_routes *routes);

/* True when a route or the fallback has this native handler. */
bool pipit_routes_have_handler(const struct pipit_routes *routes, pipit_handler *handler);

/* A route with an evhttp callback, without the fallback; NULL: none. */
const struct pipit_route *pipit_routes_find_callback(const struct pipit_routes *routes);

#endif
