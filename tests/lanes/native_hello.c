/* SPDX-License-Identifier: MIT */
/* The greetings of handlers/hello.c as native handlers, with the same responses. */
#include "lanes.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

/* The usual reply, as printed by cJSON. */
static const char world[] = "{\"message\":\"Hello, World!\"}";

/* name: "" for "World". */
static cJSON *greeting(const char *name)
{
	char message[sizeof "Hello, !" + HELLO_NAME_MAX_BYTES] = "Hello, World!";
	cJSON *doc = cJSON_CreateObject();

	if (*name)
		snprintf(message, sizeof message, "Hello, %s!", name);
	if (cJSON_AddStringToObject(doc, "message", message))
		return doc;
	cJSON_Delete(doc);
	return NULL;
}

static void refuse_name(struct pipit_request *request, const char *why)
{
	pipit_reply_problem(request, 400, "The name %s.", why);
}

void lanes_hello_get(struct pipit_request *request, void *arg)
{
	char name[HELLO_NAME_MAX_BYTES + 1];
	long length = pipit_request_query_value(request, "name", name, sizeof name);
	(void)arg;

	if (length > HELLO_NAME_MAX_BYTES)
		refuse_name(request, "is longer than 256 bytes");
	/* cJSON prints any bytes: without this check a client could make it print invalid JSON. */
	else if (length > 0 && (strlen(name) != (size_t)length || !pipit_is_utf8(name, (size_t)length)))
		refuse_name(request, "is not UTF-8 text");
	else if (length > 0)
		pipit_reply_json(request, 200, greeting(name));
	else
		pipit_reply(request, 200, "application/json", world, sizeof world - 1);
}

/* Source of the name, and the rest of the body. */
static void greet_sender(struct pipit_request *request, const char *name, const char *kind)
{
	size_t length;
	cJSON *doc;

	pipit_request_body(request, &length);
	doc = greeting(name);
	if (!cJSON_AddStringToObject(doc, "received", kind) || !cJSON_AddNumberToObject(doc, "bytes", (double)length)) {
		cJSON_Delete(doc);
		doc = NULL;
	}
	pipit_reply_json(request, 200, doc);
}

static void greet_from_json(struct pipit_request *request)
{
	cJSON *content = pipit_request_json(request);
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(content, "name");

	if (!content)
		return;
	if (!cJSON_IsObject(content) || (name && !cJSON_IsString(name)))
		pipit_reply_problem(
		    request, 422, "The body must be an object with a string \"name\", such as {\"name\":\"Ada\"}.");
	else if (name && strlen(name->valuestring) > HELLO_NAME_MAX_BYTES)
		refuse_name(request, "is longer than 256 bytes");
	else
		greet_sender(request, name ? name->valuestring : "", "json");
	cJSON_Delete(content);
}

static void greet_from_text(struct pipit_request *request, const char *name, long length, const char *kind)
{
	if (length > HELLO_NAME_MAX_BYTES)
		refuse_name(request, "is longer than 256 bytes");
	else if (length > 0 && (strlen(name) != (size_t)length || !pipit_is_utf8(name, (size_t)length)))
		refuse_name(request, "is not UTF-8 text");
	else
		greet_sender(request, length > 0 ? name : "", kind);
}

void lanes_hello_post(struct pipit_request *request, void *arg)
{
	char name[HELLO_NAME_MAX_BYTES + 1];
	size_t length;
	const char *content = pipit_request_body(request, &length);
	(void)arg;

	if (pipit_request_is(request, "application/json")) {
		greet_from_json(request);
	} else if (pipit_request_is(request, "application/x-www-form-urlencoded")) {
		greet_from_text(request, name, pipit_request_form_value(request, "name", name, sizeof name), "form");
	} else if (pipit_request_is(request, "text/plain")) {
		while (length && (content[length - 1] == '\n' || content[length - 1] == '\r'))
			length--;
		snprintf(name, sizeof name, "%.*s",
		    (int)(length < HELLO_NAME_MAX_BYTES ? length : HELLO_NAME_MAX_BYTES), content);
		greet_from_text(request, name, (long)length, "text");
	} else {
		pipit_reply_header(
		    request, "Accept", "application/json, application/x-www-form-urlencoded, text/plain");
		pipit_reply_problem(request, 415,
		    "The Content-Type must be application/json, application/x-www-form-urlencoded or text/plain.");
	}
}
