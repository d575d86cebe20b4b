/* SPDX-License-Identifier: MIT */
/*
 * The guard: a strict parser of HTTP/1.1 requests (RFC 9112, and the message sections of RFC 9110). evhttp receives
 * only requests that the guard has passed, so that faults of its parser cannot be reached.
 *
 * Pure functions over flat memory. A head lies in one piece: when its end is missing, the caller keeps the bytes and
 * calls again with more. A chunked body is unframed in pieces, as it arrives.
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
	uint32_t max_head_bytes;   /* request line and headers with their line ends; 0: no limit */
	uint32_t max_target_bytes; /* 0: no limit */
	uint32_t max_fields;       /* 0 or above PIPIT_GUARD_FIELDS_MAX: PIPIT_GUARD_FIELDS_MAX */
	uint32_t max_field_bytes;  /* of a header, name to value; 0: no limit */
};

/* A header. Offsets count from the first byte of the head, so that a head can be moved. */
struct pipit_guard_field {
	uint32_t name;
	uint32_t value; /* without the white space around it */
	uint32_t value_length;
	uint32_t name_length;
};

enum pipit_guard_framing {
	PIPIT_FRAMING_NONE,   /* no body */
	PIPIT_FRAMING_LENGTH, /* content_length bytes, at least one */
	PIPIT_FRAMING_CHUNKED
};

struct pipit_guard_head {
	const char *bytes; /* the first byte of the request line; borrowed */
	uint32_t length;   /* up to the end of the empty line; 0: not known yet */
	unsigned method;   /* bit of enum pipit_method; 0: not known yet */
	uint32_t method_length;
	uint32_t target, target_length; /* as sent */
	uint32_t path, path_length;     /* begins with '/', or is "*" */
	uint32_t query, query_length;   /* query is 0 without a '?' */
	uint32_t host, host_length; /* the authority of the target, else the Host header; host is 0 without either */
	uint8_t minor;              /* HTTP/1.minor, 0 or 1 */
	bool keep_alive;            /* by version and Connection header */
	bool expect_continue;
	enum pipit_guard_framing framing;
	uint64_t content_length; /* PIPIT_FRAMING_LENGTH only */
	uint32_t field_count;
	struct pipit_guard_field fields[PIPIT_GUARD_FIELDS_MAX];
};

enum pipit_guard_verdict { PIPIT_GUARD_MORE, PIPIT_GUARD_PASS, PIPIT_GUARD_REJECT };

/*
 * Parse the head that begins at `bytes`.
 *
 * checked:  how many of these bytes an earlier call has parsed; 0 at first, updated on MORE. Of a head that arrives
 *           byte by byte, only the last line is parsed again.
 * head:     set on PASS. On REJECT, `method` and `minor` are valid or 0, and `length` is 0 unless all was parsed.
 * consumed: set on PASS: the length of the head, with one empty line before it (RFC 9112 §2.2).
 * reason:   set on REJECT.
 */
enum pipit_guard_verdict pipit_guard_head(const char *bytes, size_t length, size_t *checked,
    const struct pipit_guard_limits *limits, struct pipit_guard_head *head, size_t *consumed,
    enum pipit_refusal *reason);

static inline struct pipit_slice pipit_guard_slice(
    const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	return (struct pipit_slice){ head->bytes + offset, length };
}

/* The first header of that name, or NULL. */
const struct pipit_guard_field *pipit_guard_find(const struct pipit_guard_head *head, const char *name);

/* The next header of that name after `behind`; with NULL the first. NULL: none. */
const struct pipit_guard_field *pipit_guard_find_next(
    const struct pipit_guard_head *head, const char *name, const struct pipit_guard_field *behind);

/* The first byte from `at` on that is not allowed in a header value (RFC 9110 §5.5), or `end`. */
const char *pipit_guard_skip_value(const char *at, const char *end);

/* RFC 9110 §5.6.2 */
bool pipit_guard_is_token(struct pipit_slice text);

/* Content-Length: 1 to 18 digits and nothing else (RFC 9110 §8.6). On failure *length is unchanged. */
bool pipit_guard_read_length(struct pipit_slice value, uint64_t *length);

/* Progress in a chunked body. Zero-initialise it for each message. */
struct pipit_guard_chunked {
	uint8_t state;
	uint8_t digits;           /* of the chunk size so far */
	uint64_t remaining;       /* bytes of this chunk that have not arrived */
	uint32_t extension_bytes; /* of all chunks of the message */
	uint32_t trailer_bytes;
	uint32_t trailer_fields;
	uint32_t field_bytes; /* of the trailer that is arriving */
};

enum pipit_guard_chunk {
	PIPIT_CHUNK_MORE, /* all input is used, the body has not ended */
	PIPIT_CHUNK_DATA, /* *data is a piece of the body; call again with the input after *consumed */
	PIPIT_CHUNK_END,  /* body and trailers end at *consumed */
	PIPIT_CHUNK_REJECT
};

/* Unframe the next bytes of a chunked body (RFC 9112 §7.1). Extensions and trailers are checked and dropped (RFC 9110
 * §6.5.1). */
enum pipit_guard_chunk pipit_guard_chunked(struct pipit_guard_chunked *chunked, const char *bytes, size_t length,
    const struct pipit_guard_limits *limits, size_t *consumed, struct pipit_slice *data, enum pipit_refusal *reason);

#endif
