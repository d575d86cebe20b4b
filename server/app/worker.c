/* SPDX-License-Identifier: MIT */
/* See worker.h. */
#include "app/worker.h"

#include "files/file_cache.h"
#include "files/gzip_cache.h"
#include "http1/acceptor.h"
#include "http1/evhttp_link.h"
#include "http1/timeouts.h"
#include "net/eviction.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* Deadlines are looked at, and figures refreshed, so often. */
#define SWEEP_MS 250
/* Descriptors that idle connections give back at once when accept() finds none, and no file that was opened has one. */
#define EVICTIONS_PER_SWEEP 8
/* The worst lag is kept for one to two of these. */
#define LAG_WINDOW_SWEEPS (30 * 1000 / SWEEP_MS)

struct message {
	struct message *next;
	struct pipit_request *request;                    /* for `function` */
	void (*function)(struct pipit_request *, void *); /* one of these three */
	void (*command)(struct pipit_worker *);
	void (*call)(void *arg);
	void *arg;
};

struct pipit_worker {
	struct pipit_dispatch dispatch; /* first: the hooks' context is this struct */
	struct pipit_shared *shared;
	struct event_base *base;
	bool owns_base;
	struct pipit_net *net;
	struct pipit_handler_table hooks;
	struct pipit_counters *counters;
	struct event *sweep;
	struct event *wakeup;            /* on wakeup_fd */
	struct event *last_call;         /* closes the doors, one turn after a drain began */
	int wakeup_fd;                   /* eventfd */
	_Atomic(struct message *) inbox; /* newest first; CLOSED_INBOX once the worker has stopped */
	unsigned accept_failures;        /* since the last sweep */
	bool is_closed;                  /* no longer listening */
	bool is_done;                    /* worker_done was called */
	uint64_t swept_ns;               /* when the sweep ran last */
	uint64_t drain_ms;               /* when draining began; 0: not draining */
	struct pipit_counters_loop figures;
	uint64_t lag_window_ns; /* worst lag of the running window */
	unsigned lag_sweeps;
};

static struct message closed_inbox;
#define CLOSED_INBOX (&closed_inbox)

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- doors --------------------------------------------------------------------------------------------------------- */

/* A worker is looked for by its evhttp: its sweep is an event of its base. */
struct search {
	const struct evhttp *http;
	struct pipit_worker *found;
};

static void on_sweep(evutil_socket_t fd, short what, void *context);

static int look_for_worker(const struct event_base *base, const struct event *event, void *context)
{
	struct search *search = context;
	struct pipit_worker *worker;
	(void)base;

	if (event_get_callback(event) != on_sweep)
		return 0;
	worker = event_get_callback_arg(event);
	if (worker->net->evhttp.http == search->http)
		search->found = worker;
	return search->found != NULL;
}

struct pipit_worker *pipit_worker_of_evhttp(struct event_base *base, const struct evhttp *http)
{
	struct search search = { .http = http };
	event_base_foreach_event(base, look_for_worker, &search);
	return search.found;
}

static void pause_accepting(void *context)
{
	struct pipit_worker *worker = context;
	pipit_acceptor_set(worker->net, false);
}

/* accept() failed, mostly with EMFILE: without a pause the loop would spin on the waiting connection. `context` is the evhttp where
 * evhttp accepts. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
	struct pipit_worker *worker = context;
	if (listener)
		worker = pipit_worker_of_evhttp(evconnlistener_get_base(listener), context);
	if (!worker)
		return;
	worker->accept_failures++;
	pause_accepting(worker);
}

/* After a pause: make room, and open again. */
static void reopen_doors(struct pipit_worker *worker)
{
	bool has_room;
	if (worker->accept_failures) {
		pipit_counters_add(worker->counters, PIPIT_COUNT_ACCEPT_ERRORS, worker->accept_failures);
		worker->accept_failures = 0;
		has_room = pipit_file_cache_give_up_descriptors(worker->dispatch.pool.opened);
		for (int i = 0; i < EVICTIONS_PER_SWEEP && !has_room; i++)
			pipit_eviction_evict(worker->net);
	}
	if (pipit_acceptor_are_ready(worker->net))
		pipit_acceptor_set(worker->net, true);
	pipit_acceptor_watch_errors(worker->net, on_accept_error);
}

int pipit_worker_listen(struct pipit_worker *worker, int fd, struct evhttp_bound_socket **bound)
{
	return pipit_acceptor_add(worker->net, fd, on_accept_error, bound);
}

int pipit_worker_watch_evhttp(struct pipit_worker *worker, void (*on_evhttp_freed)(void *watcher), void *watcher)
{
	return pipit_evhttp_link_watch(worker->net, on_evhttp_freed, watcher);
}

const struct pipit_config *pipit_worker_config(const struct pipit_worker *worker)
{
	return worker->shared->config;
}

/* --- inbox --------------------------------------------------------------------------------------------------------- */

static int send_message(struct pipit_worker *worker, struct message content)
{
	struct message *message = malloc(sizeof *message), *head;
	uint64_t one = 1;

	if (!message)
		return -ENOMEM;
	*message = content;
	head = atomic_load_explicit(&worker->inbox, memory_order_relaxed);
	do {
		if (head == CLOSED_INBOX) {
			free(message);
			return -ESHUTDOWN;
		}
		message->next = head;
		/* Release: the worker that takes the list sees what the message holds. */
	} while (!atomic_compare_exchange_weak_explicit(
	    &worker->inbox, &head, message, memory_order_release, memory_order_relaxed));
	/* The eventfd can only be full when the worker is about to look anyway. */
	while (write(worker->wakeup_fd, &one, sizeof one) < 0 && errno == EINTR)
		continue;
	/* It is in the inbox: the caller must not be told otherwise. */
	return 0;
}

static struct message *oldest_first(struct message *newest)
{
	struct message *oldest = NULL;
	while (newest && newest != CLOSED_INBOX) {
		struct message *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static void run_messages(struct pipit_worker *worker, struct message *newest)
{
	struct message *message = oldest_first(newest);
	while (message) {
		struct message *next = message->next;
		if (message->command)
			message->command(worker);
		else if (message->call)
			message->call(message->arg);
		else
			message->function(message->request, message->arg);
		free(message);
		message = next;
	}
}

static void on_wakeup(evutil_socket_t fd, short what, void *context)
{
	struct pipit_worker *worker = context;
	uint64_t count;
	(void)what;
	if (read(fd, &count, sizeof count) > 0)
		run_messages(worker, atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire));
}

static int post(
    void *context, struct pipit_request *request, void (*function)(struct pipit_request *, void *), void *arg)
{
	return send_message(context, (struct message){ .request = request, .function = function, .arg = arg });
}

static int post_call(void *context, void (*function)(void *), void *arg)
{
	return send_message(context, (struct message){ .call = function, .arg = arg });
}

/* --- drain and stop ------------------------------------------------------------------------------------------------ */

static void check_done(struct pipit_worker *worker)
{
	if (!worker->drain_ms || !worker->is_closed || worker->is_done || !pipit_http1_is_empty(worker->net))
		return;
	worker->is_done = true;
	worker->shared->worker_done(worker->shared->server, worker);
}

static void emptied(void *context)
{
	check_done(context);
}

/* One turn after the drain began: what had knocked before has been let in by now. */
static void on_last_call(evutil_socket_t fd, short what, void *context)
{
	struct pipit_worker *worker = context;
	(void)fd, (void)what;
	pipit_acceptor_remove(worker->net);
	worker->is_closed = true;
	check_done(worker);
}

static void begin_drain(struct pipit_worker *worker)
{
	struct timeval soon = { 0, 1000 };
	if (worker->drain_ms)
		return;
	worker->drain_ms = now_ns() / 1000000u;
	pipit_http1_drain(worker->net);
	event_add(worker->last_call, &soon);
}

static void close_connections(struct pipit_worker *worker)
{
	size_t lost = pipit_http1_close_all(worker->net);
	for (size_t i = 0; i < lost; i++)
		pipit_counters_timeout(worker->counters, PIPIT_PHASE_DRAIN);
	if (lost)
		pipit_log(
		    PIPIT_LOG_WARN, "cut off before they were finished: %zu request%s", lost, lost == 1 ? "" : "s");
}

static void stop(struct pipit_worker *worker)
{
	begin_drain(worker);
	close_connections(worker);
}

static void break_loop(struct pipit_worker *worker)
{
	event_base_loopbreak(worker->base);
}

/* Unless somebody has left since the other worker asked. */
static void evict(struct pipit_worker *worker)
{
	if (pipit_limits_connections(worker->shared->limits) > worker->shared->config->max_connections)
		pipit_eviction_evict(worker->net);
}

static void evict_lingering(struct pipit_worker *worker)
{
	if (pipit_limits_connections(worker->shared->limits) > worker->shared->config->max_connections)
		pipit_eviction_evict_lingering(worker->net);
}

static bool make_room_elsewhere(void *context, enum pipit_room room)
{
	struct pipit_worker *worker = context;
	return worker->shared->make_room(worker->shared->server, worker, room);
}

int pipit_worker_evict(struct pipit_worker *worker, enum pipit_room room)
{
	return send_message(
	    worker, (struct message){ .command = room == PIPIT_ROOM_LINGERING ? evict_lingering : evict });
}

int pipit_worker_drain(struct pipit_worker *worker)
{
	return send_message(worker, (struct message){ .command = begin_drain });
}

int pipit_worker_stop(struct pipit_worker *worker)
{
	return send_message(worker, (struct message){ .command = stop });
}

int pipit_worker_break(struct pipit_worker *worker)
{
	return send_message(worker, (struct message){ .command = break_loop });
}

/* --- the sweep ----------------------------------------------------------------------------------------------------- */

static void refresh_figures(struct pipit_worker *worker)
{
	struct pipit_counters_loop *figures = &worker->figures;
	struct event_base *base = worker->base;
	figures->events_added = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	figures->events_active = event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE);
	figures->events_virtual = event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL);
	figures->events_added_max = event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0);
	figures->events_active_max = event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0);
	figures->events_virtual_max = event_base_get_max_events(base, EVENT_BASE_COUNT_VIRTUAL, 0);
	pipit_counters_set_loop(worker->counters, figures);
}

/* A timer of the loop is late by as long as the loop was busy with something else. */
static void measure_lag(struct pipit_worker *worker, uint64_t now)
{
	uint64_t due = worker->swept_ns + SWEEP_MS * 1000000ull;
	uint64_t lag = worker->swept_ns && now > due ? now - due : 0;

	worker->swept_ns = now;
	worker->figures.lag_ns = lag;
	if (lag > worker->lag_window_ns)
		worker->lag_window_ns = lag;
	if (lag > worker->figures.lag_max_ns)
		worker->figures.lag_max_ns = lag;
	if (++worker->lag_sweeps < LAG_WINDOW_SWEEPS)
		return;
	worker->figures.lag_max_ns = worker->lag_window_ns;
	worker->lag_window_ns = 0;
	worker->lag_sweeps = 0;
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
	struct pipit_worker *worker = context;
	uint64_t now = now_ns(), now_ms = now / 1000000u, limit_ms = worker->shared->config->drain_timeout_ms;
	(void)fd, (void)what;

	measure_lag(worker, now);
	refresh_figures(worker);
	pipit_timeouts_enforce(worker->net, now_ms);
	pipit_file_cache_sweep(worker->dispatch.pool.opened, now_ms);
	reopen_doors(worker);
	if (worker->drain_ms && limit_ms && now_ms >= worker->drain_ms + limit_ms)
		close_connections(worker);
	check_done(worker);
}

static void on_log(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	pipit_dispatch_flush_log(context);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* A base that one thread uses needs no locks, and epoll_ctl() calls that cancel out within a turn need not be made. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;
	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

static const char *features_of(const struct event_base *base)
{
	int features = event_base_get_features(base);
	/* epoll has the three; poll and select, the other backends of Linux, take any descriptor instead. */
	return features & EV_FEATURE_ET ? "et,o1,early_close" : "fds";
}

static void set_up_dispatch(struct pipit_worker *worker)
{
	struct pipit_dispatch *dispatch = &worker->dispatch;
	const struct pipit_shared *shared = worker->shared;
	uint32_t prefix = (uint32_t)now_ns();

	/* Unique, not secret: a clock will do where the system has no randomness yet. */
	if (getrandom(&prefix, sizeof prefix, GRND_NONBLOCK) != sizeof prefix)
		prefix ^= (uint32_t)getpid();
	dispatch->config = shared->config;
	dispatch->router = shared->router;
	dispatch->fallback = shared->fallback;
	dispatch->no_route = shared->route_count - 1;
	dispatch->counters = worker->counters;
	dispatch->pool = (struct pipit_request_pool){
		.server = shared->server,
		.base = worker->base,
		.config = shared->config,
		.worker = worker,
		.post = post,
		.post_call = post_call,
		.id_prefix = prefix,
	};
}

static bool set_up_events(struct pipit_worker *worker)
{
	struct timeval interval = { 0, SWEEP_MS * 1000 };

	worker->wakeup_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wakeup_fd < 0)
		return false;
	worker->wakeup = event_new(worker->base, worker->wakeup_fd, EV_READ | EV_PERSIST, on_wakeup, worker);
	worker->sweep = event_new(worker->base, -1, EV_PERSIST, on_sweep, worker);
	worker->dispatch.log_event = event_new(worker->base, -1, 0, on_log, &worker->dispatch);
	worker->last_call = event_new(worker->base, -1, 0, on_last_call, worker);
	return worker->wakeup && worker->sweep && worker->last_call && worker->dispatch.log_event &&
	       event_add(worker->wakeup, NULL) == 0 && event_add(worker->sweep, &interval) == 0;
}

static struct pipit_net *new_transport(struct pipit_worker *worker)
{
	pipit_dispatch_set_handlers(&worker->hooks);
	worker->hooks.make_room_elsewhere = make_room_elsewhere;
	worker->hooks.pause_accepting = pause_accepting;
	worker->hooks.emptied = emptied;
	return pipit_http1_new(worker->base, worker->shared->config, worker->counters, worker->shared->limits,
	    &worker->hooks, worker, worker->shared->evhttp_mode, worker->shared->evhttp);
}

/* The CPU time of the calling thread, readable from any thread. */
static clockid_t thread_clock(void)
{
	clockid_t clock;
	return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? clock : CLOCK_PROCESS_CPUTIME_ID;
}

static bool set_up(struct pipit_worker *worker)
{
	worker->base = worker->base ? worker->base : new_base();
	if (!worker->base)
		return false;
	worker->counters = pipit_counters_new(worker->shared->route_count, event_base_get_method(worker->base),
	    features_of(worker->base), thread_clock());
	if (!worker->counters)
		return false;
	set_up_dispatch(worker);
	worker->dispatch.pool.opened = pipit_file_cache_new();
	worker->dispatch.pool.compressed = pipit_gzip_cache_new();
	if (!worker->dispatch.pool.opened || !worker->dispatch.pool.compressed)
		return false;
	if (worker->shared->access_log) {
		worker->dispatch.access = pipit_access_buffer_new(worker->shared->access_log);
		if (!worker->dispatch.access)
			return false;
	}
	worker->net = new_transport(worker);
	return worker->net && set_up_events(worker);
}

struct pipit_worker *pipit_worker_new(struct pipit_shared *shared, struct event_base *base)
{
	struct pipit_worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return NULL;
	worker->shared = shared;
	worker->base = base;
	worker->owns_base = !base;
	worker->wakeup_fd = -1;
	if (set_up(worker))
		return worker;
	pipit_worker_free(worker);
	return NULL;
}

void pipit_worker_run(struct pipit_worker *worker)
{
	/* The thread that made the worker need not be the one that runs it. */
	pipit_counters_set_clock(worker->counters, thread_clock());
	event_base_dispatch(worker->base);
	run_messages(worker, atomic_exchange_explicit(&worker->inbox, CLOSED_INBOX, memory_order_acquire));
}

const struct pipit_counters *pipit_worker_stats(const struct pipit_worker *worker)
{
	return worker->counters;
}

struct event_base *pipit_worker_base(struct pipit_worker *worker)
{
	return worker->base;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void pipit_worker_free(struct pipit_worker *worker)
{
	struct message *left;
	if (!worker)
		return;
	left = oldest_first(atomic_exchange_explicit(&worker->inbox, CLOSED_INBOX, memory_order_acquire));
	worker->is_done = true;
	pipit_http1_free(worker->net);
	while (left) {
		struct message *next = left->next;
		if (left->call)
			left->call(left->arg);
		free(left);
		left = next;
	}
	free_event(worker->sweep);
	free_event(worker->wakeup);
	free_event(worker->last_call);
	free_event(worker->dispatch.log_event);
	if (worker->wakeup_fd >= 0)
		close(worker->wakeup_fd);
	if (worker->owns_base && worker->base)
		event_base_free(worker->base);
	pipit_access_buffer_free(worker->dispatch.access);
	pipit_counters_free(worker->counters);
	pipit_request_pool_clear(&worker->dispatch.pool);
	pipit_file_cache_free(worker->dispatch.pool.opened);
	pipit_gzip_cache_free(worker->dispatch.pool.compressed);
	free(worker);
}
