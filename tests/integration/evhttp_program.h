/* SPDX-License-Identifier: MIT */
/*
 * A program with an evhttp of its own behind the guard, for tests of its life and of its sockets. A test file has one program, on
 * the base of one loop; others may be made beside it.
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

/* More than a socket takes. */
#define PROGRAM_LARGE (16u * 1024 * 1024)

/* An evhttp and where it listens. */
struct program {
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* NULL: a server listens */
	unsigned port;
};

extern struct program program;
extern struct loop program_loop;
extern struct pipit_server *program_server; /* in front of program.http; NULL: none of the program's */
extern size_t program_descriptors;          /* that were open before anything was made */

/* What the last callback was given that tells, and how many those were: read the count first. */
extern struct evhttp_request *program_last_request;
extern struct evhttp_connection *program_last_connection;
extern atomic_int program_called;

/*
 * The fixtures. set_up makes the base, which does not run yet; the other two a program that serves, by pipit_evhttp_bind_socket()
 * or behind pipit_server_guard_evhttp(). tear_down frees all, and fails when a descriptor is left open.
 */
void program_set_up(void);
void program_set_up_bound(void);
void program_set_up_server(void);
void program_tear_down(void);
void program_tear_down_server(void);

/*
 * An evhttp with the callbacks. These tell: /kept replies; /defer does not; /half and /large-half send a part of a reply, /large
 * PROGRAM_LARGE bytes; /free frees its connection, /free/later does so in a timer, /end frees its evhttp. Others reply "hello".
 */
struct evhttp *program_new_evhttp(struct event_base *base);
void program_reply_text(struct evhttp_request *request, void *text);
void program_send_chunk(struct evhttp_request *request, size_t length);
extern char program_hello[];

/* On the loop's thread. add_socket: a guarded one more; bind_plain_socket: by evhttp_bind_socket_with_handle(). Both take a
 * struct program, whose bound and port they set. end: evhttp_free(). */
void program_start(struct program *made, struct event_base *base);
void program_add_socket(struct program *to);
void program_bind_plain_socket(void *to);
void program_guard_by_server(struct evhttp *http);
void program_end(void *ended);

/* For wire_wait(): program_server has no connection. */
bool program_is_served_by_none(void *arg);

/* Wait until so many callbacks have told. */
void program_wait_for_call(int times);

/* What the loop has to do with the clients of before is done. */
void program_let_turns_pass(unsigned port);

struct wire_response program_get(int fd, const char *target);
void program_expect_hello(int fd);
void program_expect_hello_of(int fd, const char *target);

/* Served: by way of the guard, or by evhttp alone; or nothing listens. */
void program_expect_guarded(unsigned port);
void program_expect_unguarded(unsigned port);
void program_expect_unreachable(unsigned port);

#endif
