/* SPDX-License-Identifier: MIT */
#include "config/option.h"

#include "config/address.h"
#include "config/networks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define SECOND_MS UINT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)

/* ---------------------------------------------------------------- the tables */

static const char *const switch_positions[] = { "off", "on", NULL };
static const char *const log_formats[] = { "combined", "json", NULL };
static const char *const trusted_headers[] = { "x-forwarded-for", "forwarded", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };
static const char *const client_auths[] = { "off", "optional", "required", NULL };
static const char *const log_levels[] = { "error", "warn", "info", "debug", NULL };

/* Compared by address: a given address replaces it. */
static const char default_address[] = "127.0.0.1:8080";

#define ADDRESS_WANTED                                                                                           \
	"ADDR:PORT or [ADDR]:PORT with a numeric address, localhost:PORT, :PORT for all addresses, unix:/PATH, " \
	"unix:@NAME, or fd://N; with https:// in front of ADDR for TLS, and ,proxy-protocol at the end behind a proxy"

#define FIELD(name) offsetof(struct pipit_config, name)

/* clang-format off */
const struct pipit_option pipit_option_table[] = {
	{ .name = "listen", .kind = PIPIT_OPTION_ADDRESSES, .group = PIPIT_GROUP_SERVE, .offset = FIELD(listen),
	    .initial_text = default_address, .operand = "ADDR:PORT",
	    .wanted = ADDRESS_WANTED,
	    .help = "Address, https://ADDR:PORT, unix:/PATH or fd://N; repeatable" },
	{ .name = "ipv6-only", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE, .offset = FIELD(ipv6_only),
	    .is_switch = true, .initial_text = "off", .choices = switch_positions, .operand = "[on]",
	    .help = "Do not accept IPv4 connections on [::]:PORT" },
	{ .name = "admin-listen", .kind = PIPIT_OPTION_ADDRESS, .group = PIPIT_GROUP_SERVE, .offset = FIELD(admin_listen),
	    .operand = "ADDR:PORT", .unset = "none", .wanted = ADDRESS_WANTED,
	    .help = "Serve metrics, health, events, dashboard and settings here only" },
	{ .name = "root", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(root), .operand = "DIR",
	    .unset = "dashboard", .wanted = "a directory", .help = "Directory of static files to serve" },
	{ .name = "dashboard", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE, .offset = FIELD(dashboard),
	    .is_switch = true, .initial_text = "on", .choices = switch_positions, .operand = "[on|off]",
	    .help = "Serve the dashboard at /_pipit/ beside --root" },
	{ .name = "spa", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE, .offset = FIELD(spa), .is_switch = true,
	    .initial_text = "off", .choices = switch_positions, .operand = "[on]", .help = "Serve /index.html for unknown pages" },
	{ .name = "listing", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE, .offset = FIELD(listing),
	    .is_switch = true, .initial_text = "off", .choices = switch_positions, .operand = "[on]",
	    .help = "List directories without index.html" },
	{ .name = "compress", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE, .offset = FIELD(compress),
	    .is_switch = true, .initial_text = "on", .choices = switch_positions, .operand = "[on|off]",
	    .help = "Compress text files of 1k to 256k with gzip" },
	{ .name = "cache-control", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(cache_control),
	    .operand = "RULES", .unset = "none", .wanted = "PATTERN=VALUE; ..., for example *.html=no-cache",
	    .help = "Cache-Control by path, as *.html=no-cache; ..." },
	{ .name = "media-types", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(media_types),
	    .operand = "FILE", .unset = "built-in", .wanted = "a file in the form of /etc/mime.types",
	    .help = "More media types, as in /etc/mime.types" },
	{ .name = "settings", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(settings), .operand = "FILE",
	    .unset = "none", .wanted = "a file in a directory that exists", .help = "File of the JSON document at /api/settings" },
	{ .name = "settings-max-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_SERVE,
	    .offset = FIELD(settings_max_bytes), .initial = 256 * KIB, .min = KIB, .max = 16 * MIB, .operand = "SIZE",
	    .help = "Maximum size of the settings document" },
	{ .name = "settings-require-match", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE,
	    .offset = FIELD(settings_require_match), .is_switch = true, .initial_text = "off",
	    .choices = switch_positions, .operand = "[on]", .help = "Require If-Match for changes of settings" },
	{ .name = "workers", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(workers), .max = 256,
	    .operand = "N", .help = "Worker threads; 0 is one per usable core" },
	{ .name = "user", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(user), .operand = "NAME",
	    .unset = "unchanged", .wanted = "the name or number of a user that is not root",
	    .help = "User to become after opening the addresses as root" },
	{ .name = "group", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_SERVE, .offset = FIELD(group), .operand = "NAME",
	    .unset = "of the user", .wanted = "the name or number of a group", .help = "Group to take with --user" },
	{ .name = "sandbox", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_SERVE, .offset = FIELD(sandbox),
	    .is_switch = true, .initial_text = "on", .choices = switch_positions, .operand = "[on|off]",
	    .help = "Restrict the files that the process may open, and its system calls" },

	{ .name = "trusted-proxy", .kind = PIPIT_OPTION_LINES, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(trusted_proxy),
	    .operand = "CIDR", .unset = "none", .wanted = PIPIT_NETWORKS_WANTED,
	    .help = "Networks of trusted proxies; repeatable" },
	{ .name = "trusted-header", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(trusted_header),
	    .initial_text = "x-forwarded-for", .choices = trusted_headers, .operand = "NAME",
	    .help = "Header that names the client" },
	{ .name = "allow", .kind = PIPIT_OPTION_LINES, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(allow), .operand = "RULE",
	    .unset = "every client", .wanted = "[PREFIX] NETWORK ..., for example /admin/ 10.0.0.0/8 2001:db8::/32",
	    .help = "Networks of clients that get no 403; repeatable" },
	{ .name = "deny", .kind = PIPIT_OPTION_LINES, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(deny), .operand = "RULE",
	    .unset = "none", .wanted = "[PREFIX] NETWORK ..., for example 192.0.2.0/24",
	    .help = "Networks of clients that get 403; repeatable" },
	{ .name = "rate-limit", .kind = PIPIT_OPTION_LINES, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(rate_limit),
	    .operand = "RULE", .unset = "none",
	    .wanted = "[PREFIX] N/s, N/m or N/h [burst=N], or PREFIX off; for example /api/ 10/s burst=20",
	    .help = "Rate per client, as /api/ 10/s; repeatable" },
	{ .name = "hosts", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(hosts), .operand = "NAMES",
	    .unset = "by listener", .wanted = "names, for example nas.example.com, *.example.com",
	    .help = "Host names to answer to; * is every name" },
	{ .name = "cors-origins", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(cors_origins),
	    .operand = "ORIGINS", .unset = "none", .wanted = "origins, for example https://app.example.com",
	    .help = "Other origins whose pages may send requests; * is every origin" },
	{ .name = "cors-methods", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(cors_methods),
	    .initial_text = "GET, HEAD, POST", .operand = "METHODS", .wanted = "methods, for example GET, PUT",
	    .help = "Methods that pages of --cors-origins may use" },
	{ .name = "cors-headers", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(cors_headers),
	    .initial_text = "Content-Type", .operand = "NAMES", .wanted = "header names, for example Content-Type, If-Match",
	    .help = "Request headers that pages of --cors-origins may set" },
	{ .name = "cors-expose-headers", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_ACCESS,
	    .offset = FIELD(cors_expose_headers), .operand = "NAMES", .unset = "none",
	    .wanted = "header names, for example ETag", .help = "Response headers that pages of --cors-origins may read" },
	{ .name = "cors-credentials", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_ACCESS,
	    .offset = FIELD(cors_credentials), .is_switch = true, .initial_text = "off", .choices = switch_positions,
	    .operand = "[on]", .help = "Accept cookies and passwords from pages of --cors-origins" },
	{ .name = "cors-max-age", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(cors_max_age_ms),
	    .initial = 600 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "Time that browsers remember CORS options; 0 is off" },
	{ .name = "header", .kind = PIPIT_OPTION_LINES, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(header), .operand = "RULE",
	    .unset = "none", .wanted = "PATTERN: Name: value, for example /*: X-Frame-Options: DENY",
	    .help = "Header of replies, as /*: Name: value; repeatable" },
	{ .name = "protect", .kind = PIPIT_OPTION_LINES, .group = PIPIT_GROUP_ACCESS, .offset = FIELD(protect),
	    .operand = "RULE", .unset = "none",
	    .wanted = "PREFIX [METHODS] basic FILE, bearer FILE, or open; for example /api/ basic /etc/pipit/users",
	    .help = "Paths that need a password or a token, as /api/ basic FILE; repeatable" },

	{ .name = "tls-certificate", .kind = PIPIT_OPTION_FILES, .group = PIPIT_GROUP_TLS, .offset = FIELD(tls_certificate),
	    .list = 1, .operand = "FILE", .unset = "none", .wanted = "a PEM file with the certificate and its chain",
	    .help = "Certificate with its chain; repeatable" },
	{ .name = "tls-key", .kind = PIPIT_OPTION_FILES, .group = PIPIT_GROUP_TLS, .offset = FIELD(tls_key), .list = 2,
	    .operand = "FILE", .unset = "none", .wanted = "a PEM file with the key of the certificate",
	    .help = "Key of each certificate, in the same order" },
	{ .name = "tls-ocsp-response", .kind = PIPIT_OPTION_FILES, .group = PIPIT_GROUP_TLS,
	    .offset = FIELD(tls_ocsp_response), .list = 3, .operand = "FILE", .unset = "none",
	    .wanted = "a DER file with the OCSP response for a certificate",
	    .help = "OCSP response to staple, for one certificate; repeatable" },
	{ .name = "tls-min-version", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_TLS, .offset = FIELD(tls_min_version),
	    .initial_text = "1.2", .choices = tls_versions, .operand = "VERSION", .help = "Oldest version of TLS: 1.2 or 1.3" },
	{ .name = "tls-client-auth", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_TLS, .offset = FIELD(tls_client_auth),
	    .initial_text = "off", .choices = client_auths, .operand = "WHEN",
	    .help = "Client certificates: off, optional or required" },
	{ .name = "tls-client-ca", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_TLS, .offset = FIELD(tls_client_ca),
	    .operand = "FILE", .unset = "none", .wanted = "a PEM file of authorities",
	    .help = "Authorities that sign client certificates" },
	{ .name = "tls-client-crl", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_TLS, .offset = FIELD(tls_client_crl),
	    .operand = "FILE", .unset = "none", .wanted = "a PEM file with the revocation lists of all authorities",
	    .help = "Revoked client certificates: a list of each authority" },
	{ .name = "tls-handshake-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_TLS,
	    .offset = FIELD(tls_handshake_timeout_ms), .initial = 10 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "Time for a TLS handshake; 0 is unlimited" },
	{ .name = "kernel-tls", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_TLS, .offset = FIELD(kernel_tls),
	    .is_switch = true, .initial_text = "on", .choices = switch_positions, .operand = "[on|off]",
	    .help = "Let the kernel encrypt what is sent, where it can" },
	{ .name = "redirect-to-https", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_TLS,
	    .offset = FIELD(redirect_to_https), .is_switch = true, .initial_text = "off", .choices = switch_positions,
	    .operand = "[on]", .help = "Redirect from http addresses to the first https address" },
	{ .name = "hsts", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_TLS, .offset = FIELD(hsts_ms),
	    .max = 2 * 366 * DAY_MS, .operand = "TIME",
	    .help = "Time for which browsers use https only (Strict-Transport-Security); 0 is off" },

	{ .name = "max-connections", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_connections),
	    .initial = 10000, .max = 1000000, .operand = "N", .help = "Maximum simultaneous connections; 0 is unlimited" },
	{ .name = "max-connections-per-address", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS,
	    .offset = FIELD(max_connections_per_address), .max = 1000000, .operand = "N",
	    .help = "Maximum simultaneous connections per client address; 0 is unlimited" },
	{ .name = "max-requests-per-connection", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS,
	    .offset = FIELD(max_requests_per_connection), .max = 1000000000, .operand = "N",
	    .help = "Maximum requests per connection; 0 is unlimited" },
	{ .name = "memory-limit", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(memory_limit),
	    .initial = 64 * MIB, .max = TIB, .operand = "SIZE", .help = "Maximum memory of all buffers; 0 is unlimited" },
	{ .name = "max-streams", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_streams),
	    .initial = 1000, .max = 1000000, .operand = "N", .help = "Maximum clients of /events; 0 is unlimited" },
	{ .name = "listen-backlog", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(listen_backlog),
	    .initial = 1024, .min = 1, .max = 65535, .operand = "N", .help = "Maximum length of the accept queue" },
	{ .name = "max-head-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_head_bytes),
	    .initial = 16 * KIB, .min = 256, .max = 64 * KIB, .operand = "SIZE",
	    .help = "Maximum size of request line and headers" },
	{ .name = "max-fields", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_fields),
	    .initial = 100, .min = 1, .max = 256, .operand = "N", .help = "Maximum number of request headers" },
	{ .name = "max-field-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_field_bytes),
	    .initial = 8 * KIB, .max = 64 * KIB, .operand = "SIZE", .help = "Maximum size of one header; 0 is unlimited" },
	{ .name = "max-target-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_target_bytes),
	    .initial = 8 * KIB, .min = 16, .max = 65000, .operand = "SIZE", .help = "Maximum size of request target, path and query" },
	{ .name = "max-body-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_body_bytes),
	    .initial = MIB, .max = TIB, .operand = "SIZE", .help = "Maximum request body size; 0 is --memory-limit" },
	{ .name = "max-output-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_output_bytes),
	    .initial = 64 * KIB, .min = 4 * KIB, .max = 16 * MIB, .operand = "SIZE",
	    .help = "Maximum buffered replies of one connection" },
	{ .name = "max-json-depth", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS, .offset = FIELD(max_json_depth),
	    .initial = 64, .min = 1, .max = 512, .operand = "N", .help = "Maximum nesting of JSON arrays and objects" },
	{ .name = "max-json-values", .kind = PIPIT_OPTION_COUNT, .group = PIPIT_GROUP_LIMITS,
	    .offset = FIELD(max_json_values), .initial = 100000, .min = 1, .max = 1000000, .operand = "N",
	    .help = "Maximum values of a JSON document" },

	{ .name = "defer-accept", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(defer_accept_ms),
	    .max = 60 * SECOND_MS, .operand = "TIME", .help = "Time to hold a connection without a byte in the kernel; 0 is off" },
	{ .name = "head-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(head_timeout_ms),
	    .initial = 10 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "Time to receive a request head; 0 is unlimited" },
	{ .name = "read-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(read_timeout_ms),
	    .initial = 30 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "Time a request body may stall; 0 is unlimited" },
	{ .name = "write-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(write_timeout_ms),
	    .initial = 30 * SECOND_MS, .max = DAY_MS, .operand = "TIME",
	    .help = "Time a reply may stall; 0 is unlimited" },
	{ .name = "min-rate-bytes", .kind = PIPIT_OPTION_SIZE, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(min_rate_bytes),
	    .initial = KIB, .max = GIB, .operand = "SIZE", .help = "Minimum transfer rate, bytes/second; 0 is off" },
	{ .name = "rate-grace", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(rate_grace_ms),
	    .initial = 10 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "Time before --min-rate-bytes applies" },
	{ .name = "idle-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(idle_timeout_ms),
	    .initial = 75 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "Idle time between requests; 0 is unlimited" },
	{ .name = "lingering-time", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES,
	    .offset = FIELD(lingering_time_ms), .initial = 30 * SECOND_MS, .min = 1, .max = DAY_MS, .operand = "TIME",
	    .help = "Time to discard input after the last reply" },
	{ .name = "lingering-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES,
	    .offset = FIELD(lingering_timeout_ms), .initial = 5 * SECOND_MS, .min = 1, .max = DAY_MS, .operand = "TIME",
	    .help = "Time without input that ends --lingering-time" },
	{ .name = "drain-delay", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(drain_delay_ms),
	    .max = DAY_MS, .operand = "TIME", .help = "Time to go on accepting after SIGTERM" },
	{ .name = "drain-timeout", .kind = PIPIT_OPTION_DURATION, .group = PIPIT_GROUP_DEADLINES, .offset = FIELD(drain_timeout_ms),
	    .initial = 8 * SECOND_MS, .max = DAY_MS, .operand = "TIME", .help = "Time for requests at shutdown; 0 is unlimited" },

	{ .name = "access-log", .kind = PIPIT_OPTION_TEXT, .group = PIPIT_GROUP_OTHER, .offset = FIELD(access_log),
	    .initial_text = "off", .operand = "off|-|FILE", .wanted = "off, - or a file",
	    .help = "Access log: a file, - for stdout, or off" },
	{ .name = "log-format", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_OTHER, .offset = FIELD(log_format),
	    .initial_text = "combined", .choices = log_formats, .operand = "FORM",
	    .help = "Form of the log lines: combined or json" },
	{ .name = "log-level", .kind = PIPIT_OPTION_CHOICE, .group = PIPIT_GROUP_OTHER, .offset = FIELD(log_level),
	    .initial_text = "info", .choices = log_levels, .operand = "LEVEL",
	    .help = "Messages to log: error, warn, info or debug" },
};
/* clang-format on */

_Static_assert(
    sizeof(pipit_option_table) / sizeof(pipit_option_table[0]) == PIPIT_OPTION_TOTAL, "option.h says how many");

const struct pipit_command pipit_commands[PIPIT_COMMAND_TOTAL] = {
	[PIPIT_COMMAND_CONFIG] = { "config", 0, "FILE", "Configuration file of \"key = value\" lines" },
	[PIPIT_COMMAND_CHECK] = { "check", 0, "", "Check the configuration, print it, then exit" },
	[PIPIT_COMMAND_HEALTHCHECK] = { "healthcheck", 0, "", "Request /healthz of the running server, then exit" },
	[PIPIT_COMMAND_MAKE_TEST_CERTIFICATE] = { "make-test-certificate", 0, "DIR",
	    "Make certificate.pem and key.pem for localhost in DIR, then exit" },
	[PIPIT_COMMAND_VERSION] = { "version", 'V', "", "Print the version, then exit" },
	[PIPIT_COMMAND_HELP] = { "help", 'h', "", "Print this text, then exit" },
};

const struct pipit_option *pipit_option_find(const char *name, size_t length)
{
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (strlen(pipit_option_table[i].name) == length &&
		    memcmp(pipit_option_table[i].name, name, length) == 0)
			return &pipit_option_table[i];
	}
	return NULL;
}

/* memcpy() needs no cast, which could hide a wrong type. */
uint64_t pipit_option_get_number(const struct pipit_config *config, const struct pipit_option *option)
{
	uint64_t number;
	memcpy(&number, (const char *)config + option->offset, sizeof(number));
	return number;
}

static void set_number(struct pipit_config *config, const struct pipit_option *option, uint64_t number)
{
	memcpy((char *)config + option->offset, &number, sizeof(number));
}

const char *pipit_option_get_text(const struct pipit_config *config, const struct pipit_option *option)
{
	const char *text;
	memcpy(&text, (const char *)config + option->offset, sizeof(text));
	return text;
}

static void set_text(struct pipit_config *config, const struct pipit_option *option, const char *text)
{
	memcpy((char *)config + option->offset, &text, sizeof(text));
}

bool pipit_option_is_list(const struct pipit_option *option)
{
	return option->kind == PIPIT_OPTION_ADDRESSES || option->kind == PIPIT_OPTION_FILES;
}

/* The fields of a list follow each other: option_test.c checks the offsets. */
const char **pipit_option_items(struct pipit_config *config, const struct pipit_option *option, size_t **count)
{
	const char **items = (const char **)(void *)((char *)config + option->offset);
	*count = (size_t *)(void *)(items + PIPIT_LISTEN_MAX);
	return items;
}

size_t pipit_option_item_count(const struct pipit_config *config, const struct pipit_option *option)
{
	size_t count;
	memcpy(&count, (const char *)config + option->offset + PIPIT_LISTEN_MAX * sizeof(const char *), sizeof(count));
	return count;
}

const char *pipit_option_item(const struct pipit_config *config, const struct pipit_option *option, size_t index)
{
	const char *item;
	memcpy(&item, (const char *)config + option->offset + index * sizeof(item), sizeof(item));
	return item;
}

bool pipit_option_is_number(const struct pipit_option *option)
{
	return option->kind == PIPIT_OPTION_COUNT || option->kind == PIPIT_OPTION_SIZE ||
	       option->kind == PIPIT_OPTION_DURATION;
}

bool pipit_option_is_repeatable(const struct pipit_option *option)
{
	return pipit_option_is_list(option) || option->kind == PIPIT_OPTION_LINES;
}

/* ---------------------------------------------------------------- numbers and their units */

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first: printing takes the first that divides the number. */
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit size_units[] = { { "g", GIB }, { "m", MIB }, { "k", KIB }, { "", 1 }, { NULL, 0 } };
static const struct unit duration_units[] = { { "h", 3600 * SECOND_MS }, { "m", 60 * SECOND_MS }, { "s", SECOND_MS },
	{ "", SECOND_MS }, { "ms", 1 }, { NULL, 0 } };

static const struct unit *units_of(const struct pipit_option *option)
{
	if (option->kind == PIPIT_OPTION_SIZE)
		return size_units;
	return option->kind == PIPIT_OPTION_DURATION ? duration_units : count_units;
}

const char *pipit_option_format_number(const struct pipit_option *option, uint64_t number, char *out)
{
	const struct unit *unit = units_of(option);
	if (number == 0)
		return strcpy(out, "0");
	while (number % unit->factor != 0)
		unit++;
	snprintf(out, PIPIT_OPTION_NUMBER_BYTES, "%llu%s", (unsigned long long)(number / unit->factor), unit->suffix);
	return out;
}

enum pipit_fault pipit_option_check_number(const struct pipit_option *option, uint64_t number)
{
	return number >= option->min && number <= option->max ? PIPIT_FAULT_NONE : PIPIT_FAULT_RANGE;
}

static const struct unit *find_unit(const struct unit *units, const char *suffix)
{
	while (units->suffix != NULL && strcasecmp(units->suffix, suffix) != 0)
		units++;
	return units->suffix != NULL ? units : NULL;
}

struct decimal {
	bool is_negative, is_too_large, has_fraction;
	uint64_t whole;
	uint64_t fraction, scale; /* fraction / scale; scale 1: none */
};

enum { FRACTION_MAX_DIGITS = 9 }; /* times the largest factor below 2^64 */

/* Returns the end. strtoull() accepts spaces and signs, and wraps "-1"; strtod() depends on the locale. */
static const char *parse_decimal(const char *text, struct decimal *decimal)
{
	*decimal = (struct decimal){ .is_negative = *text == '-', .scale = 1 };
	const char *p = decimal->is_negative ? text + 1 : text;
	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');
		if (decimal->whole > (UINT64_MAX - digit) / 10)
			decimal->is_too_large = true;
		else
			decimal->whole = decimal->whole * 10 + digit;
	}
	if (p == text || p[-1] == '-' || p[0] != '.' || p[1] < '0' || p[1] > '9')
		return p;
	size_t digits = strspn(++p, "0123456789");
	decimal->has_fraction = strspn(p, "0") < digits;
	for (size_t i = 0; i < digits && i < FRACTION_MAX_DIGITS; i++) {
		decimal->fraction = decimal->fraction * 10 + (uint64_t)(p[i] - '0');
		decimal->scale *= 10;
	}
	return p + digits;
}

/* A fraction of a byte or of a millisecond is cut off, unless nothing is left: 0 has another meaning. */
static enum pipit_fault parse_number(const struct pipit_option *option, const char *text, uint64_t *number)
{
	struct decimal decimal;
	const char *suffix = parse_decimal(text, &decimal);
	const struct unit *unit = find_unit(units_of(option), suffix);
	if (suffix == text || suffix[-1] == '-' || unit == NULL || (decimal.scale > 1 && unit->factor == 1))
		return PIPIT_FAULT_FORM;
	if (decimal.is_negative || decimal.is_too_large || decimal.whole > UINT64_MAX / unit->factor)
		return PIPIT_FAULT_RANGE;
	uint64_t whole = decimal.whole * unit->factor, part = decimal.fraction * unit->factor / decimal.scale;
	if (whole > UINT64_MAX - part || (decimal.has_fraction && whole + part == 0))
		return PIPIT_FAULT_RANGE;
	*number = whole + part;
	return pipit_option_check_number(option, *number);
}

/* ---------------------------------------------------------------- texts, choices, addresses */

static enum pipit_fault check_line(const char *text, size_t length)
{
	if (length == 0)
		return PIPIT_FAULT_EMPTY;
	if (length > PIPIT_OPTION_TEXT_MAX_BYTES)
		return PIPIT_FAULT_LONG;
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
			return PIPIT_FAULT_CONTROL;
	}
	return PIPIT_FAULT_NONE;
}

/* A last line end ends no empty line. */
static enum pipit_fault check_lines(const char *text)
{
	enum pipit_fault fault;
	do {
		size_t length = strcspn(text, "\n");
		fault = check_line(text, length);
		text += length;
	} while (fault == PIPIT_FAULT_NONE && *text == '\n' && *++text != '\0');
	return fault;
}

static const char *find_choice(const struct pipit_option *option, const char *text)
{
	for (const char *const *choice = option->choices; *choice != NULL; choice++) {
		if (strcmp(*choice, text) == 0)
			return *choice;
	}
	return NULL;
}

static enum pipit_fault check_address(const char *text)
{
	struct pipit_address address;
	enum pipit_fault fault = check_line(text, strlen(text));
	int result = fault == PIPIT_FAULT_NONE ? pipit_address_parse(text, &address) : 0;
	if (result == 0)
		return fault;
	if (result == -ERANGE)
		return PIPIT_FAULT_MODE;
	if (address.kind == PIPIT_ADDRESS_UNIX)
		return PIPIT_FAULT_UNIX;
	return address.kind == PIPIT_ADDRESS_INHERITED ? PIPIT_FAULT_DESCRIPTOR : PIPIT_FAULT_FORM;
}

enum pipit_fault pipit_option_check_text(const struct pipit_option *option, const char *text)
{
	if (text == NULL)
		return option->initial_text == NULL ? PIPIT_FAULT_NONE : PIPIT_FAULT_EMPTY;
	if (option->kind == PIPIT_OPTION_ADDRESSES || option->kind == PIPIT_OPTION_ADDRESS)
		return check_address(text);
	enum pipit_fault fault =
	    option->kind == PIPIT_OPTION_LINES ? check_lines(text) : check_line(text, strlen(text));
	if (fault == PIPIT_FAULT_NONE && option->kind == PIPIT_OPTION_CHOICE && find_choice(option, text) == NULL)
		return PIPIT_FAULT_FORM;
	return fault;
}

/* ---------------------------------------------------------------- setting one option */

/* In pipit_config.owned. Replaced strings stay until pipit_config_clear(), because other fields may point to them. */
struct owned_string {
	struct owned_string *next;
	char text[];
};

static const char *copy_string(struct pipit_config *config, const char *text)
{
	size_t length = strlen(text);
	struct owned_string *copy = malloc(sizeof(*copy) + length + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy->text, text, length + 1);
	copy->next = config->owned;
	config->owned = copy;
	return copy->text;
}

bool pipit_option_copy_text(struct pipit_config *config, const struct pipit_option *option)
{
	const char *text = pipit_option_is_number(option) ? NULL : pipit_option_get_text(config, option);
	if (pipit_option_is_list(option)) {
		size_t *count;
		const char **items = pipit_option_items(config, option, &count);
		for (size_t i = 0; i < *count; i++) {
			items[i] = copy_string(config, items[i]);
			if (items[i] == NULL)
				return false;
		}
	} else if (text != NULL) {
		text = copy_string(config, text);
		set_text(config, option, text);
		return text != NULL;
	}
	return true;
}

void pipit_option_free_copies(struct pipit_config *config)
{
	struct owned_string *string = config->owned;
	while (string != NULL) {
		struct owned_string *next = string->next;
		free(string);
		string = next;
	}
	config->owned = NULL;
}

void pipit_option_reset(struct pipit_config *config, const struct pipit_option *option)
{
	if (pipit_option_is_number(option))
		set_number(config, option, option->initial);
	else
		set_text(config, option, option->initial_text);
	if (pipit_option_is_list(option)) {
		size_t *count;
		pipit_option_items(config, option, &count);
		*count = option->kind == PIPIT_OPTION_ADDRESSES;
	}
}

void pipit_option_empty(struct pipit_config *config, const struct pipit_option *option)
{
	size_t *count;
	if (!pipit_option_is_list(option)) {
		set_text(config, option, NULL);
		return;
	}
	pipit_option_items(config, option, &count);
	*count = 0;
}

static enum pipit_fault add_item(struct pipit_config *config, const struct pipit_option *option, const char *text)
{
	size_t *total;
	const char **items = pipit_option_items(config, option, &total);
	bool is_default = *total == 1 && items[0] == default_address;
	size_t count = is_default ? 0 : *total;
	enum pipit_fault fault = pipit_option_check_text(option, text);
	if (fault != PIPIT_FAULT_NONE)
		return fault;
	if (count >= PIPIT_LISTEN_MAX)
		return PIPIT_FAULT_MANY;
	const char *copy = copy_string(config, text);
	if (copy == NULL)
		return PIPIT_FAULT_MEMORY;
	items[count] = copy;
	*total = count + 1;
	return PIPIT_FAULT_NONE;
}

static enum pipit_fault assign_text(struct pipit_config *config, const struct pipit_option *option, const char *text)
{
	enum pipit_fault fault = pipit_option_check_text(option, text);
	if (fault != PIPIT_FAULT_NONE)
		return fault;
	const char *kept = option->kind == PIPIT_OPTION_CHOICE ? find_choice(option, text) : copy_string(config, text);
	if (kept == NULL)
		return PIPIT_FAULT_MEMORY;
	set_text(config, option, kept);
	return PIPIT_FAULT_NONE;
}

static enum pipit_fault add_lines(struct pipit_config *config, const struct pipit_option *option, const char *text)
{
	const char *before = pipit_option_get_text(config, option);
	size_t length = before == NULL ? 0 : strlen(before);
	enum pipit_fault fault = pipit_option_check_text(option, text);
	char *joined;
	if (fault != PIPIT_FAULT_NONE || before == NULL)
		return fault != PIPIT_FAULT_NONE ? fault : assign_text(config, option, text);
	joined = malloc(length + strlen(text) + 2);
	if (joined == NULL)
		return PIPIT_FAULT_MEMORY;
	sprintf(joined, "%s%s%s", before, before[length - 1] == '\n' ? "" : "\n", text);
	fault = assign_text(config, option, joined);
	free(joined);
	return fault;
}

static enum pipit_fault assign_number(struct pipit_config *config, const struct pipit_option *option, const char *text)
{
	uint64_t number;
	if (*text == '\0')
		return PIPIT_FAULT_EMPTY;
	enum pipit_fault fault = parse_number(option, text, &number);
	if (fault == PIPIT_FAULT_NONE)
		set_number(config, option, number);
	return fault;
}

enum pipit_fault pipit_option_assign(struct pipit_config *config, const struct pipit_option *option, const char *text)
{
	if (pipit_option_is_number(option))
		return assign_number(config, option, text);
	if (pipit_option_is_list(option))
		return add_item(config, option, text);
	return option->kind == PIPIT_OPTION_LINES ? add_lines(config, option, text) : assign_text(config, option, text);
}
