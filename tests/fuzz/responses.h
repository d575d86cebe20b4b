/* SPDX-License-Identifier: MIT */
/*
 * The strict client: which requests are in the bytes that a client has sent, and whether the received bytes are a response to
 * each of them, and nothing else.
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
	bool has_content; /* announced, possibly empty */
	bool has_passed;  /* the guard's verdict; false for a refused one */
	bool is_complete; /* with its whole body */
	char path[32];    /* empty when it is longer */
	size_t content;   /* in `contents` */
	size_t content_length;
};

struct sent {
	struct sent_request requests[REQUESTS_MAX];
	size_t count;
	struct fuzz_bytes contents; /* all bodies, decoded */
};

/* Parses the sent bytes with the limits of the server. */
void sent_read(struct sent *sent, const char *bytes, size_t length, const struct pipit_guard_limits *limits);

/* How the connection ended. */
enum conversation_end {
	END_ORDERLY, /* everything was sent and received */
	END_CUT      /* aborted, or still open: the received bytes may end anywhere */
};

/*
 * Checks that every response is well-formed and framed, and belongs to its request. max_content: a request with a longer body
 * is refused. Returns true when nothing more can arrive: all requests are answered, or the last response closes the connection.
 */
bool responses_check(
    const char *bytes, size_t length, const struct sent *sent, size_t max_content, enum conversation_end end);

#endif
