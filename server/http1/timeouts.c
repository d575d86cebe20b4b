/* SPDX-License-Identifier: MIT */
/* See timeouts.h. */
#include "http1/timeouts.h"

#include "http1/evhttp_lane.h"
#include "http1/evhttp_link.h"
#include "http1/http1.h"
#include "net/net.h"

#include <poll.h>
#include <sys/socket.h>

/* While draining, instead of lingering_time_ms. */
#define DRAIN_LINGERING_MS 2000
/* While draining, without a byte. */
#define DRAIN_QUIET_MS 500
/* Length of the rate's windows behind their grace, and the least grace of all but the first. */
#define WINDOW_MS 10000
#define WINDOW_GRACE_MIN_MS 1000

/* The program's evhttp, or a callback, may have set a shorter limit. */
static uint64_t silence_ms(const struct pipit_connection *connection, uint64_t limit_ms)
{
	uint64_t own_ms = pipit_evhttp_link_timeout_ms(connection);
	return own_ms && (!limit_ms || own_ms < limit_ms) ? own_ms : limit_ms;
}

static bool has_passed(uint64_t now_ms, uint64_t since_ms, uint64_t limit_ms)
{
	return limit_ms && now_ms >= since_ms + limit_ms;
}

/* For what the connection waits for. */
static bool is_socket_ready(const struct pipit_connection *connection)
{
	struct pollfd look = { .fd = connection->fd, .events = connection->interest & EV_WRITE ? POLLOUT : POLLIN };
	return poll(&look, 1, 0) == 1 && look.revents & look.events;
}

/*
 * A stopped process (SIGSTOP, suspend) has missed what the kernel received in time: a deadline that passed since the last sweep waits for
 * the next one if there are such bytes.
 */
static bool is_over(const struct pipit_connection *connection, uint64_t now_ms, uint64_t since_ms, uint64_t limit_ms)
{
	return has_passed(now_ms, since_ms, limit_ms) &&
	       (has_passed(connection->net->swept_ms, since_ms, limit_ms) || !is_socket_ready(connection));
}

/* In windows: a fast beginning must not balance a slow rest. */
static bool keeps_its_rate(struct pipit_connection *connection, uint64_t now_ms)
{
	uint64_t grace_ms = connection->net->config->rate_grace_ms;

	if (grace_ms < WINDOW_GRACE_MIN_MS && connection->rate_ms != connection->since_ms)
		grace_ms = WINDOW_GRACE_MIN_MS;
	if (pipit_connection_is_too_slow(connection, now_ms, grace_ms) &&
	    (pipit_connection_is_too_slow(connection, connection->net->swept_ms, grace_ms) ||
		!is_socket_ready(connection)))
		return false;
	if (has_passed(now_ms, connection->rate_ms, grace_ms + WINDOW_MS)) {
		connection->rate_ms = now_ms;
		connection->rate_bytes = 0;
	}
	return true;
}

static void time_out(struct pipit_connection *connection, enum pipit_counters_phase phase, enum pipit_refusal reason)
{
	pipit_counters_timeout(connection->net->counters, phase);
	if (reason == PIPIT_REFUSAL_NONE)
		pipit_connection_drop(connection);
	else
		pipit_http1_time_out(connection, reason);
}

static bool is_drained(const struct pipit_connection *connection, uint64_t now_ms)
{
	const struct pipit_net *net = connection->net;
	uint64_t quiet_since = connection->moved_ms > net->drain_ms ? connection->moved_ms : net->drain_ms;
	return net->draining && has_passed(now_ms, quiet_since, DRAIN_QUIET_MS) &&
	       pipit_connection_is_quiet(connection);
}

/* A client that sends nothing is idle, also where what it is to send has no limit. */
static uint64_t limit_from_start(const struct pipit_connection *connection, uint64_t limit_ms, bool has_begun)
{
	return limit_ms || has_begun ? limit_ms : connection->net->config->idle_timeout_ms;
}

/* For the header of a proxy. */
static void sweep_proxy(struct pipit_connection *connection, uint64_t now_ms)
{
	uint64_t limit_ms =
	    limit_from_start(connection, connection->net->config->head_timeout_ms, connection->in.data != NULL);

	if (is_drained(connection, now_ms))
		pipit_connection_drop(connection);
	else if (is_over(connection, now_ms, connection->since_ms, limit_ms))
		time_out(connection, PIPIT_PHASE_HEAD, PIPIT_REFUSAL_NONE);
}

static void sweep_idle(struct pipit_connection *connection, uint64_t now_ms)
{
	const struct pipit_net *net = connection->net;

	if (is_drained(connection, now_ms))
		pipit_connection_drop(connection);
	else if (has_passed(now_ms, connection->moved_ms, silence_ms(connection, net->config->idle_timeout_ms))) {
		if (pipit_connection_is_quiet(connection))
			time_out(connection, PIPIT_PHASE_IDLE, PIPIT_REFUSAL_NONE);
		else
			pipit_connection_watch_again(connection);
	}
}

/*
 * EOF ends an open reply. An evhttp callback without a reply hears of it, too, by the end of its connection, which is all that
 * evhttp_connection_set_closecb() reports; unless pipelined requests arrived before it.
 */
static bool ends_at_eof(const struct pipit_connection *connection)
{
	return connection->exchange.open_reply || pipit_evhttp_lane_is_open(connection) ||
	       (connection->exchange.lane == PIPIT_LANE_EVHTTP && pipit_connection_is_quiet(connection));
}

/* Finds a client that has closed, or an evhttp callback that has ended without a byte. */
static void sweep_handling(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	/* Not recv(): pipelined requests may be unread before EOF. */
	struct pollfd look = { .fd = connection->fd, .events = POLLRDHUP };

	bool is_eof;

	poll(&look, 1, 0);
	/* A handler that has not run yet cannot hear of EOF: a later sweep tells it. */
	is_eof = look.revents & POLLRDHUP && connection->exchange.body_state != PIPIT_BODY_QUEUED;
	if (look.revents & (POLLERR | POLLHUP | POLLNVAL) || (is_eof && ends_at_eof(connection))) {
		pipit_connection_drop(connection);
		return;
	}
	if (is_eof && !connection->exchange.client_closed) {
		connection->exchange.client_closed = true;
		net->handlers->client_closed(net->context, connection);
	}
	/* The client has caught up with the callback. */
	if (connection->evhttp)
		connection->evhttp->behind_since_ms = 0;
	if (connection->exchange.lane == PIPIT_LANE_EVHTTP)
		pipit_http1_settle(connection);
}

static void sweep_lingering(struct pipit_connection *connection, uint64_t now_ms)
{
	const struct pipit_net *net = connection->net;
	uint64_t time_ms = net->config->lingering_time_ms;

	if (net->draining && time_ms > DRAIN_LINGERING_MS)
		time_ms = DRAIN_LINGERING_MS;
	if (has_passed(now_ms, connection->since_ms, time_ms) ||
	    has_passed(now_ms, connection->moved_ms, net->config->lingering_timeout_ms))
		pipit_connection_drop(connection);
}

/* From its first byte, or without one from the accept. */
static void sweep_handshake(struct pipit_connection *connection, uint64_t now_ms)
{
	struct pipit_net *net = connection->net;
	uint64_t limit_ms = limit_from_start(
	    connection, net->config->tls_handshake_timeout_ms, pipit_tls_session_has_begun(connection->tls));

	if (!is_over(connection, now_ms, connection->since_ms, limit_ms))
		return;
	pipit_counters_tls_failure(net->counters, PIPIT_TLS_FAILURE_TIMEOUT);
	time_out(connection, PIPIT_PHASE_HANDSHAKE, PIPIT_REFUSAL_NONE);
}

static bool shakes_hands(const struct pipit_connection *connection)
{
	return connection->state != PIPIT_CONNECTION_LINGER && !pipit_tls_session_is_established(connection->tls) &&
	       !connection->net->draining;
}

static void sweep_one(struct pipit_connection *connection, uint64_t now_ms)
{
	const struct pipit_config *config = connection->net->config;

	/* Its event could not be added. */
	if (connection->end == PIPIT_ABORT) {
		pipit_connection_drop(connection);
		return;
	}
	if (connection->tls && shakes_hands(connection)) {
		sweep_handshake(connection, now_ms);
		return;
	}
	switch (connection->state) {
	case PIPIT_CONNECTION_IDLE:
		sweep_idle(connection, now_ms);
		break;
	case PIPIT_CONNECTION_PROXY:
		sweep_proxy(connection, now_ms);
		break;
	case PIPIT_CONNECTION_HEAD:
		if (is_over(connection, now_ms, connection->since_ms, config->head_timeout_ms) ||
		    is_over(connection, now_ms, connection->moved_ms, silence_ms(connection, 0)))
			time_out(connection, PIPIT_PHASE_HEAD, PIPIT_REFUSAL_HEAD_TIMEOUT);
		break;
	case PIPIT_CONNECTION_BODY:
		if (is_over(
			connection, now_ms, connection->moved_ms, silence_ms(connection, config->read_timeout_ms)) ||
		    !keeps_its_rate(connection, now_ms))
			time_out(connection, PIPIT_PHASE_BODY, PIPIT_REFUSAL_BODY_TIMEOUT);
		break;
	case PIPIT_CONNECTION_HANDLER:
	case PIPIT_CONNECTION_OPEN:
		sweep_handling(connection);
		break;
	case PIPIT_CONNECTION_SENDING:
		if (is_over(
			connection, now_ms, connection->moved_ms, silence_ms(connection, config->write_timeout_ms)) ||
		    !keeps_its_rate(connection, now_ms) ||
		    pipit_evhttp_lane_is_behind(connection, now_ms, config->write_timeout_ms))
			time_out(connection, PIPIT_PHASE_WRITE, PIPIT_REFUSAL_NONE);
		break;
	default:
		sweep_lingering(connection, now_ms);
		break;
	}
}

void pipit_timeouts_enforce(struct pipit_net *net, uint64_t now_ms)
{
	struct pipit_connection *next;
	pipit_net_read_clock(net);
	/* A dropped connection stays on the list until the end of the turn. */
	for (struct pipit_connection *at = net->all; at; at = next) {
		next = at->next;
		if (!pipit_connection_is_dead(at))
			sweep_one(at, now_ms);
	}
	net->swept_ms = now_ms;
}
