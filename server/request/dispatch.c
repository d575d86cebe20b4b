/* SPDX-License-Identifier: MIT */
/* Read from decide() on. */
#include "request/dispatch.h"

#include "base/log.h"
#include "base/methods.h"

#include <event2/event.h>
#include <stdio.h>
#include <time.h>

/* No route has the path and the method. */
static void answer_from_table(struct pipit_request *request)
{
	unsigned allow = request->match.allow;
	char list[PIPIT_METHODS_LIST_SIZE];

	if (!allow) {
		pipit_reply_problem(request, 404, "There is nothing at this path.");
		return;
	}
	pipit_methods_list(allow, list);
	pipit_reply_header(request, "Allow", list);
	if (request->head->method == PIPIT_OPTIONS)
		pipit_reply(request, 204, NULL, NULL, 0);
	else
		pipit_reply_problem(request, 405, "This resource serves %s only.", list);
}

/* NULL: see answer_from_table(). */
static const struct pipit_route *find_route(const struct pipit_dispatch *dispatch, struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	const struct pipit_dispatch_routes *routes = &dispatch->routes[pipit_connection_is_admin(request->connection)];
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);

	/* the server as a whole (RFC 9110 §9.3.7) */
	if (path.data[0] == '*') {
		request->match.allow = PIPIT_ANY;
		return NULL;
	}
	switch (pipit_router_find(routes->router, head->method, path, &request->match)) {
	case PIPIT_ROUTER_FOUND:
		return request->match.route;
	case PIPIT_ROUTER_METHOD_NOT_ALLOWED:
		return NULL;
	default:
		return routes->fallback;
	}
}

__attribute__((always_inline)) static inline enum pipit_decision go_to_route(
    const struct pipit_dispatch *dispatch, struct pipit_request *request, uint64_t *body_limit)
{
	const struct pipit_route *route = request->route;

	if (!route) {
		answer_from_table(request);
		return PIPIT_DECIDE_ANSWERED;
	}
	if (route->options.refuse_body && request->head->framing != PIPIT_FRAMING_NONE) {
		pipit_reply_problem(request, 413, "This resource accepts no request body.");
		return PIPIT_DECIDE_ANSWERED;
	}
	*body_limit = route->options.max_body_bytes ? route->options.max_body_bytes : dispatch->config->max_body_bytes;
	return route->callback ? PIPIT_DECIDE_EVHTTP : PIPIT_DECIDE_NATIVE;
}

__attribute__((noinline)) static enum pipit_decision filter(const struct pipit_dispatch *dispatch,
    const struct pipit_filter *first, struct pipit_request *request, uint64_t *body_limit)
{
	switch (pipit_filter_run(first, request)) {
	case PIPIT_FILTER_PASSED:
		return go_to_route(dispatch, request, body_limit);
	case PIPIT_FILTER_DEFERRED:
		return PIPIT_DECIDE_WAIT;
	default:
		return PIPIT_DECIDE_ANSWERED;
	}
}

/* --- https ----------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void add_hsts(const struct pipit_dispatch *dispatch, struct pipit_request *request)
{
	char value[48];

	/* As a proxy of trusted_proxy says, which may speak TLS with the client. */
	if (strcmp(pipit_request_scheme(request), "https") != 0)
		return;
	snprintf(value, sizeof value, "max-age=%llu", (unsigned long long)(dispatch->config->hsts_ms / 1000));
	pipit_reply_header(request, "Strict-Transport-Security", value);
}

/* --- the way of a request -------------------------------------------------------------------------------------------- */

static enum pipit_decision decide(
    void *context, struct pipit_connection *connection, const struct pipit_guard_head *head, uint64_t *body_limit)
{
	struct pipit_dispatch *dispatch = context;
	struct pipit_request *request = pipit_request_new(&dispatch->pool, connection, head);
	const struct pipit_filter *first = NULL;

	if (!request)
		return PIPIT_DECIDE_NO_MEMORY;
	pipit_connection_set_request(connection, request);
	if (dispatch->has_hsts)
		add_hsts(dispatch, request);
	request->route = find_route(dispatch, request);
	if (dispatch->filters)
		first = pipit_filter_has_checked_host(&dispatch->pool, head) ? dispatch->filters_after_host_check
									     : dispatch->filters;
	return first ? filter(dispatch, first, request, body_limit) : go_to_route(dispatch, request, body_limit);
}

static enum pipit_decision resumed(void *context, struct pipit_connection *connection, uint64_t *body_limit)
{
	struct pipit_request *request = pipit_connection_request(connection);
	return filter(context, request->next_filter, request, body_limit);
}

static struct pipit_slice reply_fields(void *context, struct pipit_connection *connection)
{
	const struct pipit_request *request = pipit_connection_request(connection);
	(void)context;
	return request ? (struct pipit_slice){ request->fields, request->fields_length }
		       : (struct pipit_slice){ NULL, 0 };
}

static const struct pipit_guard_head *retain(void *context, struct pipit_connection *connection)
{
	struct pipit_request *request = pipit_connection_request(connection);
	(void)context;
	return pipit_request_retain(request) == 0 ? request->head : NULL;
}

static void call(void *context, struct pipit_connection *connection, struct evhttp_request *evhttp_request)
{
	const struct pipit_request *request = pipit_connection_request(connection);
	(void)context;
	request->route->callback(evhttp_request, request->route->arg);
}

static void handle(void *context, struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_request *request = pipit_connection_request(connection);
	const struct pipit_route *route = request->route;
	(void)context;

	request->body = body;
	request->in_handler = true;
	route->handler(request, route->arg);
	request->in_handler = false;
	if (!request->replied && request->keep_count == 0)
		pipit_request_reply_fault(request, "the handler neither replied nor kept the request");
}

static void client_closed(void *context, struct pipit_connection *connection)
{
	(void)context;
	pipit_request_abandon(pipit_connection_request(connection));
}

static struct pipit_slice field_value(const struct pipit_guard_head *head, const char *name)
{
	const struct pipit_guard_field *field = pipit_guard_find(head, name);
	return field ? pipit_guard_slice(head, field->value, field->value_length) : (struct pipit_slice){ "", 0 };
}

/* request: NULL: none. */
static void log_entry(struct pipit_dispatch *dispatch, struct pipit_connection *connection,
    struct pipit_request *request, struct pipit_access_log_entry *entry)
{
	char peer[INET6_ADDRSTRLEN];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	entry->peer = request && dispatch->pool.trusted_proxies ? pipit_request_peer(request)
								: pipit_connection_peer(connection, peer, sizeof peer);
	entry->finished = now.tv_sec;
	if (pipit_connection_is_tls(connection)) {
		entry->client_subject = pipit_connection_client_subject(connection);
		entry->client_verified = pipit_connection_client_verified(connection);
	}
	if (!pipit_access_log_buffer_has_lines(dispatch->access))
		event_active(dispatch->log_event, EV_TIMEOUT, 0);
	pipit_access_log_buffer_add(dispatch->access, entry);
}

void pipit_dispatch_flush_log(struct pipit_dispatch *dispatch)
{
	if (dispatch->access)
		pipit_access_log_buffer_flush(dispatch->access);
}

/* Inlined, its frame costs requests without an access log 20 instructions. */
__attribute__((noinline)) static void log_request(
    struct pipit_dispatch *dispatch, struct pipit_connection *connection, struct pipit_request *request, int status)
{
	struct pipit_access_log_entry entry = {
		.request_line = pipit_request_line(request->head),
		.status = status,
		.content_bytes = pipit_connection_content_bytes(connection),
		.referer = field_value(request->head, "Referer"),
		.user_agent = field_value(request->head, "User-Agent"),
		.user = pipit_request_user(request),
		.duration_ns = pipit_connection_elapsed_ns(connection),
		.id = pipit_request_id(request),
		.route = pipit_request_route(request),
	};
	log_entry(dispatch, connection, request, &entry);
}

static size_t route_index(const struct pipit_dispatch *dispatch, const struct pipit_request *request)
{
	return request->route ? request->route->index : dispatch->no_route;
}

/* in the log only, as in nginx */
#define STATUS_CLIENT_CLOSED 499

/* An open reply counts until its head. */
__attribute__((noinline)) static void count_alone(
    struct pipit_dispatch *dispatch, struct pipit_connection *connection, const struct pipit_request *request)
{
	pipit_counters_request(dispatch->counters, route_index(dispatch, request), request->head->method,
	    pipit_connection_status(connection),
	    request->opened_ns ? request->opened_ns : pipit_connection_elapsed_ns(connection),
	    pipit_connection_body_bytes(connection), pipit_connection_content_bytes(connection));
}

static void count(void *context, struct pipit_connection *connection)
{
	struct pipit_dispatch *dispatch = context;
	const struct pipit_request *request = pipit_connection_request(connection);

	if (!pipit_connection_is_in_batch(connection) || request->opened_ns)
		count_alone(dispatch, connection, request);
	else
		pipit_counters_request_in_batch(dispatch->counters, route_index(dispatch, request),
		    request->head->method, pipit_connection_status(connection), pipit_connection_started_ns(connection),
		    pipit_connection_body_bytes(connection), pipit_connection_content_bytes(connection));
}

static void finished(void *context, struct pipit_connection *connection, bool complete)
{
	struct pipit_dispatch *dispatch = context;
	struct pipit_request *request = pipit_connection_request(connection);

	if (!complete)
		pipit_counters_add(dispatch->counters, PIPIT_COUNT_ABORTED, 1);
	if (dispatch->access)
		log_request(dispatch, connection, request,
		    complete ? pipit_connection_status(connection) : STATUS_CLIENT_CLOSED);
	pipit_connection_set_request(connection, NULL);
	pipit_request_detach(request);
}

static void refused(void *context, struct pipit_connection *connection, enum pipit_refusal reason,
    struct pipit_slice line, size_t content_bytes)
{
	struct pipit_dispatch *dispatch = context;
	struct pipit_request *request = pipit_connection_request(connection);
	struct pipit_access_log_entry entry = {
		.request_line = line,
		.status = pipit_refusal_entry(reason)->status,
		.content_bytes = content_bytes,
		.referer = { "", 0 },
		.user_agent = { "", 0 },
		.user = request ? pipit_request_user(request) : NULL,
		.duration_ns = line.length ? pipit_connection_elapsed_ns(connection) : 0,
		.id = "-",
		.route = request ? pipit_request_route(request) : "none",
	};

	pipit_log(PIPIT_LOG_DEBUG, "refused with %d: %s (\"%.*s\")", entry.status, pipit_refusal_entry(reason)->detail,
	    (int)line.length, line.data);
	/* empty: there was no request */
	if (line.length)
		pipit_counters_request(dispatch->counters,
		    request ? route_index(dispatch, request) : dispatch->no_route, request ? request->head->method : 0,
		    entry.status, entry.duration_ns, 0, content_bytes);
	if (dispatch->access)
		log_entry(dispatch, connection, request, &entry);
	if (!request)
		return;
	pipit_connection_set_request(connection, NULL);
	pipit_request_detach(request);
}

void pipit_dispatch_set_handlers(struct pipit_handler_table *handlers, bool has_filters)
{
	handlers->head = decide;
	handlers->resumed = resumed;
	handlers->reply_fields = has_filters ? reply_fields : NULL;
	handlers->retain = retain;
	handlers->handle = handle;
	handlers->call = call;
	handlers->count = count;
	handlers->finished = finished;
	handlers->refused = refused;
	handlers->client_closed = client_closed;
}
