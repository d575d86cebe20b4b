/* SPDX-License-Identifier: MIT */
/* SIGTERM and SIGINT drain, a second one stops. SIGPIPE is ignored. */
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

/* In the loop of `base`, also for signals that arrived while blocked. Keeps `actions` and `arg`. */
struct pipit_signals *pipit_signals_new(
    struct event_base *base, const struct pipit_signals_actions *actions, void *arg);

void pipit_signals_free(struct pipit_signals *signals);

/* In the calling thread, until pipit_signals_new(), or because another thread handles them. */
void pipit_signals_block(void);

#endif
