/* SPDX-License-Identifier: MIT */
/*
 * Writes that raise no SIGPIPE, where the program does not ignore it: write(), sendfile() and evbuffer_write() have no MSG_NOSIGNAL, and
 * how a program handles a signal is its own decision. The signal of a write is for the writing thread.
 */
#ifndef PIPIT_SIGPIPE_H
#define PIPIT_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct pipit_sigpipe {
	sigset_t before;
	bool is_masked; /* by pipit_sigpipe_mask(); false: unmasking does nothing */
};

/* Before the write, on the same thread. */
void pipit_sigpipe_mask(struct pipit_sigpipe *sigpipe);

/* After the write. Leaves errno, the error of the write, unchanged. */
void pipit_sigpipe_unmask(const struct pipit_sigpipe *sigpipe);

#endif
