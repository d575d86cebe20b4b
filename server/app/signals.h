/* SPDX-License-Identifier: MIT */
/* Signals of a server that owns its process: TERM and INT drain, a second one stops; USR1 and HUP reopen logs; PIPE is
 * ignored. */
#ifndef PIPIT_SIGNALS_H
#define PIPIT_SIGNALS_H

struct event_base;
struct pipit_signals;

struct pipit_signals_actions {
	void (*drain)(void *arg);
	void (*stop)(void *arg);
	void (*reopen)(void *arg); /* SIGUSR1 and SIGHUP */
	void (*reload)(void *arg); /* SIGHUP, after that */
};

/* Handled in the loop of `base`, those too that came while they were blocked; actions and arg are kept. NULL when memory is
 * short. */
struct pipit_signals *pipit_signals_new(
    struct event_base *base, const struct pipit_signals_actions *actions, void *arg);

/* Restores what was there before. NULL is harmless. */
void pipit_signals_free(struct pipit_signals *signals);

/* Hold these signals back from the calling thread: until somebody handles them, or because another thread does. */
void pipit_signals_block(void);

#endif
