/* SPDX-License-Identifier: MIT */
#include "configuration.h"

#include "app/server.h"
#include "base/log.h"
#include "config/address.h"
#include "config/config.h"
#include "embedded.h"
#include "guarding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* Of a server that listens, serves files or parses JSON. */
static const char *const refused_options[] = { "listen", "ipv6-only", "root", "dashboard", "spa", "listing", "compress",
	"cache-control", "media-types", "settings", "settings-max-bytes", "settings-require-match", "workers", "user",
	"group", "sandbox", "admin-listen", "max-streams", "listen-backlog", "max-json-depth", "max-json-values",
	"defer-accept", "drain-delay", "drain-timeout" };

static bool is_own_variable(const char *variable)
{
	return strncmp(variable, "PIPIT_GUARD_", strlen("PIPIT_GUARD_")) == 0;
}

/* To pipit's options, each PIPIT_ variable is one. NULL: memory is short. */
static char **other_variables(void)
{
	size_t count = 0;
	char **others;

	while (environ && environ[count])
		count++;
	others = malloc((count + 1) * sizeof *others);
	if (!others)
		return NULL;
	count = 0;
	for (char **at = environ; at && *at; at++) {
		if (!is_own_variable(*at))
			others[count++] = *at;
	}
	others[count] = NULL;
	return others;
}

static int refuse_unknown_variables(void)
{
	int result = 0;
	for (char **at = environ; at && *at; at++) {
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
	for (size_t i = 0; i < sizeof refused_options / sizeof *refused_options; i++) {
		if (pipit_options_place(&guard->options, refused_options[i])->kind == PIPIT_OPTION_PLACE_CALL)
			continue;
		pipit_config_log_error(
		    &guard->config, "%s: has no effect on a guarded program; remove it", refused_options[i]);
		result = -EINVAL;
	}
	return result;
}

static int read_own_variables(struct guard_configuration *guard)
{
	const char *children = getenv(PIPIT_GUARD_CHILDREN);
	char host[64];
	unsigned port;
	int result = refuse_unknown_variables();

	guard->metrics = getenv(PIPIT_GUARD_METRICS);
	if (guard->metrics && pipit_address_split(guard->metrics, host, sizeof host, &port) != 0) {
		pipit_log(PIPIT_LOG_ERROR,
		    "environment: %s = \"%s\": not an address; use ADDR:PORT, for example 127.0.0.1:9600",
		    PIPIT_GUARD_METRICS, guard->metrics);
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

int guard_configuration_read(struct guard_configuration *guard)
{
	static char errors[PIPIT_OPTIONS_ERROR_BYTES];
	static char name[] = "pipit-guard";
	char *const arguments[] = { name, NULL };
	struct pipit_config *config = &guard->config;
	char **variables = other_variables();
	int result;

	pipit_config_init(config);
	if (!variables) {
		pipit_log(PIPIT_LOG_ERROR, "out of memory");
		return -EINVAL;
	}
	/* The program has a limit of its own, or none; pipit's is the memory. */
	config->max_body_bytes = 0;
	config->workers = 1;
	result = pipit_options_read(config, &guard->options, 1, arguments, variables, errors, sizeof errors);
	free(variables);
	pipit_config_set_up_log(config);
	pipit_config_log_errors(errors);
	if (refuse_options(guard) != 0)
		result = -EINVAL;
	if (refuse_relative_log(guard) != 0)
		result = -EINVAL;
	if (read_own_variables(guard) != 0)
		result = -EINVAL;
	return result;
}

void guard_configuration_clear(struct guard_configuration *guard)
{
	pipit_config_clear(&guard->config);
}

/* --- the metrics -------------------------------------------------------------------------------------------------------- */

static void healthy(struct pipit_request *request, void *arg)
{
	static const char text[] = "{\"status\":\"ok\"}";
	(void)arg;
	pipit_reply_header(request, "Cache-Control", "no-store");
	pipit_reply(request, 200, "application/json", text, sizeof text - 1);
}

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
	return pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL) |
	       pipit_route(server, PIPIT_GET, "/events", pipit_serve_events, NULL) |
	       pipit_route(server, PIPIT_GET, "/healthz", healthy, NULL) |
	       pipit_fallback(server, pipit_serve_files, dashboard);
}

int guard_configuration_open_metrics(const struct guard_configuration *guard, struct pipit_server **server)
{
	struct pipit_config config;
	int error;

	pipit_config_init(&config);
	config.listen[0] = guard->metrics;
	config.listen_count = 1;
	config.workers = 1;
	config.log_format = guard->config.log_format;
	config.log_level = guard->config.log_level;
	*server = pipit_server_new(&config);
	error = *server ? add_routes(*server) : -ENOMEM;
	if (error == 0)
		error = pipit_server_listen(*server);
	if (error != 0) {
		pipit_server_free(*server);
		*server = NULL;
	}
	return error;
}
