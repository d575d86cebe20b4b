/* SPDX-License-Identifier: MIT */
/* Replies with a file, its ranges, or the result of conditions (RFC 9110 §13, §14). */
#ifndef PIPIT_FILE_RESPONSE_H
#define PIPIT_FILE_RESPONSE_H

#include "http/content_coding.h"
#include "request/request.h"

#define PIPIT_FILE_RESPONSE_ETAG_SIZE 96
#define PIPIT_FILE_RESPONSE_CACHE_CONTROL_MAX 256 /* with its NUL */

struct pipit_file_response {
	const char *content_type;
	size_t etag_length; /* 0: none */
	char etag[PIPIT_FILE_RESPONSE_ETAG_SIZE];
	time_t modified;              /* seconds; negative: not known */
	const char *date;             /* `modified` as an HTTP-date */
	struct pipit_slice memory;    /* data is NULL when the bytes are in `file` */
	struct pipit_shared_fd *file; /* a reference, or NULL */
	uint64_t size;                /* bytes */
	enum pipit_content_coding coding;
	bool varies;
	const char *cache_control; /* NULL: none */
	const char *policy;        /* NULL: none */
};

/* "…" becomes "…-gz"; a too long ETag is dropped. */
void pipit_file_response_mark_gzip(struct pipit_file_response *representation);

/* Takes the reference to the file. */
void pipit_file_response_reply(struct pipit_request *request, const struct pipit_file_response *representation);

/* Ignores conditions and ranges. Takes the reference to the file. */
void pipit_file_response_reply_with(
    struct pipit_request *request, const struct pipit_file_response *representation, int status);

#endif
