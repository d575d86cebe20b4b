/* SPDX-License-Identifier: MIT */
/*
 * Signals of a process with pipit_server_run(): SIGTERM and SIGINT drain, a second one stops; SIGUSR1 and SIGHUP reopen
 * logs; SIGPIPE is ignored.
 */
#ifndef PIPIT_SIGNALS_H
#define PIPIT_SIGNALS_H

struct event_base;
struct pipit_signals;

struct pipit_signals_actions {
	void (*drain)(void *arg);
	void (*stop)(void *arg);
	void (*reopen)(void *arg); /* SIGUSR1 and SIGHUP */
	void (*reload)(void *arg); /* SIGHUP, after `reopen` */
};

/*
 * Handle the signals in the loop of `base`, including those that arrived while blocked. Keeps `actions` and `arg`. NULL
 * when memory is short.
 */
struct pipit_signals *pipit_signals_new(
    struct event_base *base, const struct pipit_signals_actions *actions, void *arg);

/* Restore the earlier handlers and mask. NULL is harmless. */
void pipit_signals_free(struct pipit_signals *signals);

/* Block these signals in the calling thread, until pipit_signals_new() or because another thread handles them. */
void pipit_signals_block(void);

#endif
