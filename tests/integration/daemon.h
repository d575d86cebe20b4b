/* SPDX-License-Identifier: MIT */
/* The real daemon as a child process, on a free port. Its path is the environment variable PIPIT_DAEMON. */
#ifndef PIPIT_TESTS_DAEMON_H
#define PIPIT_TESTS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon {
	pid_t pid;       /* 0 when it has been waited for */
	unsigned port;   /* of the first listener */
	int out;         /* its standard output, behind the first "listening on" line */
	char errors[64]; /* the file that holds its standard error */
};

/* Start `pipit --listen 127.0.0.1:0 --access-log off ARGUMENTS…` (NULL-terminated; flags given here win) and wait until it is
 * ready. Fails the test when it does not start. */
struct daemon daemon_start(const char *const *arguments);

/* What a daemon finds when it starts, besides its arguments. Variables of ours that the test runs with are taken away. */
struct daemon_surroundings {
	const char *const *environment; /* NAME=VALUE, NULL-terminated; NULL: none */
	unsigned descriptors;           /* RLIMIT_NOFILE; 0: as it is */
};

/* As daemon_start(). */
struct daemon daemon_start_in(const struct daemon_surroundings *surroundings, const char *const *arguments);

/* Run it to its end without waiting for readiness; returns the exit status (-1: killed by a signal) and up to `size` bytes of
 * what it printed on both outputs. */
int daemon_run(const char *const *arguments, char *output, size_t size);

/* As daemon_run(). */
int daemon_run_in(
    const struct daemon_surroundings *surroundings, const char *const *arguments, char *output, size_t size);

/* Send SIGTERM and wait; returns the exit status, -1 when a signal (a sanitizer's abort, for example) ended it. */
int daemon_stop(struct daemon *daemon);

/* As daemon_stop() without sending anything. */
int daemon_wait(struct daemon *daemon);

/* Stop it, and let it go on: what is sent meanwhile it finds all at once. Returns when it has stopped. */
void daemon_pause(const struct daemon *daemon);
void daemon_resume(const struct daemon *daemon);

/* What it has printed on standard error so far, malloc'd. */
char *daemon_errors(const struct daemon *daemon);

/* A figure of /proc/PID: resident KiB, now and at most, open descriptors, milliseconds of CPU time used (in steps of 10). */
long daemon_resident_kib(const struct daemon *daemon);
long daemon_peak_kib(const struct daemon *daemon);
long daemon_descriptors(const struct daemon *daemon);
long daemon_cpu_ms(const struct daemon *daemon);

/* wire_metric() of the page that /metrics has now, which is asked for over a new connection. */
double daemon_metric(const struct daemon *daemon, const char *sample);

#endif
