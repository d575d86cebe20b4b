/* SPDX-License-Identifier: MIT */
#include "access/access.h"

#include "access/address_rules.h"
#include "access/cors.h"
#include "access/header_rules.h"
#include "access/host_names.h"
#include "access/https_redirect.h"
#include "access/rate_limit.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/refusal.h"
#include "config/config.h"
#include "metrics/counters.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define UNSAFE (PIPIT_POST | PIPIT_PUT | PIPIT_PATCH | PIPIT_DELETE)
#define WARNING_SECONDS 60
#define SHOWN_MAX 256 /* bytes of a name in the log */

struct pipit_access {
	const struct pipit_config *config;
	struct pipit_address_rules *addresses; /* NULL: none */
	struct pipit_rate_limit *rates;        /* NULL: none */
	struct pipit_host_names *names;
	struct pipit_cors *cors;          /* NULL: none */
	struct pipit_header_rules *rules; /* NULL: none */
	size_t listener_count, loopback_count;
	in_port_t loopback_ports[PIPIT_LISTEN_MAX + 1]; /* of listeners on loopback */
	bool has_list;
	bool has_own_evhttp;                       /* without a list */
	unsigned https_port;                       /* of redirect_to_https */
	_Atomic time_t host_warned, origin_warned; /* when the log last said how to allow one */
	struct pipit_filter *filters, **next_filter;
};

/* --- the client's address ------------------------------------------------------------------------------------------- */

static struct pipit_slice path_of(const struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	return pipit_guard_slice(head, head->path, head->path_length);
}

static void refuse(struct pipit_request *request, enum pipit_refusal reason)
{
	const struct pipit_refusal_entry *entry = pipit_refusal_entry(reason);
	struct pipit_slice line = pipit_request_line(request->head);

	pipit_log(PIPIT_LOG_DEBUG, "refused with %d: %s: %s (\"%.*s\")", entry->status, pipit_request_peer(request),
	    entry->detail, (int)line.length, line.data);
	pipit_counters_reject(request->pool->counters, reason);
	pipit_reply_problem(request, entry->status, "%s", entry->detail);
}

static void check_address(struct pipit_request *request, void *arg)
{
	const struct pipit_access *access = arg;
	int result = pipit_address_rules_check(access->addresses, pipit_request_client(request), path_of(request));

	if (result == -EACCES)
		refuse(request, PIPIT_REFUSAL_ADDRESS_DENIED);
	else if (result != 0)
		pipit_request_reply_short(request);
}

static void check_rate(struct pipit_request *request, void *arg)
{
	const struct pipit_access *access = arg;
	uint64_t seconds = 0, now_ns = pipit_net_now_ns(pipit_connection_net(request->connection));
	int result =
	    pipit_rate_limit_take(access->rates, pipit_request_client(request), path_of(request), now_ns, &seconds);
	char text[24];

	if (result == -ENOMEM)
		pipit_request_reply_short(request);
	if (result != -EAGAIN)
		return;
	*pipit_bytes_put_number(text, seconds) = '\0';
	pipit_reply_header(request, "Retry-After", text);
	refuse(request, PIPIT_REFUSAL_RATE_LIMIT);
}

/* --- the Host header ------------------------------------------------------------------------------------------------ */

static struct pipit_slice host_of(const struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	return head->host ? pipit_guard_slice(head, head->host, head->host_length) : (struct pipit_slice){ NULL, 0 };
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

static bool is_loopback(const union address *address)
{
	const struct in6_addr *v6 = &address->v6.sin6_addr;

	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	return address->any.sa_family == AF_INET6 &&
	       (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

/* In network order, for both families. */
static in_port_t port_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port;
}

void pipit_access_add_listener(struct pipit_access *access, int fd)
{
	union address address;
	socklen_t length = sizeof address;

	access->listener_count++;
	if (getsockname(fd, &address.any, &length) == 0 && is_loopback(&address))
		access->loopback_ports[access->loopback_count++] = port_of(&address);
}

/* Of a server with listeners of both kinds, the port tells them apart. */
static bool came_by_loopback(const struct pipit_access *access, const struct pipit_request *request)
{
	union address local;

	if (access->loopback_count == 0 || access->loopback_count == access->listener_count)
		return access->loopback_count > 0;
	if (!pipit_connection_local(request->connection, &local.any, sizeof local))
		return true;
	for (size_t i = 0; is_loopback(&local) && i < access->loopback_count; i++) {
		if (access->loopback_ports[i] == port_of(&local))
			return true;
	}
	return false;
}

/* The operator of a proxy before this server must learn of it; a client must not fill the log. */
static enum pipit_log_level level_after(_Atomic time_t *warned)
{
	time_t now = time(NULL), before = atomic_load_explicit(warned, memory_order_relaxed);
	bool may_warn = now - before >= WARNING_SECONDS && atomic_compare_exchange_strong_explicit(warned, &before, now,
							       memory_order_relaxed, memory_order_relaxed);
	return may_warn ? PIPIT_LOG_WARN : PIPIT_LOG_DEBUG;
}

/* Of an argument for "%.*s". */
static int shown_length(struct pipit_slice name)
{
	return name.length < SHOWN_MAX ? (int)name.length : SHOWN_MAX;
}

static void count(const struct pipit_request *request, enum pipit_refusal reason)
{
	pipit_counters_reject(request->pool->counters, reason);
}

static void refuse_host(struct pipit_access *access, struct pipit_request *request, const char *why)
{
	struct pipit_slice host = host_of(request);
	pipit_log(level_after(&access->host_warned),
	    "refused a request for the host \"%.*s\" with 421: %s; allow it with the option hosts", shown_length(host),
	    host.data ? host.data : "", why);
	count(request, PIPIT_REFUSAL_UNKNOWN_HOST);
	pipit_reply_problem(request, 421, "This server does not answer to the name \"%.*s\".", (int)host.length,
	    host.data ? host.data : "");
}

static void check_host(struct pipit_request *request, void *arg)
{
	struct pipit_access *access = arg;
	struct pipit_slice host = host_of(request);
	enum pipit_host_name kind;

	/* HTTP/1.0; browsers always send it. */
	if (!host.data) {
		if (access->has_list)
			refuse_host(access, request, "it is not in the list");
		return;
	}
	kind = pipit_host_names_find(access->names, host);
	if (access->has_list) {
		if (kind != PIPIT_HOST_NAME_LISTED && kind != PIPIT_HOST_NAME_LOOPBACK)
			refuse_host(access, request, "it is not in the list");
	} else if (kind == PIPIT_HOST_NAME_FOREIGN) {
		/* Not remembered below: a route may refuse it. */
		if (!access->has_own_evhttp && came_by_loopback(access, request))
			refuse_host(access, request,
			    "a listener on loopback answers to localhost, IP addresses and names without a dot");
		else if (request->route && request->route->options.known_host)
			refuse_host(access, request, "a foreign site may own the name (DNS rebinding)");
		return;
	}
	if (!request->replied)
		pipit_filter_keep_checked_host(request);
}

/* --- https ---------------------------------------------------------------------------------------------------------- */

void pipit_access_set_https_port(struct pipit_access *access, unsigned port)
{
	access->https_port = port;
}

/* Behind the check of the host: a name that is not this server's is no place to send clients to. */
static void check_scheme(struct pipit_request *request, void *arg)
{
	const struct pipit_access *access = arg;
	bool is_for_server = request->head->bytes[request->head->path] == '*';

	/* The public address does not have what is served at admin_listen only. A proxy of trusted_proxy may speak TLS with the client. */
	if (!is_for_server && !pipit_connection_is_tls(request->connection) &&
	    !pipit_connection_is_admin(request->connection) && strcmp(pipit_request_scheme(request), "https") != 0)
		pipit_https_redirect(request, access->https_port);
}

/* --- the Origin header ---------------------------------------------------------------------------------------------- */

/* Without memory: a header that cannot be read must not count as absent. NULL: absent. */
static struct pipit_slice header_of(const struct pipit_request *request, const char *name)
{
	const struct pipit_guard_field *field = pipit_guard_find(request->head, name);
	return field ? pipit_guard_slice(request->head, field->value, field->value_length)
		     : (struct pipit_slice){ NULL, 0 };
}

static bool is_foreign(const struct pipit_request *request, struct pipit_slice origin)
{
	if (origin.data)
		return !pipit_host_names_is_same_origin(origin, host_of(request));
	return pipit_slice_equals_nocase(header_of(request, "Sec-Fetch-Site"), "cross-site");
}

static void refuse_origin(struct pipit_access *access, struct pipit_request *request, struct pipit_slice origin)
{
	struct pipit_slice host = host_of(request);

	pipit_log(level_after(&access->origin_warned),
	    "refused a request of the origin \"%.*s\" for the host \"%.*s\" with 403: a page of another origin may "
	    "change nothing; a proxy must forward Host; allow it with the options cors-origins and cors-methods",
	    shown_length(origin), origin.data ? origin.data : "", shown_length(host), host.data ? host.data : "");
	count(request, PIPIT_REFUSAL_FOREIGN_ORIGIN);
	pipit_reply_problem(request, 403, "%s", pipit_refusal_entry(PIPIT_REFUSAL_FOREIGN_ORIGIN)->detail);
}

static void check_origin(struct pipit_request *request, void *arg)
{
	struct pipit_access *access = arg;
	bool is_unsafe = request->head->method & UNSAFE, is_allowed;
	struct pipit_slice origin;

	if (!is_unsafe && !access->cors) {
		if (pipit_host_names_have_every(access->names))
			pipit_filter_keep_checked_host(request);
		return;
	}
	origin = header_of(request, "Origin");
	is_allowed = pipit_cors_apply(access->cors, request, origin);
	if (access->has_own_evhttp && !(request->route && request->route->options.known_host))
		return;
	if (!request->replied && !is_allowed && is_unsafe && is_foreign(request, origin))
		refuse_origin(access, request, origin);
}

/* --- own headers ---------------------------------------------------------------------------------------------------- */

static void add_headers(struct pipit_request *request, void *arg)
{
	const struct pipit_access *access = arg;
	pipit_header_rules_apply(access->rules, request);
}

/* --- all of them ---------------------------------------------------------------------------------------------------- */

static int add_filter(struct pipit_access *access, pipit_filter_handler *handler, bool skips_checked_host)
{
	char error[128];
	int result = pipit_filter_new("/{path...}", handler, access, access->next_filter, error, sizeof error);

	if (result != 0)
		pipit_log(PIPIT_LOG_ERROR, "%s", error);
	if (result == 0) {
		(*access->next_filter)->skips_checked_host = skips_checked_host;
		access->next_filter = &(*access->next_filter)->next;
	}
	return result;
}

static int read_names(struct pipit_access *access, char *error, size_t size)
{
	const char *list = access->config->hosts;
	char own[256] = "", why[256];
	int result;

	if (gethostname(own, sizeof own - 1) != 0)
		own[0] = '\0';
	result = pipit_host_names_new(list, own, &access->names, why, sizeof why);
	if (result != 0)
		snprintf(error, size, "hosts = \"%s\": %s", list ? list : "", why);
	access->has_list = list != NULL;
	return result;
}

/* Reports every wrong line. */
static int read_lines(const struct pipit_access *access, const char *name, const char *lines,
    int (*add)(const struct pipit_access *access, const char *name, struct pipit_slice line, char *error, size_t size))
{
	int result = 0;

	while (lines && *lines) {
		struct pipit_slice line = { lines, strcspn(lines, "\n") };
		char why[512];
		int error = add(access, name, line, why, sizeof why);
		if (error != 0)
			pipit_config_log_error(
			    access->config, "%s = \"%.*s\": %s", name, (int)line.length, line.data, why);
		if (result == 0)
			result = error;
		lines += line.length + (lines[line.length] == '\n');
	}
	return result;
}

static int add_address_rule(
    const struct pipit_access *access, const char *name, struct pipit_slice line, char *error, size_t size)
{
	return pipit_address_rules_add(access->addresses, line, strcmp(name, "allow") == 0, error, size);
}

static int read_address_rules(struct pipit_access *access)
{
	char why[512] = "out of memory";
	int result = -ENOMEM, error;

	access->addresses = pipit_address_rules_new();
	if (access->addresses) {
		result = read_lines(access, "allow", access->config->allow, add_address_rule);
		error = read_lines(access, "deny", access->config->deny, add_address_rule);
		if (result != 0 || error != 0)
			return result != 0 ? result : error;
		result = pipit_address_rules_index(access->addresses, why, sizeof why);
	}
	if (result != 0)
		pipit_config_log_error(access->config, "deny: %s", why);
	return result;
}

static int add_rate(
    const struct pipit_access *access, const char *name, struct pipit_slice line, char *error, size_t size)
{
	(void)name;
	return pipit_rate_limit_add(access->rates, line, error, size);
}

static int read_rates(struct pipit_access *access)
{
	int result;

	access->rates = pipit_rate_limit_new();
	if (!access->rates) {
		pipit_config_log_error(access->config, "rate-limit: out of memory");
		return -ENOMEM;
	}
	result = read_lines(access, "rate-limit", access->config->rate_limit, add_rate);
	pipit_rate_limit_index(access->rates);
	return result;
}

/* The first error. */
static int read_other_options(struct pipit_access *access, char *error, size_t size)
{
	const struct pipit_config *config = access->config;
	int result = read_names(access, error, size);

	if (result == 0)
		result = pipit_cors_new(config, &access->cors, error, size);
	if (result == 0 && config->header)
		result = pipit_header_rules_new(config->header, &access->rules, error, size);
	return result;
}

/* Every wrong option. */
static int read_configuration(struct pipit_access *access)
{
	const struct pipit_config *config = access->config;
	char error[1024];
	int results[3] = { 0 };

	if (config->allow || config->deny)
		results[0] = read_address_rules(access);
	if (config->rate_limit)
		results[1] = read_rates(access);
	results[2] = read_other_options(access, error, sizeof error);
	if (results[2] != 0)
		pipit_config_log_error(config, "%s", error);
	return results[0] ? results[0] : results[1] ? results[1] : results[2];
}

int pipit_access_new(const struct pipit_config *config, struct pipit_access **access)
{
	struct pipit_access *made = calloc(1, sizeof *made);
	int result;

	if (!made) {
		pipit_config_log_error(config, "out of memory");
		return -ENOMEM;
	}
	made->config = config;
	made->next_filter = &made->filters;
	result = read_configuration(made);
	if (result == 0 && made->addresses)
		result = add_filter(made, check_address, false);
	if (result == 0 && made->rates)
		result = add_filter(made, check_rate, false);
	if (result == 0 && !pipit_host_names_have_every(made->names))
		result = add_filter(made, check_host, true);
	if (result == 0 && strcmp(config->redirect_to_https, "on") == 0)
		result = add_filter(made, check_scheme, false);
	if (result == 0)
		result = add_filter(made, check_origin, made->cors == NULL);
	if (result == 0 && made->rules)
		result = add_filter(made, add_headers, false);
	if (result != 0) {
		pipit_access_free(made);
		return result;
	}
	*access = made;
	return 0;
}

struct pipit_filter *pipit_access_take_filters(struct pipit_access *access, bool has_own_evhttp)
{
	struct pipit_filter *filters = access->filters;

	access->has_own_evhttp = has_own_evhttp && !access->has_list;
	access->filters = NULL;
	return filters;
}

void pipit_access_free(struct pipit_access *access)
{
	if (!access)
		return;
	pipit_filter_free(access->filters);
	pipit_address_rules_free(access->addresses);
	pipit_rate_limit_free(access->rates);
	pipit_host_names_free(access->names);
	pipit_cors_free(access->cors);
	pipit_header_rules_free(access->rules);
	free(access);
}
