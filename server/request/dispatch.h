/* SPDX-License-Identifier: MIT */
/* Head → route → limit of the body → handler → reply → log and counters, as the handler table of the connection layer.
 * One per worker. */
#ifndef PIPIT_DISPATCH_H
#define PIPIT_DISPATCH_H

#include "http/router.h"
#include "http1/http1.h"
#include "metrics/access_log.h"
#include "metrics/counters.h"
#include "request/request.h"

struct pipit_dispatch {
	struct pipit_request_pool pool;
	const struct pipit_config *config;
	const struct pipit_router *router;
	const struct pipit_route *fallback; /* NULL: 404 */
	size_t no_route;                    /* index of the counters for requests without a route */
	struct pipit_counters *counters;
	struct pipit_access_log_buffer *access; /* NULL: no access log */
	struct event *log_event;                /* active while lines wait: one write() per turn of the loop */
};

/* The context of the functions is the struct pipit_dispatch. */
void pipit_dispatch_set_handlers(struct pipit_handler_table *hooks);

void pipit_dispatch_flush_log(struct pipit_dispatch *dispatch);

#endif
