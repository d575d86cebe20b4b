/* SPDX-License-Identifier: MIT */
/* The metrics page of all workers. */
#ifndef PIPIT_PROMETHEUS_H
#define PIPIT_PROMETHEUS_H

#include "metrics/counters.h"

struct pipit_prometheus {
	const struct pipit_counters *const *workers; /* by label `worker` */
	size_t worker_count;
	const char *const *routes; /* label `route` per index: pattern, "fallback", "none" */
	size_t route_count;
	const char *version;
	const char *libevent_version;
	uint64_t buffered_bytes;
	uint64_t log_dropped;
	time_t started;   /* Unix time */
	bool openmetrics; /* 1.0; false: Prometheus text 0.0.4 */
};

/*
 * *length bytes from malloc(); NULL when memory is short. Labelled families leave out counters that are 0, except
 * http_rejected_total and http_timeouts_total.
 */
char *pipit_prometheus_render(const struct pipit_prometheus *page, size_t *length);

#endif
