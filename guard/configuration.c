/* SPDX-License-Identifier: MIT */
#include "configuration.h"

#include "app/server.h"
#include "base/log.h"
#include "config/address.h"
#include "config/config.h"
#include "embedded.h"
#include "guarding.h"
#include "handlers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a server that listens, serves files or parses JSON. */
static const char *const refused_options[] = { "listen", "ipv6-only", "root", "dashboard", "spa", "listing", "compress",
	"cache-control", "media-types", "settings", "settings-max-bytes", "settings-require-match", "workers", "user",
	"group", "sandbox", "admin-listen", "max-streams", "listen-backlog", "max-json-depth", "max-json-values",
	"defer-accept", "drain-delay", "drain-timeout" };
#define REFUSED_COUNT (sizeof refused_options / sizeof *refused_options)

bool guard_configuration_refuses(const struct pipit_option *option)
{
	size_t i = 0;
	while (i < REFUSED_COUNT && strcmp(option->name, refused_options[i]) != 0)
		i++;
	return i < REFUSED_COUNT;
}

static bool is_own_variable(const char *variable)
{
	return strncmp(variable, "PIPIT_GUARD_", strlen("PIPIT_GUARD_")) == 0;
}

/* To pipit's options, each PIPIT_ variable is one. NULL: memory is short. */
static char **other_variables(char *const *environment)
{
	size_t count = 0;
	char **others;

	while (environment[count])
		count++;
	others = malloc((count + 1) * sizeof *others);
	if (!others)
		return NULL;
	count = 0;
	for (char *const *at = environment; *at; at++) {
		if (!is_own_variable(*at))
			others[count++] = *at;
	}
	others[count] = NULL;
	return others;
}

static const char *get_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	while (*environment && (strncmp(*environment, name, length) != 0 || (*environment)[length] != '='))
		environment++;
	return *environment ? *environment + length + 1 : NULL;
}

static int refuse_unknown_variables(char *const *environment)
{
	int result = 0;
	for (char *const *at = environment; *at; at++) {
		size_t length = strcspn(*at, "=");
		if (!is_own_variable(*at) ||
		    (length == strlen(PIPIT_GUARD_METRICS) && strncmp(*at, PIPIT_GUARD_METRICS, length) == 0) ||
		    (length == strlen(PIPIT_GUARD_CHILDREN) && strncmp(*at, PIPIT_GUARD_CHILDREN, length) == 0))
			continue;
		pipit_log(PIPIT_LOG_ERROR, "environment: %.*s: unknown variable; use %s or %s", (int)length, *at,
		    PIPIT_GUARD_METRICS, PIPIT_GUARD_CHILDREN);
		result = -EINVAL;
	}
	return result;
}

static int refuse_options(const struct guard_configuration *guard)
{
	int result = 0;
	for (size_t i = 0; i < REFUSED_COUNT; i++) {
		if (pipit_options_place(&guard->options, refused_options[i])->kind == PIPIT_OPTION_PLACE_CALL)
			continue;
		pipit_config_log_error(
		    &guard->config, "%s: has no effect on a guarded program; remove it", refused_options[i]);
		result = -EINVAL;
	}
	return result;
}

/* With the name by which the address was given. */
__attribute__((format(printf, 2, 3))) static void report_metrics(
    const struct guard_configuration *guard, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	if (guard->is_metrics_flag)
		pipit_log(PIPIT_LOG_ERROR, "--metrics %s: %s", guard->metrics, message);
	else
		pipit_log(
		    PIPIT_LOG_ERROR, "environment: %s = \"%s\": %s", PIPIT_GUARD_METRICS, guard->metrics, message);
}

static int read_own_options(
    struct guard_configuration *guard, char *const *environment, const struct guard_flags *flags)
{
	const char *children = get_variable(environment, PIPIT_GUARD_CHILDREN);
	char host[64];
	unsigned port;
	int result = refuse_unknown_variables(environment);

	guard->is_metrics_flag = flags->metrics != NULL;
	guard->metrics = flags->metrics ? flags->metrics : get_variable(environment, PIPIT_GUARD_METRICS);
	if (guard->metrics && (strncmp(guard->metrics, "https://", 8) == 0 ||
				  pipit_address_split(guard->metrics, host, sizeof host, &port) != 0)) {
		report_metrics(guard, "not an address; use ADDR:PORT, for example 127.0.0.1:9600");
		result = -EINVAL;
	}
	if (children && strcmp(children, "on") != 0 && strcmp(children, "off") != 0) {
		pipit_log(PIPIT_LOG_ERROR, "environment: %s = \"%s\": unknown value; use off or on",
		    PIPIT_GUARD_CHILDREN, children);
		result = -EINVAL;
	}
	return result;
}

/* The program may have changed its directory when the log is opened. */
static int refuse_relative_log(const struct guard_configuration *guard)
{
	const char *log = guard->config.access_log;

	if (*log == '/' || strcmp(log, "off") == 0 || strcmp(log, "-") == 0)
		return 0;
	pipit_config_log_error(&guard->config, "access-log = \"%s\": relative; use an absolute path, off or -", log);
	return -EINVAL;
}

static int read_options(struct guard_configuration *guard, char *const *variables, const struct guard_flags *flags,
    char *errors, size_t size)
{
	static char name[] = "pipit-guard", option[] = "--config";
	char *const arguments[] = { name, option, (char *)flags->config, NULL };
	struct pipit_config *config = &guard->config;

	/* The program has a limit of its own, or none; pipit's is the memory. */
	config->max_body_bytes = 0;
	config->workers = 1;
	return pipit_options_read(config, &guard->options, flags->config ? 3 : 1, arguments, variables, errors, size);
}

int guard_configuration_read(
    struct guard_configuration *guard, char *const *environment, const struct guard_flags *flags)
{
	static const struct guard_flags none;
	static char errors[PIPIT_OPTIONS_ERROR_BYTES];
	char **variables = other_variables(environment);
	int result;

	flags = flags ? flags : &none;
	pipit_config_init(&guard->config);
	if (!variables) {
		pipit_log(PIPIT_LOG_ERROR, "out of memory");
		return -EINVAL;
	}
	result = read_options(guard, variables, flags, errors, sizeof errors);
	free(variables);
	pipit_config_set_up_log(&guard->config);
	pipit_config_log_errors(errors);
	if (refuse_options(guard) != 0)
		result = -EINVAL;
	if (refuse_relative_log(guard) != 0)
		result = -EINVAL;
	if (read_own_options(guard, environment, flags) != 0)
		result = -EINVAL;
	return result;
}

void guard_configuration_print(const struct guard_configuration *guard, FILE *out)
{
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (!guard_configuration_refuses(&pipit_option_table[i]))
			pipit_config_print_option(&guard->config, &pipit_option_table[i], out);
	}
	if (guard->metrics)
		fprintf(out, "# metrics at %s\n", guard->metrics);
	else
		fprintf(out, "# no metrics\n");
}

void guard_configuration_clear(struct guard_configuration *guard)
{
	pipit_config_clear(&guard->config);
}

/* --- the metrics -------------------------------------------------------------------------------------------------------- */

static int add_routes(struct pipit_server *server)
{
	/* lives as long as the process */
	static struct pipit_site *dashboard;
	const struct pipit_site_options pages = { .pages = embedded_pages, .page_count = embedded_page_count };
	char error[256];

	if (!dashboard && pipit_site_open(&pages, &dashboard, error, sizeof error) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "%s", error);
		return -ENOMEM;
	}
	return handlers_register_monitoring(server) | pipit_fallback(server, pipit_serve_files, dashboard);
}

/* Without a listener of its own: the guard opens it, and names it in errors as the user did. */
static struct pipit_server *new_metrics(const struct guard_configuration *guard, const struct pipit_config *config)
{
	struct pipit_config listens_nowhere = *config;
	struct pipit_server *server;

	listens_nowhere.listen_count = 0;
	listens_nowhere.workers = 1;
	listens_nowhere.hosts = guard->config.hosts;
	listens_nowhere.log_format = guard->config.log_format;
	listens_nowhere.log_level = guard->config.log_level;
	server = pipit_server_new_unchecked(&listens_nowhere);
	if (server && add_routes(server) == 0)
		return server;
	pipit_server_free(server);
	return NULL;
}

int guard_configuration_open_metrics(const struct guard_configuration *guard, struct guard_metrics *metrics)
{
	socklen_t length = sizeof metrics->address;
	struct pipit_config config;
	int error;

	pipit_config_init(&config);
	config.listen[0] = guard->metrics;
	config.listen_count = 1;
	*metrics = (struct guard_metrics){ .server = new_metrics(guard, &config), .fd = -1 };
	if (!metrics->server)
		return -ENOMEM;
	error = pipit_listener_open(guard->metrics, &config, &metrics->fd, 1, metrics->url);
	if (error == 0) {
		getsockname(metrics->fd, (struct sockaddr *)&metrics->address, &length);
		return 0;
	}
	metrics->fd = -1;
	report_metrics(guard, "cannot be used: %s; %s", strerror(-error), pipit_listener_advice(error));
	guard_configuration_close_metrics(metrics);
	return error;
}

static bool is_any(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Any address of one family may accept for the other, too. */
static bool overlap(const struct sockaddr *left, const struct sockaddr *right)
{
	const struct sockaddr_in *v4[] = { (const void *)left, (const void *)right };
	const struct sockaddr_in6 *v6[] = { (const void *)left, (const void *)right };

	if (is_any(left) || is_any(right))
		return true;
	if (left->sa_family != right->sa_family)
		return false;
	return left->sa_family == AF_INET6 ? IN6_ARE_ADDR_EQUAL(&v6[0]->sin6_addr, &v6[1]->sin6_addr)
					   : v4[0]->sin_addr.s_addr == v4[1]->sin_addr.s_addr;
}

/* sin_port and sin6_port lie at the same place. */
static uint16_t port_of(const struct sockaddr_storage *address)
{
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

void guard_configuration_report_bind(
    const struct guard_configuration *guard, const struct guard_metrics *metrics, const char *address, uint16_t port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	const struct sockaddr *own = (const struct sockaddr *)&metrics->address;
	struct addrinfo *found = NULL;
	char service[sizeof "65535"];
	bool is_own = false;

	/* Without an address, the service must be there. */
	snprintf(service, sizeof service, "%u", port);
	if (!metrics->server || port != port_of(&metrics->address) ||
	    getaddrinfo(address, service, &hints, &found) != 0)
		return;
	for (const struct addrinfo *at = found; at; at = at->ai_next)
		is_own |= overlap(at->ai_addr, own);
	freeaddrinfo(found);
	if (is_own)
		report_metrics(guard,
		    "the program cannot bind port %u, because its metrics listen there; use another port for the "
		    "metrics",
		    port);
}

void guard_configuration_close_metrics(struct guard_metrics *metrics)
{
	pipit_server_free(metrics->server);
	if (metrics->fd >= 0)
		close(metrics->fd);
	*metrics = (struct guard_metrics){ .fd = -1 };
}
