/* SPDX-License-Identifier: MIT */
/* The greeting of hello.c by a native handler. */
#include "handlers.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

const struct pipit_route_options json_hello_options = {
	.summary = "A greeting from a native handler, by name if one is given.",
	.parameters = HELLO_PARAMETERS,
	.reply_schema = HELLO_REPLY_SCHEMA,
};

/* the most frequent reply */
static const char world[] = "{\"message\":\"Hello, World!\"}";

static cJSON *greeting(const char *name)
{
	char message[sizeof "Hello, !" + HELLO_NAME_MAX_BYTES];
	cJSON *doc = cJSON_CreateObject();

	snprintf(message, sizeof message, "Hello, %s!", name);
	if (cJSON_AddStringToObject(doc, "message", message))
		return doc;
	cJSON_Delete(doc);
	return NULL;
}

void json_hello(struct pipit_request *request, void *arg)
{
	char name[HELLO_NAME_MAX_BYTES + 1];
	long length = pipit_request_query_value(request, "name", name, sizeof name);
	(void)arg;

	if (length > HELLO_NAME_MAX_BYTES)
		pipit_reply_problem(request, 400, "The name is longer than %d bytes.", HELLO_NAME_MAX_BYTES);
	/* cJSON does not check UTF-8 */
	else if (length > 0 && (strlen(name) != (size_t)length || !pipit_is_utf8(name, (size_t)length)))
		pipit_reply_problem(request, 400, "The name must be UTF-8 text.");
	else if (length > 0)
		pipit_reply_json(request, 200, greeting(name));
	else
		pipit_reply(request, 200, "application/json", world, sizeof world - 1);
}
