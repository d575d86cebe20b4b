/* SPDX-License-Identifier: MIT */
#include "app/worker.h"

#include "base/log.h"
#include "files/file_cache.h"
#include "files/gzip_cache.h"
#include "http1/acceptor.h"
#include "http1/evhttp_lane.h"
#include "http1/evhttp_link.h"
#include "http1/timeouts.h"
#include "net/budget.h"
#include "net/eviction.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* deadlines and gauges */
#define SWEEP_MS 250
/* idle connections, when no descriptor is left */
#define EVICTIONS_PER_SWEEP 8
/* the maximum lag covers one to two windows */
#define LAG_WINDOW_SWEEPS (30 * 1000 / SWEEP_MS)

struct message {
	struct message *next;
	struct pipit_request *request;                    /* for `function` */
	void (*function)(struct pipit_request *, void *); /* or one of the next three */
	void (*command)(struct pipit_worker *);
	void (*call)(void *arg);
	void *arg;
};

struct pipit_worker {
	struct pipit_dispatch dispatch; /* first: callbacks get it as a pointer to this struct */
	struct pipit_shared *shared;
	struct event_base *base;
	bool owns_base;
	struct pipit_net *net;
	struct pipit_handler_table handlers;
	struct pipit_counters *counters;
	struct event *sweep;
	/* Quiet: in the heap of timers while the sweep is not, so that the sweep finds its place there when memory is short. */
	struct event *place;
	struct event *wakeup;
	struct event *listen_end; /* ends listening, one turn after a drain begins */
	int wakeup_fd;
	_Atomic(struct message *) inbox; /* newest first, or CLOSED_INBOX */
	unsigned accept_failures;        /* since the last sweep */
	bool is_closed;
	bool is_done;
	bool is_sweeping;
	struct pipit_worker *next_evhttp_worker;
	uint64_t swept_ns; /* monotonic; the last sweep */
	uint64_t drain_ms; /* 0: not draining */
	struct pipit_counters_loop loop;
	uint64_t lag_window_ns; /* of the current window */
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

/* --- accepting ---------------------------------------------------------------------------------------------------- */

static void on_accept_error(struct evconnlistener *listener, void *context);

/* Workers whose evhttp accepts: its listeners report errors by the evhttp. */
static pthread_mutex_t evhttp_workers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pipit_worker *evhttp_workers;

static void add_to_evhttp_workers(struct pipit_worker *worker)
{
	pthread_mutex_lock(&evhttp_workers_lock);
	worker->next_evhttp_worker = evhttp_workers;
	evhttp_workers = worker;
	pthread_mutex_unlock(&evhttp_workers_lock);
}

static void remove_from_evhttp_workers(const struct pipit_worker *worker)
{
	pthread_mutex_lock(&evhttp_workers_lock);
	for (struct pipit_worker **at = &evhttp_workers; *at; at = &(*at)->next_evhttp_worker) {
		if (*at != worker)
			continue;
		*at = worker->next_evhttp_worker;
		break;
	}
	pthread_mutex_unlock(&evhttp_workers_lock);
}

struct pipit_worker *pipit_worker_of_evhttp(const struct evhttp *http)
{
	struct pipit_worker *found;
	pthread_mutex_lock(&evhttp_workers_lock);
	for (found = evhttp_workers; found && !pipit_evhttp_lane_guards(found->net, http);)
		found = found->next_evhttp_worker;
	pthread_mutex_unlock(&evhttp_workers_lock);
	return found;
}

static void on_place(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what, (void)context;
}

static bool hold_place(struct pipit_worker *worker)
{
	static const struct timeval day = { 24 * 60 * 60, 0 };
	return event_add(worker->place, &day) == 0;
}

/* An internal event of libevent does not keep the program's loop. */
static bool make_place(struct pipit_worker *worker)
{
	worker->place = event_new(worker->base, -1, EV_PERSIST, on_place, NULL);
	if (!worker->place)
		return false;
	worker->place->ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	return hold_place(worker);
}

/* False: without memory for the timer, although it has a place: another thread has taken it. */
static bool start_sweep(struct pipit_worker *worker)
{
	struct timeval interval = { 0, SWEEP_MS * 1000 };
	if (worker->is_sweeping)
		return true;
	worker->swept_ns = 0;
	if (worker->place)
		event_del(worker->place);
	worker->is_sweeping = event_add(worker->sweep, &interval) == 0;
	if (!worker->is_sweeping && worker->place)
		hold_place(worker);
	return worker->is_sweeping;
}

/* A program that waits for the end of its loop has deleted its sockets. */
static void stop_quiet_sweep(struct pipit_worker *worker)
{
	if (!worker->shared->is_quiet || !pipit_http1_is_empty(worker->net) || pipit_acceptor_is_paused(worker->net) ||
	    pipit_budget_wants_trim(worker->net))
		return;
	event_del(worker->sweep);
	hold_place(worker);
	worker->is_sweeping = false;
}

static void accepting(void *context)
{
	struct pipit_worker *worker = context;
	if (worker->is_sweeping || !start_sweep(worker))
		return;
	/* The program may have bound more sockets. */
	pipit_acceptor_watch_errors(worker->net, on_accept_error);
}

static void pause_accepting(void *context)
{
	struct pipit_worker *worker = context;
	/* Without the sweep nothing would resume. */
	if (start_sweep(worker))
		pipit_acceptor_pause(worker->net);
}

/* Usually EMFILE: without a pause, the loop would spin. context: the worker, or the evhttp when evhttp accepts. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
	struct pipit_worker *worker = context;
	if (listener)
		worker = pipit_worker_of_evhttp(context);
	if (!worker)
		return;
	worker->accept_failures++;
	pause_accepting(worker);
}

/* On another worker when this one has none to evict: that one may hold all descriptors. */
static void evict_for_descriptors(struct pipit_worker *worker)
{
	for (int i = 0; i < EVICTIONS_PER_SWEEP; i++) {
		if (!pipit_eviction_evict(worker->net))
			worker->handlers.evict_elsewhere(worker, PIPIT_EVICTABLE_ANY);
	}
}

static void resume_accepting(struct pipit_worker *worker)
{
	bool has_room;
	if (worker->accept_failures) {
		pipit_counters_add(worker->counters, PIPIT_COUNT_ACCEPT_ERRORS, worker->accept_failures);
		worker->accept_failures = 0;
		has_room = pipit_file_cache_evict_descriptors(worker->dispatch.pool.file_cache);
		if (!has_room)
			evict_for_descriptors(worker);
	}
	if (pipit_acceptor_is_ready(worker->net))
		pipit_acceptor_resume(worker->net);
	pipit_acceptor_watch_errors(worker->net, on_accept_error);
}

int pipit_worker_listen(struct pipit_worker *worker, int fd, bool is_admin, struct evhttp_bound_socket **bound)
{
	return pipit_acceptor_add(worker->net, fd, is_admin, on_accept_error, bound);
}

int pipit_worker_expect_proxies(struct pipit_worker *worker)
{
	return pipit_acceptor_expect_proxies(worker->net);
}

void pipit_worker_use_tls(struct pipit_worker *worker)
{
	pipit_acceptor_use_tls(worker->net);
}

int pipit_worker_watch_evhttp(struct pipit_worker *worker, void (*on_evhttp_freed)(void *watcher), void *watcher)
{
	return pipit_evhttp_link_watch(worker->net, on_evhttp_freed, watcher);
}

const struct pipit_config *pipit_worker_config(const struct pipit_worker *worker)
{
	return worker->shared->config;
}

/* --- inbox -------------------------------------------------------------------------------------------------------- */

static int send_message(struct pipit_worker *worker, struct message content)
{
	struct message *message = malloc(sizeof *message), *head;
	uint64_t one = 1;

	if (!message)
		return -ENOMEM;
	if (worker->wakeup_fd < 0) {
		free(message);
		return -ESHUTDOWN;
	}
	*message = content;
	head = atomic_load_explicit(&worker->inbox, memory_order_relaxed);
	do {
		if (head == CLOSED_INBOX) {
			free(message);
			return -ESHUTDOWN;
		}
		message->next = head;
		/* release: the worker that takes the list sees the message */
	} while (!atomic_compare_exchange_weak_explicit(
	    &worker->inbox, &head, message, memory_order_release, memory_order_relaxed));
	/* EAGAIN: the worker is about to read the inbox */
	while (write(worker->wakeup_fd, &one, sizeof one) < 0 && errno == EINTR)
		continue;
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

/* --- drain and stop ----------------------------------------------------------------------------------------------- */

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

/* A turn later, so that pending connections are accepted before. */
static void on_listen_end(evutil_socket_t fd, short what, void *context)
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
	event_add(worker->listen_end, &soon);
}

static void close_connections(struct pipit_worker *worker)
{
	size_t lost = pipit_http1_close_all(worker->net);
	for (size_t i = 0; i < lost; i++)
		pipit_counters_timeout(worker->counters, PIPIT_PHASE_DRAIN);
	if (lost)
		pipit_log(PIPIT_LOG_WARN, "aborted %zu incomplete request%s", lost, lost == 1 ? "" : "s");
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

/* Unless the connection has been closed meanwhile. */
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

static bool evict_elsewhere(void *context, enum pipit_evictable which)
{
	struct pipit_worker *worker = context;
	return worker->shared->evict_elsewhere(worker->shared->server, worker, which);
}

int pipit_worker_evict(struct pipit_worker *worker, enum pipit_evictable which)
{
	return send_message(
	    worker, (struct message){ .command = which == PIPIT_EVICTABLE_LINGERING ? evict_lingering : evict });
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

/* --- sweep -------------------------------------------------------------------------------------------------------- */

static void refresh_loop_counters(struct pipit_worker *worker)
{
	struct pipit_counters_loop *loop = &worker->loop;
	struct event_base *base = worker->base;
	loop->events_added = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	loop->events_active = event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE);
	loop->events_virtual = event_base_get_num_events(base, EVENT_BASE_COUNT_VIRTUAL);
	loop->events_added_max = event_base_get_max_events(base, EVENT_BASE_COUNT_ADDED, 0);
	loop->events_active_max = event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 0);
	loop->events_virtual_max = event_base_get_max_events(base, EVENT_BASE_COUNT_VIRTUAL, 0);
	pipit_counters_set_loop(worker->counters, loop);
}

/* The timer is late by the time that the loop was busy. */
static void measure_lag(struct pipit_worker *worker, uint64_t now)
{
	uint64_t due = worker->swept_ns + SWEEP_MS * 1000000ull;
	uint64_t lag = worker->swept_ns && now > due ? now - due : 0;

	worker->swept_ns = now;
	worker->loop.lag_ns = lag;
	if (lag > worker->lag_window_ns)
		worker->lag_window_ns = lag;
	if (lag > worker->loop.lag_max_ns)
		worker->loop.lag_max_ns = lag;
	if (++worker->lag_sweeps < LAG_WINDOW_SWEEPS)
		return;
	worker->loop.lag_max_ns = worker->lag_window_ns;
	worker->lag_window_ns = 0;
	worker->lag_sweeps = 0;
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
	struct pipit_worker *worker = context;
	uint64_t now = now_ns(), now_ms = now / 1000000u, limit_ms = worker->shared->config->drain_timeout_ms;
	(void)fd, (void)what;

	measure_lag(worker, now);
	refresh_loop_counters(worker);
	pipit_timeouts_enforce(worker->net, now_ms);
	pipit_budget_trim(worker->net, now_ms);
	pipit_file_cache_sweep(worker->dispatch.pool.file_cache, now_ms);
	resume_accepting(worker);
	if (worker->drain_ms && limit_ms && now_ms >= worker->drain_ms + limit_ms)
		close_connections(worker);
	check_done(worker);
	stop_quiet_sweep(worker);
}

static void on_log(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	pipit_dispatch_flush_log(context);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

/* No locks: one thread uses the base. At most one epoll_ctl() per descriptor and turn. */
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
	/* poll and select have EV_FEATURE_FDS */
	return features & EV_FEATURE_ET ? "et,o1,early_close" : "fds";
}

/* Clients may speak https with this server, or with a proxy in front of it. */
static bool may_send_hsts(const struct pipit_shared *shared)
{
	return shared->config->hsts_ms && (shared->tls || shared->trusted_proxies);
}

static void set_up_dispatch(struct pipit_worker *worker)
{
	struct pipit_dispatch *dispatch = &worker->dispatch;
	const struct pipit_shared *shared = worker->shared;
	uint32_t prefix = (uint32_t)now_ns();

	/* a clock suffices before the system has randomness */
	if (getrandom(&prefix, sizeof prefix, GRND_NONBLOCK) != sizeof prefix)
		prefix ^= (uint32_t)getpid();
	dispatch->config = shared->config;
	memcpy(dispatch->routes, shared->routes, sizeof dispatch->routes);
	dispatch->filters = shared->filters;
	dispatch->filters_after_host_check = pipit_filter_after_host_check(shared->filters);
	dispatch->has_hsts = may_send_hsts(shared);
	dispatch->no_route = shared->route_count - 1;
	dispatch->counters = worker->counters;
	dispatch->pool = (struct pipit_request_pool){
		.server = shared->server,
		.base = worker->base,
		.counters = worker->counters,
		.config = shared->config,
		.limits = shared->limits,
		.trusted_proxies = shared->trusted_proxies,
		.worker = worker,
		.post = post,
		.post_call = post_call,
		.id_prefix = prefix,
		.checked_host_length = UINT32_MAX,
	};
}

static bool open_inbox(struct pipit_worker *worker)
{
	worker->wakeup_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wakeup_fd < 0)
		return false;
	worker->wakeup = event_new(worker->base, worker->wakeup_fd, EV_READ | EV_PERSIST, on_wakeup, worker);
	if (!worker->wakeup)
		return false;
	/* As the place, it does not keep the program's loop. */
	if (worker->shared->is_quiet)
		worker->wakeup->ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
	return event_add(worker->wakeup, NULL) == 0;
}

static bool set_up_events(struct pipit_worker *worker)
{
	worker->sweep = event_new(worker->base, -1, EV_PERSIST, on_sweep, worker);
	worker->dispatch.log_event = event_new(worker->base, -1, 0, on_log, &worker->dispatch);
	worker->listen_end = event_new(worker->base, -1, 0, on_listen_end, worker);
	return worker->sweep && worker->listen_end && worker->dispatch.log_event &&
	       (worker->shared->is_quiet ? make_place(worker) && (!worker->shared->has_threads || open_inbox(worker))
					 : open_inbox(worker) && start_sweep(worker));
}

static struct pipit_net *new_transport(struct pipit_worker *worker)
{
	/* Those before add no headers. */
	bool has_filters = pipit_filter_after_host_check(worker->shared->filters) != NULL;

	pipit_dispatch_set_handlers(&worker->handlers, has_filters || may_send_hsts(worker->shared));
	worker->handlers.evict_elsewhere = evict_elsewhere;
	worker->handlers.accepting = accepting;
	worker->handlers.pause_accepting = pause_accepting;
	worker->handlers.emptied = emptied;
	return pipit_http1_new(worker->base, worker->shared->config, worker->counters, worker->shared->limits,
	    &worker->handlers, worker, worker->shared->evhttp_mode, worker->shared->evhttp);
}

/* Readable from any thread. */
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
	worker->dispatch.pool.file_cache = pipit_file_cache_new();
	worker->dispatch.pool.gzip_cache = pipit_gzip_cache_new();
	if (!worker->dispatch.pool.file_cache || !worker->dispatch.pool.gzip_cache)
		return false;
	if (worker->shared->access_log) {
		worker->dispatch.access = pipit_access_log_buffer_new(worker->shared->access_log);
		if (!worker->dispatch.access)
			return false;
	}
	worker->net = new_transport(worker);
	if (worker->net && !worker->owns_base)
		pipit_http1_mask_sigpipe(worker->net);
	if (!worker->net || !set_up_events(worker))
		return false;
	pipit_http1_trust(worker->net, worker->shared->trusted_proxies);
	if (worker->shared->tls && !pipit_http1_use_tls(worker->net, worker->shared->tls))
		return false;
	if (worker->shared->keeps_left && !pipit_evhttp_link_keep_left(worker->net))
		return false;
	if (worker->shared->evhttp_mode >= PIPIT_EVHTTP_OWN)
		add_to_evhttp_workers(worker);
	pipit_acceptor_watch_errors(worker->net, on_accept_error);
	return true;
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
	/* another thread may have made the worker */
	pipit_counters_set_clock(worker->counters, thread_clock());
	event_base_dispatch(worker->base);
	run_messages(worker, atomic_exchange_explicit(&worker->inbox, CLOSED_INBOX, memory_order_acquire));
}

const struct pipit_counters *pipit_worker_stats(const struct pipit_worker *worker)
{
	return worker->counters;
}

struct pipit_net *pipit_worker_net(struct pipit_worker *worker)
{
	return worker->net;
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
	remove_from_evhttp_workers(worker);
	pipit_http1_free(worker->net);
	while (left) {
		struct message *next = left->next;
		if (left->call)
			left->call(left->arg);
		free(left);
		left = next;
	}
	free_event(worker->sweep);
	free_event(worker->place);
	free_event(worker->wakeup);
	free_event(worker->listen_end);
	free_event(worker->dispatch.log_event);
	if (worker->wakeup_fd >= 0)
		close(worker->wakeup_fd);
	if (worker->owns_base && worker->base)
		event_base_free(worker->base);
	pipit_access_log_buffer_free(worker->dispatch.access);
	if (!worker->shared->keeps_counters)
		pipit_counters_free(worker->counters);
	pipit_request_pool_clear(&worker->dispatch.pool);
	pipit_file_cache_free(worker->dispatch.pool.file_cache);
	pipit_gzip_cache_free(worker->dispatch.pool.gzip_cache);
	free(worker);
}
