/* SPDX-License-Identifier: MIT */
/* A client on the server's own thread: a socket that never blocks, and a judge of what comes out of it. */
#ifndef PIPIT_TESTS_CLIENT_H
#define PIPIT_TESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CLIENT_ROOM (512 * 1024)

struct client {
	int fd; /* -1: not connected */
	size_t length;
	bool is_over; /* the server has closed, or reset */
	char heard[CLIENT_ROOM];
};

/* The system calls of a client are made directly: what stands in libc's place counts and fails those of the server only. */
bool client_connect(struct client *client, unsigned port);
void client_leave(struct client *client, bool by_reset);

/* How many bytes were taken; -1 when the server takes none any more. */
ssize_t client_say(struct client *client, const char *bytes, size_t length);

/* Take what has come; true when that was anything, or the end. */
bool client_listen(struct client *client);

/* An answer that is awaited. Zero fields ask for nothing. */
struct answer {
	int status;
	const char *field;  /* "Name: value", somewhere in the head */
	const char *begins; /* how the content begins; all of it, unless `ends` or `more` says otherwise */
	const char *ends;   /* the content may be longer: how it ends */
	bool more;          /* the content may go on in any way */
	size_t big;         /* instead of `begins`: so many of routes_pattern() */
	bool to_head;       /* the request was HEAD */
	bool interim;       /* 100 Continue precedes it */
};

enum verdict {
	VERDICT_MORE,    /* it may still become right */
	VERDICT_RIGHT,   /* whole and right */
	VERDICT_REFUSED, /* a whole 503 or 500 */
	VERDICT_LOST,    /* the connection ended before it was whole, and a client notices */
	VERDICT_WRONG
};

/* What the bytes from *at on are. On RIGHT and REFUSED *at moves behind the answer. */
enum verdict client_judge(const struct client *client, const struct answer *answer, size_t *at);

#endif
