/* SPDX-License-Identifier: MIT */
/* POST /json/echo: parses JSON and prints it back. Errors name line, column and byte: pipit_request_json() replies them. */
#include "handlers.h"

void json_echo(struct pipit_request *request, void *arg)
{
	struct cJSON *doc = pipit_request_json(request);
	(void)arg;
	if (doc)
		pipit_reply_json(request, 200, doc);
}
