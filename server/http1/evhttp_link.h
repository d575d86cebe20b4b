/* SPDX-License-Identifier: MIT */
/*
 * A connection of evhttp that never touches a socket.
 *
 * evhttp is handed a filter bufferevent over a socket bufferevent whose reading and writing stay disabled, one for all filters of
 * a worker: nothing is registered with epoll, and evhttp's own enable and disable calls change flags only. evhttp_lane.c puts
 * whole messages into the filter's input buffer and takes the replies out of its output buffer.
 *
 * evhttp makes connections only by accepting. In a server whose evhttp callbacks ask who their client is, evhttp accepts the
 * clients, so that each client has a link of its own. In a server whose callbacks do not ask, a request borrows a link from the
 * worker's pool, which evhttp has accepted from a client of ours.
 *
 * A link is evhttp's until evhttp lets it go, and is freed by libevent after that. The connection is ours: it may end before its
 * link, and the link before it. Public functions of libevent 2.1 only.
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

/* evhttp behind the connection layer: see evhttp_link.c for how its connections come about, evhttp_lane.c for its requests. */
struct pipit_evhttp_lane {
	struct evhttp *http;            /* NULL: the program has freed its own */
	struct bufferevent *socket_bev; /* under the filters of all links; neither reads nor writes */
	/* The connection for the next client that evhttp accepts, acceptor.c's; NULL: there is no memory for one. */
	struct pipit_connection *(*take_spare)(struct pipit_net *net);
	struct pipit_evhttp_link *pool; /* links that no request has borrowed */
	size_t pool_count;
	struct pipit_evhttp_link *accepting; /* has been given to evhttp, which is setting its descriptor; NULL: none */
	struct pipit_evhttp_link
	    *offered; /* is given to evhttp, which accepts a client of ours; NULL: it accepts others */
	struct evconnlistener *listener; /* of that client */
	struct pipit_evhttp_link
	    *last_resort;                   /* for a client without a connection; in mode GUARDED; NULL: to be made */
	struct pipit_evhttp_link *sentinel; /* see pipit_evhttp_link_watch() */
	void (*on_evhttp_freed)(void *watcher);
	void *watcher;
	char *head; /* what evhttp is shown, owned */
	size_t head_capacity;
	struct evkeyval *date_field; /* of a reply that is complete, for the next one; libevent's memory; NULL: none */
	time_t date_field_second;
};

struct pipit_evhttp_link {
	struct pipit_net *net;
	struct pipit_connection *connection; /* whose requests it carries; NULL: it lies in the pool, or is given up */
	struct bufferevent *bev;
	struct evhttp_connection *holder; /* evhttp's; known since its first request; NULL: it has had none */
	struct pipit_evhttp_link *next;   /* in the pool */
	/* Accepted by evhttp, which calls shutdown() on it when it lets go, so that it must not be closed before; -1: none. */
	int fd;
	uint64_t timeout_ms; /* what the program's evhttp, or a callback, allows a silent client; 0: any time */

	/* the current request */
	struct evhttp_request *request; /* until its reply is complete; NULL when the callback is the program's */
	size_t head_left;               /* bytes of the reply's head still in the output buffer */
	int64_t content_length;         /* of the reply, as announced; -1: it was not */
	size_t largest;                 /* most bytes that were added to the output buffer at once */
	size_t output_length;           /* when that was last looked at */
	uint64_t crowded_ms;            /* since when there is more output than the client may leave; 0: there is not */
	bool was_called;                /* evhttp has called back */
	bool owes_notice;  /* evhttp is still to be told that all is written: others have their turn first */
	bool is_head_done; /* the reply's head has been read, and amended if need be */
	bool stays;        /* the reply does not say that the connection closes */
	bool has_content;  /* the reply has content, as its head says */
	bool is_let_go;    /* by evhttp, as known when evhttp was last triggered */
	bool is_measured;  /* the output buffer is being taken apart to measure it */
};

/* evhttp has let the link go: bufferevent_free() leaves no callback and no argument. A callback may have put its own in the place of
 * evhttp's. Nothing but libevent may touch the bufferevent of a link that is let go. */
static inline bool pipit_evhttp_link_is_let_go(const struct pipit_evhttp_link *link)
{
	bufferevent_event_cb on_event;
	void *context;
	bufferevent_getcb(link->bev, NULL, NULL, &on_event, &context);
	return !on_event && !context;
}

/*
 * Make net->evhttp, for net->evhttp_mode, which is not NONE. http: the program's evhttp, in mode GUARDED, else NULL. 0 or -ENOMEM.
 * on_request: evhttp's generic callback, with the connection layer as its argument; it has no other. Not for the program's evhttp.
 */
int pipit_evhttp_link_open(
    struct pipit_net *net, struct evhttp *http, void (*on_request)(struct evhttp_request *request, void *net));

/* Where the connections come from that evhttp accepts. */
void pipit_evhttp_link_set_supply(struct pipit_net *net, struct pipit_connection *(*take_spare)(struct pipit_net *net));

/* NULL: there is none, or the program has freed its own. */
struct evhttp *pipit_evhttp_link_http(const struct pipit_net *net);

/* What a program's evhttp (evhttp_set_timeout()), or a callback (evhttp_connection_set_timeout()), allows a silent client; 0: any
 * time. */
uint64_t pipit_evhttp_link_timeout_ms(const struct pipit_connection *connection);

/* Free what pipit_evhttp_link_open() made. Connections have been closed. Links that evhttp holds are freed by libevent. */
void pipit_evhttp_link_close(struct pipit_net *net);

/* Give a connection, which is to be accepted next, the link that evhttp is going to hold. False when memory is short. */
bool pipit_evhttp_link_attach(struct pipit_connection *connection);

/* What evhttp gets when a client comes for whom there is no connection is there; tries to make it. */
bool pipit_evhttp_link_has_last_resort(struct pipit_net *net);

/* Free the link of a connection that evhttp has never held. */
void pipit_evhttp_link_detach(struct pipit_connection *connection);

/* evhttp has accepted: the descriptor, which stays the link's. -1 when evhttp was short of memory; the link is then lost. */
int pipit_evhttp_link_accepted(struct pipit_connection *connection);

/* evhttp, or a callback, may have set a timeout: from now on it is the link's, and not the bufferevent's. Evhttp holds the link. */
void pipit_evhttp_link_take_timeout(struct pipit_evhttp_link *link);

/* Whether bufferevent_getfd() tells the client's descriptor: a callback may ask for it, to set an option of the socket. Not for a
 * borrowed link. */
void pipit_evhttp_link_show_descriptor(struct pipit_evhttp_link *link, bool is_shown);

/* Take a link from the pool, or make one, for the current request. False when memory or descriptors are short. */
bool pipit_evhttp_link_borrow(struct pipit_connection *connection);

/* The request is over: the link goes back into the pool. */
void pipit_evhttp_link_return(struct pipit_connection *connection);

/* evhttp has let go: the descriptor is the connection's. */
void pipit_evhttp_link_part(struct pipit_connection *connection);

/* Have evhttp let go. A request that is at its callback is then freed by the callback's reply. */
void pipit_evhttp_link_give_up(struct pipit_connection *connection);

/*
 * Have the program's evhttp hold a link of ours, by which we learn of evhttp_free(): from then on pipit_evhttp_link_http() is NULL,
 * and on_evhttp_freed is called once libevent frees the link, in a later turn of the loop or in event_base_free(). Not called after
 * pipit_evhttp_link_close(). 0 or -ENOMEM.
 */
int pipit_evhttp_link_watch(struct pipit_net *net, void (*on_evhttp_freed)(void *watcher), void *watcher);

#endif
