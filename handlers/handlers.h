/* SPDX-License-Identifier: MIT */
/* The daemon's handlers: examples on the public API. */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "pipit.h"

/* site: the fallback; NULL: none. */
int handlers_register(struct pipit_server *server, struct pipit_site *site, struct pipit_settings *settings);

/* /metrics, /events, /healthz, /readyz and /openapi.json: what the dashboard links to. */
int handlers_register_monitoring(struct pipit_server *server);

/* Longer names are refused: a cut could split a character. */
#define HELLO_NAME_MAX_BYTES 256
#define HELLO_NAME_SCHEMA "{\"type\":\"string\",\"maxLength\":256,\"examples\":[\"Ada\"]}"
/* for /openapi.json */
#define HELLO_PARAMETERS "[{\"name\":\"name\",\"in\":\"query\",\"schema\":" HELLO_NAME_SCHEMA "}]"
#define HELLO_REPLY_SCHEMA                                 \
	"{\"type\":\"object\",\"required\":[\"message\"]," \
	"\"properties\":{\"message\":{\"type\":\"string\",\"examples\":[\"Hello, Ada!\"]}}}"

extern const struct pipit_route_options hello_get_options, hello_post_options;
pipit_evhttp_callback hello_get, hello_post; /* arg of hello_post: the struct pipit_server */

extern const struct pipit_route_options json_hello_options;
void json_hello(struct pipit_request *request, void *arg);

extern const struct pipit_route_options json_echo_options;
void json_echo(struct pipit_request *request, void *arg);

extern const struct pipit_route_options health_live_options, health_ready_options;
void health_live(struct pipit_request *request, void *arg);
void health_ready(struct pipit_request *request, void *arg);

#endif
