/* SPDX-License-Identifier: MIT */
/* Replies with a file, or with what conditions and ranges select (RFC 9110 §13, §14). */
#ifndef PIPIT_FILE_RESPONSE_H
#define PIPIT_FILE_RESPONSE_H

#include "http/content_coding.h"
#include "http/date.h"
#include "request/request.h"

#include <stdint.h>

#define PIPIT_FILE_RESPONSE_ETAG_SIZE 96
#define PIPIT_FILE_RESPONSE_CACHE_CONTROL_MAX 256

/* request headers that the response depends on */
enum {
	PIPIT_FILE_RESPONSE_VARY_ACCEPT = 1,
	PIPIT_FILE_RESPONSE_VARY_ENCODING = 2,  /* Accept-Encoding */
	PIPIT_FILE_RESPONSE_VARY_FETCH_MODE = 4 /* Sec-Fetch-Mode */
};

struct pipit_file_response {
	const char *content_type;
	size_t etag_length; /* 0: none */
	char etag[PIPIT_FILE_RESPONSE_ETAG_SIZE];
	int64_t modified;             /* seconds; PIPIT_DATE_NONE: unknown */
	const char *date;             /* `modified` */
	struct pipit_slice memory;    /* data NULL: use `file` */
	struct pipit_shared_fd *file; /* a reference, or NULL */
	uint64_t size;
	enum pipit_content_coding coding;
	unsigned vary; /* PIPIT_FILE_RESPONSE_VARY_ bits */
	const char *cache_control;
	const char *policy; /* Content-Security-Policy, and what else a page of ours wants; NULL: none */
};

/* "…" becomes "…-gz". Drops an ETag that is too long. */
void pipit_file_response_mark_gzip(struct pipit_file_response *representation);

/* Takes the reference to the file. */
void pipit_file_response_reply(struct pipit_request *request, const struct pipit_file_response *representation);

/* Ignores conditions and ranges. Takes the reference to the file. */
void pipit_file_response_reply_with(
    struct pipit_request *request, const struct pipit_file_response *representation, int status);

#endif
