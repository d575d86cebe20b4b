/* SPDX-License-Identifier: MIT */
/*
 * From readiness to requests, and from replies back to readiness; read from serve() to settle(). What it
 * leaves to others: sending to output.c, evhttp to evhttp_lane.c, the clock to timeouts.c, routes and handlers to the hooks.
 */
#include "http1/http1.h"

#include "http/accept_header.h"
#include "http/response_head.h"
#include "http1/acceptor.h"
#include "http1/evhttp_lane.h"
#include "http1/evhttp_link.h"
#include "http1/open_reply.h"
#include "net/budget.h"
#include "net/eviction.h"
#include "net/input.h"
#include "net/net.h"
#include "net/output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* What one recv() takes at most. */
#define RECEIVE_SIZE (64 * 1024)
/* A partial head (64 KiB at most) or unread pipelined requests lie in front of what is received. */
#define PIPIT_INPUT_SIZE (3 * RECEIVE_SIZE)
/* After a refusal so much is read and thrown away, lest a reset overtake the answer (RFC 9112 §9.6). */
#define LINGER_BYTES (64 * 1024)
/* Requests of one connection that are served before others get their turn. */
#define REQUESTS_PER_TURN 16
/* One more when the first has begun earlier. */
_Static_assert(REQUESTS_PER_TURN + 1 <= PIPIT_COUNTERS_BATCH_MAX, "a turn is a batch");

static void settle(struct pipit_connection *connection);
static void serve(struct pipit_connection *connection, char *bytes, size_t length);

/* --- replies, refusals, the end of a request ----------------------------------------------------------------------- */

/* The request is over and its reply complete. */
static void finish(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	connection->deferred = false;
	connection->answered = false;
	connection->was_abandoned = false;
	if (!pipit_connection_may_stay(connection)) {
		connection->closing = true;
		connection->lingers |= connection->body_unread;
	}
	net->hooks->finished(net->context, connection, true);
	connection->request = NULL;
	pipit_input_drop_content(connection);
	connection->content_bytes = 0;
}

static size_t size_of_head(const struct pipit_guard_head *head)
{
	return sizeof *head - sizeof head->fields + head->field_count * sizeof head->fields[0] + head->length;
}

/* An evhttp callback replies later. evhttp has what it needs; what is logged is retained. */
static void defer_evhttp(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	connection->handed_bytes += connection->head->length;
	connection->head = net->hooks->retain(net->context, connection);
	if (!connection->head)
		connection->broken = true;
	pipit_evhttp_defer(connection);
}

/* The handler replies later. A native one has kept its request. */
static void defer(struct pipit_connection *connection)
{
	connection->deferred = true;
	/* What a kept request has copied, and what evhttp has. It is there already, so that it is counted but not refused. */
	if (!connection->retained_bytes)
		connection->retained_bytes = size_of_head(connection->head);
	if (!connection->body && !connection->handed_bytes)
		connection->handed_bytes = connection->body_bytes;
	if (connection->is_evhttp)
		defer_evhttp(connection);
}

/* Whatever has been written of the reply so far: see whether that is all of it. */
static void conclude(struct pipit_connection *connection)
{
	bool is_whole = connection->is_evhttp ? pipit_evhttp_pump(connection)
					      : connection->answered && !pipit_output_has_file(connection);
	if (is_whole)
		finish(connection);
	else if (!connection->broken && !connection->answered && !connection->deferred)
		defer(connection);
}

/* Enough of a HEAD to know that it wants no content. */
static void expect_little(struct pipit_connection *connection, const char *bytes, size_t length)
{
	static const char method[] = "HEAD ";
	size_t skip = length >= 2 && bytes[0] == '\r' ? 2 : 0;
	if (connection->phase != PHASE_HEAD)
		connection->started_ns = connection->net->now_ns;
	connection->is_head =
	    length - skip >= sizeof method - 1 && memcmp(bytes + skip, method, sizeof method - 1) == 0;
	connection->wants_html = false;
}

/* Answer by ourselves and close. */
static void refuse(struct pipit_connection *connection, enum pipit_refusal reason, struct pipit_slice line)
{
	struct pipit_net *net = connection->net;
	char reply[PIPIT_RESPONSE_HEAD_MAX + PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	size_t content_bytes;
	struct iovec piece = { reply, pipit_response_head_refusal(reply, reason, pipit_net_date(net),
					  connection->is_head, connection->wants_html, &content_bytes) };

	pipit_output_write(connection, &piece, 1);
	connection->collecting = false;
	connection->closing = connection->lingers = true;
	pipit_counters_reject(net->counters, reason);
	net->hooks->refused(net->context, connection, reason, line, content_bytes);
	connection->request = NULL;
	pipit_input_drop_content(connection);
}

void pipit_http1_reply(
    struct pipit_connection *connection, int status, struct pipit_slice head, const struct pipit_reply_content *content)
{
	struct pipit_slice memory = content->memory;
	struct iovec pieces[2] = { { (void *)head.data, head.length }, { (void *)memory.data, memory.length } };

	connection->answered = true;
	connection->status = status;
	connection->content_bytes = content->length;
	pipit_output_write(connection, pieces, memory.length ? 2 : 1);
	if (content->parts)
		pipit_output_queue_parts(connection, content->file, content->parts);
	else if (content->file)
		pipit_output_queue_file(
		    connection, content->file, content->file_offset, content->length - memory.length);
	pipit_http1_continue(connection);
}

/* --- from bytes to a message --------------------------------------------------------------------------------------- */

static void refuse_message(struct pipit_connection *connection, enum pipit_refusal reason)
{
	connection->wants_html = pipit_accept_header_prefers_html(connection->head);
	refuse(connection, reason, pipit_connection_first_line(connection->head->bytes, connection->head->length));
}

static void call_evhttp(struct pipit_connection *connection, struct pipit_slice body)
{
	enum pipit_refusal reason = pipit_evhttp_show(connection, body);
	if (reason == PIPIT_REFUSAL_NONE)
		conclude(connection);
	else if (!connection->broken)
		refuse_message(connection, reason);
}

/* The request is whole: its handler's turn. */
static void run(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_net *net = connection->net;
	connection->collecting = false;
	connection->body_unread = false;
	connection->body_bytes = body.length;
	if (connection->is_evhttp) {
		call_evhttp(connection, body);
		return;
	}
	net->hooks->handle(net->context, connection, body);
	conclude(connection);
}

/* The whole content lies in flat memory. Handlers find a NUL behind it, where perhaps the next request begins. */
static void run_in_place(struct pipit_connection *connection, char *body, size_t length)
{
	struct pipit_net *net = connection->net;
	char behind = body[length];
	net->has_more_input = body + length < net->in_end;
	body[length] = '\0';
	run(connection, (struct pipit_slice){ body, length });
	body[length] = behind;
}

/* The content has been collected; it is freed with the request. */
static void run_collected(struct pipit_connection *connection)
{
	connection->net->has_more_input = false;
	connection->body[connection->body_length] = '\0';
	run(connection, (struct pipit_slice){ connection->body, connection->body_length });
}

static bool is_over_limit(const struct pipit_connection *connection, uint64_t length)
{
	return connection->body_limit && length > connection->body_limit;
}

/* Content of a message whose head came earlier. Returns how many bytes belonged to it. */
static size_t take_length(struct pipit_connection *connection, char *bytes, size_t length)
{
	uint64_t missing = connection->body_bytes - connection->body_length;
	struct pipit_slice data = { bytes, missing < length ? (size_t)missing : length };
	enum pipit_refusal reason = pipit_input_add_content(connection, data);

	if (reason != PIPIT_REFUSAL_NONE)
		refuse_message(connection, reason);
	else if (connection->body_length == connection->body_bytes)
		run_collected(connection);
	return data.length;
}

static size_t take_chunks(struct pipit_connection *connection, char *bytes, size_t length)
{
	size_t at = 0, consumed = 0;
	for (;;) {
		struct pipit_slice data;
		enum pipit_refusal reason = PIPIT_REFUSAL_NONE;
		enum pipit_guard_chunk chunk = pipit_guard_chunked(&connection->chunked, bytes + at, length - at,
		    &connection->net->guard_limits, &consumed, &data, &reason);

		at += consumed;
		if (chunk == PIPIT_CHUNK_MORE)
			return length;
		if (chunk == PIPIT_CHUNK_DATA && is_over_limit(connection, connection->body_length + data.length))
			reason = PIPIT_REFUSAL_BODY_TOO_LARGE;
		else if (chunk == PIPIT_CHUNK_DATA)
			reason = pipit_input_add_content(connection, data);
		if (reason != PIPIT_REFUSAL_NONE) {
			refuse_message(connection, reason);
			return length;
		}
		if (chunk == PIPIT_CHUNK_END) {
			run_collected(connection);
			return at;
		}
	}
}

static size_t take_content(struct pipit_connection *connection, char *bytes, size_t length)
{
	return connection->head->framing == PIPIT_FRAMING_LENGTH ? take_length(connection, bytes, length)
								 : take_chunks(connection, bytes, length);
}

static void send_continue(struct pipit_connection *connection)
{
	static char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec piece = { line, sizeof line - 1 };
	pipit_output_write(connection, &piece, 1);
}

/* The content comes in pieces: its head must outlive the bytes that it lies in. */
static enum pipit_refusal begin_collecting(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	const struct pipit_guard_head *head = connection->head, *retained;
	size_t bytes = size_of_head(head);

	connection->body_bytes = head->content_length;
	connection->chunked = (struct pipit_guard_chunked){ 0 };
	if (!pipit_budget_would_fit(connection, bytes + head->content_length) ||
	    !pipit_budget_take(connection, PIPIT_LIMITS_CONTENT, bytes))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	connection->retained_bytes = bytes;
	retained = net->hooks->retain(net->context, connection);
	if (!retained)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	connection->head = retained;
	connection->collecting = true;
	/* An empty content has an address too. */
	return pipit_input_add_content(connection, (struct pipit_slice){ "", 0 });
}

/* The route wants the content: take it from behind the head when it is all there, or begin to collect it. */
static size_t begin_content(struct pipit_connection *connection, char *behind, size_t available)
{
	const struct pipit_guard_head *head = connection->head;
	enum pipit_refusal reason;

	if (head->framing == PIPIT_FRAMING_LENGTH && is_over_limit(connection, head->content_length)) {
		refuse_message(connection, PIPIT_REFUSAL_BODY_TOO_LARGE);
		return 0;
	}
	if (head->framing == PIPIT_FRAMING_LENGTH && head->content_length <= available) {
		size_t length = (size_t)head->content_length;
		run_in_place(connection, behind, length);
		return length;
	}
	reason = begin_collecting(connection);
	if (reason != PIPIT_REFUSAL_NONE) {
		refuse_message(connection, reason);
		return 0;
	}
	if (head->expect_continue && available == 0)
		send_continue(connection);
	return 0;
}

/* A head has passed. Returns how many bytes of content behind it were used. */
static size_t begin_message(struct pipit_connection *connection, char *behind, size_t available)
{
	struct pipit_net *net = connection->net;
	const struct pipit_guard_head *head = connection->head = &net->head;
	uint64_t memory_limit = net->config->memory_limit;
	enum pipit_decision decision;

	connection->started_ns = connection->phase == PHASE_HEAD ? connection->started_ns : net->now_ns;
	connection->minor = head->minor;
	connection->is_head = head->method == PIPIT_HEAD;
	connection->keep_alive = head->keep_alive;
	connection->body_unread = head->framing != PIPIT_FRAMING_NONE;
	connection->body_bytes = 0;
	connection->is_evhttp = false;
	/* What waits next waits anew, whatever this connection waited for before. */
	if (connection->phase == PHASE_HEAD || connection->phase == PHASE_BODY)
		pipit_connection_enter(connection, PHASE_IDLE);
	connection->requests++;
	decision = net->hooks->head(net->context, connection, head, &connection->body_limit);
	connection->is_evhttp = decision == PIPIT_DECIDE_EVHTTP;
	/* More than that never fits, however long the client waits. */
	if (memory_limit && (!connection->body_limit || connection->body_limit > memory_limit))
		connection->body_limit = memory_limit;
	if (decision == PIPIT_DECIDE_NO_MEMORY) {
		refuse_message(connection, PIPIT_REFUSAL_OUT_OF_MEMORY);
		return 0;
	}
	if (decision == PIPIT_DECIDE_ANSWERED) {
		conclude(connection);
		return 0;
	}
	if (head->framing == PIPIT_FRAMING_NONE) {
		run_in_place(connection, behind, 0);
		return 0;
	}
	return begin_content(connection, behind, available);
}

/* Returns how many bytes were used; 0 when the head has not ended. */
static size_t take_head(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_net *net = connection->net;
	enum pipit_refusal reason;
	size_t consumed;

	switch (
	    pipit_guard_head(bytes, length, &connection->checked, &net->guard_limits, &net->head, &consumed, &reason)) {
	case PIPIT_GUARD_MORE:
		return 0;
	case PIPIT_GUARD_PASS:
		connection->checked = 0;
		return consumed + begin_message(connection, bytes + consumed, length - consumed);
	default:
		connection->is_head = net->head.method == PIPIT_HEAD;
		/* A head that has not ended says nothing yet: its Accept header may come later. */
		connection->wants_html = net->head.length && pipit_accept_header_prefers_html(&net->head);
		connection->started_ns = connection->phase == PHASE_HEAD ? connection->started_ns : net->now_ns;
		refuse(connection, reason, pipit_connection_first_line(bytes, length));
		return length;
	}
}

/* --- input --------------------------------------------------------------------------------------------------------- */

/* One request at a time, and none while an earlier reply is stuck: a client that does not read costs no memory here. */
static bool may_read(const struct pipit_connection *connection)
{
	return !connection->closing && !connection->broken && !connection->deferred && !connection->answered &&
	       !pipit_output_is_stuck(connection) && !pipit_connection_is_gone(connection);
}

/* Of those that have not sent a whole head the oldest is evicted; for requests that wait behind another, none. */
static enum pipit_refusal keep_input(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason = pipit_input_keep(connection, bytes, length);
	if (reason == PIPIT_REFUSAL_MEMORY_LIMIT && connection->checked && pipit_eviction_free_bytes(connection))
		reason = pipit_input_keep(connection, bytes, length);
	return reason;
}

static void keep_unused(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason;

	if (length == 0 || connection->closing) {
		pipit_input_drop(connection);
		return;
	}
	reason = keep_input(connection, bytes, length);
	if (reason == PIPIT_REFUSAL_NONE)
		return;
	if (connection->checked) {
		expect_little(connection, bytes, length);
		refuse(connection, reason, pipit_connection_first_line(bytes, length));
	} else {
		/* A refusal would overtake the replies to earlier requests. */
		pipit_counters_reject(connection->net->counters, reason);
		connection->broken = true;
	}
}

/* Every request in these bytes, as far as they are whole and each reply is given. bytes lie in net->in. */
static void serve(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_net *net = connection->net;
	char *at = bytes, *end = bytes + length;
	uint64_t last_request = connection->requests + REQUESTS_PER_TURN;

	net->current = connection;
	net->in_end = end;
	while (at < end && may_read(connection) && (connection->collecting || connection->requests < last_request)) {
		size_t used = connection->collecting ? take_content(connection, at, (size_t)(end - at))
						     : take_head(connection, at, (size_t)(end - at));
		if (used == 0)
			break;
		at += used;
	}
	pipit_counters_end_batch(net->counters);
	if (pipit_connection_is_gone(connection)) {
		pipit_output_discard(net);
		net->current = NULL;
		return;
	}
	/* What follows at once goes into the same packet: a file, or the end of the connection. */
	pipit_output_flush(connection, pipit_output_has_file(connection) || connection->closing);
	net->current = NULL;
	/* It sent more than is going to be read. */
	connection->lingers |= connection->closing && at < end;
	keep_unused(connection, at, (size_t)(end - at));
	settle(connection);
}

/* Go on with what was received while an earlier reply was not complete. */
static void resume(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	memcpy(net->in, connection->pending, connection->pending_length);
	serve(connection, net->in, connection->pending_length);
}

static void throw_away(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	ssize_t received = recv(connection->fd, net->in, RECEIVE_SIZE, MSG_DONTWAIT);
	if (received < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (received <= 0 || (size_t)received >= connection->linger_left)
		pipit_connection_drop(connection);
	else
		connection->linger_left -= (uint32_t)received;
}

static void on_readable(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	size_t before = connection->pending_length;
	ssize_t received;

	if (connection->phase == PHASE_CLOSING) {
		throw_away(connection);
		return;
	}
	if (before)
		memcpy(net->in, connection->pending, before);
	received = recv(connection->fd, net->in + before, RECEIVE_SIZE, MSG_DONTWAIT);
	if (received < 0 && (errno == EAGAIN || errno == EINTR)) {
		/* One that has just been accepted is watched from now on. */
		settle(connection);
		return;
	}
	if (received <= 0) {
		pipit_connection_drop(connection);
		return;
	}
	pipit_counters_add(net->counters, PIPIT_COUNT_RECEIVED, (uint64_t)received);
	connection->moved_ms = net->now_ms;
	connection->window_bytes += (uint64_t)received;
	serve(connection, net->in, before + (size_t)received);
}

static void on_writable(struct pipit_connection *connection)
{
	pipit_output_retry(connection);
	settle(connection);
}

/* --- what a connection waits for next ------------------------------------------------------------------------------ */

static void lose_request(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	bool is_complete = pipit_open_reply_lose(connection);
	if (connection->request && net->hooks)
		net->hooks->finished(net->context, connection, is_complete);
	connection->request = NULL;
}

static void on_dropped(struct pipit_connection *connection)
{
	lose_request(connection);
	if (connection->link)
		pipit_evhttp_link_give_up(connection);
}

/*
 * Our last byte is out, or waits for the end to go with it (MSG_MORE). That goes now: a close while the client's bytes are unread
 * is a reset, which would take with it what has not left. For the same reason a client that may still be sending is listened to
 * for a while: a reset can destroy the reply before the client has read it.
 */
static void say_goodbye(struct pipit_connection *connection)
{
	if (connection->phase == PHASE_CLOSING)
		return;
	shutdown(connection->fd, SHUT_WR);
	if (!connection->lingers && pipit_connection_is_quiet(connection)) {
		pipit_connection_drop(connection);
		return;
	}
	pipit_input_drop(connection);
	connection->linger_left = LINGER_BYTES;
	pipit_connection_enter(connection, PHASE_CLOSING);
	pipit_connection_watch(connection, EV_READ);
}

/* Whoever writes to a reply that is left open has more. */
static bool is_stream_waiting(const struct pipit_connection *connection)
{
	return connection->open_reply && connection->open_reply->is_waiting;
}

/* Push out what can be pushed out. True when nothing is left. */
static bool write_out(struct pipit_connection *connection)
{
	if (!pipit_output_is_stuck(connection) && pipit_output_has_file(connection)) {
		pipit_output_send_file(connection);
		if (!pipit_output_has_file(connection) && !connection->broken)
			conclude(connection);
	} else if (!pipit_output_is_stuck(connection) && connection->deferred && connection->is_evhttp) {
		conclude(connection);
	} else if (!pipit_output_is_stuck(connection) && is_stream_waiting(connection)) {
		connection->open_reply->hooks->write(connection->open_reply);
		conclude(connection);
	}
	return !pipit_output_is_stuck(connection) && !pipit_output_has_file(connection) &&
	       !is_stream_waiting(connection) && !pipit_evhttp_waiting(connection);
}

/* evhttp has let go of a client's own connection, so that it cannot serve another request. */
static bool has_lost_evhttp(const struct pipit_connection *connection)
{
	return connection->net->evhttp_mode >= PIPIT_EVHTTP_OWN && !connection->link && !connection->closing;
}

/* What it has buffered counts. An evhttp callback writes without asking, and its client pays when there is no room. */
static void settle_budget(struct pipit_connection *connection)
{
	if (pipit_budget_settle(connection, pipit_evhttp_waiting_memory(connection)))
		return;
	pipit_counters_reject(connection->net->counters, PIPIT_REFUSAL_MEMORY_LIMIT);
	pipit_connection_drop(connection);
}

/*
 * After everything that could be done was done: decide what the connection waits for. The one place that does.
 */
static void settle(struct pipit_connection *connection)
{
	bool is_out;

	if (pipit_connection_is_gone(connection))
		return;
	is_out = connection->broken || write_out(connection);
	if (connection->broken || has_lost_evhttp(connection)) {
		pipit_connection_drop(connection);
	} else if (!is_out) {
		pipit_connection_enter(connection, PHASE_WRITING);
		pipit_connection_watch(connection, EV_WRITE);
	} else if (connection->closing) {
		say_goodbye(connection);
	} else if (connection->deferred) {
		/* Watching for EV_CLOSED alone would spin: libevent reports a reset as readable and writable. timeouts.c looks. */
		pipit_connection_enter(connection, connection->open_reply ? PHASE_STREAMING : PHASE_HANDLING);
		pipit_connection_watch(connection, 0);
	} else {
		bool is_partial = connection->checked > 0;
		if (connection->pending && !is_partial)
			pipit_connection_wake(connection);
		if (is_partial && connection->phase != PHASE_HEAD)
			connection->started_ns = connection->net->now_ns;
		pipit_connection_enter(connection, connection->collecting ? PHASE_BODY
						   : is_partial           ? PHASE_HEAD
									  : PHASE_IDLE);
		pipit_connection_watch(connection, connection->pending && !is_partial ? 0 : EV_READ);
		if (connection->broken)
			pipit_connection_drop(connection);
	}
	if (!pipit_connection_is_gone(connection))
		settle_budget(connection);
}

/* The request is often there already: then the socket need not be watched, and when it is the last one, never is. */
static void adopt(struct pipit_connection *connection)
{
	enum pipit_refusal reason;
	if (!pipit_acceptor_adopt(connection, &reason))
		return;
	if (reason != PIPIT_REFUSAL_NONE)
		refuse(connection, reason, (struct pipit_slice){ "", 0 });
	if (may_read(connection))
		on_readable(connection);
	else
		settle(connection);
}

static void on_woken(struct pipit_connection *connection)
{
	if (connection->fd < 0)
		adopt(connection);
	else if (connection->pending && !connection->checked && may_read(connection))
		resume(connection);
	else
		settle(connection);
}

static void on_ready(struct pipit_connection *connection, short what)
{
	if (what & EV_READ)
		on_readable(connection);
	else
		on_writable(connection);
}

/* The handler is running: the connection settles when it has returned. */
void pipit_http1_continue(struct pipit_connection *connection)
{
	if (connection->net->current == connection)
		return;
	pipit_net_read_clock(connection->net);
	conclude(connection);
	settle(connection);
}

void pipit_http1_settle(struct pipit_connection *connection)
{
	settle(connection);
}

void pipit_http1_time_out(struct pipit_connection *connection, enum pipit_refusal reason)
{
	if (reason == PIPIT_REFUSAL_BODY_TIMEOUT) {
		refuse_message(connection, reason);
	} else {
		expect_little(connection, connection->pending, connection->pending_length);
		refuse(
		    connection, reason, pipit_connection_first_line(connection->pending, connection->pending_length));
	}
	settle(connection);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

void pipit_http1_drain(struct pipit_net *net)
{
	if (net->draining)
		return;
	pipit_net_read_clock(net);
	net->draining = true;
	net->drain_ms = net->now_ms;
	pipit_open_reply_drain(net);
}

size_t pipit_http1_close_all(struct pipit_net *net)
{
	size_t in_flight = 0;
	for (struct pipit_connection *at = net->all; at; at = at->next) {
		if (!pipit_connection_is_gone(at) && !at->open_reply && (at->request || at->phase == PHASE_WRITING))
			in_flight++;
		pipit_connection_drop(at);
		/* One that evhttp let go in this turn is freed later than what it counts in. */
		pipit_connection_check_out(at);
		lose_request(at);
	}
	return in_flight;
}

bool pipit_http1_is_empty(const struct pipit_net *net)
{
	return net->adopted == 0 && !net->waiting;
}

static const struct pipit_protocol protocol = { on_ready, on_woken, on_dropped };

static bool set_up(struct pipit_net *net, struct evhttp *http)
{
	net->in = malloc(PIPIT_INPUT_SIZE + 1);
	return net->in && pipit_evhttp_open(net, http) == 0 && pipit_acceptor_open(net);
}

struct pipit_net *pipit_http1_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_handler_table *hooks,
    void *context, enum pipit_evhttp_mode mode, struct evhttp *http)
{
	struct pipit_net *net = pipit_net_new(base, config, counters, limits, &protocol, hooks, context);
	if (!net)
		return NULL;
	net->guard_limits.max_head_bytes = (uint32_t)config->max_head_bytes;
	net->guard_limits.max_target_bytes = (uint32_t)config->max_target_bytes;
	net->guard_limits.max_field_bytes = (uint32_t)config->max_field_bytes;
	net->guard_limits.max_fields = (uint32_t)config->max_fields;
	net->evhttp_mode = mode;
	if (set_up(net, http))
		return net;
	pipit_http1_free(net);
	return NULL;
}

void pipit_http1_free(struct pipit_net *net)
{
	if (!net)
		return;
	pipit_http1_close_all(net);
	net->hooks = NULL;
	pipit_acceptor_close(net);
	pipit_net_free_gone(net);
	pipit_evhttp_close(net);
	pipit_net_free(net);
}
