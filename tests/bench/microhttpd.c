/* SPDX-License-Identifier: MIT */
/*
 * GNU libmicrohttpd as a peer of run.py: its fastest mode for many connections, one thread of its own with epoll, and a
 * response that is made once.
 *
 * usage: microhttpd PORT
 */
#include "loopback.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#define CONNECTIONS_MAX 20000

static char content[] = "{\"message\":\"Hello, World!\"}";

static enum MHD_Result greet(void *response, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_bytes, void **state)
{
	static char is_known;

	(void)method, (void)version, (void)upload;
	/* The first call announces the head; an answer to it would end the connection. */
	if (!*state) {
		*state = &is_known;
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/json/hello") != 0)
		return MHD_NO;
	return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int argc, char **argv)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(sizeof content - 1, content, MHD_RESPMEM_PERSISTENT);
	int listener = argc == 2 ? listen_on_loopback(argv[1]) : -1;

	if (listener < 0 || !response) {
		fprintf(stderr, "usage: microhttpd PORT (a free one)\n");
		return 1;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, greet, response,
		MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_END)) {
		fprintf(stderr, "microhttpd: cannot start\n");
		return 1;
	}
	for (;;)
		pause();
}
