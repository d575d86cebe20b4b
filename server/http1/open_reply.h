/* SPDX-License-Identifier: MIT */
/*
 * A reply that is left open: its head has been sent, and content follows whenever its writer has some. The connection reads
 * nothing until the reply ends; timeouts.c sees when the client closes, and what the socket does not take has the deadlines of
 * any reply. Bytes that it does not take stay with the writer: nothing is buffered here but what stood in the batch.
 *
 * On the connection's worker only.
 */
#ifndef PIPIT_OPEN_REPLY_H
#define PIPIT_OPEN_REPLY_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct pipit_connection;
struct pipit_open_reply;
struct pipit_net;

/* The writer's functions. */
struct pipit_open_reply_hooks {
	/* The socket takes bytes again: write what waits, or end the reply. */
	void (*write)(struct pipit_open_reply *open_reply);
	/* The worker drains: end the reply now, or close the connection. */
	void (*drain)(struct pipit_open_reply *open_reply);
	/* The connection is closed, and the reply with it. Frees `open_reply`, and calls nothing of this file for it. */
	void (*lost)(struct pipit_open_reply *open_reply);
};

/* Stands at the beginning of what the writer has for each client, and is its to free. */
struct pipit_open_reply {
	const struct pipit_open_reply_hooks *hooks;
	struct pipit_connection *connection; /* NULL before the reply is opened, and after it has ended */
	uint64_t content_bytes;              /* written, without framing */
	bool is_waiting;                     /* the socket did not take all of the last piece: `write` will be called */
	bool is_finite;                      /* the reply is complete at its end only, not whenever the client closes */
};

/*
 * Open the reply of the connection's request, which has been retained. The head and the framed content behind it are kept until
 * the socket takes them; content_bytes is the content's length without framing. Framing is the writer's: chunked, but for a client
 * of HTTP/1.0, whose connection will close.
 */
void pipit_open_reply_begin(struct pipit_open_reply *open_reply, struct pipit_connection *connection, int status,
    struct pipit_slice head, struct pipit_slice framed);

/*
 * Write bytes, among which `content` is not framing; it may lie partly or wholly outside of them. Returns how many of the bytes are
 * taken; the others are still the caller's. Within the handler they join the batch.
 */
size_t pipit_open_reply_write(
    struct pipit_open_reply *open_reply, struct pipit_slice bytes, struct pipit_slice content);

/* The reply is complete. Nothing may wait; `open_reply` is the caller's to free. */
void pipit_open_reply_end(struct pipit_open_reply *open_reply);

/* Close the connection at once, without an end of the reply. `lost` is called. Not within the handler. */
void pipit_open_reply_close(struct pipit_open_reply *open_reply);

/* The same for a client that is too far behind, which is counted. */
void pipit_open_reply_drop(struct pipit_open_reply *open_reply);

/* A client is refused a stream because of its limit: count it. */
void pipit_open_reply_count_refusal(struct pipit_connection *connection);

/* So many bytes will be kept for the coming reply until it is over: count them against the memory limit. False when there is no room
 * for them. */
bool pipit_open_reply_reserve(struct pipit_connection *connection, size_t bytes);

bool pipit_open_reply_is_draining(const struct pipit_connection *connection);

/* --- for the connection layer ---------------------------------------------------------------------------------------------- */

/* The connection is closed: tell the writer. Returns whether there was a reply left open whose end this may be. */
bool pipit_open_reply_lose(struct pipit_connection *connection);

/* Ask all writers to end. */
void pipit_open_reply_drain(struct pipit_net *net);

#endif
