/* SPDX-License-Identifier: MIT */
/*
 * See acceptor.h. Where evhttp callbacks ask who their client is evhttp accepts, because only so it learns that (evhttp_link.c);
 * elsewhere we do, which costs a client no evhttp connection.
 */
#include "http1/acceptor.h"

#include "base/oom_reserve.h"
#include "http1/evhttp_link.h"
#include "net/eviction.h"
#include "net/output.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* After so many busy turns of a door the next take twice as many connections, up to 1,024. */
#define BUSY_TURNS 8
#define BUSY_TURNS_MAX (10 * BUSY_TURNS)

/* --- first and last moment ------------------------------------------------------------------------------------------ */

static bool evhttp_accepts(const struct pipit_net *net)
{
	return net->evhttp.mode >= PIPIT_EVHTTP_OWN;
}

struct pipit_connection *pipit_connection_new(struct pipit_net *net)
{
	struct pipit_connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		return NULL;
	connection->net = net;
	connection->fd = connection->accepted = -1;
	if (evhttp_accepts(net) && !pipit_evhttp_link_attach(connection)) {
		free(connection);
		return NULL;
	}
	net->count++;
	return connection;
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
	if (connection->fd < 0)
		return;
	/* It may have been broken before it was watched. */
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

void pipit_connection_free(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	bool was_adopted = connection->fd >= 0;

	unlink_waiting(connection);
	unlink_adopted(connection);
	pipit_output_clear(connection);
	free(connection->pending);
	free(connection->body);
	if (connection->accepted >= 0)
		close(connection->accepted);
	free(connection);
	if (was_adopted && --net->adopted == 0 && net->hooks)
		net->hooks->emptied(net->context);
	pipit_net_release(net);
}

/* --- accepting ------------------------------------------------------------------------------------------------------- */

bool pipit_acceptor_are_ready(struct pipit_net *net)
{
	/* evhttp must be able to end what it begins. */
	if (evhttp_accepts(net) && pipit_oom_reserve_is_low())
		return false;
	if (!net->spare && pipit_evhttp_link_has_last_resort(net))
		net->spare = pipit_connection_new(net);
	return net->spare != NULL;
}

/* Made one ahead, so that nobody is let in for whom there is no memory. */
struct pipit_connection *pipit_connection_take_spare(struct pipit_net *net)
{
	struct pipit_connection *connection = net->spare;
	net->spare = NULL;
	if (!pipit_acceptor_are_ready(net))
		net->hooks->pause_accepting(net->context);
	return connection;
}

/* The connection is taken up at the end of the turn: until then nothing can evict it. */
static void take_up(struct pipit_net *net, int fd, const struct sockaddr_storage *peer, socklen_t length)
{
	struct pipit_connection *connection = pipit_connection_take_spare(net);
	size_t size = length < sizeof connection->peer ? length : sizeof connection->peer;

	memcpy(&connection->peer, peer, size);
	connection->accepted = fd;
	pipit_connection_wake(connection);
}

static bool open_door(struct pipit_acceptor_socket *door)
{
	if (!door->is_open)
		door->is_open = event_add(&door->event, NULL) == 0;
	return door->is_open;
}

static bool close_door(struct pipit_acceptor_socket *door)
{
	door->is_open = false;
	return event_del(&door->event) == 0;
}

/* False when no connection was waiting, or accept4() failed. */
static bool accept_one(struct pipit_acceptor_socket *door)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int fd = accept4(door->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		take_up(door->net, fd, &peer, length);
		return true;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED) {
		close_door(door);
		door->on_error(NULL, door->net->context);
	}
	return false;
}

/*
 * An accept4() that finds no connection costs nearly as much as one that does, because it makes a socket first. So a turn takes one
 * connection, and more only where they keep coming: twice as many after some turns in which that was not enough. A drain takes
 * all: it closes the door next.
 */
static void on_door(evutil_socket_t fd, short what, void *context)
{
	struct pipit_acceptor_socket *door = context;
	unsigned count = 1u << door->busy_turns / BUSY_TURNS;
	(void)fd, (void)what;

	if (door->net->draining)
		count = UINT_MAX;
	for (; count > 0 && door->is_open; count--) {
		if (!accept_one(door)) {
			door->busy_turns = 0;
			return;
		}
	}
	if (door->busy_turns < BUSY_TURNS_MAX)
		door->busy_turns++;
}

/* evhttp has accepted. -1 when it holds no connection. */
static int ask_evhttp(struct pipit_connection *connection)
{
	socklen_t length = sizeof connection->peer;
	int fd = pipit_evhttp_link_accepted(connection);

	if (fd >= 0 && getpeername(fd, &connection->peer.any, &length) != 0)
		connection->peer.any.sa_family = AF_UNSPEC;
	return fd;
}

bool pipit_acceptor_adopt(struct pipit_connection *connection)
{
	int fd = connection->link ? ask_evhttp(connection) : connection->accepted;

	if (fd < 0) {
		pipit_connection_free(connection);
		return false;
	}
	pipit_eviction_adopt(connection, fd);
	return true;
}

/* --- doors ------------------------------------------------------------------------------------------------------------ */

struct search {
	const struct pipit_acceptor_socket *door;
	bool is_found;
};

static ino_t inode_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void compare(struct evhttp_bound_socket *bound, void *context)
{
	struct search *search = context;
	search->is_found |=
	    bound == search->door->bound && inode_of(evhttp_bound_socket_get_fd(bound)) == search->door->inode;
}

/* A program may have deleted it from its evhttp, which frees it, and have bound another since. */
static bool is_there(struct pipit_net *net, const struct pipit_acceptor_socket *door)
{
	struct search search = { .door = door };
	if (net->evhttp.mode != PIPIT_EVHTTP_GUARDED)
		return true;
	if (net->evhttp.http)
		evhttp_foreach_bound_socket(net->evhttp.http, compare, &search);
	return search.is_found;
}

static void forget_deleted(struct pipit_net *net)
{
	size_t kept = 0;
	/* Others are events, which stay where they are. */
	if (net->evhttp.mode != PIPIT_EVHTTP_GUARDED)
		return;
	for (size_t i = 0; i < net->door_count; i++) {
		if (is_there(net, &net->doors[i]))
			net->doors[kept++] = net->doors[i];
	}
	net->door_count = kept;
}

static bool open_evhttp_door(struct pipit_acceptor_socket *door, pipit_acceptor_error *on_error)
{
	struct pipit_net *net = door->net;

	door->listener = evconnlistener_new(
	    net->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, door->fd);
	if (!door->listener) {
		close(door->fd);
		return false;
	}
	evconnlistener_set_error_cb(door->listener, on_error);
	door->inode = inode_of(door->fd);
	door->bound = evhttp_bind_listener(net->evhttp.http, door->listener);
	if (!door->bound)
		evconnlistener_free(door->listener);
	return door->bound != NULL;
}

static bool set_door(struct pipit_acceptor_socket *door, bool open)
{
	if (!door->listener)
		return open ? open_door(door) : close_door(door);
	return (open ? evconnlistener_enable(door->listener) : evconnlistener_disable(door->listener)) == 0;
}

int pipit_acceptor_add(
    struct pipit_net *net, int fd, pipit_acceptor_error *on_error, struct evhttp_bound_socket **bound)
{
	struct pipit_acceptor_socket *door;

	forget_deleted(net);
	if (net->door_count == PIPIT_LISTEN_MAX) {
		close(fd);
		return -ENOSPC;
	}
	door = &net->doors[net->door_count];
	*door = (struct pipit_acceptor_socket){ .net = net, .on_error = on_error, .fd = fd };
	if (evhttp_accepts(net) && !open_evhttp_door(door, on_error))
		return -ENOMEM;
	if (!evhttp_accepts(net))
		event_assign(&door->event, net->base, fd, EV_READ | EV_PERSIST, on_door, door);
	if (bound)
		*bound = door->bound;
	net->door_count++;
	/* libevent does not say when it could not add the event: such a door would never open. */
	return set_door(door, true) ? 0 : -ENOMEM;
}

struct error_callback {
	pipit_acceptor_error *on_error;
};

static void watch_errors(struct evhttp_bound_socket *bound, void *context)
{
	const struct error_callback *callback = context;
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), callback->on_error);
}

void pipit_acceptor_watch_errors(struct pipit_net *net, pipit_acceptor_error *on_error)
{
	struct error_callback callback = { on_error };
	if (net->evhttp.mode == PIPIT_EVHTTP_GUARDED && net->evhttp.http)
		evhttp_foreach_bound_socket(net->evhttp.http, watch_errors, &callback);
}

static bool set_listener(struct evconnlistener *listener, bool open)
{
	return (open ? evconnlistener_enable(listener) : evconnlistener_disable(listener)) == 0;
}

static void open_bound(struct evhttp_bound_socket *bound, void *context)
{
	bool *is_done = context;
	*is_done &= set_listener(evhttp_bound_socket_get_listener(bound), true);
}

static void close_bound(struct evhttp_bound_socket *bound, void *context)
{
	bool *is_done = context;
	*is_done &= set_listener(evhttp_bound_socket_get_listener(bound), false);
}

bool pipit_acceptor_set(struct pipit_net *net, bool open)
{
	bool is_done = true;
	/* A program pauses its own sockets for reasons of its own. */
	if (open && !net->doors_are_closed)
		return true;
	/* Those that the program has bound to it, too. */
	if (net->evhttp.mode == PIPIT_EVHTTP_GUARDED && net->evhttp.http)
		evhttp_foreach_bound_socket(net->evhttp.http, open ? open_bound : close_bound, &is_done);
	for (size_t i = 0; i < net->door_count && net->evhttp.mode != PIPIT_EVHTTP_GUARDED; i++)
		is_done &= set_door(&net->doors[i], open);
	net->doors_are_closed = !open || !is_done;
	return is_done;
}

void pipit_acceptor_remove(struct pipit_net *net)
{
	forget_deleted(net);
	while (net->door_count) {
		struct pipit_acceptor_socket *door = &net->doors[--net->door_count];
		if (door->bound) {
			evhttp_del_accept_socket(net->evhttp.http, door->bound);
			continue;
		}
		close_door(door);
		close(door->fd);
	}
}
