/* SPDX-License-Identifier: MIT */
/* pipit_request_json() replies to errors. */
#include "handlers.h"

const struct pipit_route_options json_echo_options = {
	.known_host = true,
	.summary = "The JSON of the body, parsed and printed.",
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
