/* SPDX-License-Identifier: MIT */
/*
 * Mongoose as a peer of run.py: its HTTP server with one event handler, as its documentation writes it. Compiled with mongoose.c and
 * mongoose.h of the folder that the variable MONGOOSE names.
 *
 * usage: mongoose PORT
 */
#include "mongoose.h"

#include <stdio.h>

static void greet(struct mg_connection *connection, int event, void *data)
{
	struct mg_http_message *request = (struct mg_http_message *)data;

	if (event != MG_EV_HTTP_MSG)
		return;
	if (mg_match(request->uri, mg_str("/json/hello"), NULL))
		mg_http_reply(
		    connection, 200, "Content-Type: application/json\r\n", "%s", "{\"message\":\"Hello, World!\"}");
	else
		mg_http_reply(connection, 404, "", "");
}

int main(int argc, char **argv)
{
	struct mg_mgr manager;
	char url[64];

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(MG_VERSION);
		return 0;
	}
	mg_log_set(MG_LL_NONE);
	mg_mgr_init(&manager);
	snprintf(url, sizeof url, "http://127.0.0.1:%s", argc == 2 ? argv[1] : "");
	if (argc != 2 || !mg_http_listen(&manager, url, greet, NULL)) {
		fprintf(stderr, "usage: mongoose PORT (a free one)\n");
		return 1;
	}
	for (;;)
		mg_mgr_poll(&manager, 1000);
}
