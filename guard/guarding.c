/* SPDX-License-Identifier: MIT */
/*
 * libpipit-guard-core.so: the guard in a program that is not linked with pipit. It is loaded when the program binds an evhttp, and calls the
 * libevent of the program.
 *
 * A guard comes in front of an evhttp in two steps. Before the first socket is bound, the bevcb of the evhttp becomes on_first_client(),
 * so that no client is served without the guard. The guard itself is attached on the thread that runs the loop, by on_start() or by the
 * first client: the thread that binds may be another, and may fork before the loop runs.
 */
#include "guarding.h"

#include "app/server.h"
#include "app/worker.h"
#include "base/log.h"
#include "configuration.h"
#include "http1/evhttp_link.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct timeval at_once = { 0, 1 }, later = { 0, 250 * 1000 };

struct guarded {
	struct guarded *next;
	struct evhttp *http;         /* NULL: the program has freed it */
	struct event_base *base;     /* NULL: no socket is bound yet */
	struct event *start;         /* on_start(); NULL: none yet */
	struct bufferevent *refusal; /* for a client when the guard cannot be attached; NULL: see `closes_null` */
	struct pipit_server *server;
	bool is_shown; /* at /metrics */
	bool is_attached;
	bool is_paused; /* its sockets, see on_first_client() */
	bool is_aside;  /* for the rest of its life */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static struct guarded *all;
static char *const *environment; /* the PIPIT_ variables */
static struct guard_configuration guard;
static enum { NOT_READ, RIGHT, WRONG } configuration_state;
static struct guard_metrics metrics = { .fd = -1 };
static struct event_base *metrics_base;
static pthread_t metrics_thread;
static pid_t metrics_process; /* that has the thread; 0: none */

/* This thread is in one of the functions below, or attaches a guard: its calls of libevent are not the program's. */
static _Thread_local unsigned inside;

/* The client that evhttp accepts on this thread: its bevcb has no bufferevent for it. */
static _Thread_local bool refuses;

/*
 * libevent calls its own functions by their public names, so that libpipit-guard.so has a refused client closed. One that is linked with
 * -Bsymbolic does not.
 */
static bool closes_null;

/* --- the metrics -------------------------------------------------------------------------------------------------------- */

static void *run_metrics(void *base)
{
	event_base_dispatch(base);
	return NULL;
}

/* A thread of its own: the program's loop may end, and must not be kept by a listener. Signals are the program's. Tried once. */
static void start_metrics(void)
{
	static bool is_tried;
	sigset_t every, before;
	int error = -ENOMEM;

	if (!metrics.server || is_tried)
		return;
	is_tried = true;
	metrics_base = event_base_new();
	if (metrics_base)
		error = pipit_server_attach(metrics.server, metrics_base);
	if (error == 0) {
		/* takes the descriptor, also when it fails */
		error = pipit_server_listen_on(metrics.server, metrics.fd);
		metrics.fd = -1;
	}
	if (error == 0) {
		sigfillset(&every);
		pthread_sigmask(SIG_SETMASK, &every, &before);
		error = pthread_create(&metrics_thread, NULL, run_metrics, metrics_base);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	metrics_process = error == 0 ? getpid() : 0;
	if (error == 0)
		pipit_log(PIPIT_LOG_INFO, "serves metrics at %s/metrics", metrics.url);
	else
		pipit_log(PIPIT_LOG_ERROR, "goes on without metrics: cannot start their thread");
}

/* Before the destructors of libevent and of the C library. A process that was forked has no such thread. */
__attribute__((destructor)) static void stop_metrics(void)
{
	if (!metrics_process || metrics_process != getpid() || pthread_equal(pthread_self(), metrics_thread))
		return;
	pipit_server_stop_loop(metrics.server);
	pthread_join(metrics_thread, NULL);
}

/* --- attaching ---------------------------------------------------------------------------------------------------------- */

static enum bufferevent_filter_result pass_nothing(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	(void)source, (void)target, (void)limit, (void)mode, (void)context;
	return BEV_NEED_MORE;
}

static struct bufferevent *on_first_client(struct event_base *base, void *context);

/* evhttp's bevcb when the guard is attached. */
static struct bufferevent *on_client(struct event_base *base, void *net)
{
	struct bufferevent *bev = pipit_evhttp_link_accept(net);
	(void)base;
	refuses = !bev;
	return bev;
}

static void on_request(struct evhttp_request *request, void *arg)
{
	(void)request, (void)arg;
}

/* With the lock. Returns the event, to be freed without it: event_free() waits for on_start(), which takes it. May be NULL. */
static struct event *forget(struct guarded *guarded)
{
	struct event *start = guarded->start;

	for (struct guarded **at = &all; *at; at = &(*at)->next) {
		if (*at != guarded)
			continue;
		*at = guarded->next;
		break;
	}
	if (guarded->refusal)
		bufferevent_free(guarded->refusal);
	free(guarded);
	return start;
}

static void free_start(struct event *start)
{
	if (start)
		event_free(start);
}

static bool is_known(const struct guarded *guarded)
{
	const struct guarded *at = all;
	while (at && at != guarded)
		at = at->next;
	return at != NULL;
}

/* evhttp_free() has run. What /metrics shows stays there. */
static void on_evhttp_freed(void *server)
{
	struct event *start = NULL;
	struct guarded *guarded;
	bool is_shown;

	inside++;
	pthread_mutex_lock(&lock);
	for (guarded = all; guarded && guarded->server != server;)
		guarded = guarded->next;
	is_shown = guarded && guarded->is_shown;
	if (guarded)
		start = forget(guarded);
	pthread_mutex_unlock(&lock);
	free_start(start);
	if (is_shown)
		pipit_server_detach(server);
	else
		pipit_server_free(server);
	inside--;
}

/* Opens the access log now: the program may give up the right to open it. NULL after lines in the log. */
static struct pipit_server *new_server(void)
{
	struct pipit_server *server = pipit_server_new_guard(&guard.config, true);
	if (server && pipit_server_guard_fallback(server, on_request) == 0 && pipit_server_listen(server) == 0)
		return server;
	pipit_server_free(server);
	return NULL;
}

/* A server cannot be attached twice. */
static void prepare_another_attempt(struct guarded *guarded)
{
	pipit_server_free(guarded->server);
	guarded->server = new_server();
	evhttp_set_bevcb(guarded->http, on_first_client, guarded);
}

/* With the lock, on the thread of the loop. */
static bool attach(struct guarded *guarded)
{
	if (guarded->is_attached || guarded->is_aside || !guarded->http)
		return guarded->is_attached;
	if (!guarded->server ||
	    pipit_server_attach_evhttp(guarded->server, guarded->base, guarded->http, on_evhttp_freed) != 0) {
		prepare_another_attempt(guarded);
		return false;
	}
	guarded->is_attached = true;
	evhttp_set_bevcb(guarded->http, on_client, pipit_worker_net(pipit_server_worker(guarded->server)));
	if (closes_null)
		pipit_evhttp_link_close_null(pipit_worker_net(pipit_server_worker(guarded->server)));
	guarded->is_shown = metrics.server && pipit_server_show(metrics.server, guarded->server) == 0;
	if (metrics.server && !guarded->is_shown)
		pipit_log(PIPIT_LOG_WARN, "/metrics describes the first %d evhttps", PIPIT_SERVER_SHOWN_MAX);
	start_metrics();
	return true;
}

static void enable_one(struct evhttp_bound_socket *bound, void *is_done)
{
	if (evconnlistener_enable(evhttp_bound_socket_get_listener(bound)) != 0)
		*(bool *)is_done = false;
}

static void disable_one(struct evhttp_bound_socket *bound, void *context)
{
	(void)context;
	evconnlistener_disable(evhttp_bound_socket_get_listener(bound));
}

/* With the lock. Leaves `refuses` set if libpipit-guard.so is not called. */
static void find_out_what_null_does(struct event_base *base)
{
	static bool is_known;
	struct evhttp_connection *connection;

	if (is_known)
		return;
	refuses = true;
	connection = evhttp_connection_base_new(base, NULL, "", 0);
	closes_null = !connection && !refuses;
	refuses = false;
	is_known = closes_null || connection;
	if (connection)
		evhttp_connection_free(connection);
}

/* For a client when memory or descriptors are short, unless NULL closes it: nothing is read from it, and a timeout closes it. */
static struct bufferevent *new_refusal(struct event_base *base)
{
	struct bufferevent *socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE), *refusal;

	if (!socket)
		return NULL;
	refusal = bufferevent_filter_new(socket, pass_nothing, pass_nothing, BEV_OPT_CLOSE_ON_FREE, NULL, NULL);
	if (!refusal) {
		bufferevent_free(socket);
		return NULL;
	}
	bufferevent_disable(socket, EV_READ | EV_WRITE);
	bufferevent_set_timeouts(refusal, &at_once, &at_once);
	return refusal;
}

static void on_start(evutil_socket_t fd, short what, void *context);

/* With the lock. */
static bool prepare(struct guarded *guarded, struct event_base *base)
{
	/* The bevcb of an evhttp of evhttp_start() gets none. */
	if (!guarded->base)
		guarded->base = base;
	find_out_what_null_does(guarded->base);
	if (!guarded->refusal && !closes_null)
		guarded->refusal = new_refusal(guarded->base);
	if (!guarded->start)
		guarded->start = event_new(guarded->base, -1, EV_PERSIST, on_start, guarded);
	return (guarded->refusal || closes_null) && guarded->start;
}

/*
 * With the lock. Until the guard is attached. Allocates nothing if on_start() is scheduled already. An internal event of libevent neither
 * keeps the program's loop nor ends event_base_loop(EVLOOP_ONCE); while the sockets are paused the event must keep the loop.
 */
static bool schedule(const struct guarded *guarded, const struct timeval *delay, bool keeps_loop)
{
	short *flags = &guarded->start->ev_evcallback.evcb_flags;

	/* on_start() may wait for the lock in another thread. */
	event_del_noblock(guarded->start);
	*flags = (short)(keeps_loop ? *flags & ~EVLIST_INTERNAL : *flags | EVLIST_INTERNAL);
	return event_add(guarded->start, delay) == 0;
}

/* With the lock. Without on_start() nothing would enable the sockets again. */
static void pause_sockets(struct guarded *guarded)
{
	if (!guarded->start || !schedule(guarded, &later, true))
		return;
	guarded->is_paused = true;
	evhttp_foreach_bound_socket(guarded->http, disable_one, NULL);
}

/* With the lock. False: memory is short. */
static bool resume_sockets(struct guarded *guarded)
{
	bool is_done = true;

	if (guarded->is_paused)
		evhttp_foreach_bound_socket(guarded->http, enable_one, &is_done);
	guarded->is_paused &= !is_done;
	return is_done;
}

/* Tries again later while memory is short. */
static void on_start(evutil_socket_t fd, short what, void *context)
{
	struct guarded *guarded = context;
	(void)fd, (void)what;

	inside++;
	pthread_mutex_lock(&lock);
	/* another thread may have freed its evhttp meanwhile */
	if (is_known(guarded) && guarded->http) {
		if (!guarded->refusal && !closes_null)
			guarded->refusal = new_refusal(guarded->base);
		if ((attach(guarded) || guarded->is_aside) && resume_sockets(guarded))
			event_del_noblock(guarded->start);
		else
			schedule(guarded, &later, guarded->is_paused);
	}
	pthread_mutex_unlock(&lock);
	inside--;
}

/*
 * evhttp's bevcb until the guard is attached. evhttp would read from a plain socket if it returned NULL: see `refuses`. After a refusal
 * no client is accepted before the guard is attached.
 */
static struct bufferevent *on_first_client(struct event_base *base, void *context)
{
	struct guarded *guarded = context;
	struct bufferevent *bev;

	inside++;
	pthread_mutex_lock(&lock);
	/* bound() may still run, on another thread. */
	if (!guarded->is_attached)
		prepare(guarded, base);
	if (attach(guarded)) {
		bev = pipit_evhttp_link_accept(pipit_worker_net(pipit_server_worker(guarded->server)));
	} else {
		bev = guarded->refusal;
		guarded->refusal = NULL;
		pause_sockets(guarded);
	}
	refuses = !bev;
	pthread_mutex_unlock(&lock);
	inside--;
	return bev;
}

/* --- the program's calls ------------------------------------------------------------------------------------------------ */

static struct guarded *find(const struct evhttp *http)
{
	struct guarded *guarded = all;
	while (guarded && guarded->http != http)
		guarded = guarded->next;
	return guarded;
}

static struct guarded *add(struct evhttp *http)
{
	struct guarded *guarded = calloc(1, sizeof *guarded);
	if (!guarded)
		return NULL;
	guarded->http = http;
	guarded->next = all;
	all = guarded;
	return guarded;
}

static bool is_configured(void)
{
	static char name[80];

	if (configuration_state != NOT_READ)
		return configuration_state == RIGHT;
	snprintf(name, sizeof name, "pipit-guard[%s]", program_invocation_short_name);
	pipit_log_set_program(name);
	configuration_state = guard_configuration_read(&guard, environment, NULL) == 0 ? RIGHT : WRONG;
	/* A child may find the address taken by its parent. */
	if (configuration_state == RIGHT && guard.metrics && guard_configuration_open_metrics(&guard, &metrics) != 0)
		pipit_log(PIPIT_LOG_WARN, "goes on without metrics");
	if (configuration_state == WRONG)
		pipit_log(PIPIT_LOG_ERROR, "the program cannot bind its evhttp before this is right");
	return configuration_state == RIGHT;
}

static enum pipit_guarding_result begin_guarding(struct evhttp *http)
{
	struct guarded *guarded = find(http);

	if (guarded)
		return guarded->is_aside ? PIPIT_GUARDING_ASIDE : PIPIT_GUARDING_ON;
	if (!is_configured())
		return PIPIT_GUARDING_WRONG;
	guarded = add(http);
	if (guarded)
		guarded->server = new_server();
	if (!guarded || !guarded->server) {
		pipit_log(PIPIT_LOG_ERROR, "the program cannot bind its evhttp: see above");
		if (guarded)
			forget(guarded);
		return PIPIT_GUARDING_WRONG;
	}
	evhttp_set_bevcb(http, on_first_client, guarded);
	return PIPIT_GUARDING_ON;
}

static void set_start(dev_t device, ino_t inode, char *const *variables)
{
	pipit_log_set_errors(device, inode);
	environment = variables;
}

static enum pipit_guarding_result begin(struct evhttp *http)
{
	enum pipit_guarding_result result;
	inside++;
	pthread_mutex_lock(&lock);
	result = begin_guarding(http);
	pthread_mutex_unlock(&lock);
	inside--;
	return result;
}

static void say_guarded(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	    getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	pipit_log(PIPIT_LOG_INFO,
	    address.ss_family == AF_INET6  ? "guards [%s]:%s"
	    : address.ss_family == AF_INET ? "guards %s:%s"
					   : "guards a local socket",
	    host, port);
}

static bool bound(struct evhttp *http, struct evhttp_bound_socket *socket)
{
	struct evconnlistener *listener = evhttp_bound_socket_get_listener(socket);
	struct guarded *guarded;
	bool is_prepared = true;

	inside++;
	pthread_mutex_lock(&lock);
	guarded = find(http);
	if (guarded && !guarded->is_attached)
		is_prepared = prepare(guarded, evconnlistener_get_base(listener));
	/* Otherwise the first client attaches the guard. */
	if (is_prepared && guarded && metrics.server && !guarded->is_attached &&
	    !event_pending(guarded->start, EV_TIMEOUT, NULL))
		is_prepared = schedule(guarded, &at_once, false);
	if (is_prepared) {
		if (guarded && guarded->is_paused)
			evconnlistener_disable(listener);
		say_guarded(evconnlistener_get_fd(listener));
	} else {
		/* Its other sockets stay guarded. */
		evhttp_del_accept_socket(http, socket);
		pipit_log(PIPIT_LOG_ERROR, "cannot guard the evhttp: out of memory");
	}
	pthread_mutex_unlock(&lock);
	inside--;
	return is_prepared;
}

static void bind_failed(const char *address, uint16_t port)
{
	pthread_mutex_lock(&lock);
	guard_configuration_report_bind(&guard, &metrics, address, port);
	pthread_mutex_unlock(&lock);
}

static void end(struct evhttp *http)
{
	struct pipit_server *unused = NULL;
	struct event *start = NULL;
	struct guarded *guarded;

	inside++;
	pthread_mutex_lock(&lock);
	guarded = find(http);
	if (guarded && guarded->is_attached) {
		/* on_evhttp_freed() follows; another evhttp may get the address before. */
		guarded->http = NULL;
	} else if (guarded) {
		unused = guarded->server;
		start = forget(guarded);
	}
	pthread_mutex_unlock(&lock);
	free_start(start);
	pipit_server_free(unused);
	inside--;
}

static bool take_bevcb(struct evhttp *http, struct bufferevent *(*callback)(struct event_base *, void *))
{
	struct guarded *guarded;

	pthread_mutex_lock(&lock);
	guarded = find(http);
	if (!callback && (!guarded || guarded->is_aside)) {
		pthread_mutex_unlock(&lock);
		return true;
	}
	if (callback && !guarded)
		guarded = add(http);
	if (callback && guarded && !guarded->is_aside) {
		guarded->is_aside = true;
		pipit_log(PIPIT_LOG_WARN,
		    "stands aside: the program sets a bevcb of its own (TLS?), whose bytes the guard cannot see");
	}
	pthread_mutex_unlock(&lock);
	return callback != NULL;
}

static void write_enabled(struct bufferevent *bev)
{
	/* evhttp enables writing behind the bytes of a reply. */
	if (inside || !bufferevent_get_underlying(bev) || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	pthread_mutex_lock(&lock);
	for (struct guarded *guarded = all; guarded; guarded = guarded->next) {
		if (guarded->is_attached)
			pipit_evhttp_link_write_enabled(pipit_worker_net(pipit_server_worker(guarded->server)), bev);
	}
	pthread_mutex_unlock(&lock);
}

static bool has_bufferevent(struct bufferevent *bev)
{
	bool has = false;

	if (inside || !bufferevent_get_underlying(bev))
		return false;
	pthread_mutex_lock(&lock);
	for (struct guarded *guarded = all; guarded && !has; guarded = guarded->next)
		has = guarded->is_attached &&
		      pipit_evhttp_link_has(pipit_worker_net(pipit_server_worker(guarded->server)), bev);
	pthread_mutex_unlock(&lock);
	return has;
}

static bool must_refuse(void)
{
	bool must = refuses;
	refuses = false;
	return must;
}

static bool is_inside(void)
{
	return inside > 0;
}

__attribute__((visibility("default"))) const struct pipit_guarding pipit_guarding = {
	.set_start = set_start,
	.begin = begin,
	.bound = bound,
	.bind_failed = bind_failed,
	.end = end,
	.take_bevcb = take_bevcb,
	.write_enabled = write_enabled,
	.has_bufferevent = has_bufferevent,
	.must_refuse = must_refuse,
	.is_inside = is_inside,
};
