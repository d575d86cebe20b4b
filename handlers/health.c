/* SPDX-License-Identifier: MIT */
/* GET /healthz: the process runs. GET /readyz: no drain has begun. */
#include "handlers.h"

#include <string.h>

#define STATUS_SCHEMA(word) \
	"{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"const\":\"" word "\"}}}"

const struct pipit_route_options health_live_options = {
	.admin_only = true,
	.summary = "Liveness: the process runs.",
	.reply_schema = STATUS_SCHEMA("ok"),
};

const struct pipit_route_options health_ready_options = {
	.admin_only = true,
	.summary = "Readiness: the server accepts new work.",
	.reply_schema = STATUS_SCHEMA("ready"),
	.replies = "{\"503\":{\"description\":\"The server "
		   "drains.\",\"content\":{\"application/json\":{\"schema\":" STATUS_SCHEMA("draining") "}}}}",
};

static void reply_fixed(struct pipit_request *request, int status, const char *json)
{
	pipit_reply_header(request, "Cache-Control", "no-store");
	pipit_reply(request, status, "application/json", json, strlen(json));
}

void health_live(struct pipit_request *request, void *arg)
{
	(void)arg;
	reply_fixed(request, 200, "{\"status\":\"ok\"}");
}

void health_ready(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_server_is_draining(pipit_request_server(request)))
		reply_fixed(request, 503, "{\"status\":\"draining\"}");
	else
		reply_fixed(request, 200, "{\"status\":\"ready\"}");
}
