/* SPDX-License-Identifier: MIT */
#include "handlers.h"

/* arg: the server */
static const struct {
	unsigned methods;
	const char *pattern;
	pipit_evhttp_callback *callback;
	const struct pipit_route_options *options;
} evhttp_routes[] = {
	{ PIPIT_GET, "/hello/get", hello_get, &hello_get_options },
	{ PIPIT_POST, "/hello/post", hello_post, &hello_post_options },
};

static const struct {
	unsigned methods;
	const char *pattern;
	pipit_handler *handler;
	const struct pipit_route_options *options;
} native_routes[] = {
	{ PIPIT_GET, "/json/hello", json_hello, &json_hello_options },
	{ PIPIT_POST, "/json/echo", json_echo, &json_echo_options },
};

int handlers_register(struct pipit_server *server, struct pipit_site *site, struct pipit_settings *settings)
{
	/* the server also refuses to start */
	int error = 0;
	for (size_t i = 0; i < sizeof evhttp_routes / sizeof *evhttp_routes; i++)
		error |= pipit_route_evhttp_with(server, evhttp_routes[i].methods, evhttp_routes[i].pattern,
		    evhttp_routes[i].callback, server, evhttp_routes[i].options);
	for (size_t i = 0; i < sizeof native_routes / sizeof *native_routes; i++)
		error |= pipit_route_with(server, native_routes[i].methods, native_routes[i].pattern,
		    native_routes[i].handler, NULL, native_routes[i].options);
	error |= handlers_register_monitoring(server);
	if (settings)
		error |= pipit_route_settings(server, "/api/settings", settings);
	if (site)
		error |= pipit_fallback(server, pipit_serve_files, site);
	return error;
}
