/* SPDX-License-Identifier: MIT */
#include "app/server.h"

#include "access/access.h"
#include "app/dashboard_feed.h"
#include "app/openapi.h"
#include "app/routes.h"
#include "app/signals.h"
#include "app/worker.h"
#include "auth/authentication.h"
#include "base/log.h"
#include "config/address.h"
#include "config/cgroup.h"
#include "config/config.h"
#include "files/files.h"
#include "metrics/access_log.h"
#include "metrics/prometheus.h"
#include "net/limits.h"
#include "proxy/trusted_proxies.h"
#include "settings/settings.h"
#include "settings/settings_http.h"
#include "sockets/listeners.h"
#include "tls/tls_context.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PIPIT_VERSION
#error "PIPIT_VERSION comes from CMakeLists.txt"
#endif

#define WORKERS_MAX 256

struct settings_store {
	struct pipit_settings *settings;
	struct settings_store *next;
};

struct pipit_server {
	struct pipit_config config;
	struct pipit_shared shared;
	struct pipit_routes routes;
	struct pipit_access *access; /* NULL: none */
	struct settings_store *stores;
	struct pipit_authentication *authentication; /* NULL: no path is protected, or the files are not read yet */
	bool is_started;
	atomic_bool is_running; /* worker inboxes are open */
	atomic_bool wants_stop; /* may be set before that */

	size_t worker_count;
	struct pipit_worker *workers[WORKERS_MAX];
	const struct pipit_counters *counters[WORKERS_MAX];
	_Atomic(struct pipit_dashboard_feed *) feed; /* NULL: not yet */
	struct event *drain_delay;                   /* while pipit_server_run() runs */
	pthread_t threads[WORKERS_MAX];              /* all workers but the first */
	_Atomic size_t running;                      /* workers with connections */
	bool is_attached;

	struct pipit_server *shown[PIPIT_SERVER_SHOWN_MAX];
	const struct pipit_counters *shown_counters[PIPIT_SERVER_SHOWN_MAX];
	_Atomic size_t shown_count; /* release: the entries are written before */

	bool is_listening;
	int log_error; /* of pipit_server_open_log(), which has logged it */
	struct pipit_listeners listeners;
	time_t started;
};

const char *pipit_version(void)
{
	return PIPIT_VERSION;
}

const struct pipit_config *pipit_server_config(const struct pipit_server *server)
{
	return &server->config;
}

/* --- creation ----------------------------------------------------------------------------------------------------- */

/* More threads than the quota has cores would use it up early in each period, and all wait for the next one. */
static size_t usable_cores(void)
{
	cpu_set_t set;
	size_t cores = sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
	uint64_t quota = pipit_cgroup_limits().cpus;
	return quota && quota < cores ? (size_t)quota : cores;
}

static int open_access_log(struct pipit_server *server)
{
	const struct pipit_config *config = &server->config;
	int error;

	if (server->shared.access_log)
		return 0;
	error = pipit_access_log_open(
	    config->access_log, strcmp(config->log_format, "json") == 0, &server->shared.access_log);
	if (error != 0)
		pipit_config_log_error(config, "access-log = \"%s\": cannot be opened: %s; use off, - or a file",
		    config->access_log, strerror(-error));
	return error;
}

int pipit_server_open_log(struct pipit_server *server)
{
	server->log_error = open_access_log(server);
	return server->log_error;
}

void pipit_server_remove_new_log(struct pipit_server *server)
{
	if (server)
		pipit_access_log_remove_new(server->shared.access_log);
}

struct pipit_server *pipit_server_new(const struct pipit_config *config)
{
	struct pipit_config defaults;
	char errors[4096];

	if (!config) {
		pipit_config_init(&defaults);
		config = &defaults;
	}
	if (pipit_config_check(config, errors, sizeof errors) == 0)
		return pipit_server_new_unchecked(config);
	pipit_config_log_errors(errors);
	return NULL;
}

struct pipit_server *pipit_server_new_unchecked(const struct pipit_config *config)
{
	struct pipit_server *server = calloc(1, sizeof *server);

	if (server) {
		server->listeners.config = &server->config;
		server->shared.limits = pipit_limits_new(config->max_connections_per_address);
	}
	if (!server || !server->shared.limits || pipit_routes_init(&server->routes) != 0 ||
	    pipit_config_copy(&server->config, config) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "out of memory");
		pipit_server_free(server);
		return NULL;
	}
	pipit_config_set_up_log(config);
	server->worker_count = config->workers ? (size_t)config->workers : usable_cores();
	server->started = time(NULL);
	return server;
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

static int add_route(struct pipit_server *server, const char *pattern, const struct pipit_route *content)
{
	if (server->is_started)
		return pipit_routes_fail(&server->routes, pattern, -EBUSY, "register routes before the server runs");
	return pipit_routes_add(&server->routes, server->config.memory_limit, pattern, content);
}

int pipit_route_with(struct pipit_server *server, unsigned methods, const char *pattern, pipit_handler *handler,
    void *arg, const struct pipit_route_options *options)
{
	struct pipit_route content = { .methods = methods, .handler = handler, .arg = arg };
	if (options)
		content.options = *options;
	return add_route(server, pattern, &content);
}

int pipit_route(struct pipit_server *server, unsigned methods, const char *pattern, pipit_handler *handler, void *arg)
{
	return pipit_route_with(server, methods, pattern, handler, arg, NULL);
}

int pipit_route_evhttp_with(struct pipit_server *server, unsigned methods, const char *pattern,
    pipit_evhttp_callback *callback, void *arg, const struct pipit_route_options *options)
{
	struct pipit_route content = { .methods = methods, .callback = callback, .arg = arg };
	if (options)
		content.options = *options;
	return add_route(server, pattern, &content);
}

int pipit_route_evhttp(
    struct pipit_server *server, unsigned methods, const char *pattern, pipit_evhttp_callback *callback, void *arg)
{
	return pipit_route_evhttp_with(server, methods, pattern, callback, arg, NULL);
}

int pipit_filter(struct pipit_server *server, const char *pattern, pipit_filter_handler *filter, void *arg)
{
	if (server->is_started)
		return pipit_routes_fail_filter(
		    &server->routes, pattern, -EBUSY, "register filters before the server runs");
	return pipit_routes_add_filter(&server->routes, pattern, filter, arg);
}

static int set_fallback(struct pipit_server *server, const struct pipit_route *content)
{
	if (server->is_started)
		return pipit_routes_fail(
		    &server->routes, "fallback", -EBUSY, "register the fallback before the server runs");
	return pipit_routes_set_fallback(&server->routes, content);
}

int pipit_fallback_with(
    struct pipit_server *server, pipit_handler *handler, void *arg, const struct pipit_route_options *options)
{
	struct pipit_route content = { .methods = PIPIT_ANY, .handler = handler, .arg = arg };
	if (options)
		content.options = *options;
	return set_fallback(server, &content);
}

int pipit_fallback(struct pipit_server *server, pipit_handler *handler, void *arg)
{
	return pipit_fallback_with(server, handler, arg, NULL);
}

int pipit_fallback_evhttp(struct pipit_server *server, pipit_evhttp_callback *callback, void *arg)
{
	return set_fallback(server, &(struct pipit_route){ .methods = PIPIT_ANY, .callback = callback, .arg = arg });
}

static int serve_settings(
    struct pipit_server *server, const char *pattern, const char *below, struct pipit_settings *settings)
{
	uint64_t max_bytes = pipit_settings_max_bytes(settings), limit = server->config.memory_limit;
	int error = 0;

	for (size_t i = 0; i < PIPIT_SETTINGS_HTTP_ROUTES && error == 0; i++) {
		const struct pipit_settings_http_route *route = &pipit_settings_http_routes[i];
		struct pipit_route_options options = route->options;
		options.known_host = true;
		options.admin_only = true;
		options.max_body_bytes = limit && limit < max_bytes ? limit : max_bytes;
		error = pipit_route_with(
		    server, route->method, route->is_below ? below : pattern, route->handler, settings, &options);
	}
	return error;
}

int pipit_route_settings(struct pipit_server *server, const char *pattern, struct pipit_settings *settings)
{
	struct settings_store *store = malloc(sizeof *store);
	char *below = pattern ? malloc(strlen(pattern) + sizeof PIPIT_SETTINGS_HTTP_BELOW) : NULL;
	int error;

	if (!pattern || !settings) {
		error = pipit_routes_fail(&server->routes, pattern, -EINVAL, "settings need a pattern and a store");
	} else if (!store || !below) {
		error = pipit_routes_fail(&server->routes, pattern, -ENOMEM, "out of memory");
	} else {
		sprintf(below, "%s%s", pattern, PIPIT_SETTINGS_HTTP_BELOW);
		error = serve_settings(server, pattern, below, settings);
		/* also after a failure: some routes are registered */
		*store = (struct settings_store){ settings, server->stores };
		server->stores = store;
		store = NULL;
	}
	free(store);
	free(below);
	return error;
}

/* --- authentication ----------------------------------------------------------------------------------------------- */

/* Clients must not read the files. */
static int check_exposure(const struct pipit_server *server)
{
	const char *root = server->config.root, *rule, *file;
	int result = 0;

	for (size_t i = 0; root && (file = pipit_authentication_file(server->authentication, i, &rule)) != NULL; i++) {
		if (!pipit_files_contains(root, file))
			continue;
		pipit_config_log_error(&server->config,
		    "protect = \"%s\": %s lies below root = \"%s\", where clients can read it; use a file outside",
		    rule, file, root);
		result = -EINVAL;
	}
	return result;
}

static int read_users(struct pipit_server *server)
{
	int error = 0;

	if (!server->authentication && server->config.protect)
		error = pipit_authentication_new(&server->config, usable_cores(), &server->authentication);
	return error == 0 && server->authentication ? check_exposure(server) : error;
}

const char *pipit_server_user_file(const struct pipit_server *server, size_t index)
{
	const char *rule;
	return server->authentication ? pipit_authentication_file(server->authentication, index, &rule) : NULL;
}

int pipit_server_reload_users(struct pipit_server *server)
{
	return server->authentication ? pipit_authentication_reload(server->authentication) : 0;
}

/* Before the program's filters. */
static int prepend_authentication(struct pipit_server *server)
{
	struct pipit_filter *filter;
	char why[128];
	int error;

	if (!server->authentication)
		return 0;
	server->shared.has_threads = true;
	error = pipit_filter_new(
	    "/{path...}", pipit_authentication_filter, server->authentication, &filter, why, sizeof why);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR, "protect: %s", why);
	else
		pipit_routes_prepend_filters(&server->routes, filter);
	return error;
}

/* --- listening ---------------------------------------------------------------------------------------------------- */

/* Callbacks that were written for evhttp seldom lock what they share. */
static void count_workers(struct pipit_server *server)
{
	if (server->config.workers || server->worker_count == 1 || pipit_routes_are_thread_safe(&server->routes))
		return;
	server->worker_count = 1;
	pipit_log(PIPIT_LOG_INFO, "one worker, because an evhttp callback is not thread_safe");
}

static int check_registrations(const struct pipit_server *server)
{
	if (server->routes.error)
		pipit_log(PIPIT_LOG_ERROR, "not starting: a registration failed, see above");
	return server->routes.error;
}

/* Behind a guard without routes of its own there is only the program's evhttp. */
static bool wants_access(const struct pipit_server *server)
{
	const struct pipit_config *config = &server->config;
	return !server->shared.is_quiet || config->hosts || config->cors_origins || config->header || config->allow ||
	       config->deny || config->rate_limit;
}

/* Certificates are checked also when no address uses them. */
static int open_tls(struct pipit_server *server)
{
	const struct pipit_config *config = &server->config;

	if (server->shared.tls || (config->tls_certificate_count == 0 && !pipit_config_has_https(config)))
		return 0;
	if (!pipit_config_has_https(config) && config->listen_count > 0)
		pipit_log(
		    PIPIT_LOG_WARN, "certificates have no effect without an address such as https://:8443 in listen");
	/* reported by pipit_config_check() */
	if (config->tls_certificate_count == 0 || config->tls_certificate_count != config->tls_key_count)
		return -EINVAL;
	server->shared.tls = pipit_tls_context_new(config);
	if (!server->shared.tls)
		return -EINVAL;
	if (strcmp(config->kernel_tls, "on") == 0)
		pipit_log(PIPIT_LOG_INFO,
		    pipit_tls_context_has_kernel(server->shared.tls)
			? "TLS: the kernel encrypts what is sent"
			: "TLS: OpenSSL encrypts what is sent: the kernel or OpenSSL has no kernel TLS");
	return 0;
}

/* Logs every error. */
static int open_log_and_listeners(struct pipit_server *server, bool is_check)
{
	int result = 0, error;

	if (!server->access && wants_access(server))
		result = pipit_access_new(&server->config, &server->access);
	error = open_tls(server);
	result = result ? result : error;
	error = read_users(server);
	result = result ? result : error;
	if (!server->shared.trusted_proxies) {
		error = pipit_trusted_proxies_new(&server->config, &server->shared.trusted_proxies);
		result = result ? result : error;
	}
	if (server->log_error != 0 || open_access_log(server) != 0)
		result = result ? result : -EIO;
	error = 0;
	if (pipit_config_has_address(&server->config))
		error = pipit_listeners_open(&server->listeners, server->worker_count, is_check);
	return result ? result : error;
}

int pipit_server_listen(struct pipit_server *server)
{
	int error = check_registrations(server);

	if (error != 0 || server->is_listening)
		return error;
	count_workers(server);
	error = open_log_and_listeners(server, false);
	if (error != 0)
		pipit_listeners_close(&server->listeners);
	server->is_listening = error == 0;
	return error;
}

int pipit_server_check(struct pipit_server *server)
{
	int error = check_registrations(server);

	if (error == 0)
		error = open_log_and_listeners(server, true);
	pipit_listeners_close(&server->listeners);
	return error;
}

const char *pipit_server_url(const struct pipit_server *server, size_t index)
{
	return server->is_listening ? pipit_listeners_url(&server->listeners, index) : NULL;
}

/* --- starting ----------------------------------------------------------------------------------------------------- */

static void worker_done(struct pipit_server *server, struct pipit_worker *worker)
{
	bool is_last = atomic_fetch_sub_explicit(&server->running, 1, memory_order_acq_rel) == 1;
	if (server->is_attached)
		return;
	/* the first worker handles signals until the others are done */
	if (worker != server->workers[0])
		pipit_worker_break(worker);
	if (is_last)
		pipit_worker_break(server->workers[0]);
}

static uint64_t evictable_connections(const struct pipit_counters *counters)
{
	return pipit_counters_in_state(counters, PIPIT_STATE_IDLE) +
	       pipit_counters_in_state(counters, PIPIT_STATE_READING) +
	       pipit_counters_in_state(counters, PIPIT_STATE_CLOSING);
}

static uint64_t connections_for(enum pipit_evictable which, const struct pipit_counters *counters)
{
	return which == PIPIT_EVICTABLE_LINGERING ? pipit_counters_in_state(counters, PIPIT_STATE_CLOSING)
						  : evictable_connections(counters);
}

/* On the worker with the most connections. False: none has any. */
static bool evict_elsewhere(struct pipit_server *server, struct pipit_worker *requester, enum pipit_evictable which)
{
	struct pipit_worker *best = NULL;
	uint64_t most = which == PIPIT_EVICTABLE_MANY ? 2 * evictable_connections(pipit_worker_stats(requester)) : 0;
	for (size_t i = 0; i < server->worker_count; i++) {
		struct pipit_worker *worker = server->workers[i];
		uint64_t count = connections_for(which, pipit_worker_stats(worker));
		if (worker == requester || count <= most)
			continue;
		best = worker;
		most = count;
	}
	return best && pipit_worker_evict(best, which) == 0;
}

/* --- guarded evhttp ----------------------------------------------------------------------------------------------- */

struct pipit_server *pipit_server_new_guard(const struct pipit_config *config, bool is_preloaded)
{
	struct pipit_server *server = pipit_server_new(config);
	if (!server)
		return NULL;
	server->config.listen_count = 0;
	server->config.admin_listen = NULL;
	server->shared.is_quiet = true;
	server->shared.keeps_left = is_preloaded;
	return server;
}

int pipit_server_show(struct pipit_server *server, struct pipit_server *shown)
{
	size_t count = atomic_load_explicit(&server->shown_count, memory_order_relaxed);
	if (count == PIPIT_SERVER_SHOWN_MAX)
		return -ENOSPC;
	shown->shared.keeps_counters = true;
	server->shown[count] = shown;
	server->shown_counters[count] = shown->counters[0];
	atomic_store_explicit(&server->shown_count, count + 1, memory_order_release);
	return 0;
}

int pipit_server_guard_fallback(struct pipit_server *server, pipit_evhttp_callback *callback)
{
	const struct pipit_routes *routes = &server->routes;
	const struct pipit_route *route = pipit_routes_find_callback(routes);

	/* by an earlier failed attempt */
	if (routes->fallback && routes->fallback->callback != callback)
		return pipit_routes_fail(
		    &server->routes, "fallback", -EEXIST, "the guarded evhttp is the fallback: register no other");
	if (route)
		return pipit_routes_fail(&server->routes, route->pattern, -EINVAL,
		    "a guarded evhttp has its own callbacks: set them with evhttp_set_cb()");
	return pipit_fallback_evhttp(server, callback, NULL);
}

int pipit_server_attach_evhttp(
    struct pipit_server *server, struct event_base *base, struct evhttp *http, void (*on_evhttp_freed)(void *server))
{
	int error;

	if (server->is_started)
		return -EBUSY;
	server->shared.evhttp = http;
	error = pipit_server_attach(server, base);
	if (error == 0) {
		error = pipit_worker_watch_evhttp(server->workers[0], on_evhttp_freed, server);
		if (error != 0)
			pipit_log(PIPIT_LOG_ERROR, "cannot guard the evhttp: out of memory or descriptors");
	}
	if (error != 0) {
		/* nothing else would free the workers */
		pipit_server_detach(server);
		server->shared.evhttp = NULL;
	}
	return error;
}

struct pipit_worker *pipit_server_worker(const struct pipit_server *server)
{
	return server->workers[0];
}

struct pipit_worker *pipit_server_worker_of(const struct pipit_server *server, const struct event_base *base)
{
	for (size_t i = 0; i < server->worker_count; i++) {
		if (server->workers[i] && pipit_worker_base(server->workers[i]) == base)
			return server->workers[i];
	}
	return NULL;
}

void pipit_server_detach(struct pipit_server *server)
{
	pipit_dashboard_feed_free(atomic_exchange(&server->feed, NULL));
	atomic_store(&server->is_running, false);
	pipit_authentication_stop(server->authentication);
	for (size_t i = 0; i < server->worker_count; i++) {
		pipit_worker_free(server->workers[i]);
		server->workers[i] = NULL;
	}
}

static struct pipit_prometheus describe_own(const struct pipit_server *server)
{
	return (struct pipit_prometheus){
		.workers = server->counters,
		.worker_count = server->worker_count,
		.routes = server->routes.names,
		.route_count = server->routes.count + 2,
		.version = PIPIT_VERSION,
		.libevent_version = event_get_version(),
		.messages_dropped = pipit_log_dropped(),
		.log_dropped = server->shared.access_log ? pipit_access_log_dropped(server->shared.access_log) : 0,
		.started = server->started,
		.buffered_bytes = pipit_limits_bytes(server->shared.limits),
	};
}

/* Guards have the same routes. */
static struct pipit_prometheus describe(const struct pipit_server *server)
{
	size_t count = atomic_load_explicit(&server->shown_count, memory_order_acquire);
	struct pipit_prometheus page = describe_own(count ? server->shown[0] : server);

	if (!count)
		return page;
	page.workers = server->shown_counters;
	page.worker_count = count;
	for (size_t i = 1; i < count; i++) {
		struct pipit_prometheus other = describe_own(server->shown[i]);
		page.log_dropped += other.log_dropped;
		page.buffered_bytes += other.buffered_bytes;
	}
	return page;
}

static void describe_for_feed(void *context, struct pipit_dashboard_data_input *input)
{
	const struct pipit_server *server = context;
	size_t count = atomic_load_explicit(&server->shown_count, memory_order_acquire);
	const struct pipit_config *config = count ? &server->shown[0]->config : &server->config;

	/* Each guard has limits of its own. */
	*input = (struct pipit_dashboard_data_input){
		.page = describe(server),
		.max_connections = config->max_connections * (count ? count : 1),
		.memory_limit = config->memory_limit * (count ? count : 1),
	};
}

static struct pipit_dashboard_feed *new_feed(struct pipit_server *server, struct event_base *base)
{
	return pipit_dashboard_feed_new(base, describe_for_feed, server, server->config.max_streams);
}

static int start_feed(struct pipit_server *server)
{
	if (!pipit_routes_have_handler(&server->routes, pipit_serve_events))
		return 0;
	atomic_store(&server->feed, new_feed(server, pipit_worker_base(server->workers[0])));
	return atomic_load(&server->feed) ? 0 : -ENOMEM;
}

/* Logs why a worker cannot. */
static int listen_by(struct pipit_server *server, struct pipit_worker *worker, size_t index, int fd)
{
	const struct pipit_listeners *listeners = &server->listeners;
	const char *address = pipit_listeners_address(listeners, index);
	int error = pipit_worker_listen(worker, fd, pipit_listeners_is_admin(listeners, index), NULL);

	if (error == -EAFNOSUPPORT)
		pipit_listeners_log_error(listeners, index,
		    "cannot be used with this C library beside evhttp callbacks that may ask for their client's "
		    "address; use borrows_connection, or an IP address");
	if (error != 0)
		return error;
	if (pipit_listener_is_https(address))
		pipit_worker_use_tls(worker);
	if (pipit_address_is_proxied(address)) {
		error = pipit_worker_expect_proxies(worker);
		if (error != 0)
			pipit_listeners_log_error(listeners, index,
			    "cannot be used with this libevent beside evhttp callbacks that may ask for their "
			    "client's address; use borrows_connection, or an address without proxy-protocol");
	}
	return error;
}

static int make_worker(struct pipit_server *server, size_t number, struct event_base *base)
{
	struct pipit_listeners *listeners = &server->listeners;
	struct pipit_worker *worker = server->workers[number] = pipit_worker_new(&server->shared, base);
	int error = worker ? 0 : -ENOMEM;

	if (worker)
		server->counters[number] = pipit_worker_stats(worker);
	for (size_t i = 0; error == 0 && i < pipit_listeners_count(listeners); i++)
		error = listen_by(server, worker, i, pipit_listeners_take_socket(listeners, i, number));
	return error;
}

/* Without admin_listen, the same for all. */
static void set_dispatch_routes(struct pipit_server *server)
{
	const struct pipit_routes *routes = &server->routes;
	struct pipit_dispatch_routes *dispatched = server->shared.routes;

	dispatched[false] = dispatched[true] = (struct pipit_dispatch_routes){ routes->router, routes->fallback };
	if (!server->config.admin_listen)
		return;
	dispatched[false].router = routes->public_router;
	if (routes->fallback && routes->fallback->options.admin_only)
		dispatched[false].fallback = NULL;
}

static void prepend_access(struct pipit_server *server)
{
	const struct pipit_listeners *listeners = &server->listeners;

	for (size_t i = 0; i < pipit_listeners_count(listeners); i++)
		pipit_access_add_listener(server->access, pipit_listeners_socket(listeners, i, 0));
	pipit_access_set_https_port(server->access, pipit_listeners_https_port(listeners));
	pipit_routes_prepend_filters(
	    &server->routes, pipit_access_take_filters(server->access, server->shared.evhttp != NULL));
}

/* All that can fail, before threads run. */
static int start(struct pipit_server *server, struct event_base *base)
{
	int error = pipit_server_listen(server);

	if (error == 0)
		error = pipit_routes_name(&server->routes);
	if (error != 0)
		return error;
	server->is_started = true;
	error = prepend_authentication(server);
	if (error != 0)
		return error;
	if (server->access && wants_access(server))
		prepend_access(server);
	error = pipit_routes_describe(
	    &server->routes, pipit_serve_openapi, PIPIT_VERSION, server->config.admin_listen != NULL);
	if (error != 0)
		return error;
	server->shared.server = server;
	server->shared.config = &server->config;
	set_dispatch_routes(server);
	server->shared.filters = server->routes.filters;
	server->shared.evhttp_mode =
	    server->shared.evhttp ? PIPIT_EVHTTP_GUARDED : pipit_routes_evhttp_mode(&server->routes);
	server->shared.route_count = server->routes.count + 2;
	server->shared.worker_done = worker_done;
	server->shared.evict_elsewhere = evict_elsewhere;
	atomic_store(&server->running, server->worker_count);
	for (size_t i = 0; i < server->worker_count; i++) {
		error = make_worker(server, i, base);
		if (error == -ENOMEM)
			pipit_log(PIPIT_LOG_ERROR, "cannot start worker %zu: out of memory or descriptors", i);
		if (error != 0)
			return error;
	}
	error = start_feed(server);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR, "cannot start the stream of the dashboard: out of memory");
	return error;
}

int pipit_server_listen_on(struct pipit_server *server, int fd)
{
	if (server->access)
		pipit_access_add_listener(server->access, fd);
	return pipit_worker_listen(server->workers[0], fd, false, NULL);
}

/* Repeats an earlier drain or stop. */
static void open_inboxes(struct pipit_server *server)
{
	atomic_store(&server->is_running, true);
	if (atomic_load(&server->wants_stop))
		pipit_server_stop(server);
	else if (atomic_load(&server->shared.draining))
		pipit_server_drain(server);
}

int pipit_server_attach(struct pipit_server *server, struct event_base *base)
{
	int error;
	if (server->is_started)
		return -EBUSY;
	if (server->is_listening && server->worker_count != 1) {
		pipit_log(PIPIT_LOG_ERROR, "an attached server has one worker: set workers to 1 before listening");
		return -EINVAL;
	}
	server->worker_count = 1;
	server->is_attached = true;
	error = start(server, base);
	if (error == 0)
		open_inboxes(server);
	return error;
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static void *run_thread(void *worker)
{
	pipit_worker_run(worker);
	return NULL;
}

static void end_drain_delay(evutil_socket_t fd, short what, void *context)
{
	struct pipit_server *server = context;
	(void)fd, (void)what;
	pipit_log(PIPIT_LOG_INFO, "draining: accepting no connections, %llu open",
	    (unsigned long long)pipit_server_connections(server));
	pipit_server_drain(server);
}

/* Load balancers learn from /readyz within the delay; until then they send new connections. */
static void drain_all(void *context)
{
	struct pipit_server *server = context;
	uint64_t delay_ms = server->config.drain_delay_ms;
	struct timeval delay = { (time_t)(delay_ms / 1000), (suseconds_t)(delay_ms % 1000 * 1000) };
	atomic_store(&server->shared.draining, true);
	if (delay_ms && event_add(server->drain_delay, &delay) == 0)
		pipit_log(PIPIT_LOG_INFO, "draining in %llu ms: /readyz answers 503, connections are still accepted",
		    (unsigned long long)delay_ms);
	else
		end_drain_delay(-1, 0, server);
}

static void stop_all(void *context)
{
	pipit_log(PIPIT_LOG_INFO, "stopping now");
	pipit_server_stop(context);
}

void pipit_server_reopen_logs(struct pipit_server *server)
{
	int error = server->shared.access_log ? pipit_access_log_reopen(server->shared.access_log) : 0;
	if (error != 0)
		pipit_log(
		    PIPIT_LOG_ERROR, "cannot reopen the access log, the old file stays in use: %s", strerror(-error));
	else
		pipit_log(PIPIT_LOG_INFO, "logs reopened");
}

static void reopen_logs(void *context)
{
	pipit_server_reopen_logs(context);
}

int pipit_server_reload_certificates(struct pipit_server *server)
{
	return !server->shared.tls || pipit_tls_context_reload(server->shared.tls) ? 0 : -EINVAL;
}

static void reload(void *context)
{
	struct pipit_server *server = context;

	pipit_server_reload_certificates(server);
	pipit_server_reload_users(server);
	for (const struct settings_store *store = server->stores; store; store = store->next) {
		int error = pipit_settings_reload(store->settings);
		if (error != 0)
			pipit_log(PIPIT_LOG_ERROR, "cannot reload the settings: %s; try again", strerror(-error));
	}
}

/* How many workers have a thread. Threads inherit the mask: only this one gets signals. */
static size_t start_threads(struct pipit_server *server)
{
	size_t count = 1;
	int error = 0;
	sigset_t before;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	pipit_signals_block();
	while (count < server->worker_count && error == 0) {
		error = pthread_create(&server->threads[count], NULL, run_thread, server->workers[count]);
		count += error == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		pipit_log(PIPIT_LOG_ERROR, "cannot start thread %zu of %zu: %s", count + 1, server->worker_count,
		    strerror(error));
	return count;
}

static void free_drain_delay(struct pipit_server *server)
{
	if (server->drain_delay)
		event_free(server->drain_delay);
	server->drain_delay = NULL;
}

int pipit_server_run(struct pipit_server *server)
{
	static const struct pipit_signals_actions actions = { drain_all, stop_all, reopen_logs, reload };
	struct pipit_signals *signals;
	size_t count;

	if (server->is_started || start(server, NULL) != 0)
		return 1;
	server->drain_delay = event_new(pipit_worker_base(server->workers[0]), -1, 0, end_drain_delay, server);
	signals =
	    server->drain_delay ? pipit_signals_new(pipit_worker_base(server->workers[0]), &actions, server) : NULL;
	if (!signals) {
		pipit_log(PIPIT_LOG_ERROR, "cannot handle signals: out of memory");
		free_drain_delay(server);
		return 1;
	}
	open_inboxes(server);
	count = start_threads(server);
	if (count < server->worker_count) {
		for (size_t i = 1; i < count; i++)
			pipit_worker_break(server->workers[i]);
	} else {
		pipit_worker_run(server->workers[0]);
	}
	for (size_t i = 1; i < count; i++)
		pthread_join(server->threads[i], NULL);
	pipit_signals_free(signals);
	free_drain_delay(server);
	return count < server->worker_count ? 1 : 0;
}

void pipit_server_drain(struct pipit_server *server)
{
	atomic_store(&server->shared.draining, true);
	for (size_t i = 0; atomic_load(&server->is_running) && i < server->worker_count; i++)
		pipit_worker_drain(server->workers[i]);
}

void pipit_server_stop_loop(struct pipit_server *server)
{
	pipit_worker_break(server->workers[0]);
}

void pipit_server_stop(struct pipit_server *server)
{
	atomic_store(&server->wants_stop, true);
	atomic_store(&server->shared.draining, true);
	for (size_t i = 0; atomic_load(&server->is_running) && i < server->worker_count; i++)
		pipit_worker_stop(server->workers[i]);
}

bool pipit_server_is_draining(const struct pipit_server *server)
{
	return atomic_load(&server->shared.draining);
}

uint64_t pipit_server_connections(const struct pipit_server *server)
{
	return pipit_limits_connections(server->shared.limits);
}

void pipit_server_free(struct pipit_server *server)
{
	if (!server)
		return;
	while (server->stores) {
		struct settings_store *next = server->stores->next;
		pipit_settings_http_settle(server->stores->settings, server);
		free(server->stores);
		server->stores = next;
	}
	pipit_server_detach(server);
	pipit_authentication_free(server->authentication);
	pipit_listeners_close(&server->listeners);
	pipit_tls_context_free(server->shared.tls);
	pipit_access_log_close(server->shared.access_log);
	pipit_limits_free(server->shared.limits);
	pipit_trusted_proxies_free(server->shared.trusted_proxies);
	pipit_routes_clear(&server->routes);
	pipit_access_free(server->access);
	pipit_listeners_clear(&server->listeners);
	pipit_config_clear(&server->config);
	free(server);
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

static char *render_metrics(const struct pipit_server *server, bool openmetrics, size_t *length)
{
	struct pipit_prometheus page = describe(server);
	struct pipit_prometheus_certificate certificates[PIPIT_LISTEN_MAX];
	char names[PIPIT_LISTEN_MAX][PIPIT_TLS_NAME_SIZE];

	page.openmetrics = openmetrics;
	page.certificates = certificates;
	for (size_t i = 0; server->shared.tls && i < PIPIT_LISTEN_MAX; i++) {
		if (!pipit_tls_context_certificate(server->shared.tls, i, names[i], &certificates[i].expires))
			break;
		certificates[i].name = names[i];
		page.certificate_count++;
	}
	return pipit_prometheus_render(&page, length);
}

void pipit_serve_metrics(struct pipit_request *request, void *arg)
{
	static const char *const types[] = { "text/plain; version=0.0.4; charset=utf-8",
		"application/openmetrics-text; version=1.0.0; charset=utf-8" };
	struct pipit_server *server = pipit_request_server(request);
	/* text for clients that accept neither */
	bool openmetrics = pipit_request_negotiate(request, types, 2) == 1;
	size_t length;
	char *page;

	(void)arg;
	page = render_metrics(server, openmetrics, &length);
	if (!page) {
		pipit_request_reply_short(request);
		return;
	}
	pipit_reply_header(request, "Cache-Control", "no-store");
	pipit_reply(request, 200, types[openmetrics], page, length);
	free(page);
}

/* On the worker of the request. If two workers start a feed, the first one stays. */
static struct pipit_dashboard_feed *start_feed_late(struct pipit_server *server, struct event_base *base)
{
	struct pipit_dashboard_feed *feed = new_feed(server, base), *other = NULL;
	if (!feed || atomic_compare_exchange_strong(&server->feed, &other, feed))
		return feed;
	pipit_dashboard_feed_free(feed);
	return other;
}

void pipit_serve_events(struct pipit_request *request, void *arg)
{
	struct pipit_server *server = pipit_request_server(request);
	struct pipit_dashboard_feed *feed = atomic_load(&server->feed);
	(void)arg;

	/* the worker may be ending */
	if (pipit_request_is_gone(request))
		return;
	/* no route has this handler: another handler has called it */
	if (!feed)
		feed = start_feed_late(server, pipit_request_base(request));
	if (feed)
		pipit_dashboard_feed_serve(feed, request);
	else
		pipit_request_reply_short(request);
}

void pipit_serve_openapi(struct pipit_request *request, void *title)
{
	const struct pipit_server *server = pipit_request_server(request);
	bool is_public =
	    server->config.admin_listen && request->connection && !pipit_connection_is_admin(request->connection);
	const struct pipit_openapi *ready = is_public ? request->route->public_openapi : request->route->openapi;
	struct pipit_openapi *made = NULL;
	int error = 0;

	/* no description: another handler has called this one */
	if (!ready)
		error = pipit_openapi_new(server->routes.newest, is_public, title, PIPIT_VERSION, &made);
	if (error == -EINVAL)
		pipit_request_reply_fault(request, "pipit_serve_openapi() was called with a title that is not UTF-8");
	else if (error != 0)
		pipit_request_reply_short(request);
	else
		pipit_openapi_serve(made ? made : ready, request);
	pipit_openapi_free(made);
}
