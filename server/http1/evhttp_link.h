/* SPDX-License-Identifier: MIT */
/*
 * A link: a connection of evhttp that never touches a socket.
 *
 * evhttp gets a filter bufferevent over a socket bufferevent that neither reads nor writes, one for all filters of a worker: nothing is
 * registered with epoll, and evhttp's enable and disable calls change flags only. evhttp_lane.c fills the filter's input buffer and
 * empties its output buffer.
 *
 * evhttp makes connections only by accepting. Where callbacks ask for the client's address, it accepts the clients, and each has its own
 * link. Elsewhere a request borrows one from the worker's pool, which evhttp has accepted from a client of pipit itself.
 *
 * evhttp holds a link until it releases it; libevent then frees it. A connection and its link may end in either order: pipit closes a
 * link by telling evhttp EOF; when evhttp releases a link first, its connection is unlinked. Public functions of libevent 2.1 only.
 */
#ifndef PIPIT_EVHTTP_LINK_H
#define PIPIT_EVHTTP_LINK_H

#include "net/net.h"

#include <event2/bufferevent.h>

struct evconnlistener;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;
struct evkeyval;

/* evhttp behind the connections of a worker. NULL and 0 mean none. */
struct pipit_evhttp_lane {
	/* NULL: the program has freed its own. Atomic: other threads look for the guard of an evhttp. */
	_Atomic(struct evhttp *) http;
	struct bufferevent *socket_bev; /* under the filters of all links */
	/* acceptor.c's: a connection for a client; NULL: memory is short */
	struct pipit_connection *(*take_spare)(struct pipit_net *net);
	/*
	 * In front of a program that is not written for pipit: evhttp keeps the connection of a client that has left until the callback
	 * replies, as without pipit; the program may use it.
	 */
	bool keeps_left;
	struct pipit_evhttp_link *left; /* such links */
	struct event *left_event;       /* active: one of them has a reply */
	struct pipit_evhttp_link *pool; /* not borrowed */
	size_t pool_count;
	struct pipit_evhttp_link *proxied;     /* its client is given to evhttp next */
	struct pipit_evhttp_link *accepting;   /* given to evhttp, its descriptor is not taken yet */
	struct pipit_evhttp_link *offered;     /* for pipit's own client, which evhttp accepts next */
	struct evconnlistener *listener;       /* for `offered` */
	struct pipit_evhttp_link *last_resort; /* for a client without a connection, in mode GUARDED */
	bool closes_null;                      /* evhttp closes a client for which its bevcb returns NULL */
	struct pipit_evhttp_link *sentinel;    /* see pipit_evhttp_link_watch() */
	void (*on_evhttp_freed)(void *watcher);
	void *watcher;
	char *head; /* that evhttp is shown, owned */
	size_t head_capacity;
	struct evkeyval *date_field; /* for the next reply; libevent's memory */
	time_t date_field_second;
};

/* evhttp's callback of a listening socket: it makes an evhttp connection for a client. */
typedef void pipit_evhttp_link_acceptor(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length, void *http);

struct pipit_evhttp_link {
	struct pipit_net *net;
	struct pipit_connection *connection; /* NULL: in the pool, or closed */
	struct bufferevent *bev;
	struct evhttp_connection *holder; /* evhttp's; NULL before its first request */
	struct pipit_evhttp_link *next;   /* in the pool, or among those that are left */
	/* Owned until the link is unlinked; -1: none. evhttp calls shutdown() on it when it releases the link. */
	int fd;
	uint64_t timeout_ms; /* for a silent client, set by the program or a callback */

	/* Of the current request and its reply. */
	struct evhttp_request *request; /* until its reply is complete; NULL in mode GUARDED */
	size_t head_left;               /* bytes of the head in the output buffer */
	int64_t content_length;         /* as announced; -1: not announced */
	size_t largest;                 /* most bytes that were added to the output buffer at once */
	size_t output_length;           /* when last seen */
	uint64_t behind_since_ms;       /* see pipit_evhttp_lane_is_behind() */
	bool was_called;
	bool owes_notice;  /* that all is written, in the next turn */
	bool is_head_done; /* read, and amended where needed */
	bool stays;        /* the reply does not say "Connection: close" */
	bool has_content;  /* by the head */
	bool is_released;  /* by evhttp, when last looked at */
	bool is_measured;  /* on_output() ignores what it sees */
	bool is_left;      /* see keeps_left */
};

/* bufferevent_free() leaves no callback and no argument; a route's callback may have set its own. Only libevent may touch the
 * bufferevent of a released link. */
static inline bool pipit_evhttp_link_is_released(const struct pipit_evhttp_link *link)
{
	bufferevent_event_cb on_event;
	void *context;
	bufferevent_getcb(link->bev, NULL, NULL, &on_event, &context);
	return !on_event && !context;
}

/*
 * As pipit_evhttp_lane_open(), in a mode other than NONE. on_request: evhttp's generic callback, called with the net; unused in mode
 * GUARDED.
 */
int pipit_evhttp_link_open(
    struct pipit_net *net, struct evhttp *http, void (*on_request)(struct evhttp_request *request, void *net));

void pipit_evhttp_link_set_supply(struct pipit_net *net, struct pipit_connection *(*take_spare)(struct pipit_net *net));

/* NULL: there is none, or the program has freed its own. */
struct evhttp *pipit_evhttp_link_http(const struct pipit_net *net);

/* What evhttp_set_timeout() or evhttp_connection_set_timeout() allow a silent client; 0: no limit. */
uint64_t pipit_evhttp_link_timeout_ms(const struct pipit_connection *connection);

/* See `keeps_left`. False: memory is short. */
bool pipit_evhttp_link_keep_left(struct pipit_net *net);

/* When connections have been dropped. libevent frees the links that evhttp holds. */
void pipit_evhttp_link_close_all(struct pipit_net *net);

/*
 * As evhttp's bevcb, in mode GUARDED. NULL when memory is short: evhttp serves this client unguarded, unless the caller has it closed, as
 * pipit_evhttp_link_close_null() promises.
 */
struct bufferevent *pipit_evhttp_link_accept(struct pipit_net *net);

void pipit_evhttp_link_close_null(struct pipit_net *net);

/* Whether it is that of a link. */
bool pipit_evhttp_link_has(const struct pipit_net *net, struct bufferevent *bev);

/*
 * The program has enabled writing on a bufferevent, perhaps that of a link. A socket would tell it at once that it may write; without
 * this call, a program that replies past evhttp would wait for ever. In mode GUARDED.
 */
void pipit_evhttp_link_write_enabled(struct pipit_net *net, struct bufferevent *bev);

/* For a new connection. False when memory is short. */
bool pipit_evhttp_link_attach(struct pipit_connection *connection);

/* Tries to allocate it. True outside of mode GUARDED, which alone needs it. */
bool pipit_evhttp_link_has_last_resort(struct pipit_net *net);

/* After evhttp has accepted: the link's descriptor. -1: memory was short, and the link is unlinked. */
int pipit_evhttp_link_accepted(struct pipit_connection *connection);

/*
 * Have evhttp accept a client that pipit has accepted, whose connection has a link, a descriptor and a peer. Then
 * pipit_evhttp_link_accepted() has the descriptor, which the connection no longer owns.
 */
void pipit_evhttp_link_give(struct pipit_connection *connection, pipit_evhttp_link_acceptor *accept);

/* Take a timeout that evhttp or a callback has set on the bufferevent. evhttp holds the link. */
void pipit_evhttp_link_take_timeout(struct pipit_evhttp_link *link);

/* For a callback that calls bufferevent_getfd() to set socket options. Not for a borrowed link. */
void pipit_evhttp_link_show_descriptor(struct pipit_evhttp_link *link, bool is_shown);

/* For the current request. False when memory or descriptors are short. */
bool pipit_evhttp_link_borrow(struct pipit_connection *connection);

void pipit_evhttp_link_return(struct pipit_connection *connection);

/* evhttp has released the link: its descriptor becomes the connection's. */
void pipit_evhttp_link_unlink(struct pipit_connection *connection);

/* Have evhttp release the link. A callback's reply frees a request that is not answered. */
void pipit_evhttp_link_close(struct pipit_connection *connection);

/*
 * Notice evhttp_free() by a link that the program's evhttp holds: pipit_evhttp_link_http() is NULL from then on, and on_evhttp_freed is
 * called when libevent frees the link, in a later turn or in event_base_free(), but not after pipit_evhttp_link_close_all(). 0 or
 * -ENOMEM.
 */
int pipit_evhttp_link_watch(struct pipit_net *net, void (*on_evhttp_freed)(void *watcher), void *watcher);

#endif
