/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: serve_request() calls its steps in order, and pipit_http1_settle() decides what the connection waits for
 * between them.
 */
#include "http1/http1.h"

#include "base/log.h"
#include "http/accept_header.h"
#include "http1/acceptor.h"
#include "http1/body.h"
#include "http1/evhttp_lane.h"
#include "http1/evhttp_link.h"
#include "http1/exchange.h"
#include "http1/handler_queue.h"
#include "http1/open_reply.h"
#include "net/budget.h"
#include "net/eviction.h"
#include "net/input.h"
#include "net/net.h"
#include "net/output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* of one recv() */
#define RECEIVE_SIZE (64 * 1024)
/* A partial head (64 KiB at most) or pipelined requests precede what is received. */
#define INPUT_SIZE (3 * RECEIVE_SIZE)
/* of one recv() after the last reply */
#define DISCARD_SIZE INPUT_SIZE
/* Of one connection. */
#define REQUESTS_PER_TURN 16
/* The first may have begun earlier. */
_Static_assert(RECEIVE_SIZE >= PIPIT_TLS_RECEIVE_SIZE, "the content of the records of one recv() fits");
_Static_assert(REQUESTS_PER_TURN + 1 <= PIPIT_COUNTERS_BATCH_MAX, "a turn is a batch");

/* The next step of a request. */
enum step {
	STEP_WAIT, /* for bytes, the handler or the socket; or none: the request is refused */
	STEP_ROUTE,
	STEP_BODY,
	STEP_HANDLER,
	STEP_REPLY,
	STEP_FINISH
};

/* --- the steps ------------------------------------------------------------------------------------------------------- */

static enum step refuse(struct pipit_connection *connection, enum pipit_refusal reason)
{
	pipit_exchange_refuse_request(connection, reason);
	return STEP_WAIT;
}

static void begin(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;
	const struct pipit_guard_head *head = exchange->head = &net->head;

	/* Deadlines start anew for each request. */
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

static enum step guard(struct pipit_connection *connection, char *bytes, size_t length, size_t *used)
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
		/* The Accept header of an incomplete head may be missing. */
		pipit_exchange_refuse_head(connection, reason, bytes, length,
		    net->head.length && pipit_accept_header_prefers_html(&net->head));
		*used = length;
		return STEP_WAIT;
	}
}

__attribute__((always_inline)) static inline enum step follow(
    struct pipit_connection *connection, enum pipit_decision decision)
{
	struct pipit_exchange *exchange = &connection->exchange;
	uint64_t memory_limit = connection->net->config->memory_limit;

	if (decision == PIPIT_DECIDE_NO_MEMORY)
		return refuse(connection, PIPIT_REFUSAL_OUT_OF_MEMORY);
	if (decision == PIPIT_DECIDE_ANSWERED)
		return STEP_REPLY;
	if (decision == PIPIT_DECIDE_WAIT)
		return pipit_exchange_retain(connection) ? STEP_WAIT : refuse(connection, PIPIT_REFUSAL_OUT_OF_MEMORY);
	if (decision == PIPIT_DECIDE_EVHTTP)
		exchange->lane = PIPIT_LANE_EVHTTP;
	/* More never fits. */
	if (memory_limit && (!exchange->body_limit || exchange->body_limit > memory_limit))
		exchange->body_limit = memory_limit;
	return STEP_BODY;
}

static enum step route(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;
	return follow(connection, net->handlers->head(net->context, connection, exchange->head, &exchange->body_limit));
}

/* The filter that deferred the request has let it pass. */
__attribute__((noinline)) static enum step route_again(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_exchange *exchange = &connection->exchange;

	exchange->is_resumed = false;
	/* The handler is told, too. */
	exchange->client_closed = false;
	/* A body has clocks of its own. */
	pipit_connection_set_state(connection, PIPIT_CONNECTION_IDLE);
	return follow(connection, net->handlers->resumed(net->context, connection, &exchange->body_limit));
}

static enum step read_body(
    struct pipit_connection *connection, char *bytes, size_t length, size_t *used, struct pipit_slice *body)
{
	enum pipit_refusal reason;
	switch (pipit_body_read(connection, bytes, length, used, body, &reason)) {
	case PIPIT_BODY_WHOLE:
		return STEP_HANDLER;
	case PIPIT_BODY_MORE:
		return STEP_WAIT;
	default:
		return refuse(connection, reason);
	}
}

static enum step call(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_net *net = connection->net;
	enum pipit_refusal reason;

	if (connection->exchange.lane == PIPIT_LANE_NATIVE) {
		net->handlers->handle(net->context, connection, body);
		return STEP_REPLY;
	}
	reason = pipit_evhttp_lane_show(connection, body);
	if (reason == PIPIT_REFUSAL_NONE)
		return STEP_REPLY;
	return connection->end == PIPIT_ABORT ? STEP_WAIT : refuse(connection, reason);
}

/* The NUL behind the body replaces a byte that may belong to the next request. */
static enum step run_handler(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_exchange *exchange = &connection->exchange;
	bool is_in_input = !exchange->body;
	char *end = (char *)body.data + body.length, behind = *end;
	enum step step;

	if (exchange->body_state != PIPIT_BODY_NONE)
		exchange->body_state = PIPIT_BODY_READ;
	exchange->body_bytes = body.length;
	*end = '\0';
	step = call(connection, body);
	if (is_in_input)
		*end = behind;
	return step;
}

/* serve_queued() goes on. */
static enum step queue_handler(struct pipit_connection *connection)
{
	pipit_handler_queue_add(connection);
	return STEP_WAIT;
}

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

static bool has_batch(const struct pipit_net *net)
{
	return net->batch_length > 0 || pipit_output_has_replies(net);
}

/* A file, or the end of the connection, goes into the same packet. */
static void send_batch(struct pipit_connection *connection)
{
	pipit_counters_end_batch(connection->net->counters);
	pipit_output_flush(connection, pipit_output_has_file(connection) || connection->end > PIPIT_STAY);
}

static bool is_all_out(const struct pipit_connection *connection)
{
	return !pipit_output_is_stuck(connection) && !pipit_output_has_file(connection);
}

static enum step reply(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	if (pipit_connection_is_dead(connection))
		return STEP_WAIT;
	if (!pipit_exchange_conclude(connection)) {
		if (connection->end != PIPIT_ABORT)
			pipit_exchange_defer(connection);
		return STEP_WAIT;
	}
	if (!is_all_out(connection))
		return STEP_WAIT;
	pipit_exchange_count(connection);
	/* The replies to pipelined requests are sent together. */
	if (net->has_more_input && connection->end == PIPIT_STAY && has_batch(net))
		return STEP_FINISH;
	send_batch(connection);
	return pipit_output_is_stuck(connection) || connection->end == PIPIT_ABORT ? STEP_WAIT : STEP_FINISH;
}

/* The last steps of a request. */
static void handle(struct pipit_connection *connection, enum step step, struct pipit_slice body)
{
	if (step == STEP_HANDLER)
		step = run_handler(connection, body);
	if (step == STEP_REPLY)
		step = reply(connection);
	if (step == STEP_FINISH)
		pipit_exchange_finish(connection);
}

/* bytes: in net->in, a request or more of its body. Returns how many were used; 0: more are needed. */
static size_t serve_request(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_slice body = { NULL, 0 };
	size_t used = 0;
	enum step step = STEP_BODY;

	if (connection->exchange.is_resumed)
		step = route_again(connection);
	else if (connection->exchange.body_state != PIPIT_BODY_READING)
		step = guard(connection, bytes, length, &used);
	if (step == STEP_ROUTE)
		step = route(connection);
	if (step == STEP_BODY)
		step = read_body(connection, bytes + used, length - used, &used, &body);
	connection->net->has_more_input = used < length;
	if (step == STEP_HANDLER && pipit_handler_queue_takes(connection))
		step = queue_handler(connection);
	handle(connection, step, body);
	return used;
}

/* --- input ----------------------------------------------------------------------------------------------------------- */

/* None while a reply waits for the socket: a client that does not read costs no memory. */
static bool may_serve(const struct pipit_connection *connection)
{
	const struct pipit_exchange *exchange = &connection->exchange;
	return connection->end == PIPIT_STAY && !pipit_output_is_stuck(connection) &&
	       !pipit_connection_is_dead(connection) &&
	       (!exchange->request || exchange->body_state == PIPIT_BODY_READING || exchange->is_resumed);
}

/* A partial head may evict an older one; pipelined requests evict none. */
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
		pipit_exchange_refuse_partial_head(connection, reason, bytes, length);
	} else {
		/* A refusal would overtake the replies to earlier requests. */
		pipit_counters_reject(connection->net->counters, reason);
		pipit_connection_end(connection, PIPIT_ABORT);
	}
}

/* False: the connection is dead. */
static bool end_batch(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	bool is_dead = pipit_connection_is_dead(connection);

	if (is_dead) {
		pipit_counters_end_batch(net->counters);
		pipit_output_discard(net);
	} else {
		/* Also an empty batch: replies that were sent before it are still to be timed. */
		send_batch(connection);
	}
	net->current = NULL;
	return !is_dead;
}

static void serve(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_net *net = connection->net;
	char *at = bytes, *end = bytes + length;
	uint64_t last_request = connection->requests + REQUESTS_PER_TURN;

	net->current = connection;
	net->guard_limits.is_https = connection->tls != NULL;
	while ((at < end || connection->exchange.is_resumed) && may_serve(connection) &&
	       (connection->exchange.body_state == PIPIT_BODY_READING || connection->requests < last_request)) {
		size_t used = serve_request(connection, at, (size_t)(end - at));
		if (used == 0)
			break;
		at += used;
	}
	if (!end_batch(connection))
		return;
	keep_unused(connection, at, (size_t)(end - at));
	pipit_http1_settle(connection);
}

/* The oldest request whose handler was queued. */
static void serve_queued(struct pipit_net *net)
{
	struct pipit_connection *connection = pipit_handler_queue_next(net);
	struct pipit_exchange *exchange;

	if (!connection)
		return;
	exchange = &connection->exchange;
	net->current = connection;
	net->has_more_input = false;
	handle(connection, STEP_HANDLER, (struct pipit_slice){ exchange->body, exchange->body_length });
	if (end_batch(connection))
		pipit_http1_settle(connection);
}

/* With pipelined requests. */
static void resume(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	if (connection->in.length)
		memcpy(net->in, connection->in.data, connection->in.length);
	serve(connection, net->in, connection->in.length);
}

/* Once a turn: MSG_TRUNC lets the kernel discard the bytes (tcp(7)), which costs a tenth of copying them. */
static void discard_input(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	ssize_t received = recv(connection->fd, net->in, DISCARD_SIZE, MSG_TRUNC | MSG_DONTWAIT);

	if (received < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (received <= 0) {
		pipit_connection_drop(connection);
		return;
	}
	pipit_counters_add(net->counters, PIPIT_COUNT_RECEIVED, (uint64_t)received);
	connection->moved_ms = net->now_ms;
}

/* The session has no other use. */
static void refuse_plain_http(struct pipit_connection *connection, const char *bytes, size_t length)
{
	pipit_tls_session_free(connection->tls);
	connection->tls = NULL;
	pipit_exchange_refuse_head(connection, PIPIT_REFUSAL_PLAIN_HTTP, bytes, length, false);
}

/* Not inlined, as below, so that plain connections do not pay for it. */
__attribute__((noinline)) static void receive_tls(struct pipit_connection *connection, size_t before)
{
	char *to = connection->net->in + before;
	struct pipit_tls_received received = pipit_input_receive_tls(connection, to, RECEIVE_SIZE);

	switch (received.event) {
	case PIPIT_TLS_DATA:
		serve(connection, connection->net->in, before + received.length);
		return;
	case PIPIT_TLS_END:
		pipit_connection_drop(connection);
		return;
	case PIPIT_TLS_FAILED:
		/* A reset must not destroy the alert. */
		pipit_connection_end(connection, PIPIT_CLOSE_LINGER);
		break;
	case PIPIT_TLS_PLAIN:
		refuse_plain_http(connection, to, received.length);
		break;
	case PIPIT_TLS_WAIT:
		break;
	}
	pipit_http1_settle(connection);
}

static void receive(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	size_t before = connection->in.length;
	ssize_t received;

	if (before)
		memcpy(net->in, connection->in.data, before);
	if (connection->tls) {
		receive_tls(connection, before);
		return;
	}
	received = recv(connection->fd, net->in + before, RECEIVE_SIZE, MSG_DONTWAIT);
	if (received < 0 && (errno == EAGAIN || errno == EINTR)) {
		/* A new connection is not watched yet. */
		pipit_http1_settle(connection);
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

static bool is_writer_waiting(const struct pipit_exchange *exchange)
{
	return exchange->open_reply && exchange->open_reply->is_waiting;
}

/* False when something waits for the socket. */
static bool send_more(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;

	if (pipit_output_is_stuck(connection))
		return false;
	if (pipit_output_has_file(connection))
		pipit_output_send_file(connection);
	else if (pipit_exchange_is_deferred(connection) && exchange->lane == PIPIT_LANE_EVHTTP)
		pipit_exchange_conclude(connection);
	else if (is_writer_waiting(exchange)) {
		exchange->open_reply->hooks->write(exchange->open_reply);
		pipit_exchange_conclude(connection);
	}
	return is_all_out(connection) && !is_writer_waiting(exchange) && !pipit_evhttp_lane_waiting(connection) &&
	       !(connection->tls && exchange->reply != PIPIT_REPLY_NONE && pipit_output_is_in_kernel_tls(connection));
}

/* The log needs the head, which lies in the input. */
static void wait_for_socket(struct pipit_connection *connection)
{
	if (connection->exchange.reply != PIPIT_REPLY_NONE && connection->state != PIPIT_CONNECTION_SENDING &&
	    !pipit_exchange_retain(connection)) {
		pipit_connection_drop(connection);
		return;
	}
	pipit_connection_set_state(connection, PIPIT_CONNECTION_SENDING);
	pipit_connection_watch(connection, EV_WRITE);
}

/*
 * shutdown() sends what MSG_MORE holds back. close() with unread bytes is a reset, which can destroy the reply: late bytes are read for a
 * while.
 */
static void close_or_linger(struct pipit_connection *connection)
{
	if (connection->state == PIPIT_CONNECTION_LINGER)
		return;
	if (connection->tls) {
		pipit_tls_session_close(connection->tls, MSG_MORE);
		/* shutdown() would lose close_notify, or a record before it: this is called again. */
		if (pipit_output_is_stuck(connection) || pipit_output_is_in_kernel_tls(connection)) {
			wait_for_socket(connection);
			return;
		}
	}
	shutdown(connection->fd, SHUT_WR);
	if (connection->end == PIPIT_CLOSE && pipit_connection_is_quiet(connection)) {
		pipit_connection_drop(connection);
		return;
	}
	pipit_input_drop(connection);
	pipit_connection_set_state(connection, PIPIT_CONNECTION_LINGER);
	pipit_connection_watch(connection, EV_READ);
}

/* Unparsed input is served in the next turn. */
static void wait_for_client(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	bool is_partial = connection->in.scanned > 0, has_input = connection->in.data && !is_partial;

	if (connection->tls && !has_input) {
		/* Its first byte begins a head; the close of the client's side, which is no event of the socket, ends the connection. */
		is_partial |= pipit_tls_session_partial(connection->tls) > 0;
		/* It was a record without content. */
		if (!is_partial && exchange->body_state != PIPIT_BODY_READING)
			exchange->started_ns = 0;
		if (pipit_tls_session_is_ended(connection->tls))
			pipit_connection_end(connection, PIPIT_ABORT);
	}
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

/* evhttp has released this client's link: evhttp cannot serve another request of it. */
static bool has_lost_evhttp(const struct pipit_connection *connection)
{
	return connection->net->evhttp_mode >= PIPIT_EVHTTP_OWN && !connection->evhttp && connection->end == PIPIT_STAY;
}

/* A partial record may evict older heads, as a partial head may. */
static bool evict_for_record(struct pipit_connection *connection)
{
	return connection->tls && pipit_tls_session_partial(connection->tls) > 0 &&
	       pipit_eviction_free_bytes(connection);
}

static void settle_budget(struct pipit_connection *connection)
{
	while (!pipit_budget_settle(connection, pipit_evhttp_lane_waiting_memory(connection))) {
		if (evict_for_record(connection))
			continue;
		pipit_counters_reject(connection->net->counters, PIPIT_REFUSAL_MEMORY_LIMIT);
		pipit_connection_drop(connection);
		return;
	}
}

/* A handshake is read as a head is. */
__attribute__((noinline)) static void wait_for_handshake(struct pipit_connection *connection)
{
	if (pipit_tls_session_has_begun(connection->tls))
		pipit_connection_set_state(connection, PIPIT_CONNECTION_HEAD);
	pipit_connection_watch(connection, pipit_tls_session_unsent(connection->tls) ? EV_WRITE : EV_READ);
	if (connection->end == PIPIT_ABORT || has_lost_evhttp(connection))
		pipit_connection_drop(connection);
}

static bool shakes_hands(const struct pipit_connection *connection)
{
	return connection->tls && connection->end == PIPIT_STAY && !pipit_tls_session_is_established(connection->tls);
}

static void settle_exchange(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	bool is_out = connection->end == PIPIT_ABORT || send_more(connection);

	if (connection->end != PIPIT_ABORT && is_out && exchange->reply != PIPIT_REPLY_NONE) {
		/* Draining may have begun since. */
		if (!pipit_connection_may_stay(connection))
			pipit_connection_end(connection, PIPIT_CLOSE);
		pipit_exchange_finish(connection);
	}
	if (connection->end == PIPIT_ABORT || has_lost_evhttp(connection)) {
		pipit_connection_drop(connection);
	} else if (!is_out) {
		wait_for_socket(connection);
	} else if (connection->end > PIPIT_STAY) {
		close_or_linger(connection);
	} else if (exchange->body_state == PIPIT_BODY_QUEUED) {
		pipit_connection_set_state(connection, PIPIT_CONNECTION_HANDLER);
		pipit_connection_watch(connection, 0);
	} else if (exchange->is_resumed) {
		/* The socket was full when the filter let the request pass. */
		pipit_connection_watch(connection, 0);
		pipit_connection_wake(connection);
	} else if (pipit_exchange_is_deferred(connection)) {
		/* timeouts.c polls: EV_CLOSED spins after a reset, which libevent reports as readable and writable. */
		pipit_connection_set_state(
		    connection, exchange->open_reply ? PIPIT_CONNECTION_OPEN : PIPIT_CONNECTION_HANDLER);
		/* Most clients send nothing before the reply: on_readable() ends the watch, which saves two epoll_ctl() a request. */
		if (connection->interest != EV_READ)
			pipit_connection_watch(connection, 0);
	} else {
		wait_for_client(connection);
	}
}

void pipit_http1_settle(struct pipit_connection *connection)
{
	if (pipit_connection_is_dead(connection))
		return;
	if (shakes_hands(connection))
		wait_for_handshake(connection);
	else
		settle_exchange(connection);
	if (!pipit_connection_is_dead(connection))
		settle_budget(connection);
}

void pipit_http1_resume(struct pipit_connection *connection)
{
	connection->exchange.is_resumed = true;
	pipit_connection_wake(connection);
}

void pipit_http1_continue(struct pipit_connection *connection)
{
	/* serve() settles when the handler has returned. */
	if (connection->net->current == connection)
		return;
	pipit_net_read_clock(connection->net);
	pipit_exchange_conclude(connection);
	pipit_http1_settle(connection);
}

bool pipit_http1_give_up(struct pipit_connection *connection)
{
	if (!connection->exchange.client_closed)
		return false;
	pipit_connection_end(connection, PIPIT_ABORT);
	pipit_connection_wake(connection);
	return true;
}

void pipit_http1_time_out(struct pipit_connection *connection, enum pipit_refusal reason)
{
	if (reason == PIPIT_REFUSAL_BODY_TIMEOUT)
		pipit_exchange_refuse_request(connection, reason);
	else
		pipit_exchange_refuse_partial_head(connection, reason, connection->in.data, connection->in.length);
	pipit_http1_settle(connection);
}

/* --- new connections -------------------------------------------------------------------------------------------------- */

/* receive() comes before epoll_ctl(): the first request has often arrived. */
__attribute__((noinline)) static void start(struct pipit_connection *connection, enum pipit_refusal reason)
{
	if (reason != PIPIT_REFUSAL_NONE)
		pipit_exchange_refuse(connection, reason, (struct pipit_slice){ "", 0 }, false);
	if (may_serve(connection))
		receive(connection);
	else
		pipit_http1_settle(connection);
}

/* Without a reply: the other end speaks no HTTP yet. */
__attribute__((noinline)) static void close_proxy(struct pipit_connection *connection, enum pipit_refusal reason)
{
	char peer[INET6_ADDRSTRLEN];

	pipit_counters_reject(connection->net->counters, reason);
	pipit_log(PIPIT_LOG_DEBUG, "closed a connection of %s: %s",
	    pipit_connection_peer(connection, peer, sizeof peer), pipit_refusal_entry(reason)->detail);
	pipit_connection_drop(connection);
}

__attribute__((noinline)) static void follow_proxy(
    struct pipit_connection *connection, enum pipit_acceptor_header header, enum pipit_refusal reason)
{
	switch (header) {
	case PIPIT_ACCEPTOR_ADMITTED:
		start(connection, reason);
		break;
	case PIPIT_ACCEPTOR_REFUSED:
		close_proxy(connection, reason);
		break;
	case PIPIT_ACCEPTOR_CLOSED:
		pipit_connection_drop(connection);
		break;
	case PIPIT_ACCEPTOR_WAITS:
		pipit_connection_watch(connection, EV_READ);
		if (connection->end == PIPIT_ABORT)
			pipit_connection_drop(connection);
	}
}

__attribute__((noinline)) static void receive_proxy(struct pipit_connection *connection)
{
	enum pipit_refusal reason = PIPIT_REFUSAL_NONE;
	enum pipit_acceptor_header header = pipit_acceptor_receive_proxy(connection, &reason);
	follow_proxy(connection, header, reason);
}

static void adopt(struct pipit_connection *connection)
{
	enum pipit_refusal reason;
	if (!pipit_acceptor_adopt(connection, &reason))
		return;
	if (connection->is_proxied && reason == PIPIT_REFUSAL_NONE) {
		enum pipit_acceptor_header header = pipit_acceptor_await_proxy(connection, &reason);
		follow_proxy(connection, header, reason);
	} else {
		start(connection, reason);
	}
}

/* --- upcalls of the connection --------------------------------------------------------------------------------------- */

static void on_readable(struct pipit_connection *connection)
{
	switch (connection->state) {
	case PIPIT_CONNECTION_HANDLER:
	case PIPIT_CONNECTION_OPEN:
		/* Not before the reply. timeouts.c looks for EOF. */
		pipit_connection_watch(connection, 0);
		break;
	case PIPIT_CONNECTION_LINGER:
		discard_input(connection);
		break;
	case PIPIT_CONNECTION_PROXY:
		receive_proxy(connection);
		break;
	default:
		receive(connection);
		break;
	}
}

static void on_ready(struct pipit_connection *connection, short what)
{
	if (what & EV_READ) {
		on_readable(connection);
	} else {
		pipit_output_retry(connection);
		pipit_http1_settle(connection);
	}
}

static void on_woken(struct pipit_connection *connection)
{
	if (connection->state == PIPIT_CONNECTION_NEW)
		adopt(connection);
	else if ((connection->exchange.is_resumed || (connection->in.data && !connection->in.scanned)) &&
		 may_serve(connection))
		resume(connection);
	else
		pipit_http1_settle(connection);
}

static void on_dropped(struct pipit_connection *connection)
{
	if (connection->exchange.body_state == PIPIT_BODY_QUEUED)
		pipit_handler_queue_remove(connection);
	pipit_exchange_lose(connection);
	if (connection->evhttp)
		pipit_evhttp_link_close(connection);
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

void pipit_http1_mask_sigpipe(struct pipit_net *net)
{
	net->masks_sigpipe = true;
}

void pipit_http1_trust(struct pipit_net *net, const struct pipit_trusted_proxies *proxies)
{
	net->trusted_proxies = proxies;
}

bool pipit_http1_use_tls(struct pipit_net *net, struct pipit_tls_context *context)
{
	net->tls = context;
	net->tls_buffers = pipit_tls_buffers_new(net->masks_sigpipe);
	return net->tls_buffers != NULL;
}

void pipit_http1_drain(struct pipit_net *net)
{
	if (net->draining)
		return;
	pipit_net_read_clock(net);
	net->draining = true;
	net->drain_ms = net->now_ms;
	pipit_open_reply_drain(net);
}

/* An endless reply has no other end than its connection's. */
static bool is_in_flight(const struct pipit_connection *connection)
{
	const struct pipit_open_reply *open_reply = connection->exchange.open_reply;

	if (open_reply)
		return open_reply->is_finite;
	return connection->exchange.request || connection->state == PIPIT_CONNECTION_SENDING;
}

size_t pipit_http1_close_all(struct pipit_net *net)
{
	size_t in_flight = 0;
	for (struct pipit_connection *at = net->all; at; at = at->next) {
		if (is_in_flight(at))
			in_flight++;
		pipit_connection_drop(at);
	}
	return in_flight;
}

bool pipit_http1_is_empty(const struct pipit_net *net)
{
	return net->adopted == 0 && !net->waiting;
}

static const struct pipit_protocol protocol = { on_ready, on_woken, serve_queued, on_dropped };

static bool set_up(struct pipit_net *net, struct evhttp *http)
{
	net->in = malloc(INPUT_SIZE + 1);
	return net->in && pipit_evhttp_lane_open(net, http) == 0 && pipit_acceptor_open(net);
}

struct pipit_net *pipit_http1_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_handler_table *handlers,
    void *context, enum pipit_evhttp_mode mode, struct evhttp *http)
{
	struct pipit_net *net = pipit_net_new(base, config, counters, limits, &protocol, handlers, context);
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
	net->handlers = NULL;
	pipit_acceptor_close(net);
	pipit_net_free_gone(net);
	pipit_evhttp_lane_close(net);
	pipit_net_free(net);
}
