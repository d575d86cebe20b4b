/* SPDX-License-Identifier: MIT */
/*
 * An evhttp callback as tutorials write it; do not tune it. evhttp_naive.c registers it with evhttp and evhttp_own.c with
 * pipit, so that the two rows differ only in what lies below the callback.
 */
#ifndef GREET_H
#define GREET_H

#include <event2/buffer.h>
#include <event2/http.h>

static void greet(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();

	(void)arg;
	if (!content) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json");
	evbuffer_add_printf(content, "{\"message\":\"Hello, World!\"}");
	evhttp_send_reply(request, HTTP_OK, "OK", content);
	evbuffer_free(content);
}

#endif
