/* SPDX-License-Identifier: MIT */
/* File, environment and command line, their order, and their errors; --check prints what a file accepts. */
#include "config/options.h"

#include "config/config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

/* ---------------------------------------------------------------- fixture */

static char directory[64];
static char file_name[96];
static struct pipit_config config;
static struct pipit_options options;
static char error[PIPIT_OPTIONS_ERROR_BYTES];

static void set_up(void)
{
	strcpy(directory, "/tmp/pipit-options-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file_name, sizeof(file_name), "%s/pipit.conf", directory);
	pipit_config_init(&config);
	memset(error, 0, sizeof(error));
}

static void tear_down(void)
{
	pipit_config_clear(&config);
	unlink(file_name);
	rmdir(directory);
}

static void write_bytes(const void *data, size_t length)
{
	FILE *out = fopen(file_name, "we");
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(data, 1, length, out), length);
	ck_assert_int_eq(fclose(out), 0);
}

static void write_file(const char *text)
{
	write_bytes(text, strlen(text));
}

static const char *const no_environment[] = { NULL };

/* `flags`: NULL-terminated, without the program name. */
static int read_all(const char *const *flags, const char *const *environment)
{
	char *argv[64] = { (char *)"pipit" };
	int argc = 1;
	for (; *flags != NULL; flags++)
		argv[argc++] = (char *)*flags;
	return pipit_options_read(&config, &options, argc, argv, (char *const *)environment, error, sizeof(error));
}

static int read_flags(const char *const *flags)
{
	return read_all(flags, no_environment);
}

static int read_environment(const char *const *environment)
{
	static const char *const no_flags[] = { NULL };
	return read_all(no_flags, environment);
}

static int read_config_file(void)
{
	const char *const flags[] = { "--config", file_name, NULL };
	return read_flags(flags);
}

static void assert_flags_read(const char *const *flags)
{
	int result = read_flags(flags);
	ck_assert_msg(result == 0, "%s", error);
	ck_assert_str_eq(error, "");
}

static void assert_file_read(const char *text)
{
	write_file(text);
	int result = read_config_file();
	ck_assert_msg(result == 0, "%s", error);
}

/* The error is the file name, then `expected`. */
static void assert_file_error(const char *expected)
{
	size_t prefix = strlen(file_name);
	ck_assert_int_eq(read_config_file(), -EINVAL);
	ck_assert_msg(strncmp(error, file_name, prefix) == 0, "%s", error);
	ck_assert_str_eq(error + prefix, expected);
}

/* The output of pipit_config_print(); the caller frees it. It names every field: equal texts are equal values. */
static char *print(const struct pipit_config *printed)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(out);
	pipit_config_print(printed, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static void assert_same_config(const struct pipit_config *left, const struct pipit_config *right)
{
	char *left_text = print(left), *right_text = print(right);
	ck_assert_str_eq(left_text, right_text);
	free(left_text);
	free(right_text);
}

#define ADDRESS_WANTED                                                                                           \
	"ADDR:PORT or [ADDR]:PORT with a numeric address, localhost:PORT, :PORT for all addresses, unix:/PATH, " \
	"unix:@NAME, or fd://N; with https:// in front of ADDR for TLS, and ,proxy-protocol at the end behind a proxy"
#define SIZE_WANTED "use a number with an optional k, m or g, for example 1m"

/* ---------------------------------------------------------------- precedence */

START_TEST(uses_the_defaults_without_any_source)
{
	struct pipit_config defaults;
	static const char *const nothing[] = { NULL };
	pipit_config_init(&defaults);
	ck_assert_int_eq(read_all(nothing, NULL), 0);
	assert_same_config(&config, &defaults);
	ck_assert(!options.help && !options.version && !options.check && !options.healthcheck);
}
END_TEST

START_TEST(flags_override_the_environment_and_that_overrides_the_file)
{
	write_file("workers = 1\nmax-fields = 11\nmax-json-depth = 21\nlog-level = error\n");
	const char *const flags[] = { "--workers", "3", "--config", file_name, "--log-level=debug", NULL };
	const char *const environment[] = { "PIPIT_WORKERS=2", "PIPIT_MAX_FIELDS=12", "PIPIT_LOG_LEVEL=warn", NULL };
	ck_assert_int_eq(read_all(flags, environment), 0);
	ck_assert_uint_eq(config.workers, 3);
	ck_assert_uint_eq(config.max_fields, 12);
	ck_assert_uint_eq(config.max_json_depth, 21);
	ck_assert_str_eq(config.log_level, "debug");
	ck_assert_uint_eq(config.listen_backlog, 1024);
}
END_TEST

START_TEST(every_source_overrides_the_application)
{
	static const char *const environment[] = { "PIPIT_WORKERS=2", NULL };
	config.workers = 9;
	config.max_fields = 50;
	ck_assert_int_eq(read_environment(environment), 0);
	ck_assert_uint_eq(config.workers, 2);
	ck_assert_uint_eq(config.max_fields, 50);
}
END_TEST

START_TEST(commas_separate_addresses_and_properties_of_a_socket)
{
	const char *const environment[] = { "PIPIT_LISTEN=unix:/a,mode=0600,group=b, 127.0.0.1:4,unix:@c,fd://3",
		NULL };
	const char *const nothing[] = { NULL };
	ck_assert_int_eq(read_all(nothing, environment), 0);
	ck_assert_uint_eq(config.listen_count, 4);
	ck_assert_str_eq(config.listen[0], "unix:/a,mode=0600,group=b");
	ck_assert_str_eq(config.listen[1], "127.0.0.1:4");
	ck_assert_str_eq(config.listen[2], "unix:@c");
	ck_assert_str_eq(config.listen[3], "fd://3");
}
END_TEST

START_TEST(a_later_source_replaces_all_addresses_of_an_earlier_one)
{
	write_file("listen = 127.0.0.1:1\nlisten = 127.0.0.1:2\nlisten = 127.0.0.1:3\n");
	const char *const flags[] = { "--config", file_name, "--listen", "127.0.0.1:6", "--listen=[::1]:7", NULL };
	const char *const file_only[] = { "--config", file_name, NULL };
	const char *const environment[] = { "PIPIT_LISTEN=127.0.0.1:4, 127.0.0.1:5", NULL };
	config.listen[0] = "127.0.0.1:9";
	ck_assert_int_eq(read_all(file_only, no_environment), 0);
	ck_assert_uint_eq(config.listen_count, 3);
	ck_assert_str_eq(config.listen[2], "127.0.0.1:3");
	ck_assert_int_eq(read_all(file_only, environment), 0);
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:4");
	ck_assert_str_eq(config.listen[1], "127.0.0.1:5");
	ck_assert_int_eq(read_all(flags, environment), 0);
	ck_assert_uint_eq(config.listen_count, 2);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:6");
	ck_assert_str_eq(config.listen[1], "[::1]:7");
}
END_TEST

START_TEST(the_flag_config_overrides_the_variable)
{
	write_file("workers = 5\n");
	char variable[128];
	snprintf(variable, sizeof(variable), "PIPIT_CONFIG=%s", file_name);
	const char *const ours[] = { variable, NULL };
	const char *const other[] = { "PIPIT_CONFIG=/nonexistent/pipit.conf", NULL };
	const char *const flags[] = { "--config", file_name, NULL };
	ck_assert_int_eq(read_environment(ours), 0);
	ck_assert_uint_eq(config.workers, 5);
	ck_assert_int_eq(read_all(flags, other), 0);
}
END_TEST

/* ---------------------------------------------------------------- the command line */

START_TEST(recognizes_commands)
{
	static const char *const flags[][3] = {
		{ "--help", NULL },
		{ "-h", NULL },
		{ "--version", NULL },
		{ "-V", NULL },
		{ "--check", NULL },
		{ "--healthcheck", NULL },
	};
	assert_flags_read(flags[_i]);
	ck_assert_int_eq(options.help, _i < 2);
	ck_assert_int_eq(options.version, _i == 2 || _i == 3);
	ck_assert_int_eq(options.check, _i == 4);
	ck_assert_int_eq(options.healthcheck, _i == 5);
}
END_TEST

/* It needs an address, and may have the environment of a server with other ones. */
START_TEST(a_health_check_needs_no_certificate)
{
	static const char *const flags[] = { "--healthcheck", "--listen", "https://127.0.0.1:8443", NULL };
	static const char *const plain[] = { "--healthcheck", "--listen", "127.0.0.1:8081", NULL };
	static const char *const environment[] = { "PIPIT_REDIRECT_TO_HTTPS=on", "PIPIT_HSTS=1h", NULL };
	ck_assert_int_eq(read_all(flags, environment), 0);
	ck_assert_int_eq(read_all(plain, environment), 0);
	ck_assert(options.healthcheck);
}
END_TEST

START_TEST(recognizes_help_beside_wrong_options)
{
	static const char *const flags[] = { "--workers", "many", "--config", "/nonexistent", "--help", NULL };
	static const char *const environment[] = { "PIPIT_NONSENSE=1", NULL };
	ck_assert_int_eq(read_all(flags, environment), 0);
	ck_assert(options.help);
}
END_TEST

START_TEST(takes_values_after_a_space_or_an_equals_sign)
{
	static const char *const flags[] = { "--root=--odd=name", "--access-log", "-", "--workers=4", "--rate-grace",
		"0", "--max-body-bytes", "2m", NULL };
	assert_flags_read(flags);
	ck_assert_str_eq(config.root, "--odd=name");
	ck_assert_str_eq(config.access_log, "-");
	ck_assert_uint_eq(config.workers, 4);
	ck_assert_uint_eq(config.rate_grace_ms, 0);
	ck_assert_uint_eq(config.max_body_bytes, 2097152);
}
END_TEST

START_TEST(the_last_of_a_repeated_flag_counts)
{
	static const char *const flags[] = { "--workers", "4", "--workers", "5", NULL };
	assert_flags_read(flags);
	ck_assert_uint_eq(config.workers, 5);
}
END_TEST

START_TEST(refuses_a_wrong_command_line)
{
	static const struct {
		const char *flags[4];
		const char *message;
	} bad[] = {
		{ { "--max-fields", "9999" }, "--max-fields 9999: out of range; use 1 to 256" },
		{ { "--max-fields=9999" }, "--max-fields 9999: out of range; use 1 to 256" },
		{ { "--workers", "-1" }, "--workers -1: out of range; use 0 to 256" },
		{ { "--lisen", "x" }, "--lisen: unknown option; did you mean --listen?" },
		{ { "--lisen=x" }, "--lisen: unknown option; did you mean --listen?" },
		{ { "-root", "x" }, "-root: unknown option; did you mean --root?" },
		{ { "--hepl" }, "--hepl: unknown option; see --help" },
		{ { "--chek" }, "--chek: unknown option; did you mean --check?" },
		{ { "--confg=x" }, "--confg: unknown option; did you mean --config?" },
		{ { "--tls" }, "--tls: unknown option; see --help" },
		{ { "--tls-cert", "x" }, "--tls-cert: unknown option; did you mean --tls-certificate?" },
		{ { "--key=x" }, "--key: unknown option; did you mean --tls-key?" },
		{ { "--tls-certificate-file=x" },
		    "--tls-certificate-file: unknown option; did you mean --tls-certificate?" },
		{ { "--trusted=x" }, "--trusted: unknown option; did you mean --trusted-proxy or --trusted-header?" },
		{ { "--max-body=1m" }, "--max-body: unknown option; did you mean --max-body-bytes?" },
		{ { "--tls-client-auth=on", "--tls-client-ca=/etc/ca.pem" },
		    "--tls-client-auth on: unknown value; use off, optional or required" },
		{ { "-x" }, "-x: unknown option; see --help" },
		{ { "--" }, "--: unknown option; see --help" },
		{ { "--a\nb" }, "--a\\x0Ab: unknown option; see --help" },
		{ { "--root" }, "--root: has no value; use a directory" },
		{ { "--root", "" }, "--root: has no value; use a directory" },
		{ { "--root=" }, "--root: has no value; use a directory" },
		{ { "--root", "--check" }, "--root: has no value; use a directory" },
		{ { "--workers" }, "--workers: has no value; use 0 to 256" },
		{ { "--head-timeout" }, "--head-timeout: has no value; use 0 to 24h" },
		{ { "--log-format" }, "--log-format: has no value; use combined or json" },
		{ { "--listen" }, "--listen: has no value; use " ADDRESS_WANTED },
		{ { "--config" }, "--config: has no value; use a readable file" },
		{ { "--config", "/dev/null", "--config=/none" },
		    "--config /none: a second file, after /dev/null; use one" },
		{ { "--check=yes" }, "--check yes: takes no value; use --check alone" },
		{ { "pages" }, "pages: not an option; use --NAME VALUE, see --help" },
		{ { "-" }, "-: not an option; use --NAME VALUE, see --help" },
		{ { "" }, ": not an option; use --NAME VALUE, see --help" },
		{ { "--max-target-bytes", "16k" },
		    "--max-target-bytes 16k: too large; use less than max-head-bytes, which is 16k" },
		{ { "--max-head-bytes=4000" },
		    "max-target-bytes = \"8k\": too large; use less than max-head-bytes, which is 4000" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pipit_config_clear(&config);
		pipit_config_init(&config);
		ck_assert_int_eq(read_flags(bad[i].flags), -EINVAL);
		ck_assert_str_eq(error, bad[i].message);
	}
}
END_TEST

/* ---------------------------------------------------------------- the environment */

START_TEST(reads_only_variables_with_its_prefix)
{
	static const char *const environment[] = { "PATH=/bin", "WORKERS=2", "PIPIT=3", "pipit_workers=4",
		"XPIPIT_WORKERS=5", "", "=", "PIPITWORKERS=6", NULL };
	ck_assert_int_eq(read_environment(environment), 0);
	ck_assert_uint_eq(config.workers, 0);
}
END_TEST

START_TEST(refuses_a_wrong_environment)
{
	static const struct {
		const char *variable, *message;
	} bad[] = {
		{ "PIPIT_WORKERS=-1", "environment: PIPIT_WORKERS = \"-1\": out of range; use 0 to 256" },
		{ "PIPIT_WORKERS=", "environment: PIPIT_WORKERS: has no value; use 0 to 256" },
		{ "PIPIT_WORKERS", "environment: PIPIT_WORKERS: has no value; use 0 to 256" },
		{ "PIPIT_MAX_BODY_BYTES=1t", "environment: PIPIT_MAX_BODY_BYTES = \"1t\": not a size; " SIZE_WANTED },
		{ "PIPIT_WORKER=1", "environment: PIPIT_WORKER: unknown variable; did you mean PIPIT_WORKERS?" },
		{ "PIPIT_MAX-FIELDS=1",
		    "environment: PIPIT_MAX-FIELDS: unknown variable; did you mean PIPIT_MAX_FIELDS?" },
		{ "PIPIT_workers=1", "environment: PIPIT_workers: unknown variable; did you mean PIPIT_WORKERS?" },
		{ "PIPIT_CHECK=1", "environment: PIPIT_CHECK: unknown variable; see --help" },
		{ "PIPIT_=1", "environment: PIPIT_: unknown variable; see --help" },
		{ "PIPIT_SERVER_PORT_HTTP_OF_A_VERY_LONG_NAME=1",
		    "environment: PIPIT_SERVER_PORT_HTTP_OF_A_VERY_LONG_NAME: unknown variable; see --help" },
		{ "PIPIT_PORT=8080", "environment: PIPIT_PORT: unknown variable; see --help" },
		{ "PIPIT_SERVICE_PORTS=1", "environment: PIPIT_SERVICE_PORTS: unknown variable; see --help" },
		{ "PIPIT_PORT_8080=1", "environment: PIPIT_PORT_8080: unknown variable; see --help" },
		{ "PIPIT_PORT_8080_TCP_HOST=1", "environment: PIPIT_PORT_8080_TCP_HOST: unknown variable; see --help" },
		{ "PIPIT_PORT__TCP=1", "environment: PIPIT_PORT__TCP: unknown variable; see --help" },
		{ "PIPIT_CONFIG=", "environment: PIPIT_CONFIG: has no value; use a readable file" },
		{ "PIPIT_CONFIG=/nonexistent/x",
		    "environment: PIPIT_CONFIG = \"/nonexistent/x\": cannot be read: No such file or directory; "
		    "use a readable file" },
		{ "PIPIT_LISTEN=127.0.0.1:1,x",
		    "environment: PIPIT_LISTEN = \"x\": not an address; use " ADDRESS_WANTED },
		{ "PIPIT_LISTEN=", "environment: PIPIT_LISTEN: has no value; use " ADDRESS_WANTED },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const environment[] = { bad[i].variable, NULL };
		pipit_config_clear(&config);
		pipit_config_init(&config);
		ck_assert_int_eq(read_environment(environment), -EINVAL);
		ck_assert_str_eq(error, bad[i].message);
	}
}
END_TEST

/* What kubelet sets for Services named pipit and pipit-admin. */
static const char *const service_variables[] = { "PIPIT_SERVICE_HOST=10.96.0.7", "PIPIT_SERVICE_PORT=8080",
	"PIPIT_SERVICE_PORT_HTTP=8080", "PIPIT_PORT=tcp://10.96.0.7:8080", "PIPIT_PORT_8080_TCP=tcp://10.96.0.7:8080",
	"PIPIT_PORT_8080_TCP_PROTO=tcp", "PIPIT_PORT_8080_TCP_PORT=8080", "PIPIT_PORT_8080_TCP_ADDR=10.96.0.7",
	"PIPIT_PORT_53_UDP=udp://10.96.0.7:53", "PIPIT_PORT_9_SCTP_PROTO=sctp", "PIPIT_ADMIN_SERVICE_HOST=10.96.0.8",
	"PIPIT_ADMIN_PORT=tcp://10.96.0.8:9090", "PIPIT_ADMIN_PORT_9090_TCP_ADDR=10.96.0.8", NULL };

START_TEST(ignores_the_variables_that_kubernetes_makes_for_a_service)
{
	struct pipit_config defaults;
	pipit_config_init(&defaults);
	ck_assert_msg(read_environment(service_variables) == 0, "%s", error);
	assert_same_config(&config, &defaults);
}
END_TEST

START_TEST(reports_every_error_of_every_source)
{
	write_file("workers = many\nmax-fields = 7\nrot = /srv\nmax-json-depth = 0\n");
	const char *const flags[] = { "--config", file_name, "--rate-grace", "soon", "--lisen", "x", "--listen", "here",
		"--max-target-bytes", "16k", NULL };
	const char *const environment[] = { "PIPIT_LOG_LEVEL=loud", "PIPIT_LISTEN=a,127.0.0.1:1", NULL };
	char expected[2048];
	ck_assert_int_eq(read_all(flags, environment), -EINVAL);
	snprintf(expected, sizeof(expected),
	    "--lisen: unknown option; did you mean --listen?\n"
	    "%s:1: workers = \"many\": not a number; use 0 to 256\n"
	    "%s:3: rot: unknown key; did you mean root?\n"
	    "%s:4: max-json-depth = \"0\": out of range; use 1 to 512\n"
	    "environment: PIPIT_LOG_LEVEL = \"loud\": unknown value; use error, warn, info or debug\n"
	    "environment: PIPIT_LISTEN = \"a\": not an address; use " ADDRESS_WANTED "\n"
	    "--rate-grace soon: not a duration; use a number with an optional ms, s, m or h, for example 10s\n"
	    "--listen here: not an address; use " ADDRESS_WANTED "\n"
	    "--max-target-bytes 16k: too large; use less than max-head-bytes, which is 16k",
	    file_name, file_name, file_name);
	ck_assert_str_eq(error, expected);
	/* what is right is set */
	ck_assert_uint_eq(config.max_fields, 7);
	ck_assert_uint_eq(config.listen_count, 1);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:1");
}
END_TEST

START_TEST(does_not_blame_an_option_for_another_one_that_is_wrong)
{
	static const char *const flags[] = { "--max-target-bytes", "32k", "--max-head-bytes", "65k", NULL };
	ck_assert_int_eq(read_flags(flags), -EINVAL);
	ck_assert_str_eq(error, "--max-head-bytes 65k: out of range; use 256 to 64k");
}
END_TEST

START_TEST(names_the_place_of_each_address_that_overlaps)
{
	write_file("workers = 1\nlisten = 127.0.0.1:80\n\nlisten = 0.0.0.0:80\n");
	assert_file_error(":4: listen = \"0.0.0.0:80\": overlaps with 127.0.0.1:80; use one of them");
}
END_TEST

/* An error of a module that knows the option but not where it was set. */
static void assert_located(const char *message, const char *expected)
{
	char located[256];
	pipit_config_locate(&config, message, located, sizeof(located));
	ck_assert_str_eq(located, expected);
}

START_TEST(puts_the_place_of_an_option_into_an_error_about_it)
{
	char expected[256];
	write_file("workers = 1\nmedia-types = /none\n");
	const char *const flags[] = { "--config", file_name, "--root", "/a \"b\"", NULL };
	const char *const environment[] = { "PIPIT_SETTINGS=/s", NULL };
	ck_assert_int_eq(read_all(flags, environment), 0);
	assert_located("root = \"/a \"b\"\": no such file; use another", "--root /a \"b\": no such file; use another");
	assert_located("settings: /s: no such file", "environment: PIPIT_SETTINGS: /s: no such file");
	snprintf(expected, sizeof(expected), "%s:2: media-types: no such file", file_name);
	assert_located("media-types: no such file", expected);
	assert_located("cache-control: not set by a source", "cache-control: not set by a source");
	assert_located("rootless: no option", "rootless: no option");
	assert_located("root is no name here", "root is no name here");
	assert_located("", "");
}
END_TEST

/* ---------------------------------------------------------------- the file */

START_TEST(reads_comments_blanks_quotes_and_crlf)
{
	assert_file_read(
	    "# comment\r\n\r\n   \t\r\n  # another = 1\r\nworkers=7\r\n\troot \t=  \"  /srv/my pages \" \t\r\n"
	    "max-body-bytes = \"3k\"\r\naccess-log = \"a\"b\"\r\nlog-level = debug");
	ck_assert_uint_eq(config.workers, 7);
	ck_assert_str_eq(config.root, "  /srv/my pages ");
	ck_assert_uint_eq(config.max_body_bytes, 3072);
	ck_assert_str_eq(config.access_log, "a\"b");
	ck_assert_str_eq(config.log_level, "debug");
}
END_TEST

START_TEST(skips_a_byte_order_mark_at_the_beginning_only)
{
	assert_file_read("\xEF\xBB\xBFworkers = 7\n");
	ck_assert_uint_eq(config.workers, 7);
	assert_file_read("\xEF\xBB\xBF");
	write_file("\n\xEF\xBB\xBFworkers = 7\n");
	ck_assert_int_eq(read_config_file(), -EINVAL);
}
END_TEST

START_TEST(keeps_hash_and_equals_signs_within_values)
{
	assert_file_read("root = /srv/a=b#c\naccess-log = #1\n");
	ck_assert_str_eq(config.root, "/srv/a=b#c");
	ck_assert_str_eq(config.access_log, "#1");
}
END_TEST

START_TEST(takes_an_empty_file)
{
	struct pipit_config defaults;
	assert_file_read("");
	pipit_config_init(&defaults);
	assert_same_config(&config, &defaults);
}
END_TEST

START_TEST(names_the_line_that_is_wrong)
{
	static const char *const bad[][2] = {
		{ "\n\nmax-body-bytes = 12q\n", ":3: max-body-bytes = \"12q\": not a size; " SIZE_WANTED },
		{ "workers\n", ":1: workers: not a setting; use workers = N" },
		{ "spa\n", ":1: spa: not a setting; use spa = on" },
		{ "spa off\n", ":1: spa off: not a setting; use spa = off" },
		{ "max-fields: 50\n", ":1: max-fields: 50: not a setting; use max-fields = 50" },
		{ "# ok\n[server]\n", ":2: not a setting; use key = value" },
		{ "= 5\n", ":1: not a setting; use key = value" },
		{ "workers =\n", ":1: workers: has no value; use 0 to 256" },
		{ "root = \"\"\n", ":1: root: has no value; use a directory" },
		{ "root = \"/srv\n", ":1: closing quote missing; end the value with \"" },
		{ "root = \"\n", ":1: closing quote missing; end the value with \"" },
		{ "root = \"/srv\" # here\n", ":1: closing quote missing; end the value with \"" },
		{ "worker = 5\n", ":1: worker: unknown key; did you mean workers?" },
		{ "--workers = 5\n", ":1: --workers: unknown key; did you mean workers?" },
		{ "--spa = on\n", ":1: --spa: unknown key; did you mean spa?" },
		{ "config = x\n", ":1: config: has no place in a file; use --config on the command line" },
		{ "workers = 5\nroot = /\nworkers = 5\n", ":3: workers = \"5\": already set on line 1; set it once" },
		{ "workers = 5\x1B[2J\n", ":1: workers = \"5\\x1B[2J\": not a number; use 0 to 256" },
		{ "listen = 127.0.0.1:1\nlisten = here\n",
		    ":2: listen = \"here\": not an address; use " ADDRESS_WANTED },
	};
	write_file(bad[_i][0]);
	assert_file_error(bad[_i][1]);
}
END_TEST

START_TEST(refuses_a_nul_byte)
{
	static const char text[] = "workers = 5\nroot = /srv\0/pages\n";
	write_bytes(text, sizeof(text) - 1);
	assert_file_error(":2: contains a NUL byte; use plain text");
}
END_TEST

START_TEST(takes_lines_up_to_4_kib)
{
	char line[4099] = "# ";
	memset(line + 2, 'x', sizeof(line) - 2);
	line[4096] = '\n';
	write_bytes(line, 4097);
	ck_assert_int_eq(read_config_file(), 0);
	line[4096] = 'x';
	line[4097] = '\n';
	write_bytes(line, 4098);
	assert_file_error(":1: line too long; use at most 4096 bytes");
}
END_TEST

START_TEST(refuses_a_file_that_cannot_be_read)
{
	char expected[256];
	const char *const missing[] = { "--config", "/nonexistent/pipit.conf", NULL };
	const char *const no_file[] = { "--config", directory, NULL };
	ck_assert_int_eq(read_flags(missing), -EINVAL);
	ck_assert_str_eq(
	    error, "--config /nonexistent/pipit.conf: cannot be read: No such file or directory; use a readable file");
	ck_assert_int_eq(read_flags(no_file), -EINVAL);
	snprintf(
	    expected, sizeof(expected), "--config %s: cannot be read: Is a directory; use a readable file", directory);
	ck_assert_str_eq(error, expected);
	ck_assert_int_eq(mkfifo(file_name, 0600), 0);
	ck_assert_int_eq(read_config_file(), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, ": cannot be read: it is a pipe without a writer; use a readable file"));
	ck_assert_int_eq(unlink(file_name), 0);
	if (geteuid() == 0)
		return; /* root can read every file */
	write_file("");
	ck_assert_int_eq(chmod(file_name, 0), 0);
	ck_assert_int_eq(read_config_file(), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, ": cannot be read: Permission denied"));
}
END_TEST

static const struct {
	const char *flags[4];
	const char *spa, *listing;
	uint64_t workers;
} switches[] = {
	{ { "--spa" }, "on", "off", 0 },
	{ { "--spa", "--listing" }, "on", "on", 0 },
	{ { "--spa", "off", "--listing", "on" }, "off", "on", 0 },
	{ { "--spa=off", "--listing=on" }, "off", "on", 0 },
	{ { "--listing", "--workers", "2" }, "off", "on", 2 },
	{ { "--workers=3", "--spa" }, "on", "off", 3 },
};

START_TEST(takes_a_switch_with_and_without_a_value)
{
	const char *flags[5] = { NULL };
	memcpy(flags, switches[_i].flags, sizeof switches[_i].flags);
	ck_assert_msg(read_flags(flags) == 0, "%s", error);
	ck_assert_str_eq(config.spa, switches[_i].spa);
	ck_assert_str_eq(config.listing, switches[_i].listing);
	ck_assert_uint_eq(config.workers, switches[_i].workers);
}
END_TEST

/* A source's first value replaces those of the sources before it. */
START_TEST(collects_the_values_of_a_repeatable_option)
{
	const char *const flags[] = { "--config", file_name, "--header", "/a: A: 1", "--header=/b: B: 2", NULL };
	const char *const file[] = { "--config", file_name, NULL };
	const char *const environment[] = { "PIPIT_HEADER=/c: C: 3\n/d: D: 4\n", NULL };
	write_file("header = /e: E: 5\nheader = \"/f: F: 6\"\n");
	ck_assert_msg(read_flags(file) == 0, "%s", error);
	ck_assert_str_eq(config.header, "/e: E: 5\n/f: F: 6");
	ck_assert_msg(read_all(file, environment) == 0, "%s", error);
	ck_assert_str_eq(config.header, "/c: C: 3\n/d: D: 4\n");
	ck_assert_msg(read_all(flags, environment) == 0, "%s", error);
	ck_assert_str_eq(config.header, "/a: A: 1\n/b: B: 2");
}
END_TEST

START_TEST(refuses_wrong_lines_of_a_repeatable_option)
{
	static const char *const wrong[] = { "", "\n", "/a: A: 1\n\n/b: B: 2", "/a: A: \t1" };
	char variable[64];
	const char *const environment[] = { variable, NULL };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(variable, sizeof variable, "PIPIT_HEADER=%s", wrong[i]);
		ck_assert_int_eq(read_environment(environment), -EINVAL);
		ck_assert_ptr_null(config.header);
	}
}
END_TEST

START_TEST(names_the_values_of_a_switch)
{
	const char *const wrong[] = { "--spa=maybe", NULL }, *const stray[] = { "--spa", "maybe", NULL };
	ck_assert_int_eq(read_flags(wrong), -EINVAL);
	ck_assert_str_eq(error, "--spa maybe: unknown value; use off or on");
	ck_assert_int_eq(read_flags(stray), -EINVAL);
	ck_assert_str_eq(error, "--spa maybe: unknown value; use off or on");
}
END_TEST

/* ---------------------------------------------------------------- reading back what is printed */

static const char whole_file[] = "# every option, none at its default\n"
				 "listen = 0.0.0.0:80\n"
				 "listen = https://[::]:443\n"
				 "ipv6-only = on\n"
				 "admin-listen = unix:/run/admin.sock,mode=0600\n"
				 "root = \"  /srv/\"my\" # pages = \"\n"
				 "dashboard = off\n"
				 "spa = on\n"
				 "listing = on\n"
				 "compress = off\n"
				 "cache-control = \"*.html=no-cache; /a/*=max-age=9\"\n"
				 "media-types = \"/etc/mime.types\"\n"
				 "settings = \"/var/lib/my settings.json\"\n"
				 "settings-max-bytes = 1m\n"
				 "settings-require-match = on\n"
				 "workers = 3\n"
				 "user = \"camera\"\n"
				 "group = \"www-data\"\n"
				 "sandbox = off\n"
				 "trusted-proxy = \"10.0.0.0/8, 192.0.2.7\"\n"
				 "trusted-proxy = \"unix:\"\n"
				 "trusted-header = forwarded\n"
				 "allow = \"10.0.0.0/8 ::1\"\n"
				 "allow = \"/admin/ unix:\"\n"
				 "deny = \"192.0.2.0/24\"\n"
				 "rate-limit = \"/api/ 10/s burst=20\"\n"
				 "hosts = \"nas.example.com, *.lan.example\"\n"
				 "cors-origins = \"https://app.example.com\"\n"
				 "cors-methods = \"GET\"\n"
				 "cors-headers = \"If-Match\"\n"
				 "cors-expose-headers = \"ETag\"\n"
				 "cors-credentials = on\n"
				 "cors-max-age = 1h\n"
				 "header = \"/*: X-A: b: c\"\n"
				 "header = \"/x: X-B: \"d\"\"\n"
				 "protect = \"/api/ PUT basic users\"\n"
				 "protect = \"/healthz open\"\n"
				 "tls-certificate = \"/etc/a.pem\"\n"
				 "tls-certificate = \"/etc/b.pem\"\n"
				 "tls-key = \"/etc/a.key\"\n"
				 "tls-key = \"/etc/b.key\"\n"
				 "tls-ocsp-response = \"/etc/b.ocsp\"\n"
				 "tls-min-version = 1.3\n"
				 "tls-client-auth = optional\n"
				 "tls-client-ca = \"/etc/ca.pem\"\n"
				 "tls-client-crl = \"/etc/crl.pem\"\n"
				 "tls-handshake-timeout = 5s\n"
				 "kernel-tls = off\n"
				 "redirect-to-https = on\n"
				 "hsts = 8760h\n"
				 "max-connections = 0\n"
				 "max-connections-per-address = 8\n"
				 "max-requests-per-connection = 1000\n"
				 "memory-limit = 2g\n"
				 "max-streams = 9\n"
				 "listen-backlog = 77\n"
				 "max-head-bytes = 20000\n"
				 "max-fields = 50\n"
				 "max-field-bytes = 4000\n"
				 "max-target-bytes = 4k\n"
				 "max-body-bytes = 1025m\n"
				 "max-output-bytes = 1m\n"
				 "max-json-depth = 10\n"
				 "max-json-values = 500\n"
				 "defer-accept = 5s\n"
				 "head-timeout = 1500ms\n"
				 "read-timeout = 90s\n"
				 "write-timeout = 2m\n"
				 "min-rate-bytes = 3m\n"
				 "rate-grace = 0\n"
				 "idle-timeout = 24h\n"
				 "lingering-time = 1m\n"
				 "lingering-timeout = 2500ms\n"
				 "drain-delay = 5s\n"
				 "drain-timeout = 1ms\n"
				 "access-log = \"-\"\n"
				 "log-format = json\n"
				 "log-level = warn\n";

START_TEST(knows_when_every_address_that_was_given_is_wrong)
{
	static const char *const none[] = { NULL }, *const wrong[] = { "--listen", "nowhere", NULL },
				 *const right[] = { "--listen", "127.0.0.1:1", NULL },
				 *const both[] = { "--listen", "nowhere", "--listen", "127.0.0.1:1", NULL };
	/* Set by a program, without sources. */
	ck_assert(pipit_config_has_address(&config));
	assert_flags_read(none);
	ck_assert(pipit_config_has_address(&config));
	assert_flags_read(right);
	ck_assert(pipit_config_has_address(&config));
	ck_assert_int_eq(read_flags(both), -EINVAL);
	ck_assert(pipit_config_has_address(&config));
	ck_assert_int_eq(read_flags(wrong), -EINVAL);
	ck_assert(!pipit_config_has_address(&config));
}
END_TEST

START_TEST(prints_what_it_read_in_the_largest_exact_units)
{
	assert_file_read(whole_file);
	char *text = print(&config);
	ck_assert_str_eq(text, strchr(whole_file, '\n') + 1);
	free(text);
}
END_TEST

static void assert_round_trip(void)
{
	struct pipit_config printed = config;
	char *text = print(&printed);
	pipit_config_init(&config);
	assert_file_read(text);
	assert_same_config(&config, &printed);
	free(text);
	pipit_config_clear(&printed);
}

START_TEST(reads_back_what_it_prints)
{
	assert_round_trip();
	assert_file_read(whole_file);
	assert_round_trip();
}
END_TEST

START_TEST(reads_back_the_longest_text)
{
	char value[4001];
	memset(value, '"', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	ck_assert_int_eq(pipit_config_set(&config, "access-log", value, NULL, 0), 0);
	ck_assert_int_eq(pipit_config_set(&config, "root", value, NULL, 0), 0);
	assert_round_trip();
}
END_TEST

/* ---------------------------------------------------------------- noise */

static uint32_t random_state;

/* xorshift32: a seed repeats a failure on every machine */
static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % below;
}

static size_t mutate(char *data, size_t length)
{
	static const char splinters[] = "=\"#\n\r\0 -kms0[]:.\xFF\x1B";
	for (uint32_t changes = 1 + draw(8); changes > 0; changes--) {
		size_t at = draw((uint32_t)length);
		switch (draw(4)) {
		case 0:
			data[at] = (char)draw(256);
			break;
		case 1:
			data[at] = splinters[draw(sizeof(splinters) - 1)];
			break;
		case 2:
			memmove(data + at, data + at + 1, length - at - 1);
			data[length - 1] = '\n';
			break;
		default:
			memmove(data + at, data, length - at < 40 ? length - at : 40);
			break;
		}
	}
	return draw(10) == 0 ? draw((uint32_t)length) : length;
}

START_TEST(survives_random_files)
{
	char data[sizeof(whole_file)];
	unsigned accepted = 0;
	for (uint32_t seed = 1; seed <= 5000; seed++) {
		random_state = seed * 2654435761u | 1;
		memcpy(data, whole_file, sizeof(whole_file));
		write_bytes(data, mutate(data, sizeof(whole_file) - 1));
		pipit_config_clear(&config);
		pipit_config_init(&config);
		int result = read_config_file();
		ck_assert_msg(result == 0 || (result == -EINVAL && error[0] != '\0'), "seed %u", seed);
		ck_assert_msg(strpbrk(error, "\r\033") == NULL, "seed %u: %s", seed, error);
		accepted += result == 0;
	}
	ck_assert_uint_gt(accepted, 0);
	ck_assert_uint_lt(accepted, 5000);
}
END_TEST

/* ---------------------------------------------------------------- suite */

static TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	return tests;
}

static TCase *source_tests(void)
{
	TCase *tests = make_case("sources");
	tcase_add_test(tests, uses_the_defaults_without_any_source);
	tcase_add_loop_test(tests, takes_a_switch_with_and_without_a_value, 0, sizeof switches / sizeof *switches);
	tcase_add_test(tests, collects_the_values_of_a_repeatable_option);
	tcase_add_test(tests, refuses_wrong_lines_of_a_repeatable_option);
	tcase_add_test(tests, names_the_values_of_a_switch);
	tcase_add_test(tests, flags_override_the_environment_and_that_overrides_the_file);
	tcase_add_test(tests, every_source_overrides_the_application);
	tcase_add_test(tests, commas_separate_addresses_and_properties_of_a_socket);
	tcase_add_test(tests, a_later_source_replaces_all_addresses_of_an_earlier_one);
	tcase_add_test(tests, the_flag_config_overrides_the_variable);
	tcase_add_loop_test(tests, recognizes_commands, 0, 6);
	tcase_add_test(tests, a_health_check_needs_no_certificate);
	tcase_add_test(tests, recognizes_help_beside_wrong_options);
	tcase_add_test(tests, takes_values_after_a_space_or_an_equals_sign);
	tcase_add_test(tests, the_last_of_a_repeated_flag_counts);
	tcase_add_test(tests, refuses_a_wrong_command_line);
	tcase_add_test(tests, reads_only_variables_with_its_prefix);
	tcase_add_test(tests, refuses_a_wrong_environment);
	tcase_add_test(tests, ignores_the_variables_that_kubernetes_makes_for_a_service);
	tcase_add_test(tests, reports_every_error_of_every_source);
	tcase_add_test(tests, does_not_blame_an_option_for_another_one_that_is_wrong);
	tcase_add_test(tests, names_the_place_of_each_address_that_overlaps);
	tcase_add_test(tests, puts_the_place_of_an_option_into_an_error_about_it);
	return tests;
}

static TCase *file_tests(void)
{
	TCase *tests = make_case("file");
	tcase_add_test(tests, reads_comments_blanks_quotes_and_crlf);
	tcase_add_test(tests, skips_a_byte_order_mark_at_the_beginning_only);
	tcase_add_test(tests, keeps_hash_and_equals_signs_within_values);
	tcase_add_test(tests, takes_an_empty_file);
	tcase_add_loop_test(tests, names_the_line_that_is_wrong, 0, 15);
	tcase_add_test(tests, refuses_a_nul_byte);
	tcase_add_test(tests, takes_lines_up_to_4_kib);
	tcase_add_test(tests, refuses_a_file_that_cannot_be_read);
	tcase_add_test(tests, survives_random_files);
	return tests;
}

static TCase *print_tests(void)
{
	TCase *tests = make_case("print");
	tcase_add_test(tests, knows_when_every_address_that_was_given_is_wrong);
	tcase_add_test(tests, prints_what_it_read_in_the_largest_exact_units);
	tcase_add_test(tests, reads_back_what_it_prints);
	tcase_add_test(tests, reads_back_the_longest_text);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("options");
	suite_add_tcase(suite, source_tests());
	suite_add_tcase(suite, file_tests());
	suite_add_tcase(suite, print_tests());
	return run_suite(suite);
}
