/* SPDX-License-Identifier: MIT */
/*
 * A reply that is left open: its writer adds to the body until it ends the reply. The connection reads nothing meanwhile; timeouts.c
 * polls for EOF. Bytes that the socket does not take stay with the writer, but for those of the batch. On the connection's worker only.
 */
#ifndef PIPIT_OPEN_REPLY_H
#define PIPIT_OPEN_REPLY_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct pipit_connection;
struct pipit_open_reply;
struct pipit_net;

/* Of the writer. */
struct pipit_open_reply_hooks {
	/* The socket takes bytes again: write, or end the reply. */
	void (*write)(struct pipit_open_reply *open_reply);
	/* The worker drains: end the reply, or close the connection. */
	void (*drain)(struct pipit_open_reply *open_reply);
	/* The connection is dead: free `open_reply`. */
	void (*lost)(struct pipit_open_reply *open_reply);
};

/* First member of the writer's struct for a client, which the writer frees. */
struct pipit_open_reply {
	const struct pipit_open_reply_hooks *hooks;
	struct pipit_connection *connection; /* NULL before begin and after end */
	uint64_t content_bytes;              /* written, without framing; set by the writer before begin */
	bool is_waiting;                     /* for the socket: `write` follows */
	bool is_finite;                      /* without its end it is aborted */
};

/*
 * For a retained request. Head and framed bytes are kept until the socket takes them. Framing is the writer's: chunked, or none for an
 * HTTP/1.0 client, whose connection closes.
 */
void pipit_open_reply_begin(struct pipit_open_reply *open_reply, struct pipit_connection *connection, int status,
    struct pipit_slice head, struct pipit_slice framed);

/*
 * Returns how many of the bytes are taken. content: the bytes that are not framing; they may lie outside of `bytes`. Within the handler
 * the bytes join the batch.
 */
size_t pipit_open_reply_write(
    struct pipit_open_reply *open_reply, struct pipit_slice bytes, struct pipit_slice content);

/* Nothing waits. */
void pipit_open_reply_end(struct pipit_open_reply *open_reply);

/* Drop the connection; calls `lost`. Not within the handler. */
void pipit_open_reply_close(struct pipit_open_reply *open_reply);

/* The same for a client that is too far behind; counted. */
void pipit_open_reply_drop(struct pipit_open_reply *open_reply);

/* A stream was refused because of a limit. */
void pipit_open_reply_count_refusal(struct pipit_connection *connection);

/* Memory that is kept until the coming reply is over. False when the limit has no room. */
bool pipit_open_reply_reserve(struct pipit_connection *connection, size_t bytes);

bool pipit_open_reply_is_draining(const struct pipit_connection *connection);

/* --- for the connection layer ---------------------------------------------------------------------------------------------- */

/* The connection is dead: tell the writer. True: the open reply has no other end. */
bool pipit_open_reply_lose(struct pipit_connection *connection);

/* Ask all writers to end. */
void pipit_open_reply_drain(struct pipit_net *net);

#endif
