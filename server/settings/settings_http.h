/* SPDX-License-Identifier: MIT */
/*
 * A store of settings as an HTTP resource: GET and PUT, PATCH and DELETE of the whole and of every value in it, by its JSON
 * Pointer behind the route's path.
 */
#ifndef PIPIT_RESOURCE_H
#define PIPIT_RESOURCE_H

#include "pipit.h"

/* Behind the pattern of the whole it makes the pattern of the values in it. */
#define PIPIT_RESOURCE_BELOW "/{pointer...}"

/* A route to a store, which is the handler's argument; pipit_route_settings() registers all of them. */
struct pipit_resource_route {
	bool is_below; /* of the values in the document; else of the whole */
	unsigned method;
	pipit_handler *handler;
	struct pipit_route_options options;
};

#define PIPIT_RESOURCE_ROUTES 8
extern const struct pipit_resource_route pipit_resource_routes[PIPIT_RESOURCE_ROUTES];

/* Before the workers are freed, when their loops do not run any more: wait for changes under way, and let go of requests. */
void pipit_resource_settle(struct pipit_settings *settings);

#endif
