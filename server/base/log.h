/* SPDX-License-Identifier: MIT */
/*
 * What the server tells: messages on standard error, and the access log.
 *
 * Messages may come from any thread; each is one write(). The access log has one destination per server and one buffer per
 * worker; a worker's lines of one loop turn leave together. Bytes from the wire are escaped: nothing a client sends can
 * forge a line or reach a terminal as a control sequence.
 */
#ifndef PIPIT_LOG_H
#define PIPIT_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum pipit_log_level { PIPIT_LOG_ERROR, PIPIT_LOG_WARN, PIPIT_LOG_INFO, PIPIT_LOG_DEBUG };

/* 0, or -EINVAL and *level untouched when `name` is not error, warn, info or debug. */
int pipit_log_level_parse(const char *name, enum pipit_log_level *level);

/* Process-wide; messages above the level are dropped. Default: info. Any thread. */
void pipit_log_set_level(enum pipit_log_level level);

/* One line "pipit: LEVEL: message" on standard error (info without the level word), cut at 1 KiB. Any thread. */
void pipit_log(enum pipit_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where access lines go; shared by the workers. */
struct pipit_access_log;

/*
 * destination: "off", "-" (standard output) or a file's name, opened for appending, mode 0640. json: one JSON object per
 * line instead of the Combined Log Format. Returns 0 and *log (NULL for "off"), or a negative errno value.
 */
int pipit_access_log_open(const char *destination, bool json, struct pipit_access_log **log);

/* Open the file anew under its name (after a rotation). Any thread; lines are neither lost nor split: the new file takes
 * the old descriptor's number (dup3). 0 or a negative errno value, the old file then stays. */
int pipit_access_log_reopen(struct pipit_access_log *log);

/* NULL is harmless. After all buffers were freed. */
void pipit_access_log_close(struct pipit_access_log *log);

/* One request, told when its reply is complete. Empty slices print as "-". */
struct pipit_access_entry {
	const char *peer;                /* numeric address, no port */
	time_t finished;                 /* wall clock, seconds */
	struct pipit_slice request_line; /* "GET /x HTTP/1.1", or what arrived of it (cut at 512 bytes in the log) */
	int status;
	uint64_t content_bytes; /* of the reply's content, without its head; 0 prints as "-" in combined form */
	struct pipit_slice referer;
	struct pipit_slice user_agent;
	uint64_t duration_ns; /* from the first byte of the head to the last byte handed to the kernel */
	const char *id;       /* 16 hex digits */
	const char *route;    /* pattern, "fallback" or "-" */
};

/* A worker's lines not yet written. */
struct pipit_access_buffer;

/* NULL when memory is short. `log` is kept and must outlive the buffer. */
struct pipit_access_buffer *pipit_access_buffer_new(struct pipit_access_log *log);

/*
 * Combined:  PEER - - [10/Oct/2026:13:55:36 +0000] "REQUEST LINE" STATUS BYTES "REFERER" "USER-AGENT" DURATION ID ROUTE
 *            where DURATION is seconds with six decimals and the date is UTC, rendered once a second.
 * JSON:      {"time":"2026-10-10T13:55:36Z","peer":…,"request":…,"status":200,"bytes":27,"referer":…,"user_agent":…,
 *            "duration":0.000012,"id":…,"route":…}  (absent referer and user agent are left out)
 * Quotes, backslashes, control characters and bytes above 0x7E are written as \xHH (combined) or \u00HH (JSON: quotes
 * and backslashes as \" and \\).
 * Flushes by itself when the buffer (64 KiB) is full. Cannot fail.
 */
void pipit_access_buffer_add(struct pipit_access_buffer *buffer, const struct pipit_access_entry *entry);

/* True when lines wait. */
bool pipit_access_buffer_is_waiting(const struct pipit_access_buffer *buffer);

/*
 * Write what waits, in one write(). A destination that would block (a full pipe whose reader sleeps) must not stop the
 * event loop: pipes and terminals are polled first and written in pieces of at most PIPE_BUF; what does not go is dropped
 * in whole lines and counted.
 */
void pipit_access_buffer_flush(struct pipit_access_buffer *buffer);

/* Lines dropped since start. Any thread (atomic). */
uint64_t pipit_access_log_dropped(const struct pipit_access_log *log);

/* Flushes and frees. NULL is harmless. */
void pipit_access_buffer_free(struct pipit_access_buffer *buffer);

#endif
