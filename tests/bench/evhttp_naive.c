/* SPDX-License-Identifier: MIT */
/*
 * evhttp as tutorials use it: what run.py compares pipit's evhttp callbacks with. Do not tune it.
 *
 * usage: evhttp_naive PORT
 */
#include "greet.h"

#include <event2/event.h>
#include <event2/http.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = base ? evhttp_new(base) : NULL;

	if (argc != 2 || !http) {
		fprintf(stderr, "usage: evhttp_naive PORT\n");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	evhttp_set_timeout(http, 60);
	/* The paths of the native handler and of the evhttp callback of pipit's daemon. */
	evhttp_set_cb(http, "/json/hello", greet, NULL);
	evhttp_set_cb(http, "/hello/get", greet, NULL);
	if (evhttp_bind_socket(http, "127.0.0.1", (uint16_t)atoi(argv[1])) != 0) {
		fprintf(stderr, "evhttp_naive: cannot listen on port %s\n", argv[1]);
		return 1;
	}
	return event_base_dispatch(base);
}
