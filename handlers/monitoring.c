/* SPDX-License-Identifier: MIT */
/* What the dashboard, probes and Prometheus ask for. pipit-guard serves it too. */
#include "handlers.h"

static const struct pipit_route_options metrics_options = {
	.admin_only = true,
	.summary = "Metrics for Prometheus.",
	.reply_type = "text/plain, application/openmetrics-text",
	.reply_schema = "{\"type\":\"string\"}",
};

static const struct pipit_route_options events_options = {
	.admin_only = true,
	.summary = "Live metrics once a second, as server-sent events (docs/events.md).",
	.reply_type = "text/event-stream",
	.reply_schema = "{\"type\":\"string\"}",
};

static const struct pipit_route_options openapi_options = {
	.summary = "This OpenAPI description.",
	.reply_schema = "{\"type\":\"object\",\"required\":[\"openapi\",\"info\",\"paths\"]}",
	.replies = "{\"304\":{\"description\":\"The description matches If-None-Match.\"}}",
};

static const struct {
	const char *pattern;
	pipit_handler *handler;
	const struct pipit_route_options *options;
} routes[] = {
	{ "/metrics", pipit_serve_metrics, &metrics_options },
	{ "/events", pipit_serve_events, &events_options },
	{ "/healthz", health_live, &health_live_options },
	{ "/readyz", health_ready, &health_ready_options },
	{ "/openapi.json", pipit_serve_openapi, &openapi_options },
};

int handlers_register_monitoring(struct pipit_server *server)
{
	int error = 0;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		error |=
		    pipit_route_with(server, PIPIT_GET, routes[i].pattern, routes[i].handler, NULL, routes[i].options);
	return error;
}
