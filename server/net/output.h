/* SPDX-License-Identifier: MIT */
/* Bytes on their way to the socket: the batch of a readiness, what the socket did not take, and a file behind it. */
#ifndef PIPIT_OUTPUT_H
#define PIPIT_OUTPUT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct evbuffer;
struct pipit_connection;
struct pipit_net;
struct pipit_shared_fd;

/*
 * What one connection may send of a file, or of what an evhttp callback goes on to write, before others get their turn. As much
 * as Linux lets a socket hold (tcp_wmem): each further turn for the same bytes costs a wake-up of both sides.
 */
#define PIPIT_OUTPUT_SLICE_BYTES (4 * 1024 * 1024)

/*
 * Write pieces, in order, after everything written before. For the connection that is being served they wait in the batch
 * when there is room; otherwise they are sent at once and what the socket does not take is kept. A failure is noted in
 * connection->end.
 */
void pipit_output_write(struct pipit_connection *connection, struct iovec *pieces, int count);

/* Of the content of the current reply: what the socket has taken. */
uint64_t pipit_output_sent_content(const struct pipit_connection *connection);

/* As pipit_output_write(), but only what the batch has room for or the socket takes at once: returns how many bytes. */
size_t pipit_output_offer(struct pipit_connection *connection, struct pipit_slice bytes);

/*
 * A whole reply in libevent's memory joins the batch; `reply` is empty then. False when something is in the way. Only for the
 * connection that is being served.
 */
bool pipit_output_add_reply(struct pipit_connection *connection, struct evbuffer *reply);

/* Such replies are in the batch. */
bool pipit_output_has_replies(const struct pipit_net *net);

/* Send of `buffer` what the socket takes, behind everything written before; returns how many bytes. */
size_t pipit_output_send_buffer(struct pipit_connection *connection, struct evbuffer *buffer);

/* Send the batch. more: a file follows at once, or the end (MSG_MORE). Only for the connection that is being served. */
void pipit_output_flush(struct pipit_connection *connection, bool more);

/* Drop the batch: its connection has gone. */
void pipit_output_discard(struct pipit_net *net);

/* Send what the socket did not take earlier. */
void pipit_output_retry(struct pipit_connection *connection);

/* True when bytes in memory wait for the socket. */
bool pipit_output_is_stuck(const struct pipit_connection *connection);

/* Of a content that is text and pieces of a file by turns: text, and behind it `length` bytes of the file. */
struct pipit_part {
	size_t text_length;
	uint64_t offset, length;
};

/* Such a content, in one block of malloc(): the texts lie one behind the other. */
struct pipit_parts {
	size_t count, sent;
	const char *text; /* of the next part */
	struct pipit_part part[];
};

/* Queue the parts; takes them and the caller's hold. */
void pipit_output_queue_parts(
    struct pipit_connection *connection, struct pipit_shared_fd *file, struct pipit_parts *parts);

/* True while bytes of a file, or parts of a content, are still to be sent. */
bool pipit_output_has_file(const struct pipit_connection *connection);

/* Queue a file's bytes; takes the caller's hold. A small one joins the batch. */
void pipit_output_queue_file(
    struct pipit_connection *connection, struct pipit_shared_fd *file, uint64_t offset, uint64_t length);

/* Send more of the queued file, as much as the socket takes, at most a slice that is fair to others. */
void pipit_output_send_file(struct pipit_connection *connection);

#endif
