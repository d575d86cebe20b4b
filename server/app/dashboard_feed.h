/* SPDX-License-Identifier: MIT */
/* GET /events: the dashboard's data once a second, after the last ten minutes. */
#ifndef PIPIT_DASHBOARD_FEED_H
#define PIPIT_DASHBOARD_FEED_H

#include "metrics/dashboard_data.h"
#include "pipit.h"

struct event_base;
struct pipit_dashboard_feed;

/*
 * Fills *input; its lists are valid until the next call. Called on the thread of the base, and on that of a worker
 * whose client joins.
 */
typedef void pipit_dashboard_feed_describe(void *context, struct pipit_dashboard_data_input *input);

/*
 * Starts sampling once a second, in the loop of `base`. Keeps `describe` and `context`. max_clients: 0 is no limit.
 * NULL when memory is short.
 */
struct pipit_dashboard_feed *pipit_dashboard_feed_new(
    struct event_base *base, pipit_dashboard_feed_describe *describe, void *context, uint64_t max_clients);

/* Ends all replies. Call it before the base is freed or used by another thread. NULL is harmless. */
void pipit_dashboard_feed_free(struct pipit_dashboard_feed *feed);

/* Reply with the stream. Any worker. */
void pipit_dashboard_feed_serve(struct pipit_dashboard_feed *feed, struct pipit_request *request);

#endif
