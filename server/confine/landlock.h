/* SPDX-License-Identifier: MIT */
/* Landlock (landlock(7)): which files this thread, and those that it starts, may open. */
#ifndef PIPIT_LANDLOCK_H
#define PIPIT_LANDLOCK_H

/*
 * Beside the paths, /proc/self stays readable. Binding and connecting of TCP sockets, connecting to abstract UNIX sockets and signals
 * to other processes are forbidden, as far as the kernel can. After no_new_privs.
 *
 * readable, writable: of files and directories, NULL-terminated; may be NULL. Files may be made in and removed from writable directories.
 * wrong: receives the path that cannot be opened; otherwise untouched.
 * Returns the version of the interface; 0: the kernel has none, or it is switched off; or a negative errno value.
 */
int pipit_landlock_restrict(const char *const *readable, const char *const *writable, const char **wrong);

#endif
