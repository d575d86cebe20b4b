/* SPDX-License-Identifier: MIT */
/* The metrics page: the counters of all workers. */
#ifndef PIPIT_PROMETHEUS_H
#define PIPIT_PROMETHEUS_H

#include "metrics/counters.h"

struct pipit_prometheus {
	const struct pipit_counters *const *workers; /* worker number i is label worker="i" */
	size_t worker_count;
	const char *const *routes; /* label `route` per route index: pattern, "fallback", "none" */
	size_t route_count;
	const char *version; /* pipit_build_info{version,libevent} */
	const char *libevent_version;
	uint64_t buffered_bytes; /* pipit_buffered_bytes */
	uint64_t log_dropped;    /* pipit_access_log_dropped_lines_total */
	time_t started;          /* Unix time; process_start_time_seconds */
	bool openmetrics;        /* OpenMetrics 1.0 instead of Prometheus text 0.0.4 */
};

/*
 * Render the page: *length bytes from malloc(), freed by the caller; NULL when memory is short. Labelled families leave out counters that
 * are 0, except http_rejected_total and http_timeouts_total, which have every reason and phase.
 */
char *pipit_prometheus_render(const struct pipit_prometheus *page, size_t *length);

#endif
