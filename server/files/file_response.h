/* SPDX-License-Identifier: MIT */
/*
 * A representation of a static resource, and the reply to a GET or HEAD for it: all of it, ranges of it, or only what a
 * condition makes of it (RFC 9110 §13 and §14).
 */
#ifndef PIPIT_FILE_RESPONSE_H
#define PIPIT_FILE_RESPONSE_H

#include "http/content_coding.h"
#include "request/request.h"

#define PIPIT_FILE_RESPONSE_ETAG_SIZE 96
#define PIPIT_FILE_RESPONSE_CACHE_CONTROL_MAX 256 /* bytes, with its NUL */

struct pipit_file_response {
	const char *content_type; /* of what the coding is undone to */
	size_t etag_length;       /* 0: none */
	char etag[PIPIT_FILE_RESPONSE_ETAG_SIZE];
	time_t modified;              /* seconds; negative: not known */
	const char *date;             /* `modified` as an HTTP-date */
	struct pipit_slice memory;    /* its bytes; data is NULL when they are in `file` */
	struct pipit_shared_fd *file; /* held, NULL when none */
	uint64_t size;                /* bytes */
	enum pipit_content_coding coding;
	bool varies;               /* by Accept-Encoding */
	const char *cache_control; /* NULL: not said */
	const char *policy;        /* Content-Security-Policy; NULL: none */
};

/* Name this coding of a resource apart from the others: "…" becomes "…-gz". An etag that is too long is left out. */
void pipit_file_response_mark_gzip(struct pipit_file_response *representation);

/* Reply as the request's conditions and ranges ask. Takes the file's hold. */
void pipit_file_response_reply(struct pipit_request *request, const struct pipit_file_response *representation);

/* As the content of a reply with another status than 200, such as an error's page. Takes the file's hold. */
void pipit_file_response_reply_with(
    struct pipit_request *request, const struct pipit_file_response *representation, int status);

#endif
