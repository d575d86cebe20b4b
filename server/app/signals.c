/* SPDX-License-Identifier: MIT */
#include "app/signals.h"

#include "base/log.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static const int handled[] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP };
#define HANDLED_COUNT (sizeof handled / sizeof *handled)

/* timeout(1) and some supervisors signal the process and its group: that counts once. */
#define REPEAT_MS 50

struct pipit_signals {
	const struct pipit_signals_actions *actions;
	void *arg;
	struct event *events[HANDLED_COUNT];
	struct sigaction pipe_before;
	sigset_t mask_before;
	uint64_t drain_ms; /* 0: not draining */
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
	struct pipit_signals *signals = context;
	(void)what;
	if (number == SIGUSR1 || number == SIGHUP) {
		signals->actions->reopen(signals->arg);
		if (number == SIGHUP)
			signals->actions->reload(signals->arg);
	} else if (!signals->drain_ms) {
		signals->drain_ms = now_ms();
		signals->actions->drain(signals->arg);
	} else if (now_ms() >= signals->drain_ms + REPEAT_MS) {
		signals->actions->stop(signals->arg);
	}
}

static void set_mask(int how)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < HANDLED_COUNT; i++)
		sigaddset(&set, handled[i]);
	pthread_sigmask(how, &set, NULL);
}

struct pipit_signals *pipit_signals_new(struct event_base *base, const struct pipit_signals_actions *actions, void *arg)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct pipit_signals *signals = calloc(1, sizeof *signals);
	if (!signals)
		return NULL;
	signals->actions = actions;
	signals->arg = arg;
	pthread_sigmask(SIG_SETMASK, NULL, &signals->mask_before);
	sigaction(SIGPIPE, &ignore, &signals->pipe_before);
	for (size_t i = 0; i < HANDLED_COUNT; i++) {
		signals->events[i] = evsignal_new(base, handled[i], on_signal, signals);
		if (!signals->events[i] || event_add(signals->events[i], NULL) != 0) {
			pipit_signals_free(signals);
			return NULL;
		}
	}
	set_mask(SIG_UNBLOCK);
	return signals;
}

void pipit_signals_free(struct pipit_signals *signals)
{
	if (!signals)
		return;
	/* first: blocked signals must not get the default action */
	pthread_sigmask(SIG_SETMASK, &signals->mask_before, NULL);
	for (size_t i = 0; i < HANDLED_COUNT; i++) {
		if (signals->events[i])
			event_free(signals->events[i]);
	}
	sigaction(SIGPIPE, &signals->pipe_before, NULL);
	free(signals);
}

void pipit_signals_block(void)
{
	set_mask(SIG_BLOCK);
}
