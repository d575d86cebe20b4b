/* SPDX-License-Identifier: MIT */
/* The metrics page, made of all workers' counts. */
#ifndef PIPIT_PROMETHEUS_H
#define PIPIT_PROMETHEUS_H

#include "metrics/counters.h"

/* What the page needs besides the workers. */
struct pipit_prometheus {
	const struct pipit_counters *const *workers; /* worker number i is label worker="i" */
	size_t worker_count;
	const char *const *routes; /* label `route` per route index: pattern, "fallback", "none" */
	size_t route_count;
	const char *version; /* pipit_build_info{version,libevent} */
	const char *libevent_version;
	uint64_t buffered_bytes; /* pipit_buffered_bytes */
	uint64_t log_dropped;    /* pipit_access_log_dropped_lines_total */
	time_t started;          /* wall clock, for process_start_time_seconds */
	bool openmetrics;        /* OpenMetrics 1.0 instead of Prometheus text 0.0.4 */
};

/*
 * Render the page: *length bytes in malloc'd memory that the caller frees; NULL when memory is short. Counters that never
 * moved are left out of labelled families except rejections and timeouts, which always show every reason and phase.
 */
char *pipit_prometheus_render(const struct pipit_prometheus *page, size_t *length);

#endif
