/* SPDX-License-Identifier: MIT */
/*
 * A program with as many routes as run.py wants. It shows the CPU time that a long routing table adds to a request, and that
 * of a scrape of /metrics with many series. /json/hello, the route that is measured, is registered last; the others are
 * /route/0, /route/1 and so on.
 *
 * usage: routes COUNT (of routes, /json/hello being one of them and /metrics not)
 */
#include "pipit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT "{\"message\":\"Hello, World!\"}"
#define RESERVE_BYTES (256 * 1024)

static void answer(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply(request, 200, "application/json", CONTENT, strlen(CONTENT));
}

static int register_routes(struct pipit_server *server, int count)
{
	/* The server remembers a failure and does not start. */
	pipit_route(server, PIPIT_GET, "/metrics", pipit_serve_metrics, NULL);
	for (int i = 0; i < count - 1; i++) {
		char pattern[32];
		snprintf(pattern, sizeof pattern, "/route/%d", i);
		pipit_route(server, PIPIT_GET, pattern, answer, NULL);
	}
	return pipit_route(server, PIPIT_GET, "/json/hello", answer, NULL);
}

int main(int argc, char **argv)
{
	struct pipit_config config;
	struct pipit_server *server = NULL;

	if (argc != 2 || atoi(argv[1]) < 1) {
		fprintf(stderr, "usage: routes COUNT\n");
		return 1;
	}
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.workers = 1;
	config.idle_timeout_ms = 0;
	if (pipit_reserve_memory(RESERVE_BYTES) == 0)
		server = pipit_server_new(&config);
	if (!server || register_routes(server, atoi(argv[1])) != 0 || pipit_server_listen(server) != 0)
		return 1;
	printf("listening on %s\n", pipit_server_url(server, 0));
	fflush(stdout);
	return pipit_server_run(server);
}
