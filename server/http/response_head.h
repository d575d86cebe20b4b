/* SPDX-License-Identifier: MIT */
/*
 * The only writer of responses: status line, fields, framing. Pure: it renders into memory of the caller.
 *
 * What every response has in common is decided here and nowhere else: Date, exactly one framing, no content for HEAD, 204
 * and 304, a truthful Connection, no chunked coding for HTTP/1.0.
 */
#ifndef PIPIT_RESPONSE_HEAD_H
#define PIPIT_RESPONSE_HEAD_H

#include "base/refusal.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Fields that a handler may add to one reply, in bytes with names and line ends. */
#define PIPIT_RESPONSE_HEAD_FIELDS_MAX 8192
/* Fields that go with a file. */
#define PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX 1024
/* A head rendered by pipit_response_head_render() fits in this. */
#define PIPIT_RESPONSE_HEAD_MAX (PIPIT_RESPONSE_HEAD_FIELDS_MAX + PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX + 768)
/* A content rendered by pipit_response_head_problem_content() fits in this. */
#define PIPIT_RESPONSE_HEAD_PROBLEM_MAX 4096
/* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL. */
#define PIPIT_RESPONSE_HEAD_DATE_SIZE 30

/* IMF-fixdate (RFC 9110 §5.6.7), independent of the locale. */
void pipit_response_head_date(time_t when, char date[PIPIT_RESPONSE_HEAD_DATE_SIZE]);

/* Reads an HTTP-date in its three forms; -1 when it is none. */
time_t pipit_response_head_parse_date(const char *text);

/* "Not Found" for 404; "Unknown" for a status without a registered phrase. Static. */
const char *pipit_response_head_phrase(int status);

struct pipit_response_head {
	int status;
	const char *content_type;       /* NULL: no field */
	struct pipit_slice fields;      /* further whole field lines, each with CRLF */
	struct pipit_slice file_fields; /* likewise, at most PIPIT_RESPONSE_HEAD_FILE_FIELDS_MAX bytes */
	uint64_t content_length;
	bool is_open;     /* instead: chunks, or for HTTP/1.0 whatever comes until the connection closes */
	const char *date; /* rendered by pipit_response_head_date() */
	uint8_t minor;    /* of the request's version: an HTTP/1.0 client is told keep-alive explicitly */
	bool keep_alive;  /* false: "Connection: close" */
};

/* Render the head into `at`, of PIPIT_RESPONSE_HEAD_MAX bytes at least; returns its length. content_type is cut at 256 bytes. */
size_t pipit_response_head_render(char *at, const struct pipit_response_head *head);

/* Whether a response of this status to this method has content after its head (RFC 9112 §6.3). */
bool pipit_response_head_has_content(int status, bool is_head_request);

/* True for a name and value that may stand in a response (token; no CR, LF, NUL or other controls). */
bool pipit_response_head_is_field(const char *name, const char *value);
bool pipit_response_head_is_value(const char *value);

/*
 * The body of an error: a problem document (RFC 9457) or HTML. Its title is the status's phrase. detail: cut when it is too long;
 * may be NULL. members: JSON text of further members, such as `,"errors":[]`, left out of HTML. `at` has
 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX + members.length bytes. Returns the length; *content_type receives a static string.
 */
size_t pipit_response_head_problem_content(
    char *at, int status, const char *detail, struct pipit_slice members, bool html, const char **content_type);

/*
 * A whole response for a request that no handler sees, "Connection: close" included. `at` has PIPIT_RESPONSE_HEAD_MAX +
 * PIPIT_RESPONSE_HEAD_PROBLEM_MAX bytes. Returns its length; *content_bytes receives the content's.
 */
size_t pipit_response_head_refusal(
    char *at, enum pipit_refusal reason, const char *date, bool is_head_request, bool html, size_t *content_bytes);

/* What a head written by evhttp says, as far as the connection layer must know. */
struct pipit_response_head_evhttp {
	int status;
	bool closes;       /* Connection says close */
	unsigned dates;    /* pipit's, the callback's, or both */
	unsigned lengths;  /* Content-Lengths; all say the same, or it is_ambiguous */
	bool is_ambiguous; /* a Content-Length is no number, or differs from another */
	bool has_content;  /* bytes that follow belong on the wire */
	bool is_chunked;
	bool is_invalid;        /* it has a framing too many */
	int64_t content_length; /* as announced; -1: it is not */
};

/* Read the head in front of `bytes`. Returns its length, up to and with its empty line; 0 when that is not there. */
size_t pipit_response_head_read_evhttp(
    const char *bytes, size_t length, bool is_head_request, struct pipit_response_head_evhttp *reply);

/* What is to be different in a head that evhttp wrote, besides what is invalid in it. */
struct pipit_response_head_amendments {
	bool closes;            /* "Connection: close" instead of what it says */
	bool drops_length;      /* its Content-Length is left out */
	int64_t content_length; /* of a Content-Length that is added; -1: none is */
	const char *date;       /* rendered by pipit_response_head_date(); NULL: it has one */
};

/* What pipit_response_head_amend_evhttp() adds at most. */
#define PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX 192

/*
 * Write a head anew so that it is valid whatever the callback added: HTTP/1.1, which is this server's version whatever the
 * client's is (RFC 9110 §2.5), one framing and none for 204 and 205, only the last of several dates. `to` has length +
 * PIPIT_RESPONSE_HEAD_AMENDMENTS_MAX bytes. Returns the new length.
 */
size_t pipit_response_head_amend_evhttp(char *to, const char *head, size_t length,
    const struct pipit_response_head_evhttp *reply, const struct pipit_response_head_amendments *amendments);

#endif
