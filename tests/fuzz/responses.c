/* SPDX-License-Identifier: MIT */
/* See responses.h. Sections are RFC 9112's. */
#include "responses.h"

#include "pipit.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- what was sent */

static void take_chunks(struct sent *sent, struct sent_request *request, const char *bytes, size_t length, size_t *at,
    const struct pipit_guard_limits *limits)
{
	struct pipit_guard_chunked chunked = { 0 };
	for (;;) {
		struct pipit_slice data;
		enum pipit_refusal reason;
		size_t consumed = 0;
		switch (pipit_guard_chunked(&chunked, bytes + *at, length - *at, limits, &consumed, &data, &reason)) {
		case PIPIT_CHUNK_DATA:
			fuzz_append(&sent->contents, data.data, data.length);
			*at += consumed;
			continue;
		case PIPIT_CHUNK_END:
			*at += consumed;
			request->is_complete = true;
			break;
		default:
			break;
		}
		request->content_length = sent->contents.length - request->content;
		return;
	}
}

static void take_content(struct sent *sent, struct sent_request *request, const struct pipit_guard_head *head,
    const char *bytes, size_t length, size_t *at, const struct pipit_guard_limits *limits)
{
	request->content = sent->contents.length;
	request->content_length = (size_t)head->content_length;
	if (head->framing == PIPIT_FRAMING_CHUNKED) {
		take_chunks(sent, request, bytes, length, at, limits);
	} else if (head->content_length <= length - *at) {
		fuzz_append(&sent->contents, bytes + *at, (size_t)head->content_length);
		*at += (size_t)head->content_length;
		request->is_complete = true;
	}
}

static void describe(struct sent_request *request, const struct pipit_guard_head *head)
{
	*request = (struct sent_request){ .method = head->method, .minor = head->minor, .has_passed = true };
	request->keep_alive = head->keep_alive;
	request->has_content = head->framing != PIPIT_FRAMING_NONE;
	request->expects_continue = head->expect_continue && request->has_content;
	if (head->path_length < sizeof request->path)
		memcpy(request->path, head->bytes + head->path, head->path_length);
}

void sent_read(struct sent *sent, const char *bytes, size_t length, const struct pipit_guard_limits *limits)
{
	static struct pipit_guard_head head;
	size_t at = 0;

	sent->count = sent->contents.length = 0;
	while (at < length && sent->count < REQUESTS_MAX) {
		struct sent_request *request = &sent->requests[sent->count];
		size_t checked = 0, consumed = 0;
		enum pipit_refusal reason;
		enum pipit_guard_verdict verdict =
		    pipit_guard_head(bytes + at, length - at, &checked, limits, &head, &consumed, &reason);
		if (verdict == PIPIT_GUARD_MORE)
			return;
		sent->count++;
		describe(request, &head);
		request->has_passed = verdict == PIPIT_GUARD_PASS;
		if (!request->has_passed)
			return;
		at += consumed;
		take_content(sent, request, &head, bytes, length, &at, limits);
		if (!request->is_complete)
			return;
	}
}

/* ---------------------------------------------------------------- one response */

struct response {
	int status;
	int minor;
	bool closes, says_keep_alive, has_length, is_chunked;
	unsigned dates;
	size_t length; /* Content-Length */
	size_t head_bytes;
	struct fuzz_bytes content;
};

/* Truncated: incomplete. */
struct reading {
	const char *at, *end;
	bool is_cut;
};

static bool is_token_char(char c)
{
	return c && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			strchr("!#$%&'*+-.^_`|~", c));
}

/* A line without its CRLF; data is NULL when it is incomplete, which only a cut explains. */
static struct pipit_slice take_line(struct reading *reading)
{
	const char *end = memmem(reading->at, (size_t)(reading->end - reading->at), "\r\n", 2);
	struct pipit_slice line = { NULL, 0 };
	if (!end) {
		reading->is_cut = true;
		return line;
	}
	line = (struct pipit_slice){ reading->at, (size_t)(end - reading->at) };
	reading->at = end + 2;
	for (size_t i = 0; i < line.length; i++)
		REQUIRE((unsigned char)line.data[i] >= 0x20 && line.data[i] != 0x7f);
	return line;
}

/* §4: HTTP-version SP 3DIGIT SP phrase */
static void read_status_line(struct response *response, struct pipit_slice line)
{
	REQUIRE(line.length >= 13 && memcmp(line.data, "HTTP/1.", 7) == 0);
	REQUIRE((line.data[7] == '0' || line.data[7] == '1') && line.data[8] == ' ' && line.data[12] == ' ');
	response->minor = line.data[7] - '0';
	for (int i = 9; i < 12; i++) {
		REQUIRE(line.data[i] >= '0' && line.data[i] <= '9');
		response->status = response->status * 10 + (line.data[i] - '0');
	}
	REQUIRE(response->status == 100 || (response->status >= 200 && response->status <= 599));
}

static size_t read_number(struct pipit_slice text)
{
	size_t number = 0;
	REQUIRE(text.length >= 1 && text.length <= 9);
	for (size_t i = 0; i < text.length; i++) {
		REQUIRE(text.data[i] >= '0' && text.data[i] <= '9');
		number = number * 10 + (size_t)(text.data[i] - '0');
	}
	return number;
}

/* §5: name ":" SP value */
static void read_field(struct response *response, struct pipit_slice line)
{
	const char *colon = memchr(line.data, ':', line.length);
	struct pipit_slice name = { line.data, 0 }, value;

	REQUIRE(colon && colon > line.data && colon + 1 < line.data + line.length && colon[1] == ' ');
	name.length = (size_t)(colon - line.data);
	value = (struct pipit_slice){ colon + 2, line.length - name.length - 2 };
	for (size_t i = 0; i < name.length; i++)
		REQUIRE(is_token_char(name.data[i]));
	if (pipit_slice_equals_nocase(name, "Content-Length")) {
		REQUIRE(!response->has_length);
		response->has_length = true;
		response->length = read_number(value);
	} else if (pipit_slice_equals_nocase(name, "Transfer-Encoding")) {
		REQUIRE(!response->is_chunked && pipit_slice_equals(value, "chunked"));
		response->is_chunked = true;
	} else if (pipit_slice_equals_nocase(name, "Connection")) {
		REQUIRE(!response->closes && !response->says_keep_alive);
		response->closes = pipit_slice_equals(value, "close");
		response->says_keep_alive = pipit_slice_equals(value, "keep-alive");
		REQUIRE(response->closes || response->says_keep_alive);
	} else if (pipit_slice_equals_nocase(name, "Date")) {
		response->dates++;
	}
}

static void read_head(struct reading *reading, struct response *response)
{
	struct pipit_slice line = take_line(reading);
	if (reading->is_cut)
		return;
	read_status_line(response, line);
	for (;;) {
		line = take_line(reading);
		if (reading->is_cut || line.length == 0)
			break;
		read_field(response, line);
	}
	REQUIRE(!(response->has_length && response->is_chunked));
}

static void take_bytes(struct reading *reading, struct response *response, size_t count)
{
	if (count > (size_t)(reading->end - reading->at)) {
		reading->is_cut = true;
		return;
	}
	fuzz_append(&response->content, reading->at, count);
	reading->at += count;
}

/* §7.1, as evhttp writes it: no extensions, no trailers. */
static void read_chunks(struct reading *reading, struct response *response)
{
	for (;;) {
		struct pipit_slice line = take_line(reading);
		size_t size = 0;
		if (reading->is_cut)
			return;
		REQUIRE(line.length >= 1 && line.length <= 7);
		for (size_t i = 0; i < line.length; i++) {
			static const char digits[] = "0123456789abcdef";
			const char *digit = line.data[i] ? strchr(digits, line.data[i] | 0x20) : NULL;
			REQUIRE(digit);
			size = size * 16 + (size_t)(digit - digits);
		}
		take_bytes(reading, response, size);
		if (reading->is_cut)
			return;
		line = take_line(reading);
		REQUIRE(reading->is_cut || line.length == 0);
		if (reading->is_cut || size == 0)
			return;
	}
}

/* §6.3 */
static void read_content(struct reading *reading, struct response *response, const struct sent_request *request)
{
	if (response->status == 204 || response->status == 100)
		REQUIRE(!response->has_length && !response->is_chunked);
	if (response->status == 204 || response->status == 304 || request->method == PIPIT_HEAD)
		return;
	if (response->is_chunked) {
		REQUIRE(request->minor == 1);
		read_chunks(reading, response);
	} else if (response->has_length) {
		take_bytes(reading, response, response->length);
	} else {
		/* Up to the end of the connection: only for HTTP/1.0 clients. */
		REQUIRE(request->minor == 0);
		response->closes = true;
		take_bytes(reading, response, (size_t)(reading->end - reading->at));
	}
}

/* ---------------------------------------------------------------- response and request */

static bool is_echo(const struct sent_request *request)
{
	return request->method == PIPIT_POST &&
	       (strcmp(request->path, "/echo") == 0 || strcmp(request->path, "/evhttp/echo") == 0 ||
		   strcmp(request->path, "/later") == 0);
}

/* Guarantees that do not depend on the request. */
static void check_response(
    const struct response *response, const struct sent_request *request, const struct sent *sent, size_t max_content)
{
	/* evhttp writes no Date to an HTTP/1.0 client. */
	REQUIRE(response->dates == 1 || (response->minor == 0 && response->dates == 0));
	if (!request->has_passed)
		REQUIRE(response->status >= 400 && response->closes);
	if (!request->is_complete || !request->keep_alive)
		REQUIRE(response->closes);
	if (response->minor == 0)
		REQUIRE(request->minor == 0);
	if (request->minor == 0 && !response->closes)
		REQUIRE(response->says_keep_alive);
	/* These are no reason to close; an unread body is one. */
	if (request->is_complete && !request->has_content && request->keep_alive && request->minor == 1 &&
	    response->status < 400)
		REQUIRE(!response->closes);
	if (!is_echo(request) || !request->is_complete || response->status == 503)
		return;
	REQUIRE(response->status == (request->content_length <= max_content ? 200 : 413));
	if (response->status != 200)
		return;
	REQUIRE(response->content.length == request->content_length);
	REQUIRE(request->content_length == 0 ||
		memcmp(response->content.data, sent->contents.data + request->content, request->content_length) == 0);
}

static size_t count_complete(const struct sent *sent)
{
	size_t count = 0;
	while (count < sent->count && sent->requests[count].is_complete)
		count++;
	return count;
}

bool responses_check(
    const char *bytes, size_t length, const struct sent *sent, size_t max_content, enum conversation_end end)
{
	struct reading reading = { bytes, bytes + length, false };
	static struct response response;
	size_t count = 0, continues = 0;
	bool closes = false;

	while (reading.at < reading.end) {
		const struct sent_request *request = &sent->requests[count];
		struct fuzz_bytes content = response.content;
		content.length = 0;
		response = (struct response){ .content = content };
		REQUIRE(!closes && count < sent->count);
		read_head(&reading, &response);
		if (reading.is_cut)
			break;
		if (response.status == 100) {
			REQUIRE(request->expects_continue && continues++ == 0);
			REQUIRE(!response.has_length && !response.is_chunked);
			continue;
		}
		read_content(&reading, &response, request);
		if (reading.is_cut)
			break;
		check_response(&response, request, sent, max_content);
		closes = response.closes;
		continues = 0;
		count++;
	}
	REQUIRE(end == END_CUT || !reading.is_cut);
	REQUIRE(end == END_CUT || closes || count == count_complete(sent));
	return !reading.is_cut && (closes || count == count_complete(sent));
}
