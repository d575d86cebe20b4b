/* SPDX-License-Identifier: MIT */
/*
 * See acceptor.h. evhttp accepts where callbacks ask for their client's address: only so it learns the address. Elsewhere pipit accepts.
 */
#include "http1/acceptor.h"

#include "http1/evhttp_link.h"
#include "net/eviction.h"
#include "net/input.h"
#include "net/net.h"
#include "net/oom_reserve.h"
#include "proxy/proxy_protocol.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* After so many busy turns, a turn accepts twice as many connections, up to 1,024. */
#define BUSY_TURNS 8
#define BUSY_TURNS_MAX (10 * BUSY_TURNS)

#define SOCKETS_MAX (PIPIT_LISTEN_MAX + 1) /* and admin_listen */

struct listening_socket {
	/* Where evhttp accepts, and evhttp's; NULL: pipit accepts. */
	struct evconnlistener *listener;
	struct evhttp_bound_socket *bound;
	ino_t inode; /* because addresses and descriptors are used again */
	/* Where pipit accepts. */
	struct pipit_net *net;
	pipit_acceptor_error *on_error;
	int fd; /* owned */
	struct event event;
	bool is_listening;
	bool is_admin;
	bool is_proxied; /* clients begin with a PROXY header */
	bool is_tls;
	unsigned busy_turns; /* in a row, in which a turn did not empty the backlog */
};

struct pipit_acceptor {
	struct listening_socket sockets[SOCKETS_MAX];
	size_t count;
	bool is_paused;
	pipit_evhttp_link_acceptor *accept; /* evhttp's, for clients behind proxies; NULL: there are none */
	struct pipit_connection
	    *spare; /* for the next client, allocated before it is accepted; NULL: memory is short */
};

static bool evhttp_accepts(const struct pipit_net *net)
{
	return net->evhttp_mode >= PIPIT_EVHTTP_OWN;
}

/* --- accepting ------------------------------------------------------------------------------------------------------- */

static struct pipit_connection *new_connection(struct pipit_net *net)
{
	struct pipit_connection *connection = pipit_connection_new(net);
	if (connection && evhttp_accepts(net) && !pipit_evhttp_link_attach(connection)) {
		pipit_connection_free(connection);
		return NULL;
	}
	return connection;
}

bool pipit_acceptor_is_ready(struct pipit_net *net)
{
	struct pipit_acceptor *acceptor = net->acceptor;
	/* evhttp must be able to end what it begins. */
	if (evhttp_accepts(net) && pipit_oom_reserve_is_low())
		return false;
	if (!acceptor->spare && pipit_evhttp_link_has_last_resort(net))
		acceptor->spare = new_connection(net);
	return acceptor->spare != NULL;
}

/* NULL when evhttp accepts although accepting is paused. */
static struct pipit_connection *take_spare(struct pipit_net *net)
{
	struct pipit_connection *connection = net->acceptor->spare;

	if (net->evhttp_mode == PIPIT_EVHTTP_GUARDED)
		net->handlers->accepting(net->context);
	net->acceptor->spare = NULL;
	if (!pipit_acceptor_is_ready(net))
		net->handlers->pause_accepting(net->context);
	return connection;
}

static void start_tls(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;
	connection->tls = pipit_tls_session_new(net->tls, net->tls_buffers, connection->fd);
	if (!connection->tls)
		pipit_connection_end(connection, PIPIT_ABORT);
}

/* pipit adopts a connection at the end of the turn: no other new one evicts it before. */
static void take_up(
    struct pipit_connection *connection, int fd, const void *peer, socklen_t length, bool is_admin, bool is_proxied)
{
	memcpy(&connection->peer, peer, length < sizeof connection->peer ? length : sizeof connection->peer);
	connection->fd = fd;
	connection->is_admin = is_admin;
	connection->is_proxied = is_proxied;
	pipit_connection_wake(connection);
}

static bool set_listening(struct listening_socket *socket, bool listens)
{
	if (socket->listener)
		return (listens ? evconnlistener_enable(socket->listener) : evconnlistener_disable(socket->listener)) ==
		       0;
	if (!listens)
		event_del(&socket->event);
	else if (!socket->is_listening && event_add(&socket->event, NULL) != 0)
		return false;
	socket->is_listening = listens;
	return true;
}

static bool accept_one(struct listening_socket *socket)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int fd = accept4(socket->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		struct pipit_connection *connection = take_spare(socket->net);
		take_up(connection, fd, &peer, length, socket->is_admin, socket->is_proxied);
		if (socket->is_tls && !socket->is_proxied)
			start_tls(connection);
		return true;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED) {
		set_listening(socket, false);
		socket->on_error(NULL, socket->net->context);
	}
	return false;
}

/*
 * accept4() of an empty backlog makes a socket first, and costs nearly as much as another: a turn accepts one connection, or more after
 * busy turns. While draining it accepts all: pipit stops listening next.
 */
static void on_pending(evutil_socket_t fd, short what, void *context)
{
	struct listening_socket *socket = context;
	unsigned count = 1u << socket->busy_turns / BUSY_TURNS;
	(void)fd, (void)what;

	if (socket->net->draining)
		count = UINT_MAX;
	for (; count > 0 && socket->is_listening; count--) {
		if (!accept_one(socket)) {
			socket->busy_turns = 0;
			return;
		}
	}
	if (socket->busy_turns < BUSY_TURNS_MAX)
		socket->busy_turns++;
}

struct name {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	};
	socklen_t length;
};

static bool read_name(int fd, struct name *name)
{
	memset(name, 0, sizeof *name);
	name->length = sizeof *name;
	return getsockname(fd, &name->any, &name->length) == 0;
}

/* listening: may be of all addresses. */
static bool is_name_of(const struct name *listening, const struct name *accepted)
{
	if (listening->any.sa_family != accepted->any.sa_family)
		return false;
	switch (listening->any.sa_family) {
	case AF_INET:
		return listening->v4.sin_port == accepted->v4.sin_port &&
		       (listening->v4.sin_addr.s_addr == htonl(INADDR_ANY) ||
			   listening->v4.sin_addr.s_addr == accepted->v4.sin_addr.s_addr);
	case AF_INET6:
		return listening->v6.sin6_port == accepted->v6.sin6_port &&
		       (IN6_IS_ADDR_UNSPECIFIED(&listening->v6.sin6_addr) ||
			   memcmp(&listening->v6.sin6_addr, &accepted->v6.sin6_addr, sizeof accepted->v6.sin6_addr) ==
			       0);
	default:
		return listening->length == accepted->length &&
		       memcmp(&listening->local, &accepted->local, accepted->length) == 0;
	}
}

/* evhttp does not tell which socket it has accepted from: compare names. */
static bool is_from(const struct pipit_net *net, int fd, bool (*is_wanted)(const struct listening_socket *socket))
{
	struct name listening, accepted = { .length = 0 };
	for (size_t i = 0; i < net->acceptor->count; i++) {
		const struct listening_socket *socket = &net->acceptor->sockets[i];
		if (!is_wanted(socket) || (!accepted.length && !read_name(fd, &accepted)))
			continue;
		if (read_name(socket->fd, &listening) && is_name_of(&listening, &accepted))
			return true;
	}
	return false;
}

static bool is_admin(const struct listening_socket *socket)
{
	return socket->is_admin;
}

static bool is_tls(const struct listening_socket *socket)
{
	return socket->is_tls;
}

/* -1 when evhttp has no connection for it. */
static int ask_evhttp(struct pipit_connection *connection)
{
	socklen_t length = sizeof connection->peer;
	int fd = pipit_evhttp_link_accepted(connection);

	/* A client that has reset has no address, and would pass for one of a UNIX socket. */
	if (fd >= 0 && getpeername(fd, &connection->peer.any, &length) != 0) {
		connection->peer.any.sa_family = AF_UNSPEC;
		pipit_connection_end(connection, PIPIT_ABORT);
	}
	connection->is_admin = fd >= 0 && is_from(connection->net, fd, is_admin);
	return fd;
}

bool pipit_acceptor_adopt(struct pipit_connection *connection, enum pipit_refusal *reason)
{
	/* Behind a proxy, evhttp learns of the client when its address is known. */
	if (connection->evhttp && !connection->is_proxied)
		connection->fd = ask_evhttp(connection);
	if (connection->fd < 0) {
		pipit_connection_free(connection);
		return false;
	}
	if (connection->evhttp && !connection->is_proxied && is_from(connection->net, connection->fd, is_tls))
		start_tls(connection);
	*reason = pipit_eviction_admit(connection);
	pipit_connection_adopt(connection);
	return true;
}

/* --- clients behind a proxy ------------------------------------------------------------------------------------------- */

static void on_proxied(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length, void *net)
{
	struct pipit_connection *connection = take_spare(net);
	(void)listener;

	if (connection)
		take_up(connection, fd, peer, (socklen_t)length, is_from(net, fd, is_admin), true);
	else
		close(fd);
}

enum {
	/* Of a listener, in which its callback and its argument lie; there are more. */
	LISTENER_WORDS = 16
};

struct words {
	const void *at[LISTENER_WORDS];
};

static struct words read_words(const struct evconnlistener *listener)
{
	struct words words;
	memcpy(&words, (const void *)listener, sizeof words);
	return words;
}

static size_t find_word(const struct words *words, const void *wanted)
{
	size_t i = 0;
	while (i < LISTENER_WORDS && words->at[i] != wanted)
		i++;
	return i;
}

/*
 * evhttp makes a connection for a client, with the client's address, only in the callback that it has set on a listener, and libevent has no
 * function that tells it: set another one, and see where it is. NULL: it cannot be found.
 */
static pipit_evhttp_link_acceptor *replace_callback(struct listening_socket *socket)
{
	pipit_evhttp_link_acceptor *callback = on_proxied;
	struct words before = read_words(socket->listener), after;
	const void *word;
	size_t at, argument;

	memcpy(&word, &callback, sizeof word);
	evconnlistener_set_cb(socket->listener, on_proxied, socket->net);
	after = read_words(socket->listener);
	at = find_word(&after, word);
	argument = find_word(&after, socket->net);
	if (at == LISTENER_WORDS || argument == LISTENER_WORDS ||
	    before.at[argument] != pipit_evhttp_link_http(socket->net))
		return NULL;
	memcpy(&callback, &before.at[at], sizeof callback);
	return callback;
}

enum pipit_acceptor_header pipit_acceptor_await_proxy(struct pipit_connection *connection, enum pipit_refusal *reason)
{
	struct pipit_net *net = connection->net;

	if (net->trusted_proxies && !pipit_trusted_proxies_contain(net->trusted_proxies, &connection->peer)) {
		*reason = PIPIT_REFUSAL_UNTRUSTED_PROXY;
		return PIPIT_ACCEPTOR_REFUSED;
	}
	pipit_connection_set_state(connection, PIPIT_CONNECTION_PROXY);
	return pipit_acceptor_receive_proxy(connection, reason);
}

/* Bytes of the header, which the socket still has. False: it has failed. */
static bool consume(struct pipit_connection *connection, char *bytes, size_t length)
{
	struct pipit_net *net = connection->net;

	if (recv(connection->fd, bytes, length, MSG_DONTWAIT) != (ssize_t)length)
		return false;
	pipit_counters_add(net->counters, PIPIT_COUNT_RECEIVED, length);
	connection->moved_ms = net->now_ms;
	return true;
}

/* A part of the header may evict an older one. */
static bool keep(struct pipit_connection *connection, const char *bytes, size_t length, enum pipit_refusal *reason)
{
	*reason = pipit_input_keep(connection, bytes, length);
	if (*reason == PIPIT_REFUSAL_MEMORY_LIMIT && pipit_eviction_free_bytes(connection))
		*reason = pipit_input_keep(connection, bytes, length);
	return *reason == PIPIT_REFUSAL_NONE;
}

static bool show_to_evhttp(struct pipit_connection *connection)
{
	struct pipit_net *net = connection->net;

	if (!pipit_evhttp_link_http(net))
		return false;
	pipit_connection_watch(connection, 0);
	pipit_evhttp_link_give(connection, net->acceptor->accept);
	connection->fd = pipit_evhttp_link_accepted(connection);
	return connection->fd >= 0;
}

static enum pipit_acceptor_header take_client(
    struct pipit_connection *connection, const struct pipit_proxy_protocol *header, enum pipit_refusal *reason)
{
	bool has_client = header->has_client;

#ifndef __GLIBC__
	/* See may_accept(). */
	has_client &= header->client.any.sa_family != AF_UNIX;
#endif
	pipit_input_drop(connection);
	if (has_client)
		connection->peer = header->client;
	if (connection->evhttp && !show_to_evhttp(connection))
		return PIPIT_ACCEPTOR_CLOSED;
	/* TLS begins behind the header. */
	if (is_from(connection->net, connection->fd, is_tls))
		start_tls(connection);
	pipit_connection_set_state(connection, PIPIT_CONNECTION_IDLE);
	*reason = pipit_eviction_admit_client(connection);
	return PIPIT_ACCEPTOR_ADMITTED;
}

/* A part of a header is taken from the socket, which would be readable for ever; a whole one without a byte of what follows. */
enum pipit_acceptor_header pipit_acceptor_receive_proxy(struct pipit_connection *connection, enum pipit_refusal *reason)
{
	struct pipit_proxy_protocol header;
	size_t before = connection->in.length;
	char *bytes = connection->net->in;
	ssize_t received =
	    recv(connection->fd, bytes + before, PIPIT_PROXY_PROTOCOL_MAX - before, MSG_PEEK | MSG_DONTWAIT);

	if (received < 0 && (errno == EAGAIN || errno == EINTR))
		return PIPIT_ACCEPTOR_WAITS;
	if (received <= 0)
		return PIPIT_ACCEPTOR_CLOSED;
	if (before)
		memcpy(bytes, connection->in.data, before);
	switch (pipit_proxy_protocol_parse(bytes, before + (size_t)received, &header)) {
	case PIPIT_PROXY_PROTOCOL_MORE:
		if (!consume(connection, bytes + before, (size_t)received))
			return PIPIT_ACCEPTOR_CLOSED;
		return keep(connection, bytes, before + (size_t)received, reason) ? PIPIT_ACCEPTOR_WAITS
										  : PIPIT_ACCEPTOR_REFUSED;
	case PIPIT_PROXY_PROTOCOL_DONE:
		return consume(connection, bytes + before, header.length - before)
			   ? take_client(connection, &header, reason)
			   : PIPIT_ACCEPTOR_CLOSED;
	default:
		*reason = PIPIT_REFUSAL_PROXY_HEADER;
		return PIPIT_ACCEPTOR_REFUSED;
	}
}

/* --- listening sockets ------------------------------------------------------------------------------------------------ */

static ino_t inode_of(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

struct search {
	const struct listening_socket *socket;
	bool is_found;
};

static void compare(struct evhttp_bound_socket *bound, void *context)
{
	struct search *search = context;
	search->is_found |=
	    bound == search->socket->bound && inode_of(evhttp_bound_socket_get_fd(bound)) == search->socket->inode;
}

/* The program may have deleted the socket from its evhttp, which frees it, and have bound another. */
static bool is_there(struct pipit_net *net, const struct listening_socket *socket)
{
	struct search search = { .socket = socket };
	struct evhttp *http = pipit_evhttp_link_http(net);
	if (http)
		evhttp_foreach_bound_socket(http, compare, &search);
	return search.is_found;
}

static void forget_deleted(struct pipit_net *net)
{
	struct pipit_acceptor *acceptor = net->acceptor;
	size_t kept = 0;
	/* Elsewhere sockets are events, which must not move. */
	if (net->evhttp_mode != PIPIT_EVHTTP_GUARDED)
		return;
	for (size_t i = 0; i < acceptor->count; i++) {
		if (is_there(net, &acceptor->sockets[i]))
			acceptor->sockets[kept++] = acceptor->sockets[i];
	}
	acceptor->count = kept;
}

/* Without getnameinfo() for a local client, as in other C libraries, evhttp ends the process. */
static bool may_accept(int fd)
{
#ifdef __GLIBC__
	(void)fd;
	return true;
#else
	int domain = AF_UNIX;
	socklen_t length = sizeof domain;
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain != AF_UNIX;
#endif
}

static bool give_to_evhttp(struct listening_socket *socket)
{
	struct pipit_net *net = socket->net;

	socket->listener = evconnlistener_new(
	    net->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, socket->fd);
	if (!socket->listener) {
		close(socket->fd);
		return false;
	}
	evconnlistener_set_error_cb(socket->listener, socket->on_error);
	socket->inode = inode_of(socket->fd);
	socket->bound = evhttp_bind_listener(pipit_evhttp_link_http(net), socket->listener);
	if (!socket->bound)
		evconnlistener_free(socket->listener);
	return socket->bound != NULL;
}

int pipit_acceptor_add(
    struct pipit_net *net, int fd, bool is_admin, pipit_acceptor_error *on_error, struct evhttp_bound_socket **bound)
{
	struct pipit_acceptor *acceptor = net->acceptor;
	struct listening_socket *socket;

	forget_deleted(net);
	if (acceptor->count >= (is_admin ? SOCKETS_MAX : PIPIT_LISTEN_MAX)) {
		close(fd);
		return -ENOSPC;
	}
	socket = &acceptor->sockets[acceptor->count];
	*socket = (struct listening_socket){ .net = net, .on_error = on_error, .fd = fd, .is_admin = is_admin };
	if (evhttp_accepts(net) && !may_accept(fd)) {
		close(fd);
		return -EAFNOSUPPORT;
	}
	if (evhttp_accepts(net) && !give_to_evhttp(socket))
		return -ENOMEM;
	if (!evhttp_accepts(net))
		event_assign(&socket->event, net->base, fd, EV_READ | EV_PERSIST, on_pending, socket);
	if (bound)
		*bound = socket->bound;
	acceptor->count++;
	/* libevent would not tell later that the event could not be added. */
	return set_listening(socket, true) ? 0 : -ENOMEM;
}

int pipit_acceptor_expect_proxies(struct pipit_net *net)
{
	struct pipit_acceptor *acceptor = net->acceptor;
	struct listening_socket *socket = &acceptor->sockets[acceptor->count - 1];

	socket->is_proxied = true;
	if (!socket->listener)
		return 0;
	acceptor->accept = replace_callback(socket);
	return acceptor->accept ? 0 : -ENOTSUP;
}

void pipit_acceptor_use_tls(struct pipit_net *net)
{
	struct pipit_acceptor *acceptor = net->acceptor;
	acceptor->sockets[acceptor->count - 1].is_tls = true;
}

/* The program's own sockets included. */
static void for_each_bound(
    struct pipit_net *net, void (*function)(struct evhttp_bound_socket *bound, void *context), void *context)
{
	struct evhttp *http = pipit_evhttp_link_http(net);
	if (net->evhttp_mode == PIPIT_EVHTTP_GUARDED && http)
		evhttp_foreach_bound_socket(http, function, context);
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
	for_each_bound(net, watch_errors, &(struct error_callback){ on_error });
}

struct change {
	bool listens;
	bool is_done;
};

static void change_bound(struct evhttp_bound_socket *bound, void *context)
{
	struct change *change = context;
	struct listening_socket socket = { .listener = evhttp_bound_socket_get_listener(bound) };
	change->is_done &= set_listening(&socket, change->listens);
}

static bool set_all(struct pipit_net *net, bool listens)
{
	struct pipit_acceptor *acceptor = net->acceptor;
	struct change change = { .listens = listens, .is_done = true };

	for_each_bound(net, change_bound, &change);
	for (size_t i = 0; i < acceptor->count && net->evhttp_mode != PIPIT_EVHTTP_GUARDED; i++)
		change.is_done &= set_listening(&acceptor->sockets[i], listens);
	return change.is_done;
}

void pipit_acceptor_pause(struct pipit_net *net)
{
	set_all(net, false);
	net->acceptor->is_paused = true;
}

bool pipit_acceptor_resume(struct pipit_net *net)
{
	/* A program pauses its own sockets, too. */
	if (net->acceptor->is_paused)
		net->acceptor->is_paused = !set_all(net, true);
	return !net->acceptor->is_paused;
}

bool pipit_acceptor_is_paused(const struct pipit_net *net)
{
	return net->acceptor->is_paused;
}

void pipit_acceptor_remove(struct pipit_net *net)
{
	struct pipit_acceptor *acceptor = net->acceptor;

	forget_deleted(net);
	while (acceptor->count) {
		struct listening_socket *socket = &acceptor->sockets[--acceptor->count];
		if (socket->bound) {
			evhttp_del_accept_socket(pipit_evhttp_link_http(net), socket->bound);
			continue;
		}
		set_listening(socket, false);
		close(socket->fd);
	}
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

bool pipit_acceptor_open(struct pipit_net *net)
{
	net->acceptor = calloc(1, sizeof *net->acceptor);
	if (!net->acceptor)
		return false;
	pipit_evhttp_link_set_supply(net, take_spare);
	return pipit_acceptor_is_ready(net);
}

static void free_spare(struct pipit_net *net)
{
	struct pipit_connection *spare = net->acceptor->spare;
	net->acceptor->spare = NULL;
	if (!spare)
		return;
	if (spare->evhttp)
		pipit_evhttp_link_close(spare);
	pipit_connection_free(spare);
}

/* Connections that are not adopted are on no other list. */
static void free_accepted(struct pipit_net *net)
{
	struct pipit_connection *next;
	for (struct pipit_connection *at = net->waiting; at; at = next) {
		next = at->next_waiting;
		if (at->state != PIPIT_CONNECTION_NEW)
			continue;
		if (at->evhttp)
			pipit_evhttp_link_close(at);
		pipit_connection_free(at);
	}
}

void pipit_acceptor_close(struct pipit_net *net)
{
	if (!net->acceptor)
		return;
	pipit_acceptor_remove(net);
	free_spare(net);
	free_accepted(net);
	free(net->acceptor);
	net->acceptor = NULL;
}
