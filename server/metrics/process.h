/* SPDX-License-Identifier: MIT */
/* What the system says of this process: memory, threads, descriptors. */
#ifndef PIPIT_PROCESS_H
#define PIPIT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Where /proc is not mounted, or no descriptor is left to open it with, the system says nothing of some. */
struct pipit_process {
	bool has_memory; /* the three that follow */
	uint64_t virtual_bytes, resident_bytes, threads;
	bool has_descriptors;
	uint64_t open_descriptors;
	bool has_limit;
	uint64_t max_descriptors;
};

void pipit_process_read(struct pipit_process *process);

#endif
