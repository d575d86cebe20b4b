/* SPDX-License-Identifier: MIT */
/*
 * A store of settings as an HTTP resource: GET and PUT, PATCH and DELETE of the whole and of every value in it, by its JSON
 * Pointer behind the route's path.
 */
#ifndef PIPIT_SETTINGS_HTTP_H
#define PIPIT_SETTINGS_HTTP_H

#include "pipit.h"

/* Behind the pattern of the whole it makes the pattern of the values in it. */
#define PIPIT_SETTINGS_HTTP_BELOW "/{pointer...}"

/* A route to a store, which is the handler's argument; pipit_route_settings() registers all of them. */
struct pipit_settings_http_route {
	bool is_below; /* of the values in the document; else of the whole */
	unsigned method;
	pipit_handler *handler;
	struct pipit_route_options options;
};

#define PIPIT_SETTINGS_HTTP_ROUTES 8
extern const struct pipit_settings_http_route pipit_settings_http_routes[PIPIT_SETTINGS_HTTP_ROUTES];

/* Before the workers are freed, when their loops do not run any more: wait for changes under way, and let go of requests. */
void pipit_settings_http_settle(struct pipit_settings *settings);

#endif
