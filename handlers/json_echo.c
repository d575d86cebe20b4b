/* SPDX-License-Identifier: MIT */
/* POST /json/echo: parses JSON and prints it back. Errors name line, column and byte: pipit_request_json() replies them. */
#include "handlers.h"

const struct pipit_route_options json_echo_options = {
	.summary = "The JSON that was sent, printed anew.",
	.request_schema = "{\"examples\":[{\"list\":[1,2.5,\"three\"],\"nothing\":null}]}",
	.reply_schema = "true",
};

void json_echo(struct pipit_request *request, void *arg)
{
	struct cJSON *doc = pipit_request_json(request);
	(void)arg;
	if (doc)
		pipit_reply_json(request, 200, doc);
}
