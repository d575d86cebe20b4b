/* SPDX-License-Identifier: MIT */
/* The daemon. */
#include "app/healthcheck.h"
#include "app/server.h"
#include "app/signals.h"
#include "base/freelist.h"
#include "base/log.h"
#include "config/address.h"
#include "config/cgroup.h"
#include "config/config.h"
#include "config/options.h"
#include "confine/confine.h"
#include "confine/own_files.h"
#include "files/files.h"
#include "handlers.h"
#include "net/oom_reserve.h"
#include "pipit.h"
#include "settings/settings.h"
#include "sockets/listening.h"
#include "tls/test_certificate.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* The directory of the daemon's own pages; NULL: they are compiled in. */
static const char *find_own_pages(void)
{
#ifdef PIPIT_EMBED_STATIC
	return NULL;
#else
	return access(PIPIT_INSTALLED_STATIC, F_OK) == 0 ? PIPIT_INSTALLED_STATIC : PIPIT_SOURCE_STATIC;
#endif
}

static void choose_own_pages(struct pipit_site_options *options)
{
	options->root = find_own_pages();
#ifdef PIPIT_EMBED_STATIC
	options->pages = embedded_pages;
	options->page_count = embedded_page_count;
#endif
}

struct daemon {
	struct pipit_config *config;
	struct pipit_credentials credentials; /* of `user` and `group` */
	const char *config_file;              /* NULL: none */
	bool is_check;
	struct pipit_site *site;
	struct pipit_site *dashboard; /* beside a root */
	struct pipit_settings *settings;
	struct pipit_server *server;
	int result; /* exit status; of a wrong configuration if there are other errors too */
};

static void fail(struct daemon *daemon, int result)
{
	if (result > daemon->result)
		daemon->result = result;
}

static void fail_configuration(struct daemon *daemon, const char *error)
{
	pipit_config_log_error(daemon->config, "%s", error);
	fail(daemon, EXIT_WRONG_CONFIGURATION);
}

static const char dashboard_prefix[] = "/_pipit";

static bool has_dashboard(const struct pipit_config *config)
{
	return config->root && strcmp(config->dashboard, "on") == 0;
}

static void warn_of_hidden_folder(const char *root)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s%s", root, dashboard_prefix) < (int)sizeof path && access(path, F_OK) == 0)
		pipit_log(
		    PIPIT_LOG_WARN, "%s is not served, because the dashboard is there; use --dashboard off", path);
}

static void open_dashboard(struct daemon *daemon)
{
	struct pipit_site_options options = { .prefix = dashboard_prefix };
	char error[512];

	if (!has_dashboard(daemon->config))
		return;
	warn_of_hidden_folder(daemon->config->root);
	choose_own_pages(&options);
	if (pipit_site_open(&options, &daemon->dashboard, error, sizeof error) != 0)
		fail_configuration(daemon, error);
}

static int register_dashboard(const struct daemon *daemon)
{
	static const struct pipit_route_options options = {
		.admin_only = true,
		.summary = "The dashboard.",
		.reply_type = "text/html",
		.reply_schema = "{\"type\":\"string\"}",
	};
	int error;

	if (!daemon->config->root && daemon->site)
		return pipit_fallback_with(daemon->server, pipit_serve_files, daemon->site, &options);
	if (!daemon->dashboard)
		return 0;
	error = pipit_route_with(
	    daemon->server, PIPIT_GET, dashboard_prefix, pipit_serve_files, daemon->dashboard, &options);
	return error | pipit_route_with(daemon->server, PIPIT_GET, "/_pipit/{path...}", pipit_serve_files,
			   daemon->dashboard, &options);
}

/* file: NULL: none. */
static bool check_exposure(struct daemon *daemon, const char *option, const char *file)
{
	const char *root = daemon->config->root;

	if (!root || !file || !pipit_files_contains(root, file))
		return false;
	pipit_config_log_error(daemon->config,
	    "%s = \"%s\": lies below root = \"%s\", where clients can read it; use a file outside", option, file, root);
	fail(daemon, EXIT_WRONG_CONFIGURATION);
	return true;
}

/* Clients could read every file of the system that this user may read. */
static void refuse_whole_system(struct daemon *daemon)
{
	char path[PATH_MAX];

	if (!daemon->config->root || !realpath(daemon->config->root, path) || strcmp(path, "/") != 0)
		return;
	pipit_config_log_error(
	    daemon->config, "root = \"%s\": is the whole file system; use a directory below it", daemon->config->root);
	fail(daemon, EXIT_WRONG_CONFIGURATION);
}

static bool exposes_keys(struct daemon *daemon)
{
	bool is_exposed = false;
	for (size_t i = 0; i < daemon->config->tls_key_count; i++)
		is_exposed |= check_exposure(daemon, "tls-key", daemon->config->tls_key[i]);
	return is_exposed;
}

/* Whether the log, the settings, the configuration or a key lie where clients read. */
static bool exposes_files(struct daemon *daemon)
{
	const char *log = daemon->config->access_log;
	bool is_file = strcmp(log, "off") != 0 && strcmp(log, "-") != 0;

	bool is_log_exposed = check_exposure(daemon, "access-log", is_file ? log : NULL);
	bool is_named = daemon->config_file && *daemon->config_file;
	bool is_file_exposed = check_exposure(daemon, "config", is_named ? daemon->config_file : NULL);
	bool is_key_exposed = exposes_keys(daemon);

	return check_exposure(daemon, "settings", daemon->config->settings) || is_log_exposed || is_file_exposed ||
	       is_key_exposed;
}

/* pipit_site_open() reports its first error: open a site with each option alone. False: none of them is wrong. */
static bool report_site(struct daemon *daemon, const struct pipit_site_options *options)
{
	static const struct pipit_page none;
	const struct pipit_site_options parts[] = {
		{ .root = options->root, .listing = options->listing, .pages = &none },
		{ .media_types = options->media_types, .pages = &none },
		{ .cache_control = options->cache_control, .pages = &none },
	};
	char error[512];
	bool has_reported = false;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		struct pipit_site *site = NULL;
		if (pipit_site_open(&parts[i], &site, error, sizeof error) != 0) {
			fail_configuration(daemon, error);
			has_reported = true;
		}
		pipit_site_free(site);
	}
	return has_reported;
}

static void open_site(struct daemon *daemon)
{
	const struct pipit_config *config = daemon->config;
	struct pipit_site_options options = {
		.root = config->root,
		.spa = strcmp(config->spa, "on") == 0,
		.listing = strcmp(config->listing, "on") == 0,
		.no_compression = strcmp(config->compress, "off") == 0,
		.cache_control = config->cache_control,
		.media_types = config->media_types,
		.advice = has_dashboard(config) && !config->admin_listen ? "The dashboard is at /_pipit/." : NULL,
	};
	char error[512];

	if (!config->root)
		choose_own_pages(&options);
	if (pipit_site_open(&options, &daemon->site, error, sizeof error) != 0 && !report_site(daemon, &options))
		fail_configuration(daemon, error);
}

static void open_settings(struct daemon *daemon)
{
	const struct pipit_config *config = daemon->config;
	const struct pipit_settings_options options = {
		.file = config->settings,
		.max_bytes = config->settings_max_bytes,
		.max_depth = config->max_json_depth,
		.max_values = config->max_json_values,
		.require_match = strcmp(config->settings_require_match, "on") == 0,
	};
	char error[512];
	int result = config->settings ? pipit_settings_open(&options, &daemon->settings, error, sizeof error) : 0;

	if (result == -EBUSY && daemon->is_check)
		pipit_log(PIPIT_LOG_WARN, "%s", error);
	else if (result != 0)
		fail_configuration(daemon, error);
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

/* Half of it: arriving heads may use half of the buffers' limit in addition, and the process needs the rest. */
static void fit_memory_limit(struct pipit_config *config, const struct pipit_options *options)
{
	const struct pipit_option *option = pipit_option_find("memory-limit", strlen("memory-limit"));
	uint64_t memory = pipit_cgroup_limits().memory_bytes, limit = memory / 2;
	char text[PIPIT_OPTION_NUMBER_BYTES], whole[PIPIT_OPTION_NUMBER_BYTES];

	if (limit < config->max_body_bytes)
		limit = config->max_body_bytes;
	if (memory == 0 || limit >= config->memory_limit ||
	    pipit_options_place(options, option->name)->kind != PIPIT_OPTION_PLACE_CALL)
		return;
	config->memory_limit = limit;
	pipit_log(PIPIT_LOG_INFO, "memory-limit is %s, because the cgroup has %s",
	    pipit_option_format_number(option, limit, text), pipit_option_format_number(option, memory, whole));
}

static void listen_on(struct daemon *daemon)
{
	int error = pipit_server_listen(daemon->server);
	if (error != 0)
		fail(daemon, error == -EINVAL ? EXIT_WRONG_CONFIGURATION : EXIT_COULD_NOT_RUN);
}

/* --- less power --------------------------------------------------------------------------------------------------- */

static void find_credentials(struct daemon *daemon)
{
	const struct pipit_config *config = daemon->config;
	char error[512];

	if (pipit_credentials_find(config->user, config->group, &daemon->credentials, error, sizeof error) != 0)
		fail_configuration(daemon, error);
}

/* Files are opened with the rights that the process will have: it can then open them again, and no link makes root open another's. */
static bool become_user(struct daemon *daemon)
{
	int error = pipit_credentials_borrow(&daemon->credentials);
	if (error == 0)
		return true;
	pipit_config_log_error(daemon->config,
	    "user = \"%s\": cannot become it: %s; start as root with CAP_SETUID and CAP_SETGID", daemon->config->user,
	    strerror(-error));
	fail(daemon, EXIT_COULD_NOT_RUN);
	return false;
}

static void become_root(struct daemon *daemon)
{
	int error = pipit_credentials_give_back(&daemon->credentials);
	if (error == 0)
		return;
	pipit_log(PIPIT_LOG_ERROR, "cannot become root again to open the addresses: %s", strerror(-error));
	fail(daemon, EXIT_COULD_NOT_RUN);
}

/* Checks with the rights of the effective user. */
static void warn_of_unreadable(const struct daemon *daemon, const char *option, const char *file)
{
	char message[PATH_MAX + 256], located[PATH_MAX + 256];

	if (!file || faccessat(AT_FDCWD, file, R_OK, AT_EACCESS) == 0 || errno != EACCES)
		return;
	snprintf(message, sizeof message,
	    "%s = \"%s\": user %s may not read it, so that SIGHUP cannot reload it; let a group of this user read it",
	    option, file, daemon->config->user);
	pipit_config_locate(daemon->config, message, located, sizeof located);
	pipit_log(PIPIT_LOG_WARN, "%s", located);
}

/* Root reads them at the start. */
static void warn_of_files_read_once(const struct daemon *daemon)
{
	const struct pipit_config *config = daemon->config;

	if (!daemon->credentials.changes)
		return;
	for (size_t i = 0; i < config->tls_certificate_count; i++)
		warn_of_unreadable(daemon, "tls-certificate", config->tls_certificate[i]);
	for (size_t i = 0; i < config->tls_key_count; i++)
		warn_of_unreadable(daemon, "tls-key", config->tls_key[i]);
	for (size_t i = 0; i < config->tls_ocsp_response_count; i++)
		warn_of_unreadable(daemon, "tls-ocsp-response", config->tls_ocsp_response[i]);
	warn_of_unreadable(daemon, "tls-client-ca", config->tls_client_ca);
	warn_of_unreadable(daemon, "tls-client-crl", config->tls_client_crl);
}

/* For good: nothing that is opened later needs more. */
static void confine(struct daemon *daemon)
{
	static struct pipit_own_files files;
	const struct pipit_config *config = daemon->config;
	const char *users;
	bool is_on = strcmp(config->sandbox, "on") == 0;
	struct pipit_confinement confinement = {
		.restrict_files = is_on, .restrict_calls = is_on, .readable = files.readable, .writable = files.writable
	};
	char error[512];

	/* Keys and password hashes are in memory. Behind all opens: /dev/stdout cannot be opened by name afterwards. */
	if (config->tls_key_count > 0 || config->protect)
		pipit_disable_core_dumps();
	if (geteuid() == 0 && !config->user)
		pipit_log(PIPIT_LOG_WARN, "runs as root; use --user with a user that owns nothing else");
	pipit_own_files_find(config, find_own_pages(), &files);
	for (size_t i = 0; (users = pipit_server_user_file(daemon->server, i)); i++) {
		if (!pipit_own_files_add_users(&files, users))
			pipit_log(PIPIT_LOG_WARN, "%s cannot be read again: only %d files of users can", users,
			    PIPIT_OWN_FILES_USERS_MAX);
	}
	if (pipit_confine_to(&confinement, &daemon->credentials, false, error, sizeof error) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "%s", error);
		fail(daemon, EXIT_COULD_NOT_RUN);
	} else if (daemon->settings && pipit_settings_renew_thread(daemon->settings) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "cannot start the thread of the settings");
		fail(daemon, EXIT_COULD_NOT_RUN);
	}
	for (size_t i = 0; daemon->credentials.changes && (users = pipit_server_user_file(daemon->server, i)); i++) {
		if (access(users, R_OK) != 0 && errno == EACCES)
			pipit_log(PIPIT_LOG_WARN,
			    "user %s may not read %s, so that SIGHUP cannot reload it; let a group of this user read "
			    "it",
			    config->user, users);
	}
	if (daemon->credentials.changes && files.log_directory && access(files.log_directory, W_OK) != 0)
		pipit_log(PIPIT_LOG_WARN,
		    "this user may not make files in %s: after a rotation the old access log stays in use; use a "
		    "directory of this user",
		    files.log_directory);
}

/* --- start and end ------------------------------------------------------------------------------------------------ */

static void open_log(struct daemon *daemon)
{
	if (!become_user(daemon))
		return;
	pipit_server_open_log(daemon->server);
	become_root(daemon);
}

/* All that can fail. Reports every error. */
static void prepare(struct daemon *daemon)
{
	bool is_exposed;

	/* a signal that arrives before the loop runs must not end the process */
	signal(SIGPIPE, SIG_IGN);
	pipit_signals_block();
	/* Before there are sockets of its own. */
	pipit_listening_warn_of_unused(daemon->config);
	find_credentials(daemon);
	refuse_whole_system(daemon);
	if (!become_user(daemon))
		return;
	warn_of_files_read_once(daemon);
	is_exposed = exposes_files(daemon);
	open_site(daemon);
	open_dashboard(daemon);
	/* Opening would make them. */
	if (!is_exposed)
		open_settings(daemon);
	become_root(daemon);
	if (is_exposed)
		return;
	raise_descriptor_limit(daemon->config);
	daemon->server =
	    daemon->is_check ? pipit_server_new_unchecked(daemon->config) : pipit_server_new(daemon->config);
	if (!daemon->server ||
	    handlers_register(daemon->server, daemon->config->root ? daemon->site : NULL, daemon->settings) != 0 ||
	    register_dashboard(daemon) != 0) {
		fail(daemon, EXIT_COULD_NOT_RUN);
		return;
	}
	open_log(daemon);
	if (daemon->is_check && pipit_server_check(daemon->server) != 0)
		fail(daemon, EXIT_WRONG_CONFIGURATION);
	else if (!daemon->is_check)
		listen_on(daemon);
}

/* A health check must know that it has to begin with a PROXY header. */
static int publish(const struct daemon *daemon, size_t index, bool is_admin)
{
	const char *address = is_admin ? daemon->config->admin_listen : daemon->config->listen[index];
	char url[PIPIT_ADDRESS_TEXT_SIZE];

	snprintf(url, sizeof url, "%s%s", pipit_server_url(daemon->server, index),
	    pipit_address_is_proxied(address) ? ",proxy-protocol" : "");
	return pipit_healthcheck_publish(url);
}

static void serve(struct daemon *daemon)
{
	char line[sizeof "listening on " + 160];
	int names[PIPIT_LISTEN_MAX + 1];
	size_t count;

	for (count = 0; pipit_server_url(daemon->server, count); count++) {
		const char *url = pipit_server_url(daemon->server, count);
		bool is_admin = count == daemon->config->listen_count;
		/* Others do not serve /healthz. */
		names[count] = is_admin || !daemon->config->admin_listen ? publish(daemon, count, is_admin) : -1;
		snprintf(line, sizeof line, "listening on %s%s", url, is_admin ? " (admin)" : "");
		/* The program that started this one waits for it. */
		pipit_log_announce(line);
	}
	fail(daemon, pipit_server_run(daemon->server));
	while (count > 0) {
		if (names[--count] >= 0)
			close(names[count]);
	}
}

static void clean_up(struct daemon *daemon)
{
	pipit_server_free(daemon->server);
	pipit_settings_free(daemon->settings);
	pipit_site_free(daemon->site);
	pipit_site_free(daemon->dashboard);
}

static int run(struct pipit_config *config, const struct pipit_options *options)
{
	struct daemon daemon = { .config = config, .config_file = options->config_file };

	prepare(&daemon);
	if (daemon.result == EXIT_CLEAN)
		confine(&daemon);
	if (daemon.result == EXIT_CLEAN)
		serve(&daemon);
	clean_up(&daemon);
	return daemon.result;
}

/* A full disk or a closed pipe is an error of the command. */
static int end_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_CLEAN;
	pipit_log(PIPIT_LOG_ERROR, "cannot write to standard output: %s", strerror(errno));
	return EXIT_COULD_NOT_RUN;
}

/* Root may check what another user will run, and could not open. */
static void remove_new_files(struct daemon *daemon)
{
	if ((!daemon->server && !daemon->settings) || !become_user(daemon))
		return;
	pipit_server_remove_new_log(daemon->server);
	pipit_settings_remove_new_lock(daemon->settings);
	become_root(daemon);
}

/* result: of the options; those without an error are checked too. */
static int check(struct pipit_config *config, const struct pipit_options *options, int result)
{
	struct daemon daemon = {
		.config = config, .config_file = options->config_file, .is_check = true, .result = result
	};

	prepare(&daemon);
	remove_new_files(&daemon);
	clean_up(&daemon);
	if (daemon.result != EXIT_CLEAN)
		return daemon.result;
	pipit_config_print(config, stdout);
	return end_output();
}

/* An address or a file that was named is that of the server; otherwise its own arguments may have changed it. */
static int ask_health(const struct pipit_config *config, const struct pipit_options *options)
{
	bool is_named =
	    options->names_file || pipit_options_place(options, "listen")->kind == PIPIT_OPTION_PLACE_COMMAND_LINE;
	char error[256];
	const char *address = config->admin_listen ? config->admin_listen : config->listen[0];
	int result = is_named ? pipit_healthcheck(address, error, sizeof error)
			      : pipit_healthcheck_find(config, error, sizeof error);
	if (result == 0)
		return EXIT_CLEAN;
	pipit_log(PIPIT_LOG_ERROR, "%s", error);
	return EXIT_COULD_NOT_RUN;
}

static int make_test_certificate(const char *directory)
{
	char error[PATH_MAX + 128];

	if (pipit_test_certificate_make(directory, error, sizeof error) != 0) {
		pipit_log(PIPIT_LOG_ERROR, "%s", error);
		return EXIT_COULD_NOT_RUN;
	}
	printf("%s/" PIPIT_TEST_CERTIFICATE_FILE "\n%s/" PIPIT_TEST_CERTIFICATE_KEY_FILE "\n", directory, directory);
	return end_output();
}

/* argc, argv: as for main(). */
static int do_as_told(struct pipit_config *config, int argc, char **argv)
{
	static struct pipit_options options; /* `config` points to it */
	static char errors[PIPIT_OPTIONS_ERROR_BYTES];
	bool is_wrong = pipit_options_read(config, &options, argc, argv, environ, errors, sizeof errors) != 0;

	/* Before pipit_server_new() does it: sites and settings log, too. */
	pipit_config_set_up_log(config);
	pipit_config_log_errors(errors);
	if (!is_wrong && options.help) {
		pipit_config_print_help(stdout);
		return end_output();
	}
	if (!is_wrong && options.version) {
		printf("pipit %s (libevent %s)\n", pipit_version(), event_get_version());
		return end_output();
	}
	if (is_wrong && (!options.check || options.healthcheck || options.help || options.version))
		return EXIT_WRONG_CONFIGURATION;
	if (options.test_certificate)
		return make_test_certificate(options.test_certificate);
	if (options.healthcheck)
		return ask_health(config, &options);
	fit_memory_limit(config, &options);
	if (options.check)
		return check(config, &options, is_wrong ? EXIT_WRONG_CONFIGURATION : EXIT_CLEAN);
	return run(config, &options);
}

int main(int argc, char **argv)
{
	struct pipit_config config;
	int result, error_number;

	pipit_config_init(&config);
	event_set_log_callback(on_libevent_message);
	error_number = pipit_reserve_memory(RESERVE_BYTES);
	if (error_number != 0) {
		pipit_log(
		    PIPIT_LOG_ERROR, "cannot reserve %d bytes of memory: %s", RESERVE_BYTES, strerror(-error_number));
		result = EXIT_COULD_NOT_RUN;
	} else {
		result = do_as_told(&config, argc, argv);
	}
	pipit_config_clear(&config);
	/* for leak checkers */
	libevent_global_shutdown();
	pipit_oom_reserve_clear();
	pipit_freelist_clear();
	return result;
}
