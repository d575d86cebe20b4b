/* SPDX-License-Identifier: MIT */
#ifndef PIPIT_PROCESS_H
#define PIPIT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Values are missing without /proc, or without a free descriptor. */
struct pipit_process {
	bool has_memory; /* for the next three */
	uint64_t virtual_bytes, resident_bytes, threads;
	bool has_descriptors;
	uint64_t open_descriptors;
	bool has_limit;
	uint64_t max_descriptors;
};

void pipit_process_read(struct pipit_process *process);

#endif
