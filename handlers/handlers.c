/* SPDX-License-Identifier: MIT */
/* The site map, one line per route. */
#include "handlers.h"

int handlers_register(struct pipit_server *server, struct pipit_site *site, struct pipit_settings *settings)
{
	/* Every failure is remembered by the server and fails its start; the first is returned. */
	int error = 0;
	error |= pipit_route(server, PIPIT_GET, "/hello/get", hello_get, NULL);
	error |= pipit_route(server, PIPIT_POST, "/hello/post", hello_post, NULL);
	error |= pipit_route(server, PIPIT_POST, "/json/echo", json_echo, NULL);
	error |= pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	error |= pipit_route(server, PIPIT_GET, "/events", pipit_serve_events, NULL);
	error |= pipit_route(server, PIPIT_GET, "/healthz", health_live, NULL);
	error |= pipit_route(server, PIPIT_GET, "/readyz", health_ready, NULL);
	if (settings)
		error |= pipit_route_settings(server, "/api/settings", settings);
	if (site)
		error |= pipit_fallback(server, pipit_serve_files, site);
	return error;
}
