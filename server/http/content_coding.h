/* SPDX-License-Identifier: MIT */
/* The Accept-Encoding header (RFC 9110 §12.5.3). Pure. */
#ifndef PIPIT_CONTENT_CODING_H
#define PIPIT_CONTENT_CODING_H

#include "http/guard.h"

/* In order of preference: the smallest result first. */
enum pipit_content_coding {
	PIPIT_CODING_BR,
	PIPIT_CODING_ZSTD,
	PIPIT_CODING_GZIP,
	PIPIT_CODING_IDENTITY,
	PIPIT_CODING_COUNT
};

/* "br", ".br" */
const char *pipit_content_coding_name(enum pipit_content_coding coding);
const char *pipit_content_coding_extension(enum pipit_content_coding coding);

struct pipit_content_codings {
	uint16_t weights[PIPIT_CODING_COUNT]; /* thousandths; 0: not acceptable */
	bool has_codings;                     /* other than identity */
};

/* Without Accept-Encoding only identity: many such clients decode no other. */
struct pipit_content_codings pipit_content_coding_read(const struct pipit_guard_head *head);

/* available: bits 1 << coding. PIPIT_CODING_COUNT: none is acceptable. */
enum pipit_content_coding pipit_content_coding_choose(const struct pipit_content_codings *codings, unsigned available);

#define PIPIT_CONTENT_CODING_REFUSED "The body must not be compressed: send it without Content-Encoding."

/* value: of Content-Encoding. The body is not coded. */
bool pipit_content_coding_is_identity(struct pipit_slice value);

#endif
