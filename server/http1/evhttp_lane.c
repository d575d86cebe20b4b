/* SPDX-License-Identifier: MIT */
/* See evhttp_lane.h. */
#include "http1/evhttp_lane.h"

#include "base/bytes.h"
#include "base/log.h"
#include "http/response_head.h"
#include "http1/evhttp_link.h"
#include "net/oom_reserve.h"
#include "net/output.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

/* For the head of a reply: libevent allocates 1 KiB, which freelist.c caches. */
#define REPLY_HEAD_SIZE 976
#define SHOWN_HEAD_SLACK 1024
#define BATCHED_BYTES_MAX (16 * 1024)
/* Of a piece that may be a file, no more is counted as memory. */
#define FILE_BYTES_MAX (1024 * 1024)

/* --- what evhttp is shown ------------------------------------------------------------------------------------------ */

/* Headers between client and pipit (RFC 9110 §7.6.1), and those that pipit has processed: evhttp would answer Expect, and frame by
 * Transfer-Encoding. Switched by length: most headers are none of these. */
static bool is_hidden(struct pipit_slice name)
{
	switch (name.length) {
	case 2:
		return pipit_slice_equals_nocase(name, "TE");
	case 4:
		return pipit_slice_equals_nocase(name, "Host");
	case 6:
		return pipit_slice_equals_nocase(name, "Expect");
	case 7:
		return pipit_slice_equals_nocase(name, "Upgrade") || pipit_slice_equals_nocase(name, "Trailer");
	case 10:
		return pipit_slice_equals_nocase(name, "Connection") || pipit_slice_equals_nocase(name, "Keep-Alive");
	case 14:
		return pipit_slice_equals_nocase(name, "Content-Length");
	case 16:
		return pipit_slice_equals_nocase(name, "Proxy-Connection");
	case 17:
		return pipit_slice_equals_nocase(name, "Transfer-Encoding");
	default:
		return false;
	}
}

static char *put_slice(char *at, struct pipit_slice slice)
{
	return pipit_bytes_put(at, slice.data, slice.length);
}

/* In origin-form. Several leading slashes become one: evhttp would read "//name/" as an authority. */
static char *put_request_line(char *at, const struct pipit_guard_head *head)
{
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
	/* HTTP/1.0 has no chunks. */
	return head->minor == 0 ? PIPIT_BYTES_PUT(at, " HTTP/1.0\r\n") : PIPIT_BYTES_PUT(at, " HTTP/1.1\r\n");
}

static char *put_field(char *at, const struct pipit_guard_head *head, const struct pipit_guard_field *field)
{
	at = put_slice(at, pipit_guard_slice(head, field->name, field->name_length));
	at = PIPIT_BYTES_PUT(at, ": ");
	at = put_slice(at, pipit_guard_slice(head, field->value, field->value_length));
	return PIPIT_BYTES_PUT(at, "\r\n");
}

static char *put_fields(char *at, const struct pipit_guard_head *head, size_t body_length)
{
	/* Of an empty body, too. */
	bool has_length = head->framing != PIPIT_FRAMING_NONE;

	if (head->minor == 0 && head->keep_alive)
		at = PIPIT_BYTES_PUT(at, "Connection: keep-alive\r\n");
	if (head->host) {
		at = PIPIT_BYTES_PUT(at, "Host: ");
		at = put_slice(at, pipit_guard_slice(head, head->host, head->host_length));
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		if (!is_hidden(pipit_guard_slice(head, field->name, field->name_length)))
			at = put_field(at, head, field);
		else
			has_length |= field->name_length == sizeof "Content-Length" - 1;
	}
	if (has_length)
		at += sprintf(at, "Content-Length: %zu\r\n", body_length);
	return PIPIT_BYTES_PUT(at, "\r\n");
}

/* One buffer per worker: evhttp copies the head before it calls back. */
static char *room_for_head(struct pipit_evhttp_lane *lane, const struct pipit_guard_head *head)
{
	size_t bound = 2 * head->length + head->field_count * 2 + 128;
	char *larger;

	if (bound <= lane->head_capacity)
		return lane->head;
	larger = realloc(lane->head, bound + SHOWN_HEAD_SLACK);
	if (!larger)
		return NULL;
	lane->head = larger;
	lane->head_capacity = bound + SHOWN_HEAD_SLACK;
	return larger;
}

static void free_content(const void *content, size_t length, void *context)
{
	(void)length, (void)context;
	free((void *)content);
}

/* A collected body is moved; a body in the input is copied. */
static bool put_content(struct pipit_connection *connection, struct evbuffer *input, struct pipit_slice body)
{
	if (body.data != connection->exchange.body)
		return evbuffer_add(input, body.data, body.length) == 0;
	if (evbuffer_add_reference(input, body.data, body.length, free_content, NULL) != 0)
		return false;
	connection->exchange.handed_bytes = connection->exchange.body_capacity;
	connection->exchange.body = NULL;
	connection->exchange.body_length = connection->exchange.body_capacity = 0;
	return true;
}

static bool put_message(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_evhttp_lane *lane = connection->net->evhttp;
	struct evbuffer *input = bufferevent_get_input(connection->evhttp->bev);
	const struct pipit_guard_head *head = connection->exchange.head;
	char *start = room_for_head(lane, head), *end;

	if (!start)
		return false;
	/* evhttp would read the next request out of the body of a HEAD. */
	if (connection->exchange.is_head)
		body.length = 0;
	end = put_request_line(start, head);
	end = put_fields(end, head, body.length);
	return evbuffer_add_reference(input, start, (size_t)(end - start), NULL, NULL) == 0 &&
	       (body.length == 0 || put_content(connection, input, body));
}

/* --- where evhttp stands ------------------------------------------------------------------------------------------- */

/* evhttp disables reading while a callback works, and enables writing while it writes. So does pipit_evhttp_lane_defer(), whatever the
 * callback enables. */
static bool is_reading(const struct pipit_evhttp_link *link)
{
	return bufferevent_get_enabled(link->bev) == EV_READ;
}

/* After evhttp or a callback has run. */
static void look_at_link(struct pipit_evhttp_link *link)
{
	link->is_released = pipit_evhttp_link_is_released(link);
	/* pipit_evhttp_link_return() takes that of a borrowed link. */
	if (!link->is_released && link->net->evhttp_mode != PIPIT_EVHTTP_BORROWED)
		pipit_evhttp_link_take_timeout(link);
}

/* evhttp may release the link. */
static void trigger(struct pipit_evhttp_link *link, short what)
{
	bufferevent_trigger(link->bev, what, BEV_TRIG_IGNORE_WATERMARKS);
	look_at_link(link);
}

static bool is_bad_request(struct evbuffer *output)
{
	char line[sizeof "HTTP/1.1 400" - 1];
	return evbuffer_copyout(output, line, sizeof line) == (ev_ssize_t)sizeof line &&
	       memcmp(line + sizeof "HTTP/1.1" - 1, " 400", 4) == 0;
}

/*
 * evhttp has called the program's callback, or replied by itself (404, 413, 501). In mode GUARDED it leaves only input that it has no
 * memory for. In other modes, without a call of on_request(), a reply comes from a limit that a callback has set; but a 400 to a
 * well-formed message from a failed allocation.
 */
static bool is_answered(const struct pipit_evhttp_link *link)
{
	struct evbuffer *output = bufferevent_get_output(link->bev);

	if (link->net->evhttp_mode == PIPIT_EVHTTP_GUARDED)
		return evbuffer_get_length(output) > 0 || evbuffer_get_length(bufferevent_get_input(link->bev)) == 0;
	return evbuffer_get_length(output) > 0 && !is_bad_request(output);
}

static void begin_request(struct pipit_evhttp_link *link)
{
	link->was_called = link->is_head_done = link->is_released = link->stays = link->owes_notice = false;
	link->largest = link->output_length = 0;
	link->behind_since_ms = 0;
	link->request = NULL;
}

/* Allocates what evhttp uses without a check. */
static bool is_ready(struct pipit_connection *connection)
{
	/* evhttp must be able to end what it begins. */
	if (pipit_oom_reserve_is_low() || (!connection->evhttp && !pipit_evhttp_link_borrow(connection)))
		return false;
	/* Without room evhttp writes a head that does not end. */
	return evbuffer_expand(bufferevent_get_output(connection->evhttp->bev), REPLY_HEAD_SIZE) == 0;
}

/* evhttp has released the link, or memory was short: the link's state is unknown. */
static enum pipit_refusal lose_link(struct pipit_connection *connection)
{
	if (connection->net->evhttp_mode == PIPIT_EVHTTP_BORROWED)
		pipit_evhttp_link_close(connection);
	else if (connection->evhttp->is_released)
		/* evhttp may have shut down the client's socket. */
		pipit_output_abort(connection);
	return PIPIT_REFUSAL_EVHTTP;
}

static bool call(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	struct evbuffer *input = bufferevent_get_input(link->bev);
	bool is_borrowed = link->net->evhttp_mode == PIPIT_EVHTTP_BORROWED;

	begin_request(link);
	if (put_message(connection, body)) {
		if (!is_borrowed)
			pipit_evhttp_link_show_descriptor(link, true);
		trigger(link, EV_READ);
		if (!is_borrowed)
			pipit_evhttp_link_show_descriptor(link, false);
		if (!link->was_called)
			link->was_called = !link->is_released && is_answered(link);
	}
	/* Unread input must not precede the next message. */
	if (!link->is_released && evbuffer_get_length(input) > 0)
		evbuffer_drain(input, evbuffer_get_length(input));
	return link->was_called;
}

enum pipit_refusal pipit_evhttp_lane_show(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_evhttp_link *link = connection->evhttp;

	/* The program may have freed it since the last request. */
	if (link && pipit_evhttp_link_is_released(link)) {
		link->is_released = true;
		return lose_link(connection);
	}
	if (!is_ready(connection))
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	return call(connection, body) ? PIPIT_REFUSAL_NONE : lose_link(connection);
}

/* --- the callback of a route --------------------------------------------------------------------------------------- */

/* Only libevent frees libevent's memory. */
static void drop_date(struct pipit_evhttp_lane *lane)
{
	struct evkeyvalq fields;
	TAILQ_INIT(&fields);
	if (lane->date_field)
		TAILQ_INSERT_HEAD(&fields, lane->date_field, next);
	evhttp_clear_headers(&fields);
	lane->date_field = NULL;
}

/*
 * evhttp's own date costs as much as routing and guarding together, and adding a header three allocations: keep_date() takes the header
 * out of a reply before evhttp frees it, for the next.
 */
static void put_date(struct pipit_net *net, struct evkeyvalq *fields)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	const char *date = pipit_net_date(net);
	struct evkeyval *field = lane->date_field;

	if (field && lane->date_field_second == net->date_second) {
		lane->date_field = NULL;
		TAILQ_INSERT_HEAD(fields, field, next);
	} else {
		evhttp_add_header(fields, "Date", date);
	}
}

static void keep_date(struct pipit_net *net, struct evkeyvalq *fields)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	struct evkeyval *field = TAILQ_FIRST(fields);

	if (lane->date_field && lane->date_field_second == net->date_second)
		return;
	if (!field || strcmp(field->key, "Date") != 0 || strcmp(field->value, net->date) != 0)
		return;
	drop_date(lane);
	TAILQ_REMOVE(fields, field, next);
	lane->date_field = field;
	lane->date_field_second = net->date_second;
}

/* evhttp checks next whether it closes: a borrowed link outlives the client's connection. */
static void keep_link(const struct pipit_connection *connection, struct evhttp_request *request)
{
	if (!connection->evhttp->stays)
		evhttp_remove_header(evhttp_request_get_output_headers(request), "Connection");
	if (connection->exchange.minor == 0)
		evhttp_add_header(evhttp_request_get_input_headers(request), "Connection", "keep-alive");
}

static void on_complete(struct evhttp_request *request, void *context)
{
	struct pipit_evhttp_link *link = context;
	struct pipit_net *net = link->net;
	struct pipit_connection *connection = link->connection;

	link->request = NULL;
	keep_date(net, evhttp_request_get_output_headers(request));
	if (!connection)
		return;
	if (net->evhttp_mode == PIPIT_EVHTTP_BORROWED)
		keep_link(connection, request);
	if (net->current != connection)
		pipit_connection_wake(connection);
}

/* evhttp's generic callback, its only one. */
static void on_request(struct evhttp_request *request, void *context)
{
	struct pipit_net *net = context;
	struct pipit_connection *connection = net->current;
	struct pipit_evhttp_link *link = connection->evhttp;
	bool is_dated = connection->exchange.minor >= 1;

	link->was_called = true;
	link->request = request;
	link->holder = evhttp_request_get_connection(request);
	evhttp_request_set_on_complete_cb(request, on_complete, link);
	if (is_dated)
		put_date(net, evhttp_request_get_output_headers(request));
	net->handlers->call(net->context, connection, request);
	/* evhttp dates a deferred reply when it is sent (RFC 9110 §6.6.1). */
	if (is_dated && evbuffer_get_length(bufferevent_get_output(link->bev)) == 0 && !is_reading(link) &&
	    !pipit_evhttp_link_is_released(link))
		evhttp_remove_header(evhttp_request_get_output_headers(request), "Date");
}

/* --- the reply ----------------------------------------------------------------------------------------------------- */

/* *length: of the old head, then of the new one. Without a body, `output` then has the head only. False when memory is short. */
static bool amend_head(struct evbuffer *output, const char *head, size_t *length,
    const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments)
{
	char *amended = malloc(*length + amendments->fields.length + PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX);
	size_t amended_length;
	bool is_amended;

	if (!amended)
		return false;
	amended_length = pipit_response_head_amend_evhttp(amended, head, *length, reply, amendments);
	evbuffer_drain(output, reply->has_content ? *length : evbuffer_get_length(output));
	is_amended = evbuffer_prepend(output, amended, amended_length) == 0;
	free(amended);
	*length = amended_length;
	return is_amended;
}

/* Of as many as there are. An array: the compiler's stack protector stands behind it. */
static struct evbuffer_iovec first_piece(struct evbuffer *buffer)
{
	struct evbuffer_iovec first[] = { { .iov_len = 0 } };
	evbuffer_peek(buffer, -1, NULL, first, sizeof first / sizeof first[0]);
	return first[0];
}

/* Move the first piece of `output` to the end of `taken`. Its length. */
static size_t take_piece(struct evbuffer *output, struct evbuffer *taken)
{
	size_t length = first_piece(output).iov_len;
	evbuffer_remove_buffer(output, taken, length);
	return length;
}

/*
 * The end of a head longer than REPLY_HEAD_SIZE; 0 when memory was short and it does not end. By pieces: a file behind it cannot be
 * searched.
 */
static size_t find_end(struct evbuffer *output)
{
	struct evbuffer *taken = evbuffer_new();
	struct evbuffer_ptr end = { .pos = -1 };

	while (taken && end.pos < 0 && evbuffer_get_length(output) > 0 && take_piece(output, taken) > 0 &&
	       !pipit_output_may_be_file(taken))
		end = evbuffer_search(taken, "\r\n\r\n", 4, NULL);
	if (taken) {
		evbuffer_prepend_buffer(output, taken);
		evbuffer_free(taken);
	}
	return end.pos < 0 ? 0 : (size_t)end.pos + 4;
}

/* In one piece. NULL when there is none, or memory is short. */
static const char *find_head(
    struct evbuffer *output, bool is_head_request, struct pipit_response_head_evhttp *reply, size_t *length)
{
	struct evbuffer_iovec first = first_piece(output);
	const char *head = NULL;

	if (first.iov_len > 0 && first.iov_len <= REPLY_HEAD_SIZE) {
		*length = pipit_response_head_read_evhttp(first.iov_base, first.iov_len, is_head_request, reply);
		if (*length)
			return first.iov_base;
	}
	*length = find_end(output);
	if (*length)
		head = (const char *)evbuffer_pullup(output, (ev_ssize_t)*length);
	return head && pipit_response_head_read_evhttp(head, *length, is_head_request, reply) == *length ? head : NULL;
}

/* The program's author learns of it, the client does not. */
__attribute__((format(printf, 2, 3))) static void report_reply(
    const struct pipit_connection *connection, const char *format, ...)
{
	const struct pipit_guard_head *head = connection->exchange.head;
	struct pipit_slice line = pipit_connection_first_line(head->bytes, head->length);
	char mistake[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(mistake, sizeof mistake, format, arguments);
	va_end(arguments);
	pipit_log(PIPIT_LOG_ERROR, "%.*s: the evhttp callback's reply %s; the connection is closed", (int)line.length,
	    line.data, mistake);
}

/* evhttp leaves out what it has no memory for, even the status line. A callback's 1xx is no reply, and two different lengths leave the end
 * of the body unknown. */
static bool is_reply(const char *head, const struct pipit_response_head_evhttp *reply)
{
	return strncmp(head, "HTTP/1.", 7) == 0 && reply->status >= 200 && reply->status <= 599 && !reply->is_ambiguous;
}

/*
 * evhttp announces no length to an HTTP/1.0 client without keep-alive, and 0 to one with, even for a body in pieces. The length is known
 * once the callback has sent the whole reply; else the end of the connection ends the body.
 */
static void announce_to_old_client(const struct pipit_evhttp_link *link, size_t content_length,
    struct pipit_response_head_evhttp *reply, struct pipit_response_head_amendments *amendments)
{
	bool is_whole = link->request && link->request->userdone;
	reply->content_length = amendments->content_length = is_whole ? (int64_t)content_length : -1;
	amendments->drops_length = true;
}

static bool is_valid(const struct pipit_connection *connection, const struct pipit_response_head_evhttp *reply)
{
	return reply->has_content && reply->dates == 1 && reply->lengths <= 1 && !reply->is_invalid &&
	       connection->exchange.minor > 0;
}

/*
 * The reply stays in evhttp's buffer, because only evbuffer_write() can send files; its head, which evhttp writes at once, is amended
 * there where needed. False when it is no reply, or memory is short.
 */
static bool take_head(struct pipit_connection *connection, struct evbuffer *output)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	struct pipit_response_head_evhttp reply;
	struct pipit_response_head_amendments amendments = { .content_length = -1 };
	size_t length;
	const char *head;
	bool has_length;

	link->is_measured = true;
	head = find_head(output, connection->exchange.is_head, &reply, &length);
	link->is_measured = false;
	if (!head)
		return false;
	if (!is_reply(head, &reply)) {
		report_reply(connection, reply.is_ambiguous ? "has two different lengths" : "is not a valid response");
		return false;
	}
	if (reply.lengths > 1) {
		amendments.drops_length = true;
		amendments.content_length = reply.content_length;
	}
	if (connection->exchange.minor == 0 && reply.has_content && reply.content_length <= 0)
		announce_to_old_client(link, evbuffer_get_length(output) - length, &reply, &amendments);
	has_length = !reply.has_content || reply.is_chunked || reply.content_length >= 0;
	amendments.closes =
	    reply.closes || !pipit_connection_may_stay(connection) || (!has_length && connection->exchange.minor == 0);
	/* The client could not find the end of the body. */
	if (!has_length && !amendments.closes) {
		report_reply(connection, "has neither a Content-Length nor chunks");
		return false;
	}
	/* evhttp appends the body of a GET to the reply to a HEAD, unless it comes in pieces. */
	if (connection->exchange.is_head && reply.content_length < 0 && !reply.is_chunked && reply.status != 204 &&
	    reply.status != 304 && evbuffer_get_length(output) > length)
		amendments.content_length = (int64_t)(evbuffer_get_length(output) - length);
	if (!reply.dates)
		amendments.date = pipit_net_date(connection->net);
	if (connection->net->handlers->reply_fields)
		amendments.fields = connection->net->handlers->reply_fields(connection->net->context, connection);
	if ((amendments.closes || amendments.fields.length || !is_valid(connection, &reply)) &&
	    !amend_head(output, head, &length, &reply, &amendments))
		return false;
	connection->exchange.status = reply.status;
	connection->exchange.keep_alive = !amendments.closes;
	link->head_left = length;
	link->has_content = reply.has_content;
	link->stays = !reply.closes;
	link->content_length = reply.has_content && !reply.is_chunked ? reply.content_length : -1;
	link->is_head_done = true;
	if (link->output_length == 0)
		link->largest = evbuffer_get_length(output);
	return true;
}

static void count_given(struct pipit_connection *connection, size_t bytes)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t of_head = bytes < link->head_left ? bytes : link->head_left;
	link->head_left -= of_head;
	connection->exchange.given += bytes - of_head;
}

/* The client would read the excess as the next reply. */
static bool exceeds_length(const struct pipit_connection *connection, size_t buffered)
{
	const struct pipit_evhttp_link *link = connection->evhttp;
	return link->content_length >= 0 &&
	       connection->exchange.given + (buffered - link->head_left) > (uint64_t)link->content_length;
}

/* A small, whole reply joins the batch; not a last one: evhttp shuts the connection down when its output is empty. */
static bool may_wait(const struct pipit_connection *connection, struct evbuffer *output)
{
	const struct pipit_net *net = connection->net;
	const struct pipit_evhttp_link *link = connection->evhttp;
	size_t length = evbuffer_get_length(output);
	return net->current == connection && (net->has_more_input || pipit_output_has_replies(net)) &&
	       connection->exchange.keep_alive && length <= BATCHED_BYTES_MAX &&
	       (!link->has_content ||
		   (link->content_length >= 0 && length - link->head_left == (size_t)link->content_length));
}

/* False also when the connection is to be aborted. */
static bool send_output(struct pipit_connection *connection, struct evbuffer *output)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t length;

	if (!link->is_head_done && !take_head(connection, output)) {
		pipit_output_abort(connection);
		return false;
	}
	/* evhttp may add a body later to a reply without one. */
	if (!link->has_content && link->head_left == 0)
		evbuffer_drain(output, evbuffer_get_length(output));
	length = evbuffer_get_length(output);
	if (exceeds_length(connection, length)) {
		report_reply(connection, "has more content than its Content-Length of %lld bytes",
		    (long long)link->content_length);
		pipit_output_abort(connection);
		return false;
	}
	if (may_wait(connection, output) && pipit_output_add_reply(connection, output))
		count_given(connection, length);
	else
		count_given(connection, pipit_output_send_buffer(connection, output));
	link->output_length = evbuffer_get_length(output);
	return connection->end != PIPIT_ABORT && link->output_length == 0;
}

/* When evhttp has no more output, or has released the link. True: the reply is whole. */
static bool complete(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	/* The client would wait for bytes that were announced and not given. */
	bool is_whole = link->is_head_done &&
			(link->content_length < 0 || connection->exchange.given >= (uint64_t)link->content_length);

	if (link->is_head_done && !is_whole && !link->is_released)
		report_reply(connection, "has %llu bytes of content, and a Content-Length of %lld",
		    (unsigned long long)connection->exchange.given, (long long)link->content_length);
	/* evhttp releases a connection without a reply when memory is short. */
	if (link->is_head_done ? !is_whole : link->is_released)
		pipit_output_abort(connection);
	if (link->is_released) {
		pipit_evhttp_link_unlink(connection);
		connection->exchange.keep_alive = false;
	} else if (is_whole && connection->net->evhttp_mode == PIPIT_EVHTTP_BORROWED) {
		pipit_evhttp_link_return(connection);
	}
	return is_whole;
}

static bool send_all(struct pipit_connection *connection)
{
	struct evbuffer *output = bufferevent_get_output(connection->evhttp->bev);
	return evbuffer_get_length(output) > 0 && send_output(connection, output);
}

bool pipit_evhttp_lane_pump(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	uint64_t before = connection->rate_bytes;

	/* A callback has freed evhttp's connection. */
	if (!link) {
		pipit_output_abort(connection);
		return false;
	}
	if (connection->net->current != connection)
		look_at_link(link);
	while (!link->is_released && !is_reading(link)) {
		if (!link->owes_notice && !send_all(connection))
			return false;
		link->owes_notice = connection->rate_bytes - before > PIPIT_OUTPUT_SLICE_BYTES;
		if (link->owes_notice) {
			pipit_connection_wake(connection);
			return false;
		}
		/* All is written: evhttp asks for the next chunk, or finishes the request. */
		trigger(link, EV_WRITE);
	}
	return complete(connection);
}

void pipit_evhttp_lane_defer(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	/* For on_output() in evhttp_link.c, but not as if the program enabled it: see pipit_evhttp_link_write_enabled(). */
	link->is_measured = true;
	bufferevent_enable(link->bev, EV_WRITE);
	link->is_measured = false;
}

/* --- what waits ---------------------------------------------------------------------------------------------------- */

bool pipit_evhttp_lane_serves(const struct pipit_connection *connection, struct evhttp_connection *holder)
{
	return connection->evhttp && evhttp_connection_get_bufferevent(holder) == connection->evhttp->bev;
}

bool pipit_evhttp_lane_is_open(const struct pipit_connection *connection)
{
	return connection->exchange.lane == PIPIT_LANE_EVHTTP && connection->evhttp &&
	       connection->evhttp->is_head_done && pipit_evhttp_lane_waiting(connection) == 0;
}

size_t pipit_evhttp_lane_waiting(const struct pipit_connection *connection)
{
	const struct pipit_evhttp_link *link = connection->evhttp;
	if (!link || connection->exchange.lane != PIPIT_LANE_EVHTTP || !connection->exchange.request ||
	    pipit_evhttp_link_is_released(link))
		return 0;
	return evbuffer_get_length(bufferevent_get_output(link->bev));
}

/* libevent does not tell which bytes of a buffer are a file's: each piece is tested. */
static size_t measure_pieces(struct evbuffer *output)
{
	struct evbuffer *piece = evbuffer_new(), *measured = evbuffer_new();
	size_t bytes = 0, length = 1;

	while (piece && measured && length > 0 && evbuffer_get_length(output) > 0) {
		length = take_piece(output, piece);
		bytes += length > FILE_BYTES_MAX && pipit_output_may_be_file(piece) ? FILE_BYTES_MAX : length;
		evbuffer_add_buffer(measured, piece);
	}
	if (measured) {
		evbuffer_prepend_buffer(output, measured);
		evbuffer_free(measured);
	}
	if (piece)
		evbuffer_free(piece);
	return bytes;
}

size_t pipit_evhttp_lane_waiting_memory(const struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t rest = connection->out.replies ? evbuffer_get_length(connection->out.replies) : 0;
	size_t length = pipit_evhttp_lane_waiting(connection);
	struct evbuffer *output;

	if (length <= FILE_BYTES_MAX)
		return rest + length;
	output = bufferevent_get_output(link->bev);
	if (!pipit_output_may_be_file(output))
		return rest + length;
	link->is_measured = true;
	length = measure_pieces(output);
	link->is_measured = false;
	return rest + length;
}

bool pipit_evhttp_lane_is_behind(struct pipit_connection *connection, uint64_t now_ms, uint64_t limit_ms)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t waiting = pipit_evhttp_lane_waiting(connection);

	if (!waiting || waiting <= connection->net->config->max_output_bytes + link->largest) {
		if (link)
			link->behind_since_ms = 0;
		return false;
	}
	if (!link->behind_since_ms)
		link->behind_since_ms = now_ms;
	return limit_ms && now_ms >= link->behind_since_ms + limit_ms;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int pipit_evhttp_lane_open(struct pipit_net *net, struct evhttp *http)
{
	return net->evhttp_mode == PIPIT_EVHTTP_NONE ? 0 : pipit_evhttp_link_open(net, http, on_request);
}

bool pipit_evhttp_lane_guards(const struct pipit_net *net, const struct evhttp *http)
{
	return net->evhttp && net->evhttp->http == http;
}

void pipit_evhttp_lane_close(struct pipit_net *net)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	if (!lane)
		return;
	drop_date(lane);
	pipit_evhttp_link_close_all(net);
	free(lane->head);
	lane->head = NULL;
	lane->head_capacity = 0;
}
