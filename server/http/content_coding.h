/* SPDX-License-Identifier: MIT */
/* Which content codings a client takes (RFC 9110 §12.5.3). Pure. */
#ifndef PIPIT_CONTENT_CODING_H
#define PIPIT_CONTENT_CODING_H

#include "http/guard.h"

/* In the order in which we choose among codings that the client likes equally: the smaller result first. */
enum pipit_content_coding {
	PIPIT_CODING_BR,
	PIPIT_CODING_ZSTD,
	PIPIT_CODING_GZIP,
	PIPIT_CODING_IDENTITY,
	PIPIT_CODING_COUNT
};

/* The token of Content-Encoding, and the ending of a neighbour that has it ("br", ".br"). Static. */
const char *pipit_content_coding_name(enum pipit_content_coding coding);
const char *pipit_content_coding_ending(enum pipit_content_coding coding);

struct pipit_content_codings {
	uint16_t weights[PIPIT_CODING_COUNT]; /* thousandths; 0: not acceptable */
	bool has_codings;                     /* any besides identity is acceptable */
};

/*
 * Without an Accept-Encoding field any coding would do, but only identity is taken for wanted: whoever asks for nothing often
 * understands nothing.
 */
struct pipit_content_codings pipit_content_coding_read(const struct pipit_guard_head *head);

/* `available`: bits 1 << coding. The one to send; PIPIT_CODING_COUNT when none of them is acceptable. */
enum pipit_content_coding pipit_content_coding_choose(const struct pipit_content_codings *codings, unsigned available);

#endif
