/* SPDX-License-Identifier: MIT */
/* See evhttp_lane.h. Every function of libevent that is used in an unusual way says why here. */
#include "http1/evhttp_lane.h"

#include "base/bytes.h"
#include "base/oom_reserve.h"
#include "http/response_head.h"
#include "http1/evhttp_link.h"
#include "net/output.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

/* Set aside for the head of a reply; libevent makes 1 KiB of it, which freelist.h keeps. */
#define REPLY_HEAD_SIZE 976
/* Room for heads of the usual size, so that it is not asked for anew for each that is a little larger. */
#define SHOWN_HEAD_SLACK 1024
/* A reply up to this size waits for those to the requests behind it. */
#define BATCHED_BYTES_MAX (16 * 1024)
/* A piece of output that may be a file's counts as so much memory at most. */
#define FILE_BYTES_MAX (1024 * 1024)

/* --- what evhttp is shown ------------------------------------------------------------------------------------------ */

/* Fields between the client and us (RFC 9110 §7.6.1), and those that pipit has dealt with: evhttp would answer Expect
 * itself, and take a Transfer-Encoding for the framing that it no longer is. By length, because most fields are none of these. */
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

/* Origin-form, whatever form was sent. Several leading slashes become one: evhttp would read "//name/" as an authority. */
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
	/* A callback must not answer an HTTP/1.0 client in chunks. */
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
	/* An empty content may have been announced, too. */
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

/* The worker's place for the head that evhttp is shown: evhttp copies line by line, and has read it when it has called back. */
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

/* Content that was collected goes to evhttp with its memory; what lies in the worker's buffer is copied. */
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
	/* evhttp reads the next request out of the content of a HEAD. */
	if (connection->exchange.is_head)
		body.length = 0;
	end = put_request_line(start, head);
	end = put_fields(end, head, body.length);
	return evbuffer_add_reference(input, start, (size_t)(end - start), NULL, NULL) == 0 &&
	       (body.length == 0 || put_content(connection, input, body));
}

/* --- where evhttp stands ------------------------------------------------------------------------------------------- */

/* evhttp waits for the next request. While a callback works reading is disabled; while evhttp writes, and from
 * pipit_evhttp_defer() on whatever the callback enables, writing is enabled. */
static bool is_reading(const struct pipit_evhttp_link *link)
{
	return bufferevent_get_enabled(link->bev) == EV_READ;
}

/* Code that is not ours has had the link. */
static void look_at_link(struct pipit_evhttp_link *link)
{
	link->is_let_go = pipit_evhttp_link_is_let_go(link);
	/* That of a borrowed link is taken when it is returned. */
	if (!link->is_let_go && link->net->evhttp_mode != PIPIT_EVHTTP_BORROWED)
		pipit_evhttp_link_take_timeout(link);
}

/* Let evhttp go on. It may let go of the link. */
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
 * evhttp has called back the program, or answered by itself (404, 413, 501). It has read all then, where its callbacks are not
 * ours: what it has not understood, or had no memory for, it has left. Where they are ours, they would have been called: a page
 * is from a limit that a callback set on its connection. But what we show evhttp is well formed, and if it calls that a bad
 * request, memory failed it.
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
	link->was_called = link->is_head_done = link->is_let_go = link->stays = link->owes_notice = false;
	link->largest = link->output_length = 0;
	link->crowded_ms = 0;
	link->request = NULL;
}

/* Everything that evhttp does not look whether it got it, or cannot do without, is there. */
static bool is_ready(struct pipit_connection *connection)
{
	/* What evhttp has begun it must be able to end. */
	if (pipit_oom_reserve_is_low() || (!connection->evhttp && !pipit_evhttp_link_borrow(connection)))
		return false;
	/* evhttp writes a head without looking whether there is memory for it. A head that does not end would have take_head()
	 * search in what follows, which need not be memory. */
	return evbuffer_expand(bufferevent_get_output(connection->evhttp->bev), REPLY_HEAD_SIZE) == 0;
}

/* evhttp has let go, or was short of memory: nothing that it holds is worth anything. */
static enum pipit_refusal lose_link(struct pipit_connection *connection)
{
	if (connection->net->evhttp_mode == PIPIT_EVHTTP_BORROWED)
		pipit_evhttp_link_give_up(connection);
	else if (connection->evhttp->is_let_go)
		/* It has shut its client's connection down, perhaps. */
		connection->end = PIPIT_ABORT;
	return PIPIT_REFUSAL_EVHTTP;
}

/* evhttp reads the message and calls back. False when it does not. */
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
			link->was_called = !link->is_let_go && is_answered(link);
	}
	/* What evhttp has not read lies where the next message is going to. */
	if (!link->is_let_go && evbuffer_get_length(input) > 0)
		evbuffer_drain(input, evbuffer_get_length(input));
	return link->was_called;
}

enum pipit_refusal pipit_evhttp_show(struct pipit_connection *connection, struct pipit_slice body)
{
	struct pipit_evhttp_link *link = connection->evhttp;

	/* The program has freed evhttp's connection since the last request. */
	if (link && pipit_evhttp_link_is_let_go(link)) {
		link->is_let_go = true;
		return lose_link(connection);
	}
	if (!is_ready(connection))
		return PIPIT_REFUSAL_OUT_OF_MEMORY;
	return call(connection, body) ? PIPIT_REFUSAL_NONE : lose_link(connection);
}

/* --- the callback of a route --------------------------------------------------------------------------------------- */

/* libevent's memory is for libevent to free. */
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
 * evhttp renders a date for each reply, which costs as much as routing and guarding together, and even adding a field takes
 * three allocations. So the field of the last reply is taken out before evhttp frees it, and put into the next.
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

/* Whatever looks like the date of now is as good as ours. */
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

/* evhttp looks next whether it closes: a connection that was borrowed is to stay, whatever becomes of the client's. */
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

/* evhttp's generic callback; it has no other. */
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
	net->hooks->call(net->context, connection, request);
	/* A reply that comes later is dated then, by evhttp (RFC 9110 §6.6.1). */
	if (is_dated && evbuffer_get_length(bufferevent_get_output(link->bev)) == 0 && !is_reading(link) &&
	    !pipit_evhttp_link_is_let_go(link))
		evhttp_remove_header(evhttp_request_get_output_headers(request), "Date");
}

/* --- the reply ----------------------------------------------------------------------------------------------------- */

/* Put a head that is valid in the place of the one in front of `output`; without content, of all that is there. *length is
 * the old one's and becomes the new one's. False when memory is short. */
static bool amend_head(struct evbuffer *output, const char *head, size_t *length,
    const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments)
{
	char *amended = malloc(*length + PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX);
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

/* Only memory can be referenced. */
static bool may_be_file(struct evbuffer *piece)
{
	struct evbuffer *reference = evbuffer_new();
	bool is_memory = reference && evbuffer_add_buffer_reference(reference, piece) == 0;
	if (reference)
		evbuffer_free(reference);
	return !is_memory;
}

/* Moves the first piece from the front of `output` to the end of `taken`. Its length. */
static size_t take_piece(struct evbuffer *output, struct evbuffer *taken)
{
	struct evbuffer_iovec first = { .iov_len = 0 };
	evbuffer_peek(output, -1, NULL, &first, 1);
	evbuffer_remove_buffer(output, taken, first.iov_len);
	return first.iov_len;
}

/*
 * Where the head ends, which is longer than what was set aside for it. It is looked for piece by piece: behind a head that has no
 * end, because memory was short, may lie a file, which is no memory to search in. 0 when it does not end.
 */
static size_t find_end(struct evbuffer *output)
{
	struct evbuffer *taken = evbuffer_new();
	struct evbuffer_ptr end = { .pos = -1 };

	while (taken && end.pos < 0 && evbuffer_get_length(output) > 0 && take_piece(output, taken) > 0 &&
	       !may_be_file(taken))
		end = evbuffer_search(taken, "\r\n\r\n", 4, NULL);
	if (taken) {
		evbuffer_prepend_buffer(output, taken);
		evbuffer_free(taken);
	}
	return end.pos < 0 ? 0 : (size_t)end.pos + 4;
}

/* The head in one piece, up to and with its empty line, and what it says. NULL when there is none, or memory is short. */
static const char *find_head(
    struct evbuffer *output, bool is_head_request, struct pipit_response_head_evhttp *reply, size_t *length)
{
	struct evbuffer_iovec first;
	const char *head = NULL;

	/* Mostly all of it lies where room was set aside for it. */
	if (evbuffer_peek(output, -1, NULL, &first, 1) >= 1 && first.iov_len <= REPLY_HEAD_SIZE) {
		*length = pipit_response_head_read_evhttp(first.iov_base, first.iov_len, is_head_request, reply);
		if (*length)
			return first.iov_base;
	}
	*length = find_end(output);
	if (*length)
		head = (const char *)evbuffer_pullup(output, (ev_ssize_t)*length);
	return head && pipit_response_head_read_evhttp(head, *length, is_head_request, reply) == *length ? head : NULL;
}

/* evhttp leaves out what it has no memory for, be it the status line; a callback's 1xx would be no reply; and nothing would tell
 * where content of two lengths ends. */
static bool is_reply(const char *head, const struct pipit_response_head_evhttp *reply)
{
	return strncmp(head, "HTTP/1.", 7) == 0 && reply->status >= 200 && reply->status <= 599 && !reply->is_ambiguous;
}

/*
 * A client of HTTP/1.0 that does not ask to be kept is told no length by evhttp, and one that does is told 0 also when the content
 * is going to come in pieces. All of it is there when the callback has sent its reply to the end; else the end of the connection
 * ends the content.
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
 * The reply stays in evhttp's buffer and leaves from there, because only evbuffer_write() knows how to read all of it (a body
 * added as a file is no memory). So the head is changed in place, and only when it must be. evhttp writes a whole head in
 * one go. False when it is no reply, or memory is short.
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
	if (!head || !is_reply(head, &reply))
		return false;
	if (reply.lengths > 1) {
		amendments.drops_length = true;
		amendments.content_length = reply.content_length;
	}
	if (connection->exchange.minor == 0 && reply.has_content && reply.content_length <= 0)
		announce_to_old_client(link, evbuffer_get_length(output) - length, &reply, &amendments);
	has_length = !reply.has_content || reply.is_chunked || reply.content_length >= 0;
	amendments.closes =
	    reply.closes || !pipit_connection_may_stay(connection) || (!has_length && connection->exchange.minor == 0);
	/* Nothing would tell the client where the content ends. */
	if (!has_length && !amendments.closes)
		return false;
	/* evhttp appends to a HEAD's reply the content that its GET would have, unless it comes in pieces. */
	if (connection->exchange.is_head && reply.content_length < 0 && !reply.is_chunked && reply.status != 204 &&
	    reply.status != 304 && evbuffer_get_length(output) > length)
		amendments.content_length = (int64_t)(evbuffer_get_length(output) - length);
	if (!reply.dates)
		amendments.date = pipit_net_date(connection->net);
	if ((amendments.closes || !is_valid(connection, &reply)) &&
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

/* To the socket or the batch. */
static void count_given(struct pipit_connection *connection, size_t bytes)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t of_head = bytes < link->head_left ? bytes : link->head_left;
	link->head_left -= of_head;
	connection->exchange.given += bytes - of_head;
}

/* More content than was announced would be read as the next reply. */
static bool exceeds_length(const struct pipit_connection *connection, size_t buffered)
{
	const struct pipit_evhttp_link *link = connection->evhttp;
	return link->content_length >= 0 &&
	       connection->exchange.given + (buffered - link->head_left) > (uint64_t)link->content_length;
}

/* Small enough, and all there, to leave with the replies before it or behind it. evhttp shuts the connection down as soon as a
 * last reply is out, so that one does not. */
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

/* Take what evhttp has written. False when something is stuck or broken. */
static bool send_output(struct pipit_connection *connection, struct evbuffer *output)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t length;

	if (!link->is_head_done && !take_head(connection, output)) {
		connection->end = PIPIT_ABORT;
		return false;
	}
	/* Content that evhttp added later for a reply that has none. */
	if (!link->has_content && link->head_left == 0)
		evbuffer_drain(output, evbuffer_get_length(output));
	length = evbuffer_get_length(output);
	if (exceeds_length(connection, length)) {
		connection->end = PIPIT_ABORT;
		return false;
	}
	if (may_wait(connection, output) && pipit_output_add_reply(connection, output))
		count_given(connection, length);
	else
		count_given(connection, pipit_output_send_buffer(connection, output));
	link->output_length = evbuffer_get_length(output);
	return connection->end != PIPIT_ABORT && link->output_length == 0;
}

/* All that evhttp had to write is out, or it has let go. True when that is a whole reply. */
static bool complete(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	/* Less than was announced: a client would wait for the rest. */
	bool is_whole = link->is_head_done &&
			(link->content_length < 0 || connection->exchange.given >= (uint64_t)link->content_length);

	/* evhttp gives up a connection when it is short of memory: nothing was replied then. */
	if (link->is_head_done ? !is_whole : link->is_let_go)
		connection->end = PIPIT_ABORT;
	if (link->is_let_go) {
		pipit_evhttp_link_part(connection);
		connection->exchange.keep_alive = false;
	} else if (is_whole && connection->net->evhttp_mode == PIPIT_EVHTTP_BORROWED) {
		pipit_evhttp_link_return(connection);
	}
	return is_whole;
}

/* What evhttp has written. False when there is nothing, or something is stuck or broken. */
static bool send_all(struct pipit_connection *connection)
{
	struct evbuffer *output = bufferevent_get_output(connection->evhttp->bev);
	return evbuffer_get_length(output) > 0 && send_output(connection, output);
}

bool pipit_evhttp_pump(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	uint64_t before = connection->rate_bytes;

	/* Noticed in a later turn: the callback has freed evhttp's connection. */
	if (!link) {
		connection->end = PIPIT_ABORT;
		return false;
	}
	if (connection->net->current != connection)
		look_at_link(link);
	while (!link->is_let_go && !is_reading(link)) {
		if (!link->owes_notice && !send_all(connection))
			return false;
		link->owes_notice = connection->rate_bytes - before > PIPIT_OUTPUT_SLICE_BYTES;
		if (link->owes_notice) {
			pipit_connection_wake(connection);
			return false;
		}
		/* "All is written": evhttp calls back for the next chunk, or finishes the request. */
		trigger(link, EV_WRITE);
	}
	return complete(connection);
}

void pipit_evhttp_defer(struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	/* The filter asks for output only while the bufferevent is enabled for writing: see on_output() in evhttp_link.c. */
	bufferevent_enable(link->bev, EV_WRITE);
}

/* --- what waits ---------------------------------------------------------------------------------------------------- */

bool pipit_evhttp_is_open(const struct pipit_connection *connection)
{
	return connection->exchange.lane == PIPIT_LANE_EVHTTP && connection->evhttp &&
	       connection->evhttp->is_head_done && pipit_evhttp_waiting(connection) == 0;
}

size_t pipit_evhttp_waiting(const struct pipit_connection *connection)
{
	const struct pipit_evhttp_link *link = connection->evhttp;
	if (!link || connection->exchange.lane != PIPIT_LANE_EVHTTP || !connection->exchange.request ||
	    pipit_evhttp_link_is_let_go(link))
		return 0;
	return evbuffer_get_length(bufferevent_get_output(link->bev));
}

/* libevent does not tell which bytes of a buffer are a file's: it is taken apart to see, and put together again. */
static size_t measure_pieces(struct evbuffer *output)
{
	struct evbuffer *piece = evbuffer_new(), *measured = evbuffer_new();
	size_t bytes = 0, length = 1;

	while (piece && measured && length > 0 && evbuffer_get_length(output) > 0) {
		length = take_piece(output, piece);
		bytes += length > FILE_BYTES_MAX && may_be_file(piece) ? FILE_BYTES_MAX : length;
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

size_t pipit_evhttp_waiting_memory(const struct pipit_connection *connection)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t rest = connection->out.replies ? evbuffer_get_length(connection->out.replies) : 0;
	size_t length = pipit_evhttp_waiting(connection);
	struct evbuffer *output;

	if (length <= FILE_BYTES_MAX)
		return rest + length;
	output = bufferevent_get_output(link->bev);
	if (!may_be_file(output))
		return rest + length;
	link->is_measured = true;
	length = measure_pieces(output);
	link->is_measured = false;
	return rest + length;
}

bool pipit_evhttp_is_crowded(struct pipit_connection *connection, uint64_t now_ms, uint64_t limit_ms)
{
	struct pipit_evhttp_link *link = connection->evhttp;
	size_t waiting = pipit_evhttp_waiting(connection);

	if (!waiting || waiting <= connection->net->config->max_output_bytes + link->largest) {
		if (link)
			link->crowded_ms = 0;
		return false;
	}
	if (!link->crowded_ms)
		link->crowded_ms = now_ms;
	return limit_ms && now_ms >= link->crowded_ms + limit_ms;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int pipit_evhttp_open(struct pipit_net *net, struct evhttp *http)
{
	return net->evhttp_mode == PIPIT_EVHTTP_NONE ? 0 : pipit_evhttp_link_open(net, http, on_request);
}

bool pipit_evhttp_guards(const struct pipit_net *net, const struct evhttp *http)
{
	return net->evhttp && net->evhttp->http == http;
}

void pipit_evhttp_close(struct pipit_net *net)
{
	struct pipit_evhttp_lane *lane = net->evhttp;
	if (!lane)
		return;
	drop_date(lane);
	pipit_evhttp_link_close(net);
	free(lane->head);
	lane->head = NULL;
	lane->head_capacity = 0;
}
