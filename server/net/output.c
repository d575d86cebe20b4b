/* SPDX-License-Identifier: MIT */
/* See output.h. */
#include "net/output.h"

#include "base/sigpipe.h"
#include "net/budget.h"
#include "net/net.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* A file up to this size is read into the batch: one send() for head and body. */
#define SMALL_FILE_BYTES (32 * 1024)
/* The content of a TLS record, and what a turn encrypts of a file or of an evhttp callback's output: a millisecond. */
#define TLS_RECORD_BYTES (16 * 1024)
/* The largest page. */
#define TLS_PIPE_BYTES (64 * 1024)
#define TLS_SLICE_BYTES (1024 * 1024)

static void moved(struct pipit_connection *connection, size_t bytes)
{
	connection->moved_ms = connection->net->now_ms;
	connection->rate_bytes += bytes;
	pipit_counters_add(connection->net->counters, PIPIT_COUNT_SENT, bytes);
}

static bool would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS;
}

/* --- TLS: not inlined, so that plain connections do not pay for the frames ------------------------------------------------ */

/* OpenSSL encrypts. Where the kernel does, output is as that of a plain connection. */
static bool is_encrypted_here(const struct pipit_connection *connection)
{
	return connection->tls && !pipit_tls_session_is_encrypted_by_kernel(connection->tls);
}

static bool is_tls_unsent(const struct pipit_connection *connection)
{
	return connection->tls && pipit_tls_session_unsent(connection->tls) > 0;
}

/* Send what is encrypted. */
__attribute__((noinline)) static void flush_tls(struct pipit_connection *connection, int flags)
{
	size_t sent;

	pipit_tls_session_flush(connection->tls, flags & MSG_MORE);
	sent = pipit_tls_session_take_sent(connection->tls);
	if (sent)
		moved(connection, sent);
	if (pipit_tls_session_is_broken(connection->tls))
		pipit_connection_end(connection, PIPIT_ABORT);
}

static size_t send_to_socket(struct pipit_connection *connection, struct iovec *pieces, int count, int flags)
{
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)count };
	ssize_t sent = count == 1 ? send(connection->fd, pieces[0].iov_base, pieces[0].iov_len, flags)
				  : sendmsg(connection->fd, &message, flags);
	if (sent >= 0) {
		moved(connection, (size_t)sent);
		return (size_t)sent;
	}
	if (!would_block(errno))
		pipit_connection_end(connection, PIPIT_ABORT);
	return 0;
}

/*
 * What was encrypted: the session keeps what the socket does not take. The kernel would not complete a record that MSG_MORE holds back
 * before it closes.
 */
__attribute__((noinline)) static size_t send_pieces_tls(
    struct pipit_connection *connection, struct iovec *pieces, int count, int flags)
{
	size_t total = 0, taken = 0;

	if (!is_encrypted_here(connection))
		return send_to_socket(connection, pieces, count, flags & ~MSG_MORE);
	for (int i = 0; i < count && taken == total; i++) {
		total += pieces[i].iov_len;
		taken += pipit_tls_session_write(connection->tls, pieces[i].iov_base, pieces[i].iov_len);
	}
	flush_tls(connection, flags);
	return taken;
}

/* Only evbuffer_write() can read a file that evbuffer_add_file() added: into a pipe. False: failure. */
static bool take_from_files(struct evbuffer *buffer, char piece[TLS_PIPE_BYTES], size_t *length)
{
	int ends[2], capacity, moved_bytes;
	ssize_t count = -1;

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	/* sendfile() of libevent fills the pipe, which is a page at least. */
	capacity = fcntl(ends[1], F_SETPIPE_SZ, TLS_RECORD_BYTES);
	if (capacity > 0 && capacity <= TLS_PIPE_BYTES) {
		moved_bytes = evbuffer_write_atmost(buffer, ends[1], capacity);
		if (moved_bytes > 0)
			count = read(ends[0], piece, (size_t)moved_bytes);
	}
	close(ends[0]);
	close(ends[1]);
	*length = count > 0 ? (size_t)count : 0;
	return count > 0;
}

static bool take_record(struct evbuffer *buffer, bool may_be_file, char record[TLS_PIPE_BYTES], size_t *length)
{
	ev_ssize_t removed;

	if (may_be_file)
		return take_from_files(buffer, record, length);
	removed = evbuffer_remove(buffer, record, TLS_RECORD_BYTES);
	*length = removed > 0 ? (size_t)removed : 0;
	return removed > 0;
}

/* Each record is taken from the buffer when the session has room for it. */
__attribute__((noinline)) static size_t send_buffer_tls(struct pipit_connection *connection, struct evbuffer *buffer)
{
	char record[TLS_PIPE_BYTES];
	bool may_be_file = pipit_output_may_be_file(buffer);
	size_t total = 0, length, taken;

	while (connection->end != PIPIT_ABORT && evbuffer_get_length(buffer) > 0 && !is_tls_unsent(connection) &&
	       total < TLS_SLICE_BYTES) {
		if (!take_record(buffer, may_be_file, record, &length)) {
			pipit_connection_end(connection, PIPIT_ABORT);
			break;
		}
		taken = pipit_tls_session_write(connection->tls, record, length);
		total += taken;
		if (taken < length && evbuffer_prepend(buffer, record + taken, length - taken) != 0)
			pipit_connection_end(connection, PIPIT_ABORT);
		flush_tls(connection, evbuffer_get_length(buffer) > 0 ? MSG_MORE : 0);
	}
	return total;
}

bool pipit_output_may_be_file(struct evbuffer *buffer)
{
	struct evbuffer *reference = evbuffer_new();
	/* Only memory can be referenced. */
	bool is_memory = reference && evbuffer_add_buffer_reference(reference, buffer) == 0;
	if (reference)
		evbuffer_free(reference);
	return !is_memory;
}

/* --- the socket ------------------------------------------------------------------------------------------------------ */

/* What the socket took; 0 also on failure. */
static size_t send_pieces(struct pipit_connection *connection, struct iovec *pieces, int count, int flags)
{
	if (connection->end == PIPIT_ABORT)
		return 0;
	if (connection->tls)
		return send_pieces_tls(connection, pieces, count, flags);
	return send_to_socket(connection, pieces, count, flags);
}

static bool append_out(struct pipit_connection *connection, const char *bytes, size_t length)
{
	char *out;
	if (!pipit_budget_take(connection, PIPIT_LIMITS_OTHER, length)) {
		pipit_counters_reject(connection->net->counters, PIPIT_REFUSAL_MEMORY_LIMIT);
		return false;
	}
	out = realloc(connection->out.data, connection->out.length + length);
	if (!out)
		return false;
	memcpy(out + connection->out.length, bytes, length);
	connection->out.data = out;
	connection->out.length += length;
	return true;
}

static void keep_rest(struct pipit_connection *connection, const struct iovec *pieces, int count, size_t sent)
{
	for (int i = 0; i < count; i++) {
		size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len, left = pieces[i].iov_len - skip;
		sent -= skip;
		if (left == 0)
			continue;
		/* A reply that cannot be kept cannot be completed. */
		if (connection->end != PIPIT_ABORT &&
		    !append_out(connection, (const char *)pieces[i].iov_base + skip, left))
			pipit_connection_end(connection, PIPIT_ABORT);
		if (connection->end == PIPIT_ABORT)
			connection->out.lost += left;
	}
}

static void send_or_keep(struct pipit_connection *connection, struct iovec *pieces, int count, int flags)
{
	size_t sent = 0;
	if (!pipit_output_is_stuck(connection))
		sent = send_pieces(connection, pieces, count, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
	keep_rest(connection, pieces, count, sent);
}

static void flush_batch(struct pipit_connection *connection, bool more)
{
	struct pipit_net *net = connection->net;
	struct iovec batch = { net->batch, net->batch_length };
	if (net->batch_length == 0)
		return;
	net->batch_length = 0;
	send_or_keep(connection, &batch, 1, more ? MSG_MORE : 0);
}

/* A client that closes during a download would end a program that does not ignore SIGPIPE. */
static struct pipit_sigpipe mask_sigpipe(const struct pipit_net *net)
{
	struct pipit_sigpipe sigpipe;
	sigpipe.is_masked = false;
	if (net->masks_sigpipe)
		pipit_sigpipe_mask(&sigpipe);
	return sigpipe;
}

/* Only evbuffer_write() can send what evbuffer_add_file() added. */
static size_t send_buffer(struct pipit_connection *connection, struct evbuffer *buffer)
{
	size_t total = 0;
	struct pipit_sigpipe sigpipe;

	if (is_encrypted_here(connection))
		return send_buffer_tls(connection, buffer);
	sigpipe = mask_sigpipe(connection->net);
	while (connection->end != PIPIT_ABORT && evbuffer_get_length(buffer) > 0 && total < PIPIT_OUTPUT_SLICE_BYTES) {
		int sent;
		/* With sendfile() 0 is a full socket (EAGAIN), or a file that has shrunk. */
		errno = 0;
		sent = evbuffer_write(buffer, connection->fd);
		if (sent <= 0) {
			if (!would_block(errno))
				pipit_connection_end(connection, PIPIT_ABORT);
			break;
		}
		moved(connection, (size_t)sent);
		total += (size_t)sent;
	}
	pipit_sigpipe_unmask(&sigpipe);
	return total;
}

/* The connection owns what the socket does not take. */
static void flush_replies(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct evbuffer *replies = net->replies;

	if (net->current != connection || !pipit_output_has_replies(net))
		return;
	send_buffer(connection, replies);
	if (evbuffer_get_length(replies) == 0)
		return;
	connection->out.replies = replies;
	net->replies = NULL;
}

bool pipit_output_has_replies(const struct pipit_net *net)
{
	return net->replies && evbuffer_get_length(net->replies) > 0;
}

bool pipit_output_add_reply(struct pipit_connection *connection, struct evbuffer *reply)
{
	struct pipit_net *net = connection->net;

	/* One of the two is empty, to keep the order. */
	flush_batch(connection, true);
	if (!net->replies)
		net->replies = evbuffer_new();
	if (!net->replies || pipit_output_is_stuck(connection) || evbuffer_add_buffer(net->replies, reply) != 0)
		return false;
	if (evbuffer_get_length(net->replies) > net->config->max_output_bytes)
		flush_replies(connection);
	return true;
}

size_t pipit_output_send_buffer(struct pipit_connection *connection, struct evbuffer *buffer)
{
	if (connection->net->current == connection)
		pipit_output_flush(connection, true);
	return pipit_output_is_stuck(connection) ? 0 : send_buffer(connection, buffer);
}

void pipit_output_flush(struct pipit_connection *connection, bool more)
{
	flush_replies(connection);
	flush_batch(connection, more);
}

void pipit_output_abort(struct pipit_connection *connection)
{
	/* Replies to earlier requests are counted and logged as sent. */
	if (connection->net->current == connection)
		pipit_output_flush(connection, false);
	pipit_connection_end(connection, PIPIT_ABORT);
}

void pipit_output_discard(struct pipit_net *net)
{
	net->batch_length = 0;
	if (net->replies)
		evbuffer_drain(net->replies, evbuffer_get_length(net->replies));
}

static uint64_t unsent(const struct pipit_connection *connection)
{
	const struct pipit_net *net = connection->net;
	const struct pipit_parts *parts = connection->out.parts;
	uint64_t bytes =
	    connection->out.length - connection->out.sent + connection->out.file_left + connection->out.lost;

	for (size_t i = parts ? parts->sent : 0; parts && i < parts->count; i++)
		bytes += parts->part[i].text_length + parts->part[i].length;
	if (connection->out.replies)
		bytes += evbuffer_get_length(connection->out.replies);
	if (connection->tls)
		bytes += pipit_tls_session_unsent(connection->tls);
	if (net->current == connection)
		bytes += net->batch_length + (net->replies ? evbuffer_get_length(net->replies) : 0);
	return bytes;
}

/* The unsent bytes are the last of the body. */
uint64_t pipit_output_sent_content(const struct pipit_connection *connection)
{
	uint64_t given = connection->exchange.given, left = unsent(connection);
	return left < given ? given - left : 0;
}

static size_t room(const struct pipit_connection *connection)
{
	const struct pipit_net *net = connection->net;
	return net->current == connection ? (size_t)net->config->max_output_bytes - net->batch_length : 0;
}

void pipit_output_write(struct pipit_connection *connection, struct iovec *pieces, int count)
{
	struct pipit_net *net = connection->net;
	size_t total = 0;

	flush_replies(connection);
	for (int i = 0; i < count; i++)
		total += pieces[i].iov_len;
	if (total > room(connection)) {
		if (net->current == connection)
			pipit_output_flush(connection, true);
		send_or_keep(connection, pieces, count, 0);
		return;
	}
	for (int i = 0; i < count; i++) {
		memcpy(net->batch + net->batch_length, pieces[i].iov_base, pieces[i].iov_len);
		net->batch_length += pieces[i].iov_len;
	}
}

size_t pipit_output_offer(struct pipit_connection *connection, struct pipit_slice bytes)
{
	struct pipit_net *net = connection->net;
	struct iovec piece = { (void *)bytes.data, bytes.length };

	flush_replies(connection);
	if (pipit_output_is_stuck(connection))
		return 0;
	if (net->current != connection)
		return send_pieces(connection, &piece, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (piece.iov_len > room(connection))
		pipit_output_flush(connection, true);
	if (pipit_output_is_stuck(connection) || connection->end == PIPIT_ABORT)
		return 0;
	if (piece.iov_len > room(connection))
		piece.iov_len = room(connection);
	pipit_output_write(connection, &piece, 1);
	return piece.iov_len;
}

bool pipit_output_is_stuck(const struct pipit_connection *connection)
{
	return connection->out.data || connection->out.replies || is_tls_unsent(connection);
}

bool pipit_output_is_in_kernel_tls(const struct pipit_connection *connection)
{
	struct pollfd room = { connection->fd, POLLOUT, 0 };
	return pipit_tls_session_is_encrypted_by_kernel(connection->tls) && poll(&room, 1, 0) == 0;
}

static void clear_out(struct pipit_connection *connection)
{
	free(connection->out.data);
	connection->out.data = NULL;
	connection->out.length = connection->out.sent = 0;
}

static void clear_replies(struct pipit_connection *connection)
{
	if (connection->out.replies)
		evbuffer_free(connection->out.replies);
	connection->out.replies = NULL;
}

void pipit_output_retry(struct pipit_connection *connection)
{
	if (connection->tls) {
		flush_tls(connection, 0);
		if (is_tls_unsent(connection) || connection->end == PIPIT_ABORT)
			return;
	}
	if (connection->out.replies) {
		send_buffer(connection, connection->out.replies);
		if (evbuffer_get_length(connection->out.replies) > 0)
			return;
		clear_replies(connection);
	}
	while (connection->out.data) {
		struct iovec rest = { connection->out.data + connection->out.sent,
			connection->out.length - connection->out.sent };
		size_t sent = send_pieces(connection, &rest, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent == 0)
			return;
		connection->out.sent += sent;
		if (connection->out.sent == connection->out.length)
			clear_out(connection);
	}
}

static bool read_into_batch(struct pipit_connection *connection, int fd, uint64_t offset, size_t length)
{
	struct pipit_net *net = connection->net;
	if (!pipit_shared_fd_read(fd, net->batch + net->batch_length, length, offset))
		return false;
	net->batch_length += length;
	return true;
}

void pipit_output_queue_file(
    struct pipit_connection *connection, struct pipit_shared_fd *file, uint64_t offset, uint64_t length)
{
	if (length > 0 && (length > SMALL_FILE_BYTES || length > room(connection))) {
		connection->out.file = file;
		connection->out.file_offset = offset;
		connection->out.file_left = length;
		return;
	}
	/* The head has announced the bytes. */
	if (length > 0 && !read_into_batch(connection, file->fd, offset, (size_t)length)) {
		pipit_output_abort(connection);
		connection->out.lost += length;
	}
	pipit_shared_fd_release(file);
}

void pipit_output_queue_parts(
    struct pipit_connection *connection, struct pipit_shared_fd *file, struct pipit_parts *parts)
{
	connection->out.file = file;
	connection->out.parts = parts;
}

bool pipit_output_has_file(const struct pipit_connection *connection)
{
	return connection->out.file_left > 0 || connection->out.parts;
}

static void drop_file(struct pipit_connection *connection)
{
	pipit_shared_fd_release(connection->out.file);
	connection->out.file = NULL;
	connection->out.file_left = 0;
	free(connection->out.parts);
	connection->out.parts = NULL;
}

/* Send its text; its bytes of the file are next. */
static void begin_part(struct pipit_connection *connection)
{
	struct pipit_parts *parts = connection->out.parts;
	const struct pipit_part *part = &parts->part[parts->sent++];
	struct iovec text = { (void *)parts->text, part->text_length };

	parts->text += part->text_length;
	connection->out.file_offset = part->offset;
	connection->out.file_left = part->length;
	send_or_keep(connection, &text, 1, part->length ? MSG_MORE : 0);
	if (parts->sent < parts->count)
		return;
	free(parts);
	connection->out.parts = NULL;
}

/* What was encrypted; less than wanted at the end of a turn's share, too. */
__attribute__((noinline)) static size_t send_from_file_tls(struct pipit_connection *connection, size_t wanted)
{
	char record[TLS_RECORD_BYTES];
	size_t total = 0, end = wanted < TLS_SLICE_BYTES ? wanted : TLS_SLICE_BYTES;
	bool has_read = true;

	while (total < end && !is_tls_unsent(connection) && !pipit_tls_session_is_broken(connection->tls)) {
		size_t length = end - total < sizeof record ? end - total : sizeof record;

		/* The file has shrunk. */
		has_read =
		    pipit_shared_fd_read(connection->out.file->fd, record, length, connection->out.file_offset + total);
		if (!has_read)
			break;
		total += pipit_tls_session_write(connection->tls, record, length);
	}
	connection->out.file_offset += total;
	connection->out.file_left -= total;
	flush_tls(connection, 0);
	if (!has_read)
		pipit_connection_end(connection, PIPIT_ABORT);
	return total;
}

/* What the socket took; 0 also on failure. */
static size_t send_from_file(struct pipit_connection *connection, size_t wanted)
{
	off_t offset = (off_t)connection->out.file_offset;
	struct pipit_sigpipe sigpipe;
	ssize_t sent;

	if (is_encrypted_here(connection))
		return send_from_file_tls(connection, wanted);
	sigpipe = mask_sigpipe(connection->net);
	sent = sendfile(connection->fd, connection->out.file->fd, &offset, wanted);
	pipit_sigpipe_unmask(&sigpipe);
	if (sent < 0 && would_block(errno))
		return 0;
	/* 0: the file has shrunk. */
	if (sent <= 0) {
		pipit_connection_end(connection, PIPIT_ABORT);
		return 0;
	}
	moved(connection, (size_t)sent);
	connection->out.file_offset += (uint64_t)sent;
	connection->out.file_left -= (uint64_t)sent;
	return (size_t)sent;
}

void pipit_output_send_file(struct pipit_connection *connection)
{
	uint64_t slice = PIPIT_OUTPUT_SLICE_BYTES;
	while (pipit_output_has_file(connection) && slice > 0 && connection->end != PIPIT_ABORT) {
		size_t wanted = (size_t)(connection->out.file_left < slice ? connection->out.file_left : slice), sent;
		if (wanted == 0) {
			begin_part(connection);
			if (pipit_output_is_stuck(connection))
				break;
			continue;
		}
		sent = send_from_file(connection, wanted);
		slice -= sent;
		/* The socket is full. */
		if (sent < wanted)
			break;
	}
	if (!pipit_output_has_file(connection))
		drop_file(connection);
}
