/* SPDX-License-Identifier: MIT */
#include "config/config.h"

#include "base/log.h"
#include "config/address.h"
#include "config/option.h"
#include "config/option_error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static const struct pipit_option_place call = { .kind = PIPIT_OPTION_PLACE_CALL };

void pipit_config_init(struct pipit_config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++)
		pipit_option_reset(config, &pipit_option_table[i]);
}

int pipit_config_set(struct pipit_config *config, const char *key, const char *value, char *error, size_t size)
{
	struct pipit_option_error line = pipit_option_error_begin(error, size);
	const struct pipit_option *option = pipit_option_find(key, strlen(key));
	if (option == NULL) {
		pipit_option_error_report_unknown(&call, key, key, strlen(key), "key", &line);
		return -ENOENT;
	}
	return pipit_option_error_report(&call, option, value, pipit_option_assign(config, option, value), &line);
}

void pipit_config_clear(struct pipit_config *config)
{
	pipit_option_free_copies(config);
}

int pipit_config_copy(struct pipit_config *copy, const struct pipit_config *config)
{
	*copy = *config;
	copy->owned = NULL;
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		if (!pipit_option_copy_text(copy, &pipit_option_table[i])) {
			pipit_config_clear(copy);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---------------------------------------------------------------- checking */

static const struct pipit_option *find_option(const char *name)
{
	return pipit_option_find(name, strlen(name));
}

struct check {
	const struct pipit_config *config;
	const struct pipit_option_origin *origin; /* NULL: all were set by the program */
	struct pipit_option_error *error;
	int result; /* of the first error */
};

static void keep_result(struct check *check, int result)
{
	if (check->result == 0)
		check->result = result;
}

static bool is_line(const char *text, const char *value)
{
	size_t length = strlen(value);
	return strncmp(text, value, length) == 0 && (text[length] == '\n' || text[length] == '\0');
}

/* NULL: unknown. */
static const struct pipit_option_place *find_place_of_line(
    const struct pipit_config *config, const struct pipit_option *option, const char *value)
{
	const struct pipit_option_origin *origin = config->origin;
	const char *text = pipit_option_get_text(config, option);
	for (size_t i = 0; text != NULL && *text != '\0' && i < origin->line_count; i++) {
		if (origin->lines[i].option != option)
			continue;
		if (is_line(text, value))
			return &origin->lines[i].place;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

/* value: of one of several addresses or lines */
static const struct pipit_option_place *find_place(
    const struct pipit_config *config, const struct pipit_option *option, const char *value)
{
	const struct pipit_option_origin *origin = config->origin;
	if (origin == NULL)
		return &call;
	for (size_t i = 0; pipit_option_is_list(option) && i < pipit_option_item_count(config, option); i++) {
		if (strcmp(pipit_option_item(config, option, i), value) == 0)
			return &origin->items[option->list][i];
	}
	const struct pipit_option_place *place =
	    option->kind == PIPIT_OPTION_LINES ? find_place_of_line(config, option, value) : NULL;
	return place != NULL ? place : &origin->places[option - pipit_option_table];
}

static const struct pipit_option_place *place_of(const struct check *check, const struct pipit_option *option)
{
	return find_place(check->config, option, "");
}

static void check_text(
    struct check *check, const struct pipit_option_place *place, const struct pipit_option *option, const char *text)
{
	keep_result(check, pipit_option_error_report(place, option, text == NULL ? "" : text,
			       pipit_option_check_text(option, text), check->error));
}

static void check_number(struct check *check, const struct pipit_option *option, uint64_t number)
{
	char text[PIPIT_OPTION_NUMBER_BYTES];
	const char *value = pipit_option_format_number(option, number, text);
	keep_result(check, pipit_option_error_report(place_of(check, option), option, value,
			       pipit_option_check_number(option, number), check->error));
}

static const struct pipit_option_place *place_of_item(
    const struct check *check, const struct pipit_option *option, size_t index)
{
	return check->origin == NULL ? &call : &check->origin->items[option->list][index];
}

/* A program that fills the array forgets its count easily. item: behind those that are counted. */
static void check_uncounted(struct check *check, const struct pipit_option *option, const char *item)
{
	if (item == NULL)
		return;
	pipit_option_error_start_line(check->error);
	pipit_option_error_append_setting(check->error, &call, option->name, item);
	pipit_option_error_append(check->error, ": is not counted; set ");
	for (const char *at = option->name; *at != '\0'; at++)
		pipit_option_error_append(check->error, "%c", *at == '-' ? '_' : *at);
	pipit_option_error_append(
	    check->error, "_count to the number of %s", option->kind == PIPIT_OPTION_ADDRESSES ? "addresses" : "files");
	keep_result(check, -EINVAL);
}

static void check_list(struct check *check, const struct pipit_option *option)
{
	size_t count = pipit_option_item_count(check->config, option);
	bool is_needed = option->kind == PIPIT_OPTION_ADDRESSES;
	enum pipit_fault fault = count == 0 && is_needed    ? PIPIT_FAULT_EMPTY
				 : count > PIPIT_LISTEN_MAX ? PIPIT_FAULT_MANY
							    : PIPIT_FAULT_NONE;
	keep_result(check, pipit_option_error_report(&call, option, "", fault, check->error));
	for (size_t i = 0; fault == PIPIT_FAULT_NONE && i < count; i++)
		check_text(check, place_of_item(check, option, i), option, pipit_option_item(check->config, option, i));
	if (check->origin == NULL && fault == PIPIT_FAULT_NONE && count < PIPIT_LISTEN_MAX)
		check_uncounted(check, option, pipit_option_item(check->config, option, count));
}

static void check_option(struct check *check, const struct pipit_option *option)
{
	if (pipit_option_is_list(option))
		check_list(check, option);
	else if (pipit_option_is_number(option))
		check_number(check, option, pipit_option_get_number(check->config, option));
	else
		check_text(check, place_of(check, option), option, pipit_option_get_text(check->config, option));
}

struct listener {
	struct pipit_address address;
	bool is_v6, is_any;
	unsigned char bytes[sizeof(struct in6_addr)];
	const char *zone; /* into `address`; NULL: none */
};

static bool read_listener(const char *text, struct listener *listener)
{
	struct pipit_address *address = &listener->address;
	char *zone;
	*listener = (struct listener){ 0 };
	if (text == NULL || pipit_address_parse(text, address) < 0)
		return false;
	listener->is_v6 = strchr(address->host, ':') != NULL;
	if ((zone = strchr(address->host, '%')) != NULL) {
		*zone = '\0';
		listener->zone = zone + 1;
	}
	inet_pton(listener->is_v6 ? AF_INET6 : AF_INET, address->host, listener->bytes);
	listener->is_any = memcmp(listener->bytes, &in6addr_any, sizeof(listener->bytes)) == 0;
	return true;
}

static bool have_same_host(const struct listener *left, const struct listener *right)
{
	bool is_same_zone = left->zone == NULL || right->zone == NULL || strcmp(left->zone, right->zone) == 0;
	return left->is_any || right->is_any ||
	       (is_same_zone && memcmp(left->bytes, right->bytes, sizeof(left->bytes)) == 0);
}

static bool collide(const struct listener *left, const struct listener *right)
{
	const struct pipit_address *a = &left->address, *b = &right->address;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case PIPIT_ADDRESS_UNIX:
		return strcmp(a->path, b->path) == 0;
	case PIPIT_ADDRESS_INHERITED:
		return a->descriptor == b->descriptor && strcmp(a->name, b->name) == 0;
	case PIPIT_ADDRESS_IP:
		break;
	}
	return a->port == b->port && a->port != 0 && left->is_v6 == right->is_v6 && have_same_host(left, right);
}

/* With the first `count` of `listen`. */
static void check_collisions(
    struct check *check, const char *name, const struct pipit_option_place *place, const char *text, size_t count)
{
	const char *const *listen = check->config->listen;
	struct listener listener, earlier;
	if (!read_listener(text, &listener))
		return;
	for (size_t i = 0; i < count; i++) {
		if (!read_listener(listen[i], &earlier) || !collide(&listener, &earlier))
			continue;
		pipit_option_error_start_line(check->error);
		pipit_option_error_append_setting(check->error, place, name, text);
		pipit_option_error_append(check->error, ": overlaps with %s; use one of them", listen[i]);
		keep_result(check, -EINVAL);
		return;
	}
}

static void check_admin_listen(struct check *check)
{
	static const char name[] = "admin-listen";
	const struct pipit_config *config = check->config;
	check_collisions(check, name, place_of(check, pipit_option_find(name, strlen(name))), config->admin_listen,
	    config->listen_count);
}

/* Two options against each other, when neither is wrong by itself. Returns the first one, to begin an error about it. */
static const struct pipit_option *begin_pair(struct check *check, const char *first, const char *second)
{
	const struct pipit_option *option = pipit_option_find(first, strlen(first));
	const struct pipit_option *other = pipit_option_find(second, strlen(second));
	char text[PIPIT_OPTION_NUMBER_BYTES];
	if (check->origin != NULL && (check->origin->is_wrong[option - pipit_option_table] ||
					 check->origin->is_wrong[other - pipit_option_table]))
		return NULL;
	pipit_option_error_start_line(check->error);
	pipit_option_error_append_setting(check->error, place_of(check, option), first,
	    pipit_option_format_number(option, pipit_option_get_number(check->config, option), text));
	keep_result(check, -EINVAL);
	return option;
}

/* Otherwise such a target gets 431 instead of 414. */
static void check_target_against_head(struct check *check)
{
	const struct pipit_option *option;
	char head[PIPIT_OPTION_NUMBER_BYTES];
	if (check->config->max_target_bytes < check->config->max_head_bytes)
		return;
	option = begin_pair(check, "max-target-bytes", "max-head-bytes");
	if (option != NULL)
		pipit_option_error_append(check->error, ": too large; use less than max-head-bytes, which is %s",
		    pipit_option_format_number(option, check->config->max_head_bytes, head));
}

/* Otherwise such a body always gets 503. */
static void check_body_against_memory(struct check *check)
{
	const struct pipit_option *option;
	char memory[PIPIT_OPTION_NUMBER_BYTES];
	if (!check->config->memory_limit || check->config->max_body_bytes <= check->config->memory_limit)
		return;
	option = begin_pair(check, "max-body-bytes", "memory-limit");
	if (option != NULL)
		pipit_option_error_append(check->error,
		    ": too large; use at most memory-limit, which is %s, or raise memory-limit",
		    pipit_option_format_number(option, check->config->memory_limit, memory));
}

/* --- TLS and proxies */

/* An error about it has been reported, and its field has an earlier value. */
static bool is_wrong(const struct check *check, const char *name)
{
	return check->origin != NULL && check->origin->is_wrong[find_option(name) - pipit_option_table];
}

/* Begins an error about an option that is not wrong by itself. */
static void begin_error(struct check *check, const char *name, const char *value)
{
	pipit_option_error_start_line(check->error);
	pipit_option_error_append_setting(
	    check->error, find_place(check->config, find_option(name), value), name, value);
	keep_result(check, -EINVAL);
}

/* The first address with that scheme; NULL: there is none. */
static const char *find_listen(const struct pipit_config *config, bool wants_https)
{
	bool is_https;
	for (size_t i = 0; i < config->listen_count; i++) {
		pipit_address_skip_scheme(config->listen[i], &is_https);
		if (is_https == wants_https)
			return config->listen[i];
	}
	return NULL;
}

bool pipit_config_has_https(const struct pipit_config *config)
{
	bool is_https = false;
	if (config->admin_listen != NULL)
		pipit_address_skip_scheme(config->admin_listen, &is_https);
	return is_https || find_listen(config, true) != NULL;
}

static void check_certificates(struct check *check)
{
	const struct pipit_config *config = check->config;
	size_t certificates = config->tls_certificate_count, keys = config->tls_key_count;
	const char *https = find_listen(config, true);
	bool is_admin = https == NULL && pipit_config_has_https(config);

	if (certificates > keys) {
		begin_error(check, "tls-certificate", config->tls_certificate[keys]);
		pipit_option_error_append(check->error, ": has no key; use tls-key once for each certificate");
	} else if (keys > certificates) {
		begin_error(check, "tls-key", config->tls_key[certificates]);
		pipit_option_error_append(check->error, ": has no certificate; use tls-certificate once for each key");
	} else if ((https != NULL || is_admin) && certificates == 0) {
		begin_error(check, is_admin ? "admin-listen" : "listen", is_admin ? config->admin_listen : https);
		pipit_option_error_append(check->error, ": needs a certificate; use tls-certificate and tls-key");
	}
}

static void check_client_auth(struct check *check)
{
	const struct pipit_config *config = check->config;
	bool is_off = strcmp(config->tls_client_auth, "off") == 0;

	if (is_wrong(check, "tls-client-auth") || is_wrong(check, "tls-client-ca"))
		return;
	if (!is_off && config->tls_client_ca == NULL) {
		begin_error(check, "tls-client-auth", config->tls_client_auth);
		pipit_option_error_append(check->error, ": needs authorities; use tls-client-ca");
	} else if (is_off && config->tls_client_ca != NULL) {
		begin_error(check, "tls-client-ca", config->tls_client_ca);
		pipit_option_error_append(
		    check->error, ": has no effect with tls-client-auth off; use optional or required");
	} else if (is_off && config->tls_client_crl != NULL) {
		begin_error(check, "tls-client-crl", config->tls_client_crl);
		pipit_option_error_append(check->error,
		    ": has no effect with tls-client-auth off; use optional or required, and tls-client-ca");
	}
}

static void check_redirect(struct check *check)
{
	const struct pipit_config *config = check->config;

	if (strcmp(config->redirect_to_https, "on") != 0 ||
	    (find_listen(config, true) != NULL && find_listen(config, false) != NULL))
		return;
	begin_error(check, "redirect-to-https", "on");
	pipit_option_error_append(check->error, ": needs an http and an https address; use listen for both");
}

/* Zero seconds would make browsers forget. */
static void check_hsts(struct check *check)
{
	char value[PIPIT_OPTION_NUMBER_BYTES];
	uint64_t hsts_ms = check->config->hsts_ms;

	bool has_https = pipit_config_has_https(check->config) || check->config->trusted_proxy != NULL;

	if (hsts_ms == 0 || is_wrong(check, "hsts") || is_wrong(check, "trusted-proxy") ||
	    (hsts_ms >= 1000 && has_https))
		return;
	begin_error(check, "hsts", pipit_option_format_number(find_option("hsts"), hsts_ms, value));
	pipit_option_error_append(check->error, "%s",
	    hsts_ms < 1000 ? ": less than a second; use whole seconds, or 0 for off"
			   : ": has no effect without https; use an https address in listen, or trusted-proxy with the "
			     "proxy that speaks https");
}

/* The default may be set, as in what --check prints. */
static void check_trusted_header(struct check *check)
{
	static const char name[] = "trusted-header";
	const struct pipit_config *config = check->config;

	if (config->trusted_proxy != NULL || strcmp(config->trusted_header, find_option(name)->initial_text) == 0 ||
	    is_wrong(check, name) || is_wrong(check, "trusted-proxy"))
		return;
	begin_error(check, name, config->trusted_header);
	pipit_option_error_append(
	    check->error, ": has no effect without trusted-proxy; use it with the networks of the proxies");
}

static void check_tls(struct check *check)
{
	if (!is_wrong(check, "listen") && !is_wrong(check, "tls-certificate") && !is_wrong(check, "tls-key")) {
		check_certificates(check);
		check_redirect(check);
		check_hsts(check);
	}
	check_client_auth(check);
}

int pipit_config_check_into(const struct pipit_config *config, struct pipit_option_error *error)
{
	struct check check = { config, config->origin, error, 0 };
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++)
		check_option(&check, &pipit_option_table[i]);
	if (check.result == 0) {
		for (size_t i = 1; i < config->listen_count; i++)
			check_collisions(
			    &check, "listen", place_of_item(&check, find_option("listen"), i), config->listen[i], i);
		check_admin_listen(&check);
		check_target_against_head(&check);
		check_body_against_memory(&check);
		check_tls(&check);
		check_trusted_header(&check);
	}
	return check.result;
}

int pipit_config_check(const struct pipit_config *config, char *error, size_t size)
{
	struct pipit_option_error lines = pipit_option_error_begin(error, size);
	return pipit_config_check_into(config, &lines);
}

void pipit_config_locate(const struct pipit_config *config, const char *message, char *out, size_t size)
{
	struct pipit_option_error line = pipit_option_error_begin(out, size);
	size_t length = strspn(message, "abcdefghijklmnopqrstuvwxyz0123456789-");
	const struct pipit_option *option = pipit_option_find(message, length);
	const char *rest = message + length, *end = strstr(rest, "\": ");
	bool has_value = strncmp(rest, " = \"", strlen(" = \"")) == 0 && end != NULL;
	char value[PIPIT_OPTION_TEXT_MAX_BYTES + 1] = "";
	if (option == NULL || (!has_value && *rest != ':')) {
		pipit_option_error_append(&line, "%s", message);
		return;
	}
	if (has_value) {
		rest += strlen(" = \"");
		snprintf(value, sizeof(value), "%.*s", (int)(end - rest), rest);
		rest = end + 1;
	}
	pipit_option_error_append_setting(&line, find_place(config, option, value), option->name, value);
	pipit_option_error_append(&line, "%s", rest);
}

void pipit_config_log_error(const struct pipit_config *config, const char *format, ...)
{
	char message[PIPIT_OPTION_TEXT_MAX_BYTES + 512], located[PIPIT_OPTION_TEXT_MAX_BYTES + 512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	pipit_config_locate(config, message, located, sizeof(located));
	pipit_log(PIPIT_LOG_ERROR, "%s", located);
}

bool pipit_config_has_address(const struct pipit_config *config)
{
	static const char name[] = "listen";
	const struct pipit_option_origin *origin = config->origin;
	size_t index = (size_t)(pipit_option_find(name, strlen(name)) - pipit_option_table);

	return origin == NULL || !origin->is_wrong[index] || origin->places[index].kind != PIPIT_OPTION_PLACE_CALL;
}

void pipit_config_set_up_log(const struct pipit_config *config)
{
	enum pipit_log_level level = PIPIT_LOG_INFO;

	pipit_log_level_parse(config->log_level, &level);
	pipit_log_set_level(level);
	pipit_log_set_json(strcmp(config->log_format, "json") == 0);
}

void pipit_config_log_errors(const char *lines)
{
	while (*lines != '\0') {
		size_t length = strcspn(lines, "\n");
		pipit_log(PIPIT_LOG_ERROR, "%.*s", (int)length, lines);
		lines += length + (lines[length] == '\n');
	}
}

/* ---------------------------------------------------------------- printed forms */

static const char *format_default(const struct pipit_option *option, char *out)
{
	if (pipit_option_is_number(option))
		return pipit_option_format_number(option, option->initial, out);
	return option->initial_text != NULL ? option->initial_text : option->unset;
}

enum { HELP_COLUMN = 27, HELP_WIDTH = 80 - HELP_COLUMN };

/* In the right column, which the cursor has reached. */
static void print_wrapped(FILE *out, const char *text)
{
	while (strlen(text) > HELP_WIDTH) {
		int length = HELP_WIDTH;
		while (text[length] != ' ')
			length--;
		fprintf(out, "%.*s\n%*s", length, text, HELP_COLUMN, "");
		text += length + 1;
	}
	fprintf(out, "%s\n", text);
}

static void print_option(FILE *out, const char *name, const char *operand, char letter, const char *help)
{
	char option[48];
	int length = snprintf(option, sizeof(option), "--%s %s", name, operand);
	if (letter != 0)
		snprintf(option + length, sizeof(option) - (size_t)length, "(-%c)", letter);
	fprintf(out, length > 24 ? "  %s\n%27s" : "  %-24s%s", option, length > 24 ? "" : " ");
	print_wrapped(out, help);
}

static void print_group(FILE *out, enum pipit_option_group group)
{
	static const char *const titles[PIPIT_GROUP_TOTAL] = {
		"What to serve:", "TLS:", "Access:", "Limits:", "Deadlines:", "Other:"
	};
	char number[PIPIT_OPTION_NUMBER_BYTES], text[160];
	fprintf(out, "\n%s\n", titles[group]);
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		const struct pipit_option *option = &pipit_option_table[i];
		if (option->group != group)
			continue;
		snprintf(text, sizeof(text), "%s [%s]", option->help, format_default(option, number));
		print_option(out, option->name, option->operand, 0, text);
	}
}

void pipit_config_print_help(FILE *out)
{
	fputs("Usage: pipit [OPTION]...\n"
	      "Serve files, JSON and metrics over HTTP/1.1 until SIGTERM or SIGINT.\n",
	    out);
	for (int group = 0; group < PIPIT_GROUP_TOTAL; group++)
		print_group(out, (enum pipit_option_group)group);
	for (size_t i = 0; i < PIPIT_COMMAND_TOTAL; i++)
		print_option(out, pipit_commands[i].name, pipit_commands[i].operand, pipit_commands[i].letter,
		    pipit_commands[i].help);
	fputs("\nSIZE is in bytes, or with k, m or g. TIME is in seconds, or with ms, s, m or h.\n"
	      "A switch without a value is on: --spa means --spa on.\n"
	      "The file and the environment set the same options: max-fields = 50 in the file,\n"
	      "PIPIT_MAX_FIELDS=50 in the environment, where PIPIT_CONFIG names the file. The\n"
	      "environment overrides the file, and the command line overrides both.\n"
	      "Exit status: 0 clean stop, 1 could not run, 2 wrong configuration.\n",
	    out);
}

static void print_lines(const char *name, const char *lines, FILE *out)
{
	while (*lines != '\0') {
		int length = (int)strcspn(lines, "\n");
		fprintf(out, "%s = \"%.*s\"\n", name, length, lines);
		lines += length + (lines[length] == '\n');
	}
}

static void print_value(const struct pipit_config *config, const struct pipit_option *option, FILE *out)
{
	char text[PIPIT_OPTION_NUMBER_BYTES];
	if (pipit_option_is_number(option))
		fprintf(out, "%s = %s\n", option->name,
		    pipit_option_format_number(option, pipit_option_get_number(config, option), text));
	else if (pipit_option_get_text(config, option) == NULL)
		fprintf(out, "# %s is not set\n", option->name);
	else if (option->kind == PIPIT_OPTION_LINES)
		print_lines(option->name, pipit_option_get_text(config, option), out);
	else if (option->kind == PIPIT_OPTION_TEXT) /* keeps blanks at its ends */
		fprintf(out, "%s = \"%s\"\n", option->name, pipit_option_get_text(config, option));
	else
		fprintf(out, "%s = %s\n", option->name, pipit_option_get_text(config, option));
}

static void print_list(const struct pipit_config *config, const struct pipit_option *option, FILE *out)
{
	const char *form = option->kind == PIPIT_OPTION_FILES ? "%s = \"%s\"\n" : "%s = %s\n";
	size_t count = pipit_option_item_count(config, option);
	if (count == 0)
		fprintf(out, "# %s is not set\n", option->name);
	for (size_t i = 0; i < count; i++)
		fprintf(out, form, option->name, pipit_option_item(config, option, i));
}

void pipit_config_print_option(const struct pipit_config *config, const struct pipit_option *option, FILE *out)
{
	if (pipit_option_is_list(option))
		print_list(config, option, out);
	else
		print_value(config, option, out);
}

void pipit_config_print(const struct pipit_config *config, FILE *out)
{
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++)
		pipit_config_print_option(config, &pipit_option_table[i], out);
}

void pipit_config_print_markdown(FILE *out)
{
	fputs("| Option | Default | Takes | Meaning |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < PIPIT_OPTION_TOTAL; i++) {
		char text[PIPIT_OPTION_NUMBER_BYTES], wanted[192];
		struct pipit_option_error line = pipit_option_error_begin(wanted, sizeof(wanted));
		pipit_option_error_append_wanted(&line, &pipit_option_table[i]);
		fprintf(out, "| `--%s` | %s | %s | %s |\n", pipit_option_table[i].name,
		    format_default(&pipit_option_table[i], text), wanted, pipit_option_table[i].help);
	}
}
