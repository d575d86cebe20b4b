/* SPDX-License-Identifier: MIT */
/* Usual replies need no printf(). */
#include "http/response_head.h"

#include "base/bytes.h"
#include "http/date.h"
#include "http/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct status_line {
	int status;
	const char *phrase;
	const char *line; /* with CRLF */
	size_t length;
};

/* IANA HTTP Status Code Registry, without statuses of other kinds of servers; ascending. */
/* clang-format off */
#define STATUS(code, phrase)                                                                                           \
	{                                                                                                              \
		code, phrase, "HTTP/1.1 " #code " " phrase "\r\n", sizeof("HTTP/1.1 " #code " " phrase "\r\n") - 1     \
	}
static const struct status_line status_lines[] = {
	STATUS(200, "OK"), STATUS(201, "Created"), STATUS(202, "Accepted"), STATUS(203, "Non-Authoritative Information"),
	STATUS(204, "No Content"), STATUS(205, "Reset Content"), STATUS(206, "Partial Content"),
	STATUS(207, "Multi-Status"), STATUS(300, "Multiple Choices"), STATUS(301, "Moved Permanently"),
	STATUS(302, "Found"), STATUS(303, "See Other"), STATUS(304, "Not Modified"), STATUS(307, "Temporary Redirect"),
	STATUS(308, "Permanent Redirect"), STATUS(400, "Bad Request"), STATUS(401, "Unauthorized"),
	STATUS(402, "Payment Required"), STATUS(403, "Forbidden"), STATUS(404, "Not Found"),
	STATUS(405, "Method Not Allowed"), STATUS(406, "Not Acceptable"), STATUS(407, "Proxy Authentication Required"),
	STATUS(408, "Request Timeout"), STATUS(409, "Conflict"), STATUS(410, "Gone"), STATUS(411, "Length Required"),
	STATUS(412, "Precondition Failed"), STATUS(413, "Content Too Large"), STATUS(414, "URI Too Long"),
	STATUS(415, "Unsupported Media Type"), STATUS(416, "Range Not Satisfiable"), STATUS(417, "Expectation Failed"),
	STATUS(421, "Misdirected Request"), STATUS(422, "Unprocessable Content"), STATUS(423, "Locked"),
	STATUS(424, "Failed Dependency"), STATUS(425, "Too Early"), STATUS(426, "Upgrade Required"),
	STATUS(428, "Precondition Required"), STATUS(429, "Too Many Requests"),
	STATUS(431, "Request Header Fields Too Large"), STATUS(451, "Unavailable For Legal Reasons"),
	STATUS(500, "Internal Server Error"), STATUS(501, "Not Implemented"), STATUS(502, "Bad Gateway"),
	STATUS(503, "Service Unavailable"), STATUS(504, "Gateway Timeout"), STATUS(505, "HTTP Version Not Supported"),
	STATUS(507, "Insufficient Storage"),
};
/* clang-format on */

static const struct status_line *find_status(int status)
{
	size_t low = 0, high = sizeof status_lines / sizeof *status_lines;
	if (status == 200)
		return &status_lines[0];
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (status_lines[middle].status == status)
			return &status_lines[middle];
		if (status_lines[middle].status < status)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *pipit_response_head_phrase(int status)
{
	const struct status_line *line = find_status(status);
	return line ? line->phrase : "Unknown";
}

/* --- heads -------------------------------------------------------------------------------------------------------- */

static char *put_status_line(char *at, int status)
{
	const struct status_line *line = find_status(status);
	if (line)
		return pipit_bytes_put(at, line->line, line->length);
	at = PIPIT_BYTES_PUT(at, "HTTP/1.1 ");
	at = pipit_bytes_put_number(at, (uint64_t)status);
	return PIPIT_BYTES_PUT(at, " Unknown\r\n");
}

bool pipit_response_head_has_content(int status, bool is_head_request)
{
	return !is_head_request && status >= 200 && status != 204 && status != 205 && status != 304;
}

size_t pipit_response_head_render(char *start, const struct pipit_response_head *head)
{
	char *at = put_status_line(start, head->status);

	at = PIPIT_BYTES_PUT(at, "Date: ");
	at = pipit_bytes_put(at, head->date, PIPIT_DATE_SIZE - 1);
	at = PIPIT_BYTES_PUT(at, "\r\n");
	if (head->content_type) {
		at = PIPIT_BYTES_PUT(at, "Content-Type: ");
		at = pipit_bytes_put(at, head->content_type, strnlen(head->content_type, 256));
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	if (head->fields.length)
		at = pipit_bytes_put(at, head->fields.data, head->fields.length);
	if (head->file_fields.length)
		at = pipit_bytes_put(at, head->file_fields.data, head->file_fields.length);
	/* not with 204 (RFC 9110 §8.6); that of 304 is not known here */
	if (head->is_open) {
		if (head->minor > 0)
			at = PIPIT_BYTES_PUT(at, "Transfer-Encoding: chunked\r\n");
	} else if (head->status != 204 && head->status != 304) {
		at = PIPIT_BYTES_PUT(at, "Content-Length: ");
		at = pipit_bytes_put_number(at, head->content_length);
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	if (!head->keep_alive)
		at = PIPIT_BYTES_PUT(at, "Connection: close\r\n");
	else if (head->minor == 0)
		at = PIPIT_BYTES_PUT(at, "Connection: keep-alive\r\n");
	at = PIPIT_BYTES_PUT(at, "\r\n");
	return (size_t)(at - start);
}

bool pipit_response_head_is_field(const char *name, const char *value)
{
	return pipit_guard_is_token(pipit_slice_of(name)) && pipit_response_head_is_value(value);
}

bool pipit_response_head_is_value(const char *value)
{
	const char *end = value + strlen(value);
	return pipit_guard_skip_value(value, end) == end;
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

static char *drop_partial_character(char *start, char *at)
{
	char *last = at;
	while (last > start && at - last < 4 && ((unsigned char)last[-1] & 0xc0) == 0x80)
		last--;
	if (last > start && (unsigned char)last[-1] >= 0xc0) {
		unsigned char first = (unsigned char)*--last;
		long length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
		if (at - last == length)
			return at;
	}
	return last;
}

static char *put_escaped(char *at, const char *end, const char *text, bool html)
{
	char *start = at;
	for (; *text && end - at > 8; text++) {
		unsigned char byte = (unsigned char)*text;
		const char *escape = html ? pipit_bytes_html_escape(*text) : NULL;
		if (escape)
			at = pipit_bytes_put(at, escape, strlen(escape));
		else if (!html && (byte == '"' || byte == '\\'))
			*at++ = '\\', *at++ = (char)byte;
		else if (byte < 0x20 || byte == 0x7f)
			*at++ = ' ';
		else
			*at++ = (char)byte;
	}
	return *text ? drop_partial_character(start, at) : at;
}

size_t pipit_response_head_problem_content(
    char *start, int status, const char *detail, struct pipit_slice members, bool html, const char **content_type)
{
	const char *title = pipit_response_head_phrase(status);
	char *at = start, *end = start + PIPIT_RESPONSE_HEAD_PROBLEM_MAX - 64;

	if (html) {
		*content_type = "text/html; charset=utf-8";
		at += sprintf(at,
		    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>%d %s</title>\n"
		    "<h1>%d %s</h1>\n<p>",
		    status, title, status, title);
		at = put_escaped(at, end, detail ? detail : "", true);
		at = PIPIT_BYTES_PUT(at, "</p></html>\n");
		return (size_t)(at - start);
	}
	*content_type = "application/problem+json";
	at += sprintf(at, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d", title, status);
	if (detail) {
		at = PIPIT_BYTES_PUT(at, ",\"detail\":\"");
		at = put_escaped(at, end, detail, false);
		*at++ = '"';
	}
	if (members.length)
		at = pipit_bytes_put(at, members.data, members.length);
	at = PIPIT_BYTES_PUT(at, "}\n");
	return (size_t)(at - start);
}

size_t pipit_response_head_refusal(
    char *at, enum pipit_refusal reason, const char *date, bool is_head_request, bool html, size_t *content_bytes)
{
	const struct pipit_refusal_entry *entry = pipit_refusal_entry(reason);
	char content[PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	struct pipit_response_head head = { .status = entry->status, .date = date, .minor = 1 };
	size_t used, length = pipit_response_head_problem_content(content, entry->status, entry->detail,
			 (struct pipit_slice){ NULL, 0 }, html, &head.content_type);

	head.content_length = length;
	/* HTML or JSON */
	head.fields = pipit_slice_of("Vary: Accept\r\n");
	if (reason == PIPIT_REFUSAL_METHOD_REFUSED)
		head.fields = pipit_slice_of("Vary: Accept\r\nAllow: GET, HEAD, OPTIONS\r\n");
	if (entry->status == 503 || entry->status == 429)
		head.fields = pipit_slice_of("Vary: Accept\r\nRetry-After: 1\r\n");
	used = pipit_response_head_render(at, &head);
	*content_bytes = is_head_request ? 0 : length;
	memcpy(at + used, content, *content_bytes);
	return used + *content_bytes;
}

/* --- replies of evhttp callbacks ---------------------------------------------------------------------------------- */

static const char *next_line(const char *at, const char *end)
{
	const char *lf = memchr(at, '\n', (size_t)(end - at));
	return lf ? lf + 1 : end;
}

static bool is_field(const char *line, const char *end, const char *name_and_colon)
{
	size_t length = strlen(name_and_colon);
	return (size_t)(end - line) > length && strncasecmp(line, name_and_colon, length) == 0;
}

static bool lists(struct pipit_slice list, const char *wanted)
{
	struct pipit_slice member;
	while (pipit_slice_next_member(&list, &member)) {
		if (pipit_slice_equals_nocase(member, wanted))
			return true;
	}
	return false;
}

static struct pipit_slice value_of(const char *line, const char *end)
{
	const char *value = memchr(line, ':', (size_t)(end - line)), *cr = memchr(line, '\r', (size_t)(end - line));
	return (struct pipit_slice){ value + 1, (size_t)((cr ? cr : end) - value - 1) };
}

static int64_t read_length(struct pipit_slice value)
{
	uint64_t length;
	return pipit_guard_read_length(pipit_slice_trim(value), &length) ? (int64_t)length : -1;
}

static void take_length(struct pipit_response_head_evhttp *reply, int64_t length)
{
	reply->is_ambiguous |= length < 0 || (reply->lengths && length != reply->content_length);
	reply->content_length = length;
	reply->lengths++;
}

static void read_connection(struct pipit_slice value, struct pipit_response_head_evhttp *reply)
{
	reply->closes |= lists(value, "close");
	reply->keeps_alive |= lists(value, "keep-alive");
}

/* By the first letter: most headers are none of these. */
static void read_evhttp_field(const char *line, const char *end, struct pipit_response_head_evhttp *reply)
{
	switch (*line | 0x20) {
	case 'd':
		reply->dates += is_field(line, end, "Date:");
		break;
	case 't':
		reply->is_chunked |= is_field(line, end, "Transfer-Encoding:");
		break;
	case 'c':
		/* Content-Type, in nearly every reply */
		if (end - line > 8 && (line[8] | 0x20) == 't')
			break;
		if (is_field(line, end, "Content-Length:"))
			take_length(reply, read_length(value_of(line, end)));
		else if (is_field(line, end, "Connection:"))
			read_connection(value_of(line, end), reply);
		break;
	}
}

size_t pipit_response_head_read_evhttp(
    const char *bytes, size_t length, bool is_head_request, struct pipit_response_head_evhttp *reply)
{
	const char *end = bytes + length, *line;
	bool has_length, has_no_length;

	*reply = (struct pipit_response_head_evhttp){ .content_length = -1 };
	/* "HTTP/1.x NNN …" */
	for (const char *digit = bytes + 9; digit < end && *digit >= '0' && *digit <= '9' && reply->status < 1000;
	     digit++)
		reply->status = reply->status * 10 + (*digit - '0');
	for (line = next_line(bytes, end); line < end && *line != '\r'; line = next_line(line, end))
		read_evhttp_field(line, end, reply);
	if (end - line < 2 || line[1] != '\n')
		return 0;
	/* RFC 9112 §9.3 */
	reply->closes |= bytes[7] == '0' && !reply->keeps_alive;
	has_length = reply->content_length >= 0;
	has_no_length = reply->status == 204 || reply->status == 205;
	reply->is_invalid =
	    has_no_length ? has_length || reply->is_chunked || reply->status == 205 : has_length && reply->is_chunked;
	/* evhttp sends no chunks when there is a length */
	reply->is_chunked &= !has_length;
	reply->has_content = pipit_response_head_has_content(reply->status, is_head_request);
	return (size_t)(line + 2 - bytes);
}

static bool may_stay(const char *line, const char *end, const struct pipit_response_head_evhttp *reply,
    const struct pipit_response_head_amendments *amendments)
{
	bool has_no_length = reply->status == 204 || reply->status == 205;
	if (is_field(line, end, "Connection:"))
		return !amendments->closes;
	if (is_field(line, end, "Content-Length:"))
		return !has_no_length && !amendments->drops_length;
	return !is_field(line, end, "Transfer-Encoding:") || (reply->is_chunked && !has_no_length);
}

static char *put_amendments(
    char *at, const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments)
{
	/* the client must know that no body follows (RFC 9110 §15.3.6) */
	if (reply->status == 205)
		at = PIPIT_BYTES_PUT(at, "Content-Length: 0\r\n");
	else if (amendments->content_length >= 0)
		at += sprintf(at, "Content-Length: %" PRId64 "\r\n", amendments->content_length);
	if (amendments->date) {
		at = PIPIT_BYTES_PUT(at, "Date: ");
		at = pipit_bytes_put(at, amendments->date, PIPIT_DATE_SIZE - 1);
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	if (amendments->closes)
		at = PIPIT_BYTES_PUT(at, "Connection: close\r\n");
	if (amendments->fields.length)
		at = pipit_bytes_put(at, amendments->fields.data, amendments->fields.length);
	return PIPIT_BYTES_PUT(at, "\r\n");
}

size_t pipit_response_head_amend_evhttp(char *to, const char *head, size_t length,
    const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments)
{
	static const char version[] = "HTTP/1.1";
	const char *end = head + length - 2, *line = next_line(head, end);
	unsigned dates_too_many = reply->dates > 1 ? reply->dates - 1 : 0;
	char *at = pipit_bytes_put(to, head, (size_t)(line - head));

	memcpy(to, version, sizeof version - 1);
	for (; line < end; line = next_line(line, end)) {
		/* the last is that of the callback */
		if (dates_too_many && is_field(line, end, "Date:"))
			dates_too_many--;
		else if (may_stay(line, end, reply, amendments))
			at = pipit_bytes_put(at, line, (size_t)(next_line(line, end) - line));
	}
	return (size_t)(put_amendments(at, reply, amendments) - to);
}
