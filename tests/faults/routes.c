/* SPDX-License-Identifier: MIT */
/* See routes.h. As pipit.h requires of handlers, each of them reports a lack of memory. */
#include "routes.h"

#include "pipit.h"

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char big[ROUTES_BIG_BYTES];
static size_t pending;
static struct pipit_stream *stream;

const char *routes_pattern(void)
{
	for (size_t i = 0; i < sizeof big && !big[sizeof big - 1]; i++)
		big[i] = (char)('a' + i % 251 % 26);
	return big;
}

size_t routes_pending(void)
{
	return pending;
}

static void refuse(struct pipit_request *request)
{
	pipit_reply_problem(request, 503, "Short of memory.");
}

/* ---------------------------------------------------------------- native */

static void show(struct pipit_request *request, void *arg)
{
	char text[512];
	const char *name = pipit_request_parameter(request, "name"), *rest = pipit_request_parameter(request, "rest");
	const char *mark = pipit_request_header(request, "X-Mark"), *query = pipit_request_query(request);
	char value[32];
	long length = pipit_request_query_value(request, "v", value, sizeof value);
	(void)arg;

	if (!name || !rest || !mark || !query || length < 0) {
		refuse(request);
		return;
	}
	snprintf(text, sizeof text, "name=%s rest=%s mark=%s query=%s v=%s path=%s", name, rest, mark, query, value,
	    pipit_request_path(request));
	pipit_reply_text(request, 200, text);
}

/* The sum of an array of numbers, and every header of the request. */
static void add_up(struct pipit_request *request, void *arg)
{
	cJSON *doc = pipit_request_json(request);
	const cJSON *number;
	const char *name, *value;
	char text[64];
	double sum = 0;
	size_t count = 0;
	(void)arg;

	if (!doc)
		return;
	cJSON_ArrayForEach(number, doc) sum += number->valuedouble;
	while (pipit_request_field(request, count, &name, &value))
		count++;
	cJSON_Delete(doc);
	if (count != 3) {
		refuse(request);
		return;
	}
	snprintf(text, sizeof text, "sum=%g", sum);
	pipit_reply_header(request, "X-Sum", "yes");
	pipit_reply_text(request, 200, text);
}

static void send_big(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply(request, 200, "application/octet-stream", big, sizeof big);
}

static void send_file(struct pipit_request *request, void *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	if (fd < 0)
		refuse(request);
	else
		pipit_reply_file(request, 200, "text/plain", fd, 0, (uint64_t)size);
}

static void answer_kept(struct pipit_request *request, const char *text)
{
	size_t length;
	const char *body = pipit_request_body(request, &length);
	char content[128];

	snprintf(content, sizeof content, "%s %.*s", text, (int)length, body);
	pipit_reply_text(request, 200, content);
	pending--;
	pipit_request_release(request);
}

static void refuse_kept(struct pipit_request *request)
{
	refuse(request);
	pending--;
	pipit_request_release(request);
}

static void on_later(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	answer_kept(request, "later");
}

static void later(struct pipit_request *request, void *arg)
{
	struct timeval soon = { 0, 20000 };
	(void)arg;

	if (pipit_request_keep(request) != 0) {
		refuse(request);
		return;
	}
	pending++;
	if (event_base_once(pipit_request_base(request), -1, EV_TIMEOUT, on_later, request, &soon) != 0)
		refuse_kept(request);
}

static void on_posted(struct pipit_request *request, void *arg)
{
	(void)arg;
	answer_kept(request, "posted");
}

static void posted(struct pipit_request *request, void *arg)
{
	(void)arg;
	if (pipit_request_keep(request) != 0) {
		refuse(request);
		return;
	}
	pending++;
	if (pipit_request_post(request, on_posted, NULL) != 0)
		refuse_kept(request);
}

/* Events must not be lost: retries until there is memory. */
static void follow(struct pipit_request *request, void *arg)
{
	struct pipit_event first = { .name = "one", .data = "1" }, second = { .name = "two", .data = "2" };
	(void)arg;

	if (pipit_stream_join(stream, request, &first) != 0)
		return;
	while (pipit_stream_send(stream, &second) != 0)
		continue;
	while (pipit_stream_end(stream) != 0)
		continue;
}

/* ---------------------------------------------------------------- evhttp */

static struct evbuffer *content_of(const char *text)
{
	struct evbuffer *content = evbuffer_new();
	if (content && evbuffer_add(content, text, strlen(text)) == 0)
		return content;
	if (content)
		evbuffer_free(content);
	return NULL;
}

/*
 * Without memory the reply has no body. evhttp_send_error() is not safe when the client may have closed: without memory it
 * frees a connection that does not exist.
 */
static void send_evhttp(struct evhttp_request *request, const char *text)
{
	struct evbuffer *content = content_of(text);
	evhttp_send_reply(request, content ? 200 : 500, content ? "OK" : "Short of memory", content);
	if (content)
		evbuffer_free(content);
}

static void evhttp(struct evhttp_request *request, void *arg)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	const char *mark = evhttp_find_header(evhttp_request_get_input_headers(request), "X-Mark");
	char body[64], text[256];
	ev_ssize_t length = evbuffer_copyout(input, body, sizeof body);
	(void)arg;

	snprintf(text, sizeof text, "evhttp %s %s %.*s", evhttp_request_get_uri(request), mark ? mark : "-",
	    length < 0 ? 0 : (int)length, body);
	send_evhttp(request, text);
}

static void on_evhttp_later(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	pending--;
	send_evhttp(request, "evhttp later");
}

static void evhttp_later(struct evhttp_request *request, void *base)
{
	struct timeval soon = { 0, 20000 };
	if (event_base_once(base, -1, EV_TIMEOUT, on_evhttp_later, request, &soon) == 0)
		pending++;
	else
		evhttp_send_error(request, 500, "Short of memory");
}

/* All pieces are allocated before the first one is sent: after that, a missing piece could not be reported. */
static void evhttp_chunked(struct evhttp_request *request, void *arg)
{
	static const char *const pieces[] = { "one,", "two,", "three" };
	struct evbuffer *contents[3] = { NULL };
	bool is_complete = true;
	(void)arg;

	for (size_t i = 0; i < 3; i++) {
		contents[i] = evbuffer_new();
		is_complete &= contents[i] && evbuffer_add(contents[i], pieces[i], strlen(pieces[i])) == 0;
	}
	if (is_complete) {
		evhttp_send_reply_start(request, 200, "OK");
		for (size_t i = 0; i < 3; i++)
			evhttp_send_reply_chunk(request, contents[i]);
		evhttp_send_reply_end(request);
	} else {
		evhttp_send_error(request, 500, "Short of memory");
	}
	for (size_t i = 0; i < 3; i++) {
		if (contents[i])
			evbuffer_free(contents[i]);
	}
}

static void evhttp_big(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	(void)arg;

	if (!content || evbuffer_add_reference(content, big, sizeof big, NULL, NULL) != 0)
		evhttp_send_error(request, 500, "Short of memory");
	else
		evhttp_send_reply(request, 200, "OK", content);
	if (content)
		evbuffer_free(content);
}

/* Not evbuffer_add_file(), which does not report whether it has closed the file when it fails. */
static bool add_file(struct evbuffer *content, int fd)
{
	struct evbuffer_file_segment *segment =
	    evbuffer_file_segment_new(fd, 0, ROUTES_LARGE_FILE_BYTES, EVBUF_FS_CLOSE_ON_FREE);
	if (!segment) {
		close(fd);
		return false;
	}
	/* For a buffer that drains to a descriptor, this frees the segment on failure. */
	if (evbuffer_add_file_segment(content, segment, 0, ROUTES_LARGE_FILE_BYTES) != 0)
		return false;
	evbuffer_file_segment_free(segment);
	return true;
}

static void evhttp_file(struct evhttp_request *request, void *name)
{
	struct evbuffer *content = evbuffer_new();
	int fd = content ? open(name, O_RDONLY | O_CLOEXEC) : -1;

	if (content)
		evbuffer_set_flags(content, EVBUFFER_FLAG_DRAINS_TO_FD);
	if (fd < 0 || !add_file(content, fd))
		evhttp_send_error(request, 500, "Short of memory");
	else
		evhttp_send_reply(request, 200, "OK", content);
	if (content)
		evbuffer_free(content);
}

/* ---------------------------------------------------------------- all */

int routes_register(
    struct pipit_server *server, struct event_base *base, char *small_file, char *large_file, bool borrows)
{
	/* Without memory, a worker learns of an event at its next heartbeat. */
	static const struct pipit_stream_options options = { .heartbeat_ms = 1000, .history = 2 };
	const struct pipit_route_options borrowing = { .borrows_connection = borrows };
	int error = 0;

	routes_pattern();
	pending = 0;
	stream = pipit_stream_new(&options);
	if (!stream)
		return -1;
	error |= pipit_route(server, PIPIT_GET, "/stream", follow, NULL);
	error |= pipit_route(server, PIPIT_GET, "/show/{name}/{rest...}", show, NULL);
	error |= pipit_route(server, PIPIT_POST, "/sum", add_up, NULL);
	error |= pipit_route(server, PIPIT_GET, "/big", send_big, NULL);
	error |= pipit_route(server, PIPIT_GET, "/file/small", send_file, small_file);
	error |= pipit_route(server, PIPIT_GET, "/file/large", send_file, large_file);
	error |= pipit_route(server, PIPIT_POST, "/later", later, NULL);
	error |= pipit_route(server, PIPIT_POST, "/posted", posted, NULL);
	error |= pipit_route_evhttp_with(server, PIPIT_ANY, "/evhttp", evhttp, NULL, &borrowing);
	error |= pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp/later", evhttp_later, base, &borrowing);
	error |= pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp/chunked", evhttp_chunked, NULL, &borrowing);
	error |= pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp/big", evhttp_big, NULL, &borrowing);
	error |= pipit_route_evhttp_with(server, PIPIT_GET, "/evhttp/file", evhttp_file, large_file, &borrowing);
	return error;
}

void routes_clear(void)
{
	pipit_stream_free(stream);
	stream = NULL;
}
