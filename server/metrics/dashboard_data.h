/* SPDX-License-Identifier: MIT */
/*
 * What the dashboard draws: the workers' counts once a second, what moved in that second, and ten minutes of the most important
 * of it. The texts are JSON; docs/events.md has their members.
 *
 * Not for several threads at once.
 */
#ifndef PIPIT_FIGURES_H
#define PIPIT_FIGURES_H

#include "metrics/prometheus.h"

#define PIPIT_FIGURES_ROWS 600

struct pipit_figures;

/* What is looked at. The page's lists are as long each time as they were the first time. */
struct pipit_figures_input {
	struct pipit_exposition page;
	uint64_t max_connections, memory_limit; /* as configured; 0: none */
};

/* NULL when memory is short. Free: NULL is harmless. */
struct pipit_figures *pipit_figures_new(size_t route_count, size_t worker_count);
void pipit_figures_free(struct pipit_figures *figures);

/* Look at the counts: once a second. now_ns: monotonic; the first time nothing has moved yet. */
void pipit_figures_sample(
    struct pipit_figures *figures, const struct pipit_figures_input *input, uint64_t now_ns, time_t now);

/* All figures of the last sample, and the history; NUL-terminated, the caller's to free. NULL when memory is short, or there is
 * no sample yet. */
char *pipit_figures_render(const struct pipit_figures *figures, const struct pipit_figures_input *input);
char *pipit_figures_render_history(const struct pipit_figures *figures);

#endif
