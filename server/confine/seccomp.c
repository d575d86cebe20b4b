/* SPDX-License-Identifier: MIT */
#include "confine/seccomp.h"

#ifdef PIPIT_SECCOMP

#include "confine/seccomp_calls.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>

static int add_rules(scmp_filter_ctx filter)
{
	static const char *const programs[] = { "execve", "execveat" };
	int count = 0;

	for (size_t i = 0; i < sizeof seccomp_calls / sizeof *seccomp_calls; i++) {
		int number = seccomp_syscall_resolve_name(seccomp_calls[i]);
		/* Other machines, and older versions of libseccomp, do not know each name. */
		if (number == __NR_SCMP_ERROR || number < 0)
			continue;
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) != 0)
			return -ENOMEM;
		count++;
	}
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(programs[i]), 0) != 0)
			return -ENOMEM;
	}
	return count;
}

int pipit_seccomp_restrict(void)
{
	/* Callers such as glibc try an older call after ENOSYS. */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int count = filter ? 0 : -ENOMEM;

	if (count == 0)
		count = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (count == 0)
		count = add_rules(filter);
	if (count > 0) {
		int error = seccomp_load(filter);
		count = error < 0 ? error : count;
	}
	if (filter)
		seccomp_release(filter);
	return count;
}

#else

int pipit_seccomp_restrict(void)
{
	return 0;
}

#endif
