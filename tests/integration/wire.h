/* SPDX-License-Identifier: MIT */
/* A client on a raw socket: it sends given bytes, and parses responses strictly. */
#ifndef PIPIT_TESTS_WIRE_H
#define PIPIT_TESTS_WIRE_H

#include "patience.h"

#include <stdbool.h>
#include <stddef.h>

/* A connected socket with PATIENCE_MS as its receive and send limit; fails the test when it cannot connect. */
int wire_connect(unsigned port);

/* As wire_connect(), but returns -1 with errno when it fails. */
int wire_try_connect(unsigned port);

/* As wire_connect(), with a receive buffer of 16 KiB: a client that does not read soon stalls the server. */
int wire_connect_with_small_window(unsigned port);

/* Of a server in this process: a free port, and TLS if WIRE_TLS is set (tls_wire.h). */
struct pipit_config;
void wire_configure(struct pipit_config *config);

/* Sends all bytes. False when the server closed before it had read them. */
bool wire_send(int fd, const void *bytes, size_t length);
/* As wire_send(), each byte in a segment of its own. */
bool wire_trickle(int fd, const void *bytes, size_t length);
bool wire_print(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct wire_response {
	int status;       /* 0: the connection ended before a complete head */
	char *head;       /* status line and headers, NUL-terminated, without the empty line */
	char *content;    /* unframed, NUL-terminated */
	size_t length;    /* of the body */
	bool is_complete; /* the framing is valid and the body complete */
	bool is_chunked;
	bool closes; /* says "Connection: close" */
};

/*
 * Reads one response and nothing after it. to_head: the request was HEAD, there is no body. Skips 1xx responses. Free it with
 * wire_free().
 */
struct wire_response wire_read(int fd, bool to_head);
void wire_free(struct wire_response *response);

/* The value of the first header of that name in a static buffer, or NULL. */
const char *wire_field(const struct wire_response *response, const char *name);

/* Sends a request and reads one response. */
struct wire_response wire_ask(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* wire_ask() for GET of the target, without further headers. */
struct wire_response wire_get(int fd, const char *target);

/* Fails the test unless the response is complete, has the status and, unless content is NULL, the body. Frees the response. */
void wire_expect(struct wire_response response, int status, const char *content);

/*
 * The value of the sample of a /metrics page whose line begins with `sample` ("http_connections{state=\"idle\"}"); -1 if
 * absent.
 */
double wire_metric(const char *page, const char *sample);

/* True when the server closes without sending a byte; false when bytes arrive or nothing happens in time. */
bool wire_is_closed(int fd);

/* Reads until the server closes: NUL-terminated, malloc'd; *length may be NULL. NULL when it does not close in time. */
char *wire_read_all(int fd, size_t *length);

/* True as soon as the socket is readable (also at the end of the connection); false after `limit_ms`. */
bool wire_is_readable(int fd, int limit_ms);

/* Milliseconds of a monotonic clock, for deadlines of waits. */
long long wire_now_ms(void);

/* Waits until condition(arg) holds, at most PATIENCE_MS; returns whether it does. */
bool wire_wait(bool (*condition)(void *arg), void *arg);

#endif
