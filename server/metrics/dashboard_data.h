/* SPDX-License-Identifier: MIT */
/*
 * The data of the dashboard: the counters of the workers, sampled once a second, their rates in that second, and a history of ten
 * minutes. Rendered as JSON; docs/events.md has the members.
 *
 * Not thread-safe.
 */
#ifndef PIPIT_DASHBOARD_DATA_H
#define PIPIT_DASHBOARD_DATA_H

#include "metrics/prometheus.h"

/* Seconds of history. */
#define PIPIT_DASHBOARD_DATA_ROWS 600

struct pipit_dashboard_data;

/* The source of a sample. The lists of `page` keep their lengths from sample to sample. */
struct pipit_dashboard_data_input {
	struct pipit_prometheus page;
	uint64_t max_connections, memory_limit; /* connections and bytes; 0: no limit */
};

/* NULL when memory is short. Freeing NULL is harmless. */
struct pipit_dashboard_data *pipit_dashboard_data_new(size_t route_count, size_t worker_count);
void pipit_dashboard_data_free(struct pipit_dashboard_data *data);

/* Take a sample; call once a second. now_ns: CLOCK_MONOTONIC. Rates begin with the second sample. */
void pipit_dashboard_data_sample(
    struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input, uint64_t now_ns, time_t now);

/* The last sample, and the history, as JSON: NUL-terminated, from malloc(), freed by the caller. NULL when memory is short; the first
 * also before the second sample. */
char *pipit_dashboard_data_render(
    const struct pipit_dashboard_data *data, const struct pipit_dashboard_data_input *input);
char *pipit_dashboard_data_render_history(const struct pipit_dashboard_data *data);

#endif
