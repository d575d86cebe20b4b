/* SPDX-License-Identifier: MIT */
#include "confine/core_dumps.h"

#include "pipit.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static atomic_bool is_disabled;

void pipit_disable_core_dumps(void)
{
	static const struct rlimit none = { 0, 0 };

	atomic_store(&is_disabled, true);
	/* The limit alone has no effect where the kernel pipes dumps to a program (core(5)). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

/* Without it, /proc/self/fd is root's, and older kernels tell the number of open descriptors only by listing it. */
void pipit_core_dumps_restore(void)
{
	prctl(PR_SET_DUMPABLE, atomic_load(&is_disabled) ? 0 : 1, 0, 0, 0);
}
