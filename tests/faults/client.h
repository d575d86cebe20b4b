/* SPDX-License-Identifier: MIT */
/* A client on the server's own thread: a non-blocking socket, and a check of what it receives. */
#ifndef PIPIT_TESTS_CLIENT_H
#define PIPIT_TESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CLIENT_ROOM (512 * 1024)

struct client {
	int fd; /* -1: not connected */
	size_t length;
	bool is_over; /* the server has closed or reset it */
	char heard[CLIENT_ROOM];
};

/* A client's system calls are made directly: the replaced libc functions count and fail those of the server only. */
bool client_connect(struct client *client, unsigned port);
void client_leave(struct client *client, bool by_reset);

/* Bytes sent; -1 when the server has closed. */
ssize_t client_say(struct client *client, const char *bytes, size_t length);

/* Receives what is there; true for any bytes, or the end. */
bool client_listen(struct client *client);

/* An expected response. Zero fields are not checked. */
struct answer {
	int status;
	const char *field;  /* "Name: value", somewhere in the head */
	const char *begins; /* the beginning of the body; all of it, unless `ends` or `more` is set */
	const char *ends;   /* the body may be longer: its end */
	bool more;          /* the body may continue in any way */
	size_t big;         /* instead of `begins`: this number of bytes of routes_pattern() */
	bool to_head;       /* the request was HEAD */
	bool interim;       /* preceded by 100 Continue */
};

enum verdict {
	VERDICT_MORE,    /* correct so far, incomplete */
	VERDICT_RIGHT,   /* complete and correct */
	VERDICT_REFUSED, /* a complete 503, or 500 where it may be */
	VERDICT_LOST,    /* incomplete at the end of the connection, which a client detects */
	VERDICT_WRONG
};

/*
 * Judges the bytes from *at on. For RIGHT and REFUSED, *at moves past the response. pipit refuses with 503; may_be_500: the
 * answer is evhttp's, which does not say what it lacks.
 */
enum verdict client_judge(const struct client *client, const struct answer *answer, bool may_be_500, size_t *at);

#endif
