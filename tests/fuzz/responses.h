/* SPDX-License-Identifier: MIT */
/*
 * The client's half of a strict reading: which requests lie in what a client has sent, and whether what came back is a
 * response to each of them, and nothing else.
 */
#ifndef PIPIT_TESTS_FUZZ_RESPONSES_H
#define PIPIT_TESTS_FUZZ_RESPONSES_H

#include "fuzz.h"

#include "http/guard.h"

#define REQUESTS_MAX 4096

/* One request as it was sent. */
struct sent_request {
	unsigned method;
	uint8_t minor;
	bool keep_alive, expects_continue;
	bool has_content; /* announced, be it empty */
	bool has_passed;  /* the guard; false for one that it refuses */
	bool is_complete; /* the whole content too */
	char path[32];    /* empty when it is longer */
	size_t content;   /* of `contents` */
	size_t content_length;
};

struct sent {
	struct sent_request requests[REQUESTS_MAX];
	size_t count;
	struct fuzz_bytes contents; /* of all, unframed */
};

/* Read what a client has sent with the limits that its server has. */
void sent_read(struct sent *sent, const char *bytes, size_t length, const struct pipit_guard_limits *limits);

/* How the conversation ended. */
enum conversation_end {
	END_ORDERLY, /* all was sent, and all read that is going to come */
	END_CUT      /* somebody cut it off, or it still goes on: what came back may end anywhere */
};

/*
 * Every response is well-formed and framed, and belongs to its request. max_content: a request with more is refused. Returns
 * true when nothing more can come: all is answered, or the last response has said that it is the last one.
 */
bool responses_check(
    const char *bytes, size_t length, const struct sent *sent, size_t max_content, enum conversation_end end);

#endif
