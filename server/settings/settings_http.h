/* SPDX-License-Identifier: MIT */
/*
 * A settings store as an HTTP resource: GET, PUT, PATCH and DELETE of the whole document, and of each value by its JSON Pointer after
 * the path of the route.
 */
#ifndef PIPIT_SETTINGS_HTTP_H
#define PIPIT_SETTINGS_HTTP_H

#include "pipit.h"

/* Appended to the pattern of the whole document: the pattern of its values. */
#define PIPIT_SETTINGS_HTTP_BELOW "/{pointer...}"

/* The argument of the handler is the store; pipit_route_settings() registers all routes. */
struct pipit_settings_http_route {
	bool is_below; /* for values in the document; false: for the whole document */
	unsigned method;
	pipit_handler *handler;
	struct pipit_route_options options;
};

#define PIPIT_SETTINGS_HTTP_ROUTES 8
extern const struct pipit_settings_http_route pipit_settings_http_routes[PIPIT_SETTINGS_HTTP_ROUTES];

/* Call after the loops of the workers have ended and before the workers are freed: wait for queued changes, and release their requests. */
void pipit_settings_http_settle(struct pipit_settings *settings);

#endif
