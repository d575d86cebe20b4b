/* SPDX-License-Identifier: MIT */
/* The daemon. */
#include "app/healthcheck.h"
#include "app/signals.h"
#include "base/freelist.h"
#include "base/log.h"
#include "base/oom_reserve.h"
#include "config/config.h"
#include "config/options.h"
#include "files/files.h"
#include "handlers.h"
#include "pipit.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifdef PIPIT_EMBED_STATIC
#include "embedded.h"
#endif

/* documented by --help */
enum { EXIT_CLEAN = 0, EXIT_COULD_NOT_RUN = 1, EXIT_WRONG_CONFIGURATION = 2 };

/* for libevent, see pipit_reserve_memory() */
#define RESERVE_BYTES (256 * 1024)

extern char **environ;

/* The callback is global: a library must not set it. */
static void on_libevent_message(int severity, const char *message)
{
	static const enum pipit_log_level levels[] = { PIPIT_LOG_DEBUG, PIPIT_LOG_DEBUG, PIPIT_LOG_WARN,
		PIPIT_LOG_ERROR };
	pipit_log(levels[severity & 3], "libevent: %s", message);
}

/* Embedded pages, else installed ones, else those of the source. */
static void choose_own_pages(struct pipit_site_options *options)
{
#ifdef PIPIT_EMBED_STATIC
	options->pages = embedded_pages;
	options->page_count = embedded_page_count;
#else
	struct stat status;
	options->root = stat(PIPIT_INSTALLED_STATIC, &status) == 0 ? PIPIT_INSTALLED_STATIC : PIPIT_SOURCE_STATIC;
#endif
}

/* file: NULL: none. */
static bool is_exposed(const struct pipit_config *config, const char *option, const char *file)
{
	if (!config->root || !file || !pipit_files_contains(config->root, file))
		return false;
	pipit_log(PIPIT_LOG_ERROR,
	    "%s = \"%s\": lies below root = \"%s\", where clients can read it; use a file outside", option, file,
	    config->root);
	return true;
}

static bool exposes_files(const struct pipit_config *config)
{
	bool has_log = strcmp(config->access_log, "off") != 0 && strcmp(config->access_log, "-") != 0;
	bool is_log_exposed = is_exposed(config, "access-log", has_log ? config->access_log : NULL);
	return is_exposed(config, "settings", config->settings) || is_log_exposed;
}

static int open_site(const struct pipit_config *config, struct pipit_site **site)
{
	struct pipit_site_options options = {
		.root = config->root,
		.spa = strcmp(config->spa, "on") == 0,
		.listing = strcmp(config->listing, "on") == 0,
		.no_compression = strcmp(config->compress, "off") == 0,
		.cache_control = config->cache_control,
		.media_types = config->media_types,
	};
	char error[512];

	if (exposes_files(config))
		return EXIT_WRONG_CONFIGURATION;
	if (!config->root)
		choose_own_pages(&options);
	if (pipit_site_open(&options, site, error, sizeof error) == 0)
		return EXIT_CLEAN;
	pipit_log(PIPIT_LOG_ERROR, "%s", error);
	return EXIT_WRONG_CONFIGURATION;
}

static int open_settings(const struct pipit_config *config, struct pipit_settings **settings)
{
	const struct pipit_settings_options options = {
		.file = config->settings,
		.max_bytes = config->settings_max_bytes,
		.max_depth = config->max_json_depth,
		.max_members = config->max_json_members,
		.require_match = strcmp(config->settings_require_match, "on") == 0,
	};
	char error[512];

	if (!config->settings || pipit_settings_open(&options, settings, error, sizeof error) == 0)
		return EXIT_CLEAN;
	pipit_log(PIPIT_LOG_ERROR, "%s", error);
	return EXIT_WRONG_CONFIGURATION;
}

/* for listeners, logs, files and workers */
#define DESCRIPTORS_BESIDES 256

static void raise_descriptor_limit(const struct pipit_config *config)
{
	struct rlimit limit;
	rlim_t wanted = config->max_connections ? config->max_connections + DESCRIPTORS_BESIDES : RLIM_INFINITY;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (config->max_connections && limit.rlim_cur < wanted)
		pipit_log(PIPIT_LOG_WARN,
		    "max-connections = %llu, but only %llu descriptors are allowed: raise the limit (ulimit -n)",
		    (unsigned long long)config->max_connections, (unsigned long long)limit.rlim_cur);
}

static int run(struct pipit_config *config)
{
	struct pipit_site *site = NULL;
	struct pipit_settings *settings = NULL;
	struct pipit_server *server = NULL;
	enum pipit_log_level level = PIPIT_LOG_INFO;
	int result;

	/* sites and settings log before pipit_server_new() sets the level */
	pipit_log_level_parse(config->log_level, &level);
	pipit_log_set_level(level);
	result = open_site(config, &site);
	if (result == EXIT_CLEAN)
		result = open_settings(config, &settings);

	raise_descriptor_limit(config);
	/* once the address is printed, a signal may arrive */
	signal(SIGPIPE, SIG_IGN);
	pipit_signals_block();
	if (result == EXIT_CLEAN) {
		server = pipit_server_new(config);
		result = server && handlers_register(server, site, settings) == 0 && pipit_server_listen(server) == 0
			     ? EXIT_CLEAN
			     : EXIT_COULD_NOT_RUN;
	}
	if (result == EXIT_CLEAN) {
		for (size_t i = 0; pipit_server_url(server, i); i++)
			printf("listening on %s\n", pipit_server_url(server, i));
		fflush(stdout);
		result = pipit_server_run(server);
	}
	pipit_server_free(server);
	pipit_settings_free(settings);
	pipit_site_free(site);
	return result;
}

static int ask_health(const struct pipit_config *config)
{
	char error[256];
	if (pipit_healthcheck(config->listen[0], error, sizeof error) == 0)
		return EXIT_CLEAN;
	pipit_log(PIPIT_LOG_ERROR, "%s", error);
	return EXIT_COULD_NOT_RUN;
}

int main(int argc, char **argv)
{
	struct pipit_config config;
	struct pipit_options options = { 0 };
	char error[512];
	int result = EXIT_CLEAN, error_number;

	pipit_config_init(&config);
	event_set_log_callback(on_libevent_message);
	error_number = pipit_reserve_memory(RESERVE_BYTES);
	if (error_number != 0) {
		pipit_log(
		    PIPIT_LOG_ERROR, "cannot reserve %d bytes of memory: %s", RESERVE_BYTES, strerror(-error_number));
		result = EXIT_COULD_NOT_RUN;
	} else if (pipit_options_read(&config, &options, argc, argv, environ, error, sizeof error) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "%s", error);
		result = EXIT_WRONG_CONFIGURATION;
	} else if (options.help) {
		pipit_config_print_help(stdout);
	} else if (options.version) {
		printf("pipit %s (libevent %s)\n", pipit_version(), event_get_version());
	} else if (options.check) {
		pipit_config_print(&config, stdout);
	} else if (options.healthcheck) {
		result = ask_health(&config);
	} else {
		result = run(&config);
	}
	pipit_config_clear(&config);
	/* for leak checkers */
	libevent_global_shutdown();
	pipit_oom_reserve_clear();
	pipit_freelist_clear();
	return result;
}
