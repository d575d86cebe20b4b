/* SPDX-License-Identifier: MIT */
/*
 * Unchanged evhttp callbacks, registered with pipit_route_evhttp(), or with a program's own evhttp behind
 * pipit_server_guard_evhttp(): every way in which evhttp lets a callback reply, at once and later, to clients of every kind.
 * Some callbacks also serve a plain evhttp, and both must give the same response.
 *
 * Callbacks run on another thread than the test. They do not assert: they reply with what they got, or note() it.
 */
#include "loop.h"
#include "pipit.h"
#include "suite.h"
#include "wire.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MEBIBYTE (1024u * 1024u)
#define FILE_SIZE (MEBIBYTE + 12345)
#define PULLED_SIZE (4 * MEBIBYTE)

/* ---------------------------------------------------------------- notes of the callbacks */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char notes[8 * 1024];
static size_t notes_length;

static void note(const char *text)
{
	size_t length = strlen(text);
	pthread_mutex_lock(&lock);
	if (notes_length + length >= sizeof notes)
		abort();
	memcpy(notes + notes_length, text, length + 1);
	notes_length += length;
	pthread_mutex_unlock(&lock);
}

static bool notes_begin_with(void *expected)
{
	bool begin;
	pthread_mutex_lock(&lock);
	begin = strncmp(notes, expected, strlen(expected)) == 0;
	pthread_mutex_unlock(&lock);
	return begin;
}

/* Waits until the notes are as expected, and clears them. */
static void expect_notes(const char *expected)
{
	wire_wait(notes_begin_with, (void *)(uintptr_t)expected);
	pthread_mutex_lock(&lock);
	ck_assert_str_eq(notes, expected);
	pthread_mutex_unlock(&lock);
}

/* Deferred requests; used on the loop's thread only, counted under the lock. */
static struct evhttp_request *pocket[128];
static size_t pocket_count;

static bool pocket_holds(void *count)
{
	bool holds;
	pthread_mutex_lock(&lock);
	holds = pocket_count >= *(size_t *)count;
	pthread_mutex_unlock(&lock);
	return holds;
}

static void wait_for_pocket(size_t count)
{
	ck_assert(wire_wait(pocket_holds, &count));
}

/* ---------------------------------------------------------------- parts of the callbacks */

static char byte_at(size_t position)
{
	return (char)('a' + position * 7 % 26 + (position >> 12) % 3);
}

static void add_pattern(struct evbuffer *buffer, size_t from, size_t length)
{
	char piece[8192];
	for (size_t done = 0; done < length;) {
		size_t count = length - done < sizeof piece ? length - done : sizeof piece;
		for (size_t i = 0; i < count; i++)
			piece[i] = byte_at(from + done + i);
		evbuffer_add(buffer, piece, count);
		done += count;
	}
}

static const char *query_of(struct evhttp_request *request)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	return query ? query : "";
}

static void set_type(struct evhttp_request *request, const char *type)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
}

static struct event_base *base_of(struct evhttp_request *request)
{
	return evhttp_connection_get_base(evhttp_request_get_connection(request));
}

static void call_later(struct event_base *base, event_callback_fn function, void *arg)
{
	struct timeval soon = { 0, 1000 };
	if (event_base_once(base, -1, EV_TIMEOUT, function, arg, &soon) != 0)
		abort();
}

/* evhttp_send_reply() with the text. */
static void send_text(struct evhttp_request *request, int status, const char *text)
{
	struct evbuffer *content = evbuffer_new();
	set_type(request, "text/x-evhttp");
	evbuffer_add(content, text, strlen(text));
	evhttp_send_reply(request, status, "As Told", content);
	evbuffer_free(content);
}

static void send_chunk(struct evhttp_request *request, const char *text)
{
	struct evbuffer *content = evbuffer_new();
	evbuffer_add(content, text, strlen(text));
	evhttp_send_reply_chunk(request, content);
	evbuffer_free(content);
}

/* ---------------------------------------------------------------- callbacks that reply at once */

/* "?TEXT" */
static void reply_text(struct evhttp_request *request, void *arg)
{
	(void)arg;
	send_text(request, 200, query_of(request));
}

static void reply_nothing(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply(request, 200, "OK", NULL);
}

#define PIECE_BYTES 7u

/* "?PIECES,HEADERS": each piece is a chain of its own in the evbuffer, and so are parts of a long head. */
static void reply_in_pieces(struct evhttp_request *request, void *arg)
{
	static char pieces[1000 * PIECE_BYTES];
	unsigned count = 0, headers = 0;
	struct evbuffer *content = evbuffer_new();
	(void)arg;

	sscanf(query_of(request), "%u,%u", &count, &headers);
	for (unsigned i = 0; i < headers; i++) {
		char name[16];
		snprintf(name, sizeof name, "X-%u", i);
		evhttp_add_header(evhttp_request_get_output_headers(request), name, "a value of a header of the reply");
	}
	for (unsigned i = 0; i < count * PIECE_BYTES; i++)
		pieces[i] = byte_at(i);
	for (unsigned i = 0; i < count; i++)
		evbuffer_add_reference(content, pieces + i * PIECE_BYTES, PIECE_BYTES, NULL, NULL);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

/* "?BYTES" */
static void reply_pattern(struct evhttp_request *request, void *arg)
{
	struct evbuffer *content = evbuffer_new();
	(void)arg;
	set_type(request, "text/x-pattern");
	add_pattern(content, 0, strtoul(query_of(request), NULL, 10));
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

/* The file named by arg; "?s": by sendfile(), "?w": with text before and after it. */
static void reply_file(struct evhttp_request *request, void *name)
{
	struct evbuffer *content = evbuffer_new();
	const char *query = query_of(request);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (strchr(query, 's'))
		evbuffer_set_flags(content, EVBUFFER_FLAG_DRAINS_TO_FD);
	if (strchr(query, 'w'))
		evbuffer_add(content, "before", 6);
	if (evbuffer_add_file(content, fd, 0, FILE_SIZE) != 0)
		abort();
	if (strchr(query, 'w'))
		evbuffer_add(content, "behind", 6);
	evhttp_send_reply(request, 200, "OK", content);
	evbuffer_free(content);
}

static void reply_in_chunks(struct evhttp_request *request, void *arg)
{
	(void)arg;
	set_type(request, "text/x-chunks");
	evhttp_send_reply_start(request, 200, "OK");
	send_chunk(request, "one ");
	send_chunk(request, query_of(request));
	send_chunk(request, "");
	send_chunk(request, " three");
	evhttp_send_reply_end(request);
}

static void reply_in_no_chunk(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply_start(request, 200, "OK");
	evhttp_send_reply_end(request);
}

/* In pieces, with a Content-Length. */
static void reply_in_pieces_of_known_length(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", "6");
	evhttp_send_reply_start(request, 200, "OK");
	send_chunk(request, "abc");
	send_chunk(request, "def");
	evhttp_send_reply_end(request);
}

/* "?STATUS": with a body, also for a status without one. */
static void reply_status(struct evhttp_request *request, void *arg)
{
	(void)arg;
	send_text(request, atoi(query_of(request)), "content");
}

static void reply_status_in_chunks(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_send_reply_start(request, atoi(query_of(request)), "As Told");
	send_chunk(request, "con");
	send_chunk(request, "tent");
	evhttp_send_reply_end(request);
}

/* "?[REASON]" */
static void reply_error(struct evhttp_request *request, void *arg)
{
	const char *reason = query_of(request);
	(void)arg;
	evhttp_send_error(request, 404, *reason ? reason : NULL);
}

static void redirect(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Location", "/elsewhere");
	evhttp_send_reply(request, 302, "Found", NULL);
}

static void echo(struct evhttp_request *request, void *arg)
{
	(void)arg;
	set_type(request, "text/x-echo");
	evhttp_send_reply(request, 201, "Created", evhttp_request_get_input_buffer(request));
}

/* "?[VALUE]": the Connection header is the callback's own. */
static void reply_and_close(struct evhttp_request *request, void *arg)
{
	const char *value = query_of(request);
	(void)arg;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", *value ? value : "close");
	send_text(request, 200, "farewell");
}

/* "?[DATE]": with a Date of the callback's own. */
static void reply_dated(struct evhttp_request *request, void *arg)
{
	(void)arg;
	if (*query_of(request))
		evhttp_add_header(evhttp_request_get_output_headers(request), "Date", query_of(request));
	send_text(request, 200, "dated");
}

static void describe_fields(struct evhttp_request *request, struct evbuffer *text)
{
	struct evkeyval *field;
	TAILQ_FOREACH(field, evhttp_request_get_input_headers(request), next)
	evbuffer_add_printf(text, "%s=[%s]\n", field->key, field->value);
}

static const char *or_none(const char *text)
{
	return text ? text : "(none)";
}

/* evhttp has released the request: this frees it. */
static void on_open_reply_closed(struct evhttp_connection *connection, void *request)
{
	(void)connection;
	note("closed ");
	evhttp_send_reply_end(request);
}

/* A reply that does not end while the client is connected. */
static void open_reply(struct evhttp_request *request, void *arg)
{
	struct evbuffer *chunk = evbuffer_new();
	(void)arg;
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_open_reply_closed, request);
	evhttp_send_reply_start(request, 200, "OK");
	evbuffer_add_printf(chunk, "first");
	evhttp_send_reply_chunk(request, chunk);
	evbuffer_free(chunk);
}

/* Two equal Content-Lengths, or two different ones. */
static void announce_twice(struct evhttp_request *request, void *arg)
{
	struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
	(void)arg;
	evhttp_add_header(fields, "Content-Length", "5");
	evhttp_add_header(fields, "Content-Length", *query_of(request) ? query_of(request) : "5");
	send_text(request, 200, "twice");
}

/* Ten bytes of content, and the Content-Length that the query has. */
static void announce(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", query_of(request));
	send_text(request, 200, "0123456789");
}

static void set_small_limit(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_connection_set_max_body_size(evhttp_request_get_connection(request), 10);
	send_text(request, 200, "small");
}

static void describe(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	struct evbuffer *input = evhttp_request_get_input_buffer(request), *text = evbuffer_new();
	char *peer;
	ev_uint16_t port;
	(void)arg;
	evhttp_connection_get_peer(evhttp_request_get_connection(request), &peer, &port);
	evbuffer_add_printf(
	    text, "command %d\nuri %s\n", (int)evhttp_request_get_command(request), evhttp_request_get_uri(request));
	evbuffer_add_printf(
	    text, "path %s\nquery %s\n", or_none(evhttp_uri_get_path(uri)), or_none(evhttp_uri_get_query(uri)));
	evbuffer_add_printf(text, "host %s\npeer %s %d\n", or_none(evhttp_request_get_host(request)), peer, port != 0);
	describe_fields(request, text);
	evbuffer_add_printf(text, "input %zu ", evbuffer_get_length(input));
	evbuffer_add_buffer(text, input);
	evhttp_send_reply(request, 200, "OK", text);
	evbuffer_free(text);
}

static void note_complete(struct evhttp_request *request, void *arg)
{
	(void)request;
	note(arg);
}

static void note_close(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	note(arg);
}

static char completed[] = "completed ", closed[] = "closed ";

/* The callback uses the completion callback of evhttp. */
static void reply_watched(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_request_set_on_complete_cb(request, note_complete, completed);
	send_text(request, 200, "watched");
}

static void reply_and_watch_connection(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), note_close, closed);
	send_text(request, 200, "watched");
}

/* evhttp frees an owned request nevertheless when its reply is complete. */
static void own_and_reply(struct evhttp_request *request, void *arg)
{
	(void)arg;
	evhttp_request_own(request);
	send_text(request, 200, evhttp_request_is_owned(request) ? "owned" : "not owned");
}

/* ---------------------------------------------------------------- callbacks that reply later */

static void send_text_now(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	reply_text(request, NULL);
}

static void reply_later(struct evhttp_request *request, void *arg)
{
	(void)arg;
	call_later(base_of(request), send_text_now, request);
}

static void send_status_now(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	reply_status(request, NULL);
}

static void reply_status_later(struct evhttp_request *request, void *arg)
{
	(void)arg;
	call_later(base_of(request), send_status_now, request);
}

/* A reply over several turns of the loop. */
struct stream {
	struct evhttp_request *request;
	struct event_base *base;
	int status;
	int step;
};

static void take_step(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;
	(void)fd, (void)what;
	if (stream->step == 0) {
		set_type(stream->request, "text/x-steps");
		evhttp_send_reply_start(stream->request, stream->status, "As Told");
	} else if (stream->step < 5) {
		char text[] = "0 ";
		text[0] = (char)('0' + stream->step);
		send_chunk(stream->request, text);
	} else {
		evhttp_send_reply_end(stream->request);
		free(stream);
		return;
	}
	stream->step++;
	call_later(stream->base, take_step, stream);
}

static struct stream *new_stream(struct evhttp_request *request)
{
	struct stream *stream = malloc(sizeof *stream);
	int status = atoi(query_of(request));
	*stream = (struct stream){ request, base_of(request), status ? status : 200, 0 };
	return stream;
}

/* "?[STATUS]" */
static void start_and_go_on_later(struct evhttp_request *request, void *arg)
{
	(void)arg;
	take_step(-1, 0, new_stream(request));
}

static void start_later(struct evhttp_request *request, void *arg)
{
	struct stream *stream = new_stream(request);
	(void)arg;
	call_later(stream->base, take_step, stream);
}

static void reply_later_watched(struct evhttp_request *request, void *arg)
{
	evhttp_request_set_on_complete_cb(request, note_complete, completed);
	reply_later(request, arg);
}

static void go_on_later_watched(struct evhttp_request *request, void *arg)
{
	evhttp_request_set_on_complete_cb(request, note_complete, completed);
	start_and_go_on_later(request, arg);
}

/* As many chunks as the client reads; each is created when evhttp reports that the last one is sent. */
struct pull {
	struct evhttp_request *request;
	size_t sent;
};

static void send_next(struct evhttp_connection *connection, void *arg)
{
	struct pull *pull = arg;
	struct evbuffer *content;
	(void)connection;
	if (pull->sent >= PULLED_SIZE) {
		evhttp_send_reply_end(pull->request);
		free(pull);
		return;
	}
	content = evbuffer_new();
	add_pattern(content, pull->sent, 65536);
	pull->sent += 65536;
	evhttp_send_reply_chunk_with_cb(pull->request, content, send_next, pull);
	evbuffer_free(content);
}

static void reply_by_pulling(struct evhttp_request *request, void *arg)
{
	struct pull *pull = malloc(sizeof *pull);
	(void)arg;
	*pull = (struct pull){ request, 0 };
	evhttp_send_reply_start(request, 200, "OK");
	send_next(NULL, pull);
}

static void start_pulling(evutil_socket_t fd, short what, void *request)
{
	(void)fd, (void)what;
	reply_by_pulling(request, NULL);
}

static void pull_later(struct evhttp_request *request, void *arg)
{
	(void)arg;
	call_later(base_of(request), start_pulling, request);
}

static void defer(struct evhttp_request *request, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	pocket[pocket_count++] = request;
	pthread_mutex_unlock(&lock);
}

static void start_and_defer(struct evhttp_request *request, void *arg)
{
	evhttp_send_reply_start(request, 200, "OK");
	send_chunk(request, "first ");
	defer(request, arg);
}

static void watch_and_defer(struct evhttp_request *request, void *arg)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), note_close, closed);
	defer(request, arg);
}

/* ---------------------------------------------------------------- the sites */

static char file_name[] = "/tmp/pipit-evhttp-XXXXXX";

static const struct {
	const char *path;
	pipit_evhttp_callback *callback;
	void *arg;
} callbacks[] = {
	{ "/text", reply_text, NULL },
	{ "/nothing", reply_nothing, NULL },
	{ "/open", open_reply, NULL },
	{ "/announced-twice", announce_twice, NULL },
	{ "/announced", announce, NULL },
	{ "/small-limit", set_small_limit, NULL },
	{ "/pattern", reply_pattern, NULL },
	{ "/pieces", reply_in_pieces, NULL },
	{ "/file", reply_file, file_name },
	{ "/chunks", reply_in_chunks, NULL },
	{ "/no-chunk", reply_in_no_chunk, NULL },
	{ "/known-length", reply_in_pieces_of_known_length, NULL },
	{ "/status", reply_status, NULL },
	{ "/status/chunks", reply_status_in_chunks, NULL },
	{ "/status/later", reply_status_later, NULL },
	{ "/error", reply_error, NULL },
	{ "/redirect", redirect, NULL },
	{ "/echo", echo, NULL },
	{ "/close", reply_and_close, NULL },
	{ "/dated", reply_dated, NULL },
	{ "/describe", describe, NULL },
	{ "/watched", reply_watched, NULL },
	{ "/watched/later", reply_later_watched, NULL },
	{ "/watched/steps", go_on_later_watched, NULL },
	{ "/watched/connection", reply_and_watch_connection, NULL },
	{ "/owned", own_and_reply, NULL },
	{ "/later", reply_later, NULL },
	{ "/steps", start_and_go_on_later, NULL },
	{ "/steps/later", start_later, NULL },
	{ "/pull", reply_by_pulling, NULL },
	{ "/pull/later", pull_later, NULL },
	{ "/defer", defer, NULL },
	{ "/defer/started", start_and_defer, NULL },
	{ "/defer/watched", watch_and_defer, NULL },
};

static void reply_number(struct pipit_request *request, void *arg)
{
	(void)arg;
	pipit_reply_text(request, 200, pipit_request_parameter(request, "n"));
}

static struct pipit_server *server;
static unsigned port;
static struct loop loop; /* its base when attached, else NULL; the plain evhttp is on it too */
static struct evhttp *plain;
static unsigned plain_port;
static struct evhttp *guarded; /* the program's, guarded by the server; NULL: the callbacks are the server's */
static pthread_t thread;       /* of pipit_server_run() */
static bool is_running;

static void *run_server(void *arg)
{
	pipit_server_run(arg);
	return NULL;
}

static bool borrows; /* the callbacks borrow evhttp connections */

static void make_server(uint64_t workers)
{
	struct pipit_config config;
	pipit_config_init(&config);
	config.listen[0] = "127.0.0.1:0";
	config.listen_count = 1;
	config.workers = workers;
	config.log_level = "error";
	/* The name is not the subject. */
	config.hosts = "*";
	server = pipit_server_new(&config);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(pipit_route(server, PIPIT_GET, "/number/{n}", reply_number, NULL), 0);
	ck_assert_int_eq(pipit_server_listen(server), 0);
	port = (unsigned)atoi(strrchr(pipit_server_url(server, 0), ':') + 1);
}

static void register_callbacks(void)
{
	const struct pipit_route_options options = { .borrows_connection = borrows };
	for (size_t i = 0; i < COUNT(callbacks); i++)
		ck_assert_int_eq(pipit_route_evhttp_with(server, PIPIT_ANY, callbacks[i].path, callbacks[i].callback,
				     callbacks[i].arg, &options),
		    0);
	ck_assert_int_eq(pipit_route_evhttp_with(server, PIPIT_ANY, "/{any...}", describe, NULL, &options), 0);
	/* A fallback has an evhttp connection of its own for each client. */
	if (!borrows)
		ck_assert_int_eq(pipit_fallback_evhttp(server, describe, NULL), 0);
}

static struct evhttp *new_evhttp(void)
{
	struct evhttp *http = evhttp_new(loop.base);
	ck_assert_ptr_nonnull(http);
	evhttp_set_allowed_methods(http, 0xffff);
	for (size_t i = 0; i < COUNT(callbacks); i++)
		evhttp_set_cb(http, callbacks[i].path, callbacks[i].callback, callbacks[i].arg);
	return http;
}

static void make_plain(void)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	struct evhttp_bound_socket *bound;

	plain = new_evhttp();
	bound = evhttp_bind_socket_with_handle(plain, "127.0.0.1", 0);
	ck_assert_ptr_nonnull(bound);
	ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length), 0);
	plain_port = ntohs(address.sin_port);
}

static void forget_all(void)
{
	notes[0] = '\0';
	notes_length = pocket_count = 0;
}

static void set_up_workers(void)
{
	borrows = false;
	forget_all();
	loop.base = NULL;
	make_server(2);
	register_callbacks();
	ck_assert_int_eq(pthread_create(&thread, NULL, run_server, server), 0);
	is_running = true;
}

static void set_up_base(void)
{
	forget_all();
	make_server(1);
	loop_open(&loop);
	make_plain();
}

static void run_base(void)
{
	loop_run(&loop);
	is_running = true;
}

static void set_up_attached(void)
{
	borrows = false;
	set_up_base();
	register_callbacks();
	ck_assert_int_eq(pipit_server_attach(server, loop.base), 0);
	run_base();
}

static void set_up_borrowed(void)
{
	borrows = true;
	set_up_base();
	register_callbacks();
	ck_assert_int_eq(pipit_server_attach(server, loop.base), 0);
	run_base();
}

static void set_up_guarded(void)
{
	set_up_base();
	guarded = new_evhttp();
	evhttp_set_gencb(guarded, describe, NULL);
	ck_assert_int_eq(pipit_server_guard_evhttp(server, guarded), 0);
	run_base();
}

static void stop(void)
{
	if (!is_running)
		return;
	if (loop.base) {
		loop_stop(&loop);
	} else {
		pipit_server_stop(server);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	is_running = false;
}

static void tear_down(void)
{
	stop();
	pipit_server_free(server);
	if (!loop.base)
		return;
	evhttp_free(plain);
	if (guarded)
		evhttp_free(guarded);
	guarded = NULL;
	loop_leave(&loop);
	event_base_free(loop.base);
}

/* ---------------------------------------------------------------- requests */

static bool is_pattern(const char *bytes, size_t length)
{
	size_t i = 0;
	while (i < length && bytes[i] == byte_at(i))
		i++;
	return i == length;
}

static void expect_pattern(struct wire_response response, size_t length)
{
	ck_assert_uint_eq(response.length, length);
	ck_assert(is_pattern(response.content, length));
	wire_expect(response, 200, NULL);
}

/* The connection serves one more request. */
static void expect_next(int fd)
{
	wire_expect(wire_get(fd, "/text?next"), 200, "next");
}

static void let_a_turn_pass(void)
{
	int fd = wire_connect(port);
	for (int i = 0; i < 2; i++)
		wire_expect(wire_get(fd, "/number/0"), 200, "0");
	close(fd);
}

static bool is_silent(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The connection ends with a reset. */
static void vanish(int fd)
{
	struct linger linger = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

static bool is_empty(void *arg)
{
	(void)arg;
	return pipit_server_connections(server) == 0;
}

static void write_file(void)
{
	char *bytes = malloc(FILE_SIZE);
	int fd;
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < FILE_SIZE; i++)
		bytes[i] = byte_at(i);
	strcpy(file_name + sizeof file_name - sizeof "XXXXXX", "XXXXXX");
	fd = mkstemp(file_name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, FILE_SIZE), FILE_SIZE);
	close(fd);
	free(bytes);
}

/* ---------------------------------------------------------------- replies */

static const struct {
	const char *target;
	int status;
	const char *type, *content;
	bool is_chunked;
} replies[] = {
	{ "/text?hello", 200, "text/x-evhttp", "hello", false },
	{ "/nothing", 200, NULL, "", false },
	{ "/chunks?two", 200, "text/x-chunks", "one two three", true },
	{ "/no-chunk", 200, NULL, "", true },
	{ "/known-length", 200, NULL, "abcdef", false },
	{ "/status?500", 500, "text/x-evhttp", "content", false },
	{ "/redirect", 302, NULL, "", false },
	{ "/owned", 200, "text/x-evhttp", "owned", false },
	{ "/later?late", 200, "text/x-evhttp", "late", false },
	{ "/status/later?410", 410, "text/x-evhttp", "content", false },
	{ "/steps", 200, "text/x-steps", "1 2 3 4 ", true },
	{ "/steps/later?203", 203, "text/x-steps", "1 2 3 4 ", true },
	{ "/watched/steps", 200, "text/x-steps", "1 2 3 4 ", true },
};

static void expect_reply(struct wire_response response, size_t i)
{
	const char *type = wire_field(&response, "Content-Type");
	if (replies[i].type)
		ck_assert_str_eq(or_none(type), replies[i].type);
	ck_assert_int_eq(response.is_chunked, replies[i].is_chunked);
	ck_assert(!response.closes);
	wire_expect(response, replies[i].status, replies[i].content);
}

START_TEST(sends_what_the_callback_replies)
{
	int fd = wire_connect(port);
	expect_reply(wire_get(fd, replies[_i].target), (size_t)_i);
	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET %s HTTP/1.1\r\nHost: x\r\n\r\n",
	    replies[_i].target, replies[_i].target));
	expect_reply(wire_read(fd, false), (size_t)_i);
	expect_reply(wire_read(fd, false), (size_t)_i);
	expect_next(fd);
	close(fd);
}
END_TEST

static const struct {
	const char *target, *content;
} errors[] = {
	{ "/error", "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n" },
	{ "/error?Lost", "<HTML><HEAD>\n<TITLE>404 Lost</TITLE>\n</HEAD><BODY>\n<H1>Lost</H1>\n</BODY></HTML>\n" },
};

/* evhttp_send_error() closes. */
START_TEST(sends_the_error_page_of_evhttp)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, errors[_i].target);

	ck_assert_str_eq(or_none(wire_field(&response, "Content-Type")), "text/html");
	ck_assert(response.closes);
	wire_expect(response, 404, errors[_i].content);
	ck_assert(wire_is_closed(fd));
	close(fd);
	fd = wire_connect(port);
	response = wire_ask(fd, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", errors[_i].target);
	ck_assert(response.closes);
	wire_expect(response, 404, "");
	ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

static const struct {
	unsigned pieces, headers;
} in_pieces[] = { { 1, 0 }, { 2, 0 }, { 3, 0 }, { 500, 0 }, { 1000, 30 }, { 1, 100 }, { 500, 100 } };

/* pipit looks at the first piece of the evbuffer only. */
START_TEST(sends_a_reply_of_many_pieces)
{
	int fd = wire_connect(port);

	for (int n = 0; n < 2; n++) {
		char name[16];
		struct wire_response response;

		ck_assert(wire_print(
		    fd, "GET /pieces?%u,%u HTTP/1.1\r\nHost: x\r\n\r\n", in_pieces[_i].pieces, in_pieces[_i].headers));
		response = wire_read(fd, false);
		snprintf(name, sizeof name, "X-%u", in_pieces[_i].headers - 1);
		if (in_pieces[_i].headers > 0)
			ck_assert_str_eq(or_none(wire_field(&response, name)), "a value of a header of the reply");
		expect_pattern(response, in_pieces[_i].pieces * PIECE_BYTES);
	}
	close(fd);
}
END_TEST

START_TEST(sends_twenty_mebibytes_to_a_client_that_reads_late)
{
	int fd = wire_connect_with_small_window(port);
	ck_assert(wire_print(fd,
	    "GET /pattern?%u HTTP/1.1\r\nHost: x\r\n\r\nGET /text?next HTTP/1.1\r\nHost: x\r\n\r\n", 20 * MEBIBYTE));
	for (int i = 0; i < 5; i++)
		let_a_turn_pass();
	expect_pattern(wire_read(fd, false), 20 * MEBIBYTE);
	wire_expect(wire_read(fd, false), 200, "next");
	close(fd);
}
END_TEST

static const char *const file_forms[] = { "", "s", "w", "sw" };

START_TEST(sends_the_file_that_a_callback_added)
{
	bool is_wrapped = strchr(file_forms[_i], 'w') != NULL;
	size_t before = is_wrapped ? 6 : 0;
	int fd = wire_connect(port);
	struct wire_response response;

	write_file();
	for (int n = 0; n < 2; n++) {
		ck_assert(wire_print(fd,
		    "GET /number/1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /file?%s HTTP/1.1\r\nHost: x\r\n\r\n"
		    "GET /file?%s HTTP/1.1\r\nHost: x\r\n\r\nGET /text?next HTTP/1.1\r\nHost: x\r\n\r\n",
		    file_forms[_i], file_forms[_i]));
		wire_expect(wire_read(fd, false), 200, "1");
		wire_expect(wire_read(fd, true), 200, "");
		response = wire_read(fd, false);
		ck_assert_uint_eq(response.length, FILE_SIZE + 2 * before);
		ck_assert(is_pattern(response.content + before, FILE_SIZE));
		ck_assert_int_eq(strncmp(response.content, "before", before), 0);
		ck_assert_str_eq(response.content + before + FILE_SIZE, is_wrapped ? "behind" : "");
		wire_expect(response, 200, NULL);
		wire_expect(wire_read(fd, false), 200, "next");
	}
	unlink(file_name);
	close(fd);
}
END_TEST

START_TEST(asks_for_the_next_chunk_when_the_last_one_is_sent)
{
	static const char *const targets[] = { "/pull", "/pull/later" };
	int fd = wire_connect_with_small_window(port);
	ck_assert(wire_print(
	    fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET /text?next HTTP/1.1\r\nHost: x\r\n\r\n", targets[_i]));
	let_a_turn_pass();
	expect_pattern(wire_read(fd, false), PULLED_SIZE);
	wire_expect(wire_read(fd, false), 200, "next");
	close(fd);
}
END_TEST

static const struct {
	const char *method, *target;
	int status;
} bare[] = {
	{ "HEAD", "/text?content", 200 },
	{ "HEAD", "/pattern?3000000", 200 },
	{ "HEAD", "/chunks?content", 200 },
	{ "HEAD", "/no-chunk", 200 },
	{ "HEAD", "/known-length", 200 },
	{ "HEAD", "/status?404", 404 },
	{ "HEAD", "/later?content", 200 },
	{ "HEAD", "/steps", 200 },
	{ "HEAD", "/steps/later", 200 },
	{ "HEAD", "/watched/steps", 200 },
	{ "GET", "/status?204", 204 },
	{ "GET", "/status?304", 304 },
	{ "HEAD", "/status?204", 204 },
	{ "GET", "/status/chunks?204", 204 },
	{ "GET", "/status/chunks?304", 304 },
	{ "GET", "/status/later?204", 204 },
	{ "GET", "/status/later?304", 304 },
	{ "GET", "/steps?204", 204 },
	{ "GET", "/steps?304", 304 },
	{ "GET", "/steps/later?304", 304 },
};

/* evhttp sends a part of it. */
START_TEST(sends_no_body_where_http_forbids_it)
{
	bool to_head = strcmp(bare[_i].method, "HEAD") == 0;
	int fd = wire_connect(port);
	for (int n = 0; n < 2; n++) {
		struct wire_response response;
		ck_assert(wire_print(fd, "%s %s HTTP/1.1\r\nHost: x\r\n\r\nGET /text?next HTTP/1.1\r\nHost: x\r\n\r\n",
		    bare[_i].method, bare[_i].target));
		response = wire_read(fd, to_head);
		ck_assert_ptr_null(wire_field(&response, "Transfer-Encoding"));
		wire_expect(response, bare[_i].status, "");
		wire_expect(wire_read(fd, false), 200, "next");
	}
	close(fd);
}
END_TEST

static const struct {
	const char *target, *fields;
	const char *content;
	/* has_length: set by evhttp itself; replies of a program's evhttp have no other information. */
	bool is_kept, is_in_pieces, has_length;
} old_requests[] = {
	{ "/text?old", "", "old", false, false, false },
	{ "/text?old", "Connection: keep-alive\r\n", "old", true, false, true },
	{ "/later?old", "Connection: keep-alive\r\n", "old", true, false, true },
	/* An HTTP/1.0 client learns the end of a streamed body only by the end of the connection. */
	{ "/steps", "Connection: keep-alive\r\n", "1 2 3 4 ", false, true, false },
	{ "/nothing", "Connection: keep-alive\r\n", "", true, false, false },
	{ "/chunks?two", "", "one two three", false, false, false },
	{ "/chunks?two", "Connection: keep-alive\r\n", "one two three", true, false, false },
	{ "/steps", "", "1 2 3 4 ", false, true, false },
	{ "/steps/later", "Host: x\r\n", "1 2 3 4 ", false, true, false },
	{ "/later?old", "", "old", false, false, false },
	{ "/nothing", "", "", false, false, false },
	{ "/known-length", "", "abcdef", false, false, true },
};

START_TEST(answers_http_1_0_without_chunks_and_keeps_alive_when_possible)
{
	bool has_length = guarded ? old_requests[_i].has_length : !old_requests[_i].is_in_pieces;
	int fd = wire_connect(port);
	struct wire_response response =
	    wire_ask(fd, "GET %s HTTP/1.0\r\n%s\r\n", old_requests[_i].target, old_requests[_i].fields);

	ck_assert_ptr_null(wire_field(&response, "Transfer-Encoding"));
	ck_assert_int_eq(wire_field(&response, "Content-Length") != NULL, has_length);
	wire_expect(response, 200, old_requests[_i].content);
	if (old_requests[_i].is_kept && has_length)
		wire_expect(wire_ask(fd, "GET /text?next HTTP/1.0\r\n\r\n"), 200, "next");
	ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

static const struct {
	const char *target, *connection;
} closings[] = {
	{ "/text?x", "close" },
	{ "/text?x", "TE, Close" },
	{ "/chunks?x", "close" },
	{ "/later?x", "close" },
	{ "/steps", "close" },
	{ "/steps/later", "close" },
	{ "/pattern?1000000", "close" },
	{ "/status?204", "close" },
	{ "/status?304", "close" },
	{ "/close", "close" },
	{ "/close", "keep-alive" },
	{ "/close?keep-alive", "close" },
	{ "/close?te,close", "te" },
};

START_TEST(sends_one_content_length_where_a_callback_sets_two)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, "/announced-twice");
	const char *first = strstr(response.head, "Content-Length:");
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_null(strstr(first + 1, "Content-Length:"));
	wire_expect(response, 200, "twice");
	expect_next(fd);
	/* It is undefined which of two counts. */
	ck_assert(wire_print(fd, "GET /announced-twice?6 HTTP/1.1\r\nHost: x\r\n\r\n"));
	ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

START_TEST(closes_when_client_or_callback_asks_for_it)
{
	int fd = wire_connect(port);
	struct wire_response response;

	/* The request after it is not answered. */
	ck_assert(wire_print(fd,
	    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: %s\r\n\r\nGET /text?next HTTP/1.1\r\nHost: x\r\n\r\n",
	    closings[_i].target, closings[_i].connection));
	response = wire_read(fd, false);
	ck_assert_int_lt(response.status, 400);
	ck_assert(response.is_complete);
	if (strchr(closings[_i].target, 'k') == NULL)
		ck_assert(response.closes);
	wire_free(&response);
	ck_assert(wire_is_closed(fd));
	close(fd);
}
END_TEST

/* One Date, the callback's own if it sets one. */
START_TEST(dates_every_reply_once)
{
	static const char *const requests[] = { "GET /dated HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /dated?yesterday HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET /dated HTTP/1.0\r\n\r\n",
		"GET /dated?yesterday HTTP/1.0\r\n\r\n",
		"GET /error HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" };
	const char *request = requests[_i];
	int fd = wire_connect(port);
	size_t length;
	char *reply, *date;

	ck_assert(wire_send(fd, request, strlen(request)));
	reply = wire_read_all(fd, &length);
	date = strstr(reply, "\r\nDate: ");
	ck_assert_ptr_nonnull(date);
	ck_assert_ptr_null(strstr(date + 1, "\r\nDate: "));
	if (strchr(request, '?'))
		ck_assert_int_eq(strncmp(date, "\r\nDate: yesterday\r\n", 19), 0);
	else
		ck_assert_int_eq(strncmp(date + 33, " GMT\r\n", 6), 0);
	free(reply);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- what a callback sees */

#define PEER "peer 127.0.0.1 1\n"

static const struct {
	const char *request, *description;
} seen[] = {
	{ "GET /describe HTTP/1.1\r\nHost: name:80\r\n\r\n",
	    "command 1\nuri /describe\npath /describe\nquery (none)\nhost name\n" PEER "Host=[name:80]\ninput 0 " },
	{ "PATCH /describe?a=1&b=%20 HTTP/1.1\r\nX-A: 1\r\nHost: x\r\nx-a:  2 \r\nX-Empty:\r\n\r\n",
	    "command 256\nuri /describe?a=1&b=%20\npath /describe\nquery a=1&b=%20\nhost x\n" PEER
	    "Host=[x]\nX-A=[1]\nx-a=[2]\nX-Empty=[]\ninput 0 " },
	{ "POST /describe HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	    "command 2\nuri /describe\npath /describe\nquery (none)\nhost x\n" PEER
	    "Host=[x]\nContent-Length=[5]\ninput 5 hello" },
	{ "PUT /describe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nTE: trailers\r\n\r\n"
	  "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
	    "command 8\nuri /describe\npath /describe\nquery (none)\nhost x\n" PEER
	    "Host=[x]\nContent-Length=[5]\ninput 5 hello" },
	{ "GET http://real.example:81/describe?q HTTP/1.1\r\nHost: other\r\n\r\n",
	    "command 1\nuri /describe?q\npath /describe\nquery q\nhost real.example\n" PEER
	    "Host=[real.example:81]\ninput 0 " },
	{ "GET //evil/path HTTP/1.1\r\nHost: x\r\n\r\n",
	    "command 1\nuri /evil/path\npath /evil/path\nquery (none)\nhost x\n" PEER "Host=[x]\ninput 0 " },
	{ "GET ///evil//path//?//q HTTP/1.1\r\nHost: x\r\n\r\n",
	    "command 1\nuri /evil//path//?//q\npath /evil//path//\nquery //q\nhost x\n" PEER "Host=[x]\ninput 0 " },
	{ "GET /describe HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n"
	  "Trailer: X\r\nUpgrade: websocket\r\nProxy-Connection: keep-alive\r\nX-Stays: 1\r\n\r\n",
	    "command 1\nuri /describe\npath /describe\nquery (none)\nhost x\n" PEER "Host=[x]\nX-Stays=[1]\ninput 0 " },
	{ "POST /describe HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
	    "command 2\nuri /describe\npath /describe\nquery (none)\nhost x\n" PEER
	    "Host=[x]\nContent-Length=[2]\ninput 2 hi" },
	{ "OPTIONS /describe HTTP/1.1\r\nHost: x\r\n\r\n",
	    "command 32\nuri /describe\npath /describe\nquery (none)\nhost x\n" PEER "Host=[x]\ninput 0 " },
};

START_TEST(passes_one_complete_request_to_the_callback)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "%s%s", seen[_i].request, seen[_i].request));
	wire_expect(wire_read(fd, false), 200, seen[_i].description);
	wire_expect(wire_read(fd, false), 200, seen[_i].description);
	expect_next(fd);
	close(fd);
}
END_TEST

/* Targets that browsers send although RFC 3986 forbids them, and some that URI parsers handle differently. */
static const char *const odd_targets[] = { "/odd/a|b", "/odd/^`{}", "/odd/\"<>", "/odd/\\", "/odd/[x]", "/odd/:80/@x",
	"/odd/;a=b", "/odd/?q=[a]|b^\"<>`{}\\", "/odd/?", "/odd/??a?b", "/odd/%7c?%22", "/:", "/:80", "/@", "/a:b@c",
	"/odd/..//." };

START_TEST(passes_unusual_targets_unchanged_to_the_callback)
{
	int fd = wire_connect(port);
	struct wire_response response = wire_get(fd, odd_targets[_i]);
	char expected[128];

	snprintf(expected, sizeof expected, "command 1\nuri %s\n", odd_targets[_i]);
	ck_assert_int_eq(response.status, 200);
	ck_assert_msg(strncmp(response.content, expected, strlen(expected)) == 0, "%s", response.content);
	wire_free(&response);
	expect_next(fd);
	close(fd);
}
END_TEST

START_TEST(passes_a_body_of_any_size)
{
	static const size_t lengths[] = { 1, 4096, 65535, 65536, 300000, 1048576 };
	int fd = wire_connect(port);

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct evbuffer *content = evbuffer_new();
		struct wire_response response;
		add_pattern(content, 0, lengths[i]);
		ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\n"));
		if (_i == 0)
			ck_assert(wire_print(fd, "Content-Length: %zu\r\n\r\n", lengths[i]));
		else
			ck_assert(wire_print(fd, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", lengths[i]));
		ck_assert(wire_send(fd, evbuffer_pullup(content, -1), lengths[i]));
		ck_assert(_i == 0 || wire_print(fd, "\r\n0\r\n\r\n"));
		evbuffer_free(content);
		response = wire_read(fd, false);
		ck_assert_int_eq(response.status, 201);
		ck_assert_uint_eq(response.length, lengths[i]);
		ck_assert(is_pattern(response.content, lengths[i]));
		wire_free(&response);
	}
	expect_next(fd);
	close(fd);
}
END_TEST

static const char *const pieces[] = {
	"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /text?next HTTP/1.1\r\nHost: x\r\n\r\n",
	"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
	"GET /text?next HTTP/1.1\r\nHost: x\r\n\r\n",
};

static void send_at_once(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

START_TEST(passes_a_body_cut_at_every_place)
{
	size_t length = strlen(pieces[_i]);
	int fd = wire_connect(port);
	send_at_once(fd);
	for (size_t cut = 1; cut < length; cut++) {
		ck_assert(wire_send(fd, pieces[_i], cut));
		let_a_turn_pass();
		ck_assert(wire_send(fd, pieces[_i] + cut, length - cut));
		wire_expect(wire_read(fd, false), 201, "hello");
		wire_expect(wire_read(fd, false), 200, "next");
	}
	for (size_t i = 0; i < length; i++)
		ck_assert(wire_send(fd, pieces[_i] + i, 1));
	wire_expect(wire_read(fd, false), 201, "hello");
	wire_expect(wire_read(fd, false), 200, "next");
	close(fd);
}
END_TEST

/* The callback is not called: it would reply 201. */
START_TEST(refuses_a_body_above_the_limit)
{
	int fd = wire_connect(port);
	if (_i == 0)
		ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\nabc"));
	else
		ck_assert(
		    wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n"));
	for (int i = 0; _i == 1 && i < 17; i++) {
		char piece[65536] = { 0 };
		wire_send(fd, piece, sizeof piece);
	}
	wire_expect(wire_read(fd, false), 413, NULL);
	close(fd);
}
END_TEST

/* The callback is not called. */
START_TEST(frees_a_request_whose_client_closed_before_it_was_complete)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"));
	let_a_turn_pass();
	if (_i == 0)
		vanish(fd);
	else
		close(fd);
	ck_assert(wire_wait(is_empty, NULL));
}
END_TEST

static const char *const methods_with_content[] = { "GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH" };

START_TEST(never_parses_a_body_as_the_next_request)
{
	static const char smuggled[] = "GET /text?smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
	const char *method = methods_with_content[_i];
	bool to_head = strcmp(method, "HEAD") == 0;
	int fd = wire_connect(port);

	ck_assert(wire_print(fd, "%s /text?first HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", method,
	    strlen(smuggled), smuggled));
	ck_assert(wire_print(fd,
	    "%s /text?second HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n", method,
	    strlen(smuggled), smuggled));
	wire_expect(wire_read(fd, to_head), 200, to_head ? "" : "first");
	wire_expect(wire_read(fd, to_head), 200, to_head ? "" : "second");
	expect_next(fd);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- side by side */

static void ask_one_of_many(char *bytes, size_t *length, size_t size, int number)
{
	static const char *const forms[] = { "GET /number/%d", "GET /text?%d", "GET /chunks?%d", "GET /later?%d",
		"HEAD /text?%d" };
	*length += (size_t)snprintf(bytes + *length, size - *length, forms[number % 5], number);
	*length += (size_t)snprintf(bytes + *length, size - *length, " HTTP/1.1\r\nHost: x\r\n\r\n");
}

START_TEST(answers_a_mixed_batch_of_fifty_in_order)
{
	char bytes[8192], expected[64];
	size_t length = 0;
	int fd = wire_connect(port);

	for (int i = 0; i < 50; i++)
		ask_one_of_many(bytes, &length, sizeof bytes, i);
	for (int n = 0; n < 3; n++) {
		ck_assert(wire_send(fd, bytes, length));
		for (int i = 0; i < 50; i++) {
			bool to_head = i % 5 == 4;
			snprintf(expected, sizeof expected, i % 5 == 2 ? "one %d three" : "%d", i);
			wire_expect(wire_read(fd, to_head), 200, to_head ? "" : expected);
		}
	}
	close(fd);
}
END_TEST

START_TEST(serves_many_connections_at_once)
{
	int fds[40];
	char expected[64];

	for (int n = 0; n < 2; n++) {
		for (int i = 0; i < (int)COUNT(fds); i++) {
			fds[i] = n ? fds[i] : wire_connect(port);
			ck_assert(
			    wire_print(fds[i], "GET /%s?%d HTTP/1.1\r\nHost: x\r\n\r\n", i % 2 ? "later" : "text", i));
		}
		for (int i = 0; i < (int)COUNT(fds); i++) {
			snprintf(expected, sizeof expected, "%d", i);
			wire_expect(wire_read(fds[i], false), 200, expected);
		}
	}
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
}
END_TEST

/* ---------------------------------------------------------------- notices */

START_TEST(leaves_the_completion_callback_to_the_program)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/watched"), 200, "watched");
	wire_expect(wire_get(fd, "/watched/later?late"), 200, "late");
	wire_expect(wire_get(fd, "/watched/steps"), 200, "1 2 3 4 ");
	wire_expect(wire_ask(fd, "HEAD /watched/later?late HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "");
	wire_expect(wire_ask(fd, "HEAD /watched/steps HTTP/1.1\r\nHost: x\r\n\r\n"), 200, "");
	expect_next(fd);
	expect_notes("completed completed completed completed completed ");
	close(fd);
}
END_TEST

/* By a FIN, not by a reset. */
START_TEST(calls_the_close_callback_when_the_client_of_an_open_reply_closes)
{
	char bytes[512];
	size_t length = 0;
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n"));
	do {
		ssize_t received = recv(fd, bytes + length, sizeof bytes - 1 - length, 0);
		ck_assert_int_gt(received, 0);
		length += (size_t)received;
		bytes[length] = '\0';
	} while (!strstr(bytes, "first"));
	expect_notes("");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect_notes("closed ");
	close(fd);
}
END_TEST

static const struct {
	const char *target, *line;
} wrong_lengths[] = {
	{ "/announced?5",
	    "GET /announced?5 HTTP/1.1: the evhttp callback's reply has more content than its Content-Length of 5 "
	    "bytes" },
	{ "/announced?50", "GET /announced?50 HTTP/1.1: the evhttp callback's reply has 10 bytes of content, and a "
			   "Content-Length of 50" },
	{ "/announced-twice?6",
	    "GET /announced-twice?6 HTTP/1.1: the evhttp callback's reply has two different lengths" },
};

START_TEST(says_which_callback_announced_a_wrong_length)
{
	char line[512] = "", expected[512];
	int saved = dup(STDERR_FILENO), ends[2], fd = wire_connect(port);

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", wrong_lengths[_i].target));
	free(wire_read_all(fd, NULL));
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved), close(ends[1]);
	ck_assert_int_gt(read(ends[0], line, sizeof line - 1), 0);
	close(ends[0]);
	snprintf(expected, sizeof expected, "pipit: error: %s; the connection is closed\n", wrong_lengths[_i].line);
	ck_assert_str_eq(line, expected);
	close(fd);
}
END_TEST

START_TEST(refuses_with_evhttps_page_a_body_above_the_limit_that_a_callback_set)
{
	int fd = wire_connect(port);
	struct wire_response response;
	wire_expect(wire_get(fd, "/small-limit"), 200, "small");
	response = wire_ask(fd, "POST /text?x HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world");
	ck_assert_int_eq(response.status, 413);
	ck_assert(response.is_complete);
	wire_free(&response);
	close(fd);
}
END_TEST

START_TEST(calls_the_close_callback_once_when_a_client_closes)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/watched/connection"), 200, "watched");
	expect_next(fd);
	expect_notes("");
	if (_i == 0)
		close(fd);
	else
		vanish(fd);
	expect_notes("closed ");
	let_a_turn_pass();
	expect_notes("closed ");
}
END_TEST

/* ---------------------------------------------------------------- replies given by the test, on the loop's thread */

struct order {
	size_t index; /* that the test holds */
	const char *text;
	size_t pattern; /* bytes, instead of text */
};

static void obey(void *arg)
{
	const struct order *order = arg;
	struct evbuffer *content = evbuffer_new();
	if (order->text)
		evbuffer_add(content, order->text, strlen(order->text));
	add_pattern(content, 0, order->pattern);
	evhttp_send_reply(pocket[order->index], 200, "OK", content);
	evbuffer_free(content);
}

/* Of a started reply. */
static void go_on(void *arg)
{
	const struct order *order = arg;
	send_chunk(pocket[order->index], order->text);
	evhttp_send_reply_end(pocket[order->index]);
}

/* Despite its route option the callback sets a limit or a close callback, which would stay for another client. */
START_TEST(resets_what_a_callback_set_on_a_borrowed_connection)
{
	int fd = wire_connect(port);
	wire_expect(wire_get(fd, "/small-limit"), 200, "small");
	wire_expect(
	    wire_ask(fd, "POST /text?more HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"), 200, "more");
	wire_expect(wire_get(fd, "/watched/connection"), 200, "watched");
	expect_next(fd);
	close(fd);
	fd = wire_connect(port);
	wire_expect(wire_ask(fd, "GET /text?last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200, "last");
	close(fd);
	stop();
	pipit_server_free(server);
	server = NULL;
	expect_notes("");
}
END_TEST

START_TEST(answers_deferred_requests_in_any_order)
{
	enum { MANY = 60 };
	int fds[MANY];
	char expected[16];

	for (size_t i = 0; i < MANY; i++) {
		fds[i] = wire_connect(port);
		ck_assert(wire_print(fds[i], "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
		wait_for_pocket(i + 1);
	}
	for (size_t i = 0; i < MANY; i++) {
		size_t index = i * 37 % MANY;
		snprintf(expected, sizeof expected, "%zu", index);
		loop_call(&loop, obey, &(struct order){ index, expected, 0 });
	}
	for (size_t i = 0; i < MANY; i++) {
		snprintf(expected, sizeof expected, "%zu", i);
		wire_expect(wire_read(fds[i], false), 200, expected);
		expect_next(fds[i]);
		close(fds[i]);
	}
}
END_TEST

START_TEST(keeps_pipelined_requests_waiting_for_a_deferred_reply)
{
	int fd = wire_connect(port);
	ck_assert(wire_print(fd, "GET /text?1 HTTP/1.1\r\nHost: x\r\n\r\nGET /defer HTTP/1.1\r\nHost: x\r\n\r\n"
				 "GET /text?3 HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(wire_read(fd, false), 200, "1");
	wait_for_pocket(1);
	ck_assert(
	    wire_print(fd, "GET /number/4 HTTP/1.1\r\nHost: x\r\n\r\nGET /defer/started HTTP/1.1\r\nHost: x\r\n\r\n"));
	let_a_turn_pass();
	ck_assert(is_silent(fd));
	loop_call(&loop, obey, &(struct order){ 0, "2", 0 });
	for (int i = 2; i <= 4; i++) {
		char expected[16];
		snprintf(expected, sizeof expected, "%d", i);
		wire_expect(wire_read(fd, false), 200, expected);
	}
	wait_for_pocket(2);
	ck_assert(wire_print(fd, "GET /text?next HTTP/1.1\r\nHost: x\r\n\r\n"));
	loop_call(&loop, go_on, &(struct order){ 1, "second", 0 });
	wire_expect(wire_read(fd, false), 200, "first second");
	wire_expect(wire_read(fd, false), 200, "next");
	close(fd);
}
END_TEST

static const struct {
	const char *target;
	void (*reply)(void *);
	struct order order;
	bool is_reset;   /* otherwise the client closes with a FIN */
	bool is_noticed; /* before the callback replies */
} departures[] = {
	{ "/defer", obey, { 0, "late", 0 }, false, false },
	{ "/defer", obey, { 0, "late", 0 }, true, false },
	{ "/defer", obey, { 0, "late", 0 }, true, true },
	{ "/defer", obey, { 0, NULL, 8 * MEBIBYTE }, false, false },
	{ "/defer", obey, { 0, NULL, 8 * MEBIBYTE }, true, false },
	{ "/defer", obey, { 0, NULL, 8 * MEBIBYTE }, true, true },
	{ "/defer/started", go_on, { 0, "late", 0 }, false, false },
	{ "/defer/started", go_on, { 0, "late", 0 }, true, false },
	{ "/defer/started", go_on, { 0, "late", 0 }, true, true },
	{ "/defer", obey, { 0, "late", 0 }, false, true },
	{ "/defer/watched", obey, { 0, "late", 0 }, true, true },
	{ "/defer/watched", obey, { 0, "late", 0 }, false, true },
};

START_TEST(survives_a_reply_to_a_client_that_has_closed)
{
	int fd = wire_connect(port);
	struct order order = departures[_i].order;

	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", departures[_i].target));
	wait_for_pocket(1);
	if (departures[_i].is_reset)
		vanish(fd);
	else
		close(fd);
	if (departures[_i].is_noticed)
		ck_assert(wire_wait(is_empty, NULL));
	loop_call(&loop, departures[_i].reply, &order);
	ck_assert(wire_wait(is_empty, NULL));
	expect_notes(strcmp(departures[_i].target, "/defer/watched") == 0 ? "closed " : "");
	let_a_turn_pass();
}
END_TEST

START_TEST(survives_a_client_that_closes_during_a_reply)
{
	int fd = wire_connect_with_small_window(port);
	char bytes[1000];
	write_file();
	ck_assert(wire_print(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", _i == 0 ? "/pattern?8000000" : "/file?s"));
	ck_assert_int_eq(recv(fd, bytes, sizeof bytes, MSG_WAITALL), (int)sizeof bytes);
	vanish(fd);
	ck_assert(wire_wait(is_empty, NULL));
	let_a_turn_pass();
	unlink(file_name);
}
END_TEST

static bool refuses_connections(void *arg)
{
	int fd = wire_try_connect(port);
	(void)arg;
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static void drain(void *arg)
{
	pipit_server_drain(arg);
}

START_TEST(ends_a_drain_when_the_deferred_replies_are_sent)
{
	int fd = wire_connect(port), started = wire_connect(port);
	struct wire_response response;

	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\nGET /text?never HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_pocket(1);
	ck_assert(wire_print(started, "GET /defer/started HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_pocket(2);
	loop_call(&loop, drain, server);
	ck_assert(wire_wait(refuses_connections, NULL));
	ck_assert_uint_eq(pipit_server_connections(server), 2);
	loop_call(&loop, obey, &(struct order){ 0, NULL, 3 * MEBIBYTE });
	response = wire_read(fd, false);
	ck_assert(response.closes);
	expect_pattern(response, 3 * MEBIBYTE);
	ck_assert(wire_is_closed(fd));
	loop_call(&loop, go_on, &(struct order){ 1, "second", 0 });
	wire_expect(wire_read(started, false), 200, "first second");
	ck_assert(wire_is_closed(started));
	ck_assert(wire_wait(is_empty, NULL));
	close(fd);
	close(started);
}
END_TEST

static void stop_and_free(void *arg)
{
	pipit_server_free(arg);
	server = NULL;
}

static void obey_twice(void *arg)
{
	(void)arg;
	obey(&(struct order){ 0, "late", 0 });
	go_on(&(struct order){ 1, "late", 0 });
}

/* The callback still has its requests, and replies when the server is freed: before or after libevent has cleaned up. */
START_TEST(survives_replies_after_the_server_was_freed)
{
	int fd = wire_connect(port), started = wire_connect(port);

	ck_assert(wire_print(fd, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_pocket(1);
	ck_assert(wire_print(started, "GET /defer/started HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for_pocket(2);
	if (_i == 0) {
		loop_call(&loop, stop_and_free, server);
		ck_assert(wire_is_closed(fd));
		loop_call(&loop, obey_twice, NULL);
	} else {
		stop();
		pipit_server_free(server);
		server = NULL;
		obey_twice(NULL);
	}
	close(fd);
	close(started);
}
END_TEST

/* ---------------------------------------------------------------- beside plain evhttp */

static const char *const compared[] = {
	"GET /text?hello HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /text HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /text?gone HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /pattern?100000 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /pattern?3000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"GET /file HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /file?w HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /chunks?two HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /no-chunk HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /known-length HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /status?503 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /status/chunks?403 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /status/later?403 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /error HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /error?Lost HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /redirect HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"GET /close HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /owned HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /later?late HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /steps HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /steps/later HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /pull HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /watched HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /text?old HTTP/1.0\r\n\r\n",
	"GET /chunks?old HTTP/1.0\r\n\r\n",
	"GET /steps HTTP/1.0\r\n\r\n",
	"GET /describe?q=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: check\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n",
	"POST /describe HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
	"POST /describe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"GET /describe HTTP/1.0\r\nUser-Agent: check\r\n\r\n",
};

static struct wire_response ask(unsigned of_port, const char *request)
{
	int fd = wire_connect(of_port);
	struct wire_response response = wire_ask(fd, "%s", request);
	close(fd);
	return response;
}

START_TEST(answers_as_plain_evhttp_does)
{
	struct wire_response ours, theirs;
	char *type;

	write_file();
	ours = ask(port, compared[_i]);
	theirs = ask(plain_port, compared[_i]);
	unlink(file_name);
	ck_assert_int_ne(theirs.status, 0);
	ck_assert_int_eq(ours.status, theirs.status);
	ck_assert(ours.is_complete);
	ck_assert(theirs.is_complete);
	ck_assert_int_eq(ours.is_chunked, theirs.is_chunked);
	ck_assert_uint_eq(ours.length, theirs.length);
	ck_assert_str_eq(ours.content, theirs.content);
	type = strdup(or_none(wire_field(&theirs, "Content-Type")));
	ck_assert_str_eq(or_none(wire_field(&ours, "Content-Type")), type);
	free(type);
	wire_free(&ours);
	wire_free(&theirs);
}
END_TEST

/* ---------------------------------------------------------------- the suite */

static TCase *add_case(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, prepare, tear_down);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static void add_served_tests(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tcase = add_case(suite, name, prepare);
	tcase_add_loop_test(tcase, sends_what_the_callback_replies, 0, COUNT(replies));
	tcase_add_loop_test(tcase, sends_the_error_page_of_evhttp, 0, COUNT(errors));
	tcase_add_loop_test(tcase, sends_a_reply_of_many_pieces, 0, COUNT(in_pieces));
	tcase_add_test(tcase, sends_twenty_mebibytes_to_a_client_that_reads_late);
	tcase_add_loop_test(tcase, sends_the_file_that_a_callback_added, 0, COUNT(file_forms));
	tcase_add_loop_test(tcase, asks_for_the_next_chunk_when_the_last_one_is_sent, 0, 2);
	tcase_add_loop_test(tcase, sends_no_body_where_http_forbids_it, 0, COUNT(bare));
	tcase_add_loop_test(
	    tcase, answers_http_1_0_without_chunks_and_keeps_alive_when_possible, 0, COUNT(old_requests));
	tcase_add_loop_test(tcase, closes_when_client_or_callback_asks_for_it, 0, COUNT(closings));
	tcase_add_test(tcase, sends_one_content_length_where_a_callback_sets_two);
	tcase_add_loop_test(tcase, dates_every_reply_once, 0, 5);
	tcase_add_loop_test(tcase, passes_unusual_targets_unchanged_to_the_callback, 0, COUNT(odd_targets));
	tcase_add_loop_test(tcase, passes_a_body_of_any_size, 0, 2);
	tcase_add_loop_test(tcase, passes_a_body_cut_at_every_place, 0, COUNT(pieces));
	tcase_add_loop_test(tcase, refuses_a_body_above_the_limit, 0, 2);
	tcase_add_loop_test(tcase, frees_a_request_whose_client_closed_before_it_was_complete, 0, 2);
	tcase_add_loop_test(tcase, never_parses_a_body_as_the_next_request, 0, COUNT(methods_with_content));
	tcase_add_test(tcase, answers_a_mixed_batch_of_fifty_in_order);
	tcase_add_test(tcase, serves_many_connections_at_once);
	tcase_add_test(tcase, leaves_the_completion_callback_to_the_program);
	tcase_add_loop_test(tcase, survives_a_client_that_closes_during_a_reply, 0, 2);
}

/* Of callbacks that ask for the address of their client. */
static void add_identity_tests(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tcase = add_case(suite, name, prepare);
	tcase_add_loop_test(tcase, passes_one_complete_request_to_the_callback, 0, COUNT(seen));
	tcase_add_loop_test(tcase, calls_the_close_callback_once_when_a_client_closes, 0, 2);
	tcase_add_loop_test(tcase, says_which_callback_announced_a_wrong_length, 0, (int)COUNT(wrong_lengths));
	tcase_add_test(tcase, calls_the_close_callback_when_the_client_of_an_open_reply_closes);
	tcase_add_test(tcase, refuses_with_evhttps_page_a_body_above_the_limit_that_a_callback_set);
}

/* These run on the loop's thread. */
static void add_attached_tests(Suite *suite, const char *name, void (*prepare)(void))
{
	TCase *tcase = add_case(suite, name, prepare);
	tcase_add_test(tcase, answers_deferred_requests_in_any_order);
	tcase_add_test(tcase, keeps_pipelined_requests_waiting_for_a_deferred_reply);
	tcase_add_loop_test(tcase, survives_a_reply_to_a_client_that_has_closed, 0, COUNT(departures));
	tcase_add_test(tcase, ends_a_drain_when_the_deferred_replies_are_sent);
	tcase_add_loop_test(tcase, survives_replies_after_the_server_was_freed, 0, 2);
}

int main(void)
{
	Suite *suite = suite_create("evhttp");
	TCase *tcase;

	/* pipit_server_attach() requires it of the application. */
	signal(SIGPIPE, SIG_IGN);
	add_served_tests(suite, "two workers", set_up_workers);
	add_served_tests(suite, "attached", set_up_attached);
	add_served_tests(suite, "borrowed", set_up_borrowed);
	add_served_tests(suite, "guarded", set_up_guarded);
	add_identity_tests(suite, "two workers, client", set_up_workers);
	add_identity_tests(suite, "attached, client", set_up_attached);
	add_identity_tests(suite, "guarded, client", set_up_guarded);
	tcase = add_case(suite, "borrowed, client", set_up_borrowed);
	tcase_add_test(tcase, resets_what_a_callback_set_on_a_borrowed_connection);
	add_attached_tests(suite, "attached, deferred", set_up_attached);
	add_attached_tests(suite, "borrowed, deferred", set_up_borrowed);
	add_attached_tests(suite, "guarded, deferred", set_up_guarded);
	tcase = add_case(suite, "attached, compared", set_up_attached);
	tcase_add_loop_test(tcase, answers_as_plain_evhttp_does, 0, COUNT(compared));
	tcase = add_case(suite, "guarded, compared", set_up_guarded);
	tcase_add_loop_test(tcase, answers_as_plain_evhttp_does, 0, COUNT(compared));
	return run_suite(suite);
}
