/* SPDX-License-Identifier: MIT */
/*
 * A strict parser of HTTP/1.1 requests (RFC 9112, RFC 9110). Pure.
 *
 * The caller keeps an incomplete head in one piece.
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
	uint32_t max_head_bytes;   /* request line and headers with line ends; 0: no limit */
	uint32_t max_target_bytes; /* 0: no limit */
	uint32_t max_fields;       /* 0 or above PIPIT_GUARD_FIELDS_MAX: PIPIT_GUARD_FIELDS_MAX */
	uint32_t max_field_bytes;  /* name to value; 0: no limit */
	bool is_https;             /* the connection is encrypted: https URIs are served */
};

/* Offsets count from the first byte of the head. */
struct pipit_guard_field {
	uint32_t name;
	uint32_t value; /* without white space around it */
	uint32_t value_length;
	uint32_t name_length;
};

enum pipit_guard_framing {
	PIPIT_FRAMING_NONE,
	PIPIT_FRAMING_LENGTH, /* at least one byte */
	PIPIT_FRAMING_CHUNKED
};

struct pipit_guard_head {
	const char *bytes; /* from the request line on; borrowed */
	uint32_t length;   /* with the empty line; 0: not known yet */
	unsigned method;   /* bit of enum pipit_method; 0: not known yet */
	uint32_t method_length;
	uint32_t target, target_length; /* as sent */
	uint32_t path, path_length;     /* begins with '/', or is "*" */
	uint32_t query, query_length;   /* query is 0 without a '?' */
	uint32_t host, host_length;     /* of the target, else of the Host header; host is 0 without either */
	uint8_t minor;                  /* HTTP/1.minor, 0 or 1 */
	bool keep_alive;
	bool expect_continue;
	enum pipit_guard_framing framing;
	uint64_t content_length; /* PIPIT_FRAMING_LENGTH only */
	uint32_t field_count;
	struct pipit_guard_field fields[PIPIT_GUARD_FIELDS_MAX];
};

enum pipit_guard_verdict { PIPIT_GUARD_MORE, PIPIT_GUARD_PASS, PIPIT_GUARD_REJECT };

/*
 * checked:  bytes parsed by an earlier call, first 0; updated on MORE. Only the last line is parsed again.
 * head:     set on PASS. On REJECT `method` and `minor` are valid or 0; `length` is 0 unless all was parsed.
 * consumed: set on PASS: length, and that of an empty line before the head (RFC 9112 §2.2).
 */
enum pipit_guard_verdict pipit_guard_head(const char *bytes, size_t length, size_t *checked,
    const struct pipit_guard_limits *limits, struct pipit_guard_head *head, size_t *consumed,
    enum pipit_refusal *reason);

static inline struct pipit_slice pipit_guard_slice(
    const struct pipit_guard_head *head, uint32_t offset, uint32_t length)
{
	return (struct pipit_slice){ head->bytes + offset, length };
}

const struct pipit_guard_field *pipit_guard_find(const struct pipit_guard_head *head, const char *name);

/* behind: NULL finds the first. */
const struct pipit_guard_field *pipit_guard_find_next(
    const struct pipit_guard_head *head, const char *name, const struct pipit_guard_field *behind);

/* The first byte that a header value must not have (RFC 9110 §5.5), or `end`. */
const char *pipit_guard_skip_value(const char *at, const char *end);

/* RFC 9110 §5.6.2 */
bool pipit_guard_is_token(struct pipit_slice text);

/* 1 to 18 digits (RFC 9110 §8.6). */
bool pipit_guard_read_length(struct pipit_slice value, uint64_t *length);

/* Zero-initialise it for each message. */
struct pipit_guard_chunked {
	uint8_t state;
	uint8_t digits;           /* of the chunk size */
	uint64_t remaining;       /* bytes of this chunk */
	uint32_t extension_bytes; /* of the message */
	uint32_t trailer_bytes;
	uint32_t trailer_fields;
	uint32_t field_bytes; /* of this trailer */
};

enum pipit_guard_chunk {
	PIPIT_CHUNK_MORE, /* all input is used */
	PIPIT_CHUNK_DATA, /* call again with the input after *consumed */
	PIPIT_CHUNK_END,  /* with trailers, at *consumed */
	PIPIT_CHUNK_REJECT
};

/* RFC 9112 §7.1. Extensions and trailers are checked and dropped (RFC 9110 §6.5.1). */
enum pipit_guard_chunk pipit_guard_chunked(struct pipit_guard_chunked *chunked, const char *bytes, size_t length,
    const struct pipit_guard_limits *limits, size_t *consumed, struct pipit_slice *data, enum pipit_refusal *reason);

#endif
