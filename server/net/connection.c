/* SPDX-License-Identifier: MIT */
/* See net.h and connection.h. */
#include "net/net.h"

#include "http/date.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- life ----------------------------------------------------------------------------------------------------------- */

struct pipit_connection *pipit_connection_new(struct pipit_net *net)
{
	struct pipit_connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		return NULL;
	connection->net = net;
	connection->fd = -1;
	net->count++;
	return connection;
}

void pipit_connection_adopt(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	connection->previous = net->last;
	if (net->last)
		net->last->next = connection;
	else
		net->all = connection;
	net->last = connection;
	net->adopted++;
	pipit_counters_add(net->counters, PIPIT_COUNT_ACCEPTED, 1);
	pipit_connection_set_state(connection, PIPIT_CONNECTION_IDLE);
}

static void unlink_waiting(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	struct pipit_connection **link = &net->waiting;
	if (!connection->is_waiting)
		return;
	while (*link != connection)
		link = &(*link)->next_waiting;
	*link = connection->next_waiting;
	if (net->waiting_tail == &connection->next_waiting)
		net->waiting_tail = link;
}

static void unlink_adopted(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	/* never watched */
	if (event_initialized(&connection->io))
		event_del(&connection->io);
	if (connection->next)
		connection->next->previous = connection->previous;
	else
		net->last = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		net->all = connection->next;
	for (size_t i = 0; i < net->candidate_count; i++) {
		if (net->candidates[i].connection == connection)
			net->candidates[i].connection = NULL;
	}
}

static void free_buffers(struct pipit_connection *connection)
{
	free(connection->in.data);
	free(connection->out.data);
	if (connection->out.replies)
		evbuffer_free(connection->out.replies);
	pipit_shared_fd_release(connection->out.file);
	free(connection->out.parts);
	free(connection->exchange.body);
}

void pipit_connection_free(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	bool was_adopted = connection->state != PIPIT_CONNECTION_NEW;

	unlink_waiting(connection);
	if (was_adopted)
		unlink_adopted(connection);
	free_buffers(connection);
	pipit_tls_session_free(connection->tls);
	if (connection->fd >= 0)
		close(connection->fd);
	free(connection);
	if (was_adopted && --net->adopted == 0 && net->handlers)
		net->handlers->emptied(net->context);
	pipit_net_release(net);
}

static void release_slot(struct pipit_connection *connection)
{
	struct pipit_limits *limits = connection->net->limits;

	if (connection->slot != PIPIT_NO_SLOT)
		pipit_limits_remove_connection(limits);
	if (connection->slot == PIPIT_SLOT_GLOBAL_AND_ADDRESS)
		pipit_limits_remove_address(limits, &connection->peer.any);
	connection->slot = PIPIT_NO_SLOT;
	for (int kind = 0; kind < PIPIT_LIMITS_KINDS; kind++) {
		pipit_limits_release_bytes(limits, kind, connection->charged[kind]);
		connection->net->released_bytes += connection->charged[kind];
		connection->charged[kind] = 0;
	}
}

void pipit_connection_drop(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	if (pipit_connection_is_dead(connection))
		return;
	pipit_connection_watch(connection, 0);
	/* Else a reply that was cut off would look complete; it may have been begun in this turn. */
	if (connection->tls && connection->state == PIPIT_CONNECTION_IDLE &&
	    connection->exchange.reply == PIPIT_REPLY_NONE)
		pipit_tls_session_close(connection->tls, 0);
	pipit_connection_set_state(connection, PIPIT_CONNECTION_DEAD);
	release_slot(connection);
	net->protocol->dropped(connection);
	connection->next_gone = net->gone;
	net->gone = connection;
	pipit_connection_plan_turn_end(net);
}

/* --- what it waits for ---------------------------------------------------------------------------------------------- */

#define TO(state) (1u << PIPIT_CONNECTION_##state)
#define TO_REPLY (TO(HANDLER) | TO(OPEN) | TO(SENDING) | TO(LINGER) | TO(DEAD))

/* BODY and HEAD pass through IDLE for a new request, so that its clocks start anew. */
static const uint16_t transitions[PIPIT_CONNECTION_STATES] = {
	[PIPIT_CONNECTION_NEW] = TO(IDLE),
	[PIPIT_CONNECTION_PROXY] = TO(IDLE) | TO(DEAD),
	[PIPIT_CONNECTION_IDLE] = TO(PROXY) | TO(HEAD) | TO(BODY) | TO_REPLY,
	[PIPIT_CONNECTION_HEAD] = TO(IDLE) | TO_REPLY,
	[PIPIT_CONNECTION_BODY] = TO(IDLE) | TO(HEAD) | TO_REPLY,
	[PIPIT_CONNECTION_HANDLER] = TO(IDLE) | TO_REPLY,
	[PIPIT_CONNECTION_OPEN] = TO(IDLE) | TO_REPLY,
	/* A partial head may have been parsed before the socket was full; an interim reply precedes a body. */
	[PIPIT_CONNECTION_SENDING] = TO(IDLE) | TO(HEAD) | TO(BODY) | TO_REPLY,
	[PIPIT_CONNECTION_LINGER] = TO(DEAD),
};

static const enum pipit_counters_state gauges[PIPIT_CONNECTION_STATES] = {
	[PIPIT_CONNECTION_NEW] = PIPIT_STATE_COUNT,
	[PIPIT_CONNECTION_PROXY] = PIPIT_STATE_READING,
	[PIPIT_CONNECTION_IDLE] = PIPIT_STATE_IDLE,
	[PIPIT_CONNECTION_HEAD] = PIPIT_STATE_READING,
	[PIPIT_CONNECTION_BODY] = PIPIT_STATE_READING,
	[PIPIT_CONNECTION_HANDLER] = PIPIT_STATE_HANDLING,
	[PIPIT_CONNECTION_OPEN] = PIPIT_STATE_STREAMING,
	[PIPIT_CONNECTION_SENDING] = PIPIT_STATE_WRITING,
	[PIPIT_CONNECTION_LINGER] = PIPIT_STATE_CLOSING,
	[PIPIT_CONNECTION_DEAD] = PIPIT_STATE_COUNT,
};

void pipit_connection_set_state(struct pipit_connection *connection, enum pipit_connection_state state)
{
	struct pipit_net *net = connection->net;
	bool is_allowed;

	if (connection->state == state)
		return;
	is_allowed = transitions[connection->state] & 1u << state;
	assert(is_allowed);
	(void)is_allowed;
	pipit_counters_move(net->counters, gauges[connection->state], gauges[state]);
	connection->state = state;
	connection->since_ms = connection->moved_ms = connection->rate_ms = net->now_ms;
	connection->rate_bytes = 0;
}

static void on_ready(evutil_socket_t fd, short what, void *context)
{
	struct pipit_connection *connection = context;
	(void)fd;
	if (pipit_connection_is_dead(connection))
		return;
	pipit_net_read_clock(connection->net);
	connection->net->protocol->ready(connection, what);
}

void pipit_connection_watch(struct pipit_connection *connection, short interest)
{
	if (connection->interest == interest)
		return;
	if (connection->interest)
		event_del(&connection->io);
	connection->interest = interest;
	if (!interest)
		return;
	event_assign(
	    &connection->io, connection->net->base, connection->fd, interest | EV_PERSIST, on_ready, connection);
	if (event_add(&connection->io, NULL) != 0)
		pipit_connection_end(connection, PIPIT_ABORT);
}

void pipit_connection_watch_again(struct pipit_connection *connection)
{
	if (connection->interest != EV_READ)
		return;
	pipit_connection_watch(connection, 0);
	pipit_connection_watch(connection, EV_READ);
	if (connection->end != PIPIT_ABORT)
		event_active(&connection->io, EV_READ, 1);
}

void pipit_connection_wake(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	if (connection->is_waiting)
		return;
	connection->is_waiting = true;
	connection->next_waiting = NULL;
	*net->waiting_tail = connection;
	net->waiting_tail = &connection->next_waiting;
	pipit_connection_plan_turn_end(net);
}

void pipit_connection_plan_turn_end(struct pipit_net *net)
{
	if (!net->is_turn_end)
		event_active(net->turn_end, EV_TIMEOUT, 0);
}

bool pipit_connection_is_quiet(const struct pipit_connection *connection)
{
	char byte;
	if (connection->tls && pipit_tls_session_is_closing(connection->tls))
		return true;
	return !connection->in.data && recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

bool pipit_connection_is_too_slow(const struct pipit_connection *connection, uint64_t now_ms, uint64_t grace_ms)
{
	uint64_t rate = connection->net->config->min_rate_bytes, elapsed_ms = now_ms - connection->rate_ms;
	/* began after the sweep read the clock */
	if (now_ms <= connection->rate_ms)
		return false;
	return rate && elapsed_ms > grace_ms && connection->rate_bytes * 1000 < rate * elapsed_ms;
}

/* --- what the layers above ask -------------------------------------------------------------------------------------- */

bool pipit_connection_local(const struct pipit_connection *connection, struct sockaddr *address, size_t size)
{
	socklen_t length = (socklen_t)size;
	return getsockname(connection->fd, address, &length) == 0;
}

struct pipit_net *pipit_connection_net(const struct pipit_connection *connection)
{
	return connection->net;
}

struct pipit_connection *pipit_net_current(const struct pipit_net *net)
{
	return net->current;
}

void pipit_connection_set_request(struct pipit_connection *connection, void *request)
{
	connection->exchange.request = request;
}

void *pipit_connection_request(const struct pipit_connection *connection)
{
	return connection->exchange.request;
}

bool pipit_connection_keeps_alive(const struct pipit_connection *connection)
{
	return pipit_connection_may_stay(connection);
}

uint8_t pipit_connection_minor(const struct pipit_connection *connection)
{
	return connection->exchange.minor;
}

bool pipit_connection_is_head_request(const struct pipit_connection *connection)
{
	return connection->exchange.is_head;
}

char *pipit_connection_take_body(struct pipit_connection *connection)
{
	struct pipit_exchange *exchange = &connection->exchange;
	char *body = exchange->body;
	exchange->body = NULL;
	exchange->handed_bytes = exchange->body_capacity;
	exchange->body_length = exchange->body_capacity = 0;
	return body;
}

uint64_t pipit_connection_started_ns(const struct pipit_connection *connection)
{
	return connection->exchange.started_ns;
}

uint64_t pipit_connection_elapsed_ns(const struct pipit_connection *connection)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - connection->exchange.started_ns;
}

bool pipit_connection_is_in_batch(const struct pipit_connection *connection)
{
	return connection->net->current == connection;
}

uint64_t pipit_connection_body_bytes(const struct pipit_connection *connection)
{
	return connection->exchange.body_bytes;
}

int pipit_connection_status(const struct pipit_connection *connection)
{
	return connection->exchange.status;
}

uint64_t pipit_connection_content_bytes(const struct pipit_connection *connection)
{
	return connection->exchange.given;
}

bool pipit_connection_is_tls(const struct pipit_connection *connection)
{
	return connection->tls != NULL;
}

const char *pipit_connection_client_subject(const struct pipit_connection *connection)
{
	return connection->tls ? pipit_tls_session_subject(connection->tls) : NULL;
}

const char *pipit_connection_client_verified(const struct pipit_connection *connection)
{
	return connection->tls ? pipit_tls_session_verified(connection->tls) : NULL;
}

bool pipit_connection_is_admin(const struct pipit_connection *connection)
{
	return connection->is_admin;
}

const char *pipit_connection_peer(const struct pipit_connection *connection, char *text, size_t size)
{
	return pipit_client_address_print(&connection->peer, text, size);
}

const union pipit_client_address *pipit_connection_address(const struct pipit_connection *connection)
{
	return &connection->peer;
}

struct pipit_slice pipit_connection_first_line(const char *bytes, size_t length)
{
	const char *end = memchr(bytes, '\r', length < 512 ? length : 512);
	return (struct pipit_slice){ bytes, end ? (size_t)(end - bytes) : length < 512 ? length : 512 };
}

/* --- what connections share ----------------------------------------------------------------------------------------- */

void pipit_net_read_clock(struct pipit_net *net)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	net->now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	net->now_ms = net->now_ns / 1000000u;
}

uint64_t pipit_net_now_ns(const struct pipit_net *net)
{
	return net->now_ns;
}

const char *pipit_net_date(struct pipit_net *net)
{
	struct timespec now;
	if (net->date_ms == net->now_ms)
		return net->date;
	net->date_ms = net->now_ms;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != net->date_second) {
		net->date_second = now.tv_sec;
		pipit_date_print(now.tv_sec, net->date);
	}
	return net->date;
}

void pipit_net_free_gone(struct pipit_net *net)
{
	while (net->gone) {
		struct pipit_connection *connection = net->gone;
		net->gone = connection->next_gone;
		pipit_connection_free(connection);
	}
}

static void on_turn_end(evutil_socket_t fd, short what, void *context)
{
	const struct timeval at_once = { 0, 0 };
	struct pipit_net *net = context;
	struct pipit_connection *last = NULL;
	(void)fd, (void)what;

	pipit_net_read_clock(net);
	/* What is woken meanwhile waits for the next turn: an active event would run before sockets are polled. */
	net->is_turn_end = true;
	for (struct pipit_connection *at = net->waiting; at; at = at->next_waiting)
		last = at;
	while (net->waiting) {
		struct pipit_connection *connection = net->waiting;
		bool is_last = connection == last;

		net->waiting = connection->next_waiting;
		if (!net->waiting)
			net->waiting_tail = &net->waiting;
		connection->is_waiting = false;
		if (!pipit_connection_is_dead(connection))
			net->protocol->woken(connection);
		if (is_last)
			break;
	}
	net->protocol->turn_ended(net);
	net->is_turn_end = false;
	pipit_net_free_gone(net);
	/* without memory for the timer */
	if ((net->waiting || net->queue) && event_add(net->turn_end, &at_once) != 0)
		event_active(net->turn_end, EV_TIMEOUT, 0);
}

struct pipit_net *pipit_net_new(struct event_base *base, const struct pipit_config *config,
    struct pipit_counters *counters, struct pipit_limits *limits, const struct pipit_protocol *protocol,
    const struct pipit_handler_table *handlers, void *context)
{
	struct pipit_net *net = calloc(1, sizeof *net);
	if (!net)
		return NULL;
	net->base = base;
	net->config = config;
	net->counters = counters;
	net->limits = limits;
	net->protocol = protocol;
	net->handlers = handlers;
	net->context = context;
	net->waiting_tail = &net->waiting;
	net->count = 1;
	net->turn_end = event_new(base, -1, 0, on_turn_end, net);
	net->batch = malloc((size_t)config->max_output_bytes);
	if (!net->turn_end || !net->batch) {
		pipit_net_free(net);
		return NULL;
	}
	pipit_net_read_clock(net);
	return net;
}

void pipit_net_free(struct pipit_net *net)
{
	net->handlers = NULL;
	if (net->replies)
		evbuffer_free(net->replies);
	if (net->turn_end)
		event_free(net->turn_end);
	free(net->in);
	free(net->batch);
	pipit_tls_buffers_free(net->tls_buffers);
	net->tls_buffers = NULL;
	net->turn_end = NULL;
	net->in = net->batch = NULL;
	pipit_net_release(net);
}

void pipit_net_release(struct pipit_net *net)
{
	if (--net->count > 0)
		return;
	free(net->evhttp);
	free(net);
}
