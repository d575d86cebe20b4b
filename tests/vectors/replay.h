/* SPDX-License-Identifier: MIT */
/*
 * Vectors that are sent to a server, whole, byte by byte and cut in two, each time with a good request behind it, and what comes
 * back, every byte of it. What must come is the caller's to say.
 *
 * With REPLAY_EVERY_CUT in the environment each vector is cut at every place, otherwise at every eighth, beginning at another one
 * in each. guard_vectors_test.c always cuts at every place, for the guard alone.
 */
#ifndef PIPIT_TESTS_REPLAY_H
#define PIPIT_TESTS_REPLAY_H

#include "vectors.h"

#include <stdbool.h>

/* How a test reaches its server. */
struct replay {
	unsigned port;
	const char *after; /* the good request; it asks for the end, so that all that a connection gives can be read */
	/* A piece of a vector has been sent. Returns when the server has read it; it need not when the vector trickles. */
	void (*settle)(bool trickles);
	/* Returns when something may have come on this connection; false when nothing did in time. */
	bool (*wait)(int fd);
	/* For HTTP/1.0 the end of the connection may be that of the content; otherwise each content has a length. */
	bool may_end_content;
};

/* A vector, how it was sent, and what came back. */
struct exchange {
	const struct replay *replay;
	const struct vector *vector;
	size_t cut; /* after so many bytes; 0: whole, or byte by byte */
	bool trickles;
	bool is_head, is_1_0;  /* the vector's request */
	char bytes[64 * 1024]; /* all that the connection gave, NUL-terminated */
	size_t length, at;     /* of them; how far they have been read */
};

/* A final response. */
struct answer {
	int status;
	bool closes, stays; /* says so */
	bool has_length, is_chunked, has_date, has_allow, has_retry_after;
	size_t content_length;
	const char *content;
};

/* Send the vector in every way, and have each exchange checked. */
void replay_vector(
    const struct replay *replay, const struct vector *vector, size_t number, void (*check)(struct exchange *));

/* Fails the test. Asked for a hundred thousand times, so by if: every ck_assert() writes to a file. */
void replay_complain(const struct exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* The answer to the vector, or to the good request behind it. Fails the test unless it is all that RFC 9110 and 9112 ask of one. */
struct answer replay_first_answer(struct exchange *exchange);
struct answer replay_second_answer(struct exchange *exchange);
bool replay_is_content(const struct answer *answer, const char *text);

/* Fails the test when bytes are left behind the last answer. */
void replay_expect_end(const struct exchange *exchange);

/* Of an accepted vector, as the guard finds it. */
bool replay_keeps_alive(const struct vector *vector);

/* Behind an empty line that may come before it. */
const char *replay_request_line(const struct vector *vector);

#endif
