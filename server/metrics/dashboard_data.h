/* SPDX-License-Identifier: MIT */
/*
 * What the dashboard draws: the workers' counts once a second, what moved in that second, and ten minutes of the most important
 * of it. The texts are JSON; docs/events.md has their members.
 *
 * Not for several threads at once.
 */
#ifndef PIPIT_DASHBOARD_DATA_H
#define PIPIT_DASHBOARD_DATA_H

#include "metrics/prometheus.h"

#define PIPIT_DASHBOARD_DATA_ROWS 600

struct pipit_dashboard_data;

/* What is looked at. The page's lists are as long each time as they were the first time. */
struct pipit_dashboard_data_input {
	struct pipit_prometheus page;
	uint64_t max_connections, memory_limit; /* as configured; 0: none */
};

/* NULL when memory is short. Free: NULL is harmless. */
struct pipit_dashboard_data *pipit_dashboard_data_new(size_t route_count, size_t worker_count);
void pipit_dashboard_data_free(struct pipit_dashboard_data *figures);

/* Look at the counts: once a second. now_ns: monotonic; the first time nothing has moved yet. */
void pipit_dashboard_data_sample(
    struct pipit_dashboard_data *figures, const struct pipit_dashboard_data_input *input, uint64_t now_ns, time_t now);

/* All figures of the last sample, and the history; NUL-terminated, the caller's to free. NULL when memory is short, or there is
 * no sample yet. */
char *pipit_dashboard_data_render(
    const struct pipit_dashboard_data *figures, const struct pipit_dashboard_data_input *input);
char *pipit_dashboard_data_render_history(const struct pipit_dashboard_data *figures);

#endif
