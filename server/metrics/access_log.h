/* SPDX-License-Identifier: MIT */
/*
 * The access log: one line per request, with one destination per server and one buffer per worker. A worker writes its
 * lines once per loop turn. Bytes from clients are escaped: they cannot forge a line or control a terminal.
 */
#ifndef PIPIT_ACCESS_LOG_H
#define PIPIT_ACCESS_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The destination of access lines, shared by the workers. */
struct pipit_access_log;

/*
 * destination: "off", "-" (standard output), or a file name, opened for appending with mode 0640. json: one JSON object
 * per line instead of the Combined Log Format. Returns 0 and *log (NULL for "off"), or a negative errno value.
 */
int pipit_access_log_open(const char *destination, bool json, struct pipit_access_log **log);

/*
 * Open the file again under its name, after a rotation. Lines are neither lost nor split: the new file takes over the
 * descriptor's number (dup3). Returns 0, or a negative errno value and keeps the old file. Any thread.
 */
int pipit_access_log_reopen(struct pipit_access_log *log);

/* All buffers are freed before this. NULL is harmless. */
void pipit_access_log_close(struct pipit_access_log *log);

/* One completed request. Empty slices print as "-". */
struct pipit_access_log_entry {
	const char *peer;                /* numeric address without port */
	time_t finished;                 /* wall clock, seconds */
	struct pipit_slice request_line; /* as received, for example "GET /x HTTP/1.1"; the log cuts it at 512 bytes */
	int status;
	uint64_t content_bytes; /* of the response body; 0 prints as "-" in combined form */
	struct pipit_slice referer;
	struct pipit_slice user_agent;
	uint64_t duration_ns; /* from the first byte of the request head to the last byte handed to the kernel */
	const char *id;       /* 16 hex digits */
	const char *route;    /* pattern, "fallback" or "-" */
};

/* Lines of one worker that are not written yet. */
struct pipit_access_log_buffer;

/* NULL when memory is short. `log` is borrowed until pipit_access_log_buffer_free(). */
struct pipit_access_log_buffer *pipit_access_log_buffer_new(struct pipit_access_log *log);

/*
 * Add a line. Flushes when the buffer (64 KiB) is full. Cannot fail.
 *
 * Combined:  PEER - - [10/Oct/2026:13:55:36 +0000] "REQUEST LINE" STATUS BYTES "REFERER" "USER-AGENT" DURATION ID ROUTE
 * JSON:      {"time":"2026-10-10T13:55:36Z","peer":…,"request":…,"status":200,"bytes":27,"referer":…,"user_agent":…,
 *            "duration":0.000012,"id":…,"route":…}
 *
 * DURATION is in seconds; dates are UTC. JSON omits an absent referer or user agent. Quotes, backslashes, control
 * characters and bytes above 0x7E are written as \xHH; in JSON as \u00HH, quotes and backslashes as \" and \\.
 */
void pipit_access_log_buffer_add(struct pipit_access_log_buffer *buffer, const struct pipit_access_log_entry *entry);

bool pipit_access_log_buffer_has_lines(const struct pipit_access_log_buffer *buffer);

/* Write all lines, and never block: a full pipe or terminal loses whole lines, which are counted. */
void pipit_access_log_buffer_flush(struct pipit_access_log_buffer *buffer);

/* Lines dropped since start. Any thread. */
uint64_t pipit_access_log_dropped(const struct pipit_access_log *log);

/* Flush and free. NULL is harmless. */
void pipit_access_log_buffer_free(struct pipit_access_log_buffer *buffer);

#endif
