/* SPDX-License-Identifier: MIT */
/*
 * The daemon with other greetings. The variable GREETINGS_LANE chooses them: "native", or "own" for evhttp callbacks whose
 * clients have evhttp connections of their own. In the daemon itself, callbacks borrow evhttp connections. The lane tests run
 * with all three.
 */
#include "lanes.h"

#include <stdlib.h>
#include <string.h>

static int register_greetings(struct pipit_server *server)
{
	const char *lane = getenv("GREETINGS_LANE");
	if (lane && strcmp(lane, "own") == 0)
		return pipit_route_evhttp(server, PIPIT_GET, "/hello/get", hello_get, server) |
		       pipit_route_evhttp(server, PIPIT_POST, "/hello/post", hello_post, server);
	if (lane && strcmp(lane, "native") == 0)
		return pipit_route(server, PIPIT_GET, "/hello/get", lanes_hello_get, NULL) |
		       pipit_route(server, PIPIT_POST, "/hello/post", lanes_hello_post, NULL);
	return -1;
}

int handlers_register(struct pipit_server *server, struct pipit_site *site, struct pipit_settings *settings)
{
	int error = register_greetings(server);
	error |= pipit_route(server, PIPIT_GET, "/json/hello", json_hello, NULL);
	error |= pipit_route(server, PIPIT_POST, "/json/echo", json_echo, NULL);
	error |= pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	error |= pipit_route(server, PIPIT_GET, "/events", pipit_serve_events, NULL);
	error |= pipit_route(server, PIPIT_GET, "/healthz", health_live, NULL);
	error |= pipit_route(server, PIPIT_GET, "/readyz", health_ready, NULL);
	if (settings)
		error |= pipit_route_settings(server, "/api/settings", settings);
	return site ? error | pipit_fallback(server, pipit_serve_files, site) : error;
}
