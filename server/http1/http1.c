/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: serve_request() calls its steps in order, and settle() decides what the connection waits for in between.
 * Sending is output.c's, evhttp evhttp_lane.c's, deadlines are timeouts.c's, routes and handlers those of the handler table.
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
#define INPUT_SIZE (3 * RECEIVE_SIZE)
/* After a refusal so much is read and discarded, lest a reset overtake the answer (RFC 9112 §9.6). */
#define LINGER_BYTES (64 * 1024)
/* Requests of one connection that are served before those of others. */
#define REQUESTS_PER_TURN 16
/* One more when the first has begun earlier. */
_Static_assert(REQUESTS_PER_TURN + 1 <= PIPIT_COUNTERS_BATCH_MAX, "a turn is a batch");

/* What is next for a request. */
enum step {
	STEP_WAIT, /* for bytes, the handler or the socket; or nothing: the request is refused */
	STEP_ROUTE,
	STEP_CONTENT,
	STEP_HANDLER,
	STEP_REPLY,
	STEP_FINISH
};

static void settle(struct pipit_connection *connection);

/* --- refusals -------------------------------------------------------------------------------------------------------- */

/* The exchange is over. */
static void clear(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	if (exchange->body || exchange->retained_bytes || exchange->handed_bytes)
		pipit_input_drop_content(connection);
	memset(exchange, 0, offsetof(struct pipit_exchange, body));
}

/* Reply without a handler, and close. line: of the request, for the log. */
static void refuse(
    struct pipit_connection *connection, enum pipit_refusal reason, struct pipit_slice line, bool prefers_html)
{
	struct pipit_net *net = connection->net;
	char reply[PIPIT_RESPONSE_HEAD_MAX + PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	size_t content_bytes;
	struct iovec piece = { reply, pipit_response_head_refusal(reply, reason, pipit_net_date(net),
					  connection->exchange.is_head, prefers_html, &content_bytes) };

	pipit_output_write(connection, &piece, 1);
	pipit_connection_end(connection, PIPIT_CLOSE_LINGER);
	pipit_counters_reject(net->counters, reason);
	net->hooks->refused(net->context, connection, reason, line, content_bytes);
	clear(connection);
}

/* A head that is not whole, or not valid. */
static void refuse_bytes(
    struct pipit_connection *connection, enum pipit_refusal reason, const char *bytes, size_t length, bool prefers_html)
{
	if (!connection->exchange.started_ns)
		connection->exchange.started_ns = connection->net->now_ns;
	refuse(connection, reason, pipit_connection_first_line(bytes, length), prefers_html);
}

/* Enough of a HEAD to know that it wants no content. */
static void refuse_partial_head(
    struct pipit_connection *connection, enum pipit_refusal reason, const char *bytes, size_t length)
{
	static const char method[] = "HEAD ";
	size_t skip = length >= 2 && bytes[0] == '\r' ? 2 : 0;
	connection->exchange.is_head =
	    length - skip >= sizeof method - 1 && memcmp(bytes + skip, method, sizeof method - 1) == 0;
	refuse_bytes(connection, reason, bytes, length, false);
}

static enum step refuse_message(struct pipit_connection *connection, enum pipit_refusal reason)
{
	const struct pipit_guard_head *head = connection->exchange.head;
	refuse(connection, reason, pipit_connection_first_line(head->bytes, head->length),
	    pipit_accept_header_prefers_html(head));
	return STEP_WAIT;
}

/* --- guard: the head ------------------------------------------------------------------------------------------------- */

static void begin(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;
	const struct pipit_guard_head *head = exchange->head = &net->head;

	/* What waits next waits anew, whatever this connection waited for before. */
	if (connection->state != PIPIT_CONNECTION_IDLE)
		pipit_connection_set_state(connection, PIPIT_CONNECTION_IDLE);
	if (!exchange->started_ns)
		exchange->started_ns = net->now_ns;
	exchange->minor = head->minor;
	exchange->is_head = head->method == PIPIT_HEAD;
	exchange->keep_alive = head->keep_alive;
	exchange->body_state = head->framing == PIPIT_FRAMING_NONE ? PIPIT_BODY_NONE : PIPIT_BODY_UNREAD;
	exchange->body_bytes = 0;
	connection->requests++;
}

static enum step judge_head(struct pipit_connection *connection, char *bytes, size_t length, size_t *used)
{
	struct pipit_net *net = connection->net;
	enum pipit_refusal reason;

	switch (
	    pipit_guard_head(bytes, length, &connection->in.scanned, &net->guard_limits, &net->head, used, &reason)) {
	case PIPIT_GUARD_MORE:
		*used = 0;
		return STEP_WAIT;
	case PIPIT_GUARD_PASS:
		connection->in.scanned = 0;
		begin(connection);
		return STEP_ROUTE;
	default:
		connection->exchange.is_head = net->head.method == PIPIT_HEAD;
		/* A head that has not ended says nothing yet: its Accept header may come later. */
		refuse_bytes(connection, reason, bytes, length,
		    net->head.length && pipit_accept_header_prefers_html(&net->head));
		*used = length;
		return STEP_WAIT;
	}
}

/* --- route ----------------------------------------------------------------------------------------------------------- */

static enum step route(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;
	uint64_t memory_limit = net->config->memory_limit;
	enum pipit_decision decision =
	    net->hooks->head(net->context, connection, exchange->head, &exchange->body_limit);

	if (decision == PIPIT_DECIDE_NO_MEMORY)
		return refuse_message(connection, PIPIT_REFUSAL_OUT_OF_MEMORY);
	if (decision == PIPIT_DECIDE_ANSWERED)
		return STEP_REPLY;
	if (decision == PIPIT_DECIDE_EVHTTP)
		exchange->lane = PIPIT_LANE_EVHTTP;
	/* More than that never fits, however long the client waits. */
	if (memory_limit && (!exchange->body_limit || exchange->body_limit > memory_limit))
		exchange->body_limit = memory_limit;
	return STEP_CONTENT;
}

/* --- content --------------------------------------------------------------------------------------------------------- */

static size_t size_of_head(const struct pipit_guard_head *head)
{
	return sizeof *head - sizeof head->fields + head->field_count * sizeof head->fields[0] + head->length;
}

static bool is_over_limit(const struct pipit_exchange *exchange, uint64_t length)
{
	return exchange->body_limit && length > exchange->body_limit;
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
	struct pipit_exchange *exchange = &connection->exchange;
	const struct pipit_guard_head *head = exchange->head, *retained;
	size_t bytes = size_of_head(head);

	exchange->body_bytes = head->content_length;
	exchange->chunked = (struct pipit_guard_chunked){ 0 };
	if (!pipit_budget_would_fit(connection, bytes + head->content_length) ||
	    !pipit_budget_take(connection, PIPIT_LIMITS_CONTENT, bytes))
		return PIPIT_REFUSAL_MEMORY_LIMIT;
	exchange->retained_bytes = bytes;
	retained = net->hooks->retain(net->context, connection);
	if (!retained)
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	exchange->head = retained;
	exchange->body_state = PIPIT_BODY_READING;
	/* An empty content has an address too. */
	return pipit_input_add_content(connection, (struct pipit_slice){ "", 0 });
}

/* *used: how many of these bytes belong to the content. */
static enum step collect_length(struct pipit_connection *connection, char *bytes, size_t length, size_t *used)
{
	struct pipit_exchange *exchange = &connection->exchange;
	uint64_t missing = exchange->body_bytes - exchange->body_length;
	struct pipit_slice data = { bytes, missing < length ? (size_t)missing : length };
	enum pipit_refusal reason = pipit_input_add_content(connection, data);

	*used = data.length;
	if (reason != PIPIT_REFUSAL_NONE)
		return refuse_message(connection, reason);
	return exchange->body_length == exchange->body_bytes ? STEP_HANDLER : STEP_WAIT;
}

static enum step collect_chunks(struct pipit_connection *connection, char *bytes, size_t length, size_t *used)
{
	struct pipit_exchange *exchange = &connection->exchange;
	size_t at = 0, consumed = 0;

	*used = length;
	for (;;) {
		struct pipit_slice data;
		enum pipit_refusal reason = PIPIT_REFUSAL_NONE;
		enum pipit_guard_chunk chunk = pipit_guard_chunked(&exchange->chunked, bytes + at, length - at,
		    &connection->net->guard_limits, &consumed, &data, &reason);

		at += consumed;
		if (chunk == PIPIT_CHUNK_MORE)
			return STEP_WAIT;
		if (chunk == PIPIT_CHUNK_DATA && is_over_limit(exchange, exchange->body_length + data.length))
			reason = PIPIT_REFUSAL_BODY_TOO_LARGE;
		else if (chunk == PIPIT_CHUNK_DATA)
			reason = pipit_input_add_content(connection, data);
		if (reason != PIPIT_REFUSAL_NONE)
			return refuse_message(connection, reason);
		if (chunk == PIPIT_CHUNK_END) {
			*used = at;
			return STEP_HANDLER;
		}
	}
}

/*
 * The content is all there behind its head, in flat memory; or it is collected. *content: when the handler's turn has come. *used is
 * raised by the bytes that belong to it.
 */
static enum step read_content(
    struct pipit_connection *connection, char *bytes, size_t length, size_t *used, struct pipit_slice *content)
{
	struct pipit_exchange *exchange = &connection->exchange;
	const struct pipit_guard_head *head = exchange->head;
	size_t collected = 0;
	enum step step;

	if (exchange->body_state != PIPIT_BODY_READING) {
		enum pipit_refusal reason;
		uint64_t wanted = head->framing == PIPIT_FRAMING_LENGTH ? head->content_length : 0;

		if (is_over_limit(exchange, wanted))
			return refuse_message(connection, PIPIT_REFUSAL_BODY_TOO_LARGE);
		if (head->framing != PIPIT_FRAMING_CHUNKED && wanted <= length) {
			*content = (struct pipit_slice){ bytes, (size_t)wanted };
			*used += (size_t)wanted;
			return STEP_HANDLER;
		}
		reason = begin_collecting(connection);
		if (reason != PIPIT_REFUSAL_NONE)
			return refuse_message(connection, reason);
		if (head->expect_continue && length == 0)
			send_continue(connection);
	}
	step = exchange->head->framing == PIPIT_FRAMING_LENGTH ? collect_length(connection, bytes, length, &collected)
							       : collect_chunks(connection, bytes, length, &collected);
	*used += collected;
	*content = (struct pipit_slice){ exchange->body, exchange->body_length };
	return step;
}

/* --- handler --------------------------------------------------------------------------------------------------------- */

static enum step call(struct pipit_connection *connection, struct pipit_slice content)
{
	struct pipit_net *net = connection->net;

	if (connection->exchange.lane == PIPIT_LANE_EVHTTP) {
		enum pipit_refusal reason = pipit_evhttp_show(connection, content);
		if (reason != PIPIT_REFUSAL_NONE && connection->end != PIPIT_ABORT)
			return refuse_message(connection, reason);
		return reason == PIPIT_REFUSAL_NONE ? STEP_REPLY : STEP_WAIT;
	}
	net->hooks->handle(net->context, connection, content);
	return STEP_REPLY;
}

/* A handler finds a NUL behind the content: in flat memory in the place of a byte that may belong to the next request. */
static enum step run_handler(struct pipit_connection *connection, struct pipit_slice content)
{
	struct pipit_exchange *exchange = &connection->exchange;
	bool is_flat = !exchange->body;
	char *end = (char *)content.data + content.length, behind = *end;
	enum step step;

	if (exchange->body_state != PIPIT_BODY_NONE)
		exchange->body_state = PIPIT_BODY_READ;
	exchange->body_bytes = content.length;
	*end = '\0';
	step = call(connection, content);
	if (is_flat)
		*end = behind;
	return step;
}

/* --- reply ----------------------------------------------------------------------------------------------------------- */

void pipit_http1_reply(
    struct pipit_connection *connection, int status, struct pipit_slice head, const struct pipit_reply_content *content)
{
	struct pipit_exchange *exchange = &connection->exchange;
	struct pipit_slice memory = content->memory;
	struct iovec pieces[2] = { { (void *)head.data, head.length }, { (void *)memory.data, memory.length } };

	exchange->reply = PIPIT_REPLY_WHOLE;
	exchange->status = status;
	exchange->given = content->length;
	pipit_output_write(connection, pieces, memory.length ? 2 : 1);
	if (content->parts)
		pipit_output_queue_parts(connection, content->file, content->parts);
	else if (content->file)
		pipit_output_queue_file(
		    connection, content->file, content->file_offset, content->length - memory.length);
	if (connection->net->current != connection)
		pipit_http1_continue(connection);
}

static bool is_deferred(const struct pipit_exchange *exchange)
{
	return exchange->request && exchange->reply == PIPIT_REPLY_NONE && exchange->body_state != PIPIT_BODY_READING;
}

/* The reply is all given, and the connection knows whether it stays. False when more of the reply is to come. */
static inline bool conclude(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;

	if (exchange->reply == PIPIT_REPLY_NONE) {
		if (exchange->lane != PIPIT_LANE_EVHTTP || !pipit_evhttp_pump(connection))
			return false;
		exchange->reply = PIPIT_REPLY_WHOLE;
	}
	if (!pipit_connection_may_stay(connection))
		pipit_connection_end(
		    connection, exchange->body_state == PIPIT_BODY_UNREAD ? PIPIT_CLOSE_LINGER : PIPIT_CLOSE);
	return true;
}

/* evhttp has what it needs of the head; what is logged is retained. */
static void defer_evhttp(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;

	exchange->handed_bytes += exchange->head->length;
	exchange->head = net->hooks->retain(net->context, connection);
	if (!exchange->head)
		connection->end = PIPIT_ABORT;
	pipit_evhttp_defer(connection);
}

/* The handler replies later. A native one has kept its request. */
static void defer(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;

	/* What a kept request has copied, and what evhttp has. It is there already, so that it is counted but not refused. */
	if (!exchange->retained_bytes)
		exchange->retained_bytes = size_of_head(exchange->head);
	if (!exchange->body && !exchange->handed_bytes)
		exchange->handed_bytes = exchange->body_bytes;
	if (exchange->lane == PIPIT_LANE_EVHTTP)
		defer_evhttp(connection);
}

static bool is_all_out(const struct pipit_connection *connection)
{
	return !pipit_output_is_stuck(connection) && !pipit_output_has_file(connection);
}

static void count(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	connection->exchange.reply = PIPIT_REPLY_COUNTED;
	net->hooks->count(net->context, connection);
}

/* What follows at once goes into the same packet: a file, or the end of the connection. */
static void send_batch(struct pipit_connection *connection)
{
	pipit_counters_end_batch(connection->net->counters);
	pipit_output_flush(connection, pipit_output_has_file(connection) || connection->end > PIPIT_STAY);
}

static bool has_batch(const struct pipit_net *net)
{
	return net->batch_length > 0 || pipit_output_has_replies(net);
}

/* Send, unless bytes of a next request lie behind this one: the replies to both leave together. */
static enum step reply(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	if (pipit_connection_is_dead(connection))
		return STEP_WAIT;
	if (!conclude(connection)) {
		if (connection->end != PIPIT_ABORT)
			defer(connection);
		return STEP_WAIT;
	}
	if (!is_all_out(connection))
		return STEP_WAIT;
	/* A client that has its reply finds it counted. */
	count(connection);
	if (net->has_more_input && connection->end == PIPIT_STAY && has_batch(net))
		return STEP_FINISH;
	send_batch(connection);
	return pipit_output_is_stuck(connection) || connection->end == PIPIT_ABORT ? STEP_WAIT : STEP_FINISH;
}

/* --- finish ---------------------------------------------------------------------------------------------------------- */

/* The reply is complete: the socket has it, or the batch that is sent next. */
static inline void finish(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	if (connection->exchange.reply != PIPIT_REPLY_COUNTED)
		count(connection);
	net->hooks->finished(net->context, connection, true);
	clear(connection);
}

/* The connection closes before its request is finished. A stream may end so. */
static void lose_request(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	bool is_complete = pipit_open_reply_lose(connection);

	if (!connection->exchange.request || !net->hooks)
		return;
	connection->exchange.given = pipit_output_sent_content(connection);
	if (is_complete)
		count(connection);
	net->hooks->finished(net->context, connection, is_complete);
	clear(connection);
}

/* --- the life of a request ------------------------------------------------------------------------------------------- */

/*
 * `bytes` begin with a request, or continue the content of one. They lie in net->in. Returns how many were used; 0 when more are
 * needed.
 */
static size_t serve_request(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_slice content = { NULL, 0 };
	size_t used = 0;
	enum step step = STEP_CONTENT;

	if (connection->exchange.body_state != PIPIT_BODY_READING)
		step = judge_head(connection, bytes, length, &used);
	if (step == STEP_ROUTE)
		step = route(connection);
	if (step == STEP_CONTENT)
		step = read_content(connection, bytes + used, length - used, &used, &content);
	connection->net->has_more_input = used < length;
	if (step == STEP_HANDLER)
		step = run_handler(connection, content);
	if (step == STEP_REPLY)
		step = reply(connection);
	if (step == STEP_FINISH)
		finish(connection);
	return used;
}

/* --- input ----------------------------------------------------------------------------------------------------------- */

/* One request at a time, and none while an earlier reply is stuck: a client that does not read costs no memory here. */
static bool may_serve(const struct pipit_connection *connection)
{
	const struct pipit_exchange *exchange = &connection->exchange;
	return connection->end == PIPIT_STAY && !pipit_output_is_stuck(connection) &&
	       !pipit_connection_is_dead(connection) &&
	       (!exchange->request || exchange->body_state == PIPIT_BODY_READING);
}

/* Of those that have not sent a whole head the oldest is evicted; for requests that wait behind another, none. */
static enum pipit_refusal keep_input(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason = pipit_input_keep(connection, bytes, length);
	if (reason == PIPIT_REFUSAL_MEMORY_LIMIT && connection->in.scanned && pipit_eviction_free_bytes(connection))
		reason = pipit_input_keep(connection, bytes, length);
	return reason;
}

static void keep_unused(struct pipit_connection *connection, const char *bytes, size_t length)
{
	enum pipit_refusal reason;

	if (length == 0 || connection->end > PIPIT_STAY) {
		/* The client sent more than is going to be read. */
		if (length > 0)
			pipit_connection_end(connection, PIPIT_CLOSE_LINGER);
		if (connection->in.data)
			pipit_input_drop(connection);
		return;
	}
	reason = keep_input(connection, bytes, length);
	if (reason == PIPIT_REFUSAL_NONE)
		return;
	if (connection->in.scanned) {
		refuse_partial_head(connection, reason, bytes, length);
	} else {
		/* A refusal would overtake the replies to earlier requests. */
		pipit_counters_reject(connection->net->counters, reason);
		connection->end = PIPIT_ABORT;
	}
}

/* Every request in these bytes, as far as they are whole and each reply is given. */
static void serve(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_net *net = connection->net;
	char *at = bytes, *end = bytes + length;
	uint64_t last_request = connection->requests + REQUESTS_PER_TURN;

	net->current = connection;
	while (at < end && may_serve(connection) &&
	       (connection->exchange.body_state == PIPIT_BODY_READING || connection->requests < last_request)) {
		size_t used = serve_request(connection, at, (size_t)(end - at));
		if (used == 0)
			break;
		at += used;
	}
	if (pipit_connection_is_dead(connection)) {
		pipit_counters_end_batch(net->counters);
		pipit_output_discard(net);
		net->current = NULL;
		return;
	}
	if (has_batch(net))
		send_batch(connection);
	net->current = NULL;
	keep_unused(connection, at, (size_t)(end - at));
	settle(connection);
}

/* Go on with what was received while an earlier reply was not complete. */
static void resume(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	memcpy(net->in, connection->in.data, connection->in.length);
	serve(connection, net->in, connection->in.length);
}

static void discard_input(struct pipit_connection *connection)
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

static void receive(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	size_t before = connection->in.length;
	ssize_t received;

	if (before)
		memcpy(net->in, connection->in.data, before);
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
	connection->rate_bytes += (uint64_t)received;
	serve(connection, net->in, before + (size_t)received);
}

/* --- what a connection waits for next -------------------------------------------------------------------------------- */

/*
 * The last byte is out, or waits for the end to go with it (MSG_MORE). That goes now: a close while the client's bytes are unread
 * is a reset, which would take with it what has not been sent. For the same reason a client that may still be sending is listened to
 * for a while: a reset can destroy the reply before the client has read it.
 */
static void close_or_linger(struct pipit_connection *connection)
{
	if (connection->state == PIPIT_CONNECTION_LINGER)
		return;
	shutdown(connection->fd, SHUT_WR);
	if (connection->end == PIPIT_CLOSE && pipit_connection_is_quiet(connection)) {
		pipit_connection_drop(connection);
		return;
	}
	pipit_input_drop(connection);
	connection->linger_left = LINGER_BYTES;
	pipit_connection_set_state(connection, PIPIT_CONNECTION_LINGER);
	pipit_connection_watch(connection, EV_READ);
}

static bool is_writer_waiting(const struct pipit_exchange *exchange)
{
	return exchange->open_reply && exchange->open_reply->is_waiting;
}

/* Have the socket take what it can. False when something waits for it. */
static bool send_more(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;

	if (pipit_output_is_stuck(connection))
		return false;
	if (pipit_output_has_file(connection))
		pipit_output_send_file(connection);
	else if (is_deferred(exchange) && exchange->lane == PIPIT_LANE_EVHTTP)
		conclude(connection);
	else if (is_writer_waiting(exchange)) {
		exchange->open_reply->hooks->write(exchange->open_reply);
		conclude(connection);
	}
	return is_all_out(connection) && !is_writer_waiting(exchange) && !pipit_evhttp_waiting(connection);
}

/* The reply does not leave at once: what the log tells of its request must outlive the bytes that it lies in. */
static void wait_for_socket(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;

	if (exchange->reply != PIPIT_REPLY_NONE && connection->state != PIPIT_CONNECTION_SENDING) {
		if (!exchange->retained_bytes)
			exchange->retained_bytes = size_of_head(exchange->head);
		exchange->head = net->hooks->retain(net->context, connection);
		if (!exchange->head) {
			pipit_connection_drop(connection);
			return;
		}
	}
	pipit_connection_set_state(connection, PIPIT_CONNECTION_SENDING);
	pipit_connection_watch(connection, EV_WRITE);
}

/* For the next request or the rest of one; input that has not been looked at is served in the next turn. */
static void wait_for_client(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	bool is_partial = connection->in.scanned > 0, has_input = connection->in.data && !is_partial;

	if (exchange->body_state == PIPIT_BODY_READING) {
		pipit_connection_set_state(connection, PIPIT_CONNECTION_BODY);
	} else if (is_partial) {
		if (!exchange->started_ns)
			exchange->started_ns = connection->net->now_ns;
		pipit_connection_set_state(connection, PIPIT_CONNECTION_HEAD);
	} else {
		pipit_connection_set_state(connection, PIPIT_CONNECTION_IDLE);
	}
	if (has_input)
		pipit_connection_wake(connection);
	pipit_connection_watch(connection, has_input ? 0 : EV_READ);
	if (connection->end == PIPIT_ABORT)
		pipit_connection_drop(connection);
}

/* evhttp has let go of a client's own connection, so that it cannot serve another request. */
static bool has_lost_evhttp(const struct pipit_connection *connection)
{
	return connection->net->evhttp_mode >= PIPIT_EVHTTP_OWN && !connection->evhttp && connection->end == PIPIT_STAY;
}

/* What it has buffered counts. An evhttp callback writes without asking, and its client pays when there is no room. */
static void settle_budget(struct pipit_connection *connection)
{
	if (pipit_budget_settle(connection, pipit_evhttp_waiting_memory(connection)))
		return;
	pipit_counters_reject(connection->net->counters, PIPIT_REFUSAL_MEMORY_LIMIT);
	pipit_connection_drop(connection);
}

/* After everything that could be done was done: decide what the connection waits for. The one place that does. */
static void settle(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	bool is_out;

	if (pipit_connection_is_dead(connection))
		return;
	is_out = connection->end == PIPIT_ABORT || send_more(connection);
	if (connection->end != PIPIT_ABORT && is_out && exchange->reply != PIPIT_REPLY_NONE) {
		/* Draining may have begun meanwhile. */
		if (!pipit_connection_may_stay(connection))
			pipit_connection_end(connection, PIPIT_CLOSE);
		finish(connection);
	}
	if (connection->end == PIPIT_ABORT || has_lost_evhttp(connection)) {
		pipit_connection_drop(connection);
	} else if (!is_out) {
		wait_for_socket(connection);
	} else if (connection->end > PIPIT_STAY) {
		close_or_linger(connection);
	} else if (is_deferred(exchange)) {
		/* Watching for EV_CLOSED alone would spin: libevent reports a reset as readable and writable. timeouts.c looks. */
		pipit_connection_set_state(
		    connection, exchange->open_reply ? PIPIT_CONNECTION_OPEN : PIPIT_CONNECTION_HANDLER);
		pipit_connection_watch(connection, 0);
	} else {
		wait_for_client(connection);
	}
	if (!pipit_connection_is_dead(connection))
		settle_budget(connection);
}

void pipit_http1_settle(struct pipit_connection *connection)
{
	settle(connection);
}

void pipit_http1_continue(struct pipit_connection *connection)
{
	/* While the handler runs, serve() settles when it has returned. */
	if (connection->net->current == connection)
		return;
	pipit_net_read_clock(connection->net);
	conclude(connection);
	settle(connection);
}

void pipit_http1_time_out(struct pipit_connection *connection, enum pipit_refusal reason)
{
	if (reason == PIPIT_REFUSAL_BODY_TIMEOUT)
		refuse_message(connection, reason);
	else
		refuse_partial_head(connection, reason, connection->in.data, connection->in.length);
	settle(connection);
}

/* --- upcalls of the connection --------------------------------------------------------------------------------------- */

static void on_ready(struct pipit_connection *connection, short what)
{
	if (what & EV_READ && connection->state == PIPIT_CONNECTION_LINGER) {
		discard_input(connection);
	} else if (what & EV_READ) {
		receive(connection);
	} else {
		pipit_output_retry(connection);
		settle(connection);
	}
}

/* The request is often there already: then the socket need not be watched, and when it is the last one, never is. */
static void adopt(struct pipit_connection *connection)
{
	enum pipit_refusal reason;
	if (!pipit_acceptor_adopt(connection, &reason))
		return;
	if (reason != PIPIT_REFUSAL_NONE)
		refuse(connection, reason, (struct pipit_slice){ "", 0 }, false);
	if (may_serve(connection))
		receive(connection);
	else
		settle(connection);
}

static void on_woken(struct pipit_connection *connection)
{
	if (connection->state == PIPIT_CONNECTION_NEW)
		adopt(connection);
	else if (connection->in.data && !connection->in.scanned && may_serve(connection))
		resume(connection);
	else
		settle(connection);
}

static void on_dropped(struct pipit_connection *connection)
{
	lose_request(connection);
	if (connection->evhttp)
		pipit_evhttp_link_give_up(connection);
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

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
		if (!pipit_connection_is_dead(at) && !at->exchange.open_reply &&
		    (at->exchange.request || at->state == PIPIT_CONNECTION_SENDING))
			in_flight++;
		pipit_connection_drop(at);
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
	net->in = malloc(INPUT_SIZE + 1);
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
