/* SPDX-License-Identifier: MIT */
/* The handler table of a worker. */
#ifndef PIPIT_DISPATCH_H
#define PIPIT_DISPATCH_H

#include "http/router.h"
#include "http1/http1.h"
#include "metrics/access_log.h"
#include "metrics/counters.h"
#include "request/filter.h"
#include "request/request.h"

struct pipit_dispatch_routes {
	const struct pipit_router *router;
	const struct pipit_route *fallback; /* NULL: 404 */
};

struct pipit_dispatch {
	struct pipit_request_pool pool;
	const struct pipit_config *config;
	struct pipit_dispatch_routes routes[2];              /* [true]: of admin_listen */
	const struct pipit_filter *filters;                  /* the first; NULL: none */
	const struct pipit_filter *filters_after_host_check; /* pipit_filter_after_host_check() of them */
	size_t no_route;                                     /* index for the counters */
	struct pipit_counters *counters;
	struct pipit_access_log_buffer *access; /* NULL: no access log */
	bool has_hsts;                          /* hsts_ms is set, and an address speaks TLS */
	struct event *log_event;                /* active while lines wait: one write() per turn of the loop */
};

/* Called with the struct pipit_dispatch. */
void pipit_dispatch_set_handlers(struct pipit_handler_table *handlers, bool has_filters);

void pipit_dispatch_flush_log(struct pipit_dispatch *dispatch);

#endif
