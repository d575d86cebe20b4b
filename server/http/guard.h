/* SPDX-License-Identifier: MIT */
/*
 * The guard: which bytes are an HTTP/1.1 request, by RFC 9112 and the message sections of RFC 9110, strictly.
 *
 * Pure functions over flat memory: no libevent, no allocation, no state but the caller's. What the guard passes is the only
 * thing evhttp ever meets, so every weakness of evhttp's own parser that matters is answered here.
 *
 * The whole head must lie in one piece of memory; when it does not end there, the caller keeps the bytes and calls again
 * with more. Content is framed in pieces, as it arrives.
 */
#ifndef PIPIT_GUARD_H
#define PIPIT_GUARD_H

#include "base/refusal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIPIT_GUARD_FIELDS_MAX 256

struct pipit_guard_limits {
	uint32_t max_head_bytes; /* request line and fields with their line ends; 0: no limit but the caller's memory */
	uint32_t max_target_bytes; /* 0: no limit */
	uint32_t max_fields;       /* 0 or above PIPIT_GUARD_FIELDS_MAX: PIPIT_GUARD_FIELDS_MAX */
	uint32_t max_field_bytes;  /* one field, name to value; 0: no limit */
};

/* A header field as it was sent. Offsets count from the head's first byte, so that a head can be moved. */
struct pipit_guard_field {
	uint32_t name;
	uint32_t value; /* optional white space around it left out */
	uint32_t value_length;
	uint32_t name_length;
};

enum pipit_guard_framing {
	PIPIT_FRAMING_NONE,   /* no content */
	PIPIT_FRAMING_LENGTH, /* content_length bytes, at least one */
	PIPIT_FRAMING_CHUNKED
};

struct pipit_guard_head {
	const char *bytes; /* the request line's first byte; the caller's memory */
	uint32_t length;   /* from there to the end of the empty line; 0 while not known */
	unsigned method;   /* bit of enum pipit_method; 0 while not known */
	uint32_t method_length;
	uint32_t target, target_length; /* as sent */
	uint32_t path, path_length;     /* begins with '/', or is "*" */
	uint32_t query, query_length;   /* query is 0 when the target has no '?' */
	uint32_t host, host_length;     /* the target's authority, else the Host field; host is 0 when there is none */
	uint8_t minor;                  /* HTTP/1.minor, 0 or 1 */
	bool keep_alive;                /* what version and Connection ask for */
	bool expect_continue;
	enum pipit_guard_framing framing;
	uint64_t content_length; /* PIPIT_FRAMING_LENGTH only */
	uint32_t field_count;
	struct pipit_guard_field fields[PIPIT_GUARD_FIELDS_MAX];
};

enum pipit_guard_verdict { PIPIT_GUARD_MORE, PIPIT_GUARD_PASS, PIPIT_GUARD_REJECT };

/*
 * Judge the head that begins at `bytes`.
 *
 * checked: how many of these bytes an earlier call has already seen without finding the end, 0 at first; updated on MORE.
 *          It spares the work of parsing again what has not changed: of a head sent byte by byte, only the line that is
 *          growing is looked at each time.
 * head:    filled on PASS. On REJECT, method and minor are right when they were reached, and 0 when not.
 * consumed: on PASS, the bytes up to the end of the head, one empty line before it included (RFC 9112 §2.2).
 * reason:  on REJECT.
 */
enum pipit_guard_verdict pipit_guard_head(const char *bytes, size_t length, size_t *checked,
    const struct pipit_guard_limits *limits, struct pipit_guard_head *head, size_t *consumed,
    enum pipit_refusal *reason);

static inline struct pipit_slice pipit_guard_slice(
    const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	return (struct pipit_slice){ head->bytes + offset, length };
}

/* The first field of that name, or NULL. */
const struct pipit_guard_field *pipit_guard_find(const struct pipit_guard_head *head, const char *name);

/* The next one behind another of that name; NULL: the first. */
const struct pipit_guard_field *pipit_guard_find_next(
    const struct pipit_guard_head *head, const char *name, const struct pipit_guard_field *behind);

/* The first byte from `at` on that may not stand in a field value (RFC 9110 §5.5), or `end`. */
const char *pipit_guard_skip_value(const char *at, const char *end);

/* A token, RFC 9110 §5.6.2: a method, the name of a header, a half of a media type. */
bool pipit_guard_is_token(struct pipit_slice text);

/* The value of Content-Length: at most 18 digits, without a sign or a list (RFC 9110 §8.6). *length is untouched on failure. */
bool pipit_guard_read_length(struct pipit_slice value, uint64_t *length);

/* Where a chunked content stands. Zero-initialise it for a new message. */
struct pipit_guard_chunked {
	uint8_t state;
	uint8_t digits;           /* of the chunk size so far */
	uint64_t remaining;       /* bytes of this chunk still to come */
	uint32_t extension_bytes; /* of all chunks of the message */
	uint32_t trailer_bytes;
	uint32_t trailer_fields;
	uint32_t field_bytes; /* of the trailer field that is arriving */
};

enum pipit_guard_chunk {
	PIPIT_CHUNK_MORE, /* all input used, the content has not ended */
	PIPIT_CHUNK_DATA, /* *data is a piece of content; call again with the input after *consumed */
	PIPIT_CHUNK_END,  /* the content and its trailers have ended at *consumed */
	PIPIT_CHUNK_REJECT
};

/*
 * Unframe the next bytes of a chunked content (RFC 9112 §7.1). Extensions are checked and dropped, trailer fields too: they
 * are never merged into the header fields (RFC 9110 §6.5.1).
 */
enum pipit_guard_chunk pipit_guard_chunked(struct pipit_guard_chunked *chunked, const char *bytes, size_t length,
    const struct pipit_guard_limits *limits, size_t *consumed, struct pipit_slice *data, enum pipit_refusal *reason);

#endif
