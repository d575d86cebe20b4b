/* SPDX-License-Identifier: MIT */
#include "access/access.h"

#include "access/cors.h"
#include "access/header_rules.h"
#include "access/host_names.h"
#include "base/log.h"
#include "config/address.h"
#include "config/config.h"

#include <arpa/inet.h>
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
#define HINT_SECONDS 60

/* What most listeners are. */
enum loopback { LOOPBACK_NONE, LOOPBACK_SOME, LOOPBACK_ALL };

struct pipit_access {
	const struct pipit_config *config;
	struct pipit_host_names *names;
	struct pipit_cors *cors;          /* NULL: none */
	struct pipit_header_rules *rules; /* NULL: none */
	enum loopback loopback;
	bool has_list;
	_Atomic time_t hinted; /* when the log last said how to allow a name */
	struct pipit_filter *filters, **next_filter;
};

/* --- the Host header ------------------------------------------------------------------------------------------------ */

static struct pipit_slice host_of(const struct pipit_request *request)
{
	const struct pipit_guard_head *head = request->head;
	return head->host ? pipit_guard_slice(head, head->host, head->host_length) : (struct pipit_slice){ NULL, 0 };
}

static bool is_loopback(const char *address, unsigned *port)
{
	char host[PIPIT_ADDRESS_HOST_SIZE];
	return pipit_address_split(address, host, sizeof host, port) == 0 &&
	       (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0);
}

static enum loopback loopback_of(const struct pipit_config *config)
{
	size_t count = 0, total = config->listen_count + (config->admin_listen != NULL);
	unsigned port;

	for (size_t i = 0; i < config->listen_count; i++)
		count += is_loopback(config->listen[i], &port);
	count += config->admin_listen && is_loopback(config->admin_listen, &port);
	if (count == 0)
		return LOOPBACK_NONE;
	return count == total ? LOOPBACK_ALL : LOOPBACK_SOME;
}

/* The port tells listeners apart; port 0 is any. */
static bool is_loopback_listener(const struct pipit_access *access, unsigned local_port)
{
	const struct pipit_config *config = access->config;
	unsigned port;

	for (size_t i = 0; i < config->listen_count; i++) {
		if (is_loopback(config->listen[i], &port) && (port == 0 || port == local_port))
			return true;
	}
	return config->admin_listen && is_loopback(config->admin_listen, &port) && (port == 0 || port == local_port);
}

static bool came_by_loopback(const struct pipit_access *access, const struct pipit_request *request)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage storage;
	} local;

	if (access->loopback != LOOPBACK_SOME)
		return access->loopback == LOOPBACK_ALL;
	if (!pipit_connection_local(request->connection, &local.any, sizeof local))
		return true;
	if (local.any.sa_family == AF_INET)
		return ntohl(local.v4.sin_addr.s_addr) >> 24 == 127 &&
		       is_loopback_listener(access, ntohs(local.v4.sin_port));
	return local.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&local.v6.sin6_addr) &&
	       is_loopback_listener(access, ntohs(local.v6.sin6_port));
}

/* The operator of a proxy before this server must learn of it; a client must not fill the log. */
static void hint(struct pipit_access *access, struct pipit_slice host, const char *why)
{
	time_t now = time(NULL), before = atomic_load_explicit(&access->hinted, memory_order_relaxed);
	if (now - before < HINT_SECONDS || !atomic_compare_exchange_strong_explicit(&access->hinted, &before, now,
					       memory_order_relaxed, memory_order_relaxed))
		return;
	pipit_log(PIPIT_LOG_WARN, "refused a request for the host \"%.*s\" with 421: %s; allow the name by hosts",
	    (int)host.length, host.data, why);
}

static void refuse_host(struct pipit_access *access, struct pipit_request *request, const char *why)
{
	struct pipit_slice host = host_of(request);
	hint(access, host, why);
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
		if (came_by_loopback(access, request))
			refuse_host(access, request,
			    "a listener on loopback answers to localhost, IP addresses and names without a dot");
		else if (request->route && request->route->options.known_host)
			refuse_host(access, request, "a foreign site may own the name (DNS rebinding)");
		return;
	}
	if (!request->replied)
		pipit_filter_remember(request);
}

/* --- the Origin header ---------------------------------------------------------------------------------------------- */

static bool is_cross_site(struct pipit_request *request)
{
	const char *site = pipit_request_header(request, "Sec-Fetch-Site");
	return site && strcasecmp(site, "cross-site") == 0;
}

static void check_origin(struct pipit_request *request, void *arg)
{
	const struct pipit_access *access = arg;
	bool is_unsafe = request->head->method & UNSAFE;
	const char *origin;
	bool is_allowed;

	if (!is_unsafe && !access->cors) {
		if (pipit_host_names_have_every(access->names))
			pipit_filter_remember(request);
		return;
	}
	origin = pipit_request_header(request, "Origin");
	is_allowed = pipit_cors_apply(access->cors, request, origin);
	if (request->replied || is_allowed || !is_unsafe)
		return;
	if (origin ? !pipit_host_names_is_same_origin(pipit_slice_of(origin), host_of(request))
		   : is_cross_site(request))
		pipit_reply_problem(request, 403, "A page of another origin may not send this request.");
}

/* --- own headers ---------------------------------------------------------------------------------------------------- */

static void add_headers(struct pipit_request *request, void *arg)
{
	const struct pipit_access *access = arg;
	pipit_header_rules_apply(access->rules, request);
}

/* --- all of them ---------------------------------------------------------------------------------------------------- */

static int add_filter(struct pipit_access *access, pipit_filter_handler *handler, bool skips_familiar)
{
	char error[128];
	int result = pipit_filter_new("/{path...}", handler, access, access->next_filter, error, sizeof error);

	if (result != 0)
		pipit_log(PIPIT_LOG_ERROR, "%s", error);
	if (result == 0) {
		(*access->next_filter)->skips_familiar = skips_familiar;
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

/* The first error. */
static int read_configuration(struct pipit_access *access, char *error, size_t size)
{
	const struct pipit_config *config = access->config;
	int result = read_names(access, error, size);

	if (result == 0)
		result = pipit_cors_new(config, &access->cors, error, size);
	if (result == 0 && config->header)
		result = pipit_header_rules_new(config->header, &access->rules, error, size);
	return result;
}

int pipit_access_new(const struct pipit_config *config, struct pipit_access **access)
{
	struct pipit_access *made = calloc(1, sizeof *made);
	char error[1024] = "out of memory";
	int result = -ENOMEM;

	if (made) {
		made->config = config;
		made->loopback = loopback_of(config);
		made->next_filter = &made->filters;
		result = read_configuration(made, error, sizeof error);
	}
	if (result != 0)
		pipit_config_log_error(config, "%s", error);
	if (result == 0 && !pipit_host_names_have_every(made->names))
		result = add_filter(made, check_host, true);
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

struct pipit_filter *pipit_access_take_filters(struct pipit_access *access)
{
	struct pipit_filter *filters = access->filters;
	access->filters = NULL;
	return filters;
}

void pipit_access_free(struct pipit_access *access)
{
	if (!access)
		return;
	pipit_filter_free(access->filters);
	pipit_host_names_free(access->names);
	pipit_cors_free(access->cors);
	pipit_header_rules_free(access->rules);
	free(access);
}
