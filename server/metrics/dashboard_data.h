/* SPDX-License-Identifier: MIT */
/* Counters sampled once a second: rates and ten minutes of history, as JSON (docs/events.md). Not thread-safe. */
#ifndef PIPIT_DASHBOARD_DATA_H
#define PIPIT_DASHBOARD_DATA_H

#include "metrics/prometheus.h"

/* seconds */
#define PIPIT_DASHBOARD_DATA_ROWS 600

struct pipit_dashboard_data;

/* The lists of `page` keep their lengths. */
struct pipit_dashboard_data_input {
	struct pipit_prometheus page;
	uint64_t max_connections, memory_limit; /* 0: no limit */
};

struct pipit_dashboard_data *pipit_dashboard_data_new(size_t route_count, size_t worker_count);
void pipit_dashboard_data_free(struct pipit_dashboard_data *data);

/* Once a second. now_ns: CLOCK_MONOTONIC. Rates begin with the second sample. */
void pipit_dashboard_data_sample(
    struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input, uint64_t now_ns, time_t now);

/* NULL also before the second sample. */
char *pipit_dashboard_data_render(
    const struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input);
char *pipit_dashboard_data_render_history(const struct pipit_dashboard_data *data);

#endif
