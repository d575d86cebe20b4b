/* SPDX-License-Identifier: MIT */
#include "request/json_stream.h"

#include "base/bytes.h"
#include "base/log.h"
#include "http/response_head.h"
#include "http1/open_reply.h"
#include "request/request.h"
#include "json/printer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

#define PIECE_BYTES (64 * 1024)
/* hex size and CRLF */
#define FRAME_BYTES 16
/* per turn of the loop, so that a fast client does not delay others */
#define PIECES_PER_TURN 4

struct json_stream {
	struct pipit_open_reply open_reply; /* first: its functions get this struct */
	cJSON *doc;                         /* owned, as `printing` */
	struct pipit_printing *printing;
	bool is_chunked, is_over;
	struct pipit_slice content; /* without framing */
	size_t start, end;          /* printed but not sent; with framing */
	char bytes[FRAME_BYTES + PIECE_BYTES + sizeof "\r\n"];
};

static void free_stream(struct json_stream *stream)
{
	pipit_printing_free(stream->printing);
	cJSON_Delete(stream->doc);
	free(stream);
}

static void print_piece(struct json_stream *stream)
{
	size_t length = pipit_printing_next(stream->printing, stream->bytes + FRAME_BYTES, PIECE_BYTES), digits;

	stream->is_over = length == 0;
	stream->start = FRAME_BYTES;
	stream->end = FRAME_BYTES + length;
	stream->content = (struct pipit_slice){ stream->bytes + FRAME_BYTES, length };
	if (length == 0 || !stream->is_chunked)
		return;
	stream->bytes[stream->end++] = '\r';
	stream->bytes[stream->end++] = '\n';
	stream->bytes[--stream->start] = '\n';
	stream->bytes[--stream->start] = '\r';
	digits = pipit_bytes_hex_digits(length);
	stream->start -= digits;
	pipit_bytes_put_hex(stream->bytes + stream->start, length, digits);
}

static void write_more(struct json_stream *stream)
{
	struct pipit_open_reply *open_reply = &stream->open_reply;

	open_reply->is_waiting = false;
	for (int i = 0; i < PIECES_PER_TURN; i++) {
		if (stream->start == stream->end)
			print_piece(stream);
		if (stream->is_over)
			return;
		stream->start += pipit_open_reply_write(open_reply,
		    (struct pipit_slice){ stream->bytes + stream->start, stream->end - stream->start },
		    stream->content);
		if (open_reply->is_waiting)
			return;
	}
	open_reply->is_waiting = true;
}

static void end_when_over(struct json_stream *stream)
{
	if (!stream->is_over)
		return;
	pipit_open_reply_end(&stream->open_reply);
	free_stream(stream);
}

static void on_writable(struct pipit_open_reply *open_reply)
{
	write_more((struct json_stream *)open_reply);
	end_when_over((struct json_stream *)open_reply);
}

/* A drain waits for the end. */
static void on_drain(struct pipit_open_reply *open_reply)
{
	(void)open_reply;
}

static void on_lost(struct pipit_open_reply *open_reply)
{
	free_stream((struct json_stream *)open_reply);
}

static const struct pipit_open_reply_hooks hooks = { on_writable, on_drain, on_lost };

static int reply_unprintable(struct pipit_request *request)
{
	int result;
	pipit_log(PIPIT_LOG_ERROR,
	    "%s: the handler replied with JSON that cannot be printed: an item has no type, or nesting is too deep",
	    pipit_request_route(request));
	result = pipit_reply_problem(request, 500, NULL);
	return result == 0 ? -EINVAL : result;
}

/* Takes the document. */
static struct json_stream *new_stream(cJSON *doc, int *error)
{
	struct json_stream *stream = malloc(sizeof *stream);

	*error = stream ? pipit_printing_new(doc, &stream->printing) : -ENOMEM;
	if (*error != 0) {
		cJSON_Delete(doc);
		free(stream);
		return NULL;
	}
	stream->open_reply = (struct pipit_open_reply){ .hooks = &hooks, .is_finite = true };
	stream->doc = doc;
	stream->start = stream->end = 0;
	stream->is_over = false;
	return stream;
}

/* Takes the document. Its text counts against memory_limit. */
static int send_whole(struct pipit_request *request, int status, cJSON *doc)
{
	struct pipit_printer text = pipit_printer_in(NULL, 0);
	int result = pipit_printer_print(&text, doc);

	cJSON_Delete(doc);
	if (result == 0)
		result = pipit_reply(request, status, "application/json", text.bytes, text.length);
	else
		result = result == -ENOMEM ? pipit_request_reply_short(request) : reply_unprintable(request);
	pipit_printer_clear(&text);
	return result;
}

/*
 * False when references may change after the handler, or when memory_limit does not allow the document, which takes
 * many times the memory of its text until the client has read it.
 */
static bool may_send_in_pieces(struct pipit_connection *connection, const cJSON *doc)
{
	bool has_references = false;
	size_t bytes = pipit_printing_tree_bytes(doc, &has_references);
	return !has_references && pipit_open_reply_reserve(connection, bytes);
}

/* Takes the document. */
static int send_in_pieces(struct pipit_request *request, int status, cJSON *doc)
{
	const struct pipit_slice nothing = { "", 0 };
	struct pipit_connection *connection = request->connection;
	struct json_stream *stream;
	int result;

	if (request->replied || !connection || !pipit_response_head_has_content(status, false)) {
		cJSON_Delete(doc);
		return pipit_reply(request, status, "application/json", NULL, 0);
	}
	stream = new_stream(doc, &result);
	if (!stream)
		return result == -ENOMEM ? pipit_request_reply_short(request) : reply_unprintable(request);
	if (!may_send_in_pieces(connection, doc)) {
		stream->doc = NULL;
		free_stream(stream);
		return send_whole(request, status, doc);
	}
	stream->is_chunked = pipit_connection_minor(connection) > 0;
	result = pipit_request_open(request, status, "application/json", nothing, nothing, &stream->open_reply);
	if (result != 0 || !stream->open_reply.connection) {
		free_stream(stream);
		return result;
	}
	write_more(stream);
	end_when_over(stream);
	pipit_http1_continue(connection);
	return 0;
}

int pipit_reply_json(struct pipit_request *request, int status, cJSON *doc)
{
	char small[2048];
	struct pipit_printer text = pipit_printer_in(small, sizeof small);
	int result;

	text.limit = PIPIT_JSON_STREAM_WHOLE_BYTES;
	result = doc ? pipit_printer_print(&text, doc) : -ENOMEM;
	if (result == -E2BIG) {
		pipit_printer_clear(&text);
		return send_in_pieces(request, status, doc);
	}
	cJSON_Delete(doc);
	if (result == 0)
		result = pipit_reply(request, status, "application/json", text.bytes, text.length);
	else if (result == -ENOMEM)
		result = pipit_request_reply_short(request);
	else
		result = reply_unprintable(request);
	pipit_printer_clear(&text);
	return result;
}
