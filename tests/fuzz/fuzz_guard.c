/* SPDX-License-Identifier: MIT */
/*
 * The guard on all bytes of one connection: requests with their bodies, one after the other.
 *
 * The input is what the client sends. An input that begins with NUL, which no request does, starts with eight bytes of choices:
 * NUL, two bytes for the limits, five for the places where the bytes are cut.
 *
 * Checked: the result does not depend on how the bytes are delivered; a passed head lies within the input, holds nothing that
 * could be parsed as framing further on, and is within the limits; rewritten in canonical form it passes again with the same
 * meaning.
 */
#include "fuzz.h"

#include "http/guard.h"
#include "pipit.h"

#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER
#endif

/* The guard must not read bytes that have not arrived. */
#ifdef HAS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, length) ((void)(start), (void)(length))
#define ASAN_UNPOISON_MEMORY_REGION(start, length) ((void)(start), (void)(length))
#endif

#define CHOICES 8

/* The parsed result as bytes, to be compared. */
enum mark { MARK_HEAD = 1, MARK_CONTENT_END, MARK_REJECT, MARK_MORE };

/* A reader of one connection, as the connection layer. */
struct reader {
	const char *input;
	size_t available; /* arrived bytes */
	size_t at;        /* bytes of complete messages */
	size_t part_at;   /* start of the current head or body */
	size_t checked;
	struct pipit_guard_limits limits;
	struct pipit_guard_head head;
	struct pipit_guard_chunked chunked;
	bool in_content;
	uint64_t content_left;
	bool is_over; /* rejected */
	struct fuzz_bytes seen;
};

static void note(struct reader *reader, enum mark mark, const void *data, size_t length)
{
	unsigned char byte = (unsigned char)mark;
	fuzz_append(&reader->seen, &byte, 1);
	fuzz_append(&reader->seen, &reader->part_at, sizeof reader->part_at);
	fuzz_append(&reader->seen, data, length);
}

static void note_number(struct reader *reader, uint64_t number)
{
	fuzz_append(&reader->seen, &number, sizeof number);
}

/* ---------------------------------------------------------------- passed messages */

static bool is_plain(const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	const char *text = head->bytes + offset;
	return !memchr(text, '\r', length) && !memchr(text, '\n', length) && !memchr(text, '\0', length);
}

static void check_slice(const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	REQUIRE(offset <= head->length && length <= head->length - offset);
	REQUIRE(is_plain(head, offset, length));
}

static void check_target(const struct pipit_guard_head *head)
{
	struct pipit_slice path = pipit_guard_slice(head, head->path, head->path_length);
	check_slice(head, head->target, head->target_length);
	check_slice(head, head->path, head->path_length);
	check_slice(head, head->query, head->query_length);
	check_slice(head, head->host, head->host_length);
	REQUIRE(head->target_length > 0 && path.length > 0);
	REQUIRE(path.data[0] == '/' || (pipit_slice_equals(path, "*") && head->method == PIPIT_OPTIONS));
	REQUIRE(!memchr(path.data, '?', path.length) && !memchr(path.data, ' ', path.length));
	REQUIRE(!memmem(path.data, path.length, "%00", 3));
	REQUIRE(head->query == 0 || head->query + head->query_length == head->target + head->target_length);
}

static void check_fields(const struct pipit_guard_head *head, const struct pipit_guard_limits *limits)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		check_slice(head, field->name, field->name_length);
		check_slice(head, field->value, field->value_length);
		REQUIRE(field->name_length > 0 && head->bytes[field->name + field->name_length] == ':');
		REQUIRE(!memchr(head->bytes + field->name, ' ', field->name_length));
		REQUIRE(!limits->max_field_bytes ||
			field->value + field->value_length - field->name <= limits->max_field_bytes);
		if (field->value_length == 0)
			continue;
		REQUIRE(!strchr(" \t", head->bytes[field->value]));
		REQUIRE(!strchr(" \t", head->bytes[field->value + field->value_length - 1]));
	}
}

static void check_head(const struct reader *reader, size_t consumed)
{
	const struct pipit_guard_head *head = &reader->head;
	const struct pipit_guard_limits *limits = &reader->limits;
	const char *start = reader->input + reader->at;

	REQUIRE(consumed <= reader->available - reader->at);
	REQUIRE(head->bytes == start || head->bytes == start + 2);
	REQUIRE(head->bytes + head->length == start + consumed);
	REQUIRE(memcmp(head->bytes + head->length - 4, "\r\n\r\n", 4) == 0);
	REQUIRE(head->method && head->method <= PIPIT_ANY && !(head->method & (head->method - 1)));
	REQUIRE(head->minor <= 1);
	REQUIRE(head->host || head->minor == 0);
	REQUIRE((head->framing == PIPIT_FRAMING_LENGTH) == (head->content_length > 0));
	REQUIRE(!limits->max_head_bytes || head->length <= limits->max_head_bytes);
	REQUIRE(!limits->max_target_bytes || head->target_length <= limits->max_target_bytes);
	REQUIRE(head->field_count <= (limits->max_fields && limits->max_fields < PIPIT_GUARD_FIELDS_MAX
					     ? limits->max_fields
					     : PIPIT_GUARD_FIELDS_MAX));
	check_target(head);
	check_fields(head, limits);
}

/* ---------------------------------------------------------------- written again */

static void put(struct fuzz_bytes *out, const char *text)
{
	fuzz_append(out, text, strlen(text));
}

static void put_slice(struct fuzz_bytes *out, const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	fuzz_append(out, head->bytes + offset, length);
}

static bool is_host_field(const struct pipit_guard_head *head, const struct pipit_guard_field *field)
{
	return pipit_slice_equals_nocase(pipit_guard_slice(head, field->name, field->name_length), "Host");
}

/* Origin-form, Host first, one space where one is usual. Returns the number of headers written. */
static uint32_t write_head(struct fuzz_bytes *out, const struct pipit_guard_head *head)
{
	uint32_t count = 0;
	put_slice(out, head, 0, head->method_length);
	put(out, " ");
	put_slice(out, head, head->path, head->path_length);
	if (head->query) {
		put(out, "?");
		put_slice(out, head, head->query, head->query_length);
	}
	put(out, head->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
	if (head->host) {
		put(out, "Host: ");
		put_slice(out, head, head->host, head->host_length);
		put(out, "\r\n");
		count++;
	}
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct pipit_guard_field *field = &head->fields[i];
		if (is_host_field(head, field))
			continue;
		put_slice(out, head, field->name, field->name_length);
		put(out, ": ");
		put_slice(out, head, field->value, field->value_length);
		put(out, "\r\n");
		count++;
	}
	put(out, "\r\n");
	return count;
}

static bool same(const struct pipit_guard_head *a, uint32_t a_offset, uint32_t a_length,
    const struct pipit_guard_head *b, uint32_t b_offset, uint32_t b_length)
{
	return a_length == b_length && memcmp(a->bytes + a_offset, b->bytes + b_offset, a_length) == 0;
}

static void check_same_meaning(const struct pipit_guard_head *a, const struct pipit_guard_head *b)
{
	REQUIRE(a->method == b->method && a->minor == b->minor);
	REQUIRE(a->keep_alive == b->keep_alive && a->expect_continue == b->expect_continue);
	REQUIRE(a->framing == b->framing && a->content_length == b->content_length);
	REQUIRE(same(a, a->path, a->path_length, b, b->path, b->path_length));
	REQUIRE(!a->query == !b->query && same(a, a->query, a->query_length, b, b->query, b->query_length));
	REQUIRE(!a->host == !b->host && same(a, a->host, a->host_length, b, b->host, b->host_length));
}

static void check_canonical(const struct pipit_guard_head *head)
{
	static const struct pipit_guard_limits no_limits;
	static struct pipit_guard_head again;
	struct fuzz_bytes text = { 0 };
	uint32_t count = write_head(&text, head);
	enum pipit_refusal reason;
	size_t checked = 0, consumed = 0;

	/* A head at the limit whose host is only in the target gets one more header. */
	if (count <= PIPIT_GUARD_FIELDS_MAX) {
		REQUIRE(pipit_guard_head(text.data, text.length, &checked, &no_limits, &again, &consumed, &reason) ==
			PIPIT_GUARD_PASS);
		REQUIRE(consumed == text.length && again.field_count == count);
		check_same_meaning(head, &again);
	}
	free(text.data);
}

/* ---------------------------------------------------------------- reading */

static void note_head(struct reader *reader)
{
	const struct pipit_guard_head *head = &reader->head;
	note(reader, MARK_HEAD, &head->length, sizeof head->length);
	note_number(reader, head->method);
	note_number(reader, (uint64_t)head->target << 32 | head->target_length);
	note_number(reader, (uint64_t)head->path << 32 | head->path_length);
	note_number(reader, (uint64_t)head->query << 32 | head->query_length);
	note_number(reader, (uint64_t)head->host << 32 | head->host_length);
	note_number(reader, (uint64_t)(head->minor << 8 | head->keep_alive << 1 | head->expect_continue));
	note_number(reader, (uint64_t)head->framing);
	note_number(reader, head->content_length);
	fuzz_append(&reader->seen, head->fields, head->field_count * sizeof head->fields[0]);
}

static void reject(struct reader *reader, enum pipit_refusal reason)
{
	const struct pipit_refusal_entry *entry = pipit_refusal_entry(reason);
	REQUIRE(reason > PIPIT_REFUSAL_NONE && reason < PIPIT_REFUSAL_COUNT && entry->status >= 400);
	note(reader, MARK_REJECT, &reason, sizeof reason);
	reader->is_over = true;
}

/* False when more bytes are needed. */
static bool read_head(struct reader *reader)
{
	const char *start = reader->input + reader->at;
	size_t length = reader->available - reader->at, consumed = 0;
	enum pipit_refusal reason = PIPIT_REFUSAL_NONE;

	switch (pipit_guard_head(start, length, &reader->checked, &reader->limits, &reader->head, &consumed, &reason)) {
	case PIPIT_GUARD_MORE:
		REQUIRE(reader->checked == length);
		return false;
	case PIPIT_GUARD_PASS:
		check_head(reader, consumed);
		note_head(reader);
		reader->checked = 0;
		reader->at += consumed;
		reader->part_at = reader->at;
		reader->in_content = reader->head.framing != PIPIT_FRAMING_NONE;
		reader->content_left = reader->head.content_length;
		reader->chunked = (struct pipit_guard_chunked){ 0 };
		return true;
	default:
		note_number(reader, reader->head.method << 8 | reader->head.minor);
		reject(reader, reason);
		return true;
	}
}

static void end_content(struct reader *reader)
{
	reader->part_at = reader->at;
	note(reader, MARK_CONTENT_END, NULL, 0);
	reader->in_content = false;
}

static void read_length(struct reader *reader)
{
	size_t available = reader->available - reader->at;
	size_t used = reader->content_left < available ? (size_t)reader->content_left : available;
	fuzz_append(&reader->seen, reader->input + reader->at, used);
	reader->at += used;
	reader->content_left -= used;
	if (reader->content_left == 0)
		end_content(reader);
}

static void read_chunks(struct reader *reader)
{
	const char *start = reader->input + reader->at;
	size_t length = reader->available - reader->at, consumed = 0;
	struct pipit_slice data = { NULL, 0 };
	enum pipit_refusal reason = PIPIT_REFUSAL_NONE;

	switch (pipit_guard_chunked(&reader->chunked, start, length, &reader->limits, &consumed, &data, &reason)) {
	case PIPIT_CHUNK_MORE:
		REQUIRE(consumed == length);
		break;
	case PIPIT_CHUNK_DATA:
		REQUIRE(data.length > 0 && data.data >= start && consumed <= length);
		REQUIRE(data.data + data.length == start + consumed);
		fuzz_append(&reader->seen, data.data, data.length);
		break;
	case PIPIT_CHUNK_END:
		REQUIRE(consumed > 0 && consumed <= length && start[consumed - 1] == '\n');
		reader->at += consumed;
		end_content(reader);
		return;
	default:
		reject(reader, reason);
		return;
	}
	reader->at += consumed;
}

/* Processes all arrived bytes. */
static void read_all(struct reader *reader)
{
	while (!reader->is_over && reader->at < reader->available) {
		if (!reader->in_content) {
			if (!read_head(reader))
				return;
		} else if (reader->head.framing == PIPIT_FRAMING_LENGTH) {
			read_length(reader);
		} else {
			read_chunks(reader);
		}
	}
}

/* No more bytes will arrive. A partial head is judged again: the guard may skip one until its line has ended. */
static void finish(struct reader *reader)
{
	reader->checked = 0;
	read_all(reader);
	if (!reader->is_over)
		note(reader, MARK_MORE, NULL, 0);
}

/* ---------------------------------------------------------------- one input, delivered in two ways */

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void read_in_pieces(struct reader *reader, size_t length, uint64_t seed)
{
	static const size_t widths[] = { 1, 2, 5, 16, 40, 120, 400, 1500 };
	size_t width = widths[next_random(&seed) % 8];
	while (reader->available < length) {
		size_t piece = 1 + next_random(&seed) % width, left = length - reader->available;
		piece = piece < left ? piece : left;
		ASAN_UNPOISON_MEMORY_REGION(reader->input + reader->available, piece);
		reader->available += piece;
		read_all(reader);
	}
	finish(reader);
}

static struct pipit_guard_limits choose_limits(const uint8_t *choices)
{
	static const uint32_t heads[] = { 0, 64, 128, 256, 512, 1024, 16384, 65536 };
	static const uint32_t fields[] = { 0, 1, 2, 4, 16, 100, 256, 300 };
	static const uint32_t targets[] = { 0, 1, 8, 16, 64, 256, 8192, 65000 };
	static const uint32_t field_bytes[] = { 0, 8, 16, 32, 64, 200, 1000, 8192 };
	return (struct pipit_guard_limits){
		.max_head_bytes = heads[choices[0] & 7],
		.max_fields = fields[choices[0] >> 3 & 7],
		.max_target_bytes = targets[choices[1] & 7],
		.max_field_bytes = field_bytes[choices[1] >> 3 & 7],
	};
}

/* Writes passed heads again; the reader has checked them. */
static void check_heads(struct reader *reader)
{
	while (!reader->is_over && reader->at < reader->available) {
		bool was_head = !reader->in_content;
		if (was_head && !read_head(reader))
			break;
		if (was_head && !reader->is_over)
			check_canonical(&reader->head);
		else if (!was_head && reader->head.framing == PIPIT_FRAMING_LENGTH)
			read_length(reader);
		else if (!was_head)
			read_chunks(reader);
	}
	finish(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reader whole, pieces;
	struct pipit_guard_limits limits = { 16384, 8192, 100, 8192, false };
	uint64_t seed = size;
	char *input;

	if (size >= CHOICES && data[0] == 0) {
		limits = choose_limits(data + 1);
		for (int i = 3; i < CHOICES; i++)
			seed = seed << 8 | data[i];
		data += CHOICES;
		size -= CHOICES;
	}
	input = fuzz_copy(data, size);
	whole = (struct reader){ .input = input, .available = size, .limits = limits, .seen = whole.seen };
	pieces = (struct reader){ .input = input, .limits = limits, .seen = pieces.seen };
	whole.seen.length = pieces.seen.length = 0;
	check_heads(&whole);
	ASAN_POISON_MEMORY_REGION(input, size);
	read_in_pieces(&pieces, size, seed);
	ASAN_UNPOISON_MEMORY_REGION(input, size);
	REQUIRE(whole.seen.length == pieces.seen.length);
	REQUIRE(whole.seen.length == 0 || memcmp(whole.seen.data, pieces.seen.data, whole.seen.length) == 0);
	free(input);
	return 0;
}
