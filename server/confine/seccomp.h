/* SPDX-License-Identifier: MIT */
/* A filter of system calls (seccomp(2), by libseccomp). */
#ifndef PIPIT_SECCOMP_H
#define PIPIT_SECCOMP_H

/*
 * Only the calls of seccomp_calls.h still work, in all threads; execve() is EPERM, others are ENOSYS: they fail, but do not end
 * the process. After no_new_privs. Returns the number of calls; 0: built without libseccomp; or a negative errno value.
 */
int pipit_seccomp_restrict(void);

#endif
