/* SPDX-License-Identifier: MIT */
/* HTML Standard, §9.2 "Server-sent events". */
#include "request/sse_event.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>

/* sizes of chunk size and id, which are known last */
#define SIZE_LINE_MAX (16 + 2)
#define ID_LINE_MAX (sizeof "id: -\n" - 1 + PIPIT_SSE_EVENT_PREFIX_DIGITS + 20)
#define LINES_START (SIZE_LINE_MAX + ID_LINE_MAX)

static void frame(struct pipit_sse_event *rendered)
{
	size_t digits = pipit_bytes_hex_digits(rendered->length), at = rendered->start;

	rendered->bytes[--at] = '\n';
	rendered->bytes[--at] = '\r';
	at -= digits;
	pipit_bytes_put_hex(rendered->bytes + at, rendered->length, digits);
	rendered->chunk_start = at;
	rendered->chunk_length = rendered->start - at + rendered->length + 2;
}

static struct pipit_sse_event *new_rendered(size_t length)
{
	struct pipit_sse_event *rendered = malloc(sizeof *rendered + LINES_START + length + sizeof "\n\r\n");
	if (!rendered)
		return NULL;
	atomic_init(&rendered->holds, 1);
	rendered->number = 0;
	rendered->start = LINES_START;
	return rendered;
}

static void finish(struct pipit_sse_event *rendered, char *end)
{
	*end++ = '\n';
	rendered->length = (size_t)(end - rendered->bytes) - rendered->start;
	PIPIT_BYTES_PUT(end, "\r\n");
	frame(rendered);
}

struct pipit_sse_event *pipit_sse_event_lines(const char *lines)
{
	size_t length = strlen(lines);
	struct pipit_sse_event *rendered = new_rendered(length);
	if (rendered)
		finish(rendered, pipit_bytes_put(rendered->bytes + rendered->start, lines, length));
	return rendered;
}

static const char *line_end(const char *line)
{
	return line + strcspn(line, "\r\n");
}

static const char *next_line(const char *end)
{
	if (*end == '\0')
		return NULL;
	return end[0] == '\r' && end[1] == '\n' ? end + 2 : end + 1;
}

static size_t count_lines(const char *data)
{
	size_t count = 0;
	for (; data; data = next_line(line_end(data)))
		count++;
	return count;
}

int pipit_sse_event_new(const struct pipit_event *event, struct pipit_sse_event **rendered)
{
	const char *name = event->name ? event->name : "", *data = event->data ? event->data : "";
	size_t name_length = strlen(name), room = strlen(data) + count_lines(data) * (sizeof "data: \n" - 1);
	char *at;

	if (*line_end(name) != '\0')
		return -EINVAL;
	*rendered = new_rendered(room + sizeof "event: \n" + name_length);
	if (!*rendered)
		return -ENOMEM;
	at = (*rendered)->bytes + (*rendered)->start;
	if (name_length) {
		at = PIPIT_BYTES_PUT(at, "event: ");
		at = pipit_bytes_put(at, name, name_length);
		*at++ = '\n';
	}
	for (; data; data = next_line(line_end(data))) {
		at = PIPIT_BYTES_PUT(at, "data: ");
		at = pipit_bytes_put(at, data, (size_t)(line_end(data) - data));
		*at++ = '\n';
	}
	finish(*rendered, at);
	return 0;
}

void pipit_sse_event_set_id(struct pipit_sse_event *rendered, const char *prefix, uint64_t number)
{
	size_t at = rendered->start;
	uint64_t left = number;

	rendered->bytes[--at] = '\n';
	do {
		rendered->bytes[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	rendered->bytes[--at] = '-';
	at -= PIPIT_SSE_EVENT_PREFIX_DIGITS;
	memcpy(rendered->bytes + at, prefix, PIPIT_SSE_EVENT_PREFIX_DIGITS);
	at -= sizeof "id: " - 1;
	PIPIT_BYTES_PUT(rendered->bytes + at, "id: ");
	rendered->length += rendered->start - at;
	rendered->start = at;
	rendered->number = number;
	frame(rendered);
}

struct pipit_sse_event *pipit_sse_event_hold(struct pipit_sse_event *rendered)
{
	atomic_fetch_add_explicit(&rendered->holds, 1, memory_order_relaxed);
	return rendered;
}

void pipit_sse_event_release(struct pipit_sse_event *rendered)
{
	/* after all reads of other holders */
	if (rendered && atomic_fetch_sub_explicit(&rendered->holds, 1, memory_order_acq_rel) == 1)
		free(rendered);
}
