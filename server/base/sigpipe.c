/* SPDX-License-Identifier: MIT */
#include "base/sigpipe.h"

#include <errno.h>
#include <time.h>

static sigset_t only_sigpipe(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	return set;
}

void pipit_sigpipe_mask(struct pipit_sigpipe *sigpipe)
{
	sigset_t set = only_sigpipe();
	/* The program's own mask, and a signal that is pending behind it, stay. */
	sigpipe->is_masked =
	    pthread_sigmask(SIG_BLOCK, &set, &sigpipe->before) == 0 && !sigismember(&sigpipe->before, SIGPIPE);
}

void pipit_sigpipe_unmask(const struct pipit_sigpipe *sigpipe)
{
	sigset_t set = only_sigpipe();
	int error = errno;

	if (!sigpipe->is_masked)
		return;
	if (error == EPIPE)
		sigtimedwait(&set, NULL, &(struct timespec){ 0, 0 });
	pthread_sigmask(SIG_SETMASK, &sigpipe->before, NULL);
	errno = error;
}
