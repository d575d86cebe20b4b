/* SPDX-License-Identifier: MIT */
/* See engine.h. Every function of libevent that is used in an unusual way says why here. */
#include "engine.h"

#include "reserve.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A client of our own is there at once; some kernels need a moment. */
#define ARRIVAL_MS 100

struct pipit_engine {
	/* Of the engine's own, turned only while evhttp accepts or frees: that way both happen at once, wherever the worker's
	 * loop stands. */
	struct event_base *base;
	struct evhttp *http;
	struct bufferevent *next;             /* what evhttp gets when it accepts */
	struct evconnlistener *listener;      /* NULL but while evhttp accepts */
	struct bufferevent *bev;              /* of the connection; NULL when there is none */
	struct evhttp_connection *connection; /* NULL before its first request */
	unsigned freed;                       /* sleepers that libevent has freed */
	bool was_called;                      /* by evhttp, for what it was shown */
};

/* --- the sleeping bufferevent -------------------------------------------------------------------------------------- */

static enum bufferevent_filter_result no_bytes(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	(void)source, (void)target, (void)limit, (void)mode, (void)context;
	return BEV_NEED_MORE;
}

struct bufferevent *pipit_engine_new_sleeper(
    struct event_base *base, bufferevent_filter_cb on_output, void (*free_context)(void *), void *context)
{
	struct bufferevent *socket_bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), *bev;

	if (!socket_bev)
		return NULL;
	bev = bufferevent_filter_new(socket_bev, no_bytes, on_output, BEV_OPT_CLOSE_ON_FREE, free_context, context);
	if (!bev) {
		bufferevent_free(socket_bev);
		return NULL;
	}
	/* bufferevent_filter_new() enabled it; from here on it sleeps. */
	bufferevent_disable(socket_bev, EV_READ | EV_WRITE);
	return bev;
}

/* --- one connection of evhttp -------------------------------------------------------------------------------------- */

static void on_free(void *context)
{
	struct pipit_engine *engine = context;
	engine->freed++;
}

/* libevent frees in a later turn of its loop. */
static void turn(struct pipit_engine *engine)
{
	event_base_loop(engine->base, EVLOOP_NONBLOCK);
	event_base_loop(engine->base, EVLOOP_NONBLOCK);
}

/* evhttp's bevcb. It must never return NULL: evhttp would make a plain socket bufferevent instead, without a guard. So there
 * is one in stock, and after this nobody else is accepted. */
static struct bufferevent *take_next(struct event_base *base, void *context)
{
	struct pipit_engine *engine = context;
	(void)base;
	evconnlistener_disable(engine->listener);
	engine->bev = engine->next;
	engine->next = NULL;
	return engine->bev;
}

/* evhttp asks for the name of whoever connects, and ends the process when there is none: not every libc has names for
 * local sockets. */
static bool has_local_names(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char host[NI_MAXHOST], service[NI_MAXSERV];
	return getnameinfo((struct sockaddr *)&address, sizeof address.sun_family, host, sizeof host, service,
		   sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) == 0;
}

/* A listening socket with a name of the system's choice, for a moment. */
static int open_listener(sa_family_t family, struct sockaddr_storage *address, socklen_t *length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	int fd;

	*length = family == AF_UNIX ? sizeof family : sizeof *v4;
	*v4 = (struct sockaddr_in){ .sin_family = family, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)address, *length) == 0 && listen(fd, 1) == 0) {
		*length = sizeof *address;
		if (getsockname(fd, (struct sockaddr *)address, length) == 0)
			return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* evhttp makes connections by accepting only, so it is given somebody to accept: a client of ours, that leaves at once. */
static void accept_ourselves(struct pipit_engine *engine, sa_family_t family)
{
	struct sockaddr_storage address;
	socklen_t length;
	struct evhttp_bound_socket *bound = NULL;
	int listener = open_listener(family, &address, &length), client = -1;

	if (listener >= 0)
		client = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client >= 0 && (connect(client, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS))
		bound = evhttp_accept_socket_with_handle(engine->http, listener);
	if (bound) {
		struct pollfd arrival = { .fd = listener, .events = POLLIN };
		poll(&arrival, 1, ARRIVAL_MS);
		engine->listener = evhttp_bound_socket_get_listener(bound);
		turn(engine);
		evhttp_del_accept_socket(engine->http, bound);
		engine->listener = NULL;
	} else if (listener >= 0) {
		close(listener);
	}
	if (client >= 0)
		close(client);
}

/* Never on the way of a request but after evhttp has run out of memory. */
static bool connect_engine(struct pipit_engine *engine)
{
	unsigned freed_before;
	if (!engine->next)
		engine->next = pipit_engine_new_sleeper(engine->base, no_bytes, on_free, engine);
	if (!engine->next)
		return false;
	/* The one before. */
	turn(engine);
	freed_before = engine->freed;
	if (has_local_names())
		accept_ourselves(engine, AF_UNIX);
	/* A sandbox may forbid local sockets. */
	if (!engine->bev)
		accept_ourselves(engine, AF_INET);
	if (!engine->bev)
		return false;
	/* evhttp may be short of memory after it was given it, or before it holds it. */
	if (engine->freed == freed_before) {
		if (!pipit_bufferevent_is_let_go(engine->bev))
			return true;
		bufferevent_free(engine->bev);
	}
	engine->bev = NULL;
	return false;
}

/* evhttp gives a connection up when it is short of memory. */
static void on_close(struct evhttp_connection *connection, void *context)
{
	struct pipit_engine *engine = context;
	if (connection == engine->connection) {
		engine->bev = NULL;
		engine->connection = NULL;
	}
}

/* It has not called back for a whole canonical message: nothing that it holds is worth anything. */
static void disconnect(struct pipit_engine *engine)
{
	struct bufferevent *bev = engine->bev;
	engine->bev = NULL;
	engine->connection = NULL;
	if (bev && !pipit_bufferevent_is_let_go(bev))
		bufferevent_trigger_event(bev, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
}

/* --- showing evhttp a message -------------------------------------------------------------------------------------- */

/*
 * A native route needs of evhttp its request and its order of events; target, fields and content it takes from the guard's
 * slices. So evhttp is told the method and nothing else: no byte that a client chose meets its parsers, which allocate for each
 * part of a target and thrice for each field.
 */
static const struct message {
	const char *bytes;
	size_t length;
} messages[] = {
#define MESSAGE(method)                                                                \
	{                                                                              \
		method " / HTTP/1.1\r\n\r\n", sizeof(method " / HTTP/1.1\r\n\r\n") - 1 \
	}
	/* in the order of enum pipit_method */
	MESSAGE("GET"),
	MESSAGE("HEAD"),
	MESSAGE("POST"),
	MESSAGE("PUT"),
	MESSAGE("DELETE"),
	MESSAGE("OPTIONS"),
	MESSAGE("PATCH"),
#undef MESSAGE
};
_Static_assert(PIPIT_GET == 1 && PIPIT_PATCH == 1 << 6, "messages follows the bits of enum pipit_method");

static bool put_message(struct evbuffer *input, unsigned method)
{
	const struct message *message = &messages[__builtin_ctz(method)];
	return evbuffer_add(input, message->bytes, message->length) == 0;
}

bool pipit_engine_show(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_transport *transport = connection->transport;
	struct pipit_engine *engine = transport->engine;

	/* What evhttp has begun it must be able to end. */
	if (pipit_reserve_is_low() || (!engine->bev && !connect_engine(engine)))
		return false;
	engine->was_called = false;
	transport->body = body;
	if (put_message(bufferevent_get_input(engine->bev), connection->head->method))
		bufferevent_trigger(engine->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	if (!engine->was_called)
		disconnect(engine);
	return engine->was_called;
}

/* evhttp's generic callback; it has no other. */
static void on_request(struct evhttp_request *request, void *context)
{
	struct pipit_transport *transport = context;
	struct pipit_engine *engine = transport->engine;

	engine->was_called = true;
	if (!engine->connection) {
		engine->connection = evhttp_request_get_connection(request);
		evhttp_connection_set_closecb(engine->connection, on_close, engine);
	}
	transport->hooks->handle(transport->context, transport->current, request, transport->body);
	/* Without a start, and with nothing in its output buffer, evhttp finishes the request at once. */
	evhttp_send_reply_end(request);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* It watches one socket for a turn: poll() is enough. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;
	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
	    event_config_avoid_method(config, "epoll") == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

int pipit_engine_open(struct pipit_transport *transport)
{
	struct pipit_engine *engine = transport->engine = calloc(1, sizeof *engine);

	if (!engine)
		return -ENOMEM;
	engine->base = new_base();
	engine->http = engine->base ? evhttp_new(engine->base) : NULL;
	if (engine->http) {
		evhttp_set_bevcb(engine->http, take_next, engine);
		evhttp_set_gencb(engine->http, on_request, transport);
		/* The router has decided already; evhttp must not refuse a method by itself. */
		evhttp_set_allowed_methods(engine->http, 0xffff);
		if (connect_engine(engine))
			return 0;
	}
	pipit_engine_close(transport);
	return -ENOMEM;
}

void pipit_engine_close(struct pipit_transport *transport)
{
	struct pipit_engine *engine = transport->engine;
	if (!engine)
		return;
	if (engine->connection)
		evhttp_connection_set_closecb(engine->connection, NULL, NULL);
	if (engine->http)
		evhttp_free(engine->http);
	if (engine->next)
		bufferevent_free(engine->next);
	if (engine->base)
		event_base_free(engine->base);
	free(engine);
	transport->engine = NULL;
}
