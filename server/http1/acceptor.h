/* SPDX-License-Identifier: MIT */
/* Listening sockets, and new connections until they are adopted. */
#ifndef PIPIT_ACCEPTOR_H
#define PIPIT_ACCEPTOR_H

#include "base/refusal.h"

#include <stdbool.h>

struct evconnlistener;
struct evhttp_bound_socket;
struct pipit_connection;
struct pipit_net;

/* Make net->acceptor, after net->evhttp. False when memory is short. */
bool pipit_acceptor_open(struct pipit_net *net);

/* Stop listening, and free connections that are not adopted. */
void pipit_acceptor_close(struct pipit_net *net);

/*
 * accept() failed: pause. Where evhttp accepts, `context` is the evhttp. Where pipit accepts, listener is NULL, `context` is that of the
 * handler table, and the socket is paused already.
 */
typedef void pipit_acceptor_error(struct evconnlistener *listener, void *context);

/*
 * Takes a listening socket, also on failure.
 *
 * is_admin: the socket is that of admin_listen.
 * bound:    receives evhttp's handle, or NULL where pipit accepts; may be NULL.
 * Returns 0;
 * -ENOMEM;
 * -ENOSPC: beyond PIPIT_LISTEN_MAX, and one of admin_listen;
 * -EAFNOSUPPORT: evhttp accepts, and would not survive a client of a UNIX socket.
 */
int pipit_acceptor_add(
    struct pipit_net *net, int fd, bool is_admin, pipit_acceptor_error *on_error, struct evhttp_bound_socket **bound);

/*
 * Connections of the socket that was added last begin with a PROXY header. 0; -ENOTSUP: evhttp accepts, and this libevent does not let pipit
 * tell it the client's address.
 */
int pipit_acceptor_expect_proxies(struct pipit_net *net);

/* The socket that was added last speaks TLS. With net->tls. */
void pipit_acceptor_use_tls(struct pipit_net *net);

/* For sockets that the program has bound to its guarded evhttp. */
void pipit_acceptor_watch_errors(struct pipit_net *net, pipit_acceptor_error *on_error);

/* There is memory for the next connection; tries to allocate it. */
bool pipit_acceptor_is_ready(struct pipit_net *net);

/* False when a socket could not be resumed: try again. */
void pipit_acceptor_pause(struct pipit_net *net);
bool pipit_acceptor_resume(struct pipit_net *net);
bool pipit_acceptor_is_paused(const struct pipit_net *net);

/* False: evhttp could not hold the connection, which is freed. *reason: PIPIT_REFUSAL_NONE, or why to refuse it. */
bool pipit_acceptor_adopt(struct pipit_connection *connection, enum pipit_refusal *reason);

enum pipit_acceptor_header {
	PIPIT_ACCEPTOR_WAITS,    /* for more of the header */
	PIPIT_ACCEPTOR_ADMITTED, /* *reason: as pipit_acceptor_adopt() */
	PIPIT_ACCEPTOR_REFUSED,  /* *reason: why; to be dropped, without a reply */
	PIPIT_ACCEPTOR_CLOSED    /* to be dropped */
};

/* After pipit_acceptor_adopt(), of a connection that is_proxied: the first call, and those in state PROXY when it is readable. */
enum pipit_acceptor_header pipit_acceptor_await_proxy(struct pipit_connection *connection, enum pipit_refusal *reason);
enum pipit_acceptor_header pipit_acceptor_receive_proxy(
    struct pipit_connection *connection, enum pipit_refusal *reason);

/* For good. */
void pipit_acceptor_remove(struct pipit_net *net);

#endif
