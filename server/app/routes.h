/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_ROUTES_H
#define PIPIT_ROUTES_H

#include "http/router.h"
#include "request/filter.h"
#include "request/request.h"

struct pipit_routes {
	struct pipit_router *router, *public_router; /* of all routes, and of those that are not admin_only */
	struct pipit_route *newest;
	struct pipit_route *fallback;
	struct pipit_filter *filters, *last_filter; /* in the order of registration */
	size_t count;
	const char **names; /* by index: patterns, "fallback", "none"; NULL before pipit_routes_name() */
	int error;          /* of the first failure; 0: none */
};

int pipit_routes_init(struct pipit_routes *routes);
void pipit_routes_clear(struct pipit_routes *routes);

/* Logs `why`, stores the first error. Returns `error`. */
int pipit_routes_fail(struct pipit_routes *routes, const char *pattern, int error, const char *why);
int pipit_routes_fail_filter(struct pipit_routes *routes, const char *pattern, int error, const char *why);

/* As pipit_route(), with a copy of `content`. memory_limit: 0: none. */
int pipit_routes_add(
    struct pipit_routes *routes, uint64_t memory_limit, const char *pattern, const struct pipit_route *content);

/* As pipit_fallback(), with a copy of `content`. */
int pipit_routes_set_fallback(struct pipit_routes *routes, const struct pipit_route *content);

/* As pipit_filter(). */
int pipit_routes_add_filter(struct pipit_routes *routes, const char *pattern, pipit_filter_handler *handler, void *arg);

/* Takes them; they stand before the others. */
void pipit_routes_prepend_filters(struct pipit_routes *routes, struct pipit_filter *filters);

/* After all registrations. */
int pipit_routes_name(struct pipit_routes *routes);

/* Renders the OpenAPI descriptions of each route with this handler; has_admin: also that of public routes. Logs failures. */
int pipit_routes_describe(
    const struct pipit_routes *routes, pipit_handler *handler, const char *version, bool has_admin);

enum pipit_evhttp_mode pipit_routes_evhttp_mode(const struct pipit_routes *routes);

/* All evhttp callbacks may run on several workers at once. */
bool pipit_routes_are_thread_safe(const struct pipit_routes *routes);

/* Or the fallback has it. */
bool pipit_routes_have_handler(const struct pipit_routes *routes, pipit_handler *handler);

/* Without the fallback. NULL: none. */
const struct pipit_route *pipit_routes_find_callback(const struct pipit_routes *routes);

#endif
