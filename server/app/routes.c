/* SPDX-License-Identifier: MIT */
#include "app/routes.h"

#include "app/openapi.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_route(struct pipit_route *route)
{
	if (!route)
		return;
	free(route->pattern);
	for (size_t i = 0; i < PIPIT_ROUTE_TEXTS; i++)
		free(route->texts[i]);
	pipit_openapi_free(route->openapi);
	pipit_openapi_free(route->public_openapi);
	free(route);
}

static bool copy_texts(struct pipit_route *route)
{
	struct pipit_route_options *options = &route->options;
	const char **texts[PIPIT_ROUTE_TEXTS] = { &options->summary, &options->parameters, &options->request_type,
		&options->request_schema, &options->request_content, &options->reply_type, &options->reply_schema,
		&options->replies };
	bool is_copied = true;
	for (size_t i = 0; i < PIPIT_ROUTE_TEXTS; i++) {
		if (!*texts[i])
			continue;
		*texts[i] = route->texts[i] = strdup(*texts[i]);
		is_copied &= route->texts[i] != NULL;
	}
	return is_copied;
}

static struct pipit_route *new_route(const struct pipit_route *content, const char *pattern)
{
	struct pipit_route *route = malloc(sizeof *route);
	bool is_copied;
	if (!route)
		return NULL;
	*route = *content;
	route->pattern = strdup(pattern);
	is_copied = copy_texts(route);
	if (route->pattern && is_copied)
		return route;
	free_route(route);
	return NULL;
}

static int fail(struct pipit_routes *routes, const char *what, const char *pattern, int error, const char *why)
{
	pipit_log(PIPIT_LOG_ERROR, "%s %s: %s", what, pattern ? pattern : "(null)", why);
	if (!routes->error)
		routes->error = error;
	return error;
}

int pipit_routes_fail(struct pipit_routes *routes, const char *pattern, int error, const char *why)
{
	return fail(routes, "route", pattern, error, why);
}

int pipit_routes_fail_filter(struct pipit_routes *routes, const char *pattern, int error, const char *why)
{
	return fail(routes, "filter", pattern, error, why);
}

static const char *find_missing_argument(const struct pipit_route *content)
{
	if (!content->arg && content->handler == pipit_serve_files)
		return "pipit_serve_files() needs a site as its argument: pass one from pipit_site_open()";
	if (!content->arg && content->handler == pipit_stream_serve)
		return "pipit_stream_serve() needs a stream as its argument: pass one from pipit_stream_new()";
	return NULL;
}

int pipit_routes_add(
    struct pipit_routes *routes, uint64_t memory_limit, const char *pattern, const struct pipit_route *content)
{
	const char *missing = find_missing_argument(content);
	struct pipit_route *route;
	char why[256] = "out of memory";
	int error;

	if (!pattern || (!content->handler && !content->callback))
		return pipit_routes_fail(routes, pattern, -EINVAL, "a route needs a pattern and a handler");
	if (missing)
		return pipit_routes_fail(routes, pattern, -EINVAL, missing);
	if (memory_limit && content->options.max_body_bytes > memory_limit)
		return pipit_routes_fail(
		    routes, pattern, -EINVAL, "max_body_bytes is too large; use at most memory-limit");
	if (content->options.borrows_connection && !content->callback)
		return pipit_routes_fail(routes, pattern, -EINVAL,
		    "borrows_connection is for evhttp callbacks: a native handler needs no evhttp connection");
	error = pipit_openapi_check(pattern, &content->options, why, sizeof why);
	if (error != 0)
		return pipit_routes_fail(routes, pattern, error, why);
	route = new_route(content, pattern);
	error = route ? pipit_router_add(routes->router, content->methods, pattern, route, why, sizeof why) : -ENOMEM;
	if (error != 0) {
		free_route(route);
		return pipit_routes_fail(routes, pattern, error, why);
	}
	route->index = routes->count++;
	route->next = routes->newest;
	routes->newest = route;
	/* It cannot collide here where it did not above. */
	if (!content->options.admin_only &&
	    pipit_router_add(routes->public_router, content->methods, pattern, route, why, sizeof why) != 0)
		return pipit_routes_fail(routes, pattern, -ENOMEM, "out of memory");
	return 0;
}

int pipit_routes_set_fallback(struct pipit_routes *routes, const struct pipit_route *content)
{
	const char *missing = find_missing_argument(content);
	struct pipit_route *route;
	if (!content->handler && !content->callback)
		return pipit_routes_fail(routes, "fallback", -EINVAL, "a fallback needs a handler");
	if (missing)
		return pipit_routes_fail(routes, "fallback", -EINVAL, missing);
	route = new_route(content, "fallback");
	if (!route)
		return pipit_routes_fail(routes, "fallback", -ENOMEM, "out of memory");
	free_route(routes->fallback);
	routes->fallback = route;
	return 0;
}

int pipit_routes_add_filter(struct pipit_routes *routes, const char *pattern, pipit_filter_handler *handler, void *arg)
{
	struct pipit_filter *filter;
	char why[256];
	int error = pipit_filter_new(pattern, handler, arg, &filter, why, sizeof why);

	if (error != 0)
		return pipit_routes_fail_filter(routes, pattern, error, why);
	if (routes->last_filter)
		routes->last_filter->next = filter;
	else
		routes->filters = filter;
	routes->last_filter = filter;
	return 0;
}

void pipit_routes_prepend_filters(struct pipit_routes *routes, struct pipit_filter *filters)
{
	struct pipit_filter **end = &filters;
	while (*end)
		end = &(*end)->next;
	*end = routes->filters;
	routes->filters = filters;
}

int pipit_routes_name(struct pipit_routes *routes)
{
	routes->names = calloc(routes->count + 2, sizeof *routes->names);
	if (!routes->names)
		return -ENOMEM;
	for (struct pipit_route *route = routes->newest; route; route = route->next)
		routes->names[route->index] = route->pattern;
	if (routes->fallback)
		routes->fallback->index = routes->count;
	routes->names[routes->count] = "fallback";
	routes->names[routes->count + 1] = "none";
	return 0;
}

static enum pipit_evhttp_mode mode_of(const struct pipit_route *route)
{
	if (!route || !route->callback)
		return PIPIT_EVHTTP_NONE;
	return route->options.borrows_connection ? PIPIT_EVHTTP_BORROWED : PIPIT_EVHTTP_OWN;
}

enum pipit_evhttp_mode pipit_routes_evhttp_mode(const struct pipit_routes *routes)
{
	enum pipit_evhttp_mode most = mode_of(routes->fallback);
	for (const struct pipit_route *route = routes->newest; route; route = route->next) {
		if (mode_of(route) > most)
			most = mode_of(route);
	}
	return most;
}

static bool is_thread_safe(const struct pipit_route *route)
{
	return !route || !route->callback || route->options.thread_safe;
}

bool pipit_routes_are_thread_safe(const struct pipit_routes *routes)
{
	for (const struct pipit_route *route = routes->newest; route; route = route->next) {
		if (!is_thread_safe(route))
			return false;
	}
	return is_thread_safe(routes->fallback);
}

bool pipit_routes_have_handler(const struct pipit_routes *routes, pipit_handler *handler)
{
	const struct pipit_route *route = routes->newest;
	while (route && route->handler != handler)
		route = route->next;
	return route || (routes->fallback && routes->fallback->handler == handler);
}

const struct pipit_route *pipit_routes_find_callback(const struct pipit_routes *routes)
{
	const struct pipit_route *route = routes->newest;
	while (route && !route->callback)
		route = route->next;
	return route;
}

static int describe_for(
    const struct pipit_routes *routes, struct pipit_route *route, const char *version, bool has_admin)
{
	int error = pipit_openapi_new(routes->newest, false, route->arg, version, &route->openapi);
	if (error == 0 && has_admin)
		error = pipit_openapi_new(routes->newest, true, route->arg, version, &route->public_openapi);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR, "route %s: cannot describe the routes: %s", route->pattern,
		    error == -EINVAL ? "the title is not UTF-8" : "out of memory");
	return error;
}

int pipit_routes_describe(
    const struct pipit_routes *routes, pipit_handler *handler, const char *version, bool has_admin)
{
	int error = 0;
	if (routes->fallback && routes->fallback->handler == handler)
		error = describe_for(routes, routes->fallback, version, has_admin);
	for (struct pipit_route *route = routes->newest; error == 0 && route; route = route->next) {
		if (route->handler == handler)
			error = describe_for(routes, route, version, has_admin);
	}
	return error;
}

int pipit_routes_init(struct pipit_routes *routes)
{
	*routes = (struct pipit_routes){ .router = pipit_router_new(), .public_router = pipit_router_new() };
	return routes->router && routes->public_router ? 0 : -ENOMEM;
}

void pipit_routes_clear(struct pipit_routes *routes)
{
	pipit_router_free(routes->router);
	pipit_router_free(routes->public_router);
	while (routes->newest) {
		struct pipit_route *next = routes->newest->next;
		free_route(routes->newest);
		routes->newest = next;
	}
	free_route(routes->fallback);
	pipit_filter_free(routes->filters);
	free(routes->names);
}
