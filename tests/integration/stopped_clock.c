/* SPDX-License-Identifier: MIT */
/* See stopped_clock.h. */
#include "stopped_clock.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t stopped_ms; /* 0: the clock runs */

static uint64_t real_ms(void)
{
	struct timespec now;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Replaces libc's function for statically linked code. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	uint64_t ms = atomic_load(&stopped_ms);
	if (!ms || (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE))
		return (int)syscall(SYS_clock_gettime, clock, now);
	*now = (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	return 0;
}

void stopped_clock_stop(void)
{
	/* Never earlier than a time already returned. */
	atomic_store(&stopped_ms, real_ms() + 1);
}

void stopped_clock_forward(uint64_t ms)
{
	atomic_fetch_add(&stopped_ms, ms);
}

void stopped_clock_run(void)
{
	atomic_store(&stopped_ms, 0);
}
