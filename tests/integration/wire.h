/* SPDX-License-Identifier: MIT */
/* A client made of a socket: it sends the bytes that it is told to, and reads responses strictly. */
#ifndef PIPIT_TESTS_WIRE_H
#define PIPIT_TESTS_WIRE_H

#include "patience.h"

#include <stdbool.h>
#include <stddef.h>

/* A connected socket with PATIENCE_MS as its receive and send limit; fails the test when it cannot connect. */
int wire_connect(unsigned port);

/* As wire_connect(), but -1 with errno when the server does not take it. */
int wire_try_connect(unsigned port);

/* Send all bytes. False when the server closed before all was taken. */
bool wire_send(int fd, const void *bytes, size_t length);
/* As wire_send(), each byte in a segment of its own. */
bool wire_trickle(int fd, const void *bytes, size_t length);
bool wire_print(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct wire_response {
	int status;       /* 0: the connection ended before a whole head */
	char *head;       /* status line and fields, NUL-terminated, without the empty line */
	char *content;    /* unframed, NUL-terminated */
	size_t length;    /* of content */
	bool is_complete; /* the content was as long as its framing says, and the framing is valid */
	bool is_chunked;
	bool closes; /* says "Connection: close" */
};

/*
 * Read one response and nothing behind it. to_head: the request was HEAD, no content follows. 1xx responses are skipped.
 * Free it with wire_free().
 */
struct wire_response wire_read(int fd, bool to_head);
void wire_free(struct wire_response *response);

/* The value of the first field of that name in a static buffer, or NULL. */
const char *wire_field(const struct wire_response *response, const char *name);

/* Send, and read one response. */
struct wire_response wire_ask(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* wire_ask() for GET of the target, without further fields. */
struct wire_response wire_get(int fd, const char *target);

/* Fails the test unless the response is whole, has the status and, unless content is NULL, the content. Frees the response. */
void wire_expect(struct wire_response response, int status, const char *content);

/* The value of a sample of a page of /metrics whose line begins with `sample` ("http_connections{state=\"idle\"}"); -1 when absent. */
double wire_metric(const char *page, const char *sample);

/* True when the server closes without sending another byte; false when bytes come or nothing happens in time. */
bool wire_is_closed(int fd);

/* Everything until the server closes, NUL-terminated, malloc'd; *length may be NULL. NULL when it does not close in time. */
char *wire_read_all(int fd, size_t *length);

/* True as soon as there is something to read (the end of the connection counts); false after `limit_ms` without. */
bool wire_is_readable(int fd, int limit_ms);

/* Milliseconds of a monotonic clock, for waiting on conditions. */
long long wire_now_ms(void);

/* Wait until condition(arg) holds, at most PATIENCE_MS; returns whether it does. */
bool wire_wait(bool (*condition)(void *arg), void *arg);

#endif
