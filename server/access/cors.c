/* SPDX-License-Identifier: MIT */
#include "access/cors.h"

#include "base/methods.h"
#include "http/response_head.h"
#include "request/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS ", \t"

struct pipit_cors {
	const struct pipit_config *config;
	char *text; /* owned: the origins, each with a NUL */
	bool has_every;
	bool has_credentials;
	unsigned methods;
	char max_age[24]; /* in seconds */
	size_t count;
	const char *origins[]; /* in `text` */
};

static int fail(char *error, size_t size, const char *format, const char *what)
{
	snprintf(error, size, format, what);
	return -EINVAL;
}

static bool has_default_port(const char *text)
{
	const char *port = strrchr(text, ':');
	return (strcmp(port, ":80") == 0 && strncasecmp(text, "http://", 7) == 0) ||
	       (strcmp(port, ":443") == 0 && strncasecmp(text, "https://", 8) == 0);
}

/* As browsers send it: scheme, host, and the port unless it is the default. */
static bool is_origin(const char *text)
{
	const char *host = strstr(text, "://");
	return host && host > text && host[3] && !strpbrk(host + 3, "/?#@*") && !has_default_port(text) &&
	       pipit_response_head_is_field("Origin", text);
}

static int add_origins(struct pipit_cors *cors, char *error, size_t size)
{
	char *next;
	for (char *at = strtok_r(cors->text, SEPARATORS, &next); at; at = strtok_r(NULL, SEPARATORS, &next)) {
		if (strcmp(at, "*") == 0)
			cors->has_every = true;
		else if (is_origin(at))
			cors->origins[cors->count++] = at;
		else
			return fail(error, size,
			    "cors-origins: \"%s\" is not an origin; use scheme and host, for example "
			    "https://app.example.com, "
			    "or *",
			    at);
	}
	if (cors->has_every && cors->has_credentials)
		return fail(
		    error, size, "cors-credentials: cannot be on with cors-origins = %s; list the origins", "*");
	return 0;
}

static int add_methods(struct pipit_cors *cors, char *error, size_t size)
{
	char text[256], *next;
	if (snprintf(text, sizeof text, "%s", cors->config->cors_methods) >= (int)sizeof text)
		return fail(error, size, "cors-methods: %s", "too long; name each method once");
	for (char *at = strtok_r(text, SEPARATORS, &next); at; at = strtok_r(NULL, SEPARATORS, &next)) {
		unsigned method = pipit_methods_find(pipit_slice_of(at));
		if (!method)
			return fail(error, size,
			    "cors-methods: \"%s\" is not a method; use GET, HEAD, POST, PUT, PATCH or DELETE", at);
		cors->methods |= method;
	}
	return 0;
}

static int check_names(const char *option, const char *names, char *error, size_t size)
{
	for (const char *at = names ? names : ""; *(at += strspn(at, SEPARATORS));) {
		struct pipit_slice name = { at, strcspn(at, SEPARATORS) };
		if (!pipit_guard_is_token(name)) {
			snprintf(error, size,
			    "%s: \"%.*s\" is not the name of a header; use names with commas between them, for example "
			    "ETag, If-Match",
			    option, (int)name.length, name.data);
			return -EINVAL;
		}
		at += name.length;
	}
	return 0;
}

int pipit_cors_new(const struct pipit_config *config, struct pipit_cors **cors, char *error, size_t size)
{
	size_t length = config->cors_origins ? strlen(config->cors_origins) : 0;
	struct pipit_cors *made;
	int result;

	*cors = NULL;
	made = calloc(1, sizeof *made + (length / 2 + 1) * sizeof *made->origins);
	if (made)
		made->text = strdup(length ? config->cors_origins : "");
	if (!made || !made->text) {
		free(made);
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	made->config = config;
	made->has_credentials = strcmp(config->cors_credentials, "on") == 0;
	snprintf(made->max_age, sizeof made->max_age, "%llu", (unsigned long long)config->cors_max_age_ms / 1000);
	result = add_origins(made, error, size);
	if (result == 0)
		result = add_methods(made, error, size);
	if (result == 0)
		result = check_names("cors-headers", config->cors_headers, error, size);
	if (result == 0)
		result = check_names("cors-expose-headers", config->cors_expose_headers, error, size);
	/* Options that have no effect without origins are checked, too. */
	if (result != 0 || !length)
		pipit_cors_free(made);
	else
		*cors = made;
	return result;
}

void pipit_cors_free(struct pipit_cors *cors)
{
	if (cors)
		free(cors->text);
	free(cors);
}

/* As it is written in the configuration; NULL: none. */
static const char *find_origin(const struct pipit_cors *cors, struct pipit_slice origin)
{
	for (size_t i = 0; i < cors->count; i++) {
		if (pipit_slice_equals_nocase(origin, cors->origins[i]))
			return cors->origins[i];
	}
	return cors->has_every ? "*" : NULL;
}

static void add_header(struct pipit_request *request, const char *name, const char *value)
{
	if (value && *value)
		pipit_reply_header(request, name, value);
}

static void answer_preflight(const struct pipit_cors *cors, struct pipit_request *request)
{
	add_header(request, "Access-Control-Allow-Methods", cors->config->cors_methods);
	add_header(request, "Access-Control-Allow-Headers", cors->config->cors_headers);
	add_header(request, "Access-Control-Max-Age", cors->max_age);
	pipit_reply(request, 204, NULL, NULL, 0);
}

bool pipit_cors_apply(const struct pipit_cors *cors, struct pipit_request *request, struct pipit_slice origin)
{
	unsigned method = request->head->method;
	const char *allowed;

	if (!cors)
		return false;
	/* Caches must not show one origin the reply for another. */
	if (!cors->has_every)
		add_header(request, "Vary", "Origin");
	allowed = origin.data ? find_origin(cors, origin) : NULL;
	if (!allowed)
		return false;
	add_header(request, "Access-Control-Allow-Origin", cors->has_every ? "*" : allowed);
	if (cors->has_credentials)
		add_header(request, "Access-Control-Allow-Credentials", "true");
	if (method == PIPIT_OPTIONS && pipit_guard_find(request->head, "Access-Control-Request-Method")) {
		answer_preflight(cors, request);
		return true;
	}
	add_header(request, "Access-Control-Expose-Headers", cors->config->cors_expose_headers);
	return cors->methods & method;
}
