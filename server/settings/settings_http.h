/* SPDX-License-Identifier: MIT */
/* A store over HTTP: the document, and each value by its JSON Pointer. */
#ifndef PIPIT_SETTINGS_HTTP_H
#define PIPIT_SETTINGS_HTTP_H

#include "pipit.h"

#define PIPIT_SETTINGS_HTTP_BELOW "/{pointer...}"

/* arg: the store. pipit_route_settings() registers all. */
struct pipit_settings_http_route {
	bool is_below; /* for values; false: the whole document */
	unsigned method;
	pipit_handler *handler;
	struct pipit_route_options options;
};

#define PIPIT_SETTINGS_HTTP_ROUTES 8
extern const struct pipit_settings_http_route pipit_settings_http_routes[PIPIT_SETTINGS_HTTP_ROUTES];

/*
 * Refuses the changes that the server's clients wait for, except one that is being written, and releases their
 * requests. After the loops, before the workers are freed.
 */
void pipit_settings_http_settle(struct pipit_settings *settings, const struct pipit_server *server);

#endif
