/* SPDX-License-Identifier: MIT */
/* The real daemon as a child process, on a free port. The environment variable PIPIT_DAEMON has its path. */
#ifndef PIPIT_TESTS_DAEMON_H
#define PIPIT_TESTS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon {
	pid_t pid;       /* 0 when it has been waited for */
	unsigned port;   /* of the first listener */
	int out;         /* its standard output after the first "listening on" line */
	char errors[64]; /* the file with its standard error */
};

/*
 * Starts `pipit --listen 127.0.0.1:0 --access-log off ARGUMENTS…` (NULL-terminated; options given here override these) and
 * waits until it is ready. Fails the test when it does not start.
 */
struct daemon daemon_start(const char *const *arguments);

/* Environment of a daemon. PIPIT_ variables of the test are removed. */
struct daemon_surroundings {
	const char *const *environment; /* NAME=VALUE, NULL-terminated; NULL: none */
	unsigned descriptors;           /* RLIMIT_NOFILE; 0: unchanged */
	bool errors_to_output;          /* one pipe for both; daemon_errors() is empty */
};

/* As daemon_start(). */
struct daemon daemon_start_in(const struct daemon_surroundings *surroundings, const char *const *arguments);

/*
 * Runs it to its end without waiting for readiness; returns the exit status (-1: killed by a signal) and up to `size` bytes of
 * both outputs.
 */
int daemon_run(const char *const *arguments, char *output, size_t size);

/* As daemon_run(). */
int daemon_run_in(
    const struct daemon_surroundings *surroundings, const char *const *arguments, char *output, size_t size);

/* Sends SIGTERM and waits; returns the exit status, -1 when a signal (a sanitizer's abort, for example) ended it. */
int daemon_stop(struct daemon *daemon);

/* As daemon_stop() without sending anything. */
int daemon_wait(struct daemon *daemon);

/* Stops (SIGSTOP) and continues it: what is sent meanwhile arrives at once. daemon_pause() returns when it has stopped. */
void daemon_pause(const struct daemon *daemon);
void daemon_resume(const struct daemon *daemon);

/* Its standard error so far, malloc'd. */
char *daemon_errors(const struct daemon *daemon);

/* From /proc/PID: resident KiB, now and at most; open descriptors; milliseconds of CPU time used (in steps of 10). */
long daemon_resident_kib(const struct daemon *daemon);
long daemon_peak_kib(const struct daemon *daemon);
long daemon_descriptors(const struct daemon *daemon);
long daemon_cpu_ms(const struct daemon *daemon);

/* wire_metric() of /metrics, over a new connection. */
double daemon_metric(const struct daemon *daemon, const char *sample);

#endif
