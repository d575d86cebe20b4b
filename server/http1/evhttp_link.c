/* SPDX-License-Identifier: MIT */
/* See evhttp_link.h. */
#include "http1/evhttp_link.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* Idle links; each holds a descriptor and 3 KiB. */
#define POOL_MAX 16
/* Some kernels need a moment to deliver a local connection. */
#define ARRIVAL_MS 100

/* --- the sleeping bufferevent -------------------------------------------------------------------------------------- */

/* On the filter's own path large bodies get stuck, and replies with "Connection: close" are lost. */
static enum bufferevent_filter_result no_input(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	(void)source, (void)target, (void)limit, (void)mode, (void)context;
	return BEV_NEED_MORE;
}

/* Bytes were added while writing is enabled: a deferred reply, or a piece of one. */
static enum bufferevent_filter_result on_output(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	struct pipit_evhttp_link *link = context;
	struct pipit_connection *connection = link->connection;
	size_t length = evbuffer_get_length(source);
	(void)target, (void)limit;

	if (link->is_measured)
		return BEV_NEED_MORE;
	/* Not within evhttp_send_reply(). */
	if (link->is_left && length > 0 && link->net->evhttp->left_event)
		event_active(link->net->evhttp->left_event, EV_TIMEOUT, 0);
	/* pipit_evhttp_link_write_enabled() */
	link->owes_notice |= mode == BEV_FINISHED && length == 0;
	if (length > link->output_length && length - link->output_length > link->largest)
		link->largest = length - link->output_length;
	link->output_length = length;
	if (connection && connection->net->current != connection)
		pipit_connection_wake(connection);
	return BEV_NEED_MORE;
}

static void remove_from_left(struct pipit_evhttp_link *link)
{
	for (struct pipit_evhttp_link **at = &link->net->evhttp->left; *at; at = &(*at)->next) {
		if (*at != link)
			continue;
		*at = link->next;
		break;
	}
	link->is_left = false;
}

static void remove_from_pool(struct pipit_evhttp_link *link)
{
	struct pipit_evhttp_lane *lane = link->net->evhttp;
	for (struct pipit_evhttp_link **at = &lane->pool; *at; at = &(*at)->next) {
		if (*at != link)
			continue;
		*at = link->next;
		lane->pool_count--;
		return;
	}
}

/* evhttp sets the descriptor after its bevcb, on the socket bufferevent that all filters share: take it before the next accept. */
static int take_descriptor(struct pipit_evhttp_lane *lane)
{
	int fd = bufferevent_getfd(lane->socket_bev);
	bufferevent_setfd(lane->socket_bev, -1);
	return fd;
}

static void finish_accepting(struct pipit_evhttp_lane *lane)
{
	if (!lane->accepting)
		return;
	lane->accepting->fd = take_descriptor(lane);
	lane->accepting = NULL;
}

/* evhttp has released the link, in this turn or an earlier one. */
static void on_free(void *context)
{
	struct pipit_evhttp_link *link = context;
	struct pipit_connection *connection = link->connection;

	if (link == link->net->evhttp->accepting)
		finish_accepting(link->net->evhttp);
	if (connection) {
		pipit_evhttp_link_unlink(connection);
		pipit_connection_wake(connection);
	} else if (link->is_left) {
		remove_from_left(link);
	} else {
		remove_from_pool(link);
	}
	if (link->fd >= 0)
		close(link->fd);
	if (link == link->net->evhttp->sentinel)
		link->net->evhttp->on_evhttp_freed(link->net->evhttp->watcher);
	pipit_net_release(link->net);
	free(link);
}

static struct pipit_evhttp_link *new_link(struct pipit_net *net, struct pipit_connection *connection)
{
	struct bufferevent *socket_bev = net->evhttp->socket_bev;
	struct pipit_evhttp_link *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	link->net = net;
	link->connection = connection;
	link->fd = -1;
	/* A filter keeps evhttp from closing the descriptor. It drops a reference to what lies under it: the one that is taken below. */
	link->bev = bufferevent_filter_new(socket_bev, no_input, on_output, BEV_OPT_CLOSE_ON_FREE, on_free, link);
	if (!link->bev) {
		free(link);
		return NULL;
	}
	bufferevent_incref(socket_bev);
	/* bufferevent_filter_new() has enabled it. */
	bufferevent_disable(socket_bev, EV_READ | EV_WRITE);
	net->count++;
	return link;
}

/* --- accepted clients ----------------------------------------------------------------------------------------------- */

void pipit_evhttp_link_show_descriptor(struct pipit_evhttp_link *link, bool is_shown)
{
	struct pipit_evhttp_lane *lane = link->net->evhttp;
	finish_accepting(lane);
	bufferevent_setfd(lane->socket_bev, is_shown ? link->fd : -1);
}

/* For a client without memory for its connection. */
static struct pipit_evhttp_link *take_last_resort(struct pipit_net *net)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	struct pipit_evhttp_link *link = new_link(net, NULL);
	if (link)
		return link;
	link = lane->last_resort;
	lane->last_resort = NULL;
	return link;
}

bool pipit_evhttp_link_has_last_resort(struct pipit_net *net)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	if (net->evhttp_mode != PIPIT_EVHTTP_GUARDED)
		return true;
	if (!lane->last_resort)
		lane->last_resort = new_link(net, NULL);
	return lane->last_resort != NULL;
}

/*
 * evhttp's bevcb. It must not return NULL: evhttp would make a plain socket bufferevent, and read from the client unguarded. What it
 * returns is allocated before.
 */
static struct bufferevent *on_accept(struct event_base *base, void *context)
{
	struct pipit_net *net = context;
	struct pipit_evhttp_lane *lane = net->evhttp;
	struct pipit_connection *connection;
	/* Without a connection the client is closed by a timeout. */
	static const struct timeval at_once = { 0, 1 };
	(void)base;

	finish_accepting(lane);
	if (lane->proxied) {
		lane->accepting = lane->proxied;
		lane->proxied = NULL;
		return lane->accepting->bev;
	}
	if (lane->offered) {
		/* the only client of this listener */
		evconnlistener_disable(lane->listener);
		lane->accepting = lane->offered;
		lane->offered = NULL;
		return lane->accepting->bev;
	}
	connection = lane->take_spare(net);
	/* A program may bind a socket while pipit has paused accepting. */
	lane->accepting = connection ? connection->evhttp : lane->closes_null ? NULL : take_last_resort(net);
	if (!lane->accepting)
		return NULL;
	if (connection)
		pipit_connection_wake(connection);
	else
		bufferevent_set_timeouts(lane->accepting->bev, &at_once, &at_once);
	return lane->accepting->bev;
}

struct bufferevent *pipit_evhttp_link_accept(struct pipit_net *net)
{
	return on_accept(net->base, net);
}

void pipit_evhttp_link_close_null(struct pipit_net *net)
{
	net->evhttp->closes_null = true;
}

bool pipit_evhttp_link_has(const struct pipit_net *net, struct bufferevent *bev)
{
	return net->evhttp && net->evhttp->socket_bev && bufferevent_get_underlying(bev) == net->evhttp->socket_bev;
}

void pipit_evhttp_link_write_enabled(struct pipit_net *net, struct bufferevent *bev)
{
	/* calls on_output() */
	if (pipit_evhttp_link_has(net, bev))
		bufferevent_flush(bev, EV_WRITE, BEV_FINISHED);
}

bool pipit_evhttp_link_attach(struct pipit_connection *connection)
{
	connection->evhttp = new_link(connection->net, connection);
	return connection->evhttp != NULL;
}

/* Of a link that evhttp does not hold. */
static void free_link(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	connection->evhttp = NULL;
	link->connection = NULL;
	bufferevent_free(link->bev);
}

static uint64_t milliseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_usec / 1000;
}

/* timeouts.c enforces it: the bufferevent's timers see no bytes, and run while a reply is deferred. */
void pipit_evhttp_link_take_timeout(struct pipit_evhttp_link *link)
{
	if (!evutil_timerisset(&link->bev->timeout_read))
		return;
	link->timeout_ms = milliseconds(&link->bev->timeout_read);
	bufferevent_set_timeouts(link->bev, NULL, NULL);
}

void pipit_evhttp_link_give(struct pipit_connection *connection, pipit_evhttp_link_acceptor *accept)
{
	struct pipit_evhttp_lane *lane = connection->net->evhttp;
	/* evhttp writes to the path of a client of a UNIX socket, which has no name. */
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		union pipit_client_address address;
	} peer = { .local.sun_path = "" };
	int fd = connection->fd, length;

	peer.address = connection->peer;
	length = peer.any.sa_family == AF_INET    ? (int)sizeof peer.address.v4
		 : peer.any.sa_family == AF_INET6 ? (int)sizeof peer.address.v6
						  : (int)offsetof(struct sockaddr_un, sun_path);
	connection->fd = -1;
	lane->proxied = connection->evhttp;
	accept(NULL, fd, &peer.any, length, lane->http);
	lane->proxied = NULL;
}

int pipit_evhttp_link_accepted(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;

	finish_accepting(connection->net->evhttp);
	/* evhttp was short of memory before it held the link. */
	if (link->fd < 0) {
		free_link(connection);
		return -1;
	}
	if (pipit_evhttp_link_is_released(link)) {
		connection->evhttp = NULL;
		link->connection = NULL;
		return -1;
	}
	pipit_evhttp_link_take_timeout(link);
	return link->fd;
}

/* --- pipit's own client --------------------------------------------------------------------------------------------- */

/* The kernel chooses the address. */
static int open_listener(sa_family_t family, struct sockaddr_storage *address, socklen_t *length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*v4 = (struct sockaddr_in){ .sin_family = family, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	*length = family == AF_UNIX ? sizeof family : sizeof *v4;
	if (fd >= 0 && bind(fd, (struct sockaddr *)address, *length) == 0 && listen(fd, 1) == 0) {
		*length = sizeof *address;
		if (getsockname(fd, (struct sockaddr *)address, length) == 0)
			return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

struct search {
	int fd;
	event_callback_fn callback;
	void *arg;
};

static int look_for_descriptor(const struct event_base *base, const struct event *event, void *context)
{
	struct search *search = context;
	(void)base;
	if (event_get_fd(event) != search->fd)
		return 0;
	search->callback = event_get_callback(event);
	search->arg = event_get_callback_arg(event);
	return 1;
}

/* Call the listener's event as the loop does. */
static void accept_now(struct pipit_net *net, int listener)
{
	struct search search = { .fd = listener };
	struct pollfd arrival = { .fd = listener, .events = POLLIN };

	poll(&arrival, 1, ARRIVAL_MS);
	event_base_foreach_event(net->base, look_for_descriptor, &search);
	if (search.callback)
		search.callback(listener, EV_READ, search.arg);
	finish_accepting(net->evhttp);
}

static void accept_client(struct pipit_net *net, sa_family_t family)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	struct sockaddr_storage address;
	socklen_t length;
	struct evhttp_bound_socket *bound = NULL;
	int listener = open_listener(family, &address, &length), client = -1;

	if (listener >= 0)
		client = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client >= 0 && (connect(client, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS))
		bound = evhttp_accept_socket_with_handle(lane->http, listener);
	if (bound) {
		lane->listener = evhttp_bound_socket_get_listener(bound);
		accept_now(net, listener);
		evhttp_del_accept_socket(lane->http, bound);
		lane->listener = NULL;
	} else if (listener >= 0) {
		close(listener);
	}
	if (client >= 0)
		close(client);
}

/* A link that evhttp holds, without a client. NULL when memory or descriptors are short. */
static struct pipit_evhttp_link *new_accepted_link(struct pipit_net *net)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	struct pipit_evhttp_link *link = new_link(net, NULL);

	if (!link)
		return NULL;
	lane->offered = link;
#ifdef __GLIBC__
	/* Without getnameinfo() for a local client, as in other C libraries, evhttp ends the process. */
	accept_client(net, AF_UNIX);
#endif
	/* A sandbox may forbid local sockets. */
	if (lane->offered)
		accept_client(net, AF_INET);
	if (lane->offered || link->fd < 0) {
		lane->offered = NULL;
		bufferevent_free(link->bev);
		return NULL;
	}
	if (pipit_evhttp_link_is_released(link))
		return NULL;
	bufferevent_set_timeouts(link->bev, NULL, NULL);
	return link;
}

/* --- the pool ------------------------------------------------------------------------------------------------------ */

/* evhttp may have released a link by a timeout that a callback has set. */
static struct pipit_evhttp_link *take_from_pool(struct pipit_evhttp_lane *lane)
{
	struct pipit_evhttp_link *link = lane->pool;
	while (link && pipit_evhttp_link_is_released(link))
		link = link->next;
	if (link)
		remove_from_pool(link);
	return link;
}

static void put_into_pool(struct pipit_evhttp_link *link)
{
	struct pipit_evhttp_lane *lane = link->net->evhttp;
	link->next = lane->pool;
	lane->pool = link;
	lane->pool_count++;
}

static bool fill_pool(struct pipit_net *net)
{
	struct pipit_evhttp_link *link = new_accepted_link(net);
	if (link)
		put_into_pool(link);
	return link != NULL;
}

bool pipit_evhttp_link_borrow(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = take_from_pool(connection->net->evhttp);
	if (!link)
		link = new_accepted_link(connection->net);
	if (!link)
		return false;
	link->connection = connection;
	connection->evhttp = link;
	return true;
}

static void tell_eof(struct pipit_evhttp_link *link)
{
	/* With EVHTTP_CON_READ_ON_WRITE_ERROR evhttp would go on with unread input. */
	evbuffer_drain(bufferevent_get_input(link->bev), evbuffer_get_length(bufferevent_get_input(link->bev)));
	bufferevent_trigger_event(link->bev, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
}

void pipit_evhttp_link_return(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;

	connection->evhttp = NULL;
	link->connection = NULL;
	/* A callback may have set these although its route borrows. */
	evhttp_connection_set_closecb(link->holder, NULL, NULL);
	evhttp_connection_set_max_headers_size(link->holder, -1);
	evhttp_connection_set_max_body_size(link->holder, -1);
	pipit_evhttp_link_take_timeout(link);
	link->timeout_ms = 0;
	if (link->net->evhttp->pool_count < POOL_MAX)
		put_into_pool(link);
	else
		tell_eof(link);
}

/* --- the end of a link --------------------------------------------------------------------------------------------- */

void pipit_evhttp_link_unlink(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;

	connection->evhttp = NULL;
	link->connection = NULL;
	/* The descriptor of a borrowed link is its own. */
	if (connection->fd == link->fd)
		link->fd = -1;
}

/* evhttp has called the program, which has not begun its reply. */
static bool waits_for_program(const struct pipit_evhttp_link *link)
{
	return link->was_called && !link->is_head_done && evbuffer_get_length(bufferevent_get_output(link->bev)) == 0;
}

static void leave(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	struct pipit_evhttp_lane *lane = link->net->evhttp;

	connection->evhttp = NULL;
	link->connection = NULL;
	/* evhttp calls shutdown() on the number later: the link keeps the descriptor, so that no other client gets it. */
	if (connection->fd == link->fd) {
		connection->fd = -1;
		shutdown(link->fd, SHUT_RDWR);
	}
	link->is_left = true;
	link->next = lane->left;
	lane->left = link;
	/* For on_output(), which the reply then reaches. */
	link->is_measured = true;
	bufferevent_enable(link->bev, EV_WRITE);
	link->is_measured = false;
}

/* Those that have a reply: evhttp hears that the client has closed, as if it had tried to write. */
static void on_left_reply(evutil_socket_t fd, short what, void *context)
{
	struct pipit_net *net = context;
	struct pipit_evhttp_link *next;
	(void)fd, (void)what;

	for (struct pipit_evhttp_link *link = net->evhttp->left; link; link = next) {
		next = link->next;
		if (evbuffer_get_length(bufferevent_get_output(link->bev)) == 0)
			continue;
		remove_from_left(link);
		if (!pipit_evhttp_link_is_released(link))
			tell_eof(link);
	}
}

bool pipit_evhttp_link_keep_left(struct pipit_net *net)
{
	net->evhttp->left_event = event_new(net->base, -1, 0, on_left_reply, net);
	net->evhttp->keeps_left = net->evhttp->left_event != NULL;
	return net->evhttp->keeps_left;
}

void pipit_evhttp_link_close(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	bool is_own = connection->fd == link->fd;

	finish_accepting(link->net->evhttp);
	/* evhttp was short of memory before it held the link. */
	if (link->fd < 0) {
		free_link(connection);
		return;
	}
	if (pipit_evhttp_link_is_released(link)) {
		pipit_evhttp_link_unlink(connection);
		return;
	}
	if (link->net->evhttp->keeps_left && waits_for_program(link)) {
		leave(connection);
		return;
	}
	connection->evhttp = NULL;
	link->connection = NULL;
	tell_eof(link);
	if (!is_own)
		return;
	/* evhttp may call shutdown() later: the link closes the descriptor. */
	connection->fd = -1;
	/* The descriptor stays open for long if a callback has replaced evhttp's callbacks on the bufferevent. */
	if (!pipit_evhttp_link_is_released(link))
		shutdown(link->fd, SHUT_RDWR);
}

/* --- the program's evhttp ------------------------------------------------------------------------------------------ */

/* The close callback of the sentinel, whose connection only evhttp_free() frees. */
static void on_evhttp_free(struct evhttp_connection *holder, void *context)
{
	struct pipit_net *net = context;
	(void)holder;
	net->evhttp->http = NULL;
}

static struct evhttp_connection *holder_of(const struct pipit_evhttp_link *link)
{
	void *holder;
	/* the argument of evhttp's callbacks */
	bufferevent_getcb(link->bev, NULL, NULL, NULL, &holder);
	return holder;
}

int pipit_evhttp_link_watch(struct pipit_net *net, void (*on_evhttp_freed)(void *watcher), void *watcher)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	struct pipit_evhttp_link *sentinel = new_accepted_link(net);

	if (!sentinel)
		return -ENOMEM;
	evhttp_connection_set_closecb(holder_of(sentinel), on_evhttp_free, net);
	lane->on_evhttp_freed = on_evhttp_freed;
	lane->watcher = watcher;
	lane->sentinel = sentinel;
	return 0;
}

static void stop_watching(struct pipit_evhttp_lane *lane)
{
	struct pipit_evhttp_link *sentinel = lane->sentinel;
	lane->sentinel = NULL;
	if (!sentinel || pipit_evhttp_link_is_released(sentinel))
		return;
	evhttp_connection_set_closecb(holder_of(sentinel), NULL, NULL);
	tell_eof(sentinel);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

int pipit_evhttp_link_open(
    struct pipit_net *net, struct evhttp *http, void (*on_request)(struct evhttp_request *request, void *net))
{
	bool is_ours = net->evhttp_mode != PIPIT_EVHTTP_GUARDED;
	struct pipit_evhttp_lane *lane = net->evhttp = calloc(1, sizeof *lane);

	if (!lane)
		return -ENOMEM;
	lane->http = is_ours ? evhttp_new(net->base) : http;
	lane->socket_bev = bufferevent_socket_new(net->base, -1, 0);
	if (!lane->socket_bev || !lane->http)
		return -ENOMEM;
	bufferevent_disable(lane->socket_bev, EV_READ | EV_WRITE);
	evhttp_set_bevcb(lane->http, on_accept, net);
	if (!is_ours)
		return 0;
	evhttp_set_gencb(lane->http, on_request, net);
	/* evhttp must not refuse a method: the router has decided. */
	evhttp_set_allowed_methods(lane->http, 0xffff);
	/* Callbacks that reply before they return need no more than one link. */
	return net->evhttp_mode == PIPIT_EVHTTP_BORROWED && !fill_pool(net) ? -ENOMEM : 0;
}

void pipit_evhttp_link_set_supply(struct pipit_net *net, struct pipit_connection *(*take_spare)(struct pipit_net *net))
{
	if (net->evhttp)
		net->evhttp->take_spare = take_spare;
}

struct evhttp *pipit_evhttp_link_http(const struct pipit_net *net)
{
	return net->evhttp ? net->evhttp->http : NULL;
}

uint64_t pipit_evhttp_link_timeout_ms(const struct pipit_connection *connection)
{
	return connection->evhttp ? connection->evhttp->timeout_ms : 0;
}

void pipit_evhttp_link_close_all(struct pipit_net *net)
{
	struct pipit_evhttp_lane *lane = net->evhttp;

	if (!lane)
		return;
	if (lane->left_event)
		event_free(lane->left_event);
	lane->left_event = NULL;
	stop_watching(lane);
	finish_accepting(lane);
	if (lane->http && net->evhttp_mode == PIPIT_EVHTTP_GUARDED)
		evhttp_set_bevcb(lane->http, NULL, NULL);
	else if (lane->http)
		evhttp_free(lane->http);
	lane->http = NULL;
	if (lane->last_resort)
		bufferevent_free(lane->last_resort->bev);
	lane->last_resort = NULL;
	if (lane->socket_bev)
		bufferevent_free(lane->socket_bev);
	lane->socket_bev = NULL;
}
