/* SPDX-License-Identifier: MIT */
/* Defaults, setting by name, checking fields that were set directly, and the printed forms. */
#include "config/config.h"

#include "config/option.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "suite.h"

/* ---------------------------------------------------------------- fixture */

static struct pipit_config config;
static char error[512];

static void set_up(void)
{
	pipit_config_init(&config);
	memset(error, 0, sizeof(error));
}

static void tear_down(void)
{
	pipit_config_clear(&config);
}

/* ---------------------------------------------------------------- defaults and setting */

START_TEST(starts_with_the_documented_defaults)
{
	ck_assert_uint_eq(config.listen_count, 1);
	ck_assert_str_eq(config.listen[0], "127.0.0.1:8080");
	ck_assert_uint_eq(config.workers, 0);
	ck_assert_ptr_null(config.root);
	ck_assert_str_eq(config.access_log, "off");
	ck_assert_str_eq(config.log_format, "combined");
	ck_assert_str_eq(config.log_level, "info");
	ck_assert_uint_eq(config.max_connections, 10000);
	ck_assert_uint_eq(config.listen_backlog, 1024);
	ck_assert_uint_eq(config.max_head_bytes, 16384);
	ck_assert_uint_eq(config.max_fields, 100);
	ck_assert_uint_eq(config.max_target_bytes, 8192);
	ck_assert_uint_eq(config.max_body_bytes, 1048576);
	ck_assert_uint_eq(config.max_json_depth, 64);
	ck_assert_uint_eq(config.defer_accept_ms, 0);
	ck_assert_uint_eq(config.head_timeout_ms, 10000);
	ck_assert_uint_eq(config.read_timeout_ms, 30000);
	ck_assert_uint_eq(config.write_timeout_ms, 30000);
	ck_assert_uint_eq(config.min_rate_bytes, 1024);
	ck_assert_uint_eq(config.rate_grace_ms, 10000);
	ck_assert_uint_eq(config.idle_timeout_ms, 75000);
	ck_assert_uint_eq(config.lingering_time_ms, 30000);
	ck_assert_uint_eq(config.lingering_timeout_ms, 5000);
	ck_assert_uint_eq(config.drain_delay_ms, 0);
	ck_assert_uint_eq(config.drain_timeout_ms, 8000);
	ck_assert_str_eq(config.ipv6_only, "off");
	ck_assert_str_eq(config.dashboard, "on");
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
}
END_TEST

START_TEST(sets_an_option_by_its_name)
{
	ck_assert_int_eq(pipit_config_set(&config, "max-fields", "50", error, sizeof(error)), 0);
	ck_assert_uint_eq(config.max_fields, 50);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(pipit_config_set(&config, "max-fields", "0", error, sizeof(error)), -EINVAL);
	ck_assert_uint_eq(config.max_fields, 50);
	ck_assert_str_eq(error, "max-fields = \"0\": out of range; use 1 to 256");
}
END_TEST

START_TEST(refuses_unknown_keys)
{
	static const char *const keys[][2] = {
		{ "max-field", "max-field: unknown key; did you mean max-fields?" },
		{ "Workers", "Workers: unknown key; did you mean workers?" },
		{ "max_fields", "max_fields: unknown key; did you mean max-fields?" },
		{ "config", "config: unknown key" },
		{ "port", "port: unknown key" },
		{ "", ": unknown key" },
	};
	struct pipit_config before = config;
	ck_assert_int_eq(pipit_config_set(&config, keys[_i][0], "1", error, sizeof(error)), -ENOENT);
	ck_assert_str_eq(error, keys[_i][1]);
	ck_assert_mem_eq(&config, &before, sizeof(config));
}
END_TEST

START_TEST(can_be_cleared_twice_and_set_again)
{
	ck_assert_int_eq(pipit_config_set(&config, "root", "/a", NULL, 0), 0);
	ck_assert_int_eq(pipit_config_set(&config, "root", "/b", NULL, 0), 0);
	pipit_config_clear(&config);
	pipit_config_clear(&config);
	ck_assert_int_eq(pipit_config_set(&config, "root", "/c", NULL, 0), 0);
	ck_assert_str_eq(config.root, "/c");
}
END_TEST

/* ---------------------------------------------------------------- checking fields that were set directly */

#define ADDRESS_WANTED                                                                                           \
	"ADDR:PORT or [ADDR]:PORT with a numeric address, localhost:PORT, :PORT for all addresses, unix:/PATH, " \
	"unix:@NAME, or fd://N; with https:// in front of ADDR for TLS, and ,proxy-protocol at the end behind a proxy"

static void assert_check_fails(const char *expected)
{
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), -EINVAL);
	ck_assert_str_eq(error, expected);
	ck_assert_int_eq(pipit_config_check(&config, NULL, 0), -EINVAL);
	pipit_config_init(&config);
}

START_TEST(checks_numbers_set_by_the_application)
{
	config.workers = 257;
	assert_check_fails("workers = \"257\": out of range; use 0 to 256");
	config.max_fields = 0;
	assert_check_fails("max-fields = \"0\": out of range; use 1 to 256");
	config.max_head_bytes = 65537;
	assert_check_fails("max-head-bytes = \"65537\": out of range; use 256 to 64k");
	config.idle_timeout_ms = UINT64_MAX;
	assert_check_fails("idle-timeout = \"18446744073709551615ms\": out of range; use 0 to 24h");
	config.max_target_bytes = config.max_head_bytes;
	assert_check_fails("max-target-bytes = \"16k\": too large; use less than max-head-bytes, which is 16k");
	config.max_target_bytes = config.max_head_bytes - 1;
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
	config.memory_limit = config.max_body_bytes - 1;
	assert_check_fails(
	    "max-body-bytes = \"1m\": too large; use at most memory-limit, which is 1048575, or raise memory-limit");
	config.memory_limit = config.max_body_bytes;
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
	config.memory_limit = 0;
	config.max_body_bytes = (uint64_t)1 << 40;
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
}
END_TEST

START_TEST(checks_strings_set_by_the_application)
{
	config.log_level = "all";
	assert_check_fails("log-level = \"all\": unknown value; use error, warn, info or debug");
	config.log_format = NULL;
	assert_check_fails("log-format: has no value; use combined or json");
	config.access_log = NULL;
	assert_check_fails("access-log: has no value; use off, - or a file");
	config.root = "";
	assert_check_fails("root: has no value; use a directory");
	config.root = "/srv\n/x";
	assert_check_fails("root = \"/srv\\x0A/x\": contains a control character; use a directory");
}
END_TEST

START_TEST(checks_addresses_set_by_the_application)
{
	config.listen_count = 0;
	assert_check_fails("listen: has no value; use " ADDRESS_WANTED);
	config.listen_count = PIPIT_LISTEN_MAX + 1;
	assert_check_fails("listen: too many addresses; use at most 16");
	config.listen_count = 2;
	assert_check_fails("listen: has no value; use " ADDRESS_WANTED);
	config.listen[0] = "example.com:80";
	assert_check_fails("listen = \"example.com:80\": not an address; use " ADDRESS_WANTED);
}
END_TEST

START_TEST(takes_sixteen_addresses_and_no_more)
{
	char addresses[PIPIT_LISTEN_MAX][24];
	for (size_t i = 0; i < PIPIT_LISTEN_MAX; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "127.0.0.1:%zu", 8000 + i);
		config.listen[i] = addresses[i];
	}
	config.listen_count = PIPIT_LISTEN_MAX;
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
	config.listen[PIPIT_LISTEN_MAX - 1] = "here";
	assert_check_fails("listen = \"here\": not an address; use " ADDRESS_WANTED);
}
END_TEST

static const struct {
	const char *first, *second;
	bool collide;
} address_pairs[] = {
	{ "127.0.0.1:80", "127.0.0.1:80", true },
	{ "127.0.0.1:80", "localhost:80", true },
	{ "127.0.0.1:80", "0.0.0.0:80", true },
	{ "0.0.0.0:80", "127.0.0.1:80", true },
	{ "[::1]:80", "[0:0::1]:80", true },
	{ ":80", "[::1]:80", true },
	{ "127.0.0.1:80", "127.0.0.1:81", false },
	{ "127.0.0.1:80", "127.0.0.2:80", false },
	{ "127.0.0.1:0", "127.0.0.1:0", false },
	{ "0.0.0.0:80", "[::]:80", false },
	{ ":80", "127.0.0.1:80", false },
	{ "[::1]:80", "[::2]:80", false },
	{ "[fe80::1%eth0]:80", "[fe80::1%eth0]:80", true },
	{ "[fe80::1%eth0]:80", "[fe80::1%eth1]:80", false },
	{ "[fe80::1%eth0]:80", "[fe80::1]:80", true },
	{ "[fe80::1%eth0]:80", ":80", true },
	{ "unix:/a", "unix:/a,mode=0600", true },
	{ "unix:/a", "unix:@a", false },
	{ "unix:@a", "unix:@a", true },
	{ "fd://3", "fd://03", true },
	{ "fd://3", "fd://4", false },
	{ "fd://name", "fd://name", true },
	{ "fd://3", "127.0.0.1:3", false },
};

START_TEST(finds_addresses_that_overlap)
{
	char expected[128];
	config.listen[0] = address_pairs[_i].first;
	config.listen[1] = address_pairs[_i].second;
	config.listen_count = 2;
	snprintf(expected, sizeof(expected), "listen = \"%s\": overlaps with %s; use one of them", config.listen[1],
	    config.listen[0]);
	if (address_pairs[_i].collide)
		assert_check_fails(expected);
	else
		ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
}
END_TEST

START_TEST(refuses_options_that_have_no_effect)
{
	config.hsts_ms = 3600 * 1000;
	assert_check_fails("hsts = \"1h\": has no effect without https; use an https address in listen, or "
			   "trusted-proxy with the proxy that speaks https");
	config.hsts_ms = 3600 * 1000;
	config.trusted_proxy = "127.0.0.1";
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
	config.trusted_header = "forwarded";
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
	config.trusted_proxy = NULL;
	config.hsts_ms = 0;
	assert_check_fails("trusted-header = \"forwarded\": has no effect without trusted-proxy; use it with the "
			   "networks of the proxies");
	config.trusted_header = "x-forwarded-for";
	ck_assert_int_eq(pipit_config_check(&config, error, sizeof(error)), 0);
}
END_TEST

START_TEST(refuses_items_that_are_not_counted)
{
	config.tls_certificate[0] = "/etc/a.pem";
	assert_check_fails(
	    "tls-certificate = \"/etc/a.pem\": is not counted; set tls_certificate_count to the number of "
	    "files");
	config.listen[1] = "127.0.0.1:8081";
	assert_check_fails("listen = \"127.0.0.1:8081\": is not counted; set listen_count to the number of addresses");
}
END_TEST

START_TEST(reports_every_error_on_a_line)
{
	config.workers = 257;
	config.log_level = "all";
	config.listen[0] = "here";
	assert_check_fails(
	    "listen = \"here\": not an address; use " ADDRESS_WANTED "\nworkers = \"257\": out of range; use 0 to 256"
	    "\nlog-level = \"all\": unknown value; use error, warn, info or debug");
	config.max_target_bytes = 16384;
	config.memory_limit = 1;
	assert_check_fails(
	    "max-target-bytes = \"16k\": too large; use less than max-head-bytes, which is 16k"
	    "\nmax-body-bytes = \"1m\": too large; use at most memory-limit, which is 1, or raise memory-limit");
}
END_TEST

/* ---------------------------------------------------------------- printed forms */

static const char *const names[] = { "ipv6-only", "dashboard", "drain-delay", "listen", "workers", "root", "spa",
	"listing", "compress", "cache-control", "media-types", "settings", "settings-max-bytes",
	"settings-require-match", "user", "protect", "group", "sandbox", "admin-listen", "max-json-values",
	"max-streams", "config", "access-log", "log-format", "log-level", "max-connections", "listen-backlog",
	"max-head-bytes", "max-fields", "max-target-bytes", "max-body-bytes", "max-json-depth", "head-timeout",
	"read-timeout", "write-timeout", "min-rate-bytes", "rate-grace", "trusted-proxy", "trusted-header", "allow",
	"deny", "rate-limit", "hosts", "cors-origins", "cors-methods", "cors-headers", "cors-expose-headers",
	"cors-credentials", "cors-max-age", "header", "idle-timeout", "lingering-time", "lingering-timeout",
	"drain-timeout", "max-connections-per-address", "max-requests-per-connection", "memory-limit",
	"max-field-bytes", "max-output-bytes", "defer-accept", "tls-certificate", "tls-key", "tls-ocsp-response",
	"tls-min-version", "tls-client-auth", "tls-client-ca", "tls-client-crl", "tls-handshake-timeout", "kernel-tls",
	"redirect-to-https", "hsts", "check", "healthcheck", "make-test-certificate", "version", "help" };

enum { NAME_COUNT = sizeof(names) / sizeof(names[0]), COMMAND_COUNT = 6 };

/* The caller frees it. */
static char *print_with(void (*function)(FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(out);
	function(out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static void print_config(FILE *out)
{
	pipit_config_print(&config, out);
}

START_TEST(prints_a_value_in_the_largest_exact_unit_and_quotes_texts)
{
	static const char *const settings[][3] = {
		{ "root", " /a\"b ", "root = \" /a\"b \"\n" },
		{ "max-head-bytes", "20000", "max-head-bytes = 20000\n" },
		{ "max-body-bytes", "1025m", "max-body-bytes = 1025m\n" },
		{ "min-rate-bytes", "3072k", "min-rate-bytes = 3m\n" },
		{ "head-timeout", "1500ms", "head-timeout = 1500ms\n" },
		{ "rate-grace", "0s", "rate-grace = 0\n" },
		{ "idle-timeout", "1440m", "idle-timeout = 24h\n" },
		{ "log-format", "json", "log-format = json\n" },
	};
	ck_assert_int_eq(pipit_config_set(&config, settings[_i][0], settings[_i][1], NULL, 0), 0);
	char *text = print_with(print_config);
	ck_assert_ptr_nonnull(strstr(text, settings[_i][2]));
	free(text);
}
END_TEST

START_TEST(prints_every_address_and_unset_options)
{
	static const char expected[] =
	    "listen = 0.0.0.0:80\nlisten = [::]:80\nipv6-only = off\n# admin-listen is not set\n# root is not "
	    "set\ndashboard = on\nspa = "
	    "off\nlisting = off\ncompress = on\n"
	    "# cache-control is not set\n# media-types is not set\n"
	    "# settings is not set\nsettings-max-bytes = 256k\nsettings-require-match = off\nworkers = 0\n";
	ck_assert_int_eq(pipit_config_set(&config, "listen", "0.0.0.0:80", NULL, 0), 0);
	ck_assert_int_eq(pipit_config_set(&config, "listen", "[::]:80", NULL, 0), 0);
	char *text = print_with(print_config);
	ck_assert_int_eq(strncmp(text, expected, sizeof(expected) - 1), 0);
	free(text);
}
END_TEST

START_TEST(fits_help_into_80_columns)
{
	char *text = print_with(pipit_config_print_help), *rest = text, *line;
	unsigned count = 0;
	while ((line = strsep(&rest, "\n")) != NULL) {
		ck_assert_msg(strlen(line) <= 80, "%s", line);
		count++;
	}
	/* Most options take a line. */
	ck_assert_uint_le(count, 25 + 3 * PIPIT_OPTION_TOTAL / 2);
	ck_assert_int_eq(strncmp(text, "Usage: pipit ", 13), 0);
	free(text);
}
END_TEST

START_TEST(continues_an_explanation_in_its_column_in_help)
{
	char *text = print_with(pipit_config_print_help), *rest = text, *line;
	unsigned count = 0;
	while ((line = strsep(&rest, "\n")) != NULL) {
		size_t blanks = strspn(line, " ");
		if (blanks < 3 || line[blanks] == '\0')
			continue;
		ck_assert_msg(blanks == 27, "%s", line);
		count++;
	}
	ck_assert_uint_gt(count, 0);
	free(text);
}
END_TEST

START_TEST(names_every_option_and_its_default_in_help)
{
	static const char *const lines[] = { "  --listen ADDR:PORT       ", " [127.0.0.1:8080]\n", " [10000]\n",
		" [16k]\n", " [1m]\n", " [10s]\n", " [1k]\n", " [combined]\n", " [info]\n", "(-h)", "(-V)",
		"What to serve:", "TLS:", "Access:", "Limits:", "Deadlines:", "Other:",
		"0 clean stop, 1 could not run, 2 wrong configuration" };
	char *text = print_with(pipit_config_print_help), option[64];
	for (size_t i = 0; i < NAME_COUNT; i++) {
		snprintf(option, sizeof(option), "\n  --%s ", names[i]);
		ck_assert_msg(strstr(text, option) != NULL, "help lacks %s", names[i]);
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_msg(strstr(text, lines[i]) != NULL, "help lacks %s", lines[i]);
	free(text);
}
END_TEST

/* A line is read alone: it says what it limits, and what 0 means where 0 is no limit. */
START_TEST(explains_each_option_in_a_sentence_of_its_own)
{
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		const struct pipit_option *option = &pipit_option_table[i];
		const char *help = option->help;
		bool has_zero = pipit_option_is_number(option) && option->min == 0;
		bool zero_is_plain =
		    strcmp(option->name, "rate-grace") == 0 || strcmp(option->name, "drain-delay") == 0;
		ck_assert_msg(help[0] >= 'A' && help[0] <= 'Z', "%s: %s", option->name, help);
		ck_assert_msg(
		    (strstr(help, "; 0 is ") != NULL) == (has_zero && !zero_is_plain), "%s: %s", option->name, help);
	}
}
END_TEST

START_TEST(prints_a_markdown_row_for_every_option)
{
	char *text = print_with(pipit_config_print_markdown), *rest = text, *line;
	unsigned rows = 0;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		unsigned bars = 0;
		for (const char *p = line; *p != '\0'; p++)
			bars += *p == '|';
		ck_assert_uint_eq(bars, 5);
		rows++;
	}
	ck_assert_uint_eq(rows, 2 + NAME_COUNT - COMMAND_COUNT);
	free(text);
	text = print_with(pipit_config_print_markdown);
	ck_assert_ptr_nonnull(
	    strstr(text, "\n| `--max-head-bytes` | 16k | 256 to 64k | Maximum size of request line and headers |\n"));
	free(text);
}
END_TEST

/* ---------------------------------------------------------------- suite */

static TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	return tests;
}

static TCase *set_tests(void)
{
	TCase *tests = make_case("set");
	tcase_add_test(tests, starts_with_the_documented_defaults);
	tcase_add_test(tests, sets_an_option_by_its_name);
	tcase_add_loop_test(tests, refuses_unknown_keys, 0, 6);
	tcase_add_test(tests, can_be_cleared_twice_and_set_again);
	return tests;
}

static TCase *check_tests(void)
{
	TCase *tests = make_case("check");
	tcase_add_test(tests, checks_numbers_set_by_the_application);
	tcase_add_test(tests, checks_strings_set_by_the_application);
	tcase_add_test(tests, checks_addresses_set_by_the_application);
	tcase_add_test(tests, takes_sixteen_addresses_and_no_more);
	tcase_add_loop_test(tests, finds_addresses_that_overlap, 0, sizeof(address_pairs) / sizeof(address_pairs[0]));
	tcase_add_test(tests, refuses_options_that_have_no_effect);
	tcase_add_test(tests, refuses_items_that_are_not_counted);
	tcase_add_test(tests, reports_every_error_on_a_line);
	return tests;
}

static TCase *print_tests(void)
{
	TCase *tests = make_case("print");
	tcase_add_loop_test(tests, prints_a_value_in_the_largest_exact_unit_and_quotes_texts, 0, 8);
	tcase_add_test(tests, prints_every_address_and_unset_options);
	tcase_add_test(tests, fits_help_into_80_columns);
	tcase_add_test(tests, continues_an_explanation_in_its_column_in_help);
	tcase_add_test(tests, names_every_option_and_its_default_in_help);
	tcase_add_test(tests, explains_each_option_in_a_sentence_of_its_own);
	tcase_add_test(tests, prints_a_markdown_row_for_every_option);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("config");
	suite_add_tcase(suite, set_tests());
	suite_add_tcase(suite, check_tests());
	suite_add_tcase(suite, print_tests());
	return run_suite(suite);
}
