/* SPDX-License-Identifier: MIT */
/* Response heads, byte for byte. Input with a length ends directly before an inaccessible page. */
#include "http/response_head.h"

#include "guarded.h"
#include "pipit.h"
#include "suite.h"
#include "json/json.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

/* Memory of `size` bytes and no more. */
static char *room(size_t size)
{
	return memset(guarded_room(size), '#', size);
}

static struct pipit_slice guard(const char *text)
{
	size_t length = strlen(text);
	return (struct pipit_slice){ guarded_copy(text, length), length };
}

/* ---------------------------------------------------------------- heads */

#define LINE_OF(text) "HTTP/1.1 " text "\r\nDate: " DATE "\r\n"
#define TYPE "Content-Type: text/plain\r\n"

static const struct {
	struct pipit_response_head head; /* with the date filled in */
	const char *text;
} heads[] = {
	{ { .status = 200, .content_type = "text/plain", .content_length = 5, .minor = 1, .keep_alive = true },
	    LINE_OF("200 OK") TYPE "Content-Length: 5\r\n\r\n" },
	{ { .status = 200, .minor = 1, .keep_alive = true }, LINE_OF("200 OK") "Content-Length: 0\r\n\r\n" },
	{ { .status = 200, .content_length = UINT64_MAX, .minor = 1, .keep_alive = true },
	    LINE_OF("200 OK") "Content-Length: 18446744073709551615\r\n\r\n" },
	{ { .status = 200, .content_length = 1234567890, .minor = 1 },
	    LINE_OF("200 OK") "Content-Length: 1234567890\r\nConnection: close\r\n\r\n" },
	{ { .status = 200, .minor = 0, .keep_alive = true },
	    LINE_OF("200 OK") "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n" },
	{ { .status = 200, .minor = 0 }, LINE_OF("200 OK") "Content-Length: 0\r\nConnection: close\r\n\r\n" },
	{ { .status = 200,
	      .content_type = "text/plain",
	      .fields = { "A: b\r\nC: d\r\n", 12 },
	      .minor = 1,
	      .keep_alive = true },
	    LINE_OF("200 OK") TYPE "A: b\r\nC: d\r\nContent-Length: 0\r\n\r\n" },
	/* no framing where no body is allowed (RFC 9110 §8.6) */
	{ { .status = 204, .minor = 1, .keep_alive = true }, LINE_OF("204 No Content") "\r\n" },
	{ { .status = 204, .content_length = 5, .minor = 1 }, LINE_OF("204 No Content") "Connection: close\r\n\r\n" },
	{ { .status = 304, .fields = { "ETag: \"a\"\r\n", 11 }, .content_length = 5, .minor = 1, .keep_alive = true },
	    LINE_OF("304 Not Modified") "ETag: \"a\"\r\n\r\n" },
	{ { .status = 404, .content_type = "text/plain", .content_length = 9, .minor = 1, .keep_alive = true },
	    LINE_OF("404 Not Found") TYPE "Content-Length: 9\r\n\r\n" },
	{ { .status = 507, .minor = 1, .keep_alive = true },
	    LINE_OF("507 Insufficient Storage") "Content-Length: 0\r\n\r\n" },
	{ { .status = 299, .minor = 1, .keep_alive = true }, LINE_OF("299 Unknown") "Content-Length: 0\r\n\r\n" },
	{ { .status = 599, .minor = 1, .keep_alive = true }, LINE_OF("599 Unknown") "Content-Length: 0\r\n\r\n" },
};

START_TEST(renders_a_head)
{
	struct pipit_response_head head = heads[_i].head;
	char *at = room(PIPIT_RESPONSE_HEAD_MAX);
	size_t length;

	head.date = DATE;
	length = pipit_response_head_render(at, &head);
	ck_assert_msg(
	    length == strlen(heads[_i].text) && memcmp(at, heads[_i].text, length) == 0, "%.*s", (int)length, at);
	ck_assert_int_eq(at[length], '#');
}
END_TEST

START_TEST(fits_the_largest_head_into_the_documented_size)
{
	static char fields[PIPIT_RESPONSE_HEAD_FIELDS_MAX], content_type[1024];
	struct pipit_response_head head = { .status = 431,
		.content_type = content_type,
		.date = DATE,
		.minor = 1,
		.fields = { fields, sizeof fields },
		.content_length = UINT64_MAX };
	char *at = room(PIPIT_RESPONSE_HEAD_MAX), *type;
	size_t length;

	memset(fields, 'f', sizeof fields);
	memcpy(fields + sizeof fields - 2, "\r\n", 2);
	memset(content_type, 't', sizeof content_type - 1);
	length = pipit_response_head_render(at, &head);
	ck_assert_uint_le(length, PIPIT_RESPONSE_HEAD_MAX);
	ck_assert_int_eq(memcmp(at + length - 4, "\r\n\r\n", 4), 0);
	type = memmem(at, length, "\r\nContent-Type: t", 17);
	ck_assert_ptr_nonnull(type);
	type += 16;
	ck_assert_ptr_eq(memchr(type, '\r', length), type + 256);
}
END_TEST

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 422, "Unprocessable Content" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
	{ 507, "Insufficient Storage" },
	{ -1, "Unknown" },
	{ 0, "Unknown" },
	{ 199, "Unknown" },
	{ 208, "Unknown" },
	{ 418, "Unknown" },
	{ 508, "Unknown" },
	{ 999, "Unknown" },
};

START_TEST(knows_the_phrase_of_every_registered_status)
{
	ck_assert_str_eq(pipit_response_head_phrase(phrases[_i].status), phrases[_i].phrase);
}
END_TEST

START_TEST(renders_every_status_with_its_phrase)
{
	for (int status = 200; status < 600; status++) {
		struct pipit_response_head head = { .status = status, .date = DATE, .minor = 1, .keep_alive = true };
		char *at = room(PIPIT_RESPONSE_HEAD_MAX), expected[128];
		snprintf(expected, sizeof expected, "HTTP/1.1 %d %s\r\n", status, pipit_response_head_phrase(status));
		pipit_response_head_render(at, &head);
		ck_assert_msg(strncmp(at, expected, strlen(expected)) == 0, "%.40s", at);
	}
}
END_TEST

START_TEST(knows_which_responses_have_a_body)
{
	static const int with[] = { 200, 201, 202, 206, 301, 400, 404, 405, 500, 503, 599 };
	static const int without[] = { 100, 101, 103, 199, 204, 304 };

	for (size_t i = 0; i < COUNT(with); i++) {
		ck_assert(pipit_response_head_has_content(with[i], false));
		ck_assert(!pipit_response_head_has_content(with[i], true));
	}
	for (size_t i = 0; i < COUNT(without); i++) {
		ck_assert(!pipit_response_head_has_content(without[i], false));
		ck_assert(!pipit_response_head_has_content(without[i], true));
	}
}
END_TEST

/* ---------------------------------------------------------------- headers */

static const struct {
	const char *name, *value;
	bool is_field;
} fields[] = {
	{ "A", "b", true },
	{ "A", "", true },
	{ "A", " b\tc ", true },
	{ "X-Long_Name.1", "visible: \"~\" !", true },
	{ "!#$%&'*+-.^_`|~09azAZ", "b", true },
	{ "A", "\x80\xff caf\xc3\xa9", true },
	{ "", "b", false },
	{ " A", "b", false },
	{ "A ", "b", false },
	{ "A B", "c", false },
	{ "A:", "b", false },
	{ "A\r\nB", "c", false },
	{ "A\t", "b", false },
	{ "caf\xc3\xa9", "b", false },
	{ "A\x7f", "b", false },
	{ "A", "b\r\nC: d", false },
	{ "A", "b\r", false },
	{ "A", "\nb", false },
	{ "A", "\x01", false },
	{ "A", "b\x1f", false },
	{ "A", "\x1b[31m", false },
	{ "A", "b\x7f", false },
	{ "A", "\v", false },
};

START_TEST(validates_names_and_values_of_response_headers)
{
	ck_assert_msg(pipit_response_head_is_field(fields[_i].name, fields[_i].value) == fields[_i].is_field, "%s: %s",
	    fields[_i].name, fields[_i].value);
}
END_TEST

START_TEST(decides_for_every_byte_whether_a_response_may_hold_it)
{
	for (int byte = 1; byte < 256; byte++) {
		char text[] = { 'a', (char)byte, 'z', '\0' };
		bool is_token = byte < 0x80 && (isalnum(byte) || strchr("!#$%&'*+-.^_`|~", byte));
		bool is_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
		ck_assert_msg(pipit_response_head_is_field(text, "b") == is_token, "%#x in a name", (unsigned)byte);
		ck_assert_msg(pipit_response_head_is_field("A", text) == is_value, "%#x in a value", (unsigned)byte);
	}
}
END_TEST

/* ---------------------------------------------------------------- problems, RFC 9457 */

static const struct pipit_slice no_members = { NULL, 0 };

static cJSON *parse_problem(const char *text, size_t length)
{
	const struct pipit_json_limits limits = { 8, 0 };
	struct pipit_json_error wrong;
	cJSON *problem = NULL;

	ck_assert_msg(pipit_json_parse(text, length, &limits, &problem, &wrong) == 0, "%s at byte %zu of %.200s",
	    wrong.message, wrong.byte, text);
	return problem;
}

static const char *text_of(const cJSON *problem, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(problem, name));
}

static const struct {
	const char *detail;  /* NULL: none */
	const char *in_json; /* as decoded by a client; NULL: no detail */
	const char *in_html; /* as written */
} details[] = {
	{ NULL, NULL, "" },
	{ "", "", "" },
	{ "There is nothing here.", "There is nothing here.", "There is nothing here." },
	{ "\"quoted\" and \\ back", "\"quoted\" and \\ back", "\"quoted\" and \\ back" },
	{ "\\\"", "\\\"", "\\\"" },
	{ "<script>alert('a & b')</script>", "<script>alert('a & b')</script>",
	    "&lt;script&gt;alert('a &amp; b')&lt;/script&gt;" },
	{ "&lt;", "&lt;", "&amp;lt;" },
	{ "a\r\nb\tc\x01\x1f\x7f", "a  b c   ", "a  b c   " },
	{ "caf\xc3\xa9 \xf0\x9f\x90\xa6", "caf\xc3\xa9 \xf0\x9f\x90\xa6", "caf\xc3\xa9 \xf0\x9f\x90\xa6" },
	{ "%s%n{}[]:,\\u0000", "%s%n{}[]:,\\u0000", "%s%n{}[]:,\\u0000" },
};

START_TEST(renders_a_problem_as_json)
{
	const char *content_type;
	char *at = room(PIPIT_RESPONSE_HEAD_PROBLEM_MAX);
	size_t length =
	    pipit_response_head_problem_content(at, 404, details[_i].detail, no_members, false, &content_type);
	cJSON *problem = parse_problem(at, length);

	ck_assert_str_eq(content_type, "application/problem+json");
	ck_assert_str_eq(text_of(problem, "title"), "Not Found");
	ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(problem, "status")), 404);
	if (details[_i].in_json)
		ck_assert_str_eq(text_of(problem, "detail"), details[_i].in_json);
	else
		ck_assert(!cJSON_HasObjectItem(problem, "detail"));
	cJSON_Delete(problem);
}
END_TEST

START_TEST(adds_members_to_a_problem_in_json_only)
{
	static char members[2 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	const char *content_type, *detail = _i ? "What is wrong." : NULL;
	size_t members_length, length;
	cJSON *problem;
	char *at;

	memset(members, 'x', sizeof members);
	memcpy(members, ",\"errors\":[\"", 12);
	memcpy(members + sizeof members - 2, "\"]", 2);
	members_length = sizeof members;
	at = room(PIPIT_RESPONSE_HEAD_PROBLEM_MAX + members_length);
	length = pipit_response_head_problem_content(
	    at, 400, detail, (struct pipit_slice){ members, members_length }, false, &content_type);
	problem = parse_problem(at, length);
	ck_assert_int_eq(at[length - 1], '\n');
	ck_assert_str_eq(text_of(problem, "title"), "Bad Request");
	ck_assert_pstr_eq(text_of(problem, "detail"), detail);
	ck_assert_uint_eq(
	    strlen(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(problem, "errors"), 0))),
	    members_length - strlen(",\"errors\":[\"\"]"));
	cJSON_Delete(problem);
	length = pipit_response_head_problem_content(
	    at, 400, detail, (struct pipit_slice){ members, members_length }, true, &content_type);
	ck_assert_ptr_null(memmem(at, length, "errors", strlen("errors")));
}
END_TEST

START_TEST(renders_a_problem_as_html)
{
	const char *content_type;
	char *at = room(PIPIT_RESPONSE_HEAD_PROBLEM_MAX), expected[256];
	size_t length =
	    pipit_response_head_problem_content(at, 404, details[_i].detail, no_members, true, &content_type);

	ck_assert_str_eq(content_type, "text/html; charset=utf-8");
	ck_assert_uint_lt(length, PIPIT_RESPONSE_HEAD_PROBLEM_MAX);
	at[length] = '\0';
	ck_assert_msg(strncasecmp(at, "<!doctype html>", 15) == 0, "%s", at);
	ck_assert_ptr_nonnull(strstr(at, "404 Not Found"));
	snprintf(expected, sizeof expected, "<p>%s</p>", details[_i].in_html);
	ck_assert_msg(strstr(at, expected) != NULL, "%s", at);
}
END_TEST

/* Pieces that grow when they are escaped, and one that must not be cut. */
static const char *const pieces[] = { "a", "\"", "\\", "<", "&", "\x01", "\xc3\xa9", "\xe0\xa0\x80", "\xe2\x82\xac",
	"\xf0\x9f\x90\xa6" };

START_TEST(truncates_a_long_detail_between_two_characters)
{
	static char detail[3 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX];
	const char *content_type, *piece = pieces[_i];
	size_t piece_length = strlen(piece);

	/* A prefix moves the place of the cut through a character. */
	for (size_t ahead = 0; ahead < 8; ahead++) {
		char *at = room(PIPIT_RESPONSE_HEAD_PROBLEM_MAX);
		size_t length = ahead;
		cJSON *problem;
		memset(detail, 'x', ahead);
		for (; length + piece_length < sizeof detail; length += piece_length)
			memcpy(detail + length, piece, piece_length);
		detail[length] = '\0';
		length = pipit_response_head_problem_content(at, 400, detail, no_members, false, &content_type);
		ck_assert_uint_le(length, PIPIT_RESPONSE_HEAD_PROBLEM_MAX);
		problem = parse_problem(at, length);
		ck_assert_uint_ge(strlen(text_of(problem, "detail")), PIPIT_RESPONSE_HEAD_PROBLEM_MAX / 3);
		cJSON_Delete(problem);
		at = room(PIPIT_RESPONSE_HEAD_PROBLEM_MAX);
		length = pipit_response_head_problem_content(at, 400, detail, no_members, true, &content_type);
		ck_assert_uint_le(length, PIPIT_RESPONSE_HEAD_PROBLEM_MAX);
		ck_assert_msg(pipit_is_utf8(at, length), "cut after %zu bytes", length);
		ck_assert_int_eq(
		    memcmp(at + length - strlen("</p></html>\n"), "</p></html>\n", strlen("</p></html>\n")), 0);
	}
}
END_TEST

/* ---------------------------------------------------------------- refusals */

/* The value of the only header of that name within a NUL-terminated head. */
static const char *only_field(const char *head, const char *name)
{
	const char *value = NULL;
	size_t length = strlen(name);

	for (const char *line = head; (line = strstr(line, "\r\n")) != NULL && line[2] != '\r';) {
		line += 2;
		if (strncasecmp(line, name, length) != 0 || line[length] != ':')
			continue;
		ck_assert_msg(value == NULL, "two fields %s in %s", name, head);
		value = line + length + 2;
	}
	ck_assert_msg(value != NULL, "no field %s in %s", name, head);
	return value;
}

static void expect_value(const char *head, const char *name, const char *expected)
{
	const char *value = only_field(head, name);
	size_t length = strlen(expected);

	ck_assert_msg(
	    strncmp(value, expected, length) == 0 && value[length] == '\r', "%s is not %s in %s", name, expected, head);
}

/* Renders a refusal and checks its head, which is copied to `head` as a string; returns the body. */
static struct pipit_slice refuse(
    enum pipit_refusal reason, bool is_head_request, bool html, char *head, size_t head_size)
{
	char *at = room(PIPIT_RESPONSE_HEAD_MAX + PIPIT_RESPONSE_HEAD_PROBLEM_MAX), expected[128];
	size_t content_bytes = SIZE_MAX, head_length, length;
	const char *end;
	int status = pipit_refusal_entry(reason)->status;

	length = pipit_response_head_refusal(at, reason, DATE, is_head_request, html, &content_bytes);
	end = memmem(at, length, "\r\n\r\n", 4);
	ck_assert_ptr_nonnull(end);
	head_length = (size_t)(end - at) + 4;
	ck_assert_uint_lt(head_length, head_size);
	memcpy(head, at, head_length);
	head[head_length] = '\0';
	snprintf(expected, sizeof expected, "HTTP/1.1 %d %s\r\n", status, pipit_response_head_phrase(status));
	ck_assert_msg(strncmp(head, expected, strlen(expected)) == 0, "%s", head);
	expect_value(head, "Date", DATE);
	expect_value(head, "Connection", "close");
	ck_assert_uint_eq(content_bytes, length - head_length);
	return (struct pipit_slice){ at + head_length, content_bytes };
}

START_TEST(refuses_with_one_correct_length_and_a_problem_document)
{
	enum pipit_refusal reason = (enum pipit_refusal)_i;
	char head[1024];
	struct pipit_slice content = refuse(reason, false, false, head, sizeof head);
	cJSON *problem = parse_problem(content.data, content.length);

	expect_value(head, "Content-Type", "application/problem+json");
	ck_assert_uint_eq(strtoull(only_field(head, "Content-Length"), NULL, 10), content.length);
	ck_assert_double_eq(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(problem, "status")),
	    pipit_refusal_entry(reason)->status);
	ck_assert_str_eq(text_of(problem, "detail"), pipit_refusal_entry(reason)->detail);
	cJSON_Delete(problem);
}
END_TEST

START_TEST(refuses_with_one_correct_length_and_a_page)
{
	char head[1024];
	struct pipit_slice content = refuse((enum pipit_refusal)_i, false, true, head, sizeof head);

	expect_value(head, "Content-Type", "text/html; charset=utf-8");
	ck_assert_uint_eq(strtoull(only_field(head, "Content-Length"), NULL, 10), content.length);
	ck_assert_ptr_nonnull(memmem(content.data, content.length, "</html>", 7));
}
END_TEST

/* HEAD gets the Content-Length of GET without the body (RFC 9110 §9.3.2). */
START_TEST(refuses_a_head_request_without_a_body)
{
	char head[1024], head_of_get[1024];
	struct pipit_slice content = refuse((enum pipit_refusal)_i, true, false, head, sizeof head);

	ck_assert_uint_eq(content.length, 0);
	refuse((enum pipit_refusal)_i, false, false, head_of_get, sizeof head_of_get);
	ck_assert_str_eq(head, head_of_get);
}
END_TEST

/* RFC 9110 §15.5.6 asks for Allow; §15.6.4 suggests Retry-After. */
START_TEST(refuses_with_the_header_that_the_status_requires)
{
	char head[1024];

	refuse(PIPIT_REFUSAL_METHOD_REFUSED, false, false, head, sizeof head);
	only_field(head, "Allow");
	refuse(PIPIT_REFUSAL_TOO_MANY_CONNECTIONS, false, false, head, sizeof head);
	ck_assert_uint_gt(strtoull(only_field(head, "Retry-After"), NULL, 10), 0);
	refuse(PIPIT_REFUSAL_OUT_OF_MEMORY, false, false, head, sizeof head);
	ck_assert_uint_gt(strtoull(only_field(head, "Retry-After"), NULL, 10), 0);
}
END_TEST

/* ---------------------------------------------------------------- replies of evhttp callbacks */

#define EVHTTP(status) "HTTP/1.1 " status "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"

static const struct {
	const char *head;
	bool is_head_request;
	struct pipit_response_head_evhttp reply;
} evhttp_heads[] = {
	{ EVHTTP("200 OK") "\r\n", false, { .status = 200, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "\r\n", true, { .status = 200, .content_length = 5 } },
	{ EVHTTP("304 Not Modified") "\r\n", false, { .status = 304, .content_length = 5 } },
	{ EVHTTP("404 Not Found") "\r\n", false, { .status = 404, .has_content = true, .content_length = 5 } },
	{ EVHTTP("500 ") "\r\n", false, { .status = 500, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 Connection: close") "\r\n", false, { .status = 200, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "Date: now\r\n\r\n", false,
	    { .status = 200, .has_content = true, .dates = 1, .content_length = 5 } },
	{ EVHTTP("200 OK") "Date: now\r\nX: Date: y\r\ndate: then\r\n\r\n", false,
	    { .status = 200, .has_content = true, .dates = 2, .content_length = 5 } },
	{ "HTTP/1.1 299 \r\n\r\n", false, { .status = 299, .has_content = true, .content_length = -1 } },

	/* framing */
	{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, { .status = 200, .has_content = true } },
	{ "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, { .status = 204, .is_invalid = true } },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", false,
	    { .status = 200, .has_content = true, .is_invalid = true } },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", false,
	    { .status = 200, .has_content = true } },
	{ EVHTTP("200 OK") "Content-Length: 6\r\n\r\n", false,
	    { .status = 200, .has_content = true, .is_ambiguous = true, .content_length = 6 } },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", false,
	    { .status = 200, .has_content = true, .is_ambiguous = true, .content_length = -1 } },
	{ "HTTP/1.1 204 No Content\r\n\r\n", false, { .status = 204, .content_length = -1 } },
	{ EVHTTP("204 No Content") "\r\n", false, { .status = 204, .is_invalid = true, .content_length = 5 } },
	{ "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false,
	    { .status = 204, .is_invalid = true, .is_chunked = true, .content_length = -1 } },
	{ "HTTP/1.1 205 Reset Content\r\n\r\n", false, { .status = 205, .is_invalid = true, .content_length = -1 } },
	{ "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false,
	    { .status = 200, .has_content = true, .is_chunked = true, .content_length = -1 } },
	{ EVHTTP("200 OK") "Transfer-Encoding: chunked\r\n\r\n", false,
	    { .status = 200, .has_content = true, .is_invalid = true, .content_length = 5 } },

	/* Connection */
	{ EVHTTP("200 OK") "Connection: close\r\n\r\n", false,
	    { .status = 200, .closes = true, .has_content = true, .content_length = 5 } },
	{ "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", false,
	    { .status = 200, .closes = true, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "connection: te,\t Close \r\n\r\n", false,
	    { .status = 200, .closes = true, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "Connection: keep-alive\r\nConnection: close\r\n\r\n", false,
	    { .status = 200, .closes = true, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "Connection: closed, x-close\r\nX: close\r\n\r\n", false,
	    { .status = 200, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "Proxy-Connection: close\r\nX-Connection: close\r\n\r\n", false,
	    { .status = 200, .has_content = true, .content_length = 5 } },
	{ EVHTTP("200 OK") "Connections: close\r\nX: Connection: close\r\n\r\n", false,
	    { .status = 200, .has_content = true, .content_length = 5 } },
};

START_TEST(reads_status_and_framing_of_a_head_of_evhttp)
{
	const struct pipit_response_head_evhttp *expected = &evhttp_heads[_i].reply;
	struct pipit_slice head = guard(evhttp_heads[_i].head);
	struct pipit_response_head_evhttp reply;

	memset(&reply, 0xa5, sizeof reply);
	ck_assert_uint_eq(
	    pipit_response_head_read_evhttp(head.data, head.length, evhttp_heads[_i].is_head_request, &reply),
	    head.length);
	ck_assert_int_eq(reply.status, expected->status);
	ck_assert_int_eq(reply.closes, expected->closes);
	ck_assert_uint_eq(reply.dates, expected->dates);
	ck_assert_int_eq(reply.has_content, expected->has_content);
	ck_assert_int_eq(reply.is_chunked, expected->is_chunked);
	ck_assert_int_eq(reply.is_invalid, expected->is_invalid);
	ck_assert_int_eq(reply.is_ambiguous, expected->is_ambiguous);
	ck_assert_int_eq(reply.content_length, expected->content_length);
}
END_TEST

START_TEST(reads_no_incomplete_head_of_evhttp)
{
	static const char head[] = EVHTTP("200 OK") "\r\nhello";
	size_t whole = sizeof head - sizeof "hello";
	for (size_t length = sizeof "HTTP/1.1 200" - 1; length < sizeof head; length++) {
		struct pipit_slice bytes = { guarded_copy(head, length), length };
		struct pipit_response_head_evhttp reply;
		ck_assert_uint_eq(pipit_response_head_read_evhttp(bytes.data, bytes.length, false, &reply),
		    length < whole ? 0 : whole);
	}
}
END_TEST

static const struct {
	struct pipit_response_head_amendments amendments;
	const char *before, *after;
} amendments[] = {
	{ { .content_length = -1 }, EVHTTP("200 OK") "\r\n", EVHTTP("200 OK") "\r\n" },
	{ { .closes = true, .content_length = -1 }, EVHTTP("200 OK") "\r\n",
	    EVHTTP("200 OK") "Connection: close\r\n\r\n" },
	{ { .date = DATE, .content_length = -1 }, EVHTTP("200 OK") "\r\n", EVHTTP("200 OK") "Date: " DATE "\r\n\r\n" },
	{ { .closes = true, .date = DATE, .content_length = -1 }, EVHTTP("200 OK") "\r\n",
	    EVHTTP("200 OK") "Date: " DATE "\r\nConnection: close\r\n\r\n" },
	/* The callback's Connection header is sent only while the connection is kept. */
	{ { .content_length = -1 }, "HTTP/1.1 200 OK\r\nConnection: x\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nConnection: x\r\n\r\n" },
	{ { .closes = true, .content_length = -1 }, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nA: b\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n" },
	/* One framing, and none where no body is allowed. */
	{ { .content_length = -1 }, EVHTTP("200 OK") "Transfer-Encoding: chunked\r\n\r\n", EVHTTP("200 OK") "\r\n" },
	{ { .content_length = -1 }, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
	{ { .content_length = -1 }, EVHTTP("204 No Content") "\r\n",
	    "HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n" },
	{ { .content_length = -1 }, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 204 No Content\r\n\r\n" },
	{ { .content_length = -1 }, "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\n",
	    "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n" },
	{ { .content_length = -1 }, EVHTTP("304 Not Modified") "\r\n", EVHTTP("304 Not Modified") "\r\n" },
	/* The callback's own date replaces it. */
	{ { .content_length = -1 }, EVHTTP("200 OK") "Date: ours\r\nA: b\r\nDate: its\r\n\r\n",
	    EVHTTP("200 OK") "A: b\r\nDate: its\r\n\r\n" },
	{ { .closes = true, .content_length = -1 }, EVHTTP("200 OK") "Date: 1\r\nDate: 2\r\nDate: 3\r\n\r\n",
	    EVHTTP("200 OK") "Date: 3\r\nConnection: close\r\n\r\n" },
	/* The server sets the version. */
	{ { .date = DATE, .content_length = -1 }, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: " DATE "\r\n\r\n" },
	{ { .closes = true, .drops_length = true, .content_length = -1 },
	    "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" },
	/* The Content-Length of GET. */
	{ { .content_length = 0 }, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n" },
	{ { .content_length = 12 }, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 12\r\n\r\n" },
};

START_TEST(rewrites_a_head_of_evhttp_so_that_it_is_valid)
{
	struct pipit_slice before = pipit_slice_of(amendments[_i].before);
	const char *after = amendments[_i].after;
	char *head = room(before.length + PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX);
	struct pipit_response_head_evhttp reply;
	size_t length;

	pipit_response_head_read_evhttp(before.data, before.length, false, &reply);
	length = pipit_response_head_amend_evhttp(head, before.data, before.length, &reply, &amendments[_i].amendments);
	ck_assert_msg(length == strlen(after) && memcmp(head, after, length) == 0, "%.*s", (int)length, head);
}
END_TEST

static TCase *case_of_heads(void)
{
	TCase *tests = tcase_create("heads");

	tcase_add_loop_test(tests, renders_a_head, 0, COUNT(heads));
	tcase_add_test(tests, fits_the_largest_head_into_the_documented_size);
	tcase_add_loop_test(tests, knows_the_phrase_of_every_registered_status, 0, COUNT(phrases));
	tcase_add_test(tests, renders_every_status_with_its_phrase);
	tcase_add_test(tests, knows_which_responses_have_a_body);
	tcase_add_loop_test(tests, validates_names_and_values_of_response_headers, 0, COUNT(fields));
	tcase_add_test(tests, decides_for_every_byte_whether_a_response_may_hold_it);
	tcase_add_loop_test(tests, reads_status_and_framing_of_a_head_of_evhttp, 0, COUNT(evhttp_heads));
	tcase_add_test(tests, reads_no_incomplete_head_of_evhttp);
	tcase_add_loop_test(tests, rewrites_a_head_of_evhttp_so_that_it_is_valid, 0, COUNT(amendments));
	return tests;
}

static TCase *case_of_errors(void)
{
	TCase *tests = tcase_create("errors");

	tcase_add_loop_test(tests, renders_a_problem_as_json, 0, COUNT(details));
	tcase_add_loop_test(tests, adds_members_to_a_problem_in_json_only, 0, 2);
	tcase_add_loop_test(tests, renders_a_problem_as_html, 0, COUNT(details));
	tcase_add_loop_test(tests, truncates_a_long_detail_between_two_characters, 0, COUNT(pieces));
	tcase_add_loop_test(tests, refuses_with_one_correct_length_and_a_problem_document, 1, PIPIT_REFUSAL_COUNT);
	tcase_add_loop_test(tests, refuses_with_one_correct_length_and_a_page, 1, PIPIT_REFUSAL_COUNT);
	tcase_add_loop_test(tests, refuses_a_head_request_without_a_body, 1, PIPIT_REFUSAL_COUNT);
	tcase_add_test(tests, refuses_with_the_header_that_the_status_requires);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("reply");
	TCase *cases[] = { case_of_heads(), case_of_errors() };

	for (size_t i = 0; i < COUNT(cases); i++) {
		tcase_add_checked_fixture(cases[i], guarded_set_up, guarded_tear_down);
		suite_add_tcase(suite, cases[i]);
	}
	return run_suite(suite);
}
