/* SPDX-License-Identifier: MIT */
/* See classic.h. Every function of libevent that is used in an unusual way says why here. */
#include "classic.h"

#include "bytes.h"
#include "output.h"
#include "reply.h"
#include "reserve.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>

/* Set aside for the head of a classic callback's reply; libevent makes 2 KiB of it. */
#define CLASSIC_HEAD_SIZE 1900

/* --- a connection of evhttp for every client ----------------------------------------------------------------------- */

/* No byte takes the filter's own way (large bodies would stick, closing replies be lost). But the filter asks whenever bytes
 * are added to the output of an enabled bufferevent: that is the notice that a deferred callback has replied. */
static enum bufferevent_filter_result on_output(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	struct pipit_connection *connection = context;
	(void)source, (void)target, (void)limit, (void)mode;
	if (connection->transport->current != connection)
		pipit_connection_wake(connection);
	return BEV_NEED_MORE;
}

/* The one reliable notice that evhttp let the connection go. */
static void on_free(void *context)
{
	pipit_connection_free(context);
}

static enum bufferevent_filter_result no_input(
    struct evbuffer *source, struct evbuffer *target, ev_ssize_t limit, enum bufferevent_flush_mode mode, void *context)
{
	(void)source, (void)target, (void)limit, (void)mode, (void)context;
	return BEV_NEED_MORE;
}

/* A filter over a socket bufferevent that neither reads nor writes: nothing is registered with epoll. */
bool pipit_classic_attach(struct pipit_connection *connection)
{
	struct bufferevent *socket_bev = bufferevent_socket_new(connection->transport->base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (!socket_bev)
		return false;
	connection->bev =
	    bufferevent_filter_new(socket_bev, no_input, on_output, BEV_OPT_CLOSE_ON_FREE, on_free, connection);
	if (!connection->bev) {
		bufferevent_free(socket_bev);
		return false;
	}
	/* bufferevent_filter_new() enabled it. */
	bufferevent_disable(socket_bev, EV_READ | EV_WRITE);
	/* Lets evbuffer_write() use sendfile() for a body that a callback added with evbuffer_add_file(). */
	evbuffer_set_flags(bufferevent_get_output(connection->bev), EVBUFFER_FLAG_DRAINS_TO_FD);
	return true;
}

/*
 * evhttp's bevcb, called while it accepts. It must never return NULL: evhttp would make a plain socket bufferevent instead,
 * and that client would talk to evhttp unguarded. So a connection is always made one ahead.
 *
 * evhttp sets the descriptor after this returns; turn_end adopts the connection then.
 */
static struct bufferevent *take_spare(struct event_base *base, void *context)
{
	struct pipit_connection *connection = pipit_connection_take_spare(context);
	(void)base;
	pipit_connection_wake(connection);
	return connection->bev;
}

/* --- showing evhttp a message -------------------------------------------------------------------------------------- */

/* Fields between the client and us (RFC 9110 §7.6.1), and those that pipit has dealt with: evhttp would answer Expect
 * itself, and take a Transfer-Encoding for the framing that it no longer is. */
static bool is_hidden(struct pipit_slice name)
{
	static const char *const hidden[] = { "Connection", "Content-Length", "Expect", "Keep-Alive",
		"Proxy-Connection", "Transfer-Encoding", "Trailer", "TE", "Upgrade" };
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		if (pipit_slice_equals_nocase(name, hidden[i]))
			return true;
	}
	return false;
}

static char *put_slice(char *at, struct pipit_slice slice)
{
	return pipit_bytes_put(at, slice.data, slice.length);
}

/* Origin-form, whatever form was sent. Several leading slashes become one: evhttp would read "//name/" as an authority. */
static char *put_request_line(char *at, const struct pipit_connection *connection)
{
	const struct pipit_guard_head *head = connection->head;
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);

	at = pipit_bytes_put(at, head->bytes, head->method_length);
	*at++ = ' ';
	while (path.length > 1 && path.data[0] == '/' && path.data[1] == '/')
		path.data++, path.length--;
	at = put_slice(at, path);
	if (head->query) {
		*at++ = '?';
		at = put_slice(at, pipit_guard_slice(head, head->query, head->query_length));
	}
	/* A callback must not answer an HTTP/1.0 client in chunks. */
	return head->minor == 0 ? PIPIT_BYTES_PUT(at, " HTTP/1.0\r\n") : PIPIT_BYTES_PUT(at, " HTTP/1.1\r\n");
}

static char *put_fields(char *at, const struct pipit_connection *connection, size_t body_length)
{
	const struct pipit_guard_head *head = connection->head;

	if (head->host) {
		at = PIPIT_BYTES_PUT(at, "Host: ");
		at = put_slice(at, pipit_guard_slice(head, head->host, head->host_length));
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		struct pipit_slice name = pipit_guard_slice(head, field->name, field->name_length);
		if (is_hidden(name) || pipit_slice_equals_nocase(name, "Host"))
			continue;
		at = put_slice(at, name);
		at = PIPIT_BYTES_PUT(at, ": ");
		at = put_slice(at, pipit_guard_slice(head, field->value, field->value_length));
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	/* An empty content may have been announced too. */
	if (body_length || head->framing == PIPIT_FRAMING_CHUNKED || pipit_guard_find(head, "Content-Length"))
		at += sprintf(at, "Content-Length: %zu\r\n", body_length);
	return at;
}

static bool put_message(struct pipit_connection *connection, struct pipit_slice body)
{
	struct evbuffer *input = bufferevent_get_input(connection->bev);
	const struct pipit_guard_head *head = connection->head;
	/* evhttp reads the next request out of the content of a HEAD. */
	size_t body_length = connection->is_head ? 0 : body.length;
	struct evbuffer_iovec space;
	size_t bound = 2 * head->length + head->field_count * 2 + 128;
	char *at;

	if (evbuffer_reserve_space(input, (ev_ssize_t)bound, &space, 1) != 1)
		return false;
	at = put_request_line(space.iov_base, connection);
	at = put_fields(at, connection, body_length);
	at = PIPIT_BYTES_PUT(at, "\r\n");
	space.iov_len = (size_t)(at - (char *)space.iov_base);
	if (evbuffer_commit_space(input, &space, 1) != 0)
		return false;
	if (body_length && evbuffer_add(input, body.data, body_length) != 0) {
		evbuffer_drain(input, evbuffer_get_length(input));
		return false;
	}
	return true;
}

bool pipit_classic_show(struct pipit_connection *connection, struct pipit_slice body)
{
	/* What evhttp has begun it must be able to end. */
	if (pipit_reserve_is_low())
		return false;
	connection->classic_called = false;
	connection->classic_head_done = false;
	/* evhttp writes a head without looking whether there is memory for it. A head that does not end would have adopt_head()
	 * search in what follows, which need not be memory. */
	if (evbuffer_expand(bufferevent_get_output(connection->bev), CLASSIC_HEAD_SIZE) != 0)
		return false;
	if (!put_message(connection, body))
		return false;
	bufferevent_trigger(connection->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
	return connection->classic_called;
}

static void on_complete(struct evhttp_request *request, void *context)
{
	struct pipit_connection *connection = context;
	(void)request;
	if (connection->transport->current != connection)
		pipit_connection_wake(connection);
}

static bool is_reading(const struct pipit_connection *connection);

/* evhttp's generic callback; it has no other. */
static void on_request(struct evhttp_request *request, void *context)
{
	struct pipit_transport *transport = context;
	struct pipit_connection *connection = transport->current;

	connection->classic_called = true;
	evhttp_request_set_on_complete_cb(request, on_complete, connection);
	/* Else evhttp renders one for each reply, which costs as much as routing and guarding together. */
	if (connection->minor >= 1)
		evhttp_add_header(evhttp_request_get_output_headers(request), "Date", pipit_transport_date(transport));
	transport->hooks->call(transport->context, connection, request);
	/* A reply that comes later is dated then, by evhttp (RFC 9110 §6.6.1). */
	if (connection->minor >= 1 && !pipit_connection_is_gone(connection) && !is_reading(connection) &&
	    evbuffer_get_length(bufferevent_get_output(connection->bev)) == 0)
		evhttp_remove_header(evhttp_request_get_output_headers(request), "Date");
}

/* --- where evhttp stands ------------------------------------------------------------------------------------------- */

/* evhttp waits for the next request: the reply of the last one is complete and written. */
static bool is_reading(const struct pipit_connection *connection)
{
	bufferevent_data_cb read_cb;
	bufferevent_getcb(connection->bev, &read_cb, NULL, NULL, NULL);
	/* While a handler works evhttp disables reading; while it writes it has no read callback. */
	return read_cb != NULL && (bufferevent_get_enabled(connection->bev) & EV_READ);
}

size_t pipit_classic_waiting(const struct pipit_connection *connection)
{
	if (!connection->is_classic || !connection->request || pipit_connection_is_gone(connection))
		return 0;
	return evbuffer_get_length(bufferevent_get_output(connection->bev));
}

/* --- a classic callback's reply ------------------------------------------------------------------------------------ */

/* Put a head that is valid in the place of the one in front of `output`; without content, of all that is there. *length is
 * the old one's and becomes the new one's. False when memory is short. */
static bool amend_head(struct evbuffer *output, const char *head, size_t *length,
    const struct pipit_reply_classic *classic, bool closes, const char *date)
{
	char *amended = malloc(*length + PIPIT_REPLY_AMENDMENTS_MAX);
	size_t amended_length;
	bool is_amended;

	if (!amended)
		return false;
	amended_length = pipit_reply_amend_classic(amended, head, *length, classic, closes, date);
	evbuffer_drain(output, classic->has_content ? *length : evbuffer_get_length(output));
	is_amended = evbuffer_prepend(output, amended, amended_length) == 0;
	free(amended);
	*length = amended_length;
	return is_amended;
}

/* In one piece, up to and with its empty line. NULL when there is none, or memory is short. */
static const char *find_head(struct evbuffer *output, size_t *length)
{
	struct evbuffer_iovec first;
	struct evbuffer_ptr end;
	const char *blank = NULL;

	/* Mostly all of it lies where room was set aside for it. */
	if (evbuffer_peek(output, -1, NULL, &first, 1) >= 1 && first.iov_len <= CLASSIC_HEAD_SIZE)
		blank = memmem(first.iov_base, first.iov_len, "\r\n\r\n", 4);
	if (blank) {
		*length = (size_t)(blank + 4 - (const char *)first.iov_base);
		return first.iov_base;
	}
	end = evbuffer_search(output, "\r\n\r\n", 4, NULL);
	if (end.pos < 0)
		return NULL;
	*length = (size_t)end.pos + 4;
	return (const char *)evbuffer_pullup(output, (ev_ssize_t)*length);
}

/*
 * The reply stays in evhttp's buffer and leaves from there, because only evbuffer_write() knows how to read all of it (a body
 * added as a file is no memory). So the head is changed in place, and only when it must be. evhttp writes a whole head before
 * anybody else gets to look. False when memory is short.
 */
static bool adopt_head(struct pipit_connection *connection, struct evbuffer *output)
{
	struct pipit_reply_classic classic;
	size_t length;
	const char *head = find_head(output, &length);
	bool closes;

	if (!head)
		return false;
	pipit_reply_read_classic(head, length, connection->is_head, &classic);
	closes = classic.closes || !pipit_connection_may_stay(connection);
	/* evhttp leaves out what it has no memory for, be it the status line; and a callback's 1xx would be no reply. */
	if (strncmp(head, "HTTP/1.", 7) != 0 || classic.status < 200 || classic.status > 599)
		return false;
	/* Nothing would tell the client where the content ends. */
	if (classic.has_content && !classic.is_chunked && classic.content_length < 0 && !closes)
		return false;
	if ((!classic.has_content || closes || classic.dates != 1 || classic.is_invalid) &&
	    !amend_head(output, head, &length, &classic, closes,
		classic.dates ? NULL : pipit_transport_date(connection->transport)))
		return false;
	connection->status = classic.status;
	connection->classic_head_left = length;
	connection->classic_has_content = classic.has_content;
	connection->classic_length = classic.has_content && !classic.is_chunked ? classic.content_length : -1;
	connection->classic_head_done = true;
	connection->keep_alive = !closes;
	return true;
}

static void count_sent(struct pipit_connection *connection, size_t sent)
{
	size_t of_head = sent < connection->classic_head_left ? sent : connection->classic_head_left;
	connection->classic_head_left -= of_head;
	connection->content_bytes += sent - of_head;
	connection->window_bytes += sent;
	connection->moved_ms = connection->transport->now_ms;
	pipit_stats_add(connection->transport->stats, PIPIT_COUNT_SENT, sent);
}

/* More content than was announced would be read as the next reply. */
static bool exceeds_length(const struct pipit_connection *connection, size_t buffered)
{
	return connection->classic_head_done && connection->classic_length >= 0 &&
	       connection->content_bytes + (buffered - connection->classic_head_left) >
		   (uint64_t)connection->classic_length;
}

/* Take what evhttp has written. False when something is stuck or broken. */
static bool send_output(struct pipit_connection *connection, struct evbuffer *output)
{
	if (!connection->classic_head_done && !adopt_head(connection, output))
		connection->broken = true;
	/* Content that evhttp added later for a reply that has none. */
	if (!connection->classic_has_content && connection->classic_head_left == 0)
		evbuffer_drain(output, evbuffer_get_length(output));
	if (exceeds_length(connection, evbuffer_get_length(output)))
		connection->broken = true;
	if (connection->transport->current == connection)
		pipit_output_flush(connection, true);
	while (!connection->broken && !pipit_output_is_stuck(connection) && evbuffer_get_length(output) > 0) {
		int sent;
		/* With sendfile() it returns 0 for a full socket, too, and not only for a file that has become shorter. */
		errno = 0;
		sent = evbuffer_write(output, connection->fd);
		if (sent <= 0) {
			connection->broken = errno != EAGAIN && errno != EINTR && errno != ENOBUFS;
			return false;
		}
		count_sent(connection, (size_t)sent);
	}
	return !connection->broken && evbuffer_get_length(output) == 0;
}

bool pipit_classic_pump(struct pipit_connection *connection)
{
	while (!pipit_connection_is_gone(connection) && !is_reading(connection)) {
		struct evbuffer *output = bufferevent_get_output(connection->bev);
		if (evbuffer_get_length(output) == 0 || !send_output(connection, output))
			return false;
		/* "All is written": evhttp calls back for the next chunk, or finishes the request. */
		bufferevent_trigger(connection->bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
	}
	/* Less than was announced: a client would wait for the rest. */
	if (connection->classic_head_done && connection->classic_length >= 0 &&
	    connection->content_bytes < (uint64_t)connection->classic_length) {
		connection->broken = true;
		return false;
	}
	/* evhttp gives up a connection when it is short of memory: nothing was replied then. */
	return connection->classic_head_done;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

void pipit_classic_drop(struct pipit_connection *connection)
{
	connection->is_closed = true;
	/* With a request at its handler evhttp lets go of the request, which the handler's reply then frees. */
	bufferevent_trigger_event(connection->bev, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
}

int pipit_classic_open(struct pipit_transport *transport)
{
	transport->http = evhttp_new(transport->base);
	if (!transport->http)
		return -ENOMEM;
	evhttp_set_bevcb(transport->http, take_spare, transport);
	evhttp_set_gencb(transport->http, on_request, transport);
	/* The router has decided already; evhttp must not refuse a method by itself. */
	evhttp_set_allowed_methods(transport->http, 0xffff);
	return 0;
}

void pipit_classic_close(struct pipit_transport *transport)
{
	if (transport->http)
		evhttp_free(transport->http);
	transport->http = NULL;
}
