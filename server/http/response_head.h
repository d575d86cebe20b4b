/* SPDX-License-Identifier: MIT */
/*
 * Writes every response head, into memory of the caller. Pure. Guarantees what all responses have in common: Date,
 * exactly one framing, no body for HEAD, 204 and 304, the right Connection header, and no chunks for HTTP/1.0.
 */
#ifndef PIPIT_RESPONSE_HEAD_H
#define PIPIT_RESPONSE_HEAD_H

#include "base/refusal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Bytes of the headers that a handler may add, with names and line ends. */
#define PIPIT_RESPONSE_HEAD_FIELDS_MAX 8192
/* Bytes of the headers of a file. */
#define PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX 1024
/* Longest head of pipit_response_head_render(). */
#define PIPIT_RESPONSE_HEAD_MAX (PIPIT_RESPONSE_HEAD_FIELDS_MAX + PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX + 768)
/* Longest body of pipit_response_head_problem_content(), without members. */
#define PIPIT_RESPONSE_HEAD_PROBLEM_MAX 4096
/* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL. */
#define PIPIT_RESPONSE_HEAD_DATE_SIZE 30

/* IMF-fixdate (RFC 9110 §5.6.7), independent of the locale. */
void pipit_response_head_date(time_t when, char date[PIPIT_RESPONSE_HEAD_DATE_SIZE]);

/* An HTTP date in one of its three forms (RFC 9110 §5.6.7); -1: none. */
time_t pipit_response_head_parse_date(const char *text);

/* "Not Found" for 404; "Unknown" for an unregistered status. Static. */
const char *pipit_response_head_phrase(int status);

struct pipit_response_head {
	int status;
	const char *content_type;       /* NULL: no Content-Type */
	struct pipit_slice fields;      /* further headers, each with CRLF */
	struct pipit_slice file_fields; /* likewise, at most PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX bytes */
	uint64_t content_length;
	bool is_open;     /* no Content-Length: chunks, or for HTTP/1.0 all bytes until the connection closes */
	const char *date; /* rendered by pipit_response_head_date() */
	uint8_t minor;    /* of the request's version; HTTP/1.0 needs "Connection: keep-alive" */
	bool keep_alive;  /* false: "Connection: close" */
};

/* Render into `at` (PIPIT_RESPONSE_HEAD_MAX bytes); returns the length. Cuts content_type at 256 bytes. */
size_t pipit_response_head_render(char *at, const struct pipit_response_head *head);

/* Whether a body follows the head (RFC 9112 §6.3). */
bool pipit_response_head_has_content(int status, bool is_head_request);

/* Whether name and value are valid in a header: a token; no controls except tab. */
bool pipit_response_head_is_field(const char *name, const char *value);
bool pipit_response_head_is_value(const char *value);

/*
 * The body of an error: a problem document (RFC 9457) or HTML, with the phrase of the status as its title. detail: may
 * be NULL; cut when too long. members: JSON text of further members (`,"errors":[]`), left out of HTML. `at` has
 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX + members.length bytes. Returns the length; *content_type is static.
 */
size_t pipit_response_head_problem_content(
    char *at, int status, const char *detail, struct pipit_slice members, bool html, const char **content_type);

/*
 * The whole response of a refusal, with "Connection: close". `at` has PIPIT_RESPONSE_HEAD_MAX +
 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX bytes. Returns its length; *content_bytes receives the length of the body.
 */
size_t pipit_response_head_refusal(
    char *at, enum pipit_refusal reason, const char *date, bool is_head_request, bool html, size_t *content_bytes);

/* A head that evhttp has written. */
struct pipit_response_head_evhttp {
	int status;
	bool closes;
	unsigned dates;    /* of pipit, of the callback, or both */
	unsigned lengths;  /* how many Content-Length headers */
	bool is_ambiguous; /* a Content-Length is no number, or they differ */
	bool has_content;  /* the bytes that follow are sent */
	bool is_chunked;
	bool is_invalid;        /* two framings, or one that its status forbids */
	int64_t content_length; /* -1: none */
};

/* Read the head at the front of `bytes`. Returns its length with the empty line; 0: incomplete. */
size_t pipit_response_head_read_evhttp(
    const char *bytes, size_t length, bool is_head_request, struct pipit_response_head_evhttp *reply);

/* Changes to a head of evhttp, besides the removal of what is invalid. */
struct pipit_response_head_amendments {
	bool closes;            /* replace Connection by "Connection: close" */
	bool drops_length;      /* remove Content-Length */
	int64_t content_length; /* add Content-Length; -1: no */
	const char *date;       /* add Date, from pipit_response_head_date(); NULL: no */
};

/* Most bytes that pipit_response_head_amend_evhttp() adds. */
#define PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX 192

/*
 * Write a valid head, whatever the callback has added: the server's own version, HTTP/1.1 (RFC 9110 §2.5); one
 * framing, none for 204 and 205; the last of several dates. `to` has length + PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX
 * bytes. Returns the new length.
 */
size_t pipit_response_head_amend_evhttp(char *to, const char *head, size_t length,
    const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments);

#endif
