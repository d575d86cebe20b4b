/* SPDX-License-Identifier: MIT */
/* GET /events: the figures once a second, to all who follow, with the last ten minutes to begin with. */
#ifndef PIPIT_DASHBOARD_FEED_H
#define PIPIT_DASHBOARD_FEED_H

#include "metrics/dashboard_data.h"
#include "pipit.h"

struct event_base;
struct pipit_dashboard_feed;

/* Fills *input; its lists live until the next call. On the base's thread, and on that of a worker whose client joins. */
typedef void pipit_dashboard_feed_describe(void *context, struct pipit_dashboard_data_input *input);

/*
 * Samples once a second from now on, on the base's loop. describe, context: kept. max_clients: at once; 0: any number. NULL when
 * memory is short.
 */
struct pipit_dashboard_feed *pipit_dashboard_feed_new(
    struct event_base *base, pipit_dashboard_feed_describe *describe, void *context, uint64_t max_clients);

/* Ends the replies of all who follow. Before its base is freed, or used by another thread. NULL is harmless. */
void pipit_dashboard_feed_free(struct pipit_dashboard_feed *live);

/* Reply with the stream. Any worker. */
void pipit_dashboard_feed_serve(struct pipit_dashboard_feed *live, struct pipit_request *request);

#endif
