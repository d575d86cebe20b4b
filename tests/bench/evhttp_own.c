/* SPDX-License-Identifier: MIT */
/*
 * The callback of evhttp_naive.c on pipit, registered by pipit_route_evhttp(). Such a callback may ask evhttp for its
 * client, so pipit opens an evhttp connection for every client connection. This program shows what that costs in CPU time
 * and memory. It reserves memory for libevent, as the daemon does.
 *
 * usage: evhttp_own
 */
#include "greet.h"
#include "pipit.h"

#include <stdio.h>

#define RESERVE_BYTES (256 * 1024)

int main(void)
{
	struct pipit_config config;
	struct pipit_server *server = NULL;

	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.workers = 1;
	config.idle_timeout_ms = 0;
	if (pipit_reserve_memory(RESERVE_BYTES) == 0)
		server = pipit_server_new(&config);
	if (!server || pipit_route_evhttp(server, PIPIT_GET, "/hello/get", greet, NULL) != 0 ||
	    pipit_server_listen(server) != 0)
		return 1;
	printf("listening on %s\n", pipit_server_url(server, 0));
	fflush(stdout);
	return pipit_server_run(server);
}
