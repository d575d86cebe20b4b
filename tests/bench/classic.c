/* SPDX-License-Identifier: MIT */
/*
 * The callback of evhttp_naive.c on pipit: what a program gains that moves its evhttp callbacks here and changes nothing
 * in them. Owns its process, so it gives libevent the reserve that the daemon gives it.
 *
 * usage: classic
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
