/* SPDX-License-Identifier: MIT */
/* Writes response heads: Date, one framing, no body for HEAD, 204 and 304, no chunks for HTTP/1.0. Pure. */
#ifndef PIPIT_RESPONSE_HEAD_H
#define PIPIT_RESPONSE_HEAD_H

#include "base/refusal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* of a handler's headers, with line ends */
#define PIPIT_RESPONSE_HEAD_FIELDS_MAX 8192
/* of a file's */
#define PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX 1024
/* of pipit_response_head_render() */
#define PIPIT_RESPONSE_HEAD_MAX (PIPIT_RESPONSE_HEAD_FIELDS_MAX + PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX + 768)
/* without members */
#define PIPIT_RESPONSE_HEAD_PROBLEM_MAX 4096

/* "Not Found"; "Unknown" if not registered. */
const char *pipit_response_head_phrase(int status);

struct pipit_response_head {
	int status;
	const char *content_type;       /* NULL: none */
	struct pipit_slice fields;      /* each with CRLF */
	struct pipit_slice file_fields; /* at most PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX bytes */
	uint64_t content_length;
	bool is_open;     /* no Content-Length: chunks, or for HTTP/1.0 bytes until the connection closes */
	const char *date; /* from pipit_date_print() */
	uint8_t minor;    /* of the request */
	bool keep_alive;
};

/* at: PIPIT_RESPONSE_HEAD_MAX bytes. Cuts content_type at 256 bytes. */
size_t pipit_response_head_render(char *at, const struct pipit_response_head *head);

/* RFC 9112 §6.3. */
bool pipit_response_head_has_content(int status, bool is_head_request);

/* A token, and a value without controls except tab. */
bool pipit_response_head_is_field(const char *name, const char *value);
bool pipit_response_head_is_value(const char *value);

/*
 * RFC 9457 or HTML. detail: may be NULL; cut when too long. members: JSON text (`,"errors":[]`), left out of HTML. at:
 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX + members.length bytes. *content_type is static.
 */
size_t pipit_response_head_problem_content(
    char *at, int status, const char *detail, struct pipit_slice members, bool html, const char **content_type);

/*
 * With "Connection: close". at: PIPIT_RESPONSE_HEAD_MAX + PIPIT_RESPONSE_HEAD_PROBLEM_MAX bytes. *content_bytes: of the
 * body.
 */
size_t pipit_response_head_refusal(
    char *at, enum pipit_refusal reason, const char *date, bool is_head_request, bool html, size_t *content_bytes);

struct pipit_response_head_evhttp {
	int status;
	bool closes; /* as an HTTP/1.0 reply without keep-alive does */
	bool keeps_alive;
	unsigned dates;
	unsigned lengths;
	bool is_ambiguous; /* a Content-Length is no number, or they differ */
	bool has_content;
	bool is_chunked;
	bool is_invalid;        /* two framings, or one that its status forbids */
	int64_t content_length; /* -1: none */
};

/* Length with the empty line; 0: incomplete. */
size_t pipit_response_head_read_evhttp(
    const char *bytes, size_t length, bool is_head_request, struct pipit_response_head_evhttp *reply);

struct pipit_response_head_amendments {
	bool closes; /* "Connection: close" */
	bool drops_length;
	int64_t content_length;    /* add it; -1: no */
	const char *date;          /* add it, from pipit_date_print(); NULL: no */
	struct pipit_slice fields; /* add them, each with CRLF */
};

#define PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX 192

/*
 * Corrects what the callback has sent: HTTP/1.1 (RFC 9110 §2.5); one framing, none for 204 and 205; the last date. to:
 * length + fields.length + PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX bytes.
 */
size_t pipit_response_head_amend_evhttp(char *to, const char *head, size_t length,
    const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments);

#endif
