/* SPDX-License-Identifier: MIT */
/*
 * A program with an evhttp of its own behind the guard, for tests of its lifetime and sockets. A test file has one program, on
 * the base of one loop; others may be created beside it.
 */
#ifndef PIPIT_TESTS_EVHTTP_PROGRAM_H
#define PIPIT_TESTS_EVHTTP_PROGRAM_H

#include "loop.h"
#include "wire.h"

#include <stdatomic.h>

struct evhttp;
struct evhttp_bound_socket;
struct evhttp_connection;
struct evhttp_request;
struct pipit_server;

/* More than a socket buffers. */
#define PROGRAM_LARGE (16u * 1024 * 1024)

/* An evhttp and its address. */
struct program {
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* NULL: a server listens */
	unsigned port;
};

extern struct program program;
extern struct loop program_loop;
extern struct pipit_server *program_server; /* guards program.http; NULL: the program has none */
extern size_t program_descriptors;          /* open before the set-up */

/* What the last of these callbacks got, and the number of calls: read the number first. */
extern struct evhttp_request *program_last_request;
extern struct evhttp_connection *program_last_connection;
extern atomic_int program_called;

/*
 * Fixtures. set_up creates the base, which does not run yet; the other two create a program that serves, by
 * pipit_evhttp_bind_socket() or behind pipit_server_guard_evhttp(). tear_down frees everything, and fails when a descriptor is
 * open.
 */
void program_set_up(void);
void program_set_up_bound(void);
void program_set_up_server(void);
void program_tear_down(void);
void program_tear_down_server(void);

/*
 * Creates an evhttp with the callbacks. These count: /kept replies; /defer does not; /half and /large-half send a part of a
 * reply, /large sends PROGRAM_LARGE bytes; /free frees its connection, /free/later does so in a timer, /end frees its evhttp.
 * Others reply "hello".
 */
struct evhttp *program_new_evhttp(struct event_base *base);
void program_reply_text(struct evhttp_request *request, void *text);
void program_send_chunk(struct evhttp_request *request, size_t length);
extern char program_hello[];

/*
 * Run on the loop's thread. add_socket adds a guarded socket; bind_plain_socket uses evhttp_bind_socket_with_handle(). Both
 * take a struct program and set its bound and port. end: evhttp_free().
 */
void program_start(struct program *made, struct event_base *base);
void program_add_socket(struct program *to);
void program_bind_plain_socket(void *to);
void program_guard_by_server(struct evhttp *http);
void program_end(void *ended);

/* For wire_wait(): program_server has no connection. */
bool program_is_served_by_none(void *arg);

/* Waits until this number of callbacks has run. */
void program_wait_for_call(int times);

/* Waits until the loop has finished with earlier clients. */
void program_let_turns_pass(unsigned port);

struct wire_response program_get(int fd, const char *target);
void program_expect_hello(int fd);
void program_expect_hello_of(int fd, const char *target);

/* Expects service through the guard, or by evhttp alone, or no listener. */
void program_expect_guarded(unsigned port);
void program_expect_unguarded(unsigned port);
void program_expect_unreachable(unsigned port);

#endif
