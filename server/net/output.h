/* SPDX-License-Identifier: MIT */
/* Sends the batch of replies to the current input, what the socket did not take before, and a file behind it. */
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
 * Sent of a file, or of an evhttp callback's output, per turn. As much as a Linux socket holds (tcp_wmem): each turn wakes up both sides.
 */
#define PIPIT_OUTPUT_SLICE_BYTES (4 * 1024 * 1024)

/*
 * Behind everything written before. For net->current the pieces join the batch when there is room; otherwise they are sent, and what the
 * socket does not take is kept. Failure raises connection->end.
 */
void pipit_output_write(struct pipit_connection *connection, struct iovec *pieces, int count);

/* Bytes of the current reply's body that the socket has taken. */
uint64_t pipit_output_sent_content(const struct pipit_connection *connection);

/* As pipit_output_write(), but nothing is kept. Returns how many bytes the batch or the socket took. */
size_t pipit_output_offer(struct pipit_connection *connection, struct pipit_slice bytes);

/* Move a whole reply in libevent's memory into the batch of net->current. False: memory is short, or other output waits. */
bool pipit_output_add_reply(struct pipit_connection *connection, struct evbuffer *reply);

/* The batch has such replies. */
bool pipit_output_has_replies(const struct pipit_net *net);

/* Or memory is short. Its bytes cannot be read with evbuffer_peek(). */
bool pipit_output_may_be_file(struct evbuffer *buffer);

/* Send `buffer` behind everything written before. Returns how many bytes the socket took. */
size_t pipit_output_send_buffer(struct pipit_connection *connection, struct evbuffer *buffer);

/* The current reply cannot be completed: send what was written before, and close. */
void pipit_output_abort(struct pipit_connection *connection);

/* Send the batch of net->current. more: a file or the end follows at once (MSG_MORE). */
void pipit_output_flush(struct pipit_connection *connection, bool more);

/* For a batch whose connection is dead. */
void pipit_output_discard(struct pipit_net *net);

/* What the socket did not take. */
void pipit_output_retry(struct pipit_connection *connection);

/* Bytes in memory wait for the socket. */
bool pipit_output_is_stuck(const struct pipit_connection *connection);

/*
 * The kernel may hold a record that it has encrypted and TCP had no room for: shutdown() and close() would lose it. With room, the next
 * record (close_notify) pushes it before itself. For connections with TLS; costs a poll() where the kernel encrypts.
 */
bool pipit_output_is_in_kernel_tls(const struct pipit_connection *connection);

/* A text, and behind it `length` bytes of a file. */
struct pipit_part {
	size_t text_length;
	uint64_t offset, length;
};

/* In one block of malloc(), the texts one behind the other. */
struct pipit_parts {
	size_t count, sent;
	const char *text; /* of the next part */
	struct pipit_part part[];
};

/* Takes the parts and the hold. */
void pipit_output_queue_parts(
    struct pipit_connection *connection, struct pipit_shared_fd *file, struct pipit_parts *parts);

/* Bytes of a file, or parts, wait. */
bool pipit_output_has_file(const struct pipit_connection *connection);

/* Takes the hold. A small file joins the batch. */
void pipit_output_queue_file(
    struct pipit_connection *connection, struct pipit_shared_fd *file, uint64_t offset, uint64_t length);

/* At most PIPIT_OUTPUT_SLICE_BYTES. */
void pipit_output_send_file(struct pipit_connection *connection);

#endif
