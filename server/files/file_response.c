/* SPDX-License-Identifier: MIT */
#include "files/file_response.h"

#include "base/bytes.h"
#include "http/preconditions.h"
#include "http/ranges.h"
#include "http/response_head.h"
#include "net/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static char *put_text(char *at, const char *text)
{
	return pipit_bytes_put(at, text, strlen(text));
}

/* Not later than the reply, even after a clock change (RFC 9110 §8.8.2.1). */
static char *put_last_modified(char *at, const struct pipit_file_response *representation)
{
	char date[PIPIT_DATE_SIZE];
	int64_t now = time(NULL);

	if (representation->modified < PIPIT_DATE_FIRST)
		return at;
	at = PIPIT_BYTES_PUT(at, "Last-Modified: ");
	if (representation->modified <= now)
		return PIPIT_BYTES_PUT(pipit_bytes_put(at, representation->date, sizeof date - 1), "\r\n");
	pipit_date_print(now, date);
	return PIPIT_BYTES_PUT(pipit_bytes_put(at, date, sizeof date - 1), "\r\n");
}

/* By PIPIT_FILE_RESPONSE_VARY_ bits. */
static char *put_vary(char *at, unsigned vary)
{
	static const char *const names[] = { "Accept", "Accept-Encoding", "Sec-Fetch-Mode" };
	const char *before = "Vary: ";

	if (!vary)
		return at;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!(vary & 1u << i))
			continue;
		at = put_text(put_text(at, before), names[i]);
		before = ", ";
	}
	return PIPIT_BYTES_PUT(at, "\r\n");
}

/* Also part of 304 (RFC 9110 §15.4.5). */
static char *put_validators(char *at, const struct pipit_file_response *representation)
{
	if (representation->etag_length) {
		at = PIPIT_BYTES_PUT(at, "ETag: ");
		at = pipit_bytes_put(at, representation->etag, representation->etag_length);
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	at = put_last_modified(at, representation);
	if (representation->vary == PIPIT_FILE_RESPONSE_VARY_ENCODING)
		at = PIPIT_BYTES_PUT(at, "Vary: Accept-Encoding\r\n");
	else
		at = put_vary(at, representation->vary);
	if (representation->cache_control) {
		at = PIPIT_BYTES_PUT(at, "Cache-Control: ");
		at = put_text(at, representation->cache_control);
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	return at;
}

/* A filter may have given another value. */
static char *put_default(char *at, const struct pipit_request *request, const char *name, const char *value)
{
	if (pipit_request_has_reply_header(request, name))
		return at;
	at = PIPIT_BYTES_PUT(put_text(at, name), ": ");
	return PIPIT_BYTES_PUT(put_text(at, value), "\r\n");
}

static char *put_description(
    char *at, const struct pipit_request *request, const struct pipit_file_response *representation)
{
	if (representation->coding != PIPIT_CODING_IDENTITY) {
		at = PIPIT_BYTES_PUT(at, "Content-Encoding: ");
		at = put_text(at, pipit_content_coding_name(representation->coding));
		at = PIPIT_BYTES_PUT(at, "\r\n");
	}
	if (representation->policy) {
		at = put_default(at, request, "Content-Security-Policy", representation->policy);
		at = put_default(at, request, "X-Frame-Options", "SAMEORIGIN");
		at = put_default(at, request, "Referrer-Policy", "same-origin");
	}
	at = put_default(at, request, "X-Content-Type-Options", "nosniff");
	return PIPIT_BYTES_PUT(at, "Accept-Ranges: bytes\r\n");
}

void pipit_file_response_mark_gzip(struct pipit_file_response *representation)
{
	size_t length = representation->etag_length;
	if (length == 0)
		return;
	if (length + 3 >= sizeof representation->etag) {
		representation->etag_length = 0;
		return;
	}
	memcpy(representation->etag + length - 1, "-gz\"", 5);
	representation->etag_length = length + 3;
}

static void reply_unsatisfiable(struct pipit_request *request, const struct pipit_file_response *representation)
{
	char range[40];
	pipit_shared_fd_release(representation->file);
	snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)representation->size);
	pipit_reply_header(request, "Content-Range", range);
	pipit_reply_problem(request, 416,
	    "The resource has %llu bytes; request at most %d ranges that start within it.",
	    (unsigned long long)representation->size, PIPIT_RANGES_MAX);
}

static int print_range(char *at, size_t size, const struct pipit_range *range, uint64_t total)
{
	return snprintf(at, size, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)range->first,
	    (unsigned long long)(range->first + range->length - 1), (unsigned long long)total);
}

static struct pipit_reply_content content_of(
    const struct pipit_file_response *representation, const struct pipit_range *range)
{
	struct pipit_reply_content content = { .length = range->length };
	if (representation->memory.data) {
		content.memory =
		    (struct pipit_slice){ representation->memory.data + range->first, (size_t)range->length };
	} else {
		content.file = representation->file;
		content.file_offset = range->first;
	}
	return content;
}

static void reply_range(struct pipit_request *request, const struct pipit_file_response *representation,
    const struct pipit_range *range, char *fields)
{
	char *at = put_description(put_validators(fields, representation), request, representation);
	struct pipit_request_reply reply = { .status = 206,
		.content_type = representation->content_type,
		.content = content_of(representation, range) };
	at += print_range(at, (size_t)(fields + PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX - at), range, representation->size);
	reply.file_fields = (struct pipit_slice){ fields, (size_t)(at - fields) };
	pipit_request_reply(request, &reply);
}

/* RFC 9110 §14.6 */

#define BOUNDARY_SIZE 33
#define PART_TEXT_MAX 512

/* Random, so that no file can contain it. */
static void choose_boundary(char boundary[BOUNDARY_SIZE])
{
	unsigned char bytes[16] = { 0 };
	if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) < 0)
		memset(bytes, 0xa5, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		boundary = pipit_bytes_put_hex(boundary, bytes[i], 2);
	*boundary = '\0';
}

static size_t print_part(char *at, bool is_first, const char *boundary,
    const struct pipit_file_response *representation, const struct pipit_range *range)
{
	int length = snprintf(at, PART_TEXT_MAX, "%s--%s\r\nContent-Type: %.256s\r\n", is_first ? "" : "\r\n", boundary,
	    representation->content_type);
	length += print_range(at + length, PART_TEXT_MAX - (size_t)length, range, representation->size);
	memcpy(at + length, "\r\n", 2);
	return (size_t)length + 2;
}

static struct pipit_parts *new_parts(const struct pipit_file_response *representation, const char *boundary,
    const struct pipit_range *ranges, size_t count)
{
	size_t fixed = sizeof(struct pipit_parts) + (count + 1) * sizeof(struct pipit_part);
	struct pipit_parts *parts = malloc(fixed + (count + 1) * PART_TEXT_MAX);
	char *at;

	if (!parts)
		return NULL;
	at = (char *)parts + fixed;
	*parts = (struct pipit_parts){ .count = count + 1, .text = at };
	for (size_t i = 0; i < count; i++) {
		size_t length = print_part(at, i == 0, boundary, representation, &ranges[i]);
		parts->part[i] = (struct pipit_part){ length, ranges[i].first, ranges[i].length };
		at += length;
	}
	parts->part[count] = (struct pipit_part){ (size_t)sprintf(at, "\r\n--%s--\r\n", boundary), 0, 0 };
	return parts;
}

static uint64_t length_of(const struct pipit_parts *parts)
{
	uint64_t length = 0;
	for (size_t i = 0; i < parts->count; i++)
		length += parts->part[i].text_length + parts->part[i].length;
	return length;
}

static char *join(const struct pipit_parts *parts, struct pipit_slice memory)
{
	char *joined = malloc((size_t)length_of(parts)), *at = joined;
	const char *text = parts->text;
	if (!joined)
		return NULL;
	for (size_t i = 0; i < parts->count; i++) {
		at = pipit_bytes_put(at, text, parts->part[i].text_length);
		at = pipit_bytes_put(at, memory.data + parts->part[i].offset, (size_t)parts->part[i].length);
		text += parts->part[i].text_length;
	}
	return joined;
}

static void reply_without_memory(struct pipit_request *request, struct pipit_shared_fd *file)
{
	pipit_shared_fd_release(file);
	pipit_request_reply_short(request);
}

static void reply_parts(struct pipit_request *request, const struct pipit_file_response *representation,
    const struct pipit_range *ranges, size_t count, char *fields)
{
	char boundary[BOUNDARY_SIZE], content_type[sizeof "multipart/byteranges; boundary=" + BOUNDARY_SIZE];
	char *at = put_description(put_validators(fields, representation), request, representation), *joined = NULL;
	struct pipit_request_reply reply = { .status = 206, .content_type = content_type };
	struct pipit_parts *parts;

	choose_boundary(boundary);
	sprintf(content_type, "multipart/byteranges; boundary=%s", boundary);
	parts = new_parts(representation, boundary, ranges, count);
	if (parts && representation->memory.data)
		joined = join(parts, representation->memory);
	if (!parts || (representation->memory.data && !joined)) {
		free(parts);
		reply_without_memory(request, representation->file);
		return;
	}
	reply.file_fields = (struct pipit_slice){ fields, (size_t)(at - fields) };
	reply.content.length = length_of(parts);
	if (joined) {
		reply.content.memory = (struct pipit_slice){ joined, (size_t)reply.content.length };
		free(parts);
	} else {
		reply.content.parts = parts;
		reply.content.file = representation->file;
	}
	pipit_request_reply(request, &reply);
	free(joined);
}

static void reply_whole(
    struct pipit_request *request, const struct pipit_file_response *representation, int status, char *fields)
{
	const struct pipit_range all = { 0, representation->size };
	char *at = put_description(put_validators(fields, representation), request, representation);
	pipit_request_reply(request, &(struct pipit_request_reply){
					 .status = status,
					 .content_type = representation->content_type,
					 .file_fields = { fields, (size_t)(at - fields) },
					 .content = content_of(representation, &all),
				     });
}

static void reply_not_modified(
    struct pipit_request *request, const struct pipit_file_response *representation, char *fields)
{
	char *at = put_validators(fields, representation);
	pipit_shared_fd_release(representation->file);
	pipit_request_reply(
	    request, &(struct pipit_request_reply){ .status = 304, .file_fields = { fields, (size_t)(at - fields) } });
}

static void reply_failed(struct pipit_request *request, const struct pipit_file_response *representation)
{
	pipit_shared_fd_release(representation->file);
	pipit_reply_problem(request, 412, "The resource does not match If-Match or If-Unmodified-Since.");
}

/* Only GET has ranges (RFC 9110 §14.2). A repeated Range is ignored. */
static enum pipit_ranges_result find_ranges(
    struct pipit_request *request, uint64_t size, struct pipit_range ranges[PIPIT_RANGES_MAX], size_t *count)
{
	const struct pipit_guard_head *head = request->head;
	const struct pipit_guard_field *field = head->method == PIPIT_GET ? pipit_guard_find(head, "Range") : NULL;

	if (!field || pipit_guard_find_next(head, "Range", field))
		return PIPIT_RANGES_IGNORED;
	return pipit_ranges_parse(pipit_guard_slice(head, field->value, field->value_length), size, ranges, count);
}

static void reply_content(
    struct pipit_request *request, const struct pipit_file_response *representation, bool range_counts, char *fields)
{
	struct pipit_range ranges[PIPIT_RANGES_MAX];
	size_t count = 0;
	enum pipit_ranges_result result = PIPIT_RANGES_IGNORED;

	if (range_counts)
		result = find_ranges(request, representation->size, ranges, &count);
	if (result == PIPIT_RANGES_UNSATISFIABLE)
		reply_unsatisfiable(request, representation);
	else if (result == PIPIT_RANGES_IGNORED)
		reply_whole(request, representation, 200, fields);
	else if (count == 1)
		reply_range(request, representation, &ranges[0], fields);
	else
		reply_parts(request, representation, ranges, count, fields);
}

void pipit_file_response_reply(struct pipit_request *request, const struct pipit_file_response *representation)
{
	char fields[PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX];
	struct pipit_validators validators = { { representation->etag, representation->etag_length },
		representation->modified, time(NULL) };
	bool range_counts;

	switch (pipit_preconditions_check(request->head, &validators, &range_counts)) {
	case PIPIT_PRECONDITIONS_NOT_MODIFIED:
		reply_not_modified(request, representation, fields);
		break;
	case PIPIT_PRECONDITIONS_FAILED:
		reply_failed(request, representation);
		break;
	case PIPIT_PRECONDITIONS_GO_ON:
		reply_content(request, representation, range_counts, fields);
		break;
	}
}

void pipit_file_response_reply_with(
    struct pipit_request *request, const struct pipit_file_response *representation, int status)
{
	struct pipit_file_response page = *representation;
	char fields[PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX];

	page.etag_length = 0;
	page.modified = PIPIT_DATE_NONE;
	page.cache_control = NULL;
	reply_whole(request, &page, status, fields);
}
