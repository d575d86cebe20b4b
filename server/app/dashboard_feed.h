/* SPDX-License-Identifier: MIT */
/* GET /events: the dashboard's data once a second, after the last ten minutes. */
#ifndef PIPIT_DASHBOARD_FEED_H
#define PIPIT_DASHBOARD_FEED_H

#include "metrics/dashboard_data.h"
#include "pipit.h"

struct event_base;
struct pipit_dashboard_feed;

/* The lists of *input are valid until the next call. Thread of the base, or of a worker whose client joins. */
typedef void pipit_dashboard_feed_describe(void *context, struct pipit_dashboard_data_input *input);

/* Keeps `describe` and `context`. max_clients: 0: no limit. */
struct pipit_dashboard_feed *pipit_dashboard_feed_new(
    struct event_base *base, pipit_dashboard_feed_describe *describe, void *context, uint64_t max_clients);

/* Ends all replies. Before the base is freed. */
void pipit_dashboard_feed_free(struct pipit_dashboard_feed *feed);

/* Any worker. */
void pipit_dashboard_feed_serve(struct pipit_dashboard_feed *feed, struct pipit_request *request);

#endif
