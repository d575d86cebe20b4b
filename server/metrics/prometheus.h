/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_PROMETHEUS_H
#define PIPIT_PROMETHEUS_H

#include "metrics/counters.h"

struct pipit_prometheus_certificate {
	const char *name;
	time_t expires;
};

struct pipit_prometheus {
	const struct pipit_counters *const *workers; /* by label `worker` */
	size_t worker_count;
	const char *const *routes; /* by label `route`: pattern, "fallback" or "none" */
	size_t route_count;
	const char *version;
	const char *libevent_version;
	uint64_t buffered_bytes;
	uint64_t log_dropped;      /* access lines */
	uint64_t messages_dropped; /* on standard error */
	time_t started;            /* Unix time */
	const struct pipit_prometheus_certificate *certificates;
	size_t certificate_count;
	bool openmetrics; /* false: text format */
};

/* Omits counters that are 0 from families with labels, except http_rejected_total,
 * http_timeouts_total and pipit_tls_handshake_failures_total. */
char *pipit_prometheus_render(const struct pipit_prometheus *page, size_t *length);

#endif
