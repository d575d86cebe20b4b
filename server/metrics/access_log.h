/* SPDX-License-Identifier: MIT */
/*
 * One destination per server; one buffer per worker, written once per turn of the loop. Bytes of clients are escaped,
 * so that they cannot forge a line or control a terminal.
 */
#ifndef PIPIT_ACCESS_LOG_H
#define PIPIT_ACCESS_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct pipit_access_log;

/*
 * destination: "off", "-" (standard output), or a file to append to, created with mode 0640. json: false: Combined Log
 * Format. *log: NULL for "off".
 */
int pipit_access_log_open(const char *destination, bool json, struct pipit_access_log **log);

/*
 * After a rotation, from any thread. No line is lost or split: the new file takes over the descriptor (dup3). A failure
 * keeps the old file.
 */
int pipit_access_log_reopen(struct pipit_access_log *log);

/* Removes the file if opening has made it. */
void pipit_access_log_remove_new(struct pipit_access_log *log);

/* After all buffers. */
void pipit_access_log_close(struct pipit_access_log *log);

/* Empty slices print as "-". */
struct pipit_access_log_entry {
	const char *peer;                /* numeric, without port */
	const char *user;                /* authenticated; NULL: none */
	time_t finished;                 /* wall clock, seconds */
	struct pipit_slice request_line; /* as received; cut at 512 bytes */
	int status;
	uint64_t content_bytes; /* 0 prints as "-" in combined form */
	struct pipit_slice referer;
	struct pipit_slice user_agent;
	uint64_t duration_ns;        /* first byte of the head to last byte handed to the kernel */
	const char *id;              /* 16 hex digits */
	const char *route;           /* pattern, "fallback" or "-" */
	const char *client_subject;  /* of the client's certificate; NULL: none */
	const char *client_verified; /* whether it is valid; NULL: none */
};

struct pipit_access_log_buffer;

/* `log` outlives the buffer. */
struct pipit_access_log_buffer *pipit_access_log_buffer_new(struct pipit_access_log *log);

/*
 * Flushes a full buffer (64 KiB).
 *
 * PEER - USER [10/Oct/2026:13:55:36 +0000] "REQUEST LINE" STATUS BYTES "REFERER" "USER-AGENT" DURATION ID ROUTE
 *
 * and, with a client certificate, "SUBJECT" "VERIFIED".
 *
 * Dates are in UTC, DURATION in seconds. JSON omits an absent user, referer or user agent. Quotes, backslashes, control
 * characters and bytes above 0x7E become \xHH; in JSON \u00HH, \" and \\.
 */
void pipit_access_log_buffer_add(struct pipit_access_log_buffer *buffer, const struct pipit_access_log_entry *entry);

bool pipit_access_log_buffer_has_lines(const struct pipit_access_log_buffer *buffer);

/* Never blocks: a full pipe or terminal loses whole lines, which are counted. */
void pipit_access_log_buffer_flush(struct pipit_access_log_buffer *buffer);

/* Any thread. */
uint64_t pipit_access_log_dropped(const struct pipit_access_log *log);

/* Flushes. */
void pipit_access_log_buffer_free(struct pipit_access_log_buffer *buffer);

#endif
