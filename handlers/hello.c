/* SPDX-License-Identifier: MIT */
/* evhttp callbacks that use strict JSON and problem documents of pipit. */
#include "handlers.h"

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SCHEMA "{\"schema\":{\"type\":\"object\",\"properties\":{\"name\":" HELLO_NAME_SCHEMA "}}}"

/* These callbacks do not use the client's address, and share nothing. */
const struct pipit_route_options hello_get_options = {
	.borrows_connection = true,
	.thread_safe = true,
	.summary = "A greeting from an evhttp callback, by name if one is given.",
	.parameters = HELLO_PARAMETERS,
	.reply_schema = HELLO_REPLY_SCHEMA,
};

const struct pipit_route_options hello_post_options = {
	.known_host = true,
	.borrows_connection = true,
	.thread_safe = true,
	.summary = "A greeting of the name in the body, with the type and length of the body.",
	.request_content = "{\"application/json\":" BODY_SCHEMA ","
			   "\"application/x-www-form-urlencoded\":" BODY_SCHEMA ","
			   "\"text/plain\":{\"schema\":" HELLO_NAME_SCHEMA "}}",
	.reply_schema = "{\"type\":\"object\",\"required\":[\"message\",\"received\",\"bytes\"],"
			"\"properties\":{\"message\":{\"type\":\"string\"},"
			"\"received\":{\"enum\":[\"json\",\"form\",\"text\"]},\"bytes\":{\"type\":\"integer\"}}}",
};

static void refuse_short(struct evhttp_request *request)
{
	pipit_evhttp_send_problem(request, 503, "The server is short of memory; try again soon.");
}

/* kind: NULL for GET. */
struct sent {
	const char *kind;
	size_t bytes;
};

static int print_message(struct evbuffer *content, const char *name)
{
	char message[sizeof "Hello, !" + HELLO_NAME_MAX_BYTES] = "Hello, World!";
	cJSON *text;
	char *printed;
	int result;

	if (*name)
		snprintf(message, sizeof message, "Hello, %s!", name);
	text = cJSON_CreateStringReference(message);
	printed = cJSON_PrintUnformatted(text);
	result = printed ? evbuffer_add_printf(content, "{\"message\":%s", printed) : -1;
	cJSON_free(printed);
	cJSON_Delete(text);
	return result < 0 ? -1 : 0;
}

/* name: "" for the world. */
static int print_greeting(struct evbuffer *content, const char *name, struct sent sent)
{
	/* the most frequent reply */
	if (!*name && !sent.kind)
		return evbuffer_add_printf(content, "{\"message\":\"Hello, World!\"}") < 0 ? -1 : 0;
	if (print_message(content, name) != 0)
		return -1;
	if (!sent.kind)
		return evbuffer_add(content, "}", 1);
	return evbuffer_add_printf(content, ",\"received\":\"%s\",\"bytes\":%zu}", sent.kind, sent.bytes) < 0 ? -1 : 0;
}

static void greet(struct evhttp_request *request, const char *name, struct sent sent)
{
	struct evbuffer *content = evbuffer_new();

	if (content && print_greeting(content, name, sent) == 0 &&
	    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json") == 0)
		evhttp_send_reply(request, HTTP_OK, "OK", content);
	else
		refuse_short(request);
	if (content)
		evbuffer_free(content);
}

static bool check_name(struct evhttp_request *request, const char *name, size_t length)
{
	if (length > HELLO_NAME_MAX_BYTES)
		pipit_evhttp_send_problem(request, 400, "The name is longer than %d bytes.", HELLO_NAME_MAX_BYTES);
	else if (strlen(name) != length || !pipit_is_utf8(name, length))
		pipit_evhttp_send_problem(request, 400, "The name must be UTF-8 text.");
	else
		return true;
	return false;
}

static int is_name(const char *key)
{
	char *decoded = evhttp_uridecode(key, 1, NULL);
	int is = decoded ? strcmp(decoded, "name") == 0 : -1;
	free(decoded);
	return is;
}

/*
 * The first "name", decoded; "": none. evhttp_parse_query_str() stops at a parameter without "=", does not decode
 * names, and cuts values at %00.
 */
static char *find_name(const char *parameters, size_t *length)
{
	char *copy = strdup(parameters), *rest = copy, *value = NULL, *name;
	int is_found = 0;

	if (!copy)
		return NULL;
	while (is_found == 0 && rest) {
		value = strsep(&rest, "&");
		is_found = is_name(strsep(&value, "="));
	}
	name = is_found < 0 ? NULL : evhttp_uridecode(is_found && value ? value : "", 1, length);
	free(copy);
	return name;
}

void hello_get(struct evhttp_request *request, void *arg)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	size_t length;
	char *name;
	(void)arg;

	if (!query) {
		greet(request, "", (struct sent){ NULL, 0 });
		return;
	}
	name = find_name(query, &length);
	if (!name)
		refuse_short(request);
	else if (check_name(request, name, length))
		greet(request, name, (struct sent){ NULL, 0 });
	free(name);
}

static void greet_from_json(struct evhttp_request *request, const struct pipit_server *server, size_t bytes)
{
	cJSON *content = pipit_evhttp_json(request, server);
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(content, "name");
	const char *text = name && cJSON_IsString(name) ? name->valuestring : "";

	if (!content)
		return;
	if (!cJSON_IsObject(content) || (name && !cJSON_IsString(name)))
		pipit_evhttp_send_problem(
		    request, 422, "The body must be an object with a string \"name\", such as {\"name\":\"Ada\"}.");
	else if (check_name(request, text, strlen(text)))
		greet(request, text, (struct sent){ "json", bytes });
	cJSON_Delete(content);
}

static void greet_from_form(struct evhttp_request *request, const char *content, size_t bytes)
{
	size_t length = 0;
	char *name = find_name(content, &length);

	if (!name)
		refuse_short(request);
	else if (strlen(content) != bytes)
		pipit_evhttp_send_problem(request, 400, "The form must be UTF-8 text.");
	else if (check_name(request, name, length))
		greet(request, name, (struct sent){ "form", bytes });
	free(name);
}

/* The line end of a text editor is not part of the name. */
static void greet_from_text(struct evhttp_request *request, char *content, size_t bytes)
{
	size_t length = bytes;
	while (length && (content[length - 1] == '\n' || content[length - 1] == '\r'))
		length--;
	content[length] = '\0';
	if (check_name(request, content, length))
		greet(request, content, (struct sent){ "text", bytes });
}

/* Ignores parameters and case. Types that end in `suffix`, such as "+json", match, too. */
static bool is_type(const char *type, const char *media_type, const char *suffix)
{
	size_t length = strcspn(type, "; \t"), suffix_length = strlen(suffix);
	if (length == strlen(media_type) && evutil_ascii_strncasecmp(type, media_type, length) == 0)
		return true;
	return suffix_length && length > suffix_length &&
	       evutil_ascii_strncasecmp(type + length - suffix_length, suffix, suffix_length) == 0;
}

/* With a NUL behind it. */
static char *copy_content(struct evhttp_request *request, size_t *bytes)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	char *content = malloc(evbuffer_get_length(input) + 1);

	if (!content)
		return NULL;
	*bytes = evbuffer_get_length(input);
	evbuffer_copyout(input, content, *bytes);
	content[*bytes] = '\0';
	return content;
}

void hello_post(struct evhttp_request *request, void *server)
{
	struct evkeyvalq *fields = evhttp_request_get_input_headers(request);
	const char *type = evhttp_find_header(fields, "Content-Type");
	size_t bytes = 0;
	char *content = copy_content(request, &bytes);

	if (!content) {
		refuse_short(request);
	} else if (type && is_type(type, "application/json", "+json")) {
		greet_from_json(request, server, bytes);
	} else if (type && is_type(type, "application/x-www-form-urlencoded", "")) {
		greet_from_form(request, content, bytes);
	} else if (type && is_type(type, "text/plain", "")) {
		greet_from_text(request, content, bytes);
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Accept",
		    "application/json, application/x-www-form-urlencoded, text/plain");
		pipit_evhttp_send_problem(request, 415,
		    "The Content-Type must be application/json, application/x-www-form-urlencoded or text/plain.");
	}
	free(content);
}
